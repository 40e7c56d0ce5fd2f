r"""Effect of the warm-up on FTV, in paired seeds that are kept with and without it.

The networks are those of two studies of ``nwbcompare continual``: one trained as published
(``--warm-up 0``), one with the warm-up. Only their measures are needed, not the weights.

The networks have 1000 steps a task; the warm-up has 300 steps in each of five stages.
The margin was fixed before any FTV of a network with the warm-up was seen: the s.d. of FTV, sampled
as the recording was, may change by `MARGIN` at most, a third of the change by consolidation (0.150
for monkey A: 0.779 for sequential and 0.630 for consolidated networks). A regime is within the
margin if the 90 % interval of the paired change is (two one-sided tests at 5 %).

    nwbcompare continual --networks 6 --steps-per-task 1000 --regimes sequential --train-only \
        --out warm --jobs 2
    nwbcompare continual --runs warm --recording "mante2013?animal=ar" --out warm-ar --jobs 2
    python benchmarks/warm_up.py benchmarks/results/continual_longer warm-ar --runs warm
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import t as student

from nwbcompare.model.checkpoint import read_evaluation

REGIMES = ("sequential", "consolidated", "interleaved")
PROTOCOLS = ("rate", "published")
MARGIN = 0.05
RESULTS = Path(__file__).parent / "results" / "warm_up.json"


def spreads(study: Path, regime: str, protocol: str) -> dict[int, float]:
    """Return the s.d. of FTV of each network of a regime, averaged over samplings."""
    sds = {}
    for file in sorted((study / "measures").glob(f"{regime}-[0-9]*.nc")):
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            if "unit" in tree[protocol].dims:
                ftv = tree[protocol]["fractional_task_variance"]
                sds[int(file.stem.rsplit("-", 1)[1])] = float(ftv.std("unit").mean())
    return sds


def performances(runs: Path, regime: str) -> dict[int, float]:
    """Return the mean final performance of each finished network of a regime."""
    means = {}
    for run in sorted((runs / "runs").glob(f"{regime}-[0-9]*")):
        if evaluation := read_evaluation(run):
            shares = list(evaluation["performance"].values())
            means[int(run.name.rsplit("-", 1)[1])] = float(np.mean(shares))
    return means


def paired_change(first: dict[int, float], second: dict[int, float]) -> dict[str, Any]:
    """Return the change from the first to the second on common seeds, with its intervals."""
    seeds = sorted(set(first) & set(second))
    if len(seeds) < 2:
        return {"seeds": seeds}
    before, after = (np.array([values[seed] for seed in seeds]) for values in (first, second))
    change = after - before
    return {
        "seeds": seeds,
        "before": round(float(before.mean()), 4),
        "after": round(float(after.mean()), 4),
        "change": round(float(change.mean()), 4),
        "interval_90": _interval(change, 0.90),
        "interval_95": _interval(change, 0.95),
    }


def _interval(change: npt.NDArray[np.float64], level: float) -> list[float]:
    half = student.ppf((1 + level) / 2, change.size - 1) * change.std(ddof=1) / np.sqrt(change.size)
    return [round(float(change.mean() + side * half), 4) for side in (-1, 1)]


def main() -> None:
    """Compare the studies, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path, help="folder of the study without the warm-up")
    parser.add_argument("warm", type=Path, help="folder of the study with the warm-up")
    parser.add_argument("--runs", type=Path, help="folder of its networks, if another one")
    arguments = parser.parse_args()
    rows = []
    for regime in REGIMES:
        for protocol in PROTOCOLS:
            studies = (arguments.published, arguments.warm)
            change = paired_change(*(spreads(study, regime, protocol) for study in studies))
            row = {"regime": regime, "measure": f"s.d. of FTV, {protocol}", **change}
            if protocol == "rate" and "interval_90" in change:
                low, high = change["interval_90"]
                row["within_margin"] = -MARGIN < low < high < MARGIN
            rows.append(row)
        ends = (
            performances(arguments.published, regime),
            performances(arguments.runs or arguments.warm, regime),
        )
        rows.append({"regime": regime, "measure": "mean final performance", **paired_change(*ends)})
    for row in rows:
        print(row)
    RESULTS.write_text(json.dumps({"margin": MARGIN, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
