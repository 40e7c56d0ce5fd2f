"""Similarity of the condition means of two populations: value, interval and noise ceiling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.similarity import LEAST_CONDITIONS, MEASURES
from nwbcompare.analysis.population.population import (
    LEAVE_OUT,
    population_means,
    unit_halves,
)
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.core.activity import Activity, columns_on, tasks_of
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.intervals import jackknife_error, student_half_width

Array = npt.NDArray[np.float64]


def compare_populations(
    model: Activity,
    recording: Activity,
    *,
    tasks: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    measures: Sequence[str] = tuple(MEASURES),
    leave_out: Sequence[str] = LEAVE_OUT,
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
    leave_out
        Epochs to leave out; by default fixation.
    n_splits
        Random halves of the recording's units (by session) and trials.
    seed
        Seed of the halves.

    Returns
    -------
    xarray.Dataset
        By ``measure``: ``value``; its 95 % interval ``low`` and ``high`` and ``standard_error``,
        NaN for fewer than 5 sessions; ``distance``, whether smaller values mean more similar;
        ``ceiling_units`` and ``ceiling_trials (measure, split)``, the similarity of two halves of
        the recording; ``n_conditions``, ``n_units_model``, ``n_units_recording``, ``n_sessions``
        (units where sessions are not known).

    Raises
    ------
    InputError
        For an unknown measure or task.
    NotApplicableError
        For sources without a task in common, or with fewer than 4 conditions in common.

    Warns
    -----
    UnitWarning
        For a source whose condition means do not vary: its similarity is NaN.

    Notes
    -----
    There is no p value. Permuted conditions answer whether two populations share anything, which
    any two that encode a choice do; see `partial_similarity` for a test of what training adds.

    The interval is Student's with a jackknife over whole sessions, for these conditions and this
    model: it generalises to other units of the same animal. The Procrustes angle, and with it the
    value that its interval covers, depends on the numbers of units and trials. The halves have
    half the units or trials, so that the noise ceilings are lower than the similarity that a
    perfect model could reach.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> found = compare_populations(example_block(), example_block())
    >>> found["measure"].values.tolist()
    ['rsa', 'cka', 'procrustes']
    """
    shared = _shared_tasks(model, recording, tasks)
    options: dict[str, Any] = {"conditions": conditions, "leave_out": leave_out, "seed": seed}
    return compare_means(
        population_means(model, shared, n_splits=0, **options),
        population_means(recording, shared, n_splits=n_splits, **options),
        measures=measures,
    )


def compare_means(
    model_means: xr.Dataset,
    recording_means: xr.Dataset,
    *,
    measures: Sequence[str] = tuple(MEASURES),
) -> xr.Dataset:
    """Compare the condition means of two populations, computed before.

    Parameters
    ----------
    model_means, recording_means
        From `nwbcompare.population.population_means`, of the same tasks; the recording's with
        halves of the trials, of which as many halves of the units are drawn.
    measures
        See `compare_populations`.

    Returns
    -------
    xarray.Dataset
        As `compare_populations`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> means = population_means(example_block())
    >>> compare_means(means, means).sizes["split"]
    1
    """
    check_known("measures", measures, MEASURES)
    n_splits, seed = recording_means.sizes["split"], recording_means.attrs["seed"]
    model_means, recording_means = _shared_conditions(model_means, recording_means)
    clusters, column = resampling_units(columns_on(recording_means, "unit"))
    halves = unit_halves(clusters, n_splits, np.random.default_rng(seed))
    parts = [_compare(name, model_means, recording_means, clusters, halves) for name in measures]
    result = xr.concat(parts, dim=xr.Variable("measure", list(measures)))
    for side in (model_means, recording_means):
        _warn_of_constant(side)
    return result.assign(
        n_conditions=recording_means.sizes["condition"],
        n_units_model=model_means.sizes["unit"],
        n_units_recording=recording_means.sizes["unit"],
        n_sessions=int(clusters.max()) + 1,
    ).assign_attrs(
        analysis="compare_populations",
        name=f"{model_means.attrs['name']} and {recording_means.attrs['name']}",
        model=model_means.attrs["name"],
        recording=recording_means.attrs["name"],
        population=recording_means.attrs["population"],
        tasks=recording_means.attrs["tasks"],
        conditions=recording_means.attrs["conditions"],
        leave_out=recording_means.attrs["leave_out"],
        interval=f"95 %, Student's t, jackknife over each {column}",
        n_splits=n_splits,
        seed=seed,
    )


def _warn_of_constant(means: xr.Dataset) -> None:
    x = means["rate_mean"].values
    # rounding of equal rates is no variation
    if np.ptp(x, axis=0).max() <= 1e-9 * np.abs(x).max():
        warnings.warn(
            f"{means.attrs['name']}: no unit's mean rate differs between the "
            f"{means.sizes['condition']} conditions; the similarity of a constant pattern is NaN. "
            "Leave this source out",
            UnitWarning,
            stacklevel=3,
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


def _compare(
    name: str,
    model_means: xr.Dataset,
    recording_means: xr.Dataset,
    clusters: npt.NDArray[np.int64],
    halves: npt.NDArray[np.bool_],
) -> xr.Dataset:
    describe, compare, distance = MEASURES[name]
    x, noise = recording_means["rate_mean"].values, recording_means["mean_variance"].values
    every = np.ones(x.shape[1])
    # once, since sessions of the recording alone are left out
    of_model = describe(
        model_means["rate_mean"].values,
        model_means["mean_variance"].values,
        np.ones(model_means.sizes["unit"]),
    )
    value = compare(of_model, describe(x, noise, every))
    n = int(clusters.max()) + 1
    without = [
        compare(of_model, describe(x, noise, (clusters != one).astype(np.float64)))
        for one in range(n if n > 1 else 0)
    ]
    error = jackknife_error(without)
    half_width = student_half_width(error, n - 1)
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
            "low": np.clip(value - half_width, least, most),
            "high": np.clip(value + half_width, least, most),
            "standard_error": error,
            "distance": distance,
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
