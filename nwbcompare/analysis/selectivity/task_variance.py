"""Task variance and fractional task variance of network units and neurons."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_means
from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    bins_in,
    blocks,
    columns_on,
    epoch_bounds,
    epoch_names,
    is_of_task,
    kind_of,
)
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.kernels.variance import ESTIMATORS, complete_times, fractional_variance

Estimator = Literal["per_time", "time_mean", "pooled"]
ACTIVE_THRESHOLD = 1e-3
HISTOGRAM_BINS = 20
TRIALS = "n_trials_per_condition"
IMBALANCE = 1.5
"""Ratio of the tasks' trials a condition above which noise alone gives FTV a clear mean."""


def task_variance(
    activity: Activity,
    *,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> xr.Dataset:
    """Compute the variance of each unit's rate across the conditions of each task.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    estimator
        "per_time" (default, as published): variance across conditions at each time, then the mean
        over time. "time_mean": mean over time first. "pooled": over conditions and times together.
        All are population variances (ddof 0).
    conditions
        Trial columns whose combinations are conditions; by default those of the source.
    epochs
        Epochs to use; by default all times. A source that names no epochs has one, "window".
    leave_out
        Epochs to leave out; by default fixation, as published. Epochs that a task does not have are
        ignored.

    Returns
    -------
    xarray.Dataset
        ``task_variance (unit, task)`` in squared units of the rate; ``n_bins (unit, task)``, the
        time bins in which every condition was observed, and which it is computed from;
        ``n_conditions (task)`` and the median ``n_trials_per_condition (task)``; the columns of the
        unit table. The parameters are in attrs.

    Raises
    ------
    InputError
        For an unknown estimator or epoch. For a source that names no conditions: the message lists
        the columns that could be some.
    NotApplicableError
        For a condition variable with missing values, where no time bin is left, and for trials
        whose epochs differ in their bounds.

    Warns
    -----
    UnitWarning
        For units that lack a condition: their task variance is NaN. For a noisy source whose tasks
        differ more than 1.5-fold in their median numbers of trials a condition, since noise adds
        to the variance what trials do not average out. For a task with one condition: its variance
        is NaN for every unit.

    Notes
    -----
    Yang et al. 2019, Methods: ``TV_i(A) = < [r_i(j, t) - <r_i(j, t)>_j]^2 >_{j,t}`` for unit i,
    conditions j and times t of task A. With noisy trials it is biased upwards by the mean squared
    standard error of the condition means (`nwbcompare.selectivity.corrected_task_variance`); a
    noise-free network has no such bias.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> task_variance(example_block())["task_variance"].sizes["unit"]
    3
    """
    _check_estimator(estimator)
    parts = [
        _variance_in(bins, means, estimator).assign_coords(task=task)
        for task, means, bins in means_by_task(
            activity, conditions=conditions, epochs=epochs, leave_out=leave_out
        )
    ]
    result = xr.concat(
        parts, dim="task", coords="minimal", compat="override", combine_attrs="override"
    ).transpose("unit", "task")
    _warn_of_missing(result["task_variance"], result["n_conditions"])
    first = next(iter(blocks(activity).values()))
    result = result.assign_attrs(
        _source_attrs(first),
        analysis="task_variance",
        estimator=estimator,
        conditions=json.dumps(None if conditions is None else list(conditions)),
        epochs=json.dumps(None if epochs is None else list(epochs)),
        leave_out=json.dumps(list(leave_out)),
    )
    warn_of_one_condition(result)
    _warn_of_imbalance(result, list(map(str, result["task"].values)))
    return result


def epoch_variance(
    activity: Activity,
    *,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> xr.Dataset:
    """Compute each unit's task variance in every epoch of every task.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    estimator, conditions
        See `task_variance`.
    leave_out
        Epochs that get no column; by default fixation, as published.

    Returns
    -------
    xarray.Dataset
        As `task_variance`, with columns on ``task_epoch``: labels such as "dm1/stim1", with the
        coordinates ``task`` and ``epoch``. Epochs that contain no bin centre have no column. Of
        a source without epochs the whole window is one, "window".

    Raises
    ------
    InputError
        For an unknown estimator.
    NotApplicableError
        Where no task has an epoch left, and for trials whose epochs differ in their bounds.

    Warns
    -----
    UnitWarning
        For units that lack a condition: their variance is NaN; and for a task with one condition.

    Notes
    -----
    Yang et al. 2019, Fig. 2, also cluster units by these columns.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> epoch_variance(example_block())["task_epoch"].values.tolist()
    ['go/stim1']
    """
    _check_estimator(estimator)
    keys, parts = [], []
    for block, task, means in _means_of_tasks(activity, conditions):
        names = [name for name in epoch_names(block) if name not in leave_out]
        for epoch, bins in _bins_by_epoch(block, task, names).items():
            if bins.any():
                keys.append((task, epoch))
                parts.append(_variance_in(bins, means, estimator))
    if not parts:
        raise NotApplicableError(
            "activity",
            f"trials with epochs other than {listing(leave_out)}",
            "none",
            "Name other epochs to leave out, or use task_variance, which needs none.",
        )
    result = xr.concat(
        parts, dim="task_epoch", coords="minimal", compat="override", combine_attrs="override"
    ).transpose("unit", "task_epoch")
    result = result.assign_coords(
        task_epoch=["/".join(key) for key in keys],
        task=("task_epoch", [task for task, _ in keys]),
        epoch=("task_epoch", [epoch for _, epoch in keys]),
    )
    _warn_of_missing(result["task_variance"], result["n_conditions"])
    result = result.assign_attrs(
        _source_attrs(next(iter(blocks(activity).values()))),
        analysis="epoch_variance",
        estimator=estimator,
        conditions=json.dumps(None if conditions is None else list(conditions)),
        leave_out=json.dumps(list(leave_out)),
    )
    warn_of_one_condition(result)
    return result


def variance_in_time(
    activity: Activity,
    *,
    conditions: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> xr.Dataset:
    """Compute the variance of each unit's rate across conditions at each time.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    conditions
        See `task_variance`.
    leave_out
        Epochs that are not ``counted``; their times are part of the result nevertheless.

    Returns
    -------
    xarray.Dataset
        ``task_variance (unit, task, time)``, population variance in squared units of the rate, and
        ``counted (task, time)``, the times that `task_variance` averages over, and
        ``n_conditions (task)``. ``time`` is the
        union of the times of all tasks (s); NaN where a task has no such time or a unit lacks a
        condition.

    Raises
    ------
    NotApplicableError
        For tasks that differ in bin width or in the event at time 0.

    Warns
    -----
    UnitWarning
        For units that lack a condition at all counted times; and for a task with one condition.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dict(variance_in_time(example_block())["task_variance"].sizes)
    {'unit': 3, 'task': 1, 'time': 5}
    """
    variances, counted, clocks, n_conditions = {}, {}, {}, []
    for block, task, means in _means_of_tasks(activity, conditions):
        of_times = means["rate_mean"].values.var(axis=1)
        n_conditions.append(means.sizes["condition"])
        variances[task] = of_times if n_conditions[-1] > 1 else np.full_like(of_times, np.nan)
        counted[task] = counted_bins(block, task, leave_out=leave_out)
        clocks[task] = block["time"]
    time = _joined_time(clocks)
    slack = EPOCH_TOLERANCE * time.attrs["bin_width_s"]
    n_units = len(next(iter(variances.values())))
    values = np.full((n_units, len(clocks), time.size), np.nan)
    counts = np.zeros((len(clocks), time.size), dtype=bool)
    for place, (task, clock) in enumerate(clocks.items()):
        # joined times can differ from those of a task by the slack
        columns = np.searchsorted(time.values, clock.values - slack)
        values[:, place, columns], counts[place, columns] = variances[task], counted[task]
    result = xr.Dataset(
        {
            "task_variance": (("unit", "task", "time"), values, _squared(means)),
            "counted": (("task", "time"), counts),
            "n_conditions": ("task", n_conditions),
        },
        coords={**columns_on(means, "unit"), "task": list(clocks), "time": time},
        attrs={
            **_source_attrs(next(iter(blocks(activity).values()))),
            "analysis": "variance_in_time",
            "conditions": json.dumps(None if conditions is None else list(conditions)),
            "leave_out": json.dumps(list(leave_out)),
        },
    )
    of_units = result["task_variance"].where(result["counted"]).max("time")
    _warn_of_missing(of_units, result["n_conditions"])
    warn_of_one_condition(result)
    return result


def fractional_task_variance(
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    threshold: float = ACTIVE_THRESHOLD,
    missing: Literal["error", "nan"] = "error",
) -> xr.Dataset:
    """Compute the difference of each unit's variances in two tasks, relative to their sum.

    Parameters
    ----------
    variance
        From `task_variance`.
    task_a, task_b
        The two tasks.
    threshold
        Units whose variances sum to no more than this are inactive and get NaN. The published
        1e-3 is absolute: with other units of the rates other units are active.
    missing
        Units that lack a task are an error ("error", default) or NaN ("nan").

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (unit)`` in [-1, 1]: 1 for a unit that varies in ``task_a`` only;
        and ``active (unit)``.

    Raises
    ------
    InputError
        For an unknown task, and a task against itself.
    NotApplicableError
        For units that lack one of the two tasks, and for a task with one condition, over which
        nothing varies.

    Warns
    -----
    UnitWarning
        For units of a noisy source that the threshold leaves out; they are named. For tasks of a
        noisy source that differ more than 1.5-fold in their median numbers of trials a condition:
        with 40 and 81 trials permuted labels alone gave monkey-like units a mean FTV of .14.

    Notes
    -----
    Yang et al. 2019: ``FTV_i(A, B) = (TV_i(A) - TV_i(B)) / (TV_i(A) + TV_i(B))``.

    Examples
    --------
    >>> import xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3.0, 1.0]])},
    ...                 coords={"unit": ["u0"], "task": ["a", "b"]})
    >>> fractional_task_variance(tv, "a", "b")["fractional_task_variance"].item()
    0.5
    """
    a, b = _pair(variance, task_a, task_b)
    _refuse_one_condition(variance, task_a, task_b)
    lacking = np.isnan(a) | np.isnan(b)
    if lacking.any() and missing == "error":
        raise NotApplicableError(
            "variance",
            f"units with conditions in both {task_a!r} and {task_b!r}",
            f"{int(lacking.sum())} without: {listing(variance['unit'].values[lacking], most=5)}",
            "Leave them out with nwbcompare.select(activity, units=...), or pass missing='nan' "
            "(--missing nan).",
        )
    fraction, active = fractional_variance(a, b, threshold=threshold)
    _warn_of_imbalance(variance, [task_a, task_b])
    _warn_of_inactive(variance, ~active & ~lacking, threshold)
    return xr.Dataset(
        {
            "fractional_task_variance": ("unit", fraction, {"units": "1"}),
            "active": ("unit", active),
        },
        coords=columns_on(variance, "unit"),
        attrs={
            **variance.attrs,
            "analysis": "fractional_task_variance",
            "task_a": task_a,
            "task_b": task_b,
            "threshold": threshold,
        },
    )


def ftv_histogram(ftv: xr.Dataset) -> npt.NDArray[np.int64]:
    """Count active units in the published 20 bins on [-1, 1].

    Parameters
    ----------
    ftv
        From `fractional_task_variance`.

    Returns
    -------
    numpy.ndarray
        ``(20,)``.

    Examples
    --------
    >>> import xarray as xr
    >>> ftv = xr.Dataset({"fractional_task_variance": ("unit", [-1.0, 0.05, float("nan")])})
    >>> int(ftv_histogram(ftv).sum())
    2
    """
    values = ftv["fractional_task_variance"].values
    counts, _ = np.histogram(values[np.isfinite(values)], bins=HISTOGRAM_BINS, range=(-1, 1))
    return counts.astype(np.int64)


def means_by_task(
    activity: Activity,
    *,
    conditions: Sequence[str] | None = None,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> Iterator[tuple[str, xr.Dataset, npt.NDArray[np.bool_]]]:
    """Compute, task by task, the condition means and which time bins count.

    Parameters
    ----------
    activity, conditions, epochs, leave_out
        See `task_variance`.

    Yields
    ------
    task : str
    means : xarray.Dataset
        From `condition_means`, of this task.
    bins : numpy.ndarray
        ``(time,)``: which time bins count.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> [(task, int(bins.sum())) for task, _, bins in means_by_task(example_block())]
    [('go', 4)]
    """
    for block in blocks(activity).values():
        check_epochs(block, epochs)
    for block, task, means in _means_of_tasks(activity, conditions):
        yield task, means, counted_bins(block, task, epochs=epochs, leave_out=leave_out)


def _means_of_tasks(
    activity: Activity, conditions: Sequence[str] | None
) -> Iterator[tuple[xr.Dataset, str, xr.Dataset]]:
    """Compute, task by task, the condition means, with the block that they are from."""
    for block in blocks(activity).values():
        means = condition_means(block, conditions=conditions)
        tasks = list(dict.fromkeys(means["task"].values))
        for task in tasks:
            # a selection is a copy, which a block of one task does not need
            means_of_task = (
                means if len(tasks) == 1 else means.isel(condition=means["task"].values == task)
            )
            yield block, str(task), means_of_task


def check_epochs(block: xr.Dataset, epochs: Sequence[str] | None) -> None:
    """Check that a block has the named epochs.

    Parameters
    ----------
    block
        A block.
    epochs
        Names of epochs; None: no check.

    Raises
    ------
    InputError
        For an epoch that the block does not have.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> check_epochs(example_block(), ["stim1"])
    """
    available = epoch_names(block)
    for epoch in epochs or ():
        if epoch not in available:
            raise unknown_name("epochs", epoch, available)


def counted_bins(
    block: xr.Dataset,
    task: str,
    *,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> npt.NDArray[np.bool_]:
    """Return which time bins of a task count.

    Parameters
    ----------
    block
        A block.
    task
        A task of it.
    epochs, leave_out
        See `task_variance`.

    Returns
    -------
    numpy.ndarray
        ``(time,)``.

    Raises
    ------
    NotApplicableError
        Where no time bin is left.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> counted_bins(example_block(), "go").tolist()
    [False, True, True, True, True]
    """
    # bounds of an epoch that nobody asks for may differ between trials
    inside = _bins_by_epoch(block, task, [*(epochs or ()), *leave_out])
    bins = np.full(block.sizes["time"], epochs is None)
    for epoch in epochs or ():
        bins |= inside.get(epoch, False)
    for epoch in leave_out:
        bins &= ~inside.get(epoch, np.zeros_like(bins))
    if not bins.any():
        raise NotApplicableError(
            "epochs", "at least one time bin to be left", "none", "Choose other epochs."
        )
    return bins


def _bins_by_epoch(
    block: xr.Dataset, task: str, epochs: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which time bins lie in each of the epochs that a task has."""
    rows = is_of_task(block, task)
    time_s, width = block["time"].values, block["time"].attrs["bin_width_s"]
    inside = {}
    for epoch in epochs:
        bounds = epoch_bounds(block, epoch, rows)
        if bounds is not None:
            inside[epoch] = bins_in(time_s, *bounds, width)
    return inside


def _joined_time(clocks: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Join the time axes of several tasks; times within a thousandth of a bin are one."""
    first, *others = clocks.values()
    for name in ("bin_width_s", "aligned_to"):
        for other in others:
            if other.attrs[name] != first.attrs[name]:
                raise NotApplicableError(
                    f"{name} of the tasks' time axes",
                    "the same in all tasks",
                    f"{first.attrs[name]} and {other.attrs[name]}",
                    "Take the tasks one by one, or use nwbcompare.align and nwbcompare.rebin.",
                )
    every = np.sort(np.concatenate([clock.values for clock in clocks.values()]))
    apart = np.diff(every, prepend=-np.inf) > EPOCH_TOLERANCE * first.attrs["bin_width_s"]
    return xr.DataArray(every[apart], dims="time", attrs=dict(first.attrs))


def _squared(means: xr.Dataset) -> dict[str, str]:
    units = means["rate_mean"].attrs["units"]
    return {"units": "1" if units == "1" else f"({units})^2"}


def _variance_in(
    bins: npt.NDArray[np.bool_], means: xr.Dataset, estimator: Estimator
) -> xr.Dataset:
    rates = means["rate_mean"].values[:, :, bins]
    variance = ESTIMATORS[estimator](rates)
    # one condition has no variance across conditions, which is not the same as none
    if means.sizes["condition"] == 1:
        variance = np.full_like(variance, np.nan)
    trials = means["n_trials"].values[:, :, int(np.argmax(bins))]
    return xr.Dataset(
        {
            "task_variance": ("unit", variance, _squared(means)),
            "n_bins": ("unit", complete_times(rates).sum(axis=-1)),
            "n_conditions": means.sizes["condition"],
            "n_trials_per_condition": float(np.median(trials)),
        },
        coords=columns_on(means, "unit"),
    )


def _check_estimator(estimator: str) -> None:
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)


def _warn_of_missing(variance: xr.DataArray, n_conditions: xr.DataArray) -> None:
    """Warn of units that have no variance in a column ``(unit, column)`` of several conditions."""
    _, dim = variance.dims
    for place, column in enumerate(map(str, variance[dim].values)):
        lacking = np.isnan(variance.values[:, place])
        if lacking.any() and n_conditions.values[place] > 1:
            names = listing(variance["unit"].values[lacking], most=5)
            warnings.warn(
                f"{int(lacking.sum())} units lack a condition of task {column!r} and get NaN: "
                f"{names}",
                UnitWarning,
                stacklevel=3,
            )


def _is_noisy(variance: xr.Dataset) -> bool:
    # tables that were made by hand do not say so
    return not variance.attrs.get("deterministic", True)


def _warn_of_imbalance(variance: xr.Dataset, tasks: Sequence[str]) -> None:
    """Warn of a noisy source whose tasks differ in their numbers of trials."""
    # corrected variances have no noise that depends on trials
    if not _is_noisy(variance) or "uncorrected" in variance or TRIALS not in variance:
        return
    trials = {str(task): float(variance["n_trials_per_condition"].sel(task=task)) for task in tasks}
    fewest, most = (extreme(trials, key=trials.__getitem__) for extreme in (min, max))
    if trials[most] > IMBALANCE * trials[fewest]:
        warnings.warn(
            f"{variance.attrs['name']}: {trials[fewest]:g} trials a condition in task {fewest!r}, "
            f"{trials[most]:g} in {most!r} "
            "(medians): trial noise adds more to the variance of the task with fewer, and draws "
            "raw FTV towards it. Use nwbcompare.selectivity.corrected_task_variance, or equalise "
            "the trials with nwbcompare.selectivity.subsample_trials",
            UnitWarning,
            stacklevel=3,
        )


def one_condition(variance: xr.Dataset) -> list[str]:
    """Return the tasks of a table that have one condition, where it says so."""
    if "n_conditions" not in variance:
        return []
    tasks = variance["task"].values[variance["n_conditions"].values == 1]
    return list(dict.fromkeys(map(str, tasks)))


def warn_of_one_condition(variance: xr.Dataset, *, stacklevel: int = 3) -> None:
    """Warn of tasks with one condition, over which nothing varies.

    Parameters
    ----------
    variance
        A table with ``n_conditions (task)``.
    stacklevel
        As in `warnings.warn`, counted from this function.

    Warns
    -----
    UnitWarning
        For each such task, in one warning.

    Examples
    --------
    >>> warn_of_one_condition(xr.Dataset({"n_conditions": ("task", [4])}, {"task": ["a"]}))
    """
    if single := one_condition(variance):
        warnings.warn(
            f"{variance.attrs['name']}: one condition only in {listing(single)}, over which "
            "nothing varies: the variance is NaN for every unit. Name columns that differ between "
            "its trials with conditions=[...]",
            UnitWarning,
            stacklevel=stacklevel,
        )


def _refuse_one_condition(variance: xr.Dataset, task_a: str, task_b: str) -> None:
    if single := sorted({task_a, task_b} & set(one_condition(variance))):
        raise NotApplicableError(
            "variance",
            f"two or more conditions in both {task_a!r} and {task_b!r}",
            f"one condition in {listing(single)}",
            "Name columns that differ between its trials with task_variance(..., "
            "conditions=[...]).",
        )


def _warn_of_inactive(
    variance: xr.Dataset, inactive: npt.NDArray[np.bool_], threshold: float
) -> None:
    # of a network's units the published threshold is meant to leave many out
    if not _is_noisy(variance) or not inactive.any():
        return
    warnings.warn(
        f"{variance.attrs['name']}: {int(inactive.sum())} of {inactive.size} units have variances "
        f"that sum to no more than the threshold {threshold:g} and get no FTV: "
        f"{listing(variance['unit'].values[inactive], most=5)}. They are silent or untuned: report "
        "how many, or pass a lower threshold",
        UnitWarning,
        stacklevel=3,
    )


def check_pair(table: xr.Dataset, task_a: str, task_b: str) -> None:
    """Check that two tasks are in a table and differ.

    Parameters
    ----------
    table
        A table with the coordinate ``task``.
    task_a, task_b
        The two tasks.

    Raises
    ------
    InputError
        For an unknown task, and a task against itself.

    Examples
    --------
    >>> import xarray as xr
    >>> check_pair(xr.Dataset(coords={"task": ["a", "b"]}), "a", "b")
    """
    available = [str(task) for task in table["task"].values]
    for task in (task_a, task_b):
        if task not in available:
            raise unknown_name("task", task, available)
    if task_a == task_b:
        raise InputError(
            "task_b", f"a task other than {task_a!r}", repr(task_b), "Name two different tasks."
        )


def check_table(variance: object) -> None:
    """Check that an argument is a table of task variance.

    Parameters
    ----------
    variance
        What a user passed.

    Raises
    ------
    InputError
        If it is an activity or anything else, which the message names.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> check_table(example_block())
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: variance: expected a table of nwbcompare.task_variance, ...
    """
    if not isinstance(variance, xr.Dataset) or "task_variance" not in variance:
        raise InputError(
            "variance",
            "a table of nwbcompare.task_variance",
            kind_of(variance),
            "Compute it first: nwbcompare.task_variance(activity).",
        )


def _pair(
    variance: xr.Dataset, task_a: str, task_b: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    check_table(variance)
    check_pair(variance, task_a, task_b)
    a, b = (variance["task_variance"].sel(task=task).values for task in (task_a, task_b))
    return a, b


def _source_attrs(block: xr.Dataset) -> dict[str, Any]:
    return {name: block.attrs[name] for name in ("name", "source", "deterministic", "provenance")}
