"""Merger of recordings of animals or archives into one, whose units have trials of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    Activity,
    blocks,
    condition_variables_of,
    epoch_names,
    make_activity,
    make_block,
    trial_columns,
    unit_columns,
    window_bounds,
)
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.observations import observations
from nwbcompare.core.schema import check_activity
from nwbcompare.io.sessions.session_tables import joined_columns

Column = npt.NDArray[Any]
SAME_TIME = 1e-3
"""Share of a bin by which bin centres may differ."""


@dataclass(frozen=True)
class _Part:
    """A block as observations.

    Attributes
    ----------
    recording
        Name of its recording.
    block
        The block.
    rates
        Rates of units in their trials, ``(observation, time)``.
    unit, row
        Row of the unit table, and trial or observation of the block, of each observation.
    """

    recording: str
    block: xr.Dataset
    rates: npt.NDArray[np.float32]
    unit: Column
    row: Column


def merge(recordings: Mapping[str, Activity], *, name: str | None = None) -> xr.DataTree:
    """Merge recordings of several animals or archives into one.

    Parameters
    ----------
    recordings
        Activities by name, on the same bins. Tasks of one name are one task, and have the same
        condition variables in all of them.
    name
        Name of the merged recording; by default the names of its parts.

    Returns
    -------
    xarray.DataTree
        One ragged block with all units and the column ``recording``; where ids of units repeat,
        they have the name of their recording in front. Columns that some recordings lack are NaN or
        "" there. The provenance has that of each part.

    Raises
    ------
    InputError
        If fewer than two are passed, one is a model, bins differ, or the condition variables of a
        task do.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_attrs(source="recording", deterministic=0)
    >>> block["rate"].attrs["units"] = "spikes/s"
    >>> merged = merge({"monkey A": block, "monkey B": block})["monkey A and monkey B"]
    >>> merged["unit"].values.tolist()[::3]
    ['monkey A u0', 'monkey B u0']
    """
    if len(recordings) < 2:
        raise InputError(
            "recordings", "at least two by name", f"{len(recordings)}", "Pass {'A': ..., 'B': ...}."
        )
    parts = [
        _Part(key, block, *observations(block))
        for key, activity in recordings.items()
        for block in blocks(activity).values()
    ]
    for part in parts:
        _check_fits(part, parts[0])
    units = _unit_tables(recordings)
    place = {key: row for row, key in enumerate(units)}
    sizes = [part.row.size for part in parts]
    columns = [trial_columns(part.block) for part in parts]
    title = name or " and ".join(recordings)
    block = make_block(
        np.concatenate([part.rates for part in parts]),
        time_s=parts[0].block["time"].values,
        bin_width_s=float(parts[0].block["time"].attrs["bin_width_s"]),
        aligned_to=" or ".join(
            dict.fromkeys(part.block["time"].attrs["aligned_to"] for part in parts)
        ),
        trials={
            column: joined_columns(
                [
                    of[column][part.row] if column in of else None
                    for of, part in zip(columns, parts, strict=True)
                ],
                sizes,
            )
            for column in dict.fromkeys(column for of in columns for column in of)
        },
        units=_joined_units(units),
        observation_unit=np.concatenate(
            [
                np.array([place[part.recording, unit] for unit in part.block["unit"].values])[
                    part.unit
                ]
                for part in parts
            ]
        ),
        condition_variables=_condition_variables(parts),
        epochs=_epochs(parts),
        source="recording",
        name=title,
        provenance={
            "merged": {part.recording: json.loads(part.block.attrs["provenance"]) for part in parts}
        },
    )
    return check_activity(make_activity({title.replace("/", "_"): block}))


def _check_fits(part: _Part, first: _Part) -> None:
    """Check that a part is a recording on the bins of the first one."""
    if part.block.attrs["source"] != "recording" or part.block.attrs["deterministic"]:
        raise InputError(
            part.recording, "a recording", f"a {part.block.attrs['source']}", "Leave it out."
        )
    centres, width = (
        [one.block["time"].values for one in (first, part)],
        [float(one.block["time"].attrs["bin_width_s"]) for one in (first, part)],
    )
    is_same = centres[0].shape == centres[1].shape and np.allclose(
        [*centres[0], width[0]], [*centres[1], width[1]], rtol=0, atol=SAME_TIME * width[0]
    )
    if not is_same:
        start, stop = window_bounds(part.block)
        wanted = window_bounds(first.block)
        raise InputError(
            part.recording,
            f"bins of {width[0]:g} s from {wanted[0]:g} to {wanted[1]:g} s, as {first.recording}",
            f"bins of {width[1]:g} s from {start:g} to {stop:g} s",
            "Load it in these bins, or use nwbcompare.rebin.",
        )


def _unit_tables(recordings: Mapping[str, Activity]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the columns of each unit by recording and id; a unit of several blocks counts once."""
    table: dict[tuple[str, str], dict[str, Any]] = {}
    for key, activity in recordings.items():
        for block in blocks(activity).values():
            columns = unit_columns(block)
            for row, unit in enumerate(block["unit"].values.tolist()):
                own = {name: values[row] for name, values in columns.items()}
                table.setdefault((key, unit), own | {"recording": key})
    return table


def _joined_units(table: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Column]:
    ids = [unit for _, unit in table]
    is_unique = len(set(ids)) == len(ids)
    names = dict.fromkeys(name for own in table.values() for name in own)
    columns = {
        name: joined_columns(
            [np.array([own[name]]) if name in own else None for own in table.values()],
            [1] * len(table),
        )
        for name in names
    }
    texts = ids if is_unique else [f"{recording} {unit}" for recording, unit in table]
    return columns | {"unit": np.array(texts)}


def _condition_variables(parts: list[_Part]) -> dict[str, list[str]]:
    """Return the condition variables by task, which all recordings of a task share."""
    variables: dict[str, list[str]] = {}
    for part in parts:
        for task, names in condition_variables_of(part.block).items():
            if variables.setdefault(task, names) != names:
                raise InputError(
                    f"{part.recording}: conditions of task {task!r}",
                    f"{listing(variables[task])}, as before it",
                    listing(names),
                    "Give both the same condition variables.",
                )
    return variables


def _epochs(parts: list[_Part]) -> dict[str, tuple[Column, Column]] | None:
    """Return start and stop of each epoch; NaN in observations of parts without it."""
    names = dict.fromkeys(name for part in parts for name in epoch_names(part.block))
    if not any("epoch" in part.block.coords for part in parts):
        return None
    return {name: (_bounds(parts, name, "start"), _bounds(parts, name, "stop")) for name in names}


def _bounds(parts: list[_Part], epoch: str, which: str) -> Column:
    values = []
    for part in parts:
        if epoch not in epoch_names(part.block):
            values.append(np.full(part.row.size, np.nan))
        elif "epoch" in part.block.coords:
            place = epoch_names(part.block).index(epoch)
            values.append(part.block[f"epoch_{which}_time"].values[part.row, place])
        else:
            bound = window_bounds(part.block)[which == "stop"]
            values.append(np.full(part.row.size, bound))
    return np.concatenate(values)
