"""Coverage of the weighted spread of FTV for simulated units, over truths, dependence and noise.

A data set has 181 units in the sessions of monkey A of Mante et al. (2013), with four conditions
in each of two tasks. Strength (the sum of a unit's true variances in both tasks) is log-normal,
s.d. 0.8 of its logarithm, with the median at which trial noise is the stated share of the raw
variance. FTV has the stated s.d. over units (0 to 0.6) and one mode (a symmetric beta
distribution) or two (at -0.9 and 0.9 s.d.); the rank of its absolute value is independent of that
of strength or rises or falls with it (Gaussian copula, r = 0.6). Spikes are Poisson in five bins of
0.15 s, or over-dispersed (gamma gain of a trial, shared by its bins, Fano factor 2), in 20 trials
of each condition, or in the numbers of trials that monkey A's units have (15 to 371).

The truth of an estimate is the spread of FTV in the infinite population with the estimate's own
expected weights: ``E[w S^2 FTV^2] / E[w S^2]`` less the squared mean, over 100,000 units, w
from simulated trials. Units are drawn anew in each data set, so intervals have to hold the
population's value, not that of the units at hand.

Single trials are simulated for 61 levels of true variance, many times each; data sets draw from
these. Prints a table with a row for each noise, numbers of trials and share: for each of the three
weights, lowest, highest and mean coverage of the 95 % interval over the 30 cells with an s.d. above
0, mean width, and the largest share of data sets in which nothing is identified (their interval
is 0 to 1); for the capped weights also the share of data sets with s.d. 0 that the one-sided test
at 5 % rejects. Then the cells outside .90 to .98. Writes ``results/ftv_spread.json``. A coverage
of 0.95 is measured as 0.92 to 0.98 in 95 % of cells of 200; since data sets draw from the same
simulated units, rates of rejection are known to about 0.02 (0.03 with the recorded trials).
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_spread import LEAST_STRENGTH
from nwbcompare.analysis.selectivity.kernels.ftv_spread import (
    capped_weights,
    equal_weights,
    unbiased_squares,
    weighted_spread,
)
from nwbcompare.analysis.selectivity.kernels.sampling_variance import Sums, from_sums
from nwbcompare.analysis.selectivity.task_variance import means_by_task

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
RESULTS = Path(__file__).parent / "results" / "ftv_spread.json"
N_CONDITIONS, N_BINS, BIN_S, RATE_HZ, FANO = 4, 5, 0.15, 20.0, 2.0
SPREAD_OF_STRENGTH, DEPENDENCE = 0.8, 0.6
SDS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6)
SHARES = (0.1, 0.3, 0.5, 0.6)
WEIGHTS = ("capped", "strength", "equal")
FOLDS = {"capped": 4, "strength": 1, "equal": 2}
LEVELS = np.concatenate([[0.0], np.geomspace(0.01, 300, 60)])
"""True variances, as multiples of the noise of a median unit without tuning."""

DRAWS_AT_ONCE = 100


class Measured(NamedTuple):
    """Measures of simulated units in one task, the last axis: folds."""

    value: Array
    sampling_variance: Array
    held_out: Array
    held_out_noise: Array
    held_out_error: Array


def rates_of(variance: Array, rng: np.random.Generator) -> Array:
    """Draw rates ``(unit, condition, bin)`` of given task variances."""
    size = (variance.size, N_CONDITIONS)
    pattern = rng.standard_normal((*size, 1)) + 0.5 * rng.standard_normal((*size, N_BINS))
    pattern -= pattern.mean(axis=1, keepdims=True)
    scale = np.sqrt(variance / pattern.var(axis=1).mean(axis=1))
    pattern *= scale[:, None, None]
    # strongly tuned units need higher rates, since rates are not negative
    base = np.maximum(RATE_HZ, -1.1 * pattern.min(axis=(1, 2)))
    return base[:, None, None] + pattern


def trials_of(rates: Array, most: int, noise: str, rng: np.random.Generator) -> Array:
    """Draw spike rates of single trials ``(unit, condition, trial, bin)``."""
    expected = np.repeat(rates[:, :, None] * BIN_S, most, axis=2)
    if noise == "overdispersed":
        shape = RATE_HZ * BIN_S / (FANO - 1)
        expected *= rng.gamma(shape, 1 / shape, size=(*expected.shape[:3], 1))
    return rng.poisson(expected) / BIN_S


def corrected(trials: Array, counted: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array, Array]:
    """Compute corrected variance, its sampling variance, noise and error: `noisy_variance` of many.

    Parameters
    ----------
    trials
        ``(unit, condition, trial, bin)``.
    counted
        ``(condition, trial)``: the trials in use.
    """
    number = counted.sum(axis=1).astype(float)
    size = N_CONDITIONS * N_BINS
    used = counted[None, :, :, None]
    centre = (trials * used).sum(axis=(1, 2, 3), keepdims=True) / (number.sum() * N_BINS)
    rates = (trials - centre) * used
    total = rates.sum(axis=2)
    mean = total / number[:, None]
    residual = (rates - mean[:, :, None]) * used
    of_mean = (residual**2).sum(axis=2) / (number * (number - 1))[:, None]
    noise = (1 - 1 / N_CONDITIONS) * of_mean.mean(axis=(1, 2))
    value = mean.var(axis=1).mean(axis=1) - noise
    form = (np.eye(N_CONDITIONS) - 1 / N_CONDITIONS) / size
    own = np.diag(form)[:, None] * (rates**2).sum(axis=3)
    with_condition = np.matmul(rates, total.transpose(0, 2, 1)[:, None]) * form[:, None]
    which = np.arange(N_CONDITIONS)
    with_condition[:, which, :, which] -= own.transpose(1, 0, 2)
    moments = np.matmul(rates.swapaxes(2, 3), rates)
    flat = moments.reshape(len(rates), N_CONDITIONS, -1)
    squares = form**2 * np.matmul(flat, flat.swapaxes(1, 2))
    squares[:, which, which] -= (own**2).sum(axis=2)
    sums = Sums(
        with_condition.sum(axis=2),
        np.matmul(with_condition.swapaxes(2, 3), with_condition),
        squares,
    )
    sampling = from_sums(sums, number) if number.min() >= 4 else np.full(len(value), np.nan)
    return value, sampling, noise, _untuned_error(residual, number, form)


def _untuned_error(residual: Array, number: Array, form: Array) -> Array:
    """Return the standard error that the variance would have without tuning."""
    root = residual / np.sqrt(number * (number - 1))[:, None, None]
    covariance = np.matmul(root.swapaxes(2, 3), root)
    trace = np.trace(covariance, axis1=2, axis2=3)
    flat = covariance.reshape(len(root), N_CONDITIONS, -1)
    squares = np.matmul(flat, flat.swapaxes(1, 2))
    which, freedom = np.arange(N_CONDITIONS), number - 1
    nu = np.maximum(freedom, 2)
    own = nu**2 / ((nu - 1) * (nu + 2)) * (squares[:, which, which] - trace**2 / nu)
    squares[:, which, which] = np.maximum(own * (1 + 1 / freedom), 0)
    error: Array = np.sqrt(2 * (form**2 * squares).sum(axis=(1, 2)))
    return error


def measured(trials: Array, number: Integers, n_folds: int) -> Measured:
    """Measure units in each fold, as `cross_validated_variance` does; one fold is all trials."""
    place = np.arange(trials.shape[2])
    there = place < number[:, None]
    if n_folds == 1:
        value, sampling, noise, error = corrected(trials, there)
        return Measured(*(kind[:, None] for kind in (value, sampling, value, noise, error)))
    rows = []
    for fold in range(n_folds):
        inside = place % n_folds == fold
        value, sampling, _, _ = corrected(trials[:, :, ~inside], there[:, ~inside])
        held_out, _, noise, error = corrected(trials[:, :, inside], there[:, inside])
        rows.append((value, sampling, held_out, noise, error))
    return Measured(*(np.stack(kind, axis=-1) for kind in zip(*rows, strict=True)))


class Bank:
    """Measures of simulated units by level of true variance, from which data sets draw."""

    def __init__(
        self, noise: str, numbers: Integers, n_draws: int, rng: np.random.Generator
    ) -> None:
        """Simulate ``n_draws`` units of each level for each row of ``numbers (row, condition)``."""
        gain = 2.0 if noise == "overdispersed" else 1.0
        of_rows = RATE_HZ / BIN_S * (1 / numbers).mean(axis=1)
        self.unit_noise = float(np.median(of_rows)) * (1 - 1 / N_CONDITIONS) * gain
        self.levels = LEVELS * self.unit_noise
        self.n_draws = n_draws
        self.table = {
            weights: np.empty((len(numbers), 5, LEVELS.size, n_draws, FOLDS[weights]))
            for weights in WEIGHTS
        }
        for place, number in enumerate(numbers):
            for start in range(0, n_draws, DRAWS_AT_ONCE):
                self._simulate(noise, place, number, start, rng)

    def _simulate(
        self, noise: str, place: int, number: Integers, start: int, rng: np.random.Generator
    ) -> None:
        stop = min(start + DRAWS_AT_ONCE, self.n_draws)
        rates = rates_of(np.repeat(self.levels, stop - start), rng)
        trials = trials_of(rates, int(number.max()), noise, rng)
        for weights, table in self.table.items():
            found = np.stack(measured(trials, number, FOLDS[weights]))
            table[place, :, :, start:stop] = found.reshape(5, LEVELS.size, stop - start, -1)

    def level_of(self, variance: Array) -> Integers:
        """Return the nearest level of true variances."""
        steps = np.log(self.levels[1:])
        with np.errstate(divide="ignore"):
            place = np.rint((np.log(variance) - steps[0]) / (steps[1] - steps[0]))
        return np.where(place < 0, 0, np.minimum(place, steps.size - 1) + 1).astype(np.int64)

    def draw(self, weights: str, row: Integers, level: Integers, rng: np.random.Generator) -> Array:
        """Draw measures ``(kind, fold, unit)`` of units."""
        drawn = self.table[weights][row, :, level, rng.integers(self.n_draws, size=level.size)]
        return drawn.transpose(1, 2, 0)


def population(
    sd: float, modes: int, dependence: str, n_units: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw FTV, and the standard normal deviate of log strength, of units."""
    deviate = rng.standard_normal(n_units)
    if sd == 0:
        return np.zeros(n_units), deviate
    if modes == 1:
        shape = (1 / sd**2 - 1) / 2
        ftv = 2 * rng.beta(shape, shape, n_units) - 1
    else:
        half_width = np.sqrt(3 * (1 - 0.9**2)) * sd
        ftv = 0.9 * sd * rng.choice([-1, 1], n_units)
        ftv += half_width * rng.uniform(-1, 1, n_units)
    if dependence == "independent":
        return ftv, deviate
    r = DEPENDENCE if dependence == "rising" else -DEPENDENCE
    rank = np.argsort(np.argsort(r * deviate + np.sqrt(1 - r**2) * rng.standard_normal(n_units)))
    return ftv[np.argsort(np.abs(ftv))][rank], deviate


def weighted(weights: str, drawn: Array) -> Array:
    """Return the weights ``(fold, unit)`` of measures ``(kind, fold, unit, task)``."""
    if weights == "capped":
        return capped_weights(drawn[2], drawn[3])
    if weights == "equal":
        return equal_weights(drawn[2], drawn[4], LEAST_STRENGTH)
    return np.ones(drawn.shape[1:3])


def cell(
    bank: Bank,
    rows: Integers,
    session: Integers,
    share: float,
    truth: tuple[float, int, str],
    *,
    n_datasets: int,
    n_population: int,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Estimate the spread in data sets of one cell of the design, for all weights."""
    median = 2 * bank.unit_noise * (1 - share) / share
    n_units = len(rows)

    def levels(n_sets: int) -> tuple[Integers, Integers]:
        ftv, deviate = population(*truth, n_sets * n_units, rng)
        strength = median * np.exp(SPREAD_OF_STRENGTH * deviate)
        return bank.level_of(strength * (1 + ftv) / 2), bank.level_of(strength * (1 - ftv) / 2)

    results = []
    many, several = levels(-(-n_population // n_units)), levels(n_datasets)
    for weights in WEIGHTS:
        a, b = (bank.levels[level] for level in many)
        drawn = _both(bank, weights, rows, many, rng)
        importance = weighted(weights, drawn).mean(axis=0) * (a + b) ** 2
        ftv = (a - b) / np.where(a + b > 0, a + b, 1)
        mean = np.average(ftv, weights=importance)
        true_sd = float(np.sqrt(np.average((ftv - mean) ** 2, weights=importance)))
        drawn = _both(bank, weights, rows, several, rng)
        squares = unbiased_squares(drawn[0], drawn[1], weighted(weights, drawn))
        parts = np.stack(squares).reshape(3, n_datasets, n_units)
        found = [weighted_spread(type(squares)(*part), session) for part in parts.swapaxes(0, 1)]
        sd, low, high, p = np.array([(f.sd, f.sd_low, f.sd_high, f.p_value) for f in found]).T
        known = np.isfinite(sd)
        # without an estimate the interval is everything
        low, high = np.where(known, low, 0), np.where(known, high, 1)
        results.append(
            {
                "weights": weights,
                "truth": round(true_sd, 4),
                "median": round(float(np.nanmedian(sd)), 4) if known.any() else None,
                "coverage": float(((low <= true_sd + 1e-9) & (high >= true_sd - 1e-9)).mean()),
                "width": round(float((high - low).mean()), 4),
                "rejected": float((p < 0.05).mean()),
                "not_identified": float((~known).mean()),
                "n_effective": round(float(np.median([f.n_effective for f in found])), 1),
            }
        )
    return results


def _both(
    bank: Bank,
    weights: str,
    rows: Integers,
    levels: tuple[Integers, Integers],
    rng: np.random.Generator,
) -> Array:
    """Draw measures ``(kind, fold, unit, task)`` of units in both tasks."""
    repeats = len(levels[0]) // len(rows)
    parts = [
        bank.draw(weights, np.tile(rows[:, task], repeats), level, rng)
        for task, level in enumerate(levels)
    ]
    return np.stack(parts, axis=-1)


def recorded_trials() -> tuple[Integers, Integers]:
    """Return monkey A's numbers of trials ``(unit, task, condition)``, and each unit's session."""
    recording = nc.load("mante2013", animal="ar")
    counts = []
    for _, means, bins in means_by_task(
        recording, conditions=None, epochs=None, leave_out=["fix1"]
    ):
        counts.append(means["n_trials"].values[:, :, bins][:, :, 0])
        session = np.unique(means["session"].values, return_inverse=True)[1]
    return np.stack(counts, axis=1).astype(np.int64), session.astype(np.int64)


def row(cells: list[dict[str, Any]]) -> str:
    """Return the cells of one noise, numbers of trials and share as a row of the table."""
    texts = [cells[0][name] for name in ("noise", "trials", "share")]
    for weights in WEIGHTS:
        mine = [one for one in cells if one["weights"] == weights]
        covered = [one["coverage"] for one in mine if one["sd"] > 0]
        texts.append(f"{min(covered):.3f}-{max(covered):.3f}, {np.mean(covered):.3f}")
        width = f"{np.mean([one['width'] for one in mine]):.2f}"
        unknown = max(one["not_identified"] for one in mine)
        null = next(one["rejected"] for one in mine if one["sd"] == 0)
        texts += (
            [width, f"{unknown:.3f}", f"{null:.3f}"]
            if weights == "capped"
            else [f"{width}; {unknown:.2f}"]
        )
    return "| " + " | ".join(map(str, texts)) + " |"


def outside(cells: list[dict[str, Any]]) -> str:
    """Return the cells whose coverage is not .90 to .98, a line each."""
    names = ("weights", "noise", "trials", "share", "sd", "modes", "dependence", "coverage")
    failing = [one for one in cells if one["sd"] > 0 and not 0.9 <= one["coverage"] <= 0.98]
    lines = [", ".join(str(one[name]) for name in names) for one in failing]
    return "\n".join([f"Outside .90 to .98 ({', '.join(names)}):", *lines])


HEADER = (
    "| spikes | trials | share | capped: coverage, mean | width | not identified | s.d. 0 rejected "
    "| strength: coverage, mean | width; not identified | equal: coverage, mean "
    "| width; not identified |\n|" + " --- |" * 11
)


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--null-datasets", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="few cells; nothing is written")
    arguments = parser.parse_args()
    start = time.perf_counter()
    counts, session = recorded_trials()
    sds = (0.0, 0.3) if arguments.quick else SDS
    n_population = 20_000 if arguments.quick else 100_000
    truths = [(0.0, 1, "independent")]
    truths += list(product(sds[1:], (1, 2), ("independent", "rising", "falling")))
    cells = []
    print(HEADER)
    for place, (noise, trials) in enumerate(
        product(("poisson", "overdispersed"), ("20", "recorded"))
    ):
        rng = np.random.default_rng([arguments.seed, place])
        if trials == "20":
            numbers, rows = np.full((1, N_CONDITIONS), 20), np.zeros((len(counts), 2), dtype=int)
            n_draws = 200 if arguments.quick else 2000
        else:
            numbers, rows = counts.reshape(-1, N_CONDITIONS), np.arange(counts[..., 0].size)
            rows, n_draws = rows.reshape(-1, 2), 1 if arguments.quick else 2
        bank = Bank(noise, numbers, n_draws, rng)
        for share in SHARES:
            mine: list[dict[str, Any]] = []
            for truth in truths:
                number = arguments.datasets if truth[0] else arguments.null_datasets
                about = dict(zip(("sd", "modes", "dependence"), truth, strict=True))
                about |= {"noise": noise, "trials": trials, "share": share}
                found = cell(
                    bank, rows, session, share, truth,
                    n_datasets=number, n_population=n_population, rng=rng,
                )  # fmt: skip
                mine += [about | one for one in found]
            print(row(mine), flush=True)
            cells += mine
            if not arguments.quick:
                settings = {name: vars(arguments)[name] for name in ("seed", "datasets")}
                settings["null_datasets"] = arguments.null_datasets
                RESULTS.write_text(json.dumps({**settings, "cells": cells}, indent=1) + "\n")
    print(f"\n{outside(cells)}\n\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
