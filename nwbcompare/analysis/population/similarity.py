"""Similarity of the condition means of two populations: test, interval and noise ceiling."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.similarity import LEAST_CONDITIONS, MEASURES, permuted
from nwbcompare.analysis.population.population import (
    LEAVE_OUT,
    bootstrap_weights,
    population_means,
    unit_halves,
)
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.core.activity import Activity, columns_on, tasks_of
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import NotApplicableError, listing
from nwbcompare.kernels.permutation import p_value, reaches

Array = npt.NDArray[np.float64]


def compare_populations(
    model: Activity,
    recording: Activity,
    *,
    tasks: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    measures: Sequence[str] = tuple(MEASURES),
    permute: Literal["all", "within_task"] = "all",
    leave_out: Sequence[str] = LEAVE_OUT,
    n_permutations: int = 1000,
    n_bootstrap: int = 500,
    n_splits: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Compare the condition means of two populations, whatever the correspondence of their units.

    Parameters
    ----------
    model, recording
        Activities or blocks, either of a network or of a recording. Conditions with the same task
        and values of the condition variables correspond. The interval and the noise ceilings are
        computed from ``recording``.
    tasks
        Tasks to compare; by default those that both have.
    conditions
        Trial columns whose combinations are conditions; by default those of the sources.
    measures
        "rsa": Pearson correlation of squared distances, corrected for trial noise. "cka": debiased
        linear centred kernel alignment. "procrustes": angle (rad) after the best rotation, which
        trial noise increases.
    permute
        Which conditions of the recording are exchangeable under the null hypothesis. "all"
        (default): the populations share no structure over conditions. "within_task": they share at
        most differences between tasks, but no structure over the conditions of a task.
    leave_out
        Epochs to leave out; by default fixation.
    n_permutations, n_bootstrap, n_splits
        Permutations of the conditions; bootstraps over the recording's units within sessions;
        random halves of the recording's units (by session) and trials.
    seed
        Seed of all three.

    Returns
    -------
    xarray.Dataset
        By ``measure``: ``value``, its 95 % interval ``low`` and ``high``, ``standard_error``, and
        ``p_value`` (one-sided: more similar than under the null, (1 + b) / (1 + B)); ``distance``,
        whether smaller values mean more similar; ``null (measure, permutation)``; ``ceiling_units``
        and ``ceiling_trials (measure, split)``, the similarity of two halves of the recording;
        ``p_smallest``; ``n_conditions``, ``n_units_model``, ``n_units_recording``.

    Raises
    ------
    InputError
        For an unknown measure or task.
    NotApplicableError
        For sources without a task in common, or with fewer than 4 conditions in common.

    Notes
    -----
    The interval is value +- 1.96 bootstrap standard errors. Bootstrap percentiles are biased, since
    bootstraps repeat units. In simulations (8 conditions, 60 units) 95 % intervals covered 93 %
    (RSA) and 95 % (CKA) of the true values of infinite populations, those of percentiles 76 % and
    88 %. The Procrustes angle, and with it the value that its interval covers, depends on the
    numbers of units and trials. Intervals generalise to other units of the same animal, for fixed
    conditions and a fixed model. The halves have half the units or trials, so that the noise
    ceilings are lower than the similarity that a perfect model could reach.

    8 conditions have 8! = 40320 orders, so that p can reach 1 / (1 + B). The signs of two
    coherences in two tasks, however, form a cube, and a regular geometry is invariant under its 48
    symmetries: p is then at least 0.0012. Within tasks there are 4! x 4! = 576 orders, and p is at
    least 0.002. Levels of coherence (72 conditions) have no such limit.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> found = compare_populations(example_block(), example_block(), n_bootstrap=20)
    >>> found["measure"].values.tolist()
    ['rsa', 'cka', 'procrustes']
    """
    check_known("measures", measures, MEASURES)
    check_known("permute", [permute], ["all", "within_task"])
    shared = _shared_tasks(model, recording, tasks)
    options: dict[str, Any] = {"conditions": conditions, "leave_out": leave_out, "seed": seed}
    model_means = population_means(model, shared, **options)
    recording_means = population_means(recording, shared, n_splits=n_splits, **options)
    model_means, recording_means = _shared_conditions(model_means, recording_means)
    rng = np.random.default_rng(seed)
    orders = _orders(recording_means["task"].values, permute, n_permutations, rng)
    weights = bootstrap_weights(columns_on(recording_means, "unit"), n_bootstrap, rng)
    halves = unit_halves(resampling_units(columns_on(recording_means, "unit"))[0], n_splits, rng)
    parts = [
        _compare(name, model_means, recording_means, orders, weights, halves) for name in measures
    ]
    result = xr.concat(parts, dim=xr.Variable("measure", list(measures)))
    n_conditions = recording_means.sizes["condition"]
    return result.assign(
        # few conditions have few orders, whatever the number of permutations
        p_smallest=max(
            1 / (1 + n_permutations), 1 / _n_orders(recording_means["task"].values, permute)
        ),
        n_conditions=n_conditions,
        n_units_model=model_means.sizes["unit"],
        n_units_recording=recording_means.sizes["unit"],
    ).assign_attrs(
        analysis="compare_populations",
        name=f"{model_means.attrs['name']} and {recording_means.attrs['name']}",
        model=model_means.attrs["name"],
        recording=recording_means.attrs["name"],
        population=recording_means.attrs["population"],
        tasks=json.dumps(shared),
        conditions=recording_means.attrs["conditions"],
        leave_out=recording_means.attrs["leave_out"],
        permute=permute,
        interval="95 %, bootstrap standard error over units within sessions",
        n_permutations=n_permutations,
        n_bootstrap=n_bootstrap,
        n_splits=n_splits,
        seed=seed,
    )


def _shared_tasks(model: Activity, recording: Activity, tasks: Sequence[str] | None) -> list[str]:
    by_side = [tasks_of(side) for side in (model, recording)]
    shared = [task for task in by_side[0] if task in by_side[1]]
    check_known("tasks", tasks or (), shared)
    if not shared:
        raise NotApplicableError(
            "model and recording",
            "at least one task that both have",
            f"{listing(by_side[0])} against {listing(by_side[1])}",
            "Record the model on the recording's tasks, e.g. with nwbcompare.record_matched.",
        )
    return list(shared if tasks is None else tasks)


def _shared_conditions(a: xr.Dataset, b: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Keep the conditions that two populations have in common, in the same order.

    Parameters
    ----------
    a, b
        From `nwbcompare.population.population_means`.

    Raises
    ------
    NotApplicableError
        For fewer than 4 conditions in common.
    """
    names = [list(map(str, side["condition"].values)) for side in (a, b)]
    shared = [name for name in names[0] if name in set(names[1])]
    if len(shared) < LEAST_CONDITIONS:
        raise NotApplicableError(
            "conditions",
            f"{LEAST_CONDITIONS} or more that both sides have",
            f"{len(shared)}, of {listing(names[0], most=2)} against {listing(names[1], most=2)}",
            "Name columns that both have with conditions=[...].",
        )
    left, right = ([side.index(name) for name in shared] for side in names)
    return a.isel(condition=left), b.isel(condition=right)


def _orders(
    task: npt.NDArray[Any], permute: str, n: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    orders = np.tile(np.arange(task.size), (n, 1))
    for rows in _exchangeable(task, permute):
        orders[:, rows] = rng.permuted(orders[:, rows], axis=1)
    return orders


def _exchangeable(task: npt.NDArray[Any], permute: str) -> list[npt.NDArray[np.int64]]:
    if permute == "all":
        return [np.arange(task.size)]
    return [np.flatnonzero(task == name) for name in np.unique(task)]


def _n_orders(task: npt.NDArray[Any], permute: str) -> float:
    return float(math.prod(math.factorial(rows.size) for rows in _exchangeable(task, permute)))


def _compare(
    name: str,
    model_means: xr.Dataset,
    recording_means: xr.Dataset,
    orders: npt.NDArray[np.int64],
    weights: Array,
    halves: npt.NDArray[np.bool_],
) -> xr.Dataset:
    describe, compare, square, distance = MEASURES[name]
    x, noise = recording_means["rate_mean"].values, recording_means["mean_variance"].values
    every = np.ones(x.shape[1])
    # once, since permutations and bootstraps concern the recording alone
    of_model = describe(
        model_means["rate_mean"].values,
        model_means["mean_variance"].values,
        np.ones(model_means.sizes["unit"]),
    )
    of_recording = describe(x, noise, every)
    value = compare(of_model, of_recording)
    null = np.array([compare(of_model, permuted(of_recording, o, square=square)) for o in orders])
    boot = np.array([compare(of_model, describe(x, noise, weight)) for weight in weights])
    error = float(boot.std(ddof=1)) if boot.size > 1 else np.nan
    # small distances are extreme
    sign = -1 if distance else 1
    by_units = [
        compare(*(describe(x, noise, side.astype(np.float64)) for side in (half, ~half)))
        for half in halves
    ]
    first, second = _half_noise(recording_means)
    by_trials = [
        compare(describe(half[0], first, every), describe(half[1], second, every))
        for half in recording_means["half_mean"].values
    ]
    least, most = (0.0, np.pi / 2) if distance else (-1.0, 1.0)
    return xr.Dataset(
        {
            "value": value,
            # not percentiles, which are biased: bootstraps repeat units
            "low": np.clip(value - 1.96 * error, least, most),
            "high": np.clip(value + 1.96 * error, least, most),
            "standard_error": error,
            "p_value": p_value(reaches(sign * null, sign * value)),
            "distance": distance,
            "null": ("permutation", null),
            "ceiling_units": ("split", by_units),
            "ceiling_trials": ("split", by_trials),
        }
    )


def _half_noise(means: xr.Dataset) -> tuple[Array, Array]:
    """Return the squared standard errors of the means over the halves of the trials."""
    n = means["n_trials"].values
    # of one trial; a half has about half of the trials to average it
    noise = means["mean_variance"].values * n
    first = noise / ((n + 1) // 2)
    # a single trial, which only a deterministic source may have, is noise-free in both halves
    return first, noise / np.maximum(n // 2, 1)
