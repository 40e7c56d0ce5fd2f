"""Selection of the units and trials of an activity, with a record of what was left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    blocks,
    condition_variables_of,
    is_of_task,
    labels,
    make_activity,
    row_dim,
    select,
    tasks_of,
)
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.observations import observations
from nwbcompare.core.schema import AnyActivity

RECORD = "selection"
"""Key of the record in an activity's provenance."""
Numbers = npt.NDArray[np.float64]


def select_units(
    activity: AnyActivity,
    *,
    min_trials: int | None = None,
    min_rate: float | None = None,
    **columns: Any,
) -> AnyActivity:
    """Select units by their columns, numbers of trials and rates, and record what was left out.

    Parameters
    ----------
    activity
        An activity or a block.
    min_trials
        Least number of trials that a unit has in each condition of each task, after the selection
        by columns. Conditions are those of the activity's condition variables that any unit has.
    min_rate
        Least mean rate of a unit (spikes/s) over trials, bins and tasks, NaN left out.
    **columns
        Columns of the unit table or of the trials, each with a value or a list of values to keep,
        such as ``quality="single"`` or ``correct=True``; see `nwbcompare.select`.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The selection, of the type of ``activity``. Its provenance has, under ``selection``, each
        criterion with the numbers of units and trials before and after it; reports say them in
        words.

    Raises
    ------
    InputError
        If a minimum is not positive, a column does not exist, or no unit is left.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> select_units(example_block(), min_trials=2, area="A").sizes["unit"]
    2
    """
    for name, value in {"min_trials": min_trials, "min_rate": min_rate}.items():
        if value is not None and not value > 0:
            raise InputError(name, "a number above 0", repr(value), "Leave it out for no minimum.")
    selection = activity
    for name, value in columns.items():
        values = value if isinstance(value, list | tuple | set) else [value]
        reason = f"{name} other than {listing([str(one) for one in values])}"
        selection = _recorded(selection, reason, partial(select, **{name: value}))
    if min_trials is not None:
        reason = f"fewer than {min_trials} trials in a condition"
        selection = _recorded(
            selection, reason, lambda one: _at_least(one, _least_trials(one), min_trials, "trials")
        )
    if min_rate is not None:
        reason = f"a mean rate below {min_rate:g} spikes/s"
        selection = _recorded(
            selection, reason, lambda one: _at_least(one, _mean_rates(one), min_rate, "spikes/s")
        )
    return selection


def selection_texts(provenance: dict[str, Any]) -> list[str]:
    """Return a sentence for each criterion by which units or trials of an activity were left out.

    Examples
    --------
    >>> step = {"reason": "rare", "before": {"units": 5}, "after": {"units": 3}}
    >>> selection_texts({"selection": [step]})
    ['Left out: 2 of 5 units (rare).']
    """
    texts = []
    for step in provenance.get(RECORD, []):
        before, after = step["before"], step["after"]
        # trials of units that are left out are not a matter of their own
        what = next((name for name in before if before[name] > after[name]), None)
        if what is not None:
            n = before[what] - after[what]
            texts.append(f"Left out: {n} of {before[what]} {what} ({step['reason']}).")
    return texts


def _recorded(
    activity: AnyActivity, reason: str, choose: Callable[[AnyActivity], Any]
) -> AnyActivity:
    """Return a selection whose provenance has the step."""
    selection = choose(activity)
    step = {"reason": reason, "before": _sizes(activity), "after": _sizes(selection)}

    def with_step(block: xr.Dataset) -> xr.Dataset:
        provenance = json.loads(block.attrs["provenance"])
        steps = [*provenance.get(RECORD, []), step]
        return block.assign_attrs(provenance=json.dumps(provenance | {RECORD: steps}))

    if isinstance(selection, xr.Dataset):
        return cast("AnyActivity", with_step(selection))
    parts = {leaf: with_step(block) for leaf, block in blocks(selection).items()}
    return cast("AnyActivity", make_activity(parts))


def _sizes(activity: AnyActivity) -> dict[str, int]:
    """Return the numbers of units, and of trials or observations (of a unit in a trial)."""
    parts = list(blocks(activity).values())
    return {
        "units": max(block.sizes["unit"] for block in parts),
        f"{row_dim(parts[0])}s": sum(block.sizes[row_dim(block)] for block in parts),
    }


def _at_least(activity: AnyActivity, values: dict[str, float], least: float, unit: str) -> Any:
    """Return the units whose value is not below a minimum."""
    kept = [name for name, value in values.items() if value >= least]
    if not kept:
        most = max(values.values())
        raise InputError(
            "select_units",
            f"a unit with at least {least:g} {unit}",
            f"at most {most:g}",
            "Lower the minimum.",
        )
    return select(activity, units=kept)


def _least_trials(activity: AnyActivity) -> dict[str, float]:
    """Return the number of trials of each unit in its rarest condition."""
    least: dict[str, float] = {}
    for block in blocks(activity).values():
        _, unit, trial = observations(block)
        condition = _conditions(block)[trial]
        counts = np.zeros((block.sizes["unit"], int(condition.max(initial=-1)) + 1))
        # -1: a variable is missing
        np.add.at(counts, (unit[condition >= 0], condition[condition >= 0]), 1)
        counts = counts[:, counts.any(axis=0)]
        for name, numbers in zip(block["unit"].values.tolist(), counts, strict=True):
            least[name] = min(least.get(name, np.inf), float(numbers.min(initial=np.inf)))
    return least


def _conditions(block: xr.Dataset) -> npt.NDArray[np.int64]:
    """Return the number of each trial's condition, of all tasks; -1 where a variable is missing."""
    variables = condition_variables_of(block)
    numbers = np.full(block["task"].shape, -1, dtype=np.int64)
    n_conditions = 0
    for task in tasks_of(block):
        rows = np.flatnonzero(is_of_task(block, task))
        names = variables.get(task, [])
        table = np.empty((rows.size, len(names)))
        for place, name in enumerate(names):
            table[:, place] = _codes(labels(block[name])[rows])
        is_known = np.isfinite(table).all(axis=1)
        _, places = np.unique(table[is_known], axis=0, return_inverse=True)
        numbers[rows[is_known]] = n_conditions + places.ravel()
        n_conditions += int(places.max(initial=-1)) + 1
    return numbers


def _codes(values: npt.NDArray[Any]) -> Numbers:
    """Return values as numbers; text as the places of its sorted values."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _mean_rates(activity: AnyActivity) -> dict[str, float]:
    """Return the mean rate of each unit over trials, bins and tasks."""
    totals: dict[str, Numbers] = {}
    for block in blocks(activity).values():
        rates, unit, _ = observations(block)
        size = block.sizes["unit"]
        sums = [
            np.bincount(unit, np.nansum(rates, axis=1, dtype=np.float64), size),
            np.bincount(unit, np.isfinite(rates).sum(axis=1), size),
        ]
        for name, pair in zip(block["unit"].values.tolist(), np.stack(sums, axis=1), strict=True):
            totals[name] = totals.get(name, np.zeros(2)) + pair
    return {name: float(total / n) if n else 0.0 for name, (total, n) in totals.items()}
