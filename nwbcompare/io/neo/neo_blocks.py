"""Conversion from and to neo: spike trains, signals, events and epochs of a block."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    Activity,
    is_ragged,
    trial_columns,
    unit_columns,
    unit_positions,
)
from nwbcompare.core.epochs import Epochs
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.lazy import Places
from nwbcompare.io.columns import (
    Column,
    Table,
    columns_of_records,
    even_bin_width,
    is_scalar,
    lone_block,
    table_columns,
)
from nwbcompare.io.neo.neo_trials import (
    SEGMENTS,
    Part,
    in_seconds,
    laid_out,
    loaded,
    read_trials,
)
from nwbcompare.io.optional import require
from nwbcompare.io.segments import SampledSegment, SampledSegments
from nwbcompare.io.sessions.alignment import lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import Samples, Signal, SpikeTrains, Times
from nwbcompare.io.sessions.session import Reading, Session

if TYPE_CHECKING:
    from neo import Block, Segment

NOT_OF_UNITS = ("nix_name", "channel_names")
"""Annotations of neo's readers that repeat the id of a unit."""
CONDITIONS = "condition_variables"
"""Annotation of a block with the condition variables of each task (JSON), as `to_neo` writes."""
EPOCHS = "epochs"
"""Name of the Epoch with a trial's epochs in `to_neo`."""
RATES = "rates"
"""Name of the signal with the rates in `to_neo`."""


def from_neo(
    block: Block | Segment,
    *,
    trials: str | Table | None = None,
    events: Mapping[str, str] | None = None,
    columns: Table | None = None,
    signal: str | None = None,
    align: str = "start_time",
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    smooth: float = 0.0,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    epochs: Epochs | None = None,
    name: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Make an activity from a neo block; spikes and samples are read when rates are indexed.

    Segments that do not overlap in time keep their times. Segments that overlap, e.g. because
    each starts at 0 s, are placed one after another, with all their times shifted.

    Parameters
    ----------
    block
        A block, or one segment. Proxies (``read_block(lazy=True)``) are not loaded.
    trials
        Definition of trials: the name of an Epoch; the name of an Event, or the label of events,
        at which trials start (each stops at the start of the next one, or with its segment);
        ``{"start": ..., "stop": ...}`` with two of these; ``{"epoch": ...}`` for an Epoch
        with the same name as an Event; or "segments", one trial each. Labels, array annotations
        and annotations of segments become trial columns. Where the file has no trials, a table of
        them: columns ``start_time`` and ``stop_time`` (s, on the clock of the only segment) and
        more.
    events
        Further trial columns of times (s), each from the name of an Event or the label of events,
        e.g. ``{"cue_time": "CUE"}``: the first one in each trial, NaN in trials without it.
    columns
        Further trial columns, with one value for each trial in order of time.
    signal
        Name of an AnalogSignal whose channels are the units; by default, units are spike trains.
    align, window, bin, smooth, task, conditions, epochs
        See `nwbcompare.io.sessions.Reading`.
    name
        Name of the activity in figures and tables; by default that of the block, or of its file.
    provenance
        Origin of the block, e.g. its file with a checksum.

    Returns
    -------
    xarray.DataTree
        One block. Times outside a spike train's ``t_start`` to ``t_stop`` were not observed
        (NaN). Spike trains of several segments are one unit if they have the same name, else the
        same annotation ``id``, else the same index; channels of signals are matched by their
        ``channel_names``. Scalar annotations become the unit table.

    Raises
    ------
    ImportError
        If neo is not installed.
    InputError
        If a name does not exist or is ambiguous (the message lists the names), and as
        `nwbcompare.io.sessions.lay_on_one_clock`.

    Examples
    --------
    >>> import neo, quantities as pq
    >>> segment = neo.Segment(name="monkey A")
    >>> segment.spiketrains.append(neo.SpikeTrain([0.1, 1.1, 1.2] * pq.s, t_stop=2, name="u0"))
    >>> segment.epochs.append(
    ...     neo.Epoch([0, 1] * pq.s, [1, 1] * pq.s, labels=["left", "right"], name="trials"))
    >>> activity = from_neo(segment, trials="trials", bin=0.5, task="label")
    >>> activity["monkey A"]["rate"].values[:, :, 0].tolist()
    [[2.0, 0.0], [4.0, 0.0]]
    """
    require("neo")
    parts = laid_out(_segments(block))
    name = name or _name_of(block)
    table = read_trials(parts, trials, events)
    table |= table_columns(columns, len(table["start_time"]), "trial")
    units, recorded = _spikes(parts) if signal is None else _signal(parts, signal)
    # what `to_neo` wrote beside the trials
    variables = getattr(block, "annotations", {}).get(CONDITIONS)
    kept = (
        _kept_epochs(parts, table)
        if variables is not None and isinstance(trials, str) and trials == SEGMENTS
        else {}
    )
    return lay_on_one_clock(
        [Session(name=name, trials=table, units=units, signal=recorded, epochs=kept)],
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
        condition_variables=None if variables is None else json.loads(variables),
        provenance=provenance,
    )


def to_neo(activity: Activity) -> Block:
    """Convert an activity of one block to a neo block with a segment for each trial.

    Parameters
    ----------
    activity
        An activity with one block, or a block, on an even time axis.

    Returns
    -------
    neo.Block
        Segments with the trial columns as annotations. Each has an AnalogSignal "rates"
        (dimensionless, or in Hz) with a sample at each bin centre, in s from the event that
        trials are aligned to, and the unit table as array annotations. An Event marks time 0, and
        an Epoch "epochs" has the task's epochs. For a ragged block, a segment has the units that
        were recorded simultaneously.

        ``from_neo(it, trials="segments", signal="rates", events={"event": aligned_to},
        align="event", window=(start, stop))`` converts rates, columns, epochs and condition
        variables back.

    Raises
    ------
    ImportError
        If neo is not installed.
    InputError
        If there are several blocks, time steps are uneven, or the data break the data model.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = to_neo(example_block())
    >>> len(block.segments), block.segments[0].analogsignals[0].shape
    (8, (5, 3))
    >>> block.segments[1].annotations["task"]
    'go'
    """
    neo, pq = require("neo"), require("quantities")
    block = lone_block(activity, to_neo)
    width = even_bin_width(block, to_neo)
    result: Block = neo.Block(name=str(block.attrs["name"]))
    result.annotate(**{key: block.attrs[key] for key in ("source", CONDITIONS)})
    columns, units = trial_columns(block), unit_columns(block)
    for number, rows in enumerate(_trial_rows(block)):
        segment = neo.Segment(name=f"trial {number}", index=number)
        row = int(rows[0])
        annotations = {key: values[row] for key, values in columns.items()}
        # it tells the trial of a row, which is the segment here
        annotations.pop("observation_trial", None)
        # neo filters by equality with plain text; numbers keep numpy's types
        segment.annotate(**{k: str(v) if isinstance(v, str) else v for k, v in annotations.items()})
        segment.analogsignals.append(_rates_signal(block, rows, units, width))
        event = str(block["time"].attrs["aligned_to"])
        segment.events.append(neo.Event([0.0] * pq.s, labels=[event], name=event))
        if "epoch" in block.dims:
            segment.epochs.append(_epochs(block, row))
        result.segments.append(segment)
    return result


def _segments(block: Any) -> list[Any]:
    neo = require("neo")
    if isinstance(block, neo.Segment):
        return [block]
    if isinstance(block, neo.Block) and block.segments:
        return list(block.segments)
    raise InputError(
        "block",
        "a neo.Block with at least one segment, or a neo.Segment",
        "a Block without any" if isinstance(block, neo.Block) else type(block).__name__,
        "Read one with neo, e.g. neo.io.NixIO(path).read_block().",
    )


def _name_of(block: Any) -> str:
    return str(block.name or (Path(block.file_origin).stem if block.file_origin else "neo"))


def _train_times(trains: Sequence[Sequence[tuple[float, Any]]], unit: int) -> Times:
    """Return the spike times of a unit (s), ascending, from shifts (s) and trains of all units."""
    times = [in_seconds(loaded(train).times) + shift for shift, train in trains[unit]]
    return np.sort(np.concatenate(times))


def _spikes(parts: Sequence[Part]) -> tuple[dict[str, Column], SpikeTrains]:
    """Return the unit table, and the spike trains of all segments by unit."""
    signals = dict.fromkeys(s.name for part in parts for s in part.segment.analogsignals)
    if not any(len(part.segment.spiketrains) for part in parts):
        raise InputError(
            "block",
            "spike trains",
            f"none, and signals {listing(signals)}" if signals else "none",
            "Name a signal with signal=." if signals else "Read a block that has some.",
        )
    by_unit: dict[str, list[tuple[float, Any]]] = {}
    keys = _train_keys([list(part.segment.spiketrains) for part in parts])
    for part, part_keys in zip(parts, keys, strict=True):
        for key, train in zip(part_keys, part.segment.spiketrains, strict=True):
            by_unit.setdefault(key, []).append((part.shift_s, train))
    # an annotation that differs between segments does not describe the unit
    records = [_common([train.annotations for _, train in unit]) for unit in by_unit.values()]
    # outside t_start to t_stop the absence of spikes means nothing
    intervals = [
        np.array([[_seconds(t.t_start) + shift, _seconds(t.t_stop) + shift] for shift, t in unit])
        for unit in by_unit.values()
    ]
    units = {"unit": np.array(list(by_unit), dtype=str)} | columns_of_records(records, "unit")
    return units, SpikeTrains(partial(_train_times, list(by_unit.values())), intervals)


def _train_keys(segments: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return a key for each spike train that is unique in its segment: name, id or index."""
    names = [[str(train.name or "") for train in trains] for trains in segments]
    ids = [[str(train.annotations.get("id", "")) for train in trains] for trains in segments]
    for keys in (names, ids):
        if all(all(part) and len(set(part)) == len(part) for part in keys):
            return keys
    # by position only if all segments have as many trains
    numbers = {len(trains) for trains in segments}
    if len(numbers) > 1:
        raise InputError(
            "spike trains",
            "names, or annotations 'id', that differ within each segment",
            f"none, and {min(numbers)} to {max(numbers)} trains in the segments",
            "Name the spike trains: units cannot be matched between segments.",
        )
    return [[f"unit {place}" for place in range(len(trains))] for trains in segments]


def _common(annotations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the scalar annotations that are equal in all segments."""
    first = annotations[0]
    return {
        key: value
        for key, value in first.items()
        if key not in NOT_OF_UNITS
        and is_scalar(value)
        and all(is_scalar(other.get(key)) and other.get(key) == value for other in annotations[1:])
    }


def _seconds(quantity: Any) -> float:
    return float(in_seconds(quantity))


@dataclass(frozen=True)
class _SignalSamples:
    """Reader of the samples of an AnalogSignal, in memory or a proxy.

    Attributes
    ----------
    signal
        The signal.
    factor
        Factor that converts its values to Hz; 1 for signals that are not rates.
    """

    signal: Any
    factor: float

    def __call__(self, start: int, stop: int, channels: Places) -> npt.NDArray[Any]:
        """Return the samples from ``start`` to before ``stop``, ``(sample, channel)``."""
        signal, part = self.signal, slice(start, stop)
        if hasattr(signal, "load"):
            first, step = signal.t_start, 1 / signal.sampling_rate
            bounds = (first + start * step, first + stop * step)
            # neo rounds bounds to samples; strict slicing would reject one after the last sample
            signal = loaded(signal, time_slice=bounds, strict_slicing=False)
            part = slice(None)
        values = np.asarray(signal.magnitude[part][:, channels])
        return values if self.factor == 1 else values * self.factor


def _signal(parts: Sequence[Part], name: str) -> tuple[dict[str, Column], Signal]:
    """Return the unit table, and the samples of a signal, whose channels are units."""
    candidates = [(part, _find_signal(part.segment, name)) for part in parts]
    signals = [(part, signal) for part, signal in candidates if signal is not None]
    if not signals:
        names = dict.fromkeys(s.name for part in parts for s in part.segment.analogsignals)
        raise unknown_name("signal", name, [str(signal) for signal in names])
    records: dict[str, dict[str, Any]] = {}
    channels = []
    for _, signal in signals:
        channel_names = _channel_names(signal, name)
        channels.append({channel: place for place, channel in enumerate(channel_names)})
        for place, channel in enumerate(channel_names):
            # annotations may differ between segments: the first with a channel describes it
            if channel not in records:
                annotations = {k: v[place] for k, v in signal.array_annotations.items()}
                records[channel] = _common([annotations])
    pieces = [
        SampledSegment(
            _samples(signal, part.shift_s),
            np.array([place_of.get(unit, -1) for unit in records], dtype=np.int64),
        )
        for (part, signal), place_of in zip(signals, channels, strict=True)
    ]
    # an annotation of this name must not replace the ids
    rows = [{k: v for k, v in record.items() if k != "unit"} for record in records.values()]
    units = {"unit": np.array(list(records), dtype=str)} | columns_of_records(rows, "unit")
    return units, SampledSegments(pieces)


def _find_signal(segment: Any, name: str) -> Any:
    signals = [signal for signal in segment.analogsignals if signal.name == name]
    if len(signals) > 1:
        raise InputError(
            "signal",
            f"one signal {name!r} in each segment",
            f"{len(signals)}",
            "Rename them: signal.name = ....",
        )
    return signals[0] if signals else None


def _channel_names(signal: Any, name: str) -> list[str]:
    n_channels = signal.shape[1]
    names = [str(channel) for channel in signal.array_annotations.get("channel_names", ())]
    if len(set(names)) == n_channels and all(names):
        return names
    return [f"{name}_{place:03d}" for place in range(n_channels)]


def _samples(signal: Any, shift_s: float) -> Samples:
    rate = float(signal.sampling_rate.rescale("Hz").magnitude)
    pq = require("quantities")
    unit = signal.units
    # rates in any unit of frequency become spikes/s; other signals stay as they are
    spikes = unit.dimensionality.simplified == pq.Hz.dimensionality.simplified
    return Samples(
        read=_SignalSamples(signal, float(unit.rescale("Hz").magnitude) if spikes else 1.0),
        n_samples=_sound_samples(signal),
        start_s=_seconds(signal.t_start) + shift_s,
        sampling_s=1 / rate,
        units="spikes/s" if spikes else "1",
    )


def _sound_samples(signal: Any) -> int:
    """Return the number of samples of a signal; one less for Plexon's proxies.

    If the last sample is read, neo 0.14 returns zeros for its whole packet.
    """
    lossy = type(getattr(signal, "_rawio", None)).__name__ == "PlexonIO"
    return int(signal.shape[0]) - lossy


def _trial_rows(block: xr.Dataset) -> list[npt.NDArray[np.int64]]:
    """Return the rows of each trial: one, or the observations of simultaneous units."""
    if not is_ragged(block):
        return [np.array([row]) for row in range(block.sizes["trial"])]
    # without trial numbers each observation is a trial of its own
    if "observation_trial" not in block.coords:
        return [np.array([row]) for row in range(block.sizes["observation"])]
    _, first, trial = np.unique(
        block["observation_trial"].values, return_index=True, return_inverse=True
    )
    # stable, so that units stay in the order of the rows
    order = np.argsort(trial.reshape(-1), kind="stable")
    return np.split(order, np.cumsum(np.bincount(trial.reshape(-1)))[:-1]) if first.size else []


def _rates_signal(block: xr.Dataset, rows: Places, units: dict[str, Column], width: float) -> Any:
    neo, pq = require("neo"), require("quantities")
    if is_ragged(block):
        places = unit_positions(block)[rows]
        values = block["rate"].values[rows].T
    else:
        places = np.arange(block.sizes["unit"])
        values = block["rate"].values[int(rows[0])]
    annotations = {name: column[places] for name, column in units.items() if name != "unit"}
    return neo.AnalogSignal(
        np.array(values),
        units=pq.Hz if block["rate"].attrs["units"] == "spikes/s" else pq.dimensionless,
        t_start=float(block["time"].values[0]) * pq.s,
        sampling_period=width * pq.s,
        name=RATES,
        array_annotations={"channel_names": units["unit"][places], **annotations},
    )


def _kept_epochs(
    parts: Sequence[Part], table: Mapping[str, Column]
) -> dict[str, tuple[Times, Times]]:
    """Return the epochs that `to_neo` wrote, in s from the start of each segment's trial."""
    bounds: dict[str, tuple[Times, Times]] = {}
    for row, part in enumerate(parts):
        for epoch in (one for one in part.segment.epochs if one.name == EPOCHS):
            loaded_epoch = loaded(epoch)
            start = in_seconds(loaded_epoch.times) + part.shift_s - table["start_time"][row]
            stop = start + in_seconds(loaded_epoch.durations)
            for place, label in enumerate(map(str, loaded_epoch.labels)):
                nowhere = (np.full(len(parts), np.nan), np.full(len(parts), np.nan))
                first, last = bounds.setdefault(label, nowhere)
                first[row], last[row] = start[place], stop[place]
    return bounds


def _epochs(block: xr.Dataset, row: int) -> Any:
    neo, pq = require("neo"), require("quantities")
    start = block["epoch_start_time"].values[row]
    stop = block["epoch_stop_time"].values[row]
    # epochs that this trial lacks are NaN
    present = np.isfinite(start)
    return neo.Epoch(
        start[present] * pq.s,
        (stop - start)[present] * pq.s,
        labels=block["epoch"].values[present].astype(str),
        name=EPOCHS,
    )
