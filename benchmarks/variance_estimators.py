"""Bias and coverage of the estimators of task variance and FTV for simulated units.

Simulates spikes of units with known tuning in two tasks, the second with three times the trials
of the first: Poisson, and over-dispersed (a gain of each trial, shared by its bins, that gives
counts a Fano factor of 2). For 3 to 100 trials a condition in the first task and 4 to 100
conditions it prints

- task variance, raw, corrected analytically and by split halves: bias and root mean square error
  (both relative to the mean true variance) and coverage of 95 % intervals;
- FTV, raw, corrected (negative variances censored) and shrunken: root mean square error and
  coverage;
- the standard deviation of FTV over units: true, raw, corrected, of shrunken FTVs, and of the
  deconvolved distribution with its 95 % bootstrap interval.

Coverages of task variance are from 2 x 150 estimates: a coverage of 0.95 is measured as 0.92 to
0.97 in 95 % of cells. Prints Markdown and writes ``results/variance_estimators.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.kernels.noise_correction import (
    noisy_variance,
    split_half_variance,
)
from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv, deconvolved_ftv

Array = npt.NDArray[np.float64]
RESULTS = Path(__file__).parent / "results" / "variance_estimators.json"
NOISES = ("poisson", "overdispersed")
TRIALS, CONDITIONS, UNBALANCE = (3, 5, 10, 30, 100), (4, 20, 100), 3
N_BINS, BIN_S, RATE_HZ, FANO = 5, 0.15, 20.0, 2.0
MEDIAN_TOTAL, SPREAD_OF_TOTAL, WIDEST_FTV = 10.0, 0.8, 0.8
FTV, TV, ERROR = "fractional_task_variance", "task_variance", "standard_error"


def tuning(variance: float, n_conditions: int, rng: np.random.Generator) -> Array:
    """Draw rates ``(condition, bin)`` of a given task variance, clipped above 0."""
    pattern = rng.standard_normal((n_conditions, 1)) + 0.5 * rng.standard_normal(
        (n_conditions, N_BINS)
    )
    pattern -= pattern.mean(axis=0)
    pattern *= np.sqrt(variance / pattern.var(axis=0).mean())
    return np.maximum(RATE_HZ + pattern, 0.5)


def spikes(rates: Array, n_trials: int, noise: str, rng: np.random.Generator) -> Array:
    """Draw spike rates of single trials ``(condition, trial, bin)``."""
    expected = np.broadcast_to(rates[:, None] * BIN_S, (len(rates), n_trials, N_BINS))
    if noise == "overdispersed":
        shape = RATE_HZ * BIN_S / (FANO - 1)
        expected = expected * rng.gamma(shape, 1 / shape, size=(len(rates), n_trials, 1))
    return rng.poisson(expected) / BIN_S


def simulate(
    noise: str, n_trials: int, n_conditions: int, *, n_units: int, n_splits: int, seed: int
) -> xr.Dataset:
    """Simulate and measure units in two tasks; ``truth (unit, task)`` is the true variance."""
    rng = np.random.default_rng(seed)
    total = MEDIAN_TOTAL * np.exp(SPREAD_OF_TOTAL * rng.standard_normal(n_units))
    ftv = rng.uniform(-WIDEST_FTV, WIDEST_FTV, n_units)
    target = total[:, None] * np.stack([1 + ftv, 1 - ftv], axis=1) / 2
    columns: dict[str, Array] = {
        name: np.empty((n_units, 2))
        for name in (
            "truth", TV, "uncorrected", "noise", ERROR, "untuned_variance", "variance_slope",
            "split_half", "split_half_error",
        )
    }  # fmt: skip
    for unit, task in np.ndindex(n_units, 2):
        number = n_trials * (UNBALANCE if task else 1)
        rates = tuning(float(target[unit, task]), n_conditions, rng)
        trials = spikes(rates, number, noise, rng).reshape(-1, N_BINS)
        condition = np.repeat(np.arange(n_conditions), number)
        moments = noisy_variance(trials, condition, n_conditions, "per_time")
        half, split_variance = split_half_variance(
            trials, condition, n_conditions, "per_time", n_splits=n_splits, rng=rng
        )
        columns["truth"][unit, task] = rates.var(axis=0).mean()
        columns["uncorrected"][unit, task] = moments.raw
        columns["noise"][unit, task] = moments.noise
        columns[TV][unit, task] = moments.raw - moments.noise
        columns[ERROR][unit, task] = np.sqrt(moments.sampling_variance)
        columns["untuned_variance"][unit, task] = moments.untuned_variance
        columns["variance_slope"][unit, task] = moments.slope
        columns["split_half"][unit, task] = half
        columns["split_half_error"][unit, task] = np.sqrt(
            moments.sampling_variance + split_variance
        )
    return xr.Dataset(
        {name: (("unit", "task"), values) for name, values in columns.items()},
        coords={"unit": [f"u{i}" for i in range(n_units)], "task": ["a", "b"]},
    )


def errors(estimate: Array, truth: Array, error: Array | None, scale: float) -> dict[str, float]:
    """Return bias, root mean square error and coverage over finite estimates."""
    is_finite = np.isfinite(estimate)
    deviation = (estimate - truth)[is_finite]
    result = {
        "bias": deviation.mean() / scale,
        "rmse": float(np.sqrt((deviation**2).mean())) / scale,
    }
    if error is not None:
        covered = np.abs(deviation) <= 1.96 * error[is_finite]
        result["coverage"] = float(covered.mean())
    return {name: round(float(value), 4) for name, value in result.items()}


def evaluate(measured: xr.Dataset, n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Compare the estimates of one simulated population with its truth."""
    truth = measured["truth"].values
    scale = float(truth.mean())
    true_ftv = (truth[:, 0] - truth[:, 1]) / truth.sum(axis=1)
    raw = corrected_ftv(measured.assign({TV: measured["uncorrected"]}), "a", "b")
    corrected = corrected_ftv(measured, "a", "b")
    shrunken = deconvolved_ftv(measured, "a", "b", n_bootstrap=n_bootstrap, seed=seed)
    low, high = (float(shrunken[f"population_sd_{end}"]) for end in ("low", "high"))
    return {
        "noise_share": round(float(measured["noise"].sum() / measured["uncorrected"].sum()), 4),
        "tv": {
            "raw": errors(measured["uncorrected"].values, truth, measured[ERROR].values, scale),
            "analytic": errors(measured[TV].values, truth, measured[ERROR].values, scale),
            "split_half": errors(
                measured["split_half"].values, truth, measured["split_half_error"].values, scale
            ),
        },
        "ftv": {
            "raw": errors(raw[FTV].values, true_ftv, None, 1),
            "corrected": errors(corrected[FTV].values, true_ftv, corrected[ERROR].values, 1),
            "shrunken": errors(
                shrunken[FTV].values, true_ftv, shrunken["standard_deviation"].values, 1
            ),
        },
        "n_censored": corrected.attrs["n_censored"],
        "n_untuned": corrected.attrs["n_untuned"],
        "population_sd": {
            "truth": round(float(true_ftv.std()), 4),
            "raw": round(float(raw[FTV].std()), 4),
            "corrected": round(float(corrected[FTV].std()), 4),
            "shrunken": round(float(shrunken[FTV].std()), 4),
            "deconvolved": round(float(shrunken["population_sd"]), 4),
            "deconvolved_interval": [round(low, 4), round(high, 4)],
        },
    }


def row(cell: dict[str, Any]) -> str:
    """Return a cell of the design as a row of the table."""
    tv, ftv, sd = cell["tv"], cell["ftv"], cell["population_sd"]
    texts = [cell["noise"], cell["n_trials"], cell["n_conditions"], f"{cell['noise_share']:.2f}"]
    texts += [f"{tv[way]['bias']:+.2f}" for way in tv]
    texts += [f"{tv[way]['rmse']:.2f}" for way in tv]
    texts += [f"{tv[way]['coverage']:.2f}" for way in tv]
    texts += [f"{ftv[way]['rmse']:.2f}" for way in ftv]
    texts += [f"{ftv[way]['coverage']:.2f}" for way in ("corrected", "shrunken")]
    texts += [f"{sd[way]:.2f}" for way in ("truth", "raw", "corrected", "shrunken", "deconvolved")]
    texts += ["-".join(f"{end:.2f}" for end in sd["deconvolved_interval"])]
    texts += [f"{cell['n_censored']}, {cell['n_untuned']}"]
    return "| " + " | ".join(map(str, texts)) + " |"


HEADER = (
    """\
Estimators in the order raw / analytic / split-half (TV) and raw / corrected / shrunken (FTV).

| spikes | trials | conditions | noise share | TV bias | | | TV rmse | | | TV coverage | | \
| FTV rmse | | | FTV coverage | | s.d.: true | raw | corrected | shrunken | deconvolved \
| its 95 % interval | censored, untuned |
|"""
    + " --- |" * 25
)


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a few small cells; nothing is written"
    )
    arguments = parser.parse_args()
    n_units, n_splits, n_bootstrap = (20, 20, 20) if arguments.quick else (150, 50, 200)
    trials, conditions = ((3, 10), (4,)) if arguments.quick else (TRIALS, CONDITIONS)
    start, cells = time.perf_counter(), []
    print(HEADER)
    for place, (noise, n_conditions, n_trials) in enumerate(product(NOISES, conditions, trials)):
        seed = 1000 * arguments.seed + place
        measured = simulate(
            noise, n_trials, n_conditions, n_units=n_units, n_splits=n_splits, seed=seed
        )
        cells.append(
            {
                "noise": noise,
                "n_trials": n_trials,
                "n_conditions": n_conditions,
                **evaluate(measured, n_bootstrap, seed),
            }
        )
        print(row(cells[-1]), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s, {n_units} units in each cell")
    if not arguments.quick:
        settings = {"seed": arguments.seed, "n_units": n_units, "n_splits": n_splits}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({**settings, "cells": cells}, indent=1) + "\n")


if __name__ == "__main__":
    main()
