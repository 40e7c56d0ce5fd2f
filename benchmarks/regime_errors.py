"""Error rates and power of the comparison of training regimes.

Every data set is simulated: FTVs are beta variates on [-1, 1]. The recording (s.d. 0.33) has
sessions that shift their units' location (by a Gaussian copula): "many" has 60 sessions of 1 to 6
units, about as the single units of monkey A, "few" has 10 of 10 to 30. Eight pairs of networks
differ in s.d. between pairs (s.d. 0.03, common to both members, which have the same initial
weights) and between networks (s.d. 0.02). Matched units share part of the shift of their recorded
session.

Cases:

- "alike": both regimes have an s.d. of 0.45; sign flips should reject in at most 5 % of data sets.
- "either side": both regimes have about the same distance from the recorded population, one with a
  wider distribution (0.45), one with a narrower one (0.2). Sign flips refer to this recording, so
  they may reject; the interval should contain 0.
- "closer": 0.40 against 0.45, and 0.42 against 0.45: power.

The results are the shares of p <= 0.05, of intervals that exclude 0, of both (as `attribution`
requires), and the coverage of the 95 % interval; the true value is the mean estimate over all data
sets of a case. The "naive" interval is Student's over pairs, without the variance of sessions.

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
"""Share of sessions in the latent variance of recorded units and of their matched units."""
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


def draw(sd: float, shift: Array, share: float, rng: np.random.Generator) -> Array:
    """Draw values with a given s.d., whatever the share of the shift in their latent variance."""
    latent = np.sqrt(share) * shift + np.sqrt(1 - share) * rng.standard_normal(shift.size)
    shape = (1 / sd**2 - 1) / 2
    values: Array = 2 * stats.beta.ppf(stats.norm.cdf(latent), shape, shape) - 1
    return values


def table(values: Array, **columns: Codes) -> xr.Dataset:
    """Return a table of samples."""
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
            network_sd = max(sd + common + NETWORK_SD * rng.standard_normal(), 0.05)
            if matched:
                values = draw(network_sd, shift, MATCHED_SHIFT, rng)
                columns = {"session": session, "recorded_unit": np.arange(session.size)}
            else:
                values, columns = draw(network_sd, np.zeros(N_UNITS), 0.0, rng), {}
            regimes[regime][str(pair)] = table(values, **columns)
    return regimes, recording


def measure(rng: np.random.Generator, options: dict[str, Any]) -> dict[str, float]:
    """Draw a data set and compare its regimes."""
    regimes, recording = data_set(rng, **options)
    comparison = compare_regimes(
        regimes, recording, [("first", "second")], n_bootstrap=N_BOOTSTRAP, n_splits=1
    ).isel(contrast=0, measure=0)
    names = ("difference", "difference_low", "difference_high", "p_value")
    distance = comparison["distance"]
    pairs = distance.sel(regime="first") - distance.sel(regime="second")
    naive = over_networks(pairs.values)
    return {name: comparison[name].item() for name in names} | {
        "naive_low": naive["mean_low"].item(),
        "naive_high": naive["mean_high"].item(),
    }


def rate(hits: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share of hits with its exact binomial 95 % interval."""
    ends = stats.binomtest(int(hits.sum()), hits.size).proportion_ci()
    return {"share": float(hits.mean()), "low": ends.low, "high": ends.high, "n": hits.size}


def summarise(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return the rates of one case."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    true = columns["difference"].mean()
    low, high = columns["difference_low"], columns["difference_high"]
    flips, interval = columns["p_value"] <= 0.05, (low > 0) | (high < 0)
    covered = (low <= true) & (true <= high)
    naive = (columns["naive_low"] <= true) & (true <= columns["naive_high"])
    return {
        "difference": float(true),
        "sd of the estimate": float(columns["difference"].std(ddof=1)),
        "flips": rate(flips),
        "interval": rate(interval),
        "both": rate(flips & interval),
        "coverage": rate(covered),
        "naive coverage": rate(naive),
    }


def rate_text(share: dict[str, Any]) -> str:
    """Return a rate with its interval as text."""
    return f"{share['share']:.3f} [{share['low']:.3f}, {share['high']:.3f}]"


def main() -> None:
    """Run the benchmark, and print and write the results."""
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
    for which, (case, case_options) in enumerate(tqdm(CASES.items(), desc="cases", disable=None)):
        rows = [
            measure(np.random.default_rng([options.seed, which, i]), case_options) for i in range(n)
        ]
        summary = results["cases"][case] = summarise(rows)
        cells = [rate_text(summary[name]) for name in rates]
        print(f"| {case} | {summary['difference']:+.4f} | {' | '.join(cells)} |", flush=True)
    if not options.quick:
        with written_aside(RESULT, overwrite=True) as aside:
            aside.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
