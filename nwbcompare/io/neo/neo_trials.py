"""Trials of neo blocks: segments on one clock, and trials by epochs, events or segments."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.columns import (
    Column,
    Table,
    columns_of_records,
    own_name,
    plain_column,
    table_columns,
)
from nwbcompare.io.sessions.recorded_signals import Times
from nwbcompare.io.sessions.session_tables import joined_columns

SEGMENTS = "segments"
"""Value of ``trials`` for one trial in each segment."""
GAP_S = 1.0
"""Gap between segments that are placed one after another (s)."""


@dataclass(frozen=True)
class Marks:
    """The events of one neo.Event, or the epochs of one neo.Epoch, in one segment.

    Attributes
    ----------
    name
        Name of the Event or Epoch.
    start, stop
        Start and stop (s), ``(mark,)``, in order of the start; equal for events.
    labels
        Labels, ``(mark,)``.
    columns
        Array annotations by name, each ``(mark,)``.
    """

    name: str
    start: Times
    stop: Times
    labels: npt.NDArray[np.str_]
    columns: Mapping[str, Column]

    def labelled(self, label: str) -> Marks:
        """Return the marks with a label."""
        mask = self.labels == label
        columns = {name: values[mask] for name, values in self.columns.items()}
        return Marks(self.name, self.start[mask], self.stop[mask], self.labels[mask], columns)


@dataclass(frozen=True)
class Part:
    """A segment on the common clock of all segments.

    Attributes
    ----------
    segment
        The neo.Segment.
    start_s, stop_s
        Start and stop of its recording on the common clock (s).
    shift_s
        Difference of the common clock to the segment's times (s).
    """

    segment: Any
    start_s: float
    stop_s: float
    shift_s: float

    @cached_property
    def events(self) -> list[Marks]:
        """Events, one item for each neo.Event."""
        return [_marks(event, self.shift_s) for event in self.segment.events]

    @cached_property
    def epochs(self) -> list[Marks]:
        """Epochs, one item for each neo.Epoch."""
        return [_marks(epoch, self.shift_s) for epoch in self.segment.epochs]

    def at(self, word: str) -> Marks | None:
        """Return the events with a name or a label; None if there are none.

        Raises
        ------
        InputError
            If the word is the name of an Event and a label in another.
        """
        by_name = [event for event in self.events if event.name == word]
        by_label = [
            event.labelled(word)
            for event in self.events
            if event.name != word and (event.labels == word).any()
        ]
        if by_name and by_label:
            raise InputError(
                f"event {word!r}",
                "the name of an Event or the label of events",
                f"both, a name and a label in {listing(event.name for event in by_label)}",
                "Rename the Event: event.name = ....",
            )
        return _joined(by_name or by_label)


def loaded(item: Any, **options: Any) -> Any:
    """Load a proxy of neo, and return it; other objects are returned unchanged.

    Parameters
    ----------
    item
        A proxy or an object of neo.
    **options
        Options of the proxy's ``load``.

    Raises
    ------
    InputError
        If the file, which the message names, cannot be read.

    Examples
    --------
    >>> loaded("in memory")
    'in memory'
    """
    if not hasattr(item, "load"):
        return item
    try:
        return item.load(**options)
    except Exception as error:
        # neo's readers raise errors of any type on damaged bytes
        raise InputError(
            str(item.file_origin or "neo"),
            "a file that neo can read",
            f"{type(error).__name__}: {error}",
            "It is damaged or truncated: obtain it again.",
        ) from error


def in_seconds(quantity: Any) -> Times:
    """Return times with a unit as numbers in s.

    Examples
    --------
    >>> import quantities as pq
    >>> in_seconds([20.0, 40.0] * pq.ms).tolist()
    [0.02, 0.04]
    """
    return np.asarray(quantity.rescale("s").magnitude, dtype=np.float64)


def laid_out(segments: Sequence[Any]) -> list[Part]:
    """Return segments on one clock: unshifted if none overlap, else one after another.

    Parameters
    ----------
    segments
        Segments of a neo.Block.

    Examples
    --------
    >>> import neo, quantities as pq
    >>> segments = [neo.Segment(), neo.Segment()]
    >>> for segment in segments:
    ...     segment.spiketrains.append(neo.SpikeTrain([0.5] * pq.s, t_stop=2))
    >>> [(float(part.start_s), float(part.stop_s)) for part in laid_out(segments)]
    [(0.0, 2.0), (3.0, 5.0)]
    """
    bounds = np.array([_bounds(segment) for segment in segments])
    overlap = (bounds[1:, 0] < bounds[:-1, 1]).any()
    shifts = np.zeros(len(segments))
    if overlap:
        for place in range(1, len(segments)):
            free = bounds[place - 1, 1] + shifts[place - 1] + GAP_S
            # shifts by whole seconds keep the decimals of the times
            shifts[place] = np.ceil(free - bounds[place, 0])
    return [
        Part(segment, start + shift, stop + shift, shift)
        for segment, (start, stop), shift in zip(segments, bounds.tolist(), shifts, strict=True)
    ]


def read_trials(
    parts: Sequence[Part],
    trials: str | Table | None,
    events: Mapping[str, str] | None,
) -> dict[str, Column]:
    """Return the trial columns of segments.

    Parameters
    ----------
    parts
        The segments.
    trials, events
        Definition of trials, and further columns of times; see `nwbcompare.from_neo`.

    Returns
    -------
    dict of str to array, (trial,)
        The columns, with ``start_time`` and ``stop_time`` (s).

    Raises
    ------
    InputError
        If a name does not exist, or is ambiguous.

    Warns
    -----
    UserWarning
        If trials are left out, because no event of their stop follows their start.

    Examples
    --------
    >>> import neo, quantities as pq
    >>> segment = neo.Segment()
    >>> segment.events.append(neo.Event([0.0, 1.5] * pq.s, labels=["go", "stop"], name="cue"))
    >>> table = read_trials(laid_out([segment]), {"start": "go", "stop": "stop"}, None)
    >>> table["start_time"].tolist(), table["stop_time"].tolist()
    ([0.0], [1.5])
    """
    tables = [
        {own_name(name, "trial"): values for name, values in table.items()}
        for table in _tables(parts, trials)
    ]
    for column, word in (events or {}).items():
        _check_word(parts, "events", str(word))
        for part, table in zip(parts, tables, strict=True):
            bounds = table["start_time"], table["stop_time"]
            if isinstance(trials, str) and trials == SEGMENTS:
                # also events before a segment's first sample are in its trial
                bounds = np.array([-np.inf]), np.array([np.inf])
            table[own_name(column, "trial")] = _first_inside(part.at(str(word)), *bounds)
    # a segment without trials does not determine the types of columns
    tables = [table for table in tables if table["start_time"].size] or tables[:1]
    names = dict.fromkeys(name for table in tables for name in table)
    sizes = [len(table["start_time"]) for table in tables]
    return {name: joined_columns([table.get(name) for table in tables], sizes) for name in names}


def _bounds(segment: Any) -> tuple[float, float]:
    """Return start and stop of a segment's recording (s); of its events if it has no data."""
    recorded = [*segment.spiketrains, *segment.analogsignals]
    starts = [float(in_seconds(item.t_start)) for item in recorded]
    stops = [float(in_seconds(item.t_stop)) for item in recorded]
    if not recorded:
        for item in [*segment.events, *segment.epochs]:
            marks = _marks(item, 0.0)
            starts += marks.start.tolist()
            stops += marks.stop.tolist()
    return min(starts, default=0.0), max(stops, default=0.0)


def _marks(item: Any, shift_s: float) -> Marks:
    item = loaded(item)
    start = in_seconds(item.times) + shift_s
    durations = getattr(item, "durations", None)
    stop = start if durations is None else start + in_seconds(durations)
    labels = np.asarray(item.labels, dtype=str)
    # neo does not require labels of events
    if labels.size != start.size:
        labels = np.full(start.size, "")
    # neo does not guarantee that events are in order
    order = np.argsort(start, kind="stable")
    columns = {
        str(name): plain_column(values)[order] for name, values in item.array_annotations.items()
    }
    return Marks(str(item.name or ""), start[order], stop[order], labels[order], columns)


def _joined(marks: Sequence[Marks]) -> Marks | None:
    if len(marks) < 2:
        return marks[0] if marks else None
    sizes = [mark.start.size for mark in marks]
    order = np.argsort(np.concatenate([mark.start for mark in marks]), kind="stable")
    names = dict.fromkeys(name for mark in marks for name in mark.columns)
    return Marks(
        marks[0].name,
        np.concatenate([mark.start for mark in marks])[order],
        np.concatenate([mark.stop for mark in marks])[order],
        np.concatenate([mark.labels for mark in marks])[order],
        {
            name: joined_columns([mark.columns.get(name) for mark in marks], sizes)[order]
            for name in names
        },
    )


def _tables(parts: Sequence[Part], trials: str | Table | None) -> list[dict[str, Column]]:
    """Return the trial columns of each segment."""
    if isinstance(trials, str) and trials == SEGMENTS:
        return _segment_trials(parts)
    if trials is not None and not isinstance(trials, str) and "start_time" in trials:
        return [_table_of(parts, trials)]
    words = _words(parts, trials)
    if "epoch" in words:
        return [_epoch_trials(part, words["epoch"]) for part in parts]
    tables = [_event_trials(part, words["start"], words.get("stop")) for part in parts]
    # counted over all segments, for one warning
    unstopped = sum(table.pop("_unstopped").size for table in tables)
    if unstopped:
        warnings.warn(
            f"{unstopped} trials were left out: no {words['stop']!r} follows their start",
            stacklevel=4,
        )
    return tables


def _table_of(parts: Sequence[Part], trials: Table) -> dict[str, Column]:
    """Return a table of trials that is not in the file, such as of a spike sorter's folder."""
    missing = [name for name in ("start_time", "stop_time") if name not in trials]
    if len(parts) > 1 or missing:
        raise InputError(
            "trials",
            "columns start_time and stop_time (s), on the clock of one segment",
            f"no {missing[0]}" if missing else f"{len(parts)} segments",
            "Name the events of trials instead, or pass one segment to nwbcompare.from_neo.",
        )
    return table_columns(trials, len(trials["start_time"]), "trial")


def _words(parts: Sequence[Part], trials: str | Table | None) -> dict[str, str]:
    """Return the epoch, or the events of start and stop, after a check that they exist."""
    if isinstance(trials, Mapping):
        words = {str(key): str(word) for key, word in trials.items()}
        if set(words) not in ({"epoch"}, {"start"}, {"start", "stop"}):
            raise InputError(
                "trials",
                '{"start": ..., "stop": ...} or {"epoch": ...}',
                f"keys {listing(words)}",
                "Name the events at which trials start and stop.",
            )
        for key, word in words.items():
            _check_word(parts, "trials", word, epochs=key == "epoch", events=key != "epoch")
        return words
    word = str(trials)
    is_epoch = word in _epoch_names(parts)
    is_event = word in _event_words(parts)
    if trials is None or not (is_epoch or is_event):
        raise _unknown_word("trials", trials, parts)
    if is_epoch and is_event:
        raise InputError(
            "trials",
            "the name of an Epoch or of events",
            f"{word!r}, which is both",
            f'Pass trials={{"epoch": {word!r}}} or trials={{"start": {word!r}}}.',
        )
    return {"epoch": word} if is_epoch else {"start": word}


def _check_word(
    parts: Sequence[Part], subject: str, word: str, *, epochs: bool = False, events: bool = True
) -> None:
    words = {*(_epoch_names(parts) if epochs else ()), *(_event_words(parts) if events else ())}
    if word not in words:
        raise _unknown_word(subject, word, parts)


def _unknown_word(subject: str, word: object, parts: Sequence[Part]) -> InputError:
    events = dict.fromkeys(event.name for part in parts for event in part.events)
    labels = dict.fromkeys(
        str(label) for part in parts for event in part.events for label in np.unique(event.labels)
    )
    return InputError(
        subject,
        f"the name of an Epoch ({_quoted(_epoch_names(parts))}), of an Event ({_quoted(events)}), "
        f"the label of events ({_quoted(labels)}), or {SEGMENTS!r}",
        "nothing" if word is None else repr(word),
        f"Choose one of these: {subject}=....",
    )


def _quoted(names: Iterable[str]) -> str:
    words = [repr(name) for name in names if name]
    return listing(words) if words else "none"


def _epoch_names(parts: Sequence[Part]) -> dict[str, None]:
    return dict.fromkeys(epoch.name for part in parts for epoch in part.epochs if epoch.name)


def _event_words(parts: Sequence[Part]) -> set[str]:
    def words() -> Iterator[str]:
        for part in parts:
            for event in part.events:
                yield event.name
                yield from event.labels

    return {str(word) for word in words() if word}


def _segment_trials(parts: Sequence[Part]) -> list[dict[str, Column]]:
    # an id that neo's reader of Nix files adds
    records = [
        {key: value for key, value in part.segment.annotations.items() if key != "nix_name"}
        for part in parts
    ]
    columns = columns_of_records(records, "trial")
    return [
        {name: values[place : place + 1] for name, values in columns.items()}
        | {"start_time": np.array([part.start_s]), "stop_time": np.array([part.stop_s])}
        for place, part in enumerate(parts)
    ]


def _epoch_trials(part: Part, name: str) -> dict[str, Column]:
    marks = _joined([epoch for epoch in part.epochs if epoch.name == name])
    return _trial_columns(marks, np.empty(0) if marks is None else marks.stop)


def _event_trials(part: Part, start: str, stop: str | None) -> dict[str, Column]:
    """Return trials between events; those without a stop before the next start are left out."""
    marks = part.at(start)
    begins = np.empty(0) if marks is None else marks.start
    if stop is None:
        # the last trial ends with the recording
        stops = np.append(begins[1:], part.stop_s)[: begins.size]
        return _trial_columns(marks, stops) | {"_unstopped": np.empty(0)}
    ends = part.at(stop)
    # infinity stands for no further event, so that every search has a result
    times = np.append(np.empty(0) if ends is None else ends.start, np.inf)
    # an event at the very start does not end the trial
    stops = times[np.searchsorted(times, begins, side="right")]
    following = np.append(begins[1:], np.inf)[: begins.size]
    complete = (stops <= following) & np.isfinite(stops)
    table = _trial_columns(marks, stops)
    table = {name: values[complete] for name, values in table.items()}
    return table | {"_unstopped": begins[~complete]}


def _trial_columns(marks: Marks | None, stop: Times) -> dict[str, Column]:
    if marks is None:
        return {"start_time": np.empty(0), "stop_time": np.empty(0)}
    columns: dict[str, Column] = dict(marks.columns)
    if (marks.labels != "").any():
        columns["label"] = marks.labels
    return columns | {"start_time": marks.start, "stop_time": stop}


def _first_inside(marks: Marks | None, start: Times, stop: Times) -> Times:
    """Return the time of the first event in each trial (s); NaN without one."""
    times = np.append(np.empty(0) if marks is None else marks.start, np.inf)
    first = times[np.searchsorted(times, start)]
    return np.where((first <= stop) & np.isfinite(first), first, np.nan)
