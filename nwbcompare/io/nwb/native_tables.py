"""The tables of native NWB files: trials, epochs, units."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals

from nwbcompare.core.activity import columns_on, labels
from nwbcompare.io.nwb.format_names import EPOCHS
from nwbcompare.io.sessions.session_tables import joined_columns

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrialTimes:
    """Times of the trials of a block on the file's clock (s), each ``(trial,)``.

    Attributes
    ----------
    start, stop
        Start and stop of the trials.
    event
        Time of the event that trials are aligned to.
    """

    start: Times
    stop: Times
    event: Times

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.start)


RESERVED = ("id", "start_time", "stop_time", "event_time", "tags", "timeseries")
"""Names with a meaning in an NWB trials table."""


OF_SOURCE = "_of_source"
DURATIONS = {"trial_stop_time": "trial_duration"}
"""Names in a file of columns that count from the start of the trial, and not of the session (s)."""


def with_free_names(
    block: xr.Dataset, reserved: Sequence[str] = RESERVED
) -> tuple[xr.Dataset, dict[str, str]]:
    """Rename trial columns that would be misread in a table of trials laid end to end.

    Their clock is that of the file, so that a column ``NAME_time`` of another clock, or one whose
    name is reserved, becomes ``NAME_time_of_source``, and ``trial_stop_time`` ``trial_duration``.

    Parameters
    ----------
    block
        A block.
    reserved
        The reserved names.

    Returns
    -------
    block : xarray.Dataset
        The block with renamed columns.
    renamed : dict of str to str
        Original names by the new names.
    """
    columns = columns_on(block, _row(block))
    renamed: dict[str, str] = {}
    for name in columns:
        if name in reserved or name.endswith("_time"):
            new = DURATIONS.get(name, name + OF_SOURCE)
            while new in columns or new in renamed:
                new += "_"
            renamed[new] = name
    return block.rename({old: new for new, old in renamed.items()}), renamed


def trials_table(
    tables: Sequence[xr.Dataset],
    times: Sequence[TrialTimes],
    *,
    event: str,
    description: str,
    more: Mapping[str, tuple[str, npt.NDArray[Any]]] | None = None,
) -> TimeIntervals:
    """Return the trials table of blocks, with the trials of one block after those of another.

    Parameters
    ----------
    tables
        Blocks, which need no rates here.
    times
        Times of each block's trials.
    event
        Name of the column with the time of the event; "" for none.
    description
        Description of the table.
    more
        Further columns by name, each with its description and values.
    """
    columns = [
        VectorData(name="start_time", description="start (s)", data=_all([t.start for t in times])),
        VectorData(name="stop_time", description="stop (s)", data=_all([t.stop for t in times])),
    ]
    if event:
        text = "time (s) of the event that the trial is aligned to"
        columns.append(
            VectorData(name=event, description=text, data=_all([t.event for t in times]))
        )
    for name, (text, values) in (more or {}).items():
        columns.append(VectorData(name=name, description=text, data=_hdf5_values(values)))
    parts = [columns_on(table, _row(table)) for table in tables]
    sizes = [len(t) for t in times]
    for name in dict.fromkeys(name for part in parts for name in part):
        # text and not codes, since other programs read this table
        values_by_part = [labels(part[name]) if name in part else None for part in parts]
        attrs = next(part[name].attrs for part in parts if name in part)
        columns.append(
            VectorData(
                name=name,
                description=str(attrs.get("long_name", _described(name))),
                data=_hdf5_values(_joined(values_by_part, sizes)),
            )
        )
    return TimeIntervals(name="trials", description=description, columns=columns)


def event_times(
    tables: Sequence[xr.Dataset], times: Sequence[TrialTimes], taken: Collection[str] = ()
) -> dict[str, tuple[str, Times]]:
    """Return trial columns with the start of each epoch on the file's clock (s).

    Parameters
    ----------
    tables, times
        As for `trials_table`.
    taken
        Names of other columns of the trials table than those of the blocks.

    Returns
    -------
    dict of str to tuple
        Description, and times ``(trial,)`` by name, such as ``stim1_time``; NaN in trials without
        the epoch, or in which it starts outside the trial.
    """
    sizes = [len(when) for when in times]
    parts: dict[str, list[Times | None]] = {}
    for place, (table, when) in enumerate(zip(tables, times, strict=True)):
        names = table["epoch"].values.astype(str) if "epoch" in table.coords else ()
        for epoch, name in enumerate(names):
            start = when.event + table["epoch_start_time"].values[:, epoch]
            inside = (start >= when.start) & (start <= when.stop)
            column = parts.setdefault(event_name(name), [None] * len(tables))
            column[place] = np.where(inside, start, np.nan)
    columns = {name: joined_columns(column, sizes) for name, column in parts.items()}
    known = {*RESERVED, *taken}.union(*(columns_on(table, _row(table)) for table in tables))
    return {
        name: (f"time (s) at which the epoch {name.removesuffix('_time')} starts", column)
        for name, column in columns.items()
        if name not in known and not np.isnan(column).all()
    }


def event_name(epoch: str) -> str:
    """Return the name of the column with the start of an epoch.

    Examples
    --------
    >>> event_name("stim1"), event_name("dots on/off")
    ('stim1_time', 'dots_on_off_time')
    """
    return f"{re.sub('[^0-9A-Za-z]+', '_', epoch)}_time"


def _described(name: str) -> str:
    if name in DURATIONS.values():
        return "time (s) from the start of the trial to its stop"
    if name.endswith(OF_SOURCE):
        return f"{name.removesuffix(OF_SOURCE)} in the source, on a clock that is not this file's"
    return f"{name} of the trial"


def _joined(columns: Sequence[npt.NDArray[Any] | None], sizes: Sequence[int]) -> npt.NDArray[Any]:
    """Join a column over blocks; missing whole numbers and booleans are 0."""
    present = [column for column in columns if column is not None]
    if len(present) < len(columns) and all(column.dtype.kind in "biu" for column in present):
        # 0 keeps the type of the column, which NaN would turn to floats
        blank = present[0].dtype.type(0)
        columns = [
            np.full(size, blank) if column is None else column
            for column, size in zip(columns, sizes, strict=True)
        ]
    return joined_columns(columns, sizes)


def _row(table: xr.Dataset) -> str:
    return "observation" if "observation" in table.dims else "trial"


def add_epochs(nwb: NWBFile, tables: Sequence[xr.Dataset], times: Sequence[TrialTimes]) -> None:
    """Add the table of the epochs of every trial to a file, if there are any.

    Parameters
    ----------
    nwb
        The file.
    tables, times
        As for `trials_table`.
    """
    parts = []
    first_row = 0
    for table, when in zip(tables, times, strict=True):
        if "epoch" in table.dims:
            parts.append(_epoch_rows(table, when, first_row))
        first_row += len(when)
    if not any(len(part["trial"]) for part in parts):
        return
    descriptions = {
        "start_time": "start (s)",
        "stop_time": "stop (s)",
        "epoch": "name of the epoch",
        "trial": "row of the trial in the trials table",
        "start_from_event": "start from the trial's alignment event (s)",
        "stop_from_event": "stop from the trial's alignment event (s)",
    }
    columns = [
        VectorData(
            name=name,
            description=text,
            data=_hdf5_values(np.concatenate([part[name] for part in parts])),
        )
        for name, text in descriptions.items()
    ]
    nwb.add_time_intervals(
        TimeIntervals(name=EPOCHS, description="Epochs of the task in each trial.", columns=columns)
    )


def _epoch_rows(block: xr.Dataset, times: TrialTimes, first_row: int) -> dict[str, Any]:
    start, stop = block["epoch_start_time"].values, block["epoch_stop_time"].values
    row, epoch = np.nonzero(np.isfinite(start))
    start, stop = start[row, epoch], stop[row, epoch]
    return {
        # an epoch may start before time 0 of the clock; the exact bounds are relative to the event
        "start_time": np.maximum(times.event[row] + start, 0.0),
        "stop_time": np.maximum(times.event[row] + stop, 0.0),
        "epoch": block["epoch"].values[epoch].astype(str),
        "trial": row + first_row,
        "start_from_event": start,
        "stop_from_event": stop,
    }


def unit_columns(block: xr.Dataset, more: Mapping[str, npt.NDArray[Any]]) -> list[VectorData]:
    """Return the columns of a unit table.

    Parameters
    ----------
    block
        A block, with its unit table.
    more
        Further columns, each ``(unit,)``.
    """
    columns = {name: column.values for name, column in columns_on(block, "unit").items()}
    descriptions = {name: block[name].attrs.get("long_name") for name in columns}
    return [
        VectorData(
            name=name,
            description=str(descriptions.get(name) or f"{name} of the unit"),
            data=_hdf5_values(values),
        )
        for name, values in (columns | dict(more)).items()
    ]


def units_table(name: str, block: xr.Dataset, more: Mapping[str, npt.NDArray[Any]]) -> DynamicTable:
    """Return the unit table of a series of rates, with a row for each of its columns.

    Parameters
    ----------
    name
        Name of the table.
    block, more
        As for `unit_columns`.
    """
    return DynamicTable(
        name=name,
        description="The units: one row for each column of the rates.",
        columns=unit_columns(block, more),
    )


def _hdf5_values(values: npt.NDArray[Any]) -> Any:
    """Return text as a list, since h5py cannot write numpy's text arrays."""
    return [str(value) for value in values] if values.dtype.kind in "UTO" else values


def _all(times: Sequence[Times]) -> Times:
    return np.concatenate(times)
