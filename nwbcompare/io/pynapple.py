"""Conversion from and to pynapple: spike trains (TsGroup), samples (TsdFrame), IntervalSets."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    condition_variables_of,
    is_ragged,
    trial_columns,
    unit_columns,
    unit_positions,
)
from nwbcompare.core.epochs import Epochs
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.lazy import Places
from nwbcompare.io.columns import (
    Column,
    even_bin_width,
    lone_block,
    table_columns,
)
from nwbcompare.io.optional import require
from nwbcompare.io.segments import SampledSegment, SampledSegments
from nwbcompare.io.sessions.alignment import lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import Samples, Signal, SpikeTrains, Times
from nwbcompare.io.sessions.session import Reading, Session

if TYPE_CHECKING:
    from pynapple import IntervalSet, Tsd, TsdFrame, TsGroup

EVENT = "event_time"
"""Column with each trial's time 0 on the clock of `to_pynapple` (s)."""
EPOCH_COLUMN = re.compile("(.+)_epoch_(start|stop)")
"""Columns with the bounds of an epoch on the clock of `to_pynapple` (s)."""
CONDITIONS = "condition_variables"
"""Column with the condition variables of a trial's task (JSON)."""
ROUNDING_S = 1e-9
"""Error of the difference of two times, since pynapple rounds them to 1 ns (s)."""
BETWEEN_S = 1e-6
"""Time by which pynapple shortens an interval that ends where the next one starts (s)."""


@dataclass(frozen=True)
class PynappleTrials:
    """Trials end to end on one clock, as objects of pynapple.

    Attributes
    ----------
    rates
        Rates at the bin centres, ``(time, unit)``, with the unit table as metadata and the trials
        as time support.
    trials
        One interval for each trial, with the trial columns as metadata, and ``event_time``, the
        time of the event that trials are aligned to (s).
    """

    rates: TsdFrame
    trials: IntervalSet


def to_pynapple(activity: Activity) -> PynappleTrials | dict[str, PynappleTrials]:
    """Convert an activity of one block to objects of pynapple.

    Parameters
    ----------
    activity
        An activity with one block, or a block, on an even time axis.

    Returns
    -------
    PynappleTrials or dict
        For a dense block the rates and trials, end to end as in native NWB files. For a ragged
        block such a pair for each unit by its id, since units have different trials.

        ``from_pynapple(it.rates, it.trials, align="event_time", window=(start, stop))`` converts
        rates, columns, epochs and condition variables back. Epochs are columns of times,
        ``NAME_epoch_start`` and ``NAME_epoch_stop``; ``condition_variables`` has those of the
        trial's task, as JSON. Other columns of times are not shifted to the new clock;
        ``start_time`` and ``stop_time`` are replaced by those of the intervals.

    Raises
    ------
    ImportError
        If pynapple is not installed.
    InputError
        If there are several blocks, time steps are uneven, or the data break the data model.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> it = to_pynapple(example_block())
    >>> it.rates.shape, it.trials.shape
    ((40, 3), (8, 2))
    >>> it.trials["stim1_epoch_start"][:2].tolist()
    [0.1, 0.6]
    >>> it.rates.restrict(it.trials[it.trials["correct"]]).shape
    (20, 3)
    """
    require("pynapple")
    block = lone_block(activity, to_pynapple)
    even_bin_width(block, to_pynapple)
    columns, units = _described_trials(block), unit_columns(block)
    if not is_ragged(block):
        return _laid_end_to_end(block, block["rate"].values, columns, units)
    place = unit_positions(block)
    by_unit = {}
    for unit, name in enumerate(units["unit"]):
        rows = np.flatnonzero(place == unit)
        by_unit[str(name)] = _laid_end_to_end(
            block,
            block["rate"].values[rows, :, None],
            {column: values[rows] for column, values in columns.items()},
            {column: values[unit : unit + 1] for column, values in units.items()},
        )
    return by_unit


def from_pynapple(
    spikes: TsGroup | TsdFrame | Tsd | Mapping[str, TsGroup | TsdFrame | Tsd],
    trials: IntervalSet | Mapping[str, IntervalSet],
    *,
    align: str = "start_time",
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    smooth: float = 0.0,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    epochs: Epochs | None = None,
    name: str = "pynapple",
) -> xr.DataTree:
    """Make an activity from objects of pynapple.

    Parameters
    ----------
    spikes
        Spike trains (TsGroup), or samples such as rates or fluorescence (TsdFrame, Tsd). Their
        metadata become the unit table. Times outside their time support were not observed.
        For several sessions, a mapping by the session's name.
    trials
        One interval for each trial: its bounds become the columns ``start_time`` and
        ``stop_time``, its metadata the other trial columns. For several sessions, a mapping with
        the same names.
    align, window, bin, smooth, task, conditions, epochs
        See `nwbcompare.io.sessions.Reading`.
    name
        Name of the activity in figures and tables.

    Returns
    -------
    xarray.DataTree
        One block, binned when it is indexed: spikes/s of spike trains, means of samples.

    Raises
    ------
    ImportError
        If pynapple is not installed.
    InputError
        If objects are of other types, and as `nwbcompare.io.sessions.lay_on_one_clock`.

    Examples
    --------
    >>> import numpy as np, pynapple as nap
    >>> train = nap.Ts(np.array([0.1, 1.1, 1.2]))
    >>> spikes = nap.TsGroup({7: train}, metadata={"area": ["LIP"]})
    >>> trials = nap.IntervalSet([0, 1], [0.5, 1.5], metadata={"side": ["left", "right"]})
    >>> activity = from_pynapple(spikes, trials, task="side", window=(0.1, 0.3), bin=0.1)
    >>> activity["pynapple"]["rate"].values[:, :, 0].tolist()
    [[10.0, 0.0], [10.0, nan]]

    The last bin is NaN, since pynapple takes a group as recorded from its first to its last
    spike, unless ``time_support`` is passed to it.
    """
    require("pynapple")
    sessions = list(_sessions(spikes, trials, name))
    return lay_on_one_clock(
        [
            _session(recording, intervals, session, bin)
            for session, recording, intervals in sessions
        ],
        Reading(
            align=align,
            window=window,
            bin=bin,
            smooth=smooth,
            task=task,
            conditions=conditions,
            epochs=epochs,
        ),
        name=name,
        condition_variables=_condition_variables(intervals for _, _, intervals in sessions),
    )


def _laid_end_to_end(
    block: xr.Dataset,
    rates: npt.NDArray[np.float32],
    columns: Mapping[str, Column],
    units: Mapping[str, Column],
) -> PynappleTrials:
    """Return the rates ``(trial, time, unit)`` of trials laid end to end."""
    nap = require("pynapple")
    n_trials, n_bins, n_units = rates.shape
    width = float(block["time"].attrs["bin_width_s"])
    start = np.arange(n_trials) * (n_bins * width)
    stop = start + n_bins * width
    # as pynapple does, so that the times here are those of its intervals
    stop[:-1] -= BETWEEN_S
    left = float(block["time"].values[0]) - width / 2
    metadata = {k: v for k, v in columns.items() if k not in {"start_time", "stop_time"}}
    bounds = {k: v + start - left for k, v in metadata.items() if EPOCH_COLUMN.fullmatch(k)}
    trials = nap.IntervalSet(start, stop)
    _annotate(trials, metadata | bounds | {EVENT: start - left})
    frame = nap.TsdFrame(
        t=(start[:, None] + (np.arange(n_bins) + 0.5) * width).ravel(),
        d=rates.reshape(-1, n_units),
        columns=units["unit"],
        time_support=trials,
    )
    # pynapple does not allow a column of metadata with the name of a unit
    ids = set(units["unit"])
    _annotate(frame, {f"unit_{k}" if k in ids else k: v for k, v in units.items() if k != "unit"})
    return PynappleTrials(frame, trials)


def _described_trials(block: xr.Dataset) -> dict[str, Column]:
    """Return the trial columns, with the bounds of epochs (s from the event) and the conditions."""
    columns = trial_columns(block)
    if "epoch" in block.coords:
        for place, name in enumerate(block["epoch"].values):
            for which in ("start", "stop"):
                columns[f"{name}_epoch_{which}"] = block[f"epoch_{which}_time"].values[:, place]
    variables = condition_variables_of(block)
    text = [json.dumps(variables.get(task, [])) for task in columns["task"]]
    return columns | {CONDITIONS: np.array(text, dtype=str)}


def _annotate(item: Any, columns: Mapping[str, Column]) -> None:
    with warnings.catch_warnings():
        # the warning is about attribute access; `get_info` and `metadata` work with any name
        warnings.filterwarnings("ignore", message="Metadata name", category=UserWarning)
        item.set_info(dict(columns))


def _sessions(spikes: Any, trials: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, the recording and the trials of each session."""
    nap = require("pynapple")
    # a TsGroup is a dict, too
    if isinstance(spikes, nap.TsGroup) or not isinstance(spikes, Mapping):
        yield name, spikes, trials
        return
    if not isinstance(trials, Mapping) or set(trials) != set(spikes) or not spikes:
        raise InputError(
            "trials",
            f"a mapping of sessions as spikes, {listing(spikes)}",
            listing(trials) if isinstance(trials, Mapping) else type(trials).__name__,
            "Pass both by the session's name.",
        )
    for session, recording in spikes.items():
        yield str(session), recording, trials[session]


def _session(spikes: Any, trials: Any, name: str, bin_s: float | None) -> Session:
    nap = require("pynapple")
    if not isinstance(trials, nap.IntervalSet):
        raise InputError(
            "trials", "a pynapple.IntervalSet", type(trials).__name__, "Pass an interval per trial."
        )
    units, signal = _signal(spikes, bin_s)
    columns = table_columns(_metadata(trials), len(trials), "trial")
    columns.pop(CONDITIONS, None)
    start = np.asarray(trials.start)
    names = dict.fromkeys(match[1] for match in map(EPOCH_COLUMN.fullmatch, columns) if match)
    epochs = {
        epoch: (columns[f"{epoch}_epoch_start"] - start, columns[f"{epoch}_epoch_stop"] - start)
        for epoch in names
        if {f"{epoch}_epoch_start", f"{epoch}_epoch_stop"} <= set(columns)
    }
    columns = {
        name: values
        for name, values in columns.items()
        if not (match := EPOCH_COLUMN.fullmatch(name)) or match[1] not in epochs
    }
    columns |= {"start_time": start, "stop_time": np.asarray(trials.end)}
    return Session(name=name, trials=columns, units=units, signal=signal, epochs=epochs)


def _condition_variables(trials: Iterable[Any]) -> dict[str, list[str]]:
    """Return the condition variables of each task that `to_pynapple` wrote, if it did."""
    found: dict[str, list[str]] = {}
    for metadata in map(_metadata, trials):
        if CONDITIONS in metadata and "task" in metadata:
            pairs = zip(metadata["task"], metadata[CONDITIONS], strict=True)
            found |= {str(task): json.loads(text) for task, text in pairs}
    return found


def _metadata(item: Any) -> dict[str, Any]:
    table = item.metadata
    return {str(name): table[name].to_numpy() for name in table.columns}


def _signal(spikes: Any, bin_s: float | None) -> tuple[dict[str, Column], Signal]:
    nap = require("pynapple")
    if isinstance(spikes, nap.TsGroup):
        keys = list(spikes.keys())
        support = np.asarray(spikes.time_support.values, dtype=np.float64)
        signal = SpikeTrains(
            partial(_group_times, spikes, keys), [support] * len(keys), rounding_s=ROUNDING_S
        )
        metadata = _metadata(spikes)
        # the mean rate that pynapple adds depends on the time support, not only on the unit
        metadata.pop("rate", None)
        units = table_columns(metadata, len(keys), "unit")
        return units | {"unit": np.array(keys).astype(str)}, signal
    # a Tsd is one channel without a name
    if isinstance(spikes, nap.Tsd):
        return {"unit": np.array(["0"])}, _samples(spikes, bin_s)
    if isinstance(spikes, nap.TsdFrame):
        ids = np.array([str(column) for column in spikes.columns])
        units = table_columns(_metadata(spikes), ids.size, "unit")
        return units | {"unit": ids}, _samples(spikes, bin_s)
    raise InputError(
        "spikes",
        "a pynapple.TsGroup of spike trains, or a TsdFrame or Tsd of samples",
        type(spikes).__name__,
        "For a lone spike train pass nap.TsGroup({0: train}).",
    )


def _group_times(group: Any, keys: Sequence[Any], unit: int) -> Times:
    """Return the spike times of a unit of a TsGroup (s), ascending."""
    return np.asarray(group[keys[unit]].t, dtype=np.float64)


def _samples(frame: Any, bin_s: float | None) -> SampledSegments:
    """Return samples as one segment for each epoch of their time support."""
    times = np.asarray(frame.t, dtype=np.float64)
    support = np.asarray(frame.time_support.values, dtype=np.float64)
    first = np.searchsorted(times, support[:, 0])
    last = np.searchsorted(times, support[:, 1], side="right")
    bounds = [(int(a), int(b)) for a, b in zip(first, last, strict=True) if b > a]
    inside = np.concatenate([np.empty(0), *(np.diff(times[a:b]) for a, b in bounds)])
    steps = inside if inside.size else np.diff(times)
    if not bounds or (not steps.size and bin_s is None):
        raise InputError(
            "spikes",
            "at least two samples, which tell the sampling interval",
            f"{times.size}",
            "Pass more of the recording, or bin= for a single sample.",
        )
    step = float(np.median(steps)) if steps.size else float(bin_s or 0)
    channels = np.arange(1 if frame.ndim == 1 else frame.shape[1])
    return SampledSegments(
        [SampledSegment(_segment(frame, times, a, b, step), channels) for a, b in bounds]
    )


def _segment(frame: Any, times: Times, first: int, last: int, step: float) -> Samples:
    stamps = times[first:last]
    # the mean over the segment, since errors of a rounded step would add up
    even_step = float(stamps[-1] - stamps[0]) / (stamps.size - 1) if stamps.size > 1 else step
    deviation = np.abs(stamps - stamps[0] - np.arange(stamps.size) * even_step)
    uneven = deviation.max() > EPOCH_TOLERANCE * step

    def read(start: int, stop: int, channels: Places) -> npt.NDArray[Any]:
        values = np.asarray(frame.values[first + start : first + stop])
        return values[:, None] if values.ndim == 1 else values[:, channels]

    return Samples(
        read=read,
        n_samples=stamps.size,
        start_s=float(stamps[0]),
        sampling_s=step if uneven else even_step,
        times=(lambda: stamps) if uneven else None,
    )
