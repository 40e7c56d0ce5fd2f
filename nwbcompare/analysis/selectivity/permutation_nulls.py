"""Null distributions of task variance and FTV: permuted labels and rotated units."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.kernels.rotation import (
    TOLERANCE,
    factorise,
    mixed_variances,
    spread,
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
    is_ragged,
    tasks_of,
    unit_positions,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import (
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.kernels.permutation import (
    Alike,
    cells_alike,
    label_means,
    p_values,
    random_rotation,
    reaches,
    shuffled,
    unshuffled,
)
from nwbcompare.kernels.variance import ESTIMATORS, centred, fractional_variance

Array = npt.NDArray[np.float64]
LEVEL = 0.05
PERMUTATIONS_AT_ONCE = 256
VALUES_AT_ONCE = 8_000_000
"""Means held at a time by one thread (64 MB)."""


def context_label_null(
    activity: Activity,
    task_a: str,
    task_b: str,
    *,
    n_permutations: int = 200,
    seed: int = 0,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    threshold: float = ACTIVE_THRESHOLD,
    n_jobs: int | None = None,
) -> xr.Dataset:
    """Test each unit's FTV against task labels permuted among trials of one condition.

    Null hypothesis: the unit responds alike in both tasks, so that within each condition (the same
    values of the condition variables in both tasks) the trials of the tasks are exchangeable.
    Permutations preserve the numbers of trials, and with them their effect on FTV.

    Parameters
    ----------
    activity
        An activity or a block, with noisy trials of both tasks in one block.
    task_a, task_b
        The two tasks.
    n_permutations
        Permutations; 200 give p values down to 1/201.
    seed
        Seed of the permutations.
    estimator, conditions, threshold
        See `nwbcompare.task_variance` and `nwbcompare.fractional_task_variance`.
    n_jobs
        Threads; by default one per core. The result does not depend on it.

    Returns
    -------
    xarray.Dataset
        By ``unit``: ``observed``, the FTV; ``fractional_task_variance (permutation, unit)``;
        ``p_value``, two-sided, (1 + b) / (1 + B), where b counts permutations whose absolute FTV is
        at least the observed one, or undefined; ``q_value``, adjusted for the false discovery rate
        over units (Benjamini & Hochberg 1995); NaN for units that are inactive or lack a condition.
        Of the population: ``ftv_sd`` over active units, ``null_ftv_sd (permutation)`` and the
        one-sided ``ftv_sd_p_value``; ``n_tested``, and the shares of tested units with p
        (``share_significant``, 0.05 under the null hypothesis) and q (``share_discovered``) of at
        most 0.05. The columns of the unit table.

    Raises
    ------
    InputError
        For an unknown task, and no permutation.
    NotApplicableError
        For a deterministic source, tasks in different blocks, and conditions that differ between
        the tasks.

    Warns
    -----
    UnitWarning
        For units that lack a condition.

    Notes
    -----
    The unit of inference is the trial, within one unit. Every unit has its own permutations, so
    that the null distribution of the population does not include correlations between units that
    were recorded together. In the recordings of this package most units were recorded one after
    another.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block()
    >>> other = block.assign_coords(task=block["task"].copy(data=[1] * 8))
    >>> both = xr.concat([block, other], dim="trial")
    >>> both["task"].attrs["categories"] = '["go", "stay"]'
    >>> both.attrs["condition_variables"] = '{"go": ["direction"], "stay": ["direction"]}'
    >>> context_label_null(both, "go", "stay", n_permutations=19)["p_value"].sizes["unit"]
    3
    """
    block = _counted(_block_with(activity, [task_a, task_b]), [task_a, task_b])
    table, condition = condition_table(block, conditions)
    stratum, context, n_conditions = _matched_conditions(table, condition, task_a, task_b)
    design = _Design(stratum, context, n_conditions, 2, conditions_are="strata")
    permuted, observed = _shuffled_variances(
        block, design, n_permutations, np.random.SeedSequence(seed), estimator, n_jobs
    )
    _warn_of_lacking(block, observed[0, 0] + observed[0, 1], f"task {task_a!r} or {task_b!r}")
    null, truth = _fraction(permuted, threshold), _fraction(observed, threshold)[0]
    # undefined draws count against the observation
    as_far = reaches(np.abs(null), np.abs(truth)) | np.isnan(null)
    p_value = np.where(np.isfinite(truth), p_values(as_far), np.nan)
    return xr.Dataset(
        {
            "fractional_task_variance": (("permutation", "unit"), null),
            "observed": ("unit", truth),
            "p_value": ("unit", p_value),
            **_population(null, truth, p_value),
        },
        coords=columns_on(block, "unit"),
        attrs={
            "analysis": "context_label_null",
            "task_a": task_a,
            "task_b": task_b,
            "estimator": estimator,
            "conditions": json.dumps(None if conditions is None else list(conditions)),
            "seed": seed,
            "n_permutations": n_permutations,
            "threshold": threshold,
            "name": block.attrs["name"],
            "source": block.attrs["source"],
        },
    )


def _population(null: Array, truth: Array, p_value: Array) -> dict[str, Any]:
    """Test the spread of FTV over units, and count the units that are not as in the null."""
    tested = np.isfinite(truth)
    q_value = adjust_p(p_value, "fdr_bh")
    sd = spread(truth[None])[1][0]
    # the same units in every draw; undefined FTVs are left out
    null_sd = spread(null[:, tested])[1]
    n_tested = int(tested.sum())
    return {
        "q_value": ("unit", q_value),
        "ftv_sd": sd,
        "null_ftv_sd": ("permutation", null_sd),
        "ftv_sd_p_value": p_values(reaches(null_sd, sd) | np.isnan(null_sd))
        if n_tested
        else np.nan,
        "n_tested": n_tested,
        "share_significant": _share_significant(p_value[tested]),
        "share_discovered": _share_significant(q_value[tested]),
    }


def _warn_of_lacking(block: xr.Dataset, variance: Array, where: str) -> None:
    lacking = np.isnan(variance)
    if lacking.any():
        warnings.warn(
            f"{int(lacking.sum())} units lack a condition of {where} and get NaN: "
            f"{listing(block['unit'].values[lacking], most=5)}",
            UnitWarning,
            stacklevel=3,
        )


def _share_significant(p: Array) -> float:
    return float((p <= LEVEL).mean()) if p.size else float("nan")


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
        For a deterministic source: without noise there is no floor.

    Warns
    -----
    UnitWarning
        For units that lack a condition.

    Notes
    -----
    Permuted trials include the differences between conditions: the floor of a tuned unit is
    slightly above the noise in its condition means. Every unit has its own permutations, as in
    `context_label_null`.

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
        for task in dict.fromkeys(map(str, table["task"].values)):
            members = np.flatnonzero(table["task"].values == task)
            label = np.where(np.isin(condition, members), condition - members[0], -1)
            design = _Design(np.minimum(label, 0), label, 1, members.size, conditions_are="labels")
            variance, observed = _shuffled_variances(
                _counted(block, [task]),
                design,
                n_permutations,
                root.spawn(1)[0],
                estimator,
                n_jobs,
            )
            _warn_of_lacking(block, observed[0, 0], f"task {task!r}")
            parts.append(
                xr.Dataset(
                    {"task_variance": (("permutation", "unit"), variance[:, 0])},
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
    (`nwbcompare.kernels.variance.centred`).

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
    with threadpool_limits(1):
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


def _block_with(activity: Activity, tasks: list[str]) -> xr.Dataset:
    available: list[str] = []
    for block in blocks(activity).values():
        _refuse_deterministic(block)
        here = tasks_of(block)
        available += here
        if all(task in here for task in tasks):
            return block
    for task in tasks:
        if task not in available:
            raise unknown_name("task", task, available)
    raise NotApplicableError(
        "activity",
        f"{listing(tasks)} in one block",
        "two blocks",
        "Labels can only be permuted among trials on one clock: align both tasks alike.",
    )


def _counted(block: xr.Dataset, tasks: list[str]) -> xr.Dataset:
    """Keep the time bins that `task_variance` counts by default, which the tasks must share."""
    bins = [counted_bins(block, task) for task in tasks]
    if any((other != bins[0]).any() for other in bins):
        raise NotApplicableError(
            "activity",
            f"the same bins of {listing(tasks)}",
            "epochs that differ",
            "Labels can only be permuted among trials on one clock: align both tasks alike.",
        )
    return block.isel(time=bins[0])


def _refuse_deterministic(block: xr.Dataset) -> None:
    if block.attrs["deterministic"]:
        raise NotApplicableError(
            "activity",
            "noisy trials",
            f"the deterministic source {block.attrs['name']!r}",
            "Without noise no label can be permuted: use rotation_control, or record with a seed.",
        )


def _matched_conditions(
    table: xr.Dataset, condition: npt.NDArray[np.int64], task_a: str, task_b: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Number the conditions alike in both tasks: (condition, task) of each trial."""
    names = [str(name) for name in table.coords if name != "task"]
    keys = list(zip(*(table[name].values.tolist() for name in names), strict=True))
    by_task = {
        task: {keys[i]: i for i in np.flatnonzero(table["task"].values == task)}
        for task in (task_a, task_b)
    }
    if by_task[task_a].keys() != by_task[task_b].keys():
        raise NotApplicableError(
            "conditions",
            "the same conditions in both tasks",
            f"{len(by_task[task_a])} in {task_a!r} and {len(by_task[task_b])} in {task_b!r}",
            "Name shared columns with conditions=[...].",
        )
    number = np.full(len(keys) + 1, -1)
    context = np.full(len(keys) + 1, -1)
    for which, places in enumerate(by_task.values()):
        for place, key in enumerate(sorted(places)):
            number[places[key]], context[places[key]] = place, which
    return number[condition], context[condition], len(by_task[task_a])


@dataclass(frozen=True)
class _Design:
    """Which labels are permuted in which stratum; both -1 in a row that is left out."""

    stratum: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    n_strata: int
    n_labels: int
    conditions_are: Literal["strata", "labels"]

    def variances(self, means: Array, estimator: str) -> Array:
        """Compute task variances (permutation, task, unit) from the means of `label_means`."""
        condition = 1 if self.conditions_are == "strata" else 2
        variance = ESTIMATORS[estimator](np.moveaxis(means, (4, condition), (0, 3)))
        return np.swapaxes(variance, 1, 2)


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
    """Compute task variances (permutation, task, unit) for permuted and for true labels.

    Every piece of work, some permutations of some units, has a random stream of its own, so
    that the number of workers changes nothing.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)
    check_whole("n_permutations", n_permutations, 1, "Use n_permutations=200.")
    n_units = block.sizes["unit"]
    n_tasks = design.n_labels if design.conditions_are == "strata" else design.n_strata
    permuted = np.empty((n_permutations, n_tasks, n_units))
    observed = np.empty((1, n_tasks, n_units))
    pieces = _pieces(n_permutations, PERMUTATIONS_AT_ONCE)
    values = design.n_strata * design.n_labels * block.sizes["time"] * pieces[0].stop
    # units per piece: bounds the memory of a thread
    at_once = max(1, VALUES_AT_ONCE // values)

    def work(task: tuple[_Units, slice, np.random.SeedSequence]) -> int:
        units, piece, stream = task
        rng = np.random.default_rng(stream)
        shape = (units.n, design.n_strata, design.n_labels)
        n = len(range(*piece.indices(n_permutations)))
        means = label_means(units.rates, shuffled(units.groups, n, rng), (*shape, n))
        permuted[piece, :, units.place] = design.variances(means, estimator)
        if piece.start == 0:
            means = label_means(units.rates, unshuffled(units.groups), (*shape, 1))
            observed[:, :, units.place] = design.variances(means, estimator)
        return n * units.n

    with (
        threadpool_limits(1),
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
            design.stratum[rows],
            design.label[rows],
            design.n_labels,
            np.isfinite(rates).all(axis=1),
        )
        yield _Units(place, n_here, rates, groups)


def _fraction(variance: Array, threshold: float) -> Array:
    """Compute FTV (permutation, unit) of variances (permutation, task, unit); NaN: inactive."""
    return fractional_variance(variance[:, 0], variance[:, 1], threshold=threshold)[0]
