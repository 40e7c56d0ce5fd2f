"""Error rates of the mixed-effects test, of rankings, and of the power analysis.

- *False positives and power of the mixed-effects test* (`nwbcompare.inference.mixed_effects`) at
  5 %: 3, 5 or 8 networks of 64 units against a recording of 20 or 80 sessions of 5 units, |FTV| of
  units of one session and of one network correlated by 0 or 0.1 (normal scores). S.d. of FTV 0.4 on
  both sides, then 0.4 against 0.5. For comparison: a t test that treats units as independent,
  and a z test of the same mixed model.
- *Ranking* (`nwbcompare.comparison.ranking`) of two identical families: the mean probability of
  being closest and how often one exceeds 0.95; and with one family closer, how often it ranks
  first.
- *Power analysis*: power predicted by `nwbcompare.comparison.power_analysis` and that of the whole
  pipeline, in which trials with noise are drawn and analysed by `task_variance`,
  `fractional_task_variance` and `mixed_effects`.

Run: ``python benchmarks/inference_errors.py [--datasets 200] [--seed 0] [--quick]``. Prints
Markdown tables and writes ``benchmarks/results/inference_errors.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

import nwbcompare as nc
from nwbcompare.comparison.power import Grouping, TrialNoise, draw_ftv, power_analysis
from nwbcompare.comparison.ranking import rank_families
from nwbcompare.core.files import written_aside
from nwbcompare.inference.mixed_effects import mixed_effects

RESULT = Path(__file__).parent / "results" / "inference_errors.json"
NETWORK_UNITS, SESSION_UNITS, SD, OTHER_SD = 64, 5, 0.4, 0.5
Array = npt.NDArray[np.float64]


def table(values: Array, name: str, source: str, size: int = SESSION_UNITS) -> xr.Dataset:
    """Return a table of samples, with units ordered by session."""
    coords = {"session": ("unit", np.arange(values.size) // size)} if source == "recording" else {}
    return xr.Dataset(
        {"fractional_task_variance": ("unit", values)},
        coords=coords,
        attrs={"name": name, "source": source, "task_a": "a", "task_b": "b"},
    )


def networks(sd: float, n: int, correlation: float, rng: np.random.Generator) -> list[xr.Dataset]:
    """Draw the sample tables of networks."""
    values = draw_ftv(
        sd, (1, n * NETWORK_UNITS), group_size=NETWORK_UNITS, correlation=correlation, rng=rng
    )
    rows = values.reshape(n, NETWORK_UNITS)
    return [table(row, f"{rng.integers(2**62)}", "model") for row in rows]


def recording(sd: float, sessions: int, correlation: float, rng: np.random.Generator) -> xr.Dataset:
    """Draw the sample table of a recording."""
    shape = (1, sessions * SESSION_UNITS)
    values = draw_ftv(sd, shape, group_size=SESSION_UNITS, correlation=correlation, rng=rng)
    return table(values[0], "recording", "recording")


def with_interval(hits: int, n: int) -> dict[str, Any]:
    """Return a share with its exact binomial 95 % interval."""
    interval = stats.binomtest(hits, n).proportion_ci()
    return {"share": hits / n, "low": interval.low, "high": interval.high, "n": n}


def test_errors(n_datasets: int, seed: int) -> list[dict[str, Any]]:
    """Measure false positives and power of the mixed-effects test, and of two simpler tests."""
    cells = [(k, s, c) for k in (3, 5, 8) for s in (20, 80) for c in (0.0, 0.1)]
    rows = []
    for place, (n_networks, sessions, correlation) in enumerate(tqdm(cells, desc="test")):
        hits = dict.fromkeys(("mixed", "z", "units", "power"), 0)
        for number in range(n_datasets):
            rng = np.random.default_rng([seed, place, number])
            brain = recording(SD, sessions, correlation, rng)
            same, other = (networks(sd, n_networks, correlation, rng) for sd in (SD, OTHER_SD))
            result = mixed_effects([*same, brain])
            hits["mixed"] += bool(result["p_value"] <= 0.05)
            hits["z"] += bool(2 * stats.norm.sf(abs(result["t"])) <= 0.05)
            units = np.concatenate([np.abs(t["fractional_task_variance"].values) for t in same])
            brain_units = np.abs(brain["fractional_task_variance"].values)
            hits["units"] += bool(
                stats.ttest_ind(units, brain_units, equal_var=False).pvalue <= 0.05
            )
            hits["power"] += bool(mixed_effects([*other, brain])["p_value"] <= 0.05)
        rows.append(
            {"networks": n_networks, "sessions": sessions, "correlation": correlation}
            | {name: with_interval(count, n_datasets) for name, count in hits.items()}
        )
    return rows


def ranking_errors(n_datasets: int, seed: int) -> list[dict[str, Any]]:
    """Measure the distribution of the probability of being closest over data sets."""
    cells = [(k, sd) for k in (3, 5, 8) for sd in (OTHER_SD, 0.45)]
    rows = []
    for n_networks, sd in tqdm(cells, desc="ranking"):
        first = np.empty(n_datasets)
        for number in range(n_datasets):
            rng = np.random.default_rng([seed, n_networks, round(100 * sd), number])
            result = rank_families(
                {
                    "a": networks(sd, n_networks, 0.1, rng),
                    "b": networks(OTHER_SD, n_networks, 0.1, rng),
                },
                recording(SD, 40, 0.1, rng),
                n_bootstrap=200,
                n_splits=10,
                seed=number,
            )
            first[number] = result["p_closest"].sel(family="a").item()
        over = int((np.maximum(first, 1 - first) > 0.95).sum())
        rows.append(
            {
                "networks": n_networks,
                "sd_a": sd,
                "sd_b": OTHER_SD,
                "mean_p_closest_a": float(first.mean()),
                "any_over_95": with_interval(over, n_datasets),
                "a_over_95": with_interval(int((first > 0.95).sum()), n_datasets),
                "a_over_50": with_interval(int((first > 0.5).sum()), n_datasets),
            }
        )
    return rows


def trials_of(ftv: Array, level: Array, n_trials: int, rng: np.random.Generator) -> xr.Dataset:
    """Draw a block of two tasks with 4 conditions, 5 bins and a noise variance by unit."""
    n_units, n_conditions, n_bins = ftv.size, 4, 5
    pattern = rng.standard_normal((2, n_conditions, n_bins, n_units))
    pattern -= pattern.mean(axis=1, keepdims=True)
    pattern /= np.sqrt(pattern.var(axis=1, keepdims=True).mean(axis=2, keepdims=True))
    tuning = 10 + pattern * np.sqrt(1 + np.stack([ftv, -ftv]))[:, None, None]
    task, condition, _ = np.indices((2, n_conditions, n_trials)).reshape(3, -1)
    sd = np.sqrt(level * n_trials * n_conditions / (n_conditions - 1))
    rate = tuning[task, condition] + sd * rng.standard_normal((task.size, n_bins, n_units))
    return nc.make_block(
        rate,
        trials={"task": np.array(["a", "b"])[task], "c": condition.astype(float)},
        time_s=(np.arange(n_bins) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="stimulus",
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="simulated",
        units={"unit": [f"u{i}" for i in range(n_units)]},
    )


def measure_ftv(
    ftv: Array, noise: TrialNoise, n_trials: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Simulate noisy trials of units of known FTV, and return their measured FTV."""
    typical = noise.share / (1 - noise.share) * noise.trials / n_trials
    level = typical * np.exp(noise.spread * rng.standard_normal(ftv.size))
    variance = nc.task_variance(trials_of(ftv, level, n_trials, rng))
    measured = nc.fractional_task_variance(variance, "a", "b")["fractional_task_variance"]
    return np.asarray(measured.values)


def power_of_pipeline(n_datasets: int, seed: int) -> list[dict[str, Any]]:
    """Compare the predicted power with that of the whole pipeline."""
    noise = TrialNoise()
    grouping = Grouping(networks=4, network_units=NETWORK_UNITS, units_per_session=SESSION_UNITS)
    designs = [(50, 20), (100, 20), (100, 40)]
    rows = []
    for place, (n_units, n_trials) in enumerate(tqdm(designs, desc="power analysis")):
        predicted = power_analysis(
            0.33, 0.6, units=[n_units], trials=[n_trials], noise=noise, grouping=grouping,
            n_simulations=4000, seed=seed,
        )  # fmt: skip
        hits = 0
        for number in range(n_datasets):
            rng = np.random.default_rng([seed, 77, place, number])
            sample = recording(0.33, n_units // SESSION_UNITS, grouping.session_correlation, rng)
            models = networks(0.6, grouping.networks, grouping.network_correlation, rng)
            every = [
                one.assign(
                    fractional_task_variance=(
                        "unit",
                        measure_ftv(one["fractional_task_variance"].values, noise, n_trials, rng),
                    )
                )
                for one in (*models, sample)
            ]
            hits += bool(mixed_effects(every)["p_value"] <= 0.05)
        rows.append(
            {
                "units": n_units,
                "trials": n_trials,
                "promised": predicted["power"].item(),
                "run": with_interval(hits, n_datasets),
            }
        )
    return rows


def share_text(share: dict[str, Any]) -> str:
    """Return a share with its interval as text."""
    return f"{share['share']:.3f} [{share['low']:.3f}, {share['high']:.3f}]"


def print_tables(results: dict[str, Any]) -> None:
    """Print the results as Markdown."""
    print("\nMixed-effects test, share with p <= 0.05 (exact 95 % interval); power: 0.4 / 0.5\n")
    print("| networks | sessions | correlation | false positives | z test | units as n | power |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in results["test"]:
        shares = " | ".join(share_text(row[name]) for name in ("mixed", "z", "units", "power"))
        print(f"| {row['networks']} | {row['sessions']} | {row['correlation']} | {shares} |")
    print("\nRanking: probability that family a is closest\n")
    print("| networks | s.d. a, b (recording 0.4) | mean | > 0.5 | > 0.95 | either > 0.95 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in results["ranking"]:
        shares = " | ".join(share_text(row[n]) for n in ("a_over_50", "a_over_95", "any_over_95"))
        print(
            f"| {row['networks']} | {row['sd_a']}, {row['sd_b']} | "
            f"{row['mean_p_closest_a']:.3f} | {shares} |"
        )
    print("\nPower analysis: predicted power and power of the pipeline\n")
    print("| units | trials | predicted | pipeline |\n| --- | --- | --- | --- |")
    for row in results["power_analysis"]:
        print(
            f"| {row['units']} | {row['trials']} | {row['promised']:.3f} | "
            f"{share_text(row['run'])} |"
        )


def main() -> None:
    """Run the three benchmarks, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=200, help="data sets of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 data sets; nothing is written")
    options = parser.parse_args()
    n = 20 if options.quick else options.datasets
    start = time.perf_counter()
    results: dict[str, Any] = {
        "seed": options.seed,
        "datasets": n,
        "test": test_errors(n, options.seed),
        "ranking": ranking_errors(n // 2, options.seed),
        "power_analysis": power_of_pipeline(n // 2, options.seed),
    }
    print_tables(results)
    print(f"\n{time.perf_counter() - start:.0f} s")
    if not options.quick:
        with written_aside(RESULT, overwrite=True) as aside:
            aside.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
