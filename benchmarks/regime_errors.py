"""How often the comparison of training regimes errs, and what it can find.

Every data set is simulated: FTVs are beta variates on [-1, 1]. The recording (s.d. 0.33) has
sessions that shift their units' location (by a Gaussian copula): "many" has 60 sessions of 1 to 6
units, about as the single units of monkey A, "few" has 10 of 10 to 30. Eight pairs of networks
differ in s.d. pair by pair (s.d. 0.03, common to both members, which start alike) and network by
network (s.d. 0.02). Matched units take a part of their recorded session's shift.

Cases:

- "alike": both regimes have an s.d. of 0.45; sign flips must reject at 5 % or less.
- "either side": about as far from the recorded population, one regime wider (0.45), one narrower
  (0.2). Flips ask about this recording, so they reject; the interval must not exclude 0.
- "closer": 0.40 against 0.45, and 0.42 against 0.45: power.

Given are the shares of p <= 0.05, of intervals that exclude 0, of both (what `attribution` asks
for), and the coverage of the 95 % interval: true is the mean estimate over all data sets of a case.
"Naive" leaves out what sessions add: Student's interval over pairs.

Run: ``python benchmarks/regime_errors.py [--datasets 200] [--seed 0] [--quick]``. Prints a Markdown
table and writes ``benchmarks/results/regime_errors.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

from nwbcompare.comparison.training_regimes import compare_regimes
from nwbcompare.core.files import written_aside
from nwbcompare.inference.networks import over_networks

RESULT = Path(__file__).parent / "results" / "regime_errors.json"
N_PAIRS, N_UNITS, N_BOOTSTRAP = 8, 180, 100
SD, PAIR_SD, NETWORK_SD = 0.33, 0.03, 0.02
SHIFT, MATCHED_SHIFT = 0.2, 0.1
"""A session's part in the latent variance of its units, and in that of their matched units."""
CASES: dict[str, dict[str, Any]] = {
    "alike": {"sds": (0.45, 0.45)},
    "alike, matched units": {"sds": (0.45, 0.45), "matched": True},
    "either side": {"sds": (0.45, 0.202)},
    "either side, few sessions": {"sds": (0.45, 0.195), "few": True},
    "closer by 0.05": {"sds": (0.40, 0.45)},
    "closer by 0.05, matched units": {"sds": (0.40, 0.45), "matched": True},
    "closer by 0.05, few sessions": {"sds": (0.40, 0.45), "few": True},
    "closer by 0.03": {"sds": (0.42, 0.45)},
}
Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def sessions(rng: np.random.Generator, *, few: bool) -> Codes:
    """Draw the session of each unit."""
    sizes = rng.integers(10, 31, 10) if few else 1 + rng.binomial(5, 0.4, 60)
    return np.repeat(np.arange(sizes.size), sizes)


def draw(sd: float, shift: Array, part: float, rng: np.random.Generator) -> Array:
    """Draw values whose marginal s.d. is the same whatever the part of the shift is."""
    latent = np.sqrt(part) * shift + np.sqrt(1 - part) * rng.standard_normal(shift.size)
    shape = (1 / sd**2 - 1) / 2
    values: Array = 2 * stats.beta.ppf(stats.norm.cdf(latent), shape, shape) - 1
    return values


def table(values: Array, **columns: Codes) -> xr.Dataset:
    """Make a sample table."""
    coords = {name: ("unit", column) for name, column in columns.items()}
    return xr.Dataset({"fractional_task_variance": ("unit", values)}, coords, {"name": "m"})


def data_set(
    rng: np.random.Generator,
    sds: tuple[float, float],
    *,
    matched: bool = False,
    few: bool = False,
) -> tuple[dict[str, dict[str, xr.Dataset]], xr.Dataset]:
    """Draw pairs of networks of two regimes, and a recording."""
    session = sessions(rng, few=few)
    shift = rng.standard_normal(session.max() + 1)[session]
    recording = table(draw(SD, shift, SHIFT, rng), session=session)
    regimes: dict[str, dict[str, xr.Dataset]] = {"first": {}, "second": {}}
    for pair in range(N_PAIRS):
        common = PAIR_SD * rng.standard_normal()
        for regime, sd in zip(regimes, sds, strict=True):
            own = max(sd + common + NETWORK_SD * rng.standard_normal(), 0.05)
            if matched:
                values = draw(own, shift, MATCHED_SHIFT, rng)
                columns = {"session": session, "recorded_unit": np.arange(session.size)}
            else:
                values, columns = draw(own, np.zeros(N_UNITS), 0.0, rng), {}
            regimes[regime][str(pair)] = table(values, **columns)
    return regimes, recording


def measure(rng: np.random.Generator, options: dict[str, Any]) -> dict[str, float]:
    """Compare one data set's regimes."""
    regimes, recording = data_set(rng, **options)
    found = compare_regimes(
        regimes, recording, [("first", "second")], n_bootstrap=N_BOOTSTRAP, n_splits=1
    ).isel(contrast=0, measure=0)
    names = ("difference", "difference_low", "difference_high", "p_value")
    pairs = found["distance"].sel(regime="first") - found["distance"].sel(regime="second")
    naive = over_networks(pairs.values)
    return {name: found[name].item() for name in names} | {
        "naive_low": naive["mean_low"].item(),
        "naive_high": naive["mean_high"].item(),
    }


def rate(hits: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Give a share with its exact binomial 95 % interval."""
    ends = stats.binomtest(int(hits.sum()), hits.size).proportion_ci()
    return {"share": float(hits.mean()), "low": ends.low, "high": ends.high, "n": hits.size}


def summarise(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Give the rates of one case."""
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    true = found["difference"].mean()
    low, high = found["difference_low"], found["difference_high"]
    flips, interval = found["p_value"] <= 0.05, (low > 0) | (high < 0)
    covered = (low <= true) & (true <= high)
    naive = (found["naive_low"] <= true) & (true <= found["naive_high"])
    return {
        "difference": float(true),
        "sd of the estimate": float(found["difference"].std(ddof=1)),
        "flips": rate(flips),
        "interval": rate(interval),
        "both": rate(flips & interval),
        "coverage": rate(covered),
        "naive coverage": rate(naive),
    }


def shown(found: dict[str, Any]) -> str:
    """Show a rate."""
    return f"{found['share']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=200, help="data sets of each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 data sets; nothing is written")
    options = parser.parse_args()
    n = 20 if options.quick else options.datasets
    results: dict[str, Any] = {"settings": {"datasets": n, "seed": options.seed}, "cases": {}}
    rates = ("flips", "interval", "both", "coverage", "naive coverage")
    print(f"| case | difference | {' | '.join(rates)} |")
    print("|---" * (len(rates) + 2) + "|")
    for which, (case, own) in enumerate(tqdm(CASES.items(), desc="cases", disable=None)):
        rows = [measure(np.random.default_rng([options.seed, which, i]), own) for i in range(n)]
        found = results["cases"][case] = summarise(rows)
        cells = [shown(found[name]) for name in rates]
        print(f"| {case} | {found['difference']:+.4f} | {' | '.join(cells)} |", flush=True)
    if not options.quick:
        with written_aside(RESULT, overwrite=True) as aside:
            aside.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
