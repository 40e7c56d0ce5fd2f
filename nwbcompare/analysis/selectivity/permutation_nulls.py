"""Task variance with condition labels permuted, and the FTV of rotated units."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.history_variables import refuse_history
from nwbcompare.analysis.selectivity.kernels.rotation import (
    TOLERANCE,
    factorise,
    mixed_variances,
)
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    Estimator,
    counted_bins,
    means_by_task,
)
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    condition_variables_of,
    is_ragged,
    unit_positions,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import (
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.kernels.permutation import (
    Alike,
    cells_alike,
    label_means,
    random_rotation,
    shuffled,
    unshuffled,
)
from nwbcompare.kernels.threads import one_thread
from nwbcompare.kernels.variance import ESTIMATORS, centred, fractional_variance

Array = npt.NDArray[np.float64]
PERMUTATIONS_AT_ONCE = 256
VALUES_AT_ONCE = 8_000_000
"""Means held at a time by one thread (64 MB)."""


def _warn_of_lacking(block: xr.Dataset, variance: Array, where: str) -> None:
    lacking = np.isnan(variance)
    if lacking.any():
        warnings.warn(
            f"{int(lacking.sum())} units lack a condition of {where} and get NaN: "
            f"{listing(block['unit'].values[lacking], most=5)}",
            UnitWarning,
            stacklevel=3,
        )


def condition_label_null(
    activity: Activity,
    *,
    n_permutations: int = 200,
    seed: int = 0,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    n_jobs: int | None = None,
) -> xr.Dataset:
    """Compute task variance for condition labels permuted within each task: its noise floor.

    Null hypothesis: the unit responds alike in all conditions of a task. The variance of condition
    means is then due to trial noise alone.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials.
    n_permutations, seed
        Permutations and their seed.
    estimator, conditions
        See `nwbcompare.task_variance`.
    n_jobs
        Threads; by default one per core. The result does not depend on it.

    Returns
    -------
    xarray.Dataset
        ``task_variance (permutation, unit, task)``, NaN for a unit that lacks a condition; the
        columns of the unit table.

    Raises
    ------
    InputError
        For no permutation.
    NotApplicableError
        For a deterministic source: without noise there is no floor; and for conditions that are
        defined by earlier trials (`nwbcompare.analysis.selectivity.history_variables`).

    Warns
    -----
    UnitWarning
        For units that lack a condition.

    Notes
    -----
    Permuted trials include the differences between conditions: the floor of a tuned unit is
    slightly above the noise in its condition means. Every unit has its own permutations.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> floor = condition_label_null(example_block(), n_permutations=19)
    >>> dict(floor["task_variance"].sizes)
    {'permutation': 19, 'unit': 3, 'task': 1}
    """
    parts = []
    root = np.random.SeedSequence(seed)
    for block in blocks(activity).values():
        _refuse_deterministic(block)
        table, condition = condition_table(block, conditions)
        variables = condition_variables_of(block)
        for task in dict.fromkeys(map(str, table["task"].values)):
            refuse_history(block, [task], variables[task] if conditions is None else conditions)
            members = np.flatnonzero(table["task"].values == task)
            label = np.where(np.isin(condition, members), condition - members[0], -1)
            variance, observed = _shuffled_variances(
                block.isel(time=counted_bins(block, task)),
                _Design(label, members.size),
                n_permutations,
                root.spawn(1)[0],
                estimator,
                n_jobs,
            )
            _warn_of_lacking(block, observed[0], f"task {task!r}")
            parts.append(
                xr.Dataset(
                    {"task_variance": (("permutation", "unit"), variance)},
                    coords={**columns_on(block, "unit"), "task": task},
                )
            )
    result = xr.concat(parts, dim="task", coords="minimal", compat="override")
    first = next(iter(blocks(activity).values()))
    return result.transpose("permutation", "unit", "task").assign_attrs(
        analysis="condition_label_null",
        estimator=estimator,
        conditions=json.dumps(None if conditions is None else list(conditions)),
        seed=seed,
        n_permutations=n_permutations,
        name=first.attrs["name"],
        source=first.attrs["source"],
    )


def rotation_control(
    activity: Activity,
    task_a: str,
    task_b: str,
    *,
    n_rotations: int = 20,
    seed: int = 0,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    within: str | None = None,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Compute the FTV of random mixtures (rotations) of the units.

    Parameters
    ----------
    activity
        An activity or a block. Of a ragged recording the condition means are used, as a
        pseudo-population.
    task_a, task_b
        The two tasks, which are rotated by the same matrix.
    n_rotations, seed
        Random rotations and their seed.
    estimator, conditions, threshold
        See `nwbcompare.task_variance` and `nwbcompare.fractional_task_variance`; the threshold is
        applied to the rotated units, too.
    within
        A column of the unit table: units are mixed only with units that share its value.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (rotation, unit)``; NaN where a rotated unit is inactive.

    Raises
    ------
    InputError
        For an unknown task or column.
    NotApplicableError
        For units that lack a condition.

    Notes
    -----
    Each estimator is a quadratic form, so that the variance of a rotated unit needs only the
    covariance of the units over conditions, averaged over time
    (`nwbcompare.kernels.variance.centred`). This is a description, not a test: see
    `nwbcompare.selectivity.rotated_pairs`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(task=("trial", ["a"] * 4 + ["b"] * 4))
    >>> block.attrs["condition_variables"] = '{"a": ["correct"], "b": ["correct"]}'
    >>> rotation_control(block, "a", "b", n_rotations=2)["fractional_task_variance"].shape
    (2, 3)
    """
    covariance, units = task_covariances(
        activity, (task_a, task_b), estimator=estimator, conditions=conditions
    )
    fractions = _rotate(covariance, _unit_groups(units, within), n_rotations, seed, threshold)
    return xr.Dataset(
        {"fractional_task_variance": (("rotation", "unit"), fractions)},
        coords={"unit": units["unit"]},
        attrs={
            "analysis": "rotation_control",
            "task_a": task_a,
            "task_b": task_b,
            "estimator": estimator,
            "seed": seed,
            "n_rotations": n_rotations,
            "within": within or "",
            "threshold": threshold,
        },
    )


def task_covariances(
    activity: Activity,
    tasks: Sequence[str] | None,
    *,
    estimator: Estimator,
    conditions: Sequence[str] | None,
) -> tuple[dict[str, Array], dict[str, xr.DataArray]]:
    """Compute the units' covariance over the conditions of each task.

    Parameters
    ----------
    activity
        An activity or a block whose units all have every condition.
    tasks
        The tasks, in this order; by default all.
    estimator, conditions
        See `nwbcompare.task_variance`.

    Returns
    -------
    covariance : dict of numpy.ndarray
        By task, ``(unit, unit)``: the variance that ``estimator`` gives to a mixture ``r`` of the
        units is ``r @ covariance @ r``.
    units : dict of xarray.DataArray
        The columns of the unit table.

    Raises
    ------
    InputError
        For an unknown estimator or task.
    NotApplicableError
        For units that lack a condition.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> covariance, _ = task_covariances(
    ...     example_block(), None, estimator="per_time", conditions=None)
    >>> covariance["go"].shape
    (3, 3)
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)
    covariance = {}
    units: dict[str, xr.DataArray] = {}
    for task, means, bins in means_by_task(activity, conditions=conditions):
        if tasks is not None and task not in tasks:
            continue
        sample = centred(_complete_rates(means, bins), estimator)
        covariance[task] = sample @ sample.T
        units = columns_on(means, "unit")
        # the means of one task of a network take 100 MB: free them before the next task
        del means, sample
    if tasks is None:
        return covariance, units
    for task in tasks:
        if task not in covariance:
            raise unknown_name("task", task, covariance)
    return {task: covariance[task] for task in tasks}, units


def _complete_rates(means: xr.Dataset, bins: npt.NDArray[np.bool_]) -> Array:
    rates: Array = means["rate_mean"].values[:, :, bins]
    lacking = ~np.isfinite(rates).all(axis=(1, 2))
    if lacking.any():
        raise NotApplicableError(
            "activity",
            "units that have every condition",
            "units that lack one: " + listing(means["unit"].values[lacking], most=5),
            "Leave them out with nwbcompare.select(activity, units=...).",
        )
    return rates


def _rotate(
    covariance: dict[str, Array],
    groups: list[npt.NDArray[np.int64]],
    n_rotations: int,
    seed: int,
    threshold: float,
) -> Array:
    rng = np.random.default_rng(seed)
    factors = []
    for group in groups:
        covariances = np.stack([c[np.ix_(group, group)] for c in covariance.values()])
        basis = _joint_basis(covariances)
        factors.append((basis.shape[1], factorise(basis.T @ covariances @ basis)))
    fractions = np.empty((n_rotations, sum(len(group) for group in groups)))
    # the products are too small to gain from several threads
    with one_thread():
        for place in range(n_rotations):
            for group, (rank, factor) in zip(groups, factors, strict=True):
                variance = mixed_variances(random_rotation(len(group), rng, rank), factor)
                fractions[place, group] = _fraction(variance[None], threshold)[0]
    return fractions


def _joint_basis(covariances: Array) -> Array:
    """Compute orthonormal columns that span the covariances (task, unit, unit) of all tasks.

    Few conditions and bins leave most directions of many units without variance. A rotation
    needs only its columns along the others, which a uniform rotation has in any basis alike.
    """
    values, vectors = np.linalg.eigh(covariances.sum(axis=0))
    positive = values > TOLERANCE * values[-1]
    positive[-1] = True  # one column at least, also where nothing varies
    basis: Array = np.eye(len(values)) if positive.all() else vectors[:, positive]
    return basis


def _unit_groups(units: dict[str, xr.DataArray], within: str | None) -> list[npt.NDArray[np.int64]]:
    if within is None:
        return [np.arange(units["unit"].size)]
    if within not in units:
        raise unknown_name("within", within, units)
    values = units[within].values
    return [np.flatnonzero(values == value) for value in np.unique(values)]


def _refuse_deterministic(block: xr.Dataset) -> None:
    if block.attrs["deterministic"]:
        raise NotApplicableError(
            "activity",
            "noisy trials",
            f"the deterministic source {block.attrs['name']!r}",
            "Without noise no label can be permuted: use rotation_control, or record with a seed.",
        )


@dataclass(frozen=True)
class _Design:
    """The condition of each row, -1 in a row that is left out, and the number of conditions."""

    label: npt.NDArray[np.int64]
    n_labels: int

    def variances(self, means: Array, estimator: str) -> Array:
        """Compute task variances (permutation, unit) from the means of `label_means`."""
        return ESTIMATORS[estimator](np.moveaxis(means[:, 0], 3, 0))


@dataclass(frozen=True)
class _Units:
    """Some units' rates, a row for each trial of each unit."""

    place: slice
    n: int
    rates: npt.NDArray[np.floating[Any]]
    groups: list[Alike]


def _shuffled_variances(
    block: xr.Dataset,
    design: _Design,
    n_permutations: int,
    seed: np.random.SeedSequence,
    estimator: str,
    n_jobs: int | None,
) -> tuple[Array, Array]:
    """Compute task variances (permutation, unit) for permuted and for true labels.

    Every piece of work, some permutations of some units, has a random stream of its own, so
    that the number of workers changes nothing.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)
    check_whole("n_permutations", n_permutations, 1, "Use n_permutations=200.")
    n_units = block.sizes["unit"]
    permuted = np.empty((n_permutations, n_units))
    observed = np.empty((1, n_units))
    pieces = _pieces(n_permutations, PERMUTATIONS_AT_ONCE)
    values = design.n_labels * block.sizes["time"] * pieces[0].stop
    # units per piece: bounds the memory of a thread
    at_once = max(1, VALUES_AT_ONCE // values)

    def work(task: tuple[_Units, slice, np.random.SeedSequence]) -> int:
        units, piece, stream = task
        rng = np.random.default_rng(stream)
        shape = (units.n, 1, design.n_labels)
        n = len(range(*piece.indices(n_permutations)))
        means = label_means(units.rates, shuffled(units.groups, n, rng), (*shape, n))
        permuted[piece, units.place] = design.variances(means, estimator)
        if piece.start == 0:
            means = label_means(units.rates, unshuffled(units.groups), (*shape, 1))
            observed[:, units.place] = design.variances(means, estimator)
        return n * units.n

    with (
        one_thread(),
        ThreadPoolExecutor(n_jobs or os.cpu_count() or 1) as pool,
        tqdm(total=n_permutations * n_units, desc="permutations x units", disable=None) as bar,
    ):
        tasks = (
            (units, piece, seed.spawn(1)[0])
            for units in _units_at_once(block, design, at_once)
            for piece in pieces
        )
        for done in pool.map(work, tasks):
            bar.update(done)
    return permuted, observed


def _pieces(total: int, at_most: int) -> list[slice]:
    """Split a range into pieces of equal size; the last may be smaller."""
    n_pieces = -(-total // at_most)
    bounds = np.linspace(0, total, n_pieces + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def _units_at_once(block: xr.Dataset, design: _Design, at_once: int) -> Iterator[_Units]:
    rate = block["rate"].values
    n_units = block.sizes["unit"]
    ragged = is_ragged(block)
    position = unit_positions(block) if ragged else np.empty(0, dtype=np.int64)
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(n_units + 1))
    for place in _pieces(n_units, at_once):
        n_here = place.stop - place.start
        if ragged:
            rows = order[bounds[place.start] : bounds[place.stop]]
            rates, unit = rate[rows], position[rows] - place.start
        else:
            rows = np.tile(np.arange(len(rate)), n_here)
            unit = np.repeat(np.arange(n_here), len(rate))
            rates = rate[:, :, place].transpose(2, 0, 1).reshape(rows.size, -1)
        used = design.label[rows] >= 0
        rates, rows = rates[used], rows[used]
        groups = cells_alike(
            unit[used],
            np.zeros_like(rows),
            design.label[rows],
            design.n_labels,
            np.isfinite(rates).all(axis=1),
        )
        yield _Units(place, n_here, rates, groups)


def _fraction(variance: Array, threshold: float) -> Array:
    """Compute FTV (permutation, unit) of variances (permutation, task, unit); NaN: inactive."""
    return fractional_variance(variance[:, 0], variance[:, 1], threshold=threshold)[0]
