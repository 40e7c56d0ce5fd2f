"""The tables of native NWB files: trials, epochs, units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """When the rows of a block's trials table take place, on the file's clock (s)."""

    start: Times
    stop: Times
    event: Times

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.start)


RESERVED = ("id", "start_time", "stop_time", "event_time", "tags", "timeseries")
"""Names that a trials table gives a meaning of its own."""


def with_free_names(
    block: xr.Dataset, taken: Sequence[str] = RESERVED
) -> tuple[xr.Dataset, dict[str, str]]:
    """Rename trial columns whose names the trials table has taken.

    Parameters
    ----------
    block
        A block.
    taken
        The names that are taken.

    Returns
    -------
    block
        With ``source_NAME`` for each of them.
    renamed
        The old names by the new ones.
    """
    columns = columns_on(block, _row(block))
    renamed = {f"source_{name}": name for name in columns if name in taken}
    return block.rename({old: new for new, old in renamed.items()}), renamed


def trials_table(
    tables: Sequence[xr.Dataset],
    times: Sequence[TrialTimes],
    *,
    event: str,
    description: str,
    more: Mapping[str, tuple[str, npt.NDArray[Any]]] | None = None,
) -> TimeIntervals:
    """Make the trials table of blocks, one block's rows after another's.

    Parameters
    ----------
    tables
        Blocks, or what they hold beside rates: their trial columns.
    times
        When each one's rows take place.
    event
        Name of the column with the time of the event; "" for none.
    description
        Of the table.
    more
        Further columns, each with what it is.
    """
    columns = [
        VectorData(name="start_time", description="start (s)", data=_all([t.start for t in times])),
        VectorData(name="stop_time", description="stop (s)", data=_all([t.stop for t in times])),
    ]
    if event:
        about = "time (s) of the event that the trial is aligned to"
        columns.append(
            VectorData(name=event, description=about, data=_all([t.event for t in times]))
        )
    for name, (about, values) in (more or {}).items():
        columns.append(VectorData(name=name, description=about, data=listed(values)))
    parts = [columns_on(table, _row(table)) for table in tables]
    sizes = [len(t) for t in times]
    for name in dict.fromkeys(name for part in parts for name in part):
        own = [labels(part[name]) if name in part else None for part in parts]
        attrs = next(part[name].attrs for part in parts if name in part)
        columns.append(
            VectorData(
                name=name,
                description=str(attrs.get("long_name", f"{name} of the trial")),
                data=listed(_joined(own, sizes)),
            )
        )
    return TimeIntervals(name="trials", description=description, columns=columns)


def _joined(columns: Sequence[npt.NDArray[Any] | None], sizes: Sequence[int]) -> npt.NDArray[Any]:
    """Join a column over blocks; whole numbers and booleans that a block lacks are 0 there."""
    there = [column for column in columns if column is not None]
    if len(there) < len(columns) and all(column.dtype.kind in "biu" for column in there):
        blank = there[0].dtype.type(0)
        columns = [
            np.full(size, blank) if column is None else column
            for column, size in zip(columns, sizes, strict=True)
        ]
    return joined_columns(columns, sizes)


def _row(table: xr.Dataset) -> str:
    return "observation" if "observation" in table.dims else "trial"


def add_epochs(nwb: NWBFile, tables: Sequence[xr.Dataset], times: Sequence[TrialTimes]) -> None:
    """Add the table of the epochs of every trial, where there are any."""
    parts = []
    first_row = 0
    for table, when in zip(tables, times, strict=True):
        if "epoch" in table.dims:
            parts.append(_epoch_rows(table, when, first_row))
        first_row += len(when)
    if not any(len(part["trial"]) for part in parts):
        return
    about = {
        "start_time": "start (s)",
        "stop_time": "stop (s)",
        "epoch": "name of the epoch",
        "trial": "row of the trial in the trials table",
        "start_from_event": "start from the trial's alignment event (s)",
        "stop_from_event": "stop from the trial's alignment event (s)",
    }
    columns = [
        VectorData(
            name=name, description=text, data=listed(np.concatenate([part[name] for part in parts]))
        )
        for name, text in about.items()
    ]
    nwb.add_time_intervals(
        TimeIntervals(name=EPOCHS, description="Epochs of the task in each trial.", columns=columns)
    )


def _epoch_rows(block: xr.Dataset, times: TrialTimes, first_row: int) -> dict[str, Any]:
    start, stop = block["epoch_start_time"].values, block["epoch_stop_time"].values
    row, epoch = np.nonzero(np.isfinite(start))
    start, stop = start[row, epoch], stop[row, epoch]
    return {
        # an epoch may begin before the clock does: its exact bounds are the event's columns
        "start_time": np.maximum(times.event[row] + start, 0.0),
        "stop_time": np.maximum(times.event[row] + stop, 0.0),
        "epoch": block["epoch"].values[epoch].astype(str),
        "trial": row + first_row,
        "start_from_event": start,
        "stop_from_event": stop,
    }


def unit_columns(block: xr.Dataset, more: Mapping[str, npt.NDArray[Any]]) -> list[VectorData]:
    """Make the columns of a table of units: the block's own, and more."""
    own = {name: column.values for name, column in columns_on(block, "unit").items()}
    described = {name: block[name].attrs.get("long_name") for name in own}
    return [
        VectorData(
            name=name,
            description=str(described.get(name) or f"{name} of the unit"),
            data=listed(values),
        )
        for name, values in (own | dict(more)).items()
    ]


def units_table(name: str, block: xr.Dataset, more: Mapping[str, npt.NDArray[Any]]) -> DynamicTable:
    """Make the table of the units whose rates a series holds, one row a column of it."""
    return DynamicTable(
        name=name,
        description="The units: one row for each column of the rates.",
        columns=unit_columns(block, more),
    )


def listed(values: npt.NDArray[Any]) -> Any:
    """Give text as a list: HDF5 has no type for numpy's text arrays."""
    return [str(value) for value in values] if values.dtype.kind in "UTO" else values


def _all(times: Sequence[Times]) -> Times:
    return np.concatenate(times)
