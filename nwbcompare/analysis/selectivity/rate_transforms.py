"""Transformations of rates that remove the effect of mean rates on variances."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.core.activity import (
    blocks,
    is_ragged,
    labels,
    make_activity,
    select,
    tasks_of,
    unit_positions,
)
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import NotApplicableError, UnitWarning, listing

AnyActivity = TypeVar("AnyActivity", xr.DataTree, xr.Dataset)
Method = Literal["anscombe", "freeman_tukey", "square_root"]
METHODS = ("anscombe", "freeman_tukey", "square_root")
# Anscombe 1948: the constant with the most even variance
ANSCOMBE = 3 / 8
WHOLE = 1e-3
"""Counts this near to whole numbers are whole: rates are kept as float32."""
Floats = npt.NDArray[np.floating[Any]]


def stabilise_variance(activity: AnyActivity, *, method: Method = "anscombe") -> AnyActivity:
    """Transform spike counts by a square root, so that their noise does not grow with the rate.

    The variance of spike counts grows with their mean, and so does that of trial means: a task with
    higher rates gets a larger task variance. The square root of a Poisson count has a variance of
    about 1/4 whatever its mean.

    Parameters
    ----------
    activity
        An activity or a block with rates of 0 or more.
    method
        For rates in spikes/s, with n = rate * bin width: "anscombe" (default), sqrt(n + 3/8), whose
        variance is nearest to constant from about 1 spike per bin on; "freeman_tukey", (sqrt(n) +
        sqrt(n + 1)) / 2, for whole counts only; "square_root", sqrt(n).

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The same trials, with rates that are square roots of spikes per bin (units "1", attribute
        ``transform`` "sqrt(spikes)").

    Raises
    ------
    InputError
        For an unknown method.
    NotApplicableError
        For negative rates, and for "freeman_tukey" of counts that are not whole.

    Notes
    -----
    Anscombe (1948); Freeman & Tukey (1950), here halved to the scale of a square root.

    For smoothed rates, which are not counts, the transformation is approximate; 3/8 is used
    although their noise is smaller. Its variance is then about 1/4 of the sum of the squared
    smoothing weights. Rates of a network (units "1") are not spike counts: for any method their
    plain square root is taken, so that the FTV does not depend on a common scale of all rates.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> stabilise_variance(example_block())["rate"].attrs["transform"]
    'sqrt(rate)'
    """
    check_known("method", [method], METHODS)
    parts = {leaf: _stabilised(block, method) for leaf, block in blocks(activity).items()}
    return _as_given(activity, parts)


def match_rates(activity: AnyActivity, tasks: Sequence[str] | None = None) -> AnyActivity:
    """Divide each unit's rates in a task by its mean rate there.

    Task variance becomes a squared coefficient of variation. A difference in gain between tasks,
    which multiplies all rates of a unit, then has no effect on FTV.

    Parameters
    ----------
    activity
        An activity or a block with rates of 0 or more.
    tasks
        Tasks to select; by default all.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        Rates relative to the unit's mean in the task (units "1"): the mean of its condition means
        over the bins that `nwbcompare.task_variance` counts (without fixation), each condition with
        equal weight.

    Raises
    ------
    InputError
        For an unknown task.
    NotApplicableError
        For negative rates, and where no unit fires in all tasks.

    Warns
    -----
    UnitWarning
        For units that are silent in a task and so have no mean to divide by; they are left out.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> float(match_rates(example_block())["rate"].sel(time=slice(0.1, None)).mean().round(6))
    1.0
    """
    available = tasks_of(activity)
    check_known("tasks", tasks or (), available)
    selection = select(activity, task=available if tasks is None else list(tasks))
    mean = _mean_rates(selection)
    silent = ~(np.stack(list(mean.values())) > 0).all(axis=0)
    units = next(iter(blocks(selection).values()))["unit"].values
    if silent.all():
        raise NotApplicableError(
            "activity",
            "units that fire in all tasks",
            "none",
            "Leave tasks out in which nothing fires.",
        )
    if silent.any():
        warnings.warn(
            f"{int(silent.sum())} units are silent in a task, or lack a condition of it, and are "
            f"left out: {listing(units[silent], most=5)}",
            UnitWarning,
            stacklevel=2,
        )
    divided = {leaf: _divided(block, mean) for leaf, block in blocks(selection).items()}
    return select(_as_given(activity, divided), units=[str(unit) for unit in units[~silent]])  # type: ignore[return-value]


def _as_given(activity: AnyActivity, parts: dict[str, xr.Dataset]) -> AnyActivity:
    if isinstance(activity, xr.Dataset):
        return next(iter(parts.values()))
    return make_activity(parts)


def _stabilised(block: xr.Dataset, method: Method) -> xr.Dataset:
    rate = _positive(block)
    # rates of a network are no counts, to which a constant could be added
    if block["rate"].attrs["units"] == "1":
        return _with_rate(block, np.sqrt(rate), transform="sqrt(rate)")
    # float32 as the rates: float64 would take twice their memory
    count = rate * np.float32(block["time"].attrs["bin_width_s"])
    if method == "freeman_tukey":
        _check_whole(count)
        root = (np.sqrt(count) + np.sqrt(count + 1)) / 2
    else:
        root = np.sqrt(count + ANSCOMBE if method == "anscombe" else count)
    return _with_rate(block, root, transform="sqrt(spikes)")


def _positive(block: xr.Dataset) -> Floats:
    rate: Floats = block["rate"].values
    negative = int((rate < 0).sum())
    if negative:
        raise NotApplicableError(
            "rate",
            "rates of 0 or more",
            f"{negative} negative ones, down to {np.nanmin(rate):g}",
            "Rates of tanh units, or relative to a baseline, have no such scale: leave this "
            "analysis out.",
        )
    return rate


def _check_whole(count: Floats) -> None:
    away = np.abs(count - np.rint(count))
    if np.nanmax(away, initial=0) > WHOLE:
        raise NotApplicableError(
            "method 'freeman_tukey'",
            "whole counts of spikes in each bin",
            f"counts up to {np.nanmax(away):.2g} away from whole",
            "Load unsmoothed rates (smooth_s=0), or use method='anscombe'.",
        )


def _with_rate(block: xr.Dataset, rate: Floats, **attrs: str) -> xr.Dataset:
    values = rate.astype(np.float32, copy=False)
    return block.assign(rate=(block["rate"].dims, values, {"units": "1", **attrs}))


def _mean_rates(activity: xr.DataTree | xr.Dataset) -> dict[str, npt.NDArray[np.float64]]:
    """Compute, for each task, the units' mean rates over conditions and counted times."""
    for block in blocks(activity).values():
        _positive(block)
    means_of_task = {}
    for task, means, bins in means_by_task(activity):
        by_time = means["rate_mean"].values[:, :, bins].mean(axis=1)
        observed = np.isfinite(by_time)
        with np.errstate(invalid="ignore"):
            means_of_task[task] = np.where(observed, by_time, 0).sum(axis=1) / observed.sum(axis=1)
    return means_of_task


def _divided(block: xr.Dataset, mean: dict[str, npt.NDArray[np.float64]]) -> xr.Dataset:
    tasks, task = np.unique(labels(block["task"]), return_inverse=True)
    table = np.stack([mean[str(name)] for name in tasks])
    # units without a mean are removed later; the divisor must only differ from 0
    table = np.where(table > 0, table, 1.0).astype(np.float32)
    task = task.reshape(-1)
    by = table[task, unit_positions(block)] if is_ragged(block) else table[task]
    return _with_rate(block, block["rate"].values / by[:, None], transform="rate / task mean")
