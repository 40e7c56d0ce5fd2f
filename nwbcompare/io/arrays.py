"""Activity from plain arrays: rates, counts or spike times, with tables of trials and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import Source, make_activity, make_block
from nwbcompare.core.epochs import Epochs, with_epochs
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.schema import check_activity
from nwbcompare.io.columns import (
    Column,
    Table,
    as_array,
    as_numbers,
    conditions_by_task,
    table_columns,
    with_task,
)
from nwbcompare.io.common_time import on_common_time
from nwbcompare.io.sessions.alignment import DEFAULT_BIN_S, count_bins, lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import SpikeTrains, Times
from nwbcompare.io.sessions.session import Reading, Session
from nwbcompare.io.sessions.session_tables import check_condition_types, joined_columns
from nwbcompare.io.sessions.silence import warn_if_silent
from nwbcompare.kernels.spikes import onto_edges, smooth_observed

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
    epochs: Epochs | None = None,
    aligned_to: str | None = None,
    name: str = "arrays",
    source: Source = "recording",
    provenance: dict[str, Any] | None = None,
) -> xr.DataTree:
    """Make an activity from plain arrays of rates, counts or spike times.

    Parameters
    ----------
    rates
        Rates, ``(trial, time, unit)``, or ``(trial, time)`` of one unit. Or a list with an array
        ``(trial, time)`` for each unit, if units have different trials; or, with ``dims``, one
        for each trial. NaN: not observed.
    spikes
        Instead of rates, spike times (s): for each unit, for each of its trials, a list of
        times from the event. Or for each unit one list of times on the session's clock, with
        the trial columns ``start_time`` and ``stop_time``.
    trials
        Trial columns, a mapping or DataFrame, if all units share the trials; else a list with
        one for each unit. By default none; a list of rates by unit then counts as units with
        different trials.
    units
        Columns of the unit table, with unique ids ``unit``, by default "unit 0", "unit 1", ...
    dims
        Order of the axes: by default ``("trial", "time", "unit")`` for rates, and
        ``("unit", "trial")`` for spike times from an event. Of a list of arrays, its own axis
        first, as in ``("trial", "unit", "time")``. ``("unit", "time")`` is one trial.
    time_s
        Bin centres (s) of rates, ``(time,)``; by default consecutive bins from 0 s. Of a list by
        trial also a list: trials are then padded with NaN, if their bins are the same where they
        overlap.
    counts
        Whether ``rates`` are spike counts, which are then divided by the bin width.
    align
        For spikes on the session's clock, the trial column with the event; by default
        ``start_time``.
    window
        For spikes, start and stop (s) from the event. Required for times from an event.
    bin
        Bin width (s), by default the step of ``time_s`` for rates, and 0.05 s for spikes.
    smooth
        For spikes, standard deviation of a Gaussian (s); 0 for none. For times from an event
        the edges of the window are padded with the end values.
    task, conditions, epochs
        See `nwbcompare.io.sessions.Reading`. Rates, and spike times from an event, have no clock:
        there columns of times are from the event, or on the clock of the trial column that
        ``aligned_to`` names.
    aligned_to
        Name of the event; by default the column ``align``, else "event".
    name
        Name of the activity in figures and tables.
    source
        "recording" (rates in spikes/s) or "model" (rates without unit).
    provenance
        Origin of the arrays, e.g. files with checksums. For rates that were smoothed, ``smooth_s``,
        the standard deviation (s), which `nwbcompare.sample_like` imitates; of counts and spikes it
        is known.

    Returns
    -------
    xarray.DataTree
        One block, checked; ragged if units have different trials, else dense.

    Raises
    ------
    InputError
        If shapes do not fit, an option is of another kind of data, or the data break the data
        model.

    Warns
    -----
    UserWarning
        If no column names the task: all trials are then of one task, called ``name``.

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
        epochs=epochs,
    )
    description = _Description(aligned_to, name, source, provenance)
    if rates is not None:
        _refuse(
            "rates",
            "Use nwbcompare.align, smooth or rebin on the result.",
            align=align,
            window=window,
            smooth=smooth,
        )
        binned = _rates(rates, dims, time_s, bin)
        # only counts are known not to be smoothed
        if not counts:
            return _block(binned, trials, units, reading, description)
        described = description.smoothed(0.0)
        return _block(binned.per_second(), trials, units, reading, described)
    _refuse("spikes", "They are for rates.", time_s=time_s, counts=counts)
    if _is_nested(spikes):
        _refuse("spikes from an event", "Their event is at 0 s.", align=align)
        described = description.smoothed(reading.smooth)
        return _block(_binned(spikes, dims, reading, repr(name)), trials, units, reading, described)
    _refuse("spikes on a session's clock", "Pass one list of times for each unit.", dims=dims)
    return _on_one_clock(spikes, trials, units, reading, description)


@dataclass(frozen=True)
class _Description:
    """Labels of an activity; see `from_arrays`."""

    aligned_to: str | None
    name: str
    source: Source
    provenance: dict[str, Any] | None

    @property
    def leaf(self) -> str:
        """Name of the only block."""
        # a slash would make a leaf in a leaf
        return self.name.replace("/", "_")

    def smoothed(self, sd_s: float) -> _Description:
        """Return the labels with the smoothing, which samples of networks imitate."""
        return replace(self, provenance={"smooth_s": float(sd_s), **(self.provenance or {})})


@dataclass(frozen=True)
class _Binned:
    """Rates in bins.

    Attributes
    ----------
    rates
        Rates of each unit, ``(trial, time)``.
    time_s, bin_s
        Bin centres ``(time,)`` and width (s).
    together
        Whether all units are known to have the same trials.
    """

    rates: Sequence[npt.NDArray[Any]]
    time_s: Times
    bin_s: float
    together: bool

    def per_second(self) -> _Binned:
        """Return rates (spikes/s) computed from counts."""
        return replace(self, rates=[counts / self.bin_s for counts in self.rates])


def _refuse(subject: str, remedy: str, **options: Any) -> None:
    """Check that options which do not apply to the data have their defaults."""
    for option, value in options.items():
        # by identity, since an array has no truth value
        if value is not None and value is not False and not (option == "smooth" and value == 0):
            raise InputError(option, f"nothing for {subject}", _described(value), remedy)


def _described(value: Any) -> str:
    return f"an array {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def _rates(rates: Any, dims: Sequence[str] | None, time_s: Any, bin_s: float | None) -> _Binned:
    by_unit = _is_list_of_arrays(rates) and (dims is None or dims[0] != "trial" or len(dims) != 3)
    if by_unit:
        matrices = [_of_unit(as_numbers("rates", unit), dims) for unit in rates]
    else:
        if dims is not None and _is_list_of_arrays(rates):
            trials = [
                _ordered("rates", as_numbers("rates", one), dims[1:], RATE_DIMS[1:])
                for one in rates
            ]
            whole, time_s = on_common_time(trials, time_s)
        else:
            whole = _trial_time_unit(as_numbers("rates", rates), dims)
        matrices = list(np.moveaxis(whole, 2, 0))
    # units may differ in trials, but share the time axis
    lengths = {matrix.shape[1] for matrix in matrices}
    if len(lengths) != 1:
        raise InputError(
            "rates",
            "as many bins for each unit",
            f"{listing(sorted(lengths))}" if lengths else "no unit",
            "Cut them to one time axis, or pad them with NaN.",
        )
    centres, width = _time_axis(lengths.pop(), time_s, bin_s)
    return _Binned(matrices, centres, width, together=not by_unit)


def _trial_time_unit(whole: npt.NDArray[Any], dims: Sequence[str] | None) -> npt.NDArray[Any]:
    """Return an array of two or three axes as trials x times x units."""
    if whole.ndim != 2:
        return _ordered("rates", whole, dims, RATE_DIMS)
    if dims is not None and "unit" in dims:
        # a mean over trials is one trial
        return _ordered("rates", whole, dims, RATE_DIMS[1:])[None]
    return _ordered("rates", whole, dims, RATE_DIMS[:2])[:, :, None]


def _of_unit(matrix: npt.NDArray[Any], dims: Sequence[str] | None) -> npt.NDArray[Any]:
    """Return a matrix of a list by unit as trials x times."""
    if dims is None:
        return _ordered("rates", matrix, None, RATE_DIMS[:2])
    if dims[0] != "unit" or len(dims) != 3:
        raise InputError(
            "dims",
            "the axis of the list first, and those of its matrices: ('unit', 'trial', 'time') or "
            "('trial', 'time', 'unit')",
            repr(tuple(dims)),
            "Name the axes of the list and of its matrices.",
        )
    return _ordered("rates", matrix, dims[1:], RATE_DIMS[:2])


def _is_list_of_arrays(rates: Any) -> bool:
    """Return whether rates are a list of arrays, one for each unit; nested lists are one array."""
    # numpy makes an object array of arrays of different lengths
    is_list = isinstance(rates, list | tuple) or (
        isinstance(rates, np.ndarray) and rates.dtype.kind == "O"
    )
    return is_list and all(isinstance(unit, np.ndarray) for unit in rates)


def _ordered(
    subject: str, array: npt.NDArray[Any], dims: Sequence[str] | None, order: Sequence[str]
) -> npt.NDArray[Any]:
    """Transpose an array with axes ``dims`` to an order of axes."""
    axes = list(order if dims is None else dims)
    if sorted(axes) != sorted(order) or array.ndim != len(order):
        raise InputError(
            subject,
            f"dims {listing(order)} in some order",
            f"dims {listing(axes)} of an array {array.shape}",
            "Name the axes with dims=....",
        )
    return np.transpose(array, [axes.index(dim) for dim in order])


def _time_axis(n_bins: int, time_s: Any, bin_s: float | None) -> tuple[Times, float]:
    """Return bin centres and bin width (s)."""
    if time_s is None:
        if bin_s is None:
            raise InputError("time_s", "bin centres in s, or bin=", "neither", "Pass one of them.")
        return ((np.arange(n_bins) + 0.5) * bin_s).astype(np.float64), bin_s
    centres: Times = as_array("time_s", time_s, np.float64).ravel()
    if centres.size != n_bins:
        raise InputError(
            "time_s", f"{n_bins} bin centres", f"{centres.size}", "Pass one for each bin, in s."
        )
    if bin_s is None and n_bins == 1:
        raise InputError("bin", "the width of the only bin (s)", "none", "Pass bin=....")
    # the median, since bins may lie apart somewhere
    return centres, float(np.median(np.diff(centres))) if bin_s is None else bin_s


def _is_nested(spikes: Any) -> bool:
    """Return whether spike times are by unit and trial, and not by unit alone."""
    # units without spikes or trials do not tell which of the two: one nested unit decides
    firsts = (next(iter(unit), 0.0) for unit in spikes)
    return any(np.ndim(first) > 0 for first in firsts)


def _binned(spikes: Any, dims: Sequence[str] | None, reading: Reading, name: str) -> _Binned:
    """Return rates in bins of a window, from spike times relative to an event."""
    if reading.window is None:
        raise InputError(
            "window", "(start, stop) in s about the event", "none", "Pass window=(-0.5, 1.0)."
        )
    start, stop = reading.window
    bin_s = reading.bin or DEFAULT_BIN_S
    n_bins = count_bins(start, stop, bin_s)
    # multiples of the width: a running sum would add up rounding errors
    edges: Times = (start + np.arange(n_bins + 1) * bin_s).astype(np.float64)
    rates = []
    trains = [[_times(trial) for trial in unit] for unit in _by_unit(spikes, dims)]
    warn_if_silent(
        (times for unit in trains for times in unit), edges[:1], edges[-1:], 0.0, of=name
    )
    for unit in trains:
        counts = np.array(
            [np.diff(np.searchsorted(onto_edges(times, bin_s), edges)) for times in unit]
        )
        counts = counts.reshape(len(unit), n_bins)
        # spike times from an event carry no information on gaps in the recording
        observed = np.ones(counts.shape, dtype=bool)
        rates.append(
            smooth_observed(counts, observed, reading.smooth / bin_s, 1 / bin_s, slice(0, n_bins))
        )
    return _Binned(rates, edges[:-1] + bin_s / 2, bin_s, together=False)


def _by_unit(spikes: Any, dims: Sequence[str] | None) -> list[list[Any]]:
    order = SPIKE_DIMS if dims is None else tuple(dims)
    if sorted(order) != sorted(SPIKE_DIMS):
        raise InputError(
            "dims",
            f"{SPIKE_DIMS} or {SPIKE_DIMS[::-1]} of spike times",
            repr(order),
            "Name the axes of the outer and the inner list.",
        )
    outer = [list(inner) for inner in spikes]
    if order == SPIKE_DIMS:
        return outer
    if len({len(inner) for inner in outer}) > 1:
        raise InputError(
            "spikes",
            "as many units in each trial",
            listing(sorted({len(inner) for inner in outer})),
            "Pass an empty list for a unit without spikes.",
        )
    return [list(unit) for unit in zip(*outer, strict=True)]


def _times(spikes: Any) -> Times:
    """Return spike times in order, without the NaN that pads them in matrices."""
    times = as_array("spikes", spikes, np.float64).ravel()
    return np.sort(times[np.isfinite(times)])


def _block(
    binned: _Binned, trials: Any, units: Table | None, reading: Reading, description: _Description
) -> xr.DataTree:
    rates, columns, unit = _rows(binned, trials, reading.conditions)
    with_task(columns, reading.task, len(rates), description.name)
    block = make_block(
        rates,
        time_s=binned.time_s,
        bin_width_s=binned.bin_s,
        aligned_to=description.aligned_to or "event",
        trials=columns,
        units=_unit_table(units, len(binned.rates)),
        observation_unit=unit,
        condition_variables=conditions_by_task(reading.conditions, columns),
        source=description.source,
        name=description.name,
        provenance=description.provenance,
    )
    block = with_epochs(check_activity(block), reading.epochs)
    return make_activity({description.leaf: block})


def _rows(
    binned: _Binned, trials: Any, conditions: Sequence[str] | None
) -> tuple[npt.NDArray[np.float32], dict[str, Column], npt.NDArray[np.int64] | None]:
    """Return rates, trial columns and, if units have different trials, the unit of each row."""
    sizes = [len(unit) for unit in binned.rates]
    tables = trials if isinstance(trials, list | tuple) else None
    # one table for all, or one array for all: the trials are shared, and the block is dense
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
            "trials", f"{len(sizes)} tables, one for each unit", f"{len(tables)}", "Pass them all."
        )
    parts = [table_columns(*pair, "trial") for pair in zip(tables, sizes, strict=True)]
    check_condition_types(conditions, parts)
    names = dict.fromkeys(name for part in parts for name in part)
    columns = {name: joined_columns([part.get(name) for part in parts], sizes) for name in names}
    rates = np.concatenate([np.asarray(unit, dtype=np.float32) for unit in binned.rates])
    return rates, columns, np.repeat(np.arange(len(sizes)), sizes)


def _unit_table(units: Table | None, n_units: int) -> dict[str, Column]:
    columns = table_columns(units, n_units, "unit")
    ids = columns.get("unit", np.array([f"unit {place}" for place in range(n_units)]))
    return columns | {"unit": ids.astype(str)}


def _on_one_clock(
    spikes: Any, trials: Any, units: Table | None, reading: Reading, description: _Description
) -> xr.DataTree:
    """Return rates about the events of trials, from spike times on the session's clock."""
    if trials is None or isinstance(trials, list | tuple):
        raise InputError(
            "trials",
            "a table with the times of trials, such as start_time and stop_time",
            "none" if trials is None else "several",
            "Pass spike times by unit and trial if they are relative to an event.",
        )
    # the first column tells the number of trials, against which all are checked
    n_trials = len(next((trials[name] for name in trials), ()))
    times = [_times(unit) for unit in spikes]
    session = Session(
        name=description.name,
        trials=table_columns(trials, n_trials, "trial"),
        units=_unit_table(units, len(times)),
        signal=SpikeTrains(times.__getitem__),
    )
    return check_activity(
        lay_on_one_clock(
            [session],
            reading,
            name=description.name,
            aligned_to=description.aligned_to,
            source=description.source,
            provenance=description.provenance,
        )
    )
