"""Populations: condition means of all units, their dimensionality and their distances.

A ragged recording, in which units have different trials, becomes a pseudo-population: covariance
between units within a trial is not in it. ``population`` in attrs is then "pseudo".
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.decoding import shuffled_groups
from nwbcompare.analysis.population.kernels.dimensionality import (
    corrected_participation_ratio,
    participation_ratio,
)
from nwbcompare.analysis.population.kernels.similarity import (
    compare_distances,
    correlation_distances,
    crossvalidated_distances,
    gram,
    squared_distances,
)
from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.analysis.selectivity.task_variance import counted_bins
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    is_of_task,
    is_ragged,
    tasks_of,
    unit_positions,
    unit_table,
)
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
)
from nwbcompare.kernels.permutation import p_value, reaches
from nwbcompare.kernels.variance import group_moments

Array = npt.NDArray[np.float64]
Metric = Literal["crossvalidated", "euclidean", "correlation"]
METRICS = ("crossvalidated", "euclidean", "correlation")
# as published: before the stimulus all conditions are alike
LEAVE_OUT = ("fix1",)


@dataclass(frozen=True)
class TrialRates:
    """Rates of single trials, each with its unit and condition, whatever the source's layout."""

    rate: npt.NDArray[Any]
    """``(row,)``, the mean over the counted bins, or ``(row, time)``."""
    unit: npt.NDArray[np.int64]
    condition: npt.NDArray[np.int64]
    table: xr.Dataset
    """Coordinates of the conditions, of the units, and of the times where there are any."""
    choices: dict[str, str]
    """What was chosen, as attrs of results: ``conditions``, ``time_average``, ``leave_out``."""
    ragged: bool
    """Whether units were recorded one by one."""
    noisy: bool
    """Whether the trials of all tasks have noise."""
    rate_attrs: dict[str, Any]
    """Attributes of the rates, such as their units."""


class _TaskRates(NamedTuple):
    """Rates of single trials of one task; see `TrialRates`."""

    rate: npt.NDArray[Any]
    unit: npt.NDArray[np.int64]
    condition: npt.NDArray[np.int64]
    table: xr.Dataset


def trial_rates(
    activity: Activity,
    tasks: Sequence[str] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    time: Literal["mean", "time"] = "mean",
    leave_out: Sequence[str] = LEAVE_OUT,
) -> TrialRates:
    """Return the rate of each unit in each trial.

    Parameters
    ----------
    activity, tasks, conditions, time, leave_out
        See `population_means`.

    Returns
    -------
    TrialRates
        One row per unit and trial with any observed bin; with ``time="time"`` one per unit and
        trial.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> trial_rates(example_block()).rate.shape
    (24,)
    """
    check_known("time", [time], ["mean", "time"])
    names = _wanted_tasks(activity, tasks)
    parts = [
        _rates_of_task(block, task, conditions, time, leave_out)
        for block in blocks(activity).values()
        for task in names
        if task in tasks_of(block)
    ]
    # blocks may have another order than the argument
    parts.sort(key=lambda part: names.index(str(part.table["task"].values[0])))
    if time == "time":
        _check_clocks(parts)
    starts = np.cumsum([0, *(part.table.sizes["condition"] for part in parts[:-1])])
    first = next(iter(blocks(activity).values()))
    return TrialRates(
        np.concatenate([part.rate for part in parts]),
        np.concatenate([part.unit for part in parts]),
        np.concatenate([p.condition + start for p, start in zip(parts, starts, strict=True)]),
        _joined_tables([part.table for part in parts]),
        choices={
            "conditions": json.dumps(None if conditions is None else list(conditions)),
            "time_average": time,
            "leave_out": json.dumps(list(leave_out)),
        },
        ragged=is_ragged(first),
        noisy=not any(part.table.attrs["deterministic"] for part in parts),
        rate_attrs=dict(first["rate"].attrs),
    )


def _wanted_tasks(activity: Activity, tasks: Sequence[str] | None) -> list[str]:
    available = tasks_of(activity)
    check_known("tasks", tasks or (), available)
    names = list(dict.fromkeys(available if tasks is None else tasks))
    if not names:
        raise InputError(
            "tasks", "at least one task", "none", f"Name some of {listing(available)}."
        )
    return names


def _rates_of_task(
    block: xr.Dataset,
    task: str,
    conditions: Sequence[str] | None,
    time: str,
    leave_out: Sequence[str],
) -> _TaskRates:
    bins = np.flatnonzero(counted_bins(block, task, leave_out=leave_out))
    rows = np.flatnonzero(is_of_task(block, task))
    row = "observation" if is_ragged(block) else "trial"
    trials = block.isel({row: rows})
    table, condition = condition_table(trials, conditions)
    rate = trials["rate"].values
    if is_ragged(block):
        rate, unit = rate[:, bins], unit_positions(trials)
    else:
        n_trials, n_units = len(rows), block.sizes["unit"]
        rate = rate[:, bins].transpose(2, 0, 1).reshape(n_units * n_trials, -1)
        unit, condition = np.repeat(np.arange(n_units), n_trials), np.tile(condition, n_units)
    axes = unit_table(block)
    if time == "time":
        axes |= columns_on(block.isel(time=bins), "time")
    else:
        rate = _mean_of_observed(rate)
        is_observed = np.isfinite(rate)
        rate, unit, condition = rate[is_observed], unit[is_observed], condition[is_observed]
    return _TaskRates(rate, unit, condition, table.assign_coords(axes))


def _mean_of_observed(rate: npt.NDArray[Any]) -> Array:
    is_observed = np.isfinite(rate)
    # rates are float32, sums are accumulated in float64
    total = np.where(is_observed, rate, 0).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean: Array = total / is_observed.sum(axis=1)
    return mean


def _check_clocks(parts: Sequence[_TaskRates]) -> None:
    first = parts[0].table["time"]
    for part in parts[1:]:
        other = part.table["time"]
        if other.attrs != first.attrs or not np.array_equal(other, first):
            raise NotApplicableError(
                "time",
                "the same counted bins in all tasks",
                f"{first.size} and {other.size} bins, or other times",
                "Use time='mean', or nwbcompare.align and nwbcompare.rebin.",
            )


def _joined_tables(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    names = dict.fromkeys(name for table in tables for name in columns_on(table, "condition"))
    columns: dict[str, Any] = {}
    for name in names:
        like = next(table[name] for table in tables if name in table.coords)
        # in conditions of tasks that do not use the variable
        blank = "" if like.dtype.kind == "U" else np.nan
        values = [
            table[name].values
            if name in table.coords
            else np.full(table.sizes["condition"], blank, dtype=None)
            for table in tables
        ]
        columns[name] = ("condition", np.concatenate(values), dict(like.attrs))
    first = tables[0]
    rest = {name: c for name, c in first.coords.items() if "condition" not in c.dims}
    joined = xr.Dataset(coords={**rest, **columns}, attrs=first.attrs)
    deterministic = int(all(table.attrs["deterministic"] for table in tables))
    labelled = joined.assign_coords(condition=condition_labels(joined))
    return labelled.assign_attrs(deterministic=deterministic)


def condition_labels(table: xr.Dataset) -> list[str]:
    """Return labels of conditions from their task and variables, such as "go: direction=3.14".

    Two sources have a condition in common where these names are equal.

    Parameters
    ----------
    table
        With ``task`` and the condition variables on the dimension ``condition``.

    Examples
    --------
    >>> table = xr.Dataset(coords={"task": ("condition", ["go"]), "x": ("condition", [0.5])})
    >>> condition_labels(table)
    ['go: x=0.5']
    """
    columns = {
        name: [str(v) if isinstance(v, str) else f"{float(v):.6g}" for v in column.values]
        for name, column in columns_on(table, "condition").items()
        if name not in {"condition", "task"}
    }
    # a variable that a task does not use is "" or NaN there
    return [
        f"{task}: "
        + ", ".join(
            f"{name}={texts[i]}" for name, texts in columns.items() if texts[i] not in {"", "nan"}
        )
        for i, task in enumerate(table["task"].values)
    ]


def population_means(
    activity: Activity,
    tasks: Sequence[str] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    time: Literal["mean", "time"] = "mean",
    n_splits: int = 1,
    leave_out: Sequence[str] = LEAVE_OUT,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the mean rate of every unit in every condition, and means over halves of the trials.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    tasks
        Tasks, in this order; by default all.
    conditions
        Trial columns whose combinations are conditions; by default those of the source.
    time
        "mean" (default): each trial's mean over its observed bins. "time": each bin; all tasks must
        then have the same bins.
    n_splits
        Random splits of the trials of each unit and condition into halves; 0 for none.
    leave_out
        Epochs to leave out; by default fixation, as for task variance.
    seed
        Seed of the splits.

    Returns
    -------
    xarray.Dataset
        ``rate_mean (condition, unit[, time])``; ``n_trials (condition, unit)``; ``mean_variance``,
        the squared standard error of ``rate_mean``, 0 for a deterministic source; ``half_mean
        (split, half, condition, unit[, time])``. ``condition`` is labelled by task and condition
        variables, which are coordinates, too. ``population`` in attrs is "pseudo" for a ragged
        source, else "simultaneous".

    Raises
    ------
    InputError
        For an unknown task.
    NotApplicableError
        For tasks with different time bins (``time="time"``), and where no unit has enough trials.

    Warns
    -----
    UnitWarning
        For units that are left out: in every condition a noisy source needs two trials of a unit, a
        deterministic one needs one.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dict(population_means(example_block())["rate_mean"].sizes)
    {'condition': 4, 'unit': 3}
    """
    rates = trial_rates(activity, tasks, conditions=conditions, time=time, leave_out=leave_out)
    return means_of_rates(rates, n_splits=n_splits, seed=seed)


def means_of_rates(rates: TrialRates, *, n_splits: int = 1, seed: int = 0) -> xr.Dataset:
    """Compute the population means of rates that were read before.

    Parameters
    ----------
    rates
        From `trial_rates`.
    n_splits, seed
        See `population_means`.

    Returns
    -------
    xarray.Dataset
        As `population_means`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> means_of_rates(trial_rates(example_block()))["rate_mean"].shape
    (4, 3)
    """
    n_units, n_conditions = rates.table.sizes["unit"], rates.table.sizes["condition"]
    dims = ("condition", "unit", "time")[: 1 + rates.rate.ndim]
    shape = (n_conditions, n_units, *rates.rate.shape[1:])
    noisy = not rates.table.attrs["deterministic"]
    group = rates.condition * n_units + rates.unit
    n_groups = n_conditions * n_units
    count, mean, squares = (
        moment.reshape(shape)
        for moment in group_moments(
            rates.rate.reshape(group.size, -1), group, n_groups, squares=noisy
        )
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        # the variance over trials divided by their number; none without noise
        error = squares / (count - 1) / count if noisy else np.where(count > 0, 0.0, np.nan)
    halves = _half_means(rates.rate, group, (n_splits, *shape), seed) if noisy else None
    fewest = count.reshape(n_conditions, n_units, -1).min(axis=-1)
    result = rates.table.assign(
        rate_mean=(dims, mean, rates.rate_attrs),
        n_trials=(dims[:2], fewest.astype(np.int64)),
        mean_variance=(dims, error),
        half_mean=(
            ("split", "half", *dims),
            np.broadcast_to(mean, (n_splits, 2, *shape)) if halves is None else halves,
        ),
    )
    means = keep_units(result, fewest.min(axis=0) >= 1 + noisy, f"{1 + noisy} trials")
    return means.assign_attrs(
        analysis="population_means",
        population="pseudo" if rates.ragged else "simultaneous",
        tasks=json.dumps(list(dict.fromkeys(map(str, means["task"].values)))),
        **rates.choices,
        seed=seed,
        n_left_out=n_units - means.sizes["unit"],
    )


def _half_means(
    rate: npt.NDArray[Any], group: npt.NDArray[np.int64], shape: tuple[int, ...], seed: int
) -> Array:
    """Compute means ``(split, half, condition, unit, ...)``; the first half has the odd trial."""
    rng = np.random.default_rng(seed)
    columns, n_groups = rate.reshape(len(rate), -1), shape[1] * shape[2]
    halves = np.empty((shape[0], 2, *shape[1:]))
    for split in halves:
        half = _halves(group, n_groups, rng)
        of_half = half * n_groups + group
        _, mean, _ = group_moments(columns, of_half, 2 * n_groups, squares=False)
        split[...] = mean.reshape(2, *shape[1:])
    return halves


def _halves(
    group: npt.NDArray[np.int64], n_groups: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    order, first = shuffled_groups(group, n_groups, rng)
    place = np.arange(group.size) - np.repeat(first, np.diff(first, append=group.size))
    half = np.empty(group.size, dtype=np.int64)
    # shuffled trials alternate between the halves
    half[order] = place % 2
    return half


def keep_units(table: xr.Dataset, enough: npt.NDArray[np.bool_], needed: str) -> xr.Dataset:
    """Select the units with enough trials, and warn of the others.

    Parameters
    ----------
    table
        A table with the dimension ``unit``.
    enough
        ``(unit,)``: whether a unit has enough trials.
    needed
        What units need, for the warning and the error.

    Returns
    -------
    xarray.Dataset
        The table of these units.

    Raises
    ------
    NotApplicableError
        Where no unit has enough.

    Warns
    -----
    UnitWarning
        Where units are left out; they are named.

    Examples
    --------
    >>> table = xr.Dataset(coords={"unit": ["u0", "u1"]})
    >>> keep_units(table, np.array([True, True]), "2 trials").sizes["unit"]
    2
    """
    if not enough.any():
        raise NotApplicableError(
            "activity",
            f"units with {needed} in every condition",
            f"none among {enough.size}",
            "Name coarser conditions with conditions=[...], or fewer tasks.",
        )
    if enough.all():
        return table
    warnings.warn(
        f"{int((~enough).sum())} of {enough.size} units lack {needed} in some condition and are "
        f"left out: {listing(table['unit'].values[~enough], most=5)}",
        UnitWarning,
        stacklevel=4,
    )
    return table.isel(unit=np.flatnonzero(enough))


def unit_halves(
    clusters: npt.NDArray[np.int64], n_splits: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Split units into two random halves of whole clusters.

    Parameters
    ----------
    clusters
        ``(unit,)``: the cluster of each unit, from `resampling_units`.
    n_splits
        Random splits.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(split, unit)``: True in the first half. Halves are as equal as whole clusters allow.

    Examples
    --------
    >>> halves = unit_halves(np.array([0, 0, 1, 1]), 3, np.random.default_rng(0))
    >>> halves.sum(axis=1).tolist(), bool((halves[:, 0] == halves[:, 1]).all())
    ([2, 2, 2], True)
    """
    sizes = np.bincount(clusters)
    halves = np.empty((n_splits, clusters.size), dtype=bool)
    for half in halves:
        order = rng.permutation(sizes.size)
        before = np.cumsum(sizes[order]) - sizes[order]
        first = np.zeros(sizes.size, dtype=bool)
        # a cluster is in the half in which its middle lies
        first[order[before + sizes[order] / 2 <= clusters.size / 2]] = True
        # no half is empty, unless there is a single cluster
        first[order[0]], first[order[-1]] = True, sizes.size == 1
        half[:] = first[clusters]
    return halves


def bootstrap_weights(
    units: Mapping[str, xr.DataArray], n_bootstrap: int, rng: np.random.Generator
) -> Array:
    """Draw how often each unit counts in each bootstrap.

    Clusters (`resampling_units`) are drawn with replacement. Within a drawn session its units are
    drawn with replacement, too; samples of one network unit stay together.

    Parameters
    ----------
    units
        Columns of the unit table by name, each ``(unit,)``.
    n_bootstrap
        Bootstraps.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(bootstrap, unit)``, whole numbers.

    Examples
    --------
    >>> units = {"unit": xr.DataArray(["u0", "u1", "u2"], dims="unit")}
    >>> bootstrap_weights(units, 2, np.random.default_rng(0)).sum(axis=1).tolist()
    [3.0, 3.0]
    """
    clusters, _ = resampling_units(units)
    sizes = np.bincount(clusters)
    draws = rng.multinomial(sizes.size, np.full(sizes.size, 1 / sizes.size), size=n_bootstrap)
    weights = draws[:, clusters].astype(np.float64)
    # samples of a network unit stay together
    if "network_unit" in units:
        return weights
    for which in np.flatnonzero(sizes > 1):
        members = np.flatnonzero(clusters == which)
        n = members.size
        # a session drawn twice has twice as many draws of its units
        weights[:, members] = rng.multinomial(draws[:, which] * n, np.full(n, 1 / n))
    return weights


def dimensionality(
    activity: Activity,
    tasks: Sequence[str] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    leave_out: Sequence[str] = LEAVE_OUT,
    n_permutations: int = 200,
    n_bootstrap: int = 500,
    n_splits: int = 50,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the dimensionality of the condition means of a population.

    Parameters
    ----------
    activity, tasks, conditions, leave_out
        See `population_means`.
    n_permutations
        Permutations of the null, in which the conditions of each unit are permuted independently,
        so that units keep their tuning strengths but share no structure.
    n_bootstrap
        Bootstraps over units, within sessions where these are known.
    n_splits
        Random halves of the units, by session.
    seed
        Seed of all three.

    Returns
    -------
    xarray.Dataset
        ``participation_ratio`` of the means, corrected for trial noise, with its 95 % interval
        ``participation_ratio_low`` and ``participation_ratio_high`` (bootstrap percentiles);
        ``participation_ratio_raw``, without the correction; ``most``, the maximum for these numbers
        of conditions and units; ``null (permutation)``; ``p_value``, one-sided, that units share
        fewer dimensions than under the null, (1 + b) / (1 + B); ``halves (split, half)``;
        ``variance_share (component)`` of the raw means.

    Raises
    ------
    InputError
        As `population_means`.
    NotApplicableError
        As `population_means`, and for fewer than 3 conditions.

    Warns
    -----
    UnitWarning
        Where no variance remains after the correction for noise: the ratio is NaN.

    Notes
    -----
    Participation ratio: Gao & Ganguli (2015). Trial noise is spread over all dimensions and biases
    the raw ratio towards ``most``; see
    `nwbcompare.analysis.population.kernels.dimensionality.corrected_participation_ratio`. The unit
    of inference is the unit; the conditions are fixed.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dimensionality(example_block())["most"].item()
    3
    """
    means = population_means(
        activity, tasks, conditions=conditions, n_splits=0, leave_out=leave_out, seed=seed
    )
    return dimensionality_of(
        means, n_permutations=n_permutations, n_bootstrap=n_bootstrap, n_splits=n_splits
    )


def dimensionality_of(
    means: xr.Dataset, *, n_permutations: int = 200, n_bootstrap: int = 500, n_splits: int = 50
) -> xr.Dataset:
    """Compute the dimensionality of population means.

    Parameters
    ----------
    means
        From `population_means`, whose seed is used.
    n_permutations, n_bootstrap, n_splits
        See `dimensionality`.

    Returns
    -------
    xarray.Dataset
        As `dimensionality`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dimensionality_of(population_means(example_block()))["n_units"].item()
    3
    """
    seed = means.attrs["seed"]
    x, noise = means["rate_mean"].values, means["mean_variance"].values
    n_conditions, n_units = x.shape
    if n_conditions < 3:
        raise NotApplicableError(
            "conditions", "3 or more", f"{n_conditions}", "Name more columns with conditions=[...]."
        )
    rng = np.random.default_rng(seed)
    observed = corrected_participation_ratio(x, noise)
    null = np.array([_independent_ratio(x, noise, rng) for _ in range(n_permutations)])
    boot = [
        corrected_participation_ratio(x, noise, weights)
        for weights in bootstrap_weights(columns_on(means, "unit"), n_bootstrap, rng)
    ]
    halves = np.array(
        [
            [corrected_participation_ratio(x[:, side], noise[:, side]) for side in (half, ~half)]
            for half in unit_halves(resampling_units(columns_on(means, "unit"))[0], n_splits, rng)
        ]
    )
    if np.isnan(observed):
        warnings.warn(
            f"{means.attrs['name']}: no variance across conditions is left of {n_units} units once "
            "the noise of the trials is taken out; the participation ratio is NaN",
            UnitWarning,
            stacklevel=2,
        )
    low, high = _percentiles(np.array(boot))
    products = gram(x)
    # without the last, which is 0 for centred means
    spectrum = np.maximum(np.linalg.eigvalsh(products)[:0:-1], 0.0)
    return xr.Dataset(
        {
            "participation_ratio": observed,
            "participation_ratio_low": low,
            "participation_ratio_high": high,
            "participation_ratio_raw": float(participation_ratio(products)),
            "most": min(n_conditions - 1, n_units),
            "null": ("permutation", null),
            "p_value": _share_below(null, observed),
            "halves": (("split", "half"), halves),
            "variance_share": ("component", spectrum / (spectrum.sum() or 1.0)),
            "n_units": n_units,
            "n_conditions": n_conditions,
        },
        attrs={
            **means.attrs,
            "analysis": "dimensionality",
            "correction": "noise independent between units",
            "n_permutations": n_permutations,
            "n_bootstrap": n_bootstrap,
            "seed": seed,
        },
    )


def _independent_ratio(x: Array, noise: Array, rng: np.random.Generator) -> float:
    # conditions are permuted independently per unit, with their noise
    order = rng.permuted(np.tile(np.arange(len(x))[:, None], x.shape[1]), axis=0)
    return corrected_participation_ratio(
        np.take_along_axis(x, order, axis=0), np.take_along_axis(noise, order, axis=0)
    )


def _percentiles(values: Array) -> tuple[float, float]:
    """Return the central 95 %; NaN where a draw is NaN, since its rank is unknown."""
    if not values.size:
        return np.nan, np.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _share_below(null: Array, observed: float) -> float:
    if np.isnan(observed):
        return float("nan")
    # a null draw that is NaN counts against the observation
    return p_value(reaches(-null, -observed) | np.isnan(null))


def dissimilarity(
    activity: Activity,
    tasks: Sequence[str] | None = None,
    *,
    metric: Metric = "crossvalidated",
    conditions: Sequence[str] | None = None,
    leave_out: Sequence[str] = LEAVE_OUT,
    n_splits: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the dissimilarity of the population responses to each pair of conditions.

    Parameters
    ----------
    activity, tasks, conditions, leave_out
        See `population_means`.
    metric
        "crossvalidated" (default): squared distance from products of the differences in two halves
        of the trials, whose expectation is 0 for conditions that differ by noise only.
        "euclidean": squared distance of the means. "correlation": 1 - correlation over units. The
        first two are divided by the number of units.
    n_splits
        Random splits of the trials, over which the cross-validated distance is averaged, and of the
        units by session, for the reliability.
    seed
        Seed of the splits.

    Returns
    -------
    xarray.Dataset
        ``dissimilarity (condition, other_condition)``, in squared units of the rate (no unit for
        the correlation); ``reliability (split)``: the correlation between the distances of two
        halves of the units, by session.

    Raises
    ------
    InputError
        For an unknown metric, and as `population_means`.

    Warns
    -----
    UnitWarning
        For conditions in which all units have the same rate, with ``metric="correlation"``: the
        correlation with a constant pattern is NaN.

    Notes
    -----
    Kriegeskorte et al. (2008); cross-validated: Walther et al. (2016), with equal weights of the
    units.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dissimilarity(example_block())["dissimilarity"].shape
    (4, 4)
    """
    check_known("metric", [metric], METRICS)
    means = population_means(
        activity,
        tasks,
        conditions=conditions,
        n_splits=n_splits if metric == "crossvalidated" else 0,
        leave_out=leave_out,
        seed=seed,
    )
    return dissimilarity_of(means, metric=metric, n_splits=n_splits)


def dissimilarity_of(
    means: xr.Dataset, *, metric: Metric = "crossvalidated", n_splits: int = 20
) -> xr.Dataset:
    """Compute the dissimilarity of each pair of conditions from population means.

    Parameters
    ----------
    means
        From `population_means`, whose seed is used; with halves of the trials for the
        cross-validated distance.
    metric, n_splits
        See `dissimilarity`.

    Returns
    -------
    xarray.Dataset
        As `dissimilarity`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dissimilarity_of(population_means(example_block()))["dissimilarity"].shape
    (4, 4)
    """
    seed = means.attrs["seed"]
    every = np.ones(means.sizes["unit"], dtype=bool)
    if metric == "correlation":
        _warn_of_constant_patterns(means)
    rng = np.random.default_rng(seed)
    halves = unit_halves(resampling_units(columns_on(means, "unit"))[0], n_splits, rng)
    reliability = [
        compare_distances(_distances(means, metric, half), _distances(means, metric, ~half))
        # a single session has no halves
        if 0 < half.sum() < half.size and means.sizes["condition"] > 2
        else np.nan
        for half in halves
    ]
    unit = means["rate_mean"].attrs["units"]
    squared = "1" if unit == "1" or metric == "correlation" else f"({unit})^2"
    dims, distances = ("condition", "other_condition"), _distances(means, metric, every)
    return (
        means[["condition"]]
        .assign_coords(other_condition=("other_condition", means["condition"].values))
        .assign(
            dissimilarity=(dims, distances, {"units": squared}),
            reliability=("split", reliability),
            n_units=int(every.size),
        )
        .assign_attrs(means.attrs, analysis="dissimilarity", metric=metric, n_splits=n_splits)
    )


def _warn_of_constant_patterns(means: xr.Dataset) -> None:
    constant = np.ptp(means["rate_mean"].values, axis=1) == 0
    if constant.any():
        warnings.warn(
            f"{means.attrs['name']}: all {means.sizes['unit']} units have the same rate in "
            f"{int(constant.sum())} conditions, whose correlations are NaN: "
            f"{listing(means['condition'].values[constant], most=5)}. Use metric='crossvalidated'",
            UnitWarning,
            stacklevel=3,
        )


def _distances(means: xr.Dataset, metric: str, units: npt.NDArray[np.bool_]) -> Array:
    if metric == "crossvalidated":
        halves = means["half_mean"].values[..., units]
        distances: Array = np.mean([crossvalidated_distances(*split) for split in halves], axis=0)
        return distances
    x = means["rate_mean"].values[:, units]
    return squared_distances(x) if metric == "euclidean" else correlation_distances(x)
