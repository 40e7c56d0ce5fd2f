"""Sessions of any NWB file with trials: spike times of units, or a time series."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, UnitWarning, listing, unknown_name
from nwbcompare.core.hdf5_input import (
    address,
    as_text,
    attribute,
    check_size,
    damaged,
    dataset,
    location_of,
    member,
    members,
    number,
    opened,
    read_column,
    read_part,
    referred,
    scalar,
)
from nwbcompare.core.lazy import Places, runs as runs_of
from nwbcompare.core.remote_path import Location
from nwbcompare.io.columns import RESERVED
from nwbcompare.io.nwb.format_names import RATE_SERIES, UNIT_TABLES
from nwbcompare.io.nwb.ragged_columns import Ragged, check_ragged, ragged_names, read_ragged
from nwbcompare.io.nwb.table_columns import flat_column, indexed, is_flat, read_table, row_ids
from nwbcompare.io.nwb.trial_tables import find_trials, invalid_times
from nwbcompare.io.sessions.recorded_signals import Samples, Signal, SpikeTrains, Times
from nwbcompare.io.sessions.session import Session
from nwbcompare.kernels.spikes import complement_of

UNITS = "units"
"""Value of ``series`` for the units table."""
LINKED_COLUMNS = ("spike_times", "obs_intervals", "electrodes", "electrode_group")
NAMES_OF_UNITS = ("unit_name", "unit")
SERIES_DEPTH = 3
"""Depth to which time series are looked for: a module, and a container in it."""
PROBED_STAMPS = 1000
"""Number of time stamps from which the sampling interval is taken."""
MOST_READS = 8
"""Number of runs of columns up to which each is read by itself; else all between them at once."""
STRIDE = 4096
"""Every such spike time of a unit stays in memory, so that others are found without reading all."""
STAMPS_AT_ONCE = 16_384
"""Number of time stamps that are read at once."""
BLOCKS_KEPT = 256
"""Number of blocks of time stamps that stay in memory."""
AREAS_JOINED = "/"
"""Between the areas of a unit on electrodes of several."""
NAMES_TAKEN = RESERVED | {"observation_trial", "session"}
"""Column names with a meaning in the data model."""
TABLE_OF_RATES = {name: UNIT_TABLES[source] for (source, _), name in RATE_SERIES.items()}
"""Unit table of each series of rates in native files."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which tables, series and columns of an NWB file are read.

    Attributes
    ----------
    series
        "units", or the name or path of a units table or time series; by default the units, if
        the file has any with spike times, else its only time series.
    trials
        Name or path of the table of trials; see `nwbcompare.io.nwb.trial_tables.find_trials`.
    transpose
        Whether the series is stored channels x samples, against the standard.
    ragged
        Columns with several values a row; see `nwbcompare.io.nwb.ragged_columns.read_ragged`.

    Raises
    ------
    InputError
        If an option is of another type.
    """

    series: str | None = None
    trials: str | None = None
    transpose: bool | None = None
    ragged: Ragged | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("series", "trials"):
            value = getattr(self, name)
            if not isinstance(value, str | None):
                raise InputError(name, "the name of a table", repr(value), "Pass its name.")
        if not isinstance(self.transpose, bool | None):
            raise InputError("transpose", "True or False", repr(self.transpose), "Pass True.")
        check_ragged(self.ragged or {})

    @property
    def chosen(self) -> list[str]:
        """Names of the options that are given, but ``series``."""
        values = {"trials": self.trials, "transpose": self.transpose, "ragged": self.ragged}
        return [name for name, value in values.items() if value]


def read_session(
    file: h5py.File, path: Location, selection: Selection | None = None, *, own: bool = False
) -> Session:
    """Read the tables of an NWB file; spikes and samples are read when rates are indexed.

    Parameters
    ----------
    file
        The open file.
    path
        Its path.
    selection
        What of it is read; see `Selection`.
    own
        Whether nwbcompare wrote the file, so that its columns keep their names and values. In
        other files, text that is JSON is decoded, and reserved names are changed.

    Returns
    -------
    Session
        Trials, units and signal of the file.

    Raises
    ------
    InputError
        If the file has no trials, the series does not exist, or there are several to choose from.

    Warns
    -----
    UserWarning
        If the trials are those of the only table of intervals, which has another name.
    """
    what = selection or Selection()
    trial_table = find_trials(file, path, what.trials)
    table = _find_units(file, path, what.series)
    of_trials, of_units = _ragged_by_table(what.ragged or {}, trial_table, table)
    trials, trial_attrs, left_out = _trials(trial_table, path, of_trials, own=own)
    name = (scalar(file, "general/session_id") or "").strip() or path.stem
    signal: Signal
    if table is None:
        units, signal = _series_units(file, path, what, own=own)
    elif what.transpose:
        remedy = "Leave it out, or name a series with series=."
        raise InputError(f"{path}: transpose", "a time series", "units with spike times", remedy)
    else:
        units, signal = _spiking_units(table, own=own)
        units |= _with_free_names(read_ragged(table, of_units), "unit")
    subject = scalar(file, "general/subject/subject_id") or ""
    # a column of the table takes precedence over the subject of the file
    units.setdefault("subject", np.full(len(units["unit"]), subject))
    return Session(
        name=name,
        trials=trials,
        units=units,
        signal=signal,
        trial_attrs=trial_attrs,
        valid=complement_of(invalid_times(file, path)),
        left_out=left_out,
        held=partial(opened, path),
    )


def _ragged_by_table(
    ragged: Ragged, trials: h5py.Group, units: h5py.Group | None
) -> tuple[Ragged, Ragged]:
    """Return the columns that are asked for of the trials, and those of the units."""
    of_trials = set(ragged_names(trials))
    of_units = set() if units is None else set(ragged_names(units))
    for name in ragged:
        if name not in of_trials | of_units:
            raise unknown_name("ragged", name, sorted(of_trials | of_units))
    return (
        {name: forms for name, forms in ragged.items() if name in of_trials},
        {name: forms for name, forms in ragged.items() if name not in of_trials},
    )


def _trials(
    table: h5py.Group, path: Location, ragged: Ragged, *, own: bool
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]:
    columns, attrs, left_out = read_table(table, decode=not own)
    for name in ("start_time", "stop_time"):
        if name not in columns or columns[name].dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {table.name}/{name}",
                "a column of times (s)",
                "none" if name not in columns else "text",
                "The trials table is not an NWB table: add the column with pynwb.",
            )
    columns |= read_ragged(table, ragged)
    left_out = [name for name in left_out if name not in ragged]
    if own:
        return columns, attrs, left_out
    return _with_free_names(columns, "trial"), _with_free_names(attrs, "trial"), left_out


def _with_free_names(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return columns by their names in the data model, without those that it reserves."""
    names = _free_names(columns, prefix)
    return {names[name]: column for name, column in columns.items()}


def _free_names(columns: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Return the names of columns in the data model, without those that it reserves."""
    names = {}
    for name in columns:
        free = f"{prefix}_{name}" if name in NAMES_TAKEN else name
        # a table may have both NAME and trial_NAME
        while free != name and free in columns:
            free += "_"
        names[name] = free
    return names


def _find_units(file: h5py.File, path: Location, series: str | None = None) -> h5py.Group | None:
    """Return the units table with spike times, at the root or else in a processing module.

    None if there is none, or ``series`` names something else.
    """
    tables = spiking_tables(file)
    if series is not None and series.strip("/") in tables:
        return tables[series.strip("/")]
    if series not in (None, UNITS):
        return None
    if not tables and series == UNITS:
        raise InputError(str(path), "units with spike times", "none", "Name a time series.")
    if len(tables) > 1 and UNITS not in tables:
        raise InputError(
            f"{path}: series",
            "one table of units with spike times",
            listing(tables),
            "Name one of them with series=.",
        )
    return tables.get(UNITS, next(iter(tables.values()), None))


def spiking_tables(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the tables with spike times by path."""
    candidates = {UNITS: member(file, UNITS)}
    modules = member(file, "processing")
    visited = set()
    if isinstance(modules, h5py.Group):
        for name, module in members(modules).items():
            if isinstance(module, h5py.Group) and address(module) not in visited:
                visited.add(address(module))
                candidates |= {f"processing/{name}/{k}": t for k, t in members(module).items()}
    return {
        name: table
        for name, table in candidates.items()
        if isinstance(table, h5py.Group) and {"id", "spike_times"} <= set(table.keys())
    }


def _spiking_units(table: h5py.Group, *, own: bool) -> tuple[dict[str, Any], SpikeTrains]:
    units = unit_columns(table, own=own)
    column = indexed(table, "spike_times")
    if column is None:
        raise damaged(table, "spike_times with its index", "one without the other")
    data, stops = column
    if stops.size != len(units["unit"]) or data.dtype.kind not in "fiu" or not is_flat(data):
        expected = f"spike times of {len(units['unit'])} units"
        got = f"{data.dtype} of shape {data.shape}, of {stops.size}"
        raise damaged(table, expected, got)
    times = SpikeTimes(location_of(data), data.name, stops)
    return units, SpikeTrains(
        times,
        _intervals(table, units),
        times.between,
        resolution_s=_resolution(data),
        single=data.dtype.itemsize <= np.dtype(np.float32).itemsize and data.dtype.kind == "f",
    )


def _resolution(data: h5py.Dataset) -> float:
    """Return the tick of the clock of spike times (s); 0 if the file does not give it."""
    clock = np.asarray(attribute(data, "resolution", 0.0))
    if clock.size != 1 or clock.dtype.kind not in "iuf" or not 0 < float(clock.item()) < np.inf:
        return 0.0
    return float(clock.item())


@dataclass(frozen=True)
class SpikeTimes:
    """Reader of the spike times of units.

    NWB does not guarantee that spike times ascend. The first access to a unit therefore reads all
    its times; every 4096th stays in memory, and later accesses read only those near a window.

    Attributes
    ----------
    path, name
        The file, and the dataset with the times of all units.
    stops
        End of each unit's times in the dataset, ``(unit,)``.
    some
        Every 4096th spike time of units that ascend, by unit.
    """

    path: Location
    name: str
    stops: npt.NDArray[np.int64]
    some: dict[int, Times] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, unit: int) -> Times:
        """Return the spike times of a unit (s), ascending."""
        times = self._read(unit, 0, self._number(unit))
        finite = times[np.isfinite(times)]
        # times that descend somewhere are sorted at each access, and never found by bisection
        ascending = bool((np.diff(finite) >= 0).all())
        if ascending and finite.size == times.size:
            self.some[unit] = times[::STRIDE].copy()
        return finite if ascending else np.sort(finite)

    def between(self, unit: int, first: float, last: float) -> Times:
        """Return the spike times of a unit between two times (s), and possibly more, ascending."""
        if unit not in self.some:
            return self(unit)
        every = self.some[unit]
        # from the stored time before the window to the first one after it
        low = max(int(np.searchsorted(every, first)) - 1, 0) * STRIDE
        high = int(np.searchsorted(every, last, side="right")) * STRIDE
        return self._read(unit, low, max(low, min(high, self._number(unit))))

    def _number(self, unit: int) -> int:
        return int(self.stops[unit]) - self._start(unit)

    def _start(self, unit: int) -> int:
        return int(self.stops[unit - 1]) if unit else 0

    def _read(self, unit: int, low: int, high: int) -> Times:
        start = self._start(unit)
        with opened(self.path) as file:
            times = read_part(file, self.name, start + low, start + high)
        return times.reshape(-1).astype(np.float64)


def _intervals(table: h5py.Group, units: dict[str, Any]) -> list[Times] | None:
    column = indexed(table, "obs_intervals")
    if column is None:
        return None
    values, stops = read_column(column[0]), column[1]
    if values.ndim != 2 or values.shape[1] != 2 or stops.size != len(units["unit"]):
        expected = f"(interval, 2) for {len(units['unit'])} units"
        raise damaged(table, expected, f"{values.shape} for {stops.size}", "/obs_intervals")
    # intervals with NaN as a bound, or reversed ones, are left out
    intervals = np.split(values.astype(np.float64)[: stops[-1] if stops.size else 0], stops[:-1])
    return [part[part[:, 0] <= part[:, 1]] for part in intervals]


def unit_columns(table: h5py.Group, *, own: bool = False) -> dict[str, Any]:
    """Return ids, areas and all columns with one value for each unit of an NWB table.

    Parameters
    ----------
    table
        A table of units, electrodes or regions of interest.
    own
        Whether nwbcompare wrote it; see `read_session`.

    Returns
    -------
    dict of str to array, (unit,)
        The columns, with ``unit``.
    """
    ids = row_ids(table)
    columns, _, _ = read_table(table, skip=(*LINKED_COLUMNS, *NAMES_OF_UNITS), decode=not own)
    area = columns.pop("area", None)
    if area is None:
        area = _areas(table, len(ids))
    units = {"unit": _names_of_units(table, ids)} | ({} if area is None else {"area": area})
    return units | _with_free_names(columns, "unit")


def _names_of_units(table: h5py.Group, ids: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Return the names of units; without names, or if they repeat, the ids of the table."""
    for name in NAMES_OF_UNITS:
        column = member(table, name)
        if _has_rows(column, ids.size):
            names = flat_column(column).astype(str)
            if np.unique(names).size == names.size:
                return names
    return ids.astype(str)


def _has_rows(item: Any, n_rows: int) -> bool:
    """Return whether an object of a file is a column with this number of values."""
    return isinstance(item, h5py.Dataset) and is_flat(item) and item.shape[0] == n_rows


def _areas(table: h5py.Group, n_units: int) -> npt.NDArray[Any] | None:
    """Return the area of each unit: that of its electrode group, or those of its electrodes.

    A table of electrodes has the area itself, and one of regions of interest its imaging plane.
    """
    groups = member(table, "electrode_group")
    if _has_rows(groups, n_units):
        return _locations_of(table, groups)
    place = member(table, "location")
    if _has_rows(place, n_units):
        return flat_column(place).astype(str)
    plane = member(table, "imaging_plane")
    if isinstance(plane, h5py.Group):
        return np.full(n_units, scalar(plane, "location") or "")
    return _places_of_electrodes(table, n_units)


def _places_of_electrodes(table: h5py.Group, n_units: int) -> npt.NDArray[Any] | None:
    region = member(table, "electrodes")
    if not isinstance(region, h5py.Dataset):
        return None
    electrodes = referred(table, attribute(region, "table"))
    if not isinstance(electrodes, h5py.Group) or member(electrodes, "location") is None:
        return None
    places = flat_column(dataset(electrodes, "location"))
    rows = flat_column(region)
    if rows.dtype.kind not in "iu":
        raise damaged(region, f"rows of {electrodes.name}", f"{rows.dtype}")
    column = indexed(table, "electrodes")
    # without an index, each unit has one electrode
    stops = np.arange(1, rows.size + 1) if column is None else column[1]
    if stops.size != n_units:
        return None
    names = [as_text(places[row]) if 0 <= row < places.size else "" for row in rows.tolist()]
    first = np.concatenate([[0], stops[:-1]])
    # of a unit on electrodes of several areas all are named, in the order of its electrodes
    several = [dict.fromkeys(filter(None, names[a:b])) for a, b in zip(first, stops, strict=True)]
    return np.array([AREAS_JOINED.join(areas) for areas in several], dtype=str)


def _locations_of(table: h5py.Group, groups: h5py.Dataset) -> npt.NDArray[Any]:
    names = []
    for reference in flat_column(groups):
        group = referred(table, reference)
        place = attribute(group, "location")
        names.append(as_text(place) if place is not None else scalar(group, "location") or "")
    return np.array(names, dtype=str)


def find_series(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the acquired and processed time series of one or two dimensions by path."""
    series: dict[str, h5py.Group] = {}
    visited: set[tuple[str, int]] = set()
    for top in ("acquisition", "processing"):
        group = member(file, top)
        if isinstance(group, h5py.Group):
            visited.add(address(group))
            _collect_series(group, top, SERIES_DEPTH, series, visited)
    return series


def _collect_series(
    group: h5py.Group,
    path: str,
    depth: int,
    series: dict[str, h5py.Group],
    visited: set[tuple[str, int]],
) -> None:
    """Add the time series in a group to ``series``, and its subgroups to ``visited``."""
    for name, item in members(group).items():
        if not isinstance(item, h5py.Group):
            continue
        data = member(item, "data")
        if isinstance(data, h5py.Dataset):
            # a series without a clock cannot be aligned to trials
            timed = any(member(item, key) is not None for key in ("timestamps", "starting_time"))
            if data.ndim in {1, 2} and data.dtype.kind in "fiu" and timed:
                series[f"{path}/{name}"] = item
        elif depth > 1 and address(item) not in visited:
            # links may make a group a member of itself, or of many others
            visited.add(address(item))
            _collect_series(item, f"{path}/{name}", depth - 1, series, visited)


def _series_units(
    file: h5py.File, path: Location, what: Selection, *, own: bool
) -> tuple[dict[str, Any], Signal]:
    candidates, series = find_series(file), what.series
    name = None if series is None else series.strip("/")
    # the last part of the path is enough where it is unique
    paths = [one for one in candidates if name in {None, one, one.rsplit("/", 1)[-1]}]
    if len(paths) != 1:
        raise InputError(
            f"{path}: {'series' if series is None else f'series {series!r}'}",
            "units with spike times, or one time series"
            if series is None
            else "one time series of this name",
            f"the series {listing(candidates)}" if candidates else "none",
            "Name one of them with series=." if candidates else "There is nothing to bin here.",
        )
    group = candidates[paths[0]]
    data = dataset(group, "data")
    transposed = bool(what.transpose)
    _check_orientation(group, data, path, transposed=transposed)
    n_units = 1 if data.ndim == 1 else int(data.shape[0 if transposed else 1])
    units = _channel_table(group, n_units, own=own)
    return units, _samples(group, data, path, transposed=transposed)


def _check_orientation(
    group: h5py.Group, data: h5py.Dataset, path: Location, *, transposed: bool
) -> None:
    """Check that samples x channels, or the transpose, are as many as their times and table say."""
    if data.ndim == 1:
        if transposed:
            remedy = "Leave it out."
            raise InputError(f"{path}: transpose", "a series of channels", "one channel", remedy)
        return
    samples, channels = (1, 0) if transposed else (0, 1)
    region, stamps = channel_region(group), member(group, "timestamps")
    for item, own, other in ((region, channels, samples), (stamps, samples, channels)):
        if not isinstance(item, h5py.Dataset) or not item.ndim:
            continue
        n_rows = item.shape[0]
        if n_rows != data.shape[own] and n_rows == data.shape[other]:
            axes = ("first", "second")
            raise InputError(
                f"{path}: {data.name}",
                f"{n_rows} values in the {axes[own]} dimension, as {item.name} has",
                f"{data.shape[own]} there, and {data.shape[other]} in the {axes[other]}",
                "Leave transpose= out."
                if transposed
                else "It is stored channels x samples: pass transpose=True (?transpose=true).",
            )
    if region is not None and region.shape[0] != data.shape[channels]:
        warnings.warn(
            f"{path.name}: {data.name} has {data.shape[channels]} channels and {region.name} "
            f"{region.shape[0]} rows, so channels are numbered and have no table",
            UnitWarning,
            stacklevel=2,
        )


def channel_region(group: h5py.Group) -> h5py.Dataset | None:
    """Return the dataset of a series that names the row of each channel in a table; None without.

    It is ``electrodes`` or ``rois``, or another DynamicTableRegion of an extension.
    """
    named = [member(group, "electrodes"), member(group, "rois"), *members(group).values()]
    regions = [
        item
        for place, item in enumerate(named)
        if isinstance(item, h5py.Dataset)
        and is_flat(item)
        and (place < 2 or str(attribute(item, "neurodata_type", "")) == "DynamicTableRegion")
    ]
    return regions[0] if regions else None


def _channel_table(group: h5py.Group, n_units: int, *, own: bool) -> dict[str, Any]:
    """Return the table that the channels of a series refer to, else numbered channels."""
    name = group.name.rsplit("/", 1)[-1]
    numbered = np.array([f"{name}_{place:03d}" for place in range(n_units)])
    # a native file has the unit table beside its series
    if own:
        table = member(group.parent, TABLE_OF_RATES[name]) if name in TABLE_OF_RATES else None
        if isinstance(table, h5py.Group) and row_ids(table).shape == (n_units,):
            return unit_columns(table, own=True)
        return {"unit": numbered}
    region = channel_region(group)
    if region is not None and _has_rows(region, n_units):
        return _rows_of(referred(group, attribute(region, "table")), region, numbered)
    return {"unit": numbered}


def _rows_of(table: h5py.Group, region: h5py.Dataset, numbered: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the rows of a table that a region refers to, as a table of units."""
    columns, rows = unit_columns(table), flat_column(region)
    n_rows = len(columns["unit"])
    if rows.dtype.kind not in "iu" or not ((rows >= 0) & (rows < n_rows)).all():
        raise damaged(region, f"rows from 0 to {n_rows - 1} of {table.name}", "others")
    units = {name: column[rows] for name, column in columns.items()}
    # two channels of one unit refer to the same row, but ids must differ
    if np.unique(units["unit"]).size < rows.size:
        units["unit"] = numbered
    return units


def _samples(group: h5py.Group, data: h5py.Dataset, path: Location, *, transposed: bool) -> Samples:
    n_samples, *n_channels = data.shape[::-1] if transposed else data.shape
    scaling = _scaling(group, data, n_channels[0] if n_channels else 1)
    read = SeriesData(location_of(data), data.name, *scaling, transposed=transposed)
    unit = str(attribute(data, "unit", ""))
    units: Any = "spikes/s" if unit in {"spikes/s", "Hz"} else "1"
    stamps = member(group, "timestamps")
    if isinstance(stamps, h5py.Dataset):
        start, step = _probed(stamps, n_samples, path)
        times = partial(StampsInFile, location_of(stamps), stamps.name, int(stamps.shape[0]))
    else:
        start, step = _start_and_step(dataset(group, "starting_time"), path)
        times = None
    return Samples(
        read=read,
        n_samples=int(n_samples),
        start_s=start,
        sampling_s=step,
        times=times,
        units=units,
    )


def _scaling(
    group: h5py.Group, data: h5py.Dataset, n_channels: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the factor of stored values, ``(channel,)``, and the offset."""
    # NWB: a value is stored x conversion (x that of its channel) + offset
    factor = np.full(n_channels, number(data, "conversion", 1.0))
    by_channel = member(group, "channel_conversion")
    if isinstance(by_channel, h5py.Dataset) and by_channel.shape == factor.shape:
        factor = factor * read_column(by_channel)
    return factor, number(data, "offset", 0.0)


def _probed(stamps: h5py.Dataset, n_samples: int, path: Location) -> tuple[float, float]:
    """Return the first sample's time and the median step (s), without reading all times."""
    if not _has_rows(stamps, n_samples) or stamps.dtype.kind not in "fiu":
        expected = f"{n_samples} times, one for each sample"
        raise damaged(stamps, expected, f"{stamps.dtype} of shape {stamps.shape}")
    # the median is robust to gaps between trials
    first = read_column(stamps, slice(PROBED_STAMPS)).reshape(-1).astype(np.float64)
    steps = np.diff(first)
    if not (steps > 0).any() or not np.isfinite(first).all():
        raise InputError(
            f"{path}: {stamps.name}",
            "ascending times of at least two samples",
            "others",
            "The sampling interval cannot be taken from them: mend the file.",
        )
    return float(first[0]), float(np.median(steps[steps > 0]))


def _start_and_step(start: h5py.Dataset, path: Location) -> tuple[float, float]:
    rate = number(start, "rate", np.nan)
    if not 0 < rate < np.inf:
        raise InputError(
            f"{path}: {start.name}", "a sampling rate above 0 Hz", repr(rate), "Mend the file."
        )
    first = float(read_column(start))
    if not np.isfinite(first):
        raise InputError(f"{path}: {start.name}", "a time (s)", repr(first), "Mend the file.")
    return first, 1 / rate


class StampsInFile:
    """Times of samples in a file (s), read in blocks of which the latest stay in memory.

    Parameters
    ----------
    path, name
        The file, and the dataset with the times.
    size
        Number of samples.
    """

    def __init__(self, path: Location, name: str, size: int) -> None:
        self.path, self.name, self.size = path, name, size
        # a cache for each file: one of the method would keep the blocks of all files in memory
        self._block = lru_cache(BLOCKS_KEPT)(self._read_block)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            start, stop, _ = place.indices(self.size)
            return self._read(start, stop)
        # a range resolves negative indices and raises for those outside
        block, within = divmod(range(self.size)[place], STAMPS_AT_ONCE)
        return self._block(block)[within]

    def _read_block(self, number: int) -> Times:
        start = number * STAMPS_AT_ONCE
        return self._read(start, min(start + STAMPS_AT_ONCE, self.size))

    def _read(self, start: int, stop: int) -> Times:
        with opened(self.path) as file:
            times = read_part(file, self.name, start, stop).reshape(-1).astype(np.float64)
        # bisection in times that descend would find wrong samples
        if not (np.diff(times) >= 0).all():
            raise InputError(
                f"{self.path}: {self.name}", "ascending times", "others", "Sort the samples."
            )
        return times


@dataclass(frozen=True)
class SeriesData:
    """Reader of the samples of a time series.

    Attributes
    ----------
    path, name
        The file, and the dataset with the samples.
    factor, offset
        Conversion of stored values: factor ``(channel,)``, and offset.
    transposed
        Whether they are stored ``(channel, sample)``.
    """

    path: Location
    name: str
    factor: npt.NDArray[np.float64]
    offset: float
    transposed: bool = False

    def __call__(self, start: int, stop: int, units: Places) -> npt.NDArray[Any]:
        """Return samples of some units, ``(sample, unit)``, from ``start`` to before ``stop``."""
        with opened(self.path) as file:
            data = dataset(file, self.name)
            check_size(data, (stop - start) * units.size * data.dtype.itemsize)
            stored = Transposed(data) if self.transposed else data
            values = read_block(stored, slice(start, stop), units)
        factor = self.factor[units]
        # unscaled values keep their type, and are not copied
        if self.offset == 0 and (factor == 1).all():
            return values
        return values * factor + self.offset


class Transposed:
    """A matrix in a file with its dimensions exchanged, of which parts are read.

    Parameters
    ----------
    data
        The matrix.
    """

    def __init__(self, data: h5py.Dataset) -> None:
        self.data, self.dtype = data, data.dtype

    def __getitem__(self, part: tuple[slice, slice]) -> npt.NDArray[Any]:
        return np.asarray(self.data[part[::-1]]).T


def read_block(data: h5py.Dataset | Transposed, rows: slice, columns: Places) -> npt.NDArray[Any]:
    """Read some columns of a range of rows.

    Parameters
    ----------
    data
        A dataset, ``(row, column)`` or ``(row,)``.
    rows
        The rows.
    columns
        Ascending indices of columns; not used for data of one dimension.

    Returns
    -------
    array, (row, column)
        The values.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> data = file.create_dataset("rate", data=np.arange(6).reshape(2, 3))
    >>> read_block(data, slice(0, 2), np.array([0, 2])).tolist()
    [[0, 2], [3, 5]]
    """
    if isinstance(data, h5py.Dataset) and data.ndim == 1:
        return np.asarray(data[rows])[:, None]
    parts = list(runs_of(columns))
    if len(parts) == 1:
        return np.asarray(data[rows, parts[0][1]])
    if len(parts) > MOST_READS:
        low = int(columns.min())
        return np.asarray(data[rows, low : int(columns.max()) + 1])[:, columns - low]
    values = np.empty((rows.stop - rows.start, columns.size), dtype=data.dtype)
    for at, of in parts:
        values[:, at] = data[rows, of]
    return values
