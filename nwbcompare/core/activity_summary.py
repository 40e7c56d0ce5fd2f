"""What an activity has: tasks, conditions with their trials, units, epochs, bins, sessions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    WINDOW_EPOCH,
    Activity,
    blocks,
    codes_and_categories,
    columns_on,
    condition_variables_of,
    epoch_names,
    is_ragged,
    labels,
    row_dim,
    unit_positions,
    unit_table,
    window_bounds,
)
from nwbcompare.core.conditions import candidate_columns
from nwbcompare.core.errors import listing
from nwbcompare.core.lazy import is_in_memory

MOST_CONDITIONS = 12
"""Number of conditions that a summary writes out."""
SUBJECT_COLUMNS = ("subject", "animal", "monkey")
"""Columns that name the animal, in order of preference."""


@dataclass(frozen=True, kw_only=True)
class ConditionSummary:
    """A condition: the values of its variables as text, and its trials.

    Attributes
    ----------
    label
        The values, such as "side=left, coherence=0.1".
    n_trials
        Trials; where units have different trials, the median over units.
    """

    label: str
    n_trials: float


@dataclass(frozen=True, kw_only=True)
class EpochSummary:
    """An epoch of a task.

    Attributes
    ----------
    name
        The epoch.
    start_s, stop_s
        Its bounds (s) from the event: the least start and the last stop of any trial.
    is_equal
        Whether they are the same in all trials of the task.
    n_lacking
        Trials without it.
    """

    name: str
    start_s: float
    stop_s: float
    is_equal: bool
    n_lacking: int

    def __str__(self) -> str:
        """Name and bounds."""
        text = f"{self.name} {self.start_s:g} to {self.stop_s:g} s"
        text += "" if self.is_equal else ", other bounds in each trial"
        return text + (f", lacking in {self.n_lacking} trials" if self.n_lacking else "")


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """A task of a block.

    Attributes
    ----------
    name
        The task.
    n_trials
        Trials; where units have different trials, rows of one unit and trial.
    variables
        The condition variables.
    conditions
        Their combinations that occur.
    candidates
        Without condition variables: the columns that could be some, with their numbers of values.
    epochs
        The epochs that the task has.
    """

    name: str
    n_trials: int
    variables: tuple[str, ...]
    conditions: tuple[ConditionSummary, ...]
    candidates: dict[str, int]
    epochs: tuple[EpochSummary, ...]

    def conditions_text(self) -> str:
        """Return the conditions as text."""
        if not self.variables:
            few = listing(f"{name} ({n} values)" for name, n in self.candidates.items())
            return "none named" + (f"; columns with few values: {few}" if self.candidates else "")
        numbers = [one.n_trials for one in self.conditions]
        by = f"{len(numbers)} of {listing(self.variables)}"
        if len(numbers) > MOST_CONDITIONS:
            least, most = f"{min(numbers):g}", f"{max(numbers):g}"
            return f"{by}, trials of each: {least if least == most else f'{least} to {most}'}"
        return f"{by}: " + listing(f"{one.label} ({one.n_trials:g})" for one in self.conditions)


@dataclass(frozen=True, kw_only=True)
class BlockSummary:
    """A block: one clock.

    Attributes
    ----------
    leaf
        Its name in the activity.
    sizes
        Its dimensions.
    n_bins, bin_width_s, window_s, aligned_to
        The time axis, in s from the event.
    rate_units
        "spikes/s" or "1".
    storage
        "in memory", "not in memory, read when indexed" or "in dask chunks".
    has_epochs
        Whether it names epochs; else the window is the only one.
    tasks
        Its tasks.
    """

    leaf: str
    sizes: dict[str, int]
    n_bins: int
    bin_width_s: float
    window_s: tuple[float, float]
    aligned_to: str
    rate_units: str
    storage: str
    has_epochs: bool
    tasks: tuple[TaskSummary, ...]

    def lines(self) -> list[str]:
        """Return the block as lines of text."""
        start, stop = self.window_s
        sizes = ", ".join(f"{dim} {size}" for dim, size in self.sizes.items())
        unit = "trials" if "unit" in self.sizes else "rows of one unit and trial"
        lines = [
            f"{self.leaf}: rates ({sizes}), {_rate_text(self.rate_units)}, {self.storage}",
            f"  {self.n_bins} bins of {self.bin_width_s:g} s, {start:g} to {stop:g} s from "
            f"{self.aligned_to!r}",
        ]
        for task in self.tasks:
            epochs = "; ".join(map(str, task.epochs)) or "none"
            if not self.has_epochs:
                epochs += " (no epochs are named: the window is the epoch)"
            lines += [
                f"  task {task.name!r}: {task.n_trials} {unit}",
                f"    conditions: {task.conditions_text()}",
                f"    epochs: {epochs}",
            ]
        return lines


@dataclass(frozen=True, kw_only=True)
class ActivitySummary:
    """What an activity has; printed, it is a short text.

    Attributes
    ----------
    name, source
        Its name, and "recording" or "model".
    is_deterministic
        Whether its rates are without noise.
    n_units
        Units.
    n_sessions, n_subjects
        Sessions and animals of a recording; None where no column names them.
    blocks
        Its blocks.
    """

    name: str
    source: str
    is_deterministic: bool
    n_units: int
    n_sessions: int | None
    n_subjects: int | None
    blocks: tuple[BlockSummary, ...]

    def __str__(self) -> str:
        """All of it, as lines of text."""
        tasks = {task.name for block in self.blocks for task in block.tasks}
        counts = [_count(self.n_units, "unit"), _count(len(tasks), "task")]
        counts += [] if self.n_sessions is None else [_count(self.n_sessions, "session")]
        counts += [] if self.n_subjects is None else [_count(self.n_subjects, "subject")]
        noise = ", without noise" if self.is_deterministic else ""
        lines = [f"{self.name} ({self.source}{noise}): {', '.join(counts)}"]
        return "\n".join([*lines, *(line for block in self.blocks for line in block.lines())])

    __repr__ = __str__


def describe(activity: Activity) -> ActivitySummary:
    """Describe an activity: tasks, conditions with their trials, units, epochs, bins, sessions.

    Rates are not read.

    Parameters
    ----------
    activity
        An activity or a block.

    Returns
    -------
    ActivitySummary
        Its attributes are plain values; printed, it is a text. In a notebook
        ``activity.nwbcompare`` prints it.

    Raises
    ------
    InputError
        If it is no activity.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> describe(example_block().isel(trial=slice(4)))
    example (model): 3 units, 1 task
    example: rates (trial 4, time 5, unit 3), dimensionless, in memory
      5 bins of 0.1 s, 0 to 0.5 s from 'trial start'
      task 'go': 4 trials
        conditions: 4 of direction: direction=0 (1), direction=1.571 (1), direction=3.142 (1), \
direction=4.712 (1)
        epochs: fix1 0 to 0.1 s; stim1 0.1 to 0.5 s
    """
    parts = blocks(activity)
    first = next(iter(parts.values()))
    is_recorded = first.attrs["source"] == "recording"
    units = [str(unit) for block in parts.values() for unit in block["unit"].values]
    return ActivitySummary(
        name=str(first.attrs["name"]),
        source=str(first.attrs["source"]),
        is_deterministic=bool(first.attrs["deterministic"]),
        n_units=len(set(units)),
        n_sessions=_number_of(parts, ("session",)) if is_recorded else None,
        n_subjects=_number_of(parts, SUBJECT_COLUMNS) if is_recorded else None,
        blocks=tuple(_of_block(leaf, block) for leaf, block in parts.items()),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _rate_text(units: str) -> str:
    return "dimensionless" if units == "1" else units


def _number_of(parts: dict[str, xr.Dataset], names: tuple[str, ...]) -> int | None:
    """Return the number of values of the first of the columns that there is."""
    for name in names:
        values: set[str] = set()
        for block in parts.values():
            columns = unit_table(block) | columns_on(block, row_dim(block))
            if name in columns:
                values |= set(np.unique(labels(columns[name]).astype(str)).tolist())
        if values:
            return len(values)
    return None


def _of_block(leaf: str, block: xr.Dataset) -> BlockSummary:
    rate: Any = block["rate"]
    if rate.chunks is not None:
        storage = "in dask chunks"
    else:
        is_loaded = is_in_memory(rate.variable)
        storage = "in memory" if is_loaded else "not in memory, read when indexed"
    return BlockSummary(
        leaf=leaf,
        sizes={str(dim): size for dim, size in rate.sizes.items()},
        n_bins=block.sizes["time"],
        bin_width_s=float(block["time"].attrs["bin_width_s"]),
        window_s=window_bounds(block),
        aligned_to=str(block["time"].attrs["aligned_to"]),
        rate_units=str(rate.attrs["units"]),
        storage=storage,
        has_epochs="epoch" in block.coords,
        tasks=tuple(_of_tasks(block)),
    )


def _of_tasks(block: xr.Dataset) -> list[TaskSummary]:
    codes, categories = codes_and_categories(block["task"])
    variables = condition_variables_of(block)
    candidates = {} if any(variables.values()) else candidate_columns(block)
    return [
        TaskSummary(
            name=categories[code],
            n_trials=int((codes == code).sum()),
            variables=tuple(variables.get(categories[code], ())),
            conditions=_conditions(block, variables.get(categories[code], []), codes == code),
            candidates=candidates,
            epochs=tuple(_epochs(block, codes == code)),
        )
        for code in np.unique(codes)
    ]


def _conditions(
    block: xr.Dataset, variables: list[str], rows: npt.NDArray[np.bool_]
) -> tuple[ConditionSummary, ...]:
    """Count the trials of each combination of values; of a ragged block, the median over units."""
    if not variables:
        return ()
    values = [labels(block[name])[rows] for name in variables]
    numbers = np.stack([np.unique(one, return_inverse=True)[1].reshape(-1) for one in values])
    _, first, number = np.unique(numbers, axis=1, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    if is_ragged(block):
        n_units = block.sizes["unit"]
        flat = number * n_units + unit_positions(block)[rows]
        counts = np.bincount(flat, minlength=first.size * n_units).reshape(first.size, n_units)
        trials = [float(np.median(row[row > 0])) for row in counts]
    else:
        trials = np.bincount(number).astype(float).tolist()
    return tuple(
        ConditionSummary(
            label=", ".join(
                f"{name}={_value_text(one[place])}"
                for name, one in zip(variables, values, strict=True)
            ),
            n_trials=n_trials,
        )
        for place, n_trials in zip(first, trials, strict=True)
    )


def _value_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _epochs(block: xr.Dataset, rows: npt.NDArray[np.bool_]) -> list[EpochSummary]:
    if "epoch" not in block.coords:
        start, stop = window_bounds(block)
        return [
            EpochSummary(name=WINDOW_EPOCH, start_s=start, stop_s=stop, is_equal=True, n_lacking=0)
        ]
    found = []
    for place, name in enumerate(epoch_names(block)):
        start, stop = (block[f"epoch_{w}_time"].values[rows, place] for w in ("start", "stop"))
        is_there = np.isfinite(start)
        if is_there.any():
            start, stop = start[is_there], stop[is_there]
            found.append(
                EpochSummary(
                    name=name,
                    start_s=float(start.min()),
                    stop_s=float(stop.max()),
                    is_equal=math.isclose(np.ptp(start) + np.ptp(stop), 0, abs_tol=1e-6),
                    n_lacking=int((~is_there).sum()),
                )
            )
    return found
