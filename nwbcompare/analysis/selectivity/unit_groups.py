"""Groups of units that are selective for one task, for the other, or for both."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD, check_pair
from nwbcompare.core.activity import columns_on
from nwbcompare.core.errors import UnitWarning, listing

GROUPS = ("1", "2", "12")
"""The groups of a pair of tasks: units of the first, of the second, and of both."""
# Yang et al. 2019, as the next; bounds are excluded
ONE_TASK = (0.1, 0.9)
BOTH_TASKS = (0.4, 0.6)


def unit_groups(
    variance: xr.Dataset, task_a: str, task_b: str, *, threshold: float = ACTIVE_THRESHOLD
) -> xr.Dataset:
    """Group units by whether they are selective for one task, the other, or both.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance`, of a network or a recording.
    task_a, task_b
        The two tasks.
    threshold
        Units whose variances sum to no more than this are inactive and in no group; the
        published 1e-3 is absolute.

    Returns
    -------
    xarray.Dataset
        ``group (unit)``: "1", "2", "12", or "" for none; ``normalised_variance (unit)``, the first
        task's share of the variance in both, NaN where inactive; ``task_variance (unit, task)`` of
        the two tasks; ``group_size (group_label)``, which may be 0; the columns of the unit table.

    Raises
    ------
    InputError
        For an unknown task, and a task against itself.

    Warns
    -----
    UnitWarning
        For units that lack a task; they are in no group.

    Notes
    -----
    Yang et al. 2019: with ``TV(1) / (TV(1) + TV(2))``, group 1 is above 0.9, group 2 below 0.1,
    and group 12 between 0.4 and 0.6, bounds excluded.

    Examples
    --------
    >>> import xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3.0, 0.1], [1.0, 1.0]])},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> unit_groups(tv, "a", "b")["group"].values.tolist()
    ['1', '12']
    """
    check_pair(variance, task_a, task_b)
    pair = variance[["task_variance"]].sel(task=[task_a, task_b])
    pair = pair.transpose("unit", "task")
    share = _share_of_first(pair["task_variance"].values, threshold)
    _warn_of_lacking(pair, task_a, task_b)
    group = np.full(share.size, "", dtype="U2")
    group[share > ONE_TASK[1]] = "1"
    group[share < ONE_TASK[0]] = "2"
    group[(share > BOTH_TASKS[0]) & (share < BOTH_TASKS[1])] = "12"
    return xr.Dataset(
        {
            "group": ("unit", group),
            "normalised_variance": ("unit", share, {"units": "1"}),
            "task_variance": pair["task_variance"].variable,
            "group_size": ("group_label", [int((group == name).sum()) for name in GROUPS]),
        },
        coords={
            **columns_on(variance, "unit"),
            "task": pair["task"],
            "group_label": ("group_label", list(GROUPS)),
        },
        attrs={
            **variance.attrs,
            "analysis": "unit_groups",
            "task_a": task_a,
            "task_b": task_b,
            "threshold": threshold,
        },
    )


def _share_of_first(pair: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.float64]:
    total = pair.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > threshold, pair[:, 0] / total, np.nan)


def _warn_of_lacking(pair: xr.Dataset, task_a: str, task_b: str) -> None:
    lacking = np.isnan(pair["task_variance"].values).any(axis=1)
    if lacking.any():
        warnings.warn(
            f"{int(lacking.sum())} units lack {task_a!r} or {task_b!r} and are in no group: "
            f"{listing(pair['unit'].values[lacking], most=5)}",
            UnitWarning,
            stacklevel=3,
        )
