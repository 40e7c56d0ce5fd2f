"""A lab's own matrices: rates, counts or spike times, with tables of trials and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import EPOCH_TOLERANCE, Source, make_activity, make_block
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.schema import check_activity
from nwbcompare.io.columns import (
    Column,
    Table,
    as_array,
    conditions_by_task,
    table_columns,
    with_task,
)
from nwbcompare.io.sessions.alignment import DEFAULT_BIN_S, MOST_BINS, lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import SpikeTrains, Times
from nwbcompare.io.sessions.session import Reading, Session
from nwbcompare.io.sessions.session_tables import joined_columns
from nwbcompare.kernels.spikes import smooth_observed

RATE_DIMS = ("trial", "time", "unit")
SPIKE_DIMS = ("unit", "trial")


def from_arrays(
    rates: Any = None,
    *,
    spikes: Any = None,
    trials: Table | Sequence[Table] | None = None,
    units: Table | None = None,
    dims: Sequence[str] | None = None,
    time_s: npt.ArrayLike | None = None,
    counts: bool = False,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    smooth: float = 0.0,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    aligned_to: str | None = None,
    name: str = "arrays",
    source: Source = "recording",
    provenance: dict[str, Any] | None = None,
) -> xr.DataTree:
    """Make an activity of a lab's own matrices.

    Parameters
    ----------
    rates
        ``(trial, time, unit)``; ``(trial, time)`` is one unit. Or a list with an array
        ``(trial, time)`` for each unit, which may have trials of their own. NaN: not observed.
    spikes
        Instead of rates, spike times (s): for each unit, for each of its trials, a list of
        times from the event. Or for each unit one list of times on the session's clock, with
        the trials' columns ``start_time`` and ``stop_time``.
    trials
        Trial columns, a mapping or DataFrame: all units have these trials. Where they have
        trials of their own, a list with one for each unit. None: no columns; of a list by unit
        nothing then says that they share trials.
    units
        Columns of the unit table; ``unit``, unique ids, by default "unit 0" and so on.
    dims
        The order of the axes: of rates by default ``("trial", "time", "unit")``, of spike
        times from an event ``("unit", "trial")``.
    time_s
        ``(time,)``: bin centres (s) of rates; None: bins follow each other from 0 s on.
    counts
        Whether ``rates`` are spike counts, to be divided by the bin's width.
    align
        For spikes on the session's clock the column with the event; None: ``start_time``.
    window
        For spikes: start and stop (s) about the event. Needed for times from an event.
    bin
        Width of the bins (s). Of rates by default the step of ``time_s``, of spikes 0.05 s.
    smooth
        For spikes: standard deviation (s) of a Gaussian; 0 for none. Of times from an event
        nothing is known beyond the window: edges are padded with the end values.
    task, conditions
        See `nwbcompare.io.sessions.Reading`.
    aligned_to
        What to call the event; None: the column of ``align``, else "event".
    name
        What figures and tables call it.
    source
        "recording" (rates in spikes/s) or "model" (without unit).
    provenance
        Where the arrays came from.

    Returns
    -------
    xarray.DataTree
        One block, checked: ragged where units have trials of their own, else dense.

    Raises
    ------
    InputError
        For shapes that do not fit, options of another kind of data, and data that break the
        data model.

    Warns
    -----
    UserWarning
        Where no column names the task: all trials are of one task, named ``name``.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[[0, 1], [2, 0]], [[1, 1], [0, 0]]])
    >>> activity = from_arrays(
    ...     counts, counts=True, bin=0.1, trials={"task": ["go", "stop"]}, name="mine")
    >>> activity["mine"]["rate"].sel(unit="unit 0").values.tolist()
    [[0.0, 20.0], [10.0, 0.0]]
    >>> spikes = [[[0.01, 0.12], [0.05]], [[], [0.15, 0.16]]]
    >>> activity = from_arrays(
    ...     spikes=spikes, window=(0, 0.2), bin=0.1, trials={"task": ["go", "stop"]})
    >>> activity["arrays"]["rate"].sel(unit="unit 1").values.tolist()
    [[0.0, 0.0], [0.0, 20.0]]
    """
    if (rates is None) == (spikes is None):
        raise InputError(
            "from_arrays",
            "rates or spikes",
            "neither" if rates is None else "both",
            "Pass one of them.",
        )
    reading = Reading(
        align=align or "start_time",
        window=window,
        bin=bin,
        smooth=smooth,
        task=task,
        conditions=conditions,
    )
    about = _About(aligned_to, name, source, provenance)
    if rates is not None:
        _refuse(
            "rates",
            "Use nwbcompare.align, smooth or rebin on what you get.",
            align=align,
            window=window,
            smooth=smooth,
        )
        given = _rates(rates, dims, time_s, bin)
        given = given.per_second() if counts else given
        return _block(given, trials, units, reading, about)
    _refuse("spikes", "They are for rates.", time_s=time_s, counts=counts)
    if _is_nested(spikes):
        _refuse("spikes from an event", "Their event is at 0 s.", align=align)
        return _block(_binned(spikes, dims, reading), trials, units, reading, about)
    _refuse("spikes on a session's clock", "Give one list of times for each unit.", dims=dims)
    return _on_one_clock(spikes, trials, units, reading, about)


@dataclass(frozen=True)
class _About:
    """What is said of an activity."""

    aligned_to: str | None
    name: str
    source: Source
    provenance: dict[str, Any] | None

    @property
    def leaf(self) -> str:
        """Name of the only block."""
        return self.name.replace("/", "_")


@dataclass(frozen=True)
class _Binned:
    """Rates in bins.

    Attributes
    ----------
    rates
        For each unit its rates ``(trial, time)``.
    time_s, bin_s
        Bin centres and width (s).
    together
        Whether all units are known to have the same trials.
    """

    rates: Sequence[npt.NDArray[Any]]
    time_s: Times
    bin_s: float
    together: bool

    def per_second(self) -> _Binned:
        """Make rates of counts."""
        return replace(self, rates=[counts / self.bin_s for counts in self.rates])


def _refuse(subject: str, remedy: str, **options: Any) -> None:
    """Refuse options that say nothing about data of a kind."""
    for option, value in options.items():
        if value is not None and value is not False and not (option == "smooth" and value == 0):
            raise InputError(option, f"nothing for {subject}", _shown(value), remedy)


def _shown(value: Any) -> str:
    return f"an array {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def _rates(
    rates: Any,
    dims: Sequence[str] | None,
    time_s: Any,
    bin_s: float | None,
) -> _Binned:
    listed = _is_list_of_arrays(rates)
    if listed:
        own = None if dims is None else [dim for dim in dims if dim != "unit"]
        matrices = [_ordered("rates", _numbers(unit), own, RATE_DIMS[:2]) for unit in rates]
    else:
        whole = _numbers(rates)
        if whole.ndim == 2:
            whole = _ordered("rates", whole, dims, RATE_DIMS[:2])[:, :, None]
        else:
            whole = _ordered("rates", whole, dims, RATE_DIMS)
        matrices = list(np.moveaxis(whole, 2, 0))
    lengths = {matrix.shape[1] for matrix in matrices}
    if len(lengths) != 1:
        raise InputError(
            "rates",
            "as many bins for each unit",
            f"{listing(sorted(lengths))}" if lengths else "no unit",
            "Cut them to one time axis, or pad them with NaN.",
        )
    centres, width = _time_axis(lengths.pop(), time_s, bin_s)
    return _Binned(matrices, centres, width, together=not listed)


def _is_list_of_arrays(rates: Any) -> bool:
    """Tell a list with an array for each unit from nested lists, which are one array."""
    is_list = isinstance(rates, list | tuple) or (
        isinstance(rates, np.ndarray) and rates.dtype.kind == "O"
    )
    return is_list and all(isinstance(unit, np.ndarray) for unit in rates)


def _numbers(values: Any) -> npt.NDArray[Any]:
    array = as_array("rates", values)
    if array.dtype.kind not in "biuf":
        raise InputError("rates", "an array of numbers", f"{array.dtype}", "Give rates, or counts.")
    return array


def _ordered(
    subject: str, array: npt.NDArray[Any], dims: Sequence[str] | None, wanted: Sequence[str]
) -> npt.NDArray[Any]:
    """Put axes in order."""
    given = list(wanted if dims is None else dims)
    if sorted(given) != sorted(wanted) or array.ndim != len(wanted):
        raise InputError(
            subject,
            f"dims {listing(wanted)} in some order",
            f"dims {listing(given)} of an array {array.shape}",
            "Name the axes with dims=....",
        )
    return np.transpose(array, [given.index(dim) for dim in wanted])


def _time_axis(n_bins: int, time_s: Any, bin_s: float | None) -> tuple[Times, float]:
    """Give bin centres and the bins' width."""
    if time_s is None:
        if bin_s is None:
            raise InputError("time_s", "bin centres in s, or bin=", "neither", "Pass one of them.")
        return ((np.arange(n_bins) + 0.5) * bin_s).astype(np.float64), bin_s
    centres: Times = as_array("time_s", time_s, np.float64).ravel()
    if centres.size != n_bins:
        raise InputError(
            "time_s", f"{n_bins} bin centres", f"{centres.size}", "Give one for each bin, in s."
        )
    if bin_s is None and n_bins == 1:
        raise InputError("bin", "the width of the only bin (s)", "none", "Pass bin=....")
    return centres, float(np.median(np.diff(centres))) if bin_s is None else bin_s


def _is_nested(spikes: Any) -> bool:
    """Tell spike times by unit and trial from those by unit."""
    firsts = (next(iter(unit), 0.0) for unit in spikes)
    return any(np.ndim(first) > 0 for first in firsts)


def _binned(spikes: Any, dims: Sequence[str] | None, reading: Reading) -> _Binned:
    """Bin spike times from an event."""
    if reading.window is None:
        raise InputError(
            "window", "(start, stop) in s about the event", "none", "Pass window=(-0.5, 1.0)."
        )
    start, stop = reading.window
    bin_s = reading.bin or DEFAULT_BIN_S
    n_bins = int((stop - start) / bin_s + EPOCH_TOLERANCE)
    if not 1 <= n_bins <= MOST_BINS:
        raise InputError(
            "bin",
            f"between one bin and {MOST_BINS:,} in the window of {stop - start:g} s",
            f"{n_bins:,}, {bin_s:g} s wide",
            "Choose another bin or window.",
        )
    edges: Times = (start + np.arange(n_bins + 1) * bin_s).astype(np.float64)
    rates = []
    for unit in _by_unit(spikes, dims):
        counts = np.array([np.diff(np.searchsorted(_times(trial), edges)) for trial in unit])
        counts = counts.reshape(len(unit), n_bins)
        observed = np.ones(counts.shape, dtype=bool)
        rates.append(
            smooth_observed(counts, observed, reading.smooth / bin_s, 1 / bin_s, slice(0, n_bins))
        )
    return _Binned(rates, edges[:-1] + bin_s / 2, bin_s, together=False)


def _by_unit(spikes: Any, dims: Sequence[str] | None) -> list[list[Any]]:
    given = SPIKE_DIMS if dims is None else tuple(dims)
    if sorted(given) != sorted(SPIKE_DIMS):
        raise InputError(
            "dims",
            f"{SPIKE_DIMS} or {SPIKE_DIMS[::-1]} of spike times",
            repr(given),
            "Name what the outer and the inner list hold.",
        )
    outer = [list(inner) for inner in spikes]
    if given == SPIKE_DIMS:
        return outer
    if len({len(inner) for inner in outer}) > 1:
        raise InputError(
            "spikes",
            "as many units in each trial",
            listing(sorted({len(inner) for inner in outer})),
            "Give an empty list where a unit has no spikes.",
        )
    return [list(unit) for unit in zip(*outer, strict=True)]


def _times(spikes: Any) -> Times:
    """Give spike times in order, without the NaN that pads them in matrices."""
    times = as_array("spikes", spikes, np.float64).ravel()
    return np.sort(times[np.isfinite(times)])


def _block(
    binned: _Binned, trials: Any, units: Table | None, reading: Reading, about: _About
) -> xr.DataTree:
    rates, columns, unit = _rows(binned, trials)
    with_task(columns, reading.task, len(rates), about.name)
    block = make_block(
        rates,
        time_s=binned.time_s,
        bin_width_s=binned.bin_s,
        aligned_to=about.aligned_to or "event",
        trials=columns,
        units=_unit_table(units, len(binned.rates)),
        observation_unit=unit,
        condition_variables=conditions_by_task(reading.conditions, columns),
        source=about.source,
        name=about.name,
        provenance=about.provenance,
    )
    return check_activity(make_activity({about.leaf: block}))


def _rows(
    binned: _Binned, trials: Any
) -> tuple[npt.NDArray[np.float32], dict[str, Column], npt.NDArray[np.int64] | None]:
    """Give rates, trial columns and, where units have trials of their own, whose they are."""
    sizes = [len(unit) for unit in binned.rates]
    tables = trials if isinstance(trials, list | tuple) else None
    if tables is None and (binned.together or trials is not None):
        if len(set(sizes)) > 1:
            raise InputError(
                "trials",
                "a table for each unit, since their numbers of trials differ",
                f"one table, and {min(sizes)} to {max(sizes)} trials",
                "Pass a list of tables.",
            )
        rates = np.stack([np.asarray(unit, dtype=np.float32) for unit in binned.rates], axis=-1)
        return rates, table_columns(trials, sizes[0], "trial"), None
    tables = [None] * len(sizes) if tables is None else tables
    if len(tables) != len(sizes):
        raise InputError(
            "trials", f"{len(sizes)} tables, one for each unit", f"{len(tables)}", "Give them all."
        )
    own = [table_columns(*pair, "trial") for pair in zip(tables, sizes, strict=True)]
    names = dict.fromkeys(name for table in own for name in table)
    columns = {name: joined_columns([table.get(name) for table in own], sizes) for name in names}
    rates = np.concatenate([np.asarray(unit, dtype=np.float32) for unit in binned.rates])
    return rates, columns, np.repeat(np.arange(len(sizes)), sizes)


def _unit_table(units: Table | None, n_units: int) -> dict[str, Column]:
    columns = table_columns(units, n_units, "unit")
    ids = columns.get("unit", np.array([f"unit {place}" for place in range(n_units)]))
    return columns | {"unit": ids.astype(str)}


def _on_one_clock(
    spikes: Any, trials: Any, units: Table | None, reading: Reading, about: _About
) -> xr.DataTree:
    """Lay spike times on a session's clock about the events of its trials."""
    if trials is None or isinstance(trials, list | tuple):
        raise InputError(
            "trials",
            "a table with the times of trials, such as start_time and stop_time",
            "none" if trials is None else "several",
            "Give spike times by unit and trial where they are from an event.",
        )
    n_trials = len(next((trials[name] for name in trials), ()))
    times = [_times(unit) for unit in spikes]
    session = Session(
        name=about.name,
        trials=table_columns(trials, n_trials, "trial"),
        units=_unit_table(units, len(times)),
        signal=SpikeTrains(times.__getitem__),
    )
    return check_activity(
        lay_on_one_clock(
            [session],
            reading,
            name=about.name,
            aligned_to=about.aligned_to,
            source=about.source,
            provenance=about.provenance,
        )
    )
