"""The tables of sessions, joined: trials, units, tasks, conditions, epochs."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nwbcompare.core.activity import encode_labels, is_text
from nwbcompare.core.errors import unknown_name
from nwbcompare.io.sessions.recorded_signals import Times
from nwbcompare.io.sessions.session import Column, Reading, Session


def named_apart(sessions: Sequence[Session]) -> list[Session]:
    """Number sessions whose names repeat."""
    total = Counter(session.name for session in sessions)
    seen: Counter[str] = Counter()
    named = []
    for session in sessions:
        seen[session.name] += 1
        number = f"_{seen[session.name]}" if total[session.name] > 1 else ""
        named.append(replace(session, name=session.name + number))
    return named


def trial_table(
    sessions: Sequence[Session],
) -> tuple[dict[str, Column], dict[str, dict[str, Any]]]:
    """Join the sessions' trial columns; text becomes codes."""
    names = dict.fromkeys(name for session in sessions for name in session.trials)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    table: dict[str, Column] = {}
    attrs: dict[str, dict[str, Any]] = {}
    for name in names:
        own = [session.trials.get(name) for session in sessions]
        values = joined_columns(own, sizes)
        attrs[name] = dict(
            next((s.trial_attrs[name] for s in sessions if name in s.trial_attrs), {})
        )
        if is_text(values):
            values, categories = encode_labels(values)
            attrs[name]["categories"] = json.dumps(categories)
        table[name] = values
    if "session" not in table:
        table["session"] = np.repeat(np.arange(len(sessions), dtype=np.int32), sizes)
        attrs["session"] = {"categories": json.dumps([session.name for session in sessions])}
    return table, attrs


def joined_columns(columns: Sequence[Column | None], sizes: Sequence[int]) -> Column:
    """Join a column over tables, some of which lack it; what is lacking is NaN or "".

    Numbers that lack values become float64. Where one table has text, all become text.

    Examples
    --------
    >>> import numpy as np
    >>> joined_columns([np.array([1, 2]), None], [2, 1]).tolist()
    [1.0, 2.0, nan]
    """
    there = [column for column in columns if column is not None]
    if any(is_text(column) for column in there):
        parts = [
            np.full(size, "", dtype="U1") if column is None else column.astype(str)
            for column, size in zip(columns, sizes, strict=True)
        ]
    elif len(there) == len(columns):
        parts = there
    else:
        parts = [
            np.full(size, np.nan) if column is None else column.astype(np.float64)
            for column, size in zip(columns, sizes, strict=True)
        ]
    return np.concatenate(parts)


def task_column(
    trials: Mapping[str, Column], attrs: Mapping[str, dict[str, Any]], asked: str | None, name: str
) -> tuple[Column, dict[str, Any]]:
    """Give the task of each trial, as codes with what they stand for."""
    if asked is not None and asked not in trials:
        raise unknown_name("task", asked, trials)
    column = asked or ("task" if "task" in trials else None)
    if column is None:
        warnings.warn(
            f"no column names the task: all trials are of one task, {name!r}; "
            "pass task= to name a column",
            stacklevel=4,
        )
        codes = np.zeros(len(trials["session"]), dtype=np.int32)
        return codes, {"categories": json.dumps([name])}
    if "categories" in attrs[column]:
        return trials[column], dict(attrs[column])
    codes, categories = encode_labels(trials[column].astype(str))
    return codes, {"categories": json.dumps(categories)}


def conditions_by_task(
    reading: Reading,
    trials: Mapping[str, Column],
    attrs: Mapping[str, dict[str, Any]],
    known: Mapping[str, Sequence[str]] | None,
) -> dict[str, list[str]]:
    """Give each task's condition variables: those asked for, else those that are known."""
    for column in reading.conditions or ():
        if column not in trials:
            raise unknown_name("conditions", column, trials)
    categories = json.loads(attrs["task"]["categories"])
    tasks = [categories[code] for code in np.unique(trials["task"])]
    if reading.conditions is not None:
        return {task: list(reading.conditions) for task in tasks}
    return {task: list((known or {}).get(task, ())) for task in tasks}


def unit_table(sessions: Sequence[Session], trials: Mapping[str, Column]) -> dict[str, Column]:
    """Join the sessions' unit tables; ids that occur twice get their session in front.

    A column that trials have too is called ``unit_NAME``.
    """
    names = dict.fromkeys(name for session in sessions for name in session.units)
    sizes = [session.n_units for session in sessions]
    table = {
        f"unit_{name}" if name in trials else name: joined_columns(
            [session.units.get(name) for session in sessions], sizes
        )
        for name in names
    }
    ids = table["unit"].astype(str)
    if np.unique(ids).size < ids.size:
        session_of = np.repeat([session.name for session in sessions], sizes)
        ids = np.array([f"{s}/{unit}" for s, unit in zip(session_of, ids, strict=True)])
    return table | {"unit": ids}


def epochs_of(sessions: Sequence[Session], align: str) -> dict[str, tuple[Times, Times]]:
    """Join the sessions' epochs, told from the event that trials are aligned to."""
    names = dict.fromkeys(name for session in sessions for name in session.epochs)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    later = [
        session.event_times(session.event) - session.event_times(align) if session.epochs else None
        for session in sessions
    ]

    def bounds(name: str, which: int) -> Times:
        own = [
            session.epochs[name][which] + shift
            if shift is not None and name in session.epochs
            else None
            for session, shift in zip(sessions, later, strict=True)
        ]
        return joined_columns(own, sizes)

    return {name: (bounds(name, 0), bounds(name, 1)) for name in names}
