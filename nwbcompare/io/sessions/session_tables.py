"""Joined tables of sessions: trials, units, tasks, conditions and epochs."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nwbcompare.core.activity import encode_labels, is_text
from nwbcompare.core.errors import InputError, UnitWarning, listing, unknown_name
from nwbcompare.io.sessions.recorded_signals import Times
from nwbcompare.io.sessions.session import Column, Reading, Session


def named_apart(sessions: Sequence[Session]) -> list[Session]:
    """Return sessions with unique names; repeated names get the suffix "_1", "_2", ..."""
    total = Counter(session.name for session in sessions)
    count: Counter[str] = Counter()
    result = []
    for session in sessions:
        count[session.name] += 1
        number = f"_{count[session.name]}" if total[session.name] > 1 else ""
        result.append(replace(session, name=session.name + number))
    return result


def trial_table(sessions: Sequence[Session]) -> tuple[dict[str, Column], dict[str, dict[str, Any]]]:
    """Join the trial columns of sessions.

    Parameters
    ----------
    sessions
        The sessions.

    Returns
    -------
    columns : dict of str to array, (trial,)
        Columns over all sessions, with ``session``; text is encoded as integers.
    attrs : dict of str to dict
        Attributes of the columns, with ``categories`` of encoded text (JSON).
    """
    names = dict.fromkeys(name for session in sessions for name in session.trials)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    table: dict[str, Column] = {}
    attrs: dict[str, dict[str, Any]] = {}
    for name in names:
        values = joined_columns([session.trials.get(name) for session in sessions], sizes)
        attrs[name] = dict(
            next((s.trial_attrs[name] for s in sessions if name in s.trial_attrs), {})
        )
        if is_text(values):
            values, categories = encode_labels(values)
            attrs[name]["categories"] = json.dumps(categories)
        table[name] = values
    # a column of this name in the data takes precedence
    if "session" not in table:
        table["session"] = np.repeat(np.arange(len(sessions), dtype=np.int32), sizes)
        attrs["session"] = {"categories": json.dumps([session.name for session in sessions])}
    return table, attrs


def joined_columns(columns: Sequence[Column | None], sizes: Sequence[int]) -> Column:
    """Join a column over tables, some of which may lack it.

    Parameters
    ----------
    columns
        The column of each table, ``(row,)``; None if the table lacks it.
    sizes
        Number of rows of each table.

    Returns
    -------
    array, (row,)
        Text if one table has text, with "" for missing values; numbers with missing values are
        float64, with NaN.

    Examples
    --------
    >>> import numpy as np
    >>> joined_columns([np.array([1, 2]), None], [2, 1]).tolist()
    [1.0, 2.0, nan]
    """
    present = [column for column in columns if column is not None]
    if any(is_text(column) for column in present):
        parts = [
            np.full(size, "", dtype="U1") if column is None else column.astype(str)
            for column, size in zip(columns, sizes, strict=True)
        ]
    elif len(present) == len(columns):
        parts = present
    else:
        # only floats have a missing value
        parts = [
            np.full(size, np.nan) if column is None else column.astype(np.float64)
            for column, size in zip(columns, sizes, strict=True)
        ]
    return np.concatenate(parts)


def check_condition_types(
    conditions: Sequence[str] | None, tables: Sequence[Mapping[str, Column]]
) -> None:
    """Check that condition variables are text in all tables, or numbers in all.

    Parameters
    ----------
    conditions
        The condition variables; None for none.
    tables
        The trial columns of each session or unit.

    Raises
    ------
    InputError
        For a column of text in one table and of numbers in another: joined, both would be text.

    Examples
    --------
    >>> check_condition_types(["side"], [{"side": np.array(["left"])}, {"side": np.array([1])}])
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: conditions: expected 'side' to be text in all tables, or \
numbers in all, got text in 1 and numbers in 1. Convert it to one type.
    """
    for name in conditions or ():
        kinds = [is_text(table[name]) for table in tables if name in table]
        if any(kinds) and not all(kinds):
            raise InputError(
                "conditions",
                f"{name!r} to be text in all tables, or numbers in all",
                f"text in {sum(kinds)} and numbers in {len(kinds) - sum(kinds)}",
                "Convert it to one type.",
            )


def task_column(
    trials: Mapping[str, Column], attrs: Mapping[str, dict[str, Any]], task: str | None, name: str
) -> tuple[Column, dict[str, Any]]:
    """Return the task of each trial.

    Parameters
    ----------
    trials, attrs
        Trial columns and their attributes; see `trial_table`.
    task
        Column that names the task; by default ``task``, if there is one.
    name
        Name of the only task if no column names tasks.

    Returns
    -------
    codes : array of int, (trial,)
        Codes of the tasks.
    attrs : dict
        Attributes, with ``categories`` (JSON).

    Raises
    ------
    InputError
        If the column does not exist.

    Warns
    -----
    UserWarning
        If no column names the task.
    """
    if task is not None and task not in trials:
        raise unknown_name("task", task, trials)
    column = task or ("task" if "task" in trials else None)
    if column is None:
        warn_of_one_task(name, stacklevel=5)
        codes = np.zeros(len(trials["session"]), dtype=np.int32)
        return codes, {"categories": json.dumps([name])}
    if "categories" in attrs[column]:
        return trials[column], dict(attrs[column])
    codes, categories = encode_labels(trials[column].astype(str))
    return codes, {"categories": json.dumps(categories)}


def warn_of_one_task(name: str, *, stacklevel: int) -> None:
    """Warn that no column names the task, so that all trials are of one task.

    Parameters
    ----------
    name
        Name of the task.
    stacklevel
        Distance of the user's call on the stack, counted from here.

    Examples
    --------
    >>> with warnings.catch_warnings(action="ignore"):
    ...     warn_of_one_task("monkey A", stacklevel=2)
    """
    warnings.warn(
        f"no column names the task: all trials are of one task, {name!r}; "
        "pass task= to name a column",
        stacklevel=stacklevel,
    )


def conditions_by_task(
    reading: Reading,
    trials: Mapping[str, Column],
    attrs: Mapping[str, dict[str, Any]],
    default: Mapping[str, Sequence[str]] | None,
) -> dict[str, list[str]]:
    """Return the condition variables of each task.

    Parameters
    ----------
    reading
        Options; its ``conditions`` are those of all tasks.
    trials, attrs
        Trial columns and their attributes, with ``task``.
    default
        Condition variables of each task if the reading has none.

    Raises
    ------
    InputError
        If a column does not exist.
    """
    for column in reading.conditions or ():
        if column not in trials:
            raise unknown_name("conditions", column, trials)
    categories = json.loads(attrs["task"]["categories"])
    # categories without trials need no conditions
    tasks = [categories[code] for code in np.unique(trials["task"])]
    if reading.conditions is not None:
        return {task: list(reading.conditions) for task in tasks}
    return {task: list((default or {}).get(task, ())) for task in tasks}


def unit_table(sessions: Sequence[Session], trials: Mapping[str, Column]) -> dict[str, Column]:
    """Join the unit tables of sessions.

    Parameters
    ----------
    sessions
        The sessions.
    trials
        Trial columns. A unit column of the same name is called ``unit_NAME``.

    Returns
    -------
    dict of str to array, (unit,)
        Columns over all sessions. If ids are repeated, all get their session's name as prefix;
        those repeated in a session are numbered.

    Warns
    -----
    UnitWarning
        If ids are repeated in a session.
    """
    names = dict.fromkeys(name for session in sessions for name in session.units)
    sizes = [session.n_units for session in sessions]
    table = {
        # columns of trials and units share the coordinates of one block
        f"unit_{name}" if name in trials else name: joined_columns(
            [session.units.get(name) for session in sessions], sizes
        )
        for name in names
    }
    ids = np.concatenate([_unique_ids(session) for session in sessions])
    # the prefix is put on all ids, so that they have one form
    if np.unique(ids).size < ids.size:
        session_of = np.repeat([session.name for session in sessions], sizes)
        ids = np.array([f"{s}/{unit}" for s, unit in zip(session_of, ids, strict=True)])
    return table | {"unit": ids}


def _unique_ids(session: Session) -> Column:
    """Return the ids of a session's units; repeated ones get the suffix "_1", "_2", ..."""
    ids = session.units["unit"].astype(str)
    total = Counter(ids.tolist())
    repeated = [name for name, number in total.items() if number > 1]
    if not repeated:
        return ids
    taken, unique = set(total), []
    for name in ids.tolist():
        new, number = name, 0
        while total[name] > 1 and new in taken:
            number += 1
            new = f"{name}_{number}"
        taken.add(new)
        unique.append(new)
    warnings.warn(
        f"ids of units are repeated in {session.name!r}, and get a number each: "
        f"{listing(repeated, most=5)}",
        UnitWarning,
        stacklevel=4,
    )
    return np.array(unique, dtype=str)


def epochs_of(sessions: Sequence[Session], align: str) -> dict[str, tuple[Times, Times]]:
    """Join the epochs of sessions.

    Parameters
    ----------
    sessions
        The sessions.
    align
        Trial column with the event that times are relative to.

    Returns
    -------
    dict of str to tuple of array, (trial,)
        Start and stop of each epoch (s), NaN in sessions without it.
    """
    names = dict.fromkeys(name for session in sessions for name in session.epochs)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    # epochs are stored from the session's event, and are needed from another one
    shifts = [
        session.event_times(session.event) - session.event_times(align) if session.epochs else None
        for session in sessions
    ]

    def bounds(name: str, which: int) -> Times:
        columns = [
            session.epochs[name][which] + shift
            if shift is not None and name in session.epochs
            else None
            for session, shift in zip(sessions, shifts, strict=True)
        ]
        return joined_columns(columns, sizes)

    return {name: (bounds(name, 0), bounds(name, 1)) for name in names}
