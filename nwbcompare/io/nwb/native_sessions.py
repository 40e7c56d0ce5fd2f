"""Native files (of `write_nwb`) as sessions: recordings stored as spikes, and rates in new bins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import h5py

from nwbcompare.core.activity import Source
from nwbcompare.core.errors import InputError
from nwbcompare.core.remote_path import Location
from nwbcompare.io.nwb.generic import UNITS, Selection, read_session
from nwbcompare.io.nwb.native import Schema, epoch_bounds, has_rates, restored
from nwbcompare.io.nwb.trial_tables import TRIALS
from nwbcompare.io.sessions.session import Column, Reading, Session

OF_THE_TABLE = ("start_time", "stop_time", "event_time")
"""Columns of the trials table that blocks of rates lack, but that can be aligned to."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """Description of a block in a native file, beside its tables.

    Attributes
    ----------
    leaf, name
        Name of the leaf, and of the activity in figures.
    reading
        Default options of reading; see `nwbcompare.io.sessions.Reading`.
    aligned_to
        Name of the event.
    condition_variables, source, deterministic, provenance
        As in `nwbcompare.core.activity.make_block`.
    renamed
        Original names of renamed trial columns, by their names in the file.
    event_columns
        Columns with the starts of epochs, which the block lacks; earlier files have none.
    """

    leaf: str
    name: str
    reading: Mapping[str, Any]
    aligned_to: str
    condition_variables: Mapping[str, Any]
    source: Source
    deterministic: bool
    provenance: Mapping[str, Any]
    renamed: Mapping[str, str]
    event_columns: Sequence[str]

    def __post_init__(self) -> None:
        """Check the options here, where an error still names the file."""
        Reading(**self.reading)


def native_sessions(
    file: h5py.File, path: Location, schema: Schema, series: str | None
) -> list[tuple[Session, Written]]:
    """Return the sessions of a native file, one for each of its blocks.

    Parameters
    ----------
    file, path
        The open file, and its path.
    schema
        Its description; see `nwbcompare.io.nwb.native.read_schema`.
    series
        "units", or the name of a time series; by default that of the blocks.

    Returns
    -------
    list of tuple
        Session and description of each block.

    Raises
    ------
    InputError
        If rates are of units with different trials, or tables were changed.
    """
    if not has_rates(schema):
        session = read_session(file, path, Selection(series=series, trials=TRIALS), own=True)
        return [_as_spikes(file, session, schema["leaves"][0])]
    if series != UNITS and any(leaf["layout"] != "dense" for leaf in schema["leaves"]):
        raise InputError(
            str(path),
            "rates of units that share their trials",
            "units with trials of their own",
            "Open it without options, and use nwbcompare.rebin and smooth on the result.",
        )
    rates = schema["leaves"][0]["series"]["rate"]["path"]
    selection = Selection(series=series or rates, trials=TRIALS)
    session = read_session(file, path, selection, own=True)
    return [
        _as_rates(file, session, leaf, exact=series in {None, rates}) for leaf in schema["leaves"]
    ]


def _as_spikes(file: h5py.File, session: Session, leaf: dict[str, Any]) -> tuple[Session, Written]:
    events = leaf.get("event_columns", [])
    columns = [name for name in session.trials if name not in leaf["added_columns"]] + events
    n_rows = len(session.trials["start_time"])
    written = Written(
        leaf=leaf["name"],
        name=leaf["attrs"]["name"],
        reading=leaf["reading"],
        aligned_to=leaf["aligned_to"],
        condition_variables=leaf["condition_variables"],
        source=leaf["attrs"]["source"],
        deterministic=False,
        provenance=leaf["provenance"],
        renamed=_renamed(leaf),
        event_columns=events,
    )
    event = str(leaf["reading"]["align"])
    return _as_written(file, session, leaf, columns, slice(0, n_rows), event), written


def _as_rates(
    file: h5py.File, session: Session, leaf: dict[str, Any], *, exact: bool
) -> tuple[Session, Written]:
    events = leaf.get("event_columns", [])
    names = (*OF_THE_TABLE, *events, *leaf["trial_columns"])
    columns = [name for name in names if name in session.trials]
    rows = slice(leaf["first_row"], leaf["first_row"] + leaf["n_rows"])
    event = "event_time" if "event_time" in session.trials else "start_time"
    time_attrs, attrs = leaf["variables"]["time"]["attrs"], leaf["attrs"]
    width = float(time_attrs["bin_width_s"])
    window = (leaf["time"][0] - width / 2, leaf["time"][-1] + width / 2)
    written = Written(
        leaf=leaf["name"],
        name=attrs["name"],
        # rounded, since half a width added to a centre leaves rounding errors
        reading={"align": event, "window": [round(s, 9) for s in window], "bin": width},
        aligned_to=time_attrs["aligned_to"],
        condition_variables=json.loads(attrs["condition_variables"]),
        source=attrs["source"],
        deterministic=exact and bool(attrs["deterministic"]),
        provenance=json.loads(attrs["provenance"]),
        renamed=_renamed(leaf),
        event_columns=events,
    )
    return _as_written(file, session, leaf, columns, rows, event), written


def _as_written(
    file: h5py.File,
    session: Session,
    leaf: dict[str, Any],
    columns: list[str],
    rows: slice,
    event: str,
) -> Session:
    """Return a session with the rows and columns of a block, their types, attributes and epochs."""
    descriptions = {name: _description(leaf, name) for name in columns}
    trials = {name: _typed(session.trials[name][rows], descriptions[name]) for name in columns}
    n_rows = len(trials["start_time"])
    if n_rows != rows.stop - rows.start:
        raise InputError(
            f"{file.filename}: /intervals/trials",
            f"{rows.stop} rows",
            f"{rows.start + n_rows}",
            "The trials table was changed.",
        )
    start, stop = epoch_bounds(file, leaf["epochs"], rows.start, n_rows)
    attrs = {
        name: {k: v for k, v in description["attrs"].items() if k != "categories"}
        for name, description in descriptions.items()
        if description is not None
    }
    return replace(
        session,
        trials=trials,
        units={k: v for k, v in session.units.items() if k in leaf["unit_columns"]},
        trial_attrs=attrs,
        epochs={
            name: (start[:, place], stop[:, place]) for place, name in enumerate(leaf["epochs"])
        },
        event=event,
        # trials that were laid end to end have other trials beside them
        apart=bool(leaf.get("apart", True)),
    )


def _renamed(leaf: dict[str, Any]) -> dict[str, str]:
    return dict(leaf.get("renamed", {}))


def _description(leaf: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the description of a trial column; None for a column of the trials table alone."""
    renamed = _renamed(leaf)
    if name in renamed.values():
        return None
    variables: dict[str, Any] = leaf["variables"]
    return variables.get(name, variables.get(renamed.get(name, "")))


def _typed(column: Column, description: dict[str, Any] | None) -> Column:
    """Return a column with its original type; encoded text stays text."""
    if description is None or "categories" in description["attrs"]:
        return column
    return restored(column, {"dtype": description["dtype"], "attrs": {}})
