"""Recordings written as spike times: those that were recorded, or made of whole counts in bins."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
from pynwb import NWBFile
from pynwb.misc import Units

from nwbcompare.core.activity import columns_on, is_ragged, row_dim, unit_positions
from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.nwb.native_schema import add_schema, spikes_leaf
from nwbcompare.io.nwb.native_tables import (
    RESERVED,
    TrialTimes,
    add_epochs,
    event_times,
    trials_table,
    unit_columns,
    with_free_names,
)
from nwbcompare.io.sessions.recorded_signals import SpikeTrains

Places = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]
TOLERANCE = 1e-3
"""Allowed difference of a rate times the bin width from a whole number."""
GROUP = "trial_group"
END_TO_END = "Trials, laid end to end: their true times are not known, or their windows overlap."


@dataclass(frozen=True)
class TrialsOfUnits:
    """Trials of a block, and the trial and unit of each row of rates.

    Attributes
    ----------
    first
        A row with the trial's columns, ``(trial,)``.
    of_row
        Trial of each row of rates, ``(row,)``.
    unit
        Unit of each row, ``(row,)``; None for a dense block, where all units share the rows.
    group
        Group of each trial, ``(trial,)``; trials of one group were recorded from the same units.
    group_of_unit
        Group of each unit's trials, ``(unit,)``; -1 if there are several.
    """

    first: Places
    of_row: Places
    unit: Places | None
    group: Places
    group_of_unit: Places


def _trials_of_units(block: xr.Dataset) -> TrialsOfUnits:
    """Return the trials of a block.

    Rows with the same ``observation_trial`` are of one trial. In a block without that column, units
    share their trials if their trial tables are equal in all columns.
    """
    n_units = block.sizes["unit"]
    if not is_ragged(block):
        rows = np.arange(block.sizes["trial"])
        group = np.zeros(rows.size, dtype=np.int64)
        return TrialsOfUnits(rows, rows, None, group, np.zeros(n_units, dtype=np.int64))
    unit = unit_positions(block)
    if "observation_trial" in block.coords:
        _, first, of_row = np.unique(
            block["observation_trial"].values, return_index=True, return_inverse=True
        )
        of_row = of_row.reshape(-1)
    else:
        first, of_row = _shared_trials(block, unit)
    return TrialsOfUnits(first, of_row, unit, *_groups(of_row, unit, first.size, n_units))


def _shared_trials(block: xr.Dataset, unit: Places) -> tuple[Places, Places]:
    """Return trials, and the trial of each row, where units with equal tables share them."""
    columns = [
        column.values
        for name, column in columns_on(block, "observation").items()
        if name not in {"observation_unit", "observation_trial"}
    ]
    columns += [
        block[name].values for name in ("epoch_start_time", "epoch_stop_time") if name in block
    ]
    trials_of: dict[bytes, Places] = {}
    first: list[int] = []
    of_row = np.empty(unit.size, dtype=np.int64)
    for one in np.unique(unit):
        rows = np.flatnonzero(unit == one)
        # equal digests are equal tables, without a comparison of all pairs of units
        digest = hashlib.sha256()
        for column in columns:
            digest.update(np.ascontiguousarray(column[rows]).tobytes())
        if digest.digest() not in trials_of:
            trials_of[digest.digest()] = len(first) + np.arange(rows.size)
            first += rows.tolist()
        of_row[rows] = trials_of[digest.digest()]
    return np.array(first, dtype=np.int64), of_row


def _groups(of_row: Places, unit: Places, n_trials: int, n_units: int) -> tuple[Places, Places]:
    """Group trials by the set of units that were recorded in them."""
    # units sorted within each trial, so that equal sets are equal bytes
    order = np.lexsort((unit, of_row))
    bounds = np.searchsorted(of_row[order], np.arange(n_trials + 1))
    sets: dict[bytes, int] = {}
    group = np.empty(n_trials, dtype=np.int64)
    for trial in range(n_trials):
        members = unit[order[bounds[trial] : bounds[trial + 1]]].tobytes()
        group[trial] = sets.setdefault(members, len(sets))
    group_of_unit = np.full(n_units, -1, dtype=np.int64)
    for one in np.unique(unit):
        groups = np.unique(group[of_row[unit == one]])
        group_of_unit[one] = groups[0] if groups.size == 1 else -1
    return group, group_of_unit


def _clock_of(block: xr.Dataset, n_trials: int) -> TrialTimes:
    """Return times of trials laid end to end; each starts at its event, or at its first bin."""
    width = float(block["time"].attrs["bin_width_s"])
    left = min(float(block["time"].values[0]) - width / 2, 0.0)
    right = max(float(block["time"].values[-1]) + width / 2, 0.0)
    # rounded, so that 0.851 s does not become 0.8510000000000001
    length = round(right - left, 9)
    start = np.arange(n_trials, dtype=np.float64) * length
    return TrialTimes(start, start + length, start - round(left, 9))


def _session_clock(block: xr.Dataset, rows: Places, event: str) -> TrialTimes | None:
    """Return the trials' times in the session; None where not all are columns of the block."""
    columns = columns_on(block, row_dim(block))
    names = ("start_time", "stop_time", event)
    if any(name not in columns or columns[name].dtype.kind != "f" for name in names):
        return None
    start, stop, when = (columns[name].values[rows].astype(np.float64) for name in names)
    finite = all(np.isfinite(times).all() for times in (start, stop, when))
    return TrialTimes(start, stop, when) if finite else None


def _windows_apart(block: xr.Dataset, times: TrialTimes) -> bool:
    """Return whether no windows of two trials overlap: a spike in two would be written twice."""
    width = float(block["time"].attrs["bin_width_s"])
    left = np.sort(times.event) + float(block["time"].values[0]) - width / 2
    length = float(np.ptp(block["time"].values)) + width
    # windows that touch may overlap by a rounding error
    apart = bool((np.diff(left) >= length * (1 - 1e-9)).all())
    return apart and bool(left.min(initial=0) >= 0)


def event_column(block: xr.Dataset) -> str:
    """Return the name of the trial column with the time of the event.

    Parameters
    ----------
    block
        A block, aligned e.g. to "dots onset".

    Examples
    --------
    >>> import xarray as xr
    >>> event_column(xr.Dataset(coords={"time": ("time", [0.1], {"aligned_to": "dots onset"})}))
    'dots_onset_time'
    """
    words = re.findall(r"[a-z0-9]+", str(block["time"].attrs["aligned_to"]).lower())
    words = words[:-1] if words[-1:] == ["time"] else words
    name = "_".join([*words, "time"])
    # names with another meaning, or without any letters
    return "event_time" if name in {"time", "start_time", "stop_time"} else name


def _spikes_of_counts(
    block: xr.Dataset,
    trials: TrialsOfUnits,
    times: TrialTimes,
) -> tuple[list[Times], list[Times]]:
    """Return spike times made from whole counts, and observed intervals, of each unit.

    A count of n in a bin becomes n evenly spaced spikes; bins that are NaN are left out of the
    unit's intervals.
    """
    spikes, intervals = [], []
    for unit in range(block.sizes["unit"]):
        rows = trials.of_row if trials.unit is None else np.flatnonzero(trials.unit == unit)
        rates = _rates_of(block, unit, rows)
        events = times.event[trials.of_row[rows]]
        # spikes are written in the order of time, which tools expect
        order = np.argsort(events, kind="stable")
        unit_spikes, unit_intervals = _spikes_of(block, rates[order], events[order])
        spikes.append(unit_spikes)
        intervals.append(unit_intervals)
    return spikes, intervals


def _units_table(
    block: xr.Dataset,
    spikes: Sequence[Times],
    intervals: Sequence[Times],
    more: Mapping[str, npt.NDArray[Any]],
    description: str,
    resolution_s: float,
) -> Units:
    spike_times = VectorData(
        name="spike_times", description="times of spikes (s)", data=np.concatenate(spikes)
    )
    observed = VectorData(
        name="obs_intervals",
        description="when the unit was recorded (s)",
        data=np.concatenate(intervals),
    )
    return Units(
        name="units",
        description=description,
        id=ElementIdentifiers(name="id", data=np.arange(block.sizes["unit"])),
        columns=[
            spike_times,
            VectorIndex(name="spike_times_index", target=spike_times, data=_stops(spikes)),
            observed,
            VectorIndex(name="obs_intervals_index", target=observed, data=_stops(intervals)),
            *unit_columns(_without_empty(block), more),
        ],
        resolution=resolution_s,
    )


def _stops(parts: Sequence[Times]) -> Places:
    return np.cumsum([len(part) for part in parts])


def _recorded_spikes(trains: SpikeTrains, n_units: int) -> tuple[list[Times], list[Times]]:
    """Return spike times of each unit, and the intervals in which it was recorded."""
    return (
        [trains.times(unit) for unit in range(n_units)],
        [trains.observed(unit) for unit in range(n_units)],
    )


def _add_invalid_times(nwb: NWBFile, block: xr.Dataset, times: TrialTimes, observed: Times) -> None:
    """Add the windows of trials in which nothing was recorded, which stay rows of a dense block."""
    if is_ragged(block):
        return
    width = float(block["time"].attrs["bin_width_s"])
    left = np.sort(times.event) + float(block["time"].values[0]) - width / 2
    right = left + float(np.ptp(block["time"].values)) + width
    starts = np.sort(observed[:, 0])
    # half a bin earlier, since sums differ by rounding
    first, last = (np.searchsorted(starts, bound - width / 2) for bound in (left, right))
    for trial in np.flatnonzero(last == first):
        nwb.add_invalid_time_interval(
            start_time=max(float(left[trial]), 0.0), stop_time=float(right[trial])
        )


def add_spikes(
    nwb: NWBFile,
    parts: Mapping[str, xr.Dataset],
    trains: SpikeTrains | None,
    more: Mapping[str, npt.NDArray[Any]],
    reading: Mapping[str, Any],
) -> None:
    """Add a block to a file as units with spike times, trials and epochs.

    Parameters
    ----------
    nwb
        The file.
    parts
        Blocks by leaf; one is allowed.
    trains
        Spike times of its units, with intervals, on the clock of the trials; None: they are made
        of the rates, which are whole counts per bin.
    more
        Further unit columns, each ``(unit,)``.
    reading
        Default options of reading the file; see `nwbcompare.io.sessions.Reading`.

    Raises
    ------
    InputError
        If there are several blocks, rates times the bin width are not whole numbers, or spike
        times are given and trials have no times on their clock.
    """
    if len(parts) > 1:
        raise InputError("spikes", "one block", listing(parts), "Write each to a file of its own.")
    ((name, block),) = parts.items()
    trials = _trials_of_units(block)
    event = event_column(block)
    aligned_to_start = block["time"].attrs["aligned_to"] == "start_time"
    event_source = "start_time" if aligned_to_start else event
    recorded = _session_clock(block, trials.first, event_source)
    if trains is not None and trains.intervals is None:
        raise InputError(
            "spikes", "spike times with intervals", "none", "Say when each unit was recorded."
        )
    if trains is not None and recorded is None:
        raise InputError(
            "spikes",
            f"trials with the columns start_time, stop_time and {event_source} (s)",
            "a block that lacks one of them, or times that are NaN",
            "Add them, on the clock of the spike times.",
        )
    if trains is None and recorded is not None and not _windows_apart(block, recorded):
        recorded = None
    times = _clock_of(block, trials.first.size) if recorded is None else recorded
    width = float(block["time"].attrs["bin_width_s"])
    table = block.drop_vars(["rate", "observation_unit", "observation_trial"], errors="ignore")
    table = table.isel({row_dim(block): trials.first})
    renamed: dict[str, str] = {}
    if recorded is None:
        table, renamed = with_free_names(table, (*RESERVED, event, GROUP))
    else:
        event = event_source
        table = table.drop_vars({"start_time", "stop_time", event})
    outside = "Outside obs_intervals nothing was recorded."
    if trains is None:
        spikes, intervals = _spikes_of_counts(block, trials, times)
        text = (
            f"Units with spike times made of counts in bins of {width:g} s: n spikes of one bin "
            f"lie evenly inside it. {outside}"
        )
        # of a spike only its bin is known
        resolution_s = width
        _add_invalid_times(nwb, block, times, np.concatenate(intervals))
    else:
        spikes, intervals = _recorded_spikes(trains, block.sizes["unit"])
        text, resolution_s = f"Units with spike times. {outside}", trains.resolution_s
    groups = {GROUP: _names(trials.group_of_unit)}
    nwb.units = _units_table(block, spikes, intervals, groups | dict(more), text, resolution_s)
    events = event_times([table], [times], (event, GROUP))
    nwb.trials = trials_table(
        [table],
        [times],
        # start_time is in the table anyway
        event="" if event == "start_time" else event,
        description=END_TO_END if recorded is None else "Trials, at their times in the session.",
        more={
            GROUP: (
                f"trials of one group were recorded of the units of that {GROUP}",
                _names(trials.group),
            )
        }
        | events,
    )
    add_epochs(nwb, [table], [times])
    first, last = float(block["time"].values[0]), float(block["time"].values[-1])
    as_written = {
        "align": event,
        "window": [round(first - width / 2, 9), round(last + width / 2, 9)],
        "bin": width,
        "smooth": 0.0,
    }
    leaf = spikes_leaf(
        name,
        block,
        renamed=renamed,
        reading=as_written | dict(reading),
        added_columns=[GROUP],
        event_columns=list(events),
        apart=recorded is None,
    )
    add_schema(nwb, [leaf])


def _without_empty(block: xr.Dataset) -> xr.Dataset:
    """Return a block without unit columns of NaN alone, and without keys of units."""
    empty = [
        name
        for name, column in columns_on(block, "unit").items()
        if column.dtype.kind == "f" and np.isnan(column.values).all()
    ]
    return block.drop_vars([*empty, "unit_key"], errors="ignore")


def _names(groups: Places) -> npt.NDArray[np.str_]:
    return np.array([f"group {group}" if group >= 0 else "" for group in groups])


def _rates_of(block: xr.Dataset, unit: int, rows: Places) -> npt.NDArray[np.float32]:
    rate = block["rate"]
    part = rate.isel(unit=unit) if "unit" in rate.dims else rate.isel({row_dim(block): rows})
    return part.values


def _spikes_of(
    block: xr.Dataset, rates: npt.NDArray[np.float32], events: Times
) -> tuple[Times, Times]:
    width = float(block["time"].attrs["bin_width_s"])
    counts = rates.astype(np.float64) * width
    observed = np.isfinite(counts)
    whole = np.rint(np.where(observed, counts, 0)).astype(np.int64)
    wrong = np.abs(np.where(observed, counts, 0) - whole) > TOLERANCE
    if wrong.any() or (whole < 0).any():
        raise InputError(
            "spikes='counts'",
            "rates that are whole counts per bin",
            f"{counts[wrong][0] if wrong.any() else whole.min():g} spikes in a bin",
            "Bin without smoothing, or write the rates themselves (spikes=None).",
        )
    edges = np.concatenate(
        [block["time"].values - width / 2, [block["time"].values[-1] + width / 2]]
    )
    row, bin_ = np.nonzero(whole)
    number = whole[row, bin_]
    nth = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    # n spikes at (i + 1/2) / n of the bin: none on an edge, so that binning returns the counts
    share = (nth + 0.5) / np.repeat(number, number)
    spikes = np.repeat(events[row] + edges[bin_], number) + share * width
    # with zeros at both ends every run of observed bins has a start and an end
    padded = np.pad(observed.astype(np.int8), ((0, 0), (1, 1)))
    starts = np.argwhere(np.diff(padded, axis=1) == 1)
    ends = np.argwhere(np.diff(padded, axis=1) == -1)
    intervals = np.column_stack(
        [events[starts[:, 0]] + edges[starts[:, 1]], events[ends[:, 0]] + edges[ends[:, 1]]]
    )
    return spikes, intervals
