"""Trials of neo blocks: segments on one clock, and what the user says a trial is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.columns import Column, columns_of_records, own_name, plain_column
from nwbcompare.io.sessions.recorded_signals import Times
from nwbcompare.io.sessions.session_tables import joined_columns

SEGMENTS = "segments"
"""The word for one trial a segment."""
GAP_S = 1.0
"""Pause (s) between segments that are laid one after another: nothing was recorded in it."""


@dataclass(frozen=True)
class Marks:
    """The events of one neo.Event, or the epochs of one neo.Epoch, in one segment.

    Attributes
    ----------
    name
        Its name.
    start, stop
        ``(mark,)``: when they start and stop (s), ascending; events stop as they start.
    labels
        ``(mark,)``.
    columns
        Array annotations by name, each ``(mark,)``.
    """

    name: str
    start: Times
    stop: Times
    labels: npt.NDArray[np.str_]
    columns: Mapping[str, Column]

    def labelled(self, label: str) -> Marks:
        """Give those of one label."""
        kept = self.labels == label
        columns = {name: values[kept] for name, values in self.columns.items()}
        return Marks(self.name, self.start[kept], self.stop[kept], self.labels[kept], columns)


@dataclass(frozen=True)
class Part:
    """A segment on the clock of all.

    Attributes
    ----------
    segment
        The neo.Segment.
    start_s, stop_s
        When it was recorded (s).
    shift_s
        What its own times are moved by (s).
    """

    segment: Any
    start_s: float
    stop_s: float
    shift_s: float

    @cached_property
    def events(self) -> list[Marks]:
        """Its events."""
        return [_marks(event, self.shift_s) for event in self.segment.events]

    @cached_property
    def epochs(self) -> list[Marks]:
        """Its epochs."""
        return [_marks(epoch, self.shift_s) for epoch in self.segment.epochs]

    def at(self, word: str) -> Marks | None:
        """Give the events of a name or a label; None where there are none."""
        named = [event for event in self.events if event.name == word]
        others = [
            event.labelled(word)
            for event in self.events
            if event.name != word and (event.labels == word).any()
        ]
        if named and others:
            raise InputError(
                f"event {word!r}",
                "the name of an Event or the label of events",
                f"both, a name and a label in {listing(event.name for event in others)}",
                "Rename the Event: event.name = ....",
            )
        return _joined(named or others)


def loaded(item: Any, **options: Any) -> Any:
    """Load a proxy; give what is loaded already as it is.

    Raises
    ------
    InputError
        Where the file cannot be read; it is named.
    """
    if not hasattr(item, "load"):
        return item
    try:
        return item.load(**options)
    except Exception as error:
        # neo's readers raise whatever damaged bytes make them stumble over
        raise InputError(
            str(item.file_origin or "neo"),
            "a file that neo can read",
            f"{type(error).__name__}: {error}",
            "It is damaged or truncated: obtain it again.",
        ) from error


def in_seconds(quantity: Any) -> Times:
    """Give times in s as plain numbers."""
    return np.asarray(quantity.rescale("s").magnitude, dtype=np.float64)


def laid_out(segments: Sequence[Any]) -> list[Part]:
    """Put segments on one clock: their own where they do not overlap, else one after another."""
    bounds = np.array([_bounds(segment) for segment in segments])
    apart = (bounds[1:, 0] >= bounds[:-1, 1]).all()
    shifts = np.zeros(len(segments))
    if not apart:
        for place in range(1, len(segments)):
            free = bounds[place - 1, 1] + shifts[place - 1] + GAP_S
            # whole seconds keep the digits of the times
            shifts[place] = np.ceil(free - bounds[place, 0])
    return [
        Part(segment, start + shift, stop + shift, shift)
        for segment, (start, stop), shift in zip(segments, bounds.tolist(), shifts, strict=True)
    ]


def read_trials(
    parts: Sequence[Part], trials: str | Mapping[str, str] | None, events: Mapping[str, str] | None
) -> dict[str, Column]:
    """Make the trial columns that a user asks for.

    Parameters
    ----------
    parts
        The segments.
    trials, events
        See `nwbcompare.from_neo`.

    Raises
    ------
    InputError
        For names that are not there, or that mean two things.
    """
    tables = [_renamed(own) for own in _tables(parts, trials)]
    for column, word in (events or {}).items():
        _check_word(parts, "events", str(word))
        for part, table in zip(parts, tables, strict=True):
            # a segment's events are its trial's, even before its first sample
            everywhere = np.array([-np.inf]), np.array([np.inf])
            own = table["start_time"], table["stop_time"]
            bounds = everywhere if trials == SEGMENTS else own
            table[own_name(column, "trial")] = _first_inside(part.at(str(word)), *bounds)
    # a segment without trials has no say in what columns are
    tables = [table for table in tables if table["start_time"].size] or tables[:1]
    names = dict.fromkeys(name for table in tables for name in table)
    sizes = [len(table["start_time"]) for table in tables]
    return {name: joined_columns([table.get(name) for table in tables], sizes) for name in names}


def _bounds(segment: Any) -> tuple[float, float]:
    """Tell when a segment was recorded (s), or when its events fall where it has no data."""
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
    if labels.size != start.size:
        labels = np.full(start.size, "")
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


def _tables(
    parts: Sequence[Part], trials: str | Mapping[str, str] | None
) -> list[dict[str, Column]]:
    """Give the trials of each segment."""
    if trials == SEGMENTS:
        return _segment_trials(parts)
    asked = _asked(parts, trials)
    if "epoch" in asked:
        return [_epoch_trials(part, asked["epoch"]) for part in parts]
    tables = [_event_trials(part, asked["start"], asked.get("stop")) for part in parts]
    unstopped = sum(table.pop("_unstopped").size for table in tables)
    if unstopped:
        warnings.warn(
            f"{unstopped} trials were left out: no {asked['stop']!r} follows their start",
            stacklevel=4,
        )
    return tables


def _asked(parts: Sequence[Part], trials: str | Mapping[str, str] | None) -> dict[str, str]:
    """Tell epochs from events, and refuse words that are not there."""
    if isinstance(trials, Mapping):
        asked = {str(key): str(word) for key, word in trials.items()}
        if set(asked) not in ({"epoch"}, {"start"}, {"start", "stop"}):
            raise InputError(
                "trials",
                '{"start": ..., "stop": ...} or {"epoch": ...}',
                f"keys {listing(asked)}",
                "Name the events at which trials start and stop.",
            )
        for key, word in asked.items():
            _check_word(parts, "trials", word, epochs=key == "epoch", events=key != "epoch")
        return asked
    word = str(trials)
    is_epoch = word in _epoch_names(parts)
    is_event = word in _event_words(parts)
    if trials is None or not (is_epoch or is_event):
        raise _nothing_called("trials", trials, parts)
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
    known = {*(_epoch_names(parts) if epochs else ()), *(_event_words(parts) if events else ())}
    if word not in known:
        raise _nothing_called(subject, word, parts)


def _nothing_called(subject: str, word: object, parts: Sequence[Part]) -> InputError:
    events = dict.fromkeys(event.name for part in parts for event in part.events)
    labels = dict.fromkeys(
        str(label) for part in parts for event in part.events for label in np.unique(event.labels)
    )
    return InputError(
        subject,
        f"the name of an Epoch ({_shown(_epoch_names(parts))}), of an Event ({_shown(events)}), "
        f"the label of events ({_shown(labels)}), or {SEGMENTS!r}",
        "nothing" if word is None else repr(word),
        f"Choose one of these: {subject}=....",
    )


def _shown(names: Iterable[str]) -> str:
    named = [name for name in names if name]
    return listing(map(repr, named)) if named else "none"


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
    known = [
        {key: value for key, value in part.segment.annotations.items() if key != "nix_name"}
        for part in parts
    ]
    columns = columns_of_records(known, "trial")
    return [
        {name: values[place : place + 1] for name, values in columns.items()}
        | {"start_time": np.array([part.start_s]), "stop_time": np.array([part.stop_s])}
        for place, part in enumerate(parts)
    ]


def _epoch_trials(part: Part, name: str) -> dict[str, Column]:
    marks = _joined([epoch for epoch in part.epochs if epoch.name == name])
    return _trial_columns(marks, np.empty(0) if marks is None else marks.stop)


def _event_trials(part: Part, start: str, stop: str | None) -> dict[str, Column]:
    """Let each trial stop at the next event that stops one, at the latest where another starts."""
    marks = part.at(start)
    begins = np.empty(0) if marks is None else marks.start
    if stop is None:
        stops = np.append(begins[1:], part.stop_s)[: begins.size]
        return _trial_columns(marks, stops) | {"_unstopped": np.empty(0)}
    ends = part.at(stop)
    times = np.append(np.empty(0) if ends is None else ends.start, np.inf)
    stops = times[np.searchsorted(times, begins, side="right")]
    following = np.append(begins[1:], np.inf)[: begins.size]
    there = (stops <= following) & np.isfinite(stops)
    table = _trial_columns(marks, stops)
    kept = {name: values[there] for name, values in table.items()}
    return kept | {"_unstopped": begins[~there]}


def _trial_columns(marks: Marks | None, stop: Times) -> dict[str, Column]:
    if marks is None:
        return {"start_time": np.empty(0), "stop_time": np.empty(0)}
    columns: dict[str, Column] = dict(marks.columns)
    if (marks.labels != "").any():
        columns["label"] = marks.labels
    return columns | {"start_time": marks.start, "stop_time": stop}


def _renamed(columns: Mapping[str, Column]) -> dict[str, Column]:
    return {own_name(name, "trial"): values for name, values in columns.items()}


def _first_inside(marks: Marks | None, start: Times, stop: Times) -> Times:
    """Give the first event in each trial; NaN where there is none."""
    times = np.append(np.empty(0) if marks is None else marks.start, np.inf)
    first = times[np.searchsorted(times, start)]
    return np.where((first <= stop) & np.isfinite(first), first, np.nan)
