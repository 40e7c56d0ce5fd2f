r"""Does the warm-up that keeps networks change their FTV? Paired seeds that survive both ways.

Takes two studies of ``nwbcompare continual``: one trained as published (``--warm-up 0``), one with
the warm-up. Only what was measured of their networks is needed, not the weights.

Networks of 1000 steps a task are compared, of which the warm-up takes 300 in each of five stages.
The margin was fixed before any FTV of a network with the warm-up was seen: the s.d. of FTV, sampled
as the recording was, may change by `MARGIN` at most, a third of what consolidation changes (0.150
of monkey A: 0.779 for sequential and 0.630 for consolidated networks). It holds for a regime if the
90 % interval of the paired change lies inside it (two one-sided tests at 5 %).

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
PROTOCOLS = ("sampled", "published")
MARGIN = 0.05
RESULTS = Path(__file__).parent / "results" / "warm_up.json"


def spreads(study: Path, regime: str, protocol: str) -> dict[int, float]:
    """Return the s.d. of FTV of each network of a regime, the mean over draws."""
    found = {}
    for file in sorted((study / "measures").glob(f"{regime}-[0-9]*.nc")):
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            if "unit" in tree[protocol].dims:
                ftv = tree[protocol]["fractional_task_variance"]
                found[int(file.stem.rsplit("-", 1)[1])] = float(ftv.std("unit").mean())
    return found


def performances(runs: Path, regime: str) -> dict[int, float]:
    """Return the mean final performance of each network of a regime that ended."""
    found = {}
    for run in sorted((runs / "runs").glob(f"{regime}-[0-9]*")):
        if evaluation := read_evaluation(run):
            shares = list(evaluation["performance"].values())
            found[int(run.name.rsplit("-", 1)[1])] = float(np.mean(shares))
    return found


def paired(one: dict[int, float], other: dict[int, float]) -> dict[str, Any]:
    """Return what changes from one to the other on the seeds of both, with its intervals."""
    seeds = sorted(set(one) & set(other))
    if len(seeds) < 2:
        return {"seeds": seeds}
    before, after = (np.array([values[seed] for seed in seeds]) for values in (one, other))
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
    """Compare the studies and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path, help="the study without the warm-up")
    parser.add_argument("warm", type=Path, help="the study with it")
    parser.add_argument("--runs", type=Path, help="its networks, where they lie in another folder")
    asked = parser.parse_args()
    rows = []
    for regime in REGIMES:
        for protocol in PROTOCOLS:
            studies = (asked.published, asked.warm)
            found = paired(*(spreads(study, regime, protocol) for study in studies))
            row = {"regime": regime, "measure": f"s.d. of FTV, {protocol}", **found}
            if protocol == "sampled" and "interval_90" in found:
                low, high = found["interval_90"]
                row["within_margin"] = -MARGIN < low < high < MARGIN
            rows.append(row)
        ends = (
            performances(asked.published, regime),
            performances(asked.runs or asked.warm, regime),
        )
        rows.append({"regime": regime, "measure": "mean final performance", **paired(*ends)})
    for row in rows:
        print(row)
    RESULTS.write_text(json.dumps({"margin": MARGIN, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
