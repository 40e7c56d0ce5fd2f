"""Equal numbers of trials in all tasks, since fewer trials leave more noise in a variance."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.core.activity import (
    blocks,
    is_ragged,
    labels,
    make_activity,
    row_dim,
    select,
    tasks_of,
    unit_positions,
)
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
)

AnyActivity = TypeVar("AnyActivity", xr.DataTree, xr.Dataset)
Within = Literal["condition", "task"]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """Which unit, condition and task each row of an activity has, numbered over its blocks."""

    unit: Integers
    condition: Integers
    task: Integers
    n_conditions: int
    n_tasks: int

    @property
    def key(self) -> Integers:
        """Unit and condition of each row as one number."""
        return self.unit * self.n_conditions + self.condition

    def count(self) -> Integers:
        """Count the rows ``(key, task)``."""
        size = (int(self.key.max()) + 1) * self.n_tasks
        flat = np.bincount(self.key * self.n_tasks + self.task, minlength=size)
        return flat.reshape(-1, self.n_tasks)


def subsample_trials(
    activity: AnyActivity,
    tasks: Sequence[str] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    within: Within = "condition",
    seed: int = 0,
) -> AnyActivity:
    """Draw equal numbers of trials from all tasks.

    The variance of condition means includes trial noise divided by the number of trials. A task
    with fewer trials has a larger variance, which biases FTV towards it.

    Parameters
    ----------
    activity
        An activity or a block.
    tasks
        Tasks to select and equalise; by default all.
    conditions
        See `nwbcompare.task_variance`.
    within
        "condition" (default): equal numbers in each condition (the same values of the condition
        variables in all tasks). "task": equal total numbers.
    seed
        Seed of the draw, which is without replacement.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The drawn trials, in their order. In a ragged block trials are drawn for each unit
        separately, in a dense one for all units together.

    Raises
    ------
    InputError
        For an unknown task, a single named task, and an unknown ``within``.
    NotApplicableError
        For one task only, tasks without a condition in common, and tasks of different layouts.

    Warns
    -----
    UnitWarning
        For units that lack a condition in one task: its trials are removed from all tasks. Units
        without any trial left are left out.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(task=("trial", ["a"] * 3 + ["b"] * 5))
    >>> block.attrs["condition_variables"] = '{"a": ["correct"], "b": ["correct"]}'
    >>> subsample_trials(block).sizes["trial"]
    6
    """
    check_known("within", [within], ["condition", "task"])
    selection = select(activity, task=_checked(activity, tasks))
    parts = {leaf: _recorded(block) for leaf, block in blocks(selection).items()}
    if len({is_ragged(block) for block in parts.values()}) > 1:
        raise NotApplicableError(
            "activity",
            "blocks of one layout",
            "dense and ragged ones",
            "Equalise tasks of one layout at a time.",
        )
    rows = _rows_of(parts, conditions, by_condition=within == "condition")
    in_draw = _drawn(rows, np.random.default_rng(seed))
    if not in_draw.any():
        raise NotApplicableError(
            "conditions",
            "at least one that all tasks have trials of",
            f"none that {listing(tasks_of(selection))} share",
            "Name shared columns with conditions=[...], or use within='task'.",
        )
    _warn_of_lacking(parts, rows)
    return _without_empty_units(activity, _taken(parts, in_draw))


def _recorded(block: xr.Dataset) -> xr.Dataset:
    """Return a block without trials in which nothing was recorded, which only dense blocks have."""
    if is_ragged(block):
        return block
    recorded = np.isfinite(block["rate"].values).any(axis=(1, 2))
    return block if recorded.all() else block.isel(trial=np.flatnonzero(recorded))


def _checked(activity: xr.DataTree | xr.Dataset, tasks: Sequence[str] | None) -> list[str]:
    available = tasks_of(activity)
    names = available if tasks is None else list(dict.fromkeys(tasks))
    check_known("tasks", names, available)
    if len(names) < 2:
        # one task is a property of the source, unless it was named
        error = NotApplicableError if tasks is None else InputError
        raise error("tasks", "two or more tasks", listing(names), "Name the tasks to equalise.")
    return names


def _rows_of(
    parts: dict[str, xr.Dataset], conditions: Sequence[str] | None, *, by_condition: bool
) -> _Rows:
    """Number units, conditions and tasks over the rows of all blocks."""
    numbers: dict[str, int] = {}
    columns = []
    for block in parts.values():
        text = labels(block["task"])
        # in a dense block all units share their trials
        unit = unit_positions(block) if is_ragged(block) else np.zeros(text.size, dtype=np.int64)
        condition = np.zeros_like(unit)
        if by_condition:
            table, of_row = condition_table(block, conditions)
            texts = [_as_text(table, place) for place in range(table.sizes["condition"])]
            number = np.array([numbers.setdefault(name, len(numbers)) for name in texts])
            condition = number[of_row]
        columns.append((unit, condition, text))
    unit, condition, text = (np.concatenate(column) for column in zip(*columns, strict=True))
    tasks, task = np.unique(text, return_inverse=True)
    return _Rows(unit, condition, task.reshape(-1), max(1, len(numbers)), tasks.size)


def _as_text(table: xr.Dataset, place: int) -> str:
    """Return the values of a condition as text that is the same in every task."""
    values = {str(name): table[name].values[place] for name in table.coords if name != "task"}
    numbers = {name: v if isinstance(v, str) else float(v) for name, v in values.items()}
    # a variable that a task does not use is "" or NaN there
    used = {name: v for name, v in numbers.items() if v != "" and v == v}  # noqa: PLR0124 - NaN
    return json.dumps(used, sort_keys=True)


def _drawn(rows: _Rows, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw from each unit, condition and task as many rows as the least among the tasks."""
    least = rows.count().min(axis=1)
    group = rows.key * rows.n_tasks + rows.task
    # random order within groups: the first rows of a group are a random draw
    order = np.lexsort((rng.random(group.size), group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    place = np.arange(group.size) - np.repeat(starts, np.diff(starts, append=group.size))
    in_draw = np.zeros(group.size, dtype=bool)
    in_draw[order] = place < least[rows.key[order]]
    return in_draw


def _warn_of_lacking(parts: dict[str, xr.Dataset], rows: _Rows) -> None:
    there = rows.count() > 0
    lacking = np.flatnonzero(there.any(axis=1) & ~there.all(axis=1))
    lacking = np.unique(lacking // rows.n_conditions)
    if not lacking.size:
        return
    first = next(iter(parts.values()))
    units = first["unit"].values[lacking] if is_ragged(first) else first["unit"].values
    warnings.warn(
        f"{units.size} units lack a condition in one of the tasks; none of its trials are kept: "
        f"{listing(units, most=5)}",
        UnitWarning,
        stacklevel=3,
    )


def _taken(parts: dict[str, xr.Dataset], selected: npt.NDArray[np.bool_]) -> dict[str, xr.Dataset]:
    bounds = np.cumsum([block.sizes[row_dim(block)] for block in parts.values()])
    return {
        leaf: block.isel({row_dim(block): np.flatnonzero(mine)})
        for (leaf, block), mine in zip(parts.items(), np.split(selected, bounds[:-1]), strict=True)
    }


def _without_empty_units(activity: AnyActivity, parts: dict[str, xr.Dataset]) -> AnyActivity:
    """Remove units without trials from all unit tables, which must stay the same."""
    first = next(iter(parts.values()))
    if is_ragged(first):
        left = np.unique(np.concatenate([unit_positions(block) for block in parts.values()]))
        parts = {leaf: block.isel(unit=left) for leaf, block in parts.items()}
    if isinstance(activity, xr.Dataset):
        return next(iter(parts.values()))
    return make_activity(parts)
