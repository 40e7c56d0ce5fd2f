"""Columns of NWB tables with several values a row: the first, their number, or all as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.hdf5_input import damaged, member, members
from nwbcompare.io.nwb.table_columns import Column, indexed, is_flat, is_reference, table_values

FORMS = ("first", "count", "all")
"""What of several values can be asked for; the suffixes of the columns' names."""
Ragged = Mapping[str, str | Sequence[str]]


def check_ragged(ragged: Ragged) -> None:
    """Check that columns are asked for in forms that exist.

    Raises
    ------
    InputError
        For another form, and for what is no mapping.

    Examples
    --------
    >>> check_ragged({"licks": "count", "cues": ["first", "all"]})
    """
    if not isinstance(ragged, Mapping):
        raise InputError(
            "ragged", "forms by column", repr(ragged), 'Pass ragged={"licks": "count"}.'
        )
    for name, forms in ragged.items():
        for form in _forms(forms):
            if form not in FORMS:
                raise unknown_name(f"ragged[{name!r}]", form, FORMS)


def _forms(forms: str | Sequence[str]) -> Sequence[str]:
    return [forms] if isinstance(forms, str) else list(forms)


def ragged_names(table: h5py.Group) -> list[str]:
    """Return the names of columns with several values a row that can be asked for."""
    return [
        name
        for name, item in members(table).items()
        if isinstance(item, h5py.Dataset)
        and not name.endswith("_index")
        and _is_ragged(table, name)
    ]


def _is_ragged(table: h5py.Group, name: str) -> bool:
    data = member(table, name)
    return (
        isinstance(data, h5py.Dataset)
        and not is_reference(data)
        # lists of lists have two indices
        and member(table, f"{name}_index_index") is None
        and (member(table, f"{name}_index") is not None or (data.ndim > 1 and not is_flat(data)))
    )


def read_ragged(table: h5py.Group, ragged: Ragged) -> dict[str, Column]:
    """Read columns with several values a row, one value a row for each form that is asked for.

    Parameters
    ----------
    table
        The table.
    ragged
        Forms of each column: "first" becomes the column ``NAME_first`` (NaN or "" where there is
        none), "count" ``NAME_count`` and "all" ``NAME_all``, a JSON list.

    Returns
    -------
    dict of str to array, (row,)
        The columns.

    Raises
    ------
    InputError
        If no such column has several values a row, the first value is a list itself, or the table
        has a column of the new name.
    """
    columns: dict[str, Column] = {}
    for name, forms in ragged.items():
        if not _is_ragged(table, name):
            raise unknown_name(f"{table.file.filename}: ragged", name, ragged_names(table))
        values, bounds = _values_and_bounds(table, name)
        for form in _forms(forms):
            new = f"{name}_{form}"
            if member(table, new) is not None:
                raise InputError(
                    f"{table.name}/{new}", "no column of this name", "one", "Rename it in the file."
                )
            columns[new] = _in_form(form, values, bounds, f"{table.name}/{name}")
    return columns


def _values_and_bounds(table: h5py.Group, name: str) -> tuple[Column, npt.NDArray[np.int64]]:
    """Return the values of all rows, and the bounds of each row's ``(row + 1,)``."""
    column = indexed(table, name)
    if column is not None:
        return table_values(table, column[0]), np.concatenate([[0], column[1]])
    data = table[name]
    if member(table, f"{name}_index") is not None:
        raise damaged(table, f"{name} with its index", "an index that is none")
    values = table_values(table, data)
    # a matrix has as many values in each row
    bounds = np.arange(len(values) + 1) * values.shape[1]
    return values.reshape(-1, *values.shape[2:]), bounds


def _in_form(form: str, values: Column, bounds: npt.NDArray[np.int64], name: str) -> Column:
    number = np.diff(bounds)
    if form == "count":
        return number
    if form == "all":
        cells = [values[start:stop].tolist() for start, stop in pairwise(bounds)]
        return np.array([json.dumps(_listed(cell)) for cell in cells], dtype=str)
    if values.ndim > 1:
        raise InputError(
            f"{name}: ragged", "single values for 'first'", "lists of them", "Ask for 'all'."
        )
    present = number > 0
    first = values[bounds[:-1][present]]
    if present.all():
        return first
    # numbers without a missing value become floats
    textual = first.dtype.kind == "U"
    column = np.full(present.size, "" if textual else np.nan, first.dtype if textual else float)
    column[present] = first
    return column


def _listed(values: Any) -> Any:
    """Return nested lists in which NaN, which JSON lacks, is None."""
    if isinstance(values, list):
        return [_listed(value) for value in values]
    return None if isinstance(values, float) and not np.isfinite(values) else values
