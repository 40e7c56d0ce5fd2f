"""The table of trials of an NWB file, which may have any name, and its intervals without data."""

from __future__ import annotations

import warnings

import h5py
import numpy as np

from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.hdf5_input import address, damaged, dataset, member, members
from nwbcompare.core.remote_path import Location
from nwbcompare.io.nwb.table_columns import flat_column
from nwbcompare.io.sessions.recorded_signals import Times
from nwbcompare.kernels.spikes import merge_intervals

TRIALS = "intervals/trials"
INVALID = "invalid_times"
PLACES = ("intervals", "acquisition", "stimulus/presentation", "analysis")
"""Groups in which tables of intervals lie, beside the processing modules."""


def find_trials(file: h5py.File, path: Location, name: str | None = None) -> h5py.Group:
    """Return the table of trials.

    Parameters
    ----------
    file
        The open file.
    path
        Its path.
    name
        Name or path of a table of intervals (NWB's TimeIntervals), e.g. "epochs"; by default
        ``/intervals/trials``, else the only such table but ``invalid_times``.

    Raises
    ------
    InputError
        If there is none, or none of this name, or there are several to choose from.

    Warns
    -----
    UserWarning
        If no table is called trials, and the only other one is taken.
    """
    table = member(file, TRIALS)
    if name is None and isinstance(table, h5py.Group):
        return table
    tables = interval_tables(file)
    wanted = None if name is None else name.strip("/")
    # the last part of the path is enough where it is unique
    paths = [one for one in tables if wanted in {None, one, one.rsplit("/", 1)[-1]}]
    if len(paths) != 1:
        raise InputError(
            f"{path}: trials" if name is None else f"{path}: trials {name!r}",
            "a trials table (/intervals/trials), or one other table of intervals"
            if name is None
            else f"a trials table of this name, not {INVALID}",
            f"the tables {listing(tables)}" if tables else "none",
            "Name one of them with trials=."
            if tables
            else "Add one with pynwb: analyses need to know when trials began.",
        )
    if name is None:
        warnings.warn(
            f"{path.name} has no table called trials: its trials are the rows of {paths[0]!r}; "
            "pass trials= to name a table",
            stacklevel=2,
        )
    return tables[paths[0]]


def interval_tables(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the tables with start and stop times by path, but for ``invalid_times``."""
    groups = {place: member(file, place) for place in PLACES}
    modules = member(file, "processing")
    if isinstance(modules, h5py.Group):
        groups |= {f"processing/{name}": module for name, module in members(modules).items()}
    tables: dict[str, h5py.Group] = {}
    visited = set()
    for place, group in groups.items():
        # links may lead to one group again and again
        if not isinstance(group, h5py.Group) or address(group) in visited:
            continue
        visited.add(address(group))
        for name, item in members(group).items():
            if (
                name != INVALID
                and isinstance(item, h5py.Group)
                and {"id", "start_time", "stop_time"} <= set(item.keys())
            ):
                tables[f"{place}/{name}"] = item
    return tables


def invalid_times(file: h5py.File, path: Location) -> Times:
    """Return the intervals in which nothing counts as recorded (s), merged, ``(interval, 2)``.

    Raises
    ------
    InputError
        If an interval has no bounds, or stops before it starts.
    """
    table = member(file, f"intervals/{INVALID}")
    if not isinstance(table, h5py.Group):
        return np.empty((0, 2))
    bounds = [flat_column(dataset(table, name)) for name in ("start_time", "stop_time")]
    if any(column.dtype.kind not in "fiu" for column in bounds) or len(set(map(len, bounds))) > 1:
        raise damaged(table, "start_time and stop_time (s) of each row", "others")
    intervals = np.column_stack(bounds).astype(np.float64)
    # which of its times were invalid is not known
    wrong = np.flatnonzero(~(intervals[:, 0] <= intervals[:, 1]))
    if wrong.size:
        raise InputError(
            f"{path}: /intervals/{INVALID}",
            "intervals that start before they stop",
            f"others in rows {listing(wrong, most=5)}",
            "Mend the file: nothing tells what was not recorded.",
        )
    return merge_intervals(intervals)
