"""Nulls for task variance and FTV: what they would be if labels or axes meant nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.activity import (
    Activity,
    blocks,
    columns_on,
    is_ragged,
    tasks_of,
    unit_positions,
)
from nwbcompare.analysis.variance import (
    ACTIVE_THRESHOLD,
    Estimator,
    counted_bins,
    means_by_task,
)
from nwbcompare.conditions import condition_table
from nwbcompare.errors import InputError, listing, unknown_name
from nwbcompare.kernels.permutation import permuted_means, random_rotation
from nwbcompare.kernels.rotation import factorise, mixed_variances
from nwbcompare.kernels.variance import ESTIMATORS, centred, fractional_variance, group_moments

Array = npt.NDArray[np.float64]


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
) -> xr.Dataset:
    """FTV of each unit after the task labels were permuted among trials of one condition.

    The null is that a unit does not tell the two tasks apart: within each condition (the same
    values of the condition variables in both tasks) the trials of both are exchangeable. The
    numbers of trials are kept, so what they do to FTV is in the null.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials of both tasks in one block.
    task_a, task_b
        The two tasks.
    n_permutations
        Permutations; 200 give p values down to 1/201.
    seed
        Seed of the permutations.
    estimator, conditions, threshold
        See `nwbcompare.task_variance` and `nwbcompare.fractional_task_variance`.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (permutation, unit)``; ``observed (unit,)``;
        ``p_value (unit,)``, two-sided, (1 + b) / (1 + B), where b counts permutations whose
        absolute FTV is at least the observed one.

    Raises
    ------
    InputError
        For a deterministic source, tasks in different blocks, or conditions that differ.
    """
    block = _counted(_block_with(activity, [task_a, task_b]), [task_a, task_b])
    table, condition = condition_table(block, conditions)
    stratum, context, n_conditions = _matched_conditions(table, condition, task_a, task_b)

    def permute(rates: Array, rows: Any, rng: np.random.Generator, n: int) -> Array:
        means = np.full((n, 2, n_conditions, rates.shape[1]), np.nan)
        for which in range(n_conditions):
            members = stratum[rows] == which
            means[:, :, which] = permuted_means(
                rates[members], context[rows][members], 2, n_permutations=n, rng=rng
            )
        return means

    group = np.where(stratum >= 0, context * n_conditions + stratum, -1)

    def observe(rates: Array, rows: Any) -> Array:
        _, means, _ = group_moments(rates, group[rows], 2 * n_conditions, squares=False)
        return means.reshape(2, n_conditions, -1)

    rng = np.random.default_rng(seed)
    variance, observed = _for_each_unit(block, permute, rng, n_permutations, estimator, observe)
    null, truth = _fraction(variance, threshold), _fraction(observed, threshold)[0]
    with np.errstate(invalid="ignore"):
        as_far = (np.abs(null) >= np.abs(truth) - 1e-12).sum(axis=0)
    p_value = np.where(np.isfinite(truth), (1 + as_far) / (1 + n_permutations), np.nan)
    return xr.Dataset(
        {
            "fractional_task_variance": (("permutation", "unit"), null),
            "observed": ("unit", truth),
            "p_value": ("unit", p_value),
        },
        coords={"unit": block["unit"]},
        attrs={
            "analysis": "context_label_null",
            "task_a": task_a,
            "task_b": task_b,
            "estimator": estimator,
            "seed": seed,
            "n_permutations": n_permutations,
            "threshold": threshold,
            "name": block.attrs["name"],
        },
    )


def condition_label_null(
    activity: Activity,
    *,
    n_permutations: int = 200,
    seed: int = 0,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
) -> xr.Dataset:
    """Task variance after the condition labels were shuffled within each task: its floor.

    The null is that a unit does not tell the conditions of a task apart; what is left is the
    variance that the trials' noise gives to the condition means.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials.
    n_permutations, seed
        Permutations and their seed.
    estimator, conditions
        See `nwbcompare.task_variance`.

    Returns
    -------
    xarray.Dataset
        ``task_variance (permutation, unit, task)``.

    Raises
    ------
    InputError
        For a deterministic source: without noise there is no floor.
    """
    parts = []
    rng = np.random.default_rng(seed)
    for block in blocks(activity).values():
        _refuse_deterministic(block)
        table, condition = condition_table(block, conditions)
        for task in dict.fromkeys(table["task"].values):
            members = np.flatnonzero(table["task"].values == task)
            first, n_here = members[0], members.size
            label = np.where(np.isin(condition, members), condition - first, -1)

            def permute(
                rates: Array,
                rows: Any,
                rng: np.random.Generator,
                n: int,
                label: npt.NDArray[np.int64] = label,
                n_here: int = n_here,
            ) -> Array:
                mine = label[rows] >= 0
                return permuted_means(
                    rates[mine], label[rows][mine], n_here, n_permutations=n, rng=rng
                )[:, None]

            counted = _counted(block, [str(task)])
            variance, _ = _for_each_unit(counted, permute, rng, n_permutations, estimator, None)
            parts.append(
                xr.Dataset(
                    {"task_variance": (("permutation", "unit"), variance[:, 0])},
                    coords={"unit": block["unit"], "task": task},
                )
            )
    result = xr.concat(parts, dim="task", coords="minimal", compat="override")
    return result.transpose("permutation", "unit", "task").assign_attrs(
        analysis="condition_label_null",
        estimator=estimator,
        seed=seed,
        n_permutations=n_permutations,
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
    """FTV of random mixtures of the units: what it would be if single units meant nothing.

    Parameters
    ----------
    activity
        An activity or a block; a ragged recording is taken as a pseudo-population of condition
        means.
    task_a, task_b
        The two tasks. Both are rotated by the same matrix.
    n_rotations, seed
        Random rotations and their seed.
    estimator, conditions, threshold
        See `nwbcompare.task_variance` and `nwbcompare.fractional_task_variance`; the threshold
        is applied again to the rotated units.
    within
        A column of the unit table: units are mixed only with those that share its value.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (rotation, unit)``.

    Raises
    ------
    InputError
        For an unknown task or column, or units that lack a condition.

    Notes
    -----
    Each estimator is a quadratic form, so the variance of a rotated unit needs only the
    covariance of the units over conditions, averaged over time (`kernels.variance.centred`).
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
    """Give the units' covariance over the conditions of each task, and the unit table.

    ``tasks`` says which and in which order, by default all. The variance that ``estimator``
    gives to a mixture ``r`` of the units is ``r @ covariance @ r``.
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
        # a network's means of one task fill 100 MB: let go before the next are made
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
        raise InputError(
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
    factors = [
        factorise([c[np.ix_(group, group)] for c in covariance.values()]) for group in groups
    ]
    fractions = np.empty((n_rotations, sum(len(group) for group in groups)))
    for place in range(n_rotations):
        for group, factor in zip(groups, factors, strict=True):
            variance = mixed_variances(random_rotation(len(group), rng), factor)
            fractions[place, group] = _fraction(variance[None], threshold)[0]
    return fractions


def _unit_groups(units: dict[str, xr.DataArray], within: str | None) -> list[npt.NDArray[np.int64]]:
    if within is None:
        return [np.arange(units["unit"].size)]
    if within not in units:
        raise unknown_name("within", within, units)
    values = units[within].values
    return [np.flatnonzero(values == value) for value in np.unique(values)]


def _block_with(activity: Activity, tasks: list[str]) -> xr.Dataset:
    known: list[str] = []
    for block in blocks(activity).values():
        _refuse_deterministic(block)
        here = tasks_of(block)
        known += here
        if all(task in here for task in tasks):
            return block
    for task in tasks:
        if task not in known:
            raise unknown_name("task", task, known)
    raise InputError(
        "activity",
        f"{listing(tasks)} in one block",
        "two blocks",
        "Labels can only be permuted among trials on one clock: align both tasks alike.",
    )


def _counted(block: xr.Dataset, tasks: list[str]) -> xr.Dataset:
    """Keep the time bins that `task_variance` counts by default, which the tasks must share."""
    bins = [counted_bins(block, task) for task in tasks]
    if any((other != bins[0]).any() for other in bins):
        raise InputError(
            "activity",
            f"the same bins of {listing(tasks)}",
            "epochs that differ",
            "Labels can only be permuted among trials on one clock: align both tasks alike.",
        )
    return block.isel(time=bins[0])


def _refuse_deterministic(block: xr.Dataset) -> None:
    if block.attrs["deterministic"]:
        raise InputError(
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
        raise InputError(
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


def _for_each_unit(
    block: xr.Dataset,
    permute: Any,
    rng: np.random.Generator,
    n_permutations: int,
    estimator: str,
    observe: Any,
) -> tuple[Array, Array]:
    """Give TV (permutation, task, unit) of permuted and, where asked for, of true labels."""
    estimate = ESTIMATORS[estimator]
    permuted, observed = [], []
    for rates, rows in _rates_by_unit(block):
        permuted.append(estimate(permute(rates, rows, rng, n_permutations)))
        if observe is not None:
            observed.append(estimate(observe(rates, rows))[None])
    return np.stack(permuted, axis=-1), np.stack(observed, axis=-1) if observed else np.empty(0)


def _rates_by_unit(block: xr.Dataset) -> Any:
    rate = block["rate"].values
    if not is_ragged(block):
        every = np.arange(rate.shape[0])
        for unit in range(block.sizes["unit"]):
            yield rate[:, :, unit].astype(np.float64), every
        return
    position = unit_positions(block)
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(block.sizes["unit"] + 1))
    for start, stop in pairwise(bounds):
        rows = order[start:stop]
        yield rate[rows].astype(np.float64), rows


def _fraction(variance: Array, threshold: float) -> Array:
    """FTV (permutation, unit) of variances (permutation, task, unit); NaN where inactive."""
    return fractional_variance(variance[:, 0], variance[:, 1], threshold=threshold)[0]
