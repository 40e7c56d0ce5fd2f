"""Columns of NWB tables as plain arrays: text, JSON in text, enumerations, times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError
from nwbcompare.core.hdf5_input import (
    attribute,
    dataset,
    is_plain,
    member,
    members,
    read_column,
    referred,
)

Column = npt.NDArray[Any]
MOST_KEYS = 100
"""More keys than this in a column of JSON objects are no columns of a table."""


def read_table(
    table: h5py.Group, *, skip: Sequence[str] = (), decode: bool = True
) -> tuple[dict[str, Column], dict[str, dict[str, Any]], list[str]]:
    """Read the columns of a dynamic table that have one plain value a row.

    Parameters
    ----------
    table
        The table.
    skip
        Names of columns that are read elsewhere.
    decode
        Whether text columns that are JSON are decoded.

    Returns
    -------
    columns
        By name, each ``(row,)``: numbers, booleans or text. Text that is JSON throughout is
        decoded; the keys of JSON objects become columns ``NAME_KEY``. JSON lists stay text.
    attrs
        For each column its attributes: ``long_name``, the table's description of it.
    left_out
        Columns with several values a row, or with references: an analysis has no use for them.

    Raises
    ------
    InputError
        For columns of unlike length.
    """
    found = {name: item for name, item in members(table).items() if isinstance(item, h5py.Dataset)}
    n_rows = _row_count(table, found)
    columns: dict[str, Column] = {}
    attrs: dict[str, dict[str, Any]] = {}
    left_out: list[str] = []
    for name in _in_order(table, found):
        if name in skip or name == "id" or _serves_another(name, found):
            continue
        data = found[name]
        if f"{name}_index" in found or data.ndim != 1 or _is_reference(data):
            left_out.append(name)
            continue
        if data.shape[0] != n_rows:
            raise InputError(
                f"{table.file.filename}: {table.name}/{name}",
                f"{n_rows} values, one for each row",
                f"{data.shape[0]}",
                "The file is damaged: obtain it again.",
            )
        values = _values(table, data)
        read = decoded(name, values) if decode else {name: values}
        if any(key != name and (key in found or key in columns) for key in read):
            # a column of the table itself has that name
            read = {name: values}
        columns |= read
        about = str(attribute(data, "description", ""))
        attrs |= {key: {"long_name": about} if about else {} for key in read}
    return columns, attrs, left_out


def row_ids(table: h5py.Group) -> Column:
    """Give the ids of a table's rows."""
    return read_column(dataset(table, "id"))


def indexed(table: h5py.Group, name: str) -> tuple[h5py.Dataset, npt.NDArray[np.int64]] | None:
    """Give a ragged column and where each row's values stop in it; None where there is none.

    Raises
    ------
    InputError
        Where the stops do not ascend to the end of the values.
    """
    values, index = member(table, name), member(table, f"{name}_index")
    if not isinstance(values, h5py.Dataset) or not isinstance(index, h5py.Dataset):
        return None
    stops = read_column(index)
    whole = stops.ndim == 1 and stops.dtype.kind in "iu"
    if whole:
        stops = stops.astype(np.int64)
        whole = bool((np.diff(stops, prepend=0) >= 0).all())
    if not whole or (stops.size and stops[-1] > values.shape[0]):
        raise InputError(
            f"{table.file.filename}: {table.name}/{name}_index",
            f"ascending whole numbers up to {values.shape[0]}",
            "others",
            "The file is damaged: obtain it again.",
        )
    return values, stops


def decoded(name: str, values: Column) -> dict[str, Column]:
    """Decode a text column whose every value is JSON; others stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> {k: v.tolist() for k, v in decoded("p", np.array(['{"a": 1}', '{"a": 2}'])).items()}
    {'p_a': [1, 2]}
    >>> decoded("word", np.array(["left", "right"]))["word"].tolist()
    ['left', 'right']
    """
    if values.dtype.kind != "U" or not values.size:
        return {name: values}
    texts, place = np.unique(values, return_inverse=True)
    parsed = [_json(text) for text in texts]
    if any(value is _NOT_JSON for value in parsed):
        return {name: values}
    items = [parsed[i] for i in place.reshape(-1)]
    filled = [item for item in items if item is not None]
    if filled and all(isinstance(item, dict) for item in filled):
        return _by_key(name, items, values)
    plain = _plain_column(items)
    return {name: values if plain is None else plain}


_NOT_JSON = object()


def _json(text: str) -> Any:
    """Parse JSON; empty text is a missing value."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _by_key(name: str, items: Sequence[dict[str, Any] | None], values: Column) -> dict[str, Column]:
    keys = dict.fromkeys(key for item in items if item for key in item)
    if len(keys) > MOST_KEYS:
        return {name: values}
    columns = {}
    for key in keys:
        column = _plain_column([None if item is None else item.get(key) for item in items])
        if column is None:
            cells = [None if item is None else item.get(key) for item in items]
            column = np.array([json.dumps(cell) for cell in cells], dtype=str)
        # a slash would be a path to xarray
        columns[f"{name}_{key}".replace("/", "_")] = column
    return columns


def _plain_column(items: Sequence[Any]) -> Column | None:
    """Make an array of booleans, numbers or text; None for a mixture or nested values."""
    filled = [item for item in items if item is not None]
    complete = len(filled) == len(items)
    if filled and all(isinstance(item, bool) for item in filled):
        if complete:
            return np.array(items, dtype=bool)
        return np.array([np.nan if item is None else float(item) for item in items])
    if filled and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in filled
    ):
        whole = complete and all(isinstance(i, int) and abs(i) < 2**62 for i in filled)
        if whole:
            return np.array(items, dtype=np.int64)
        return np.array([np.nan if item is None else _as_float(item) for item in items])
    if filled and all(isinstance(item, str) for item in filled):
        return np.array(["" if item is None else item for item in items], dtype=str)
    return None


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _in_order(table: h5py.Group, found: dict[str, h5py.Dataset]) -> list[str]:
    """Give the names of columns, in the order that the table states."""
    stated = attribute(table, "colnames", ())
    listed = [str(name) for name in np.atleast_1d(stated)] if len(stated) else []
    first = [name for name in ("start_time", "stop_time") if name in found]
    return list(dict.fromkeys([*first, *(n for n in listed if n in found), *found]))


def _row_count(table: h5py.Group, found: dict[str, h5py.Dataset]) -> int:
    for name in ("id", "start_time"):
        if name in found and found[name].ndim == 1:
            return int(found[name].shape[0])
    raise InputError(
        f"{table.file.filename}: {table.name}",
        "a table with a column 'id'",
        "none",
        "The file is damaged or of another kind.",
    )


def _serves_another(name: str, found: dict[str, h5py.Dataset]) -> bool:
    """Tell whether a dataset is no column, but the index or the elements of one."""
    if name.endswith("_index") and name[:-6] in found:
        return True
    holder = found.get(name.removesuffix("_elements"))
    of_one = name.endswith("_elements") and holder is not None
    return of_one and _neurodata_type(holder) == "EnumData"


def _is_reference(data: h5py.Dataset) -> bool:
    return not is_plain(data) or h5py.check_ref_dtype(data.dtype) is not None


def _values(table: h5py.Group, data: h5py.Dataset) -> Column:
    values = read_column(data)
    if _neurodata_type(data) != "EnumData":
        return values
    elements = read_column(referred(table, attribute(data, "elements")))
    if values.dtype.kind not in "iu" or elements.ndim != 1:
        raise InputError(
            f"{table.file.filename}: {data.name}",
            "whole numbers, places in its elements",
            f"{values.dtype}",
            "The file is damaged: obtain it again.",
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < elements.size:
        raise InputError(
            f"{table.file.filename}: {data.name}",
            f"places from 0 to {elements.size - 1} in its elements",
            f"{values.min()} to {values.max()}",
            "The file is damaged: obtain it again.",
        )
    named: Column = elements[values]
    return named


def _neurodata_type(item: Any) -> str:
    """Return the type that NWB calls an object; "" for an object without one."""
    return str(attribute(item, "neurodata_type", ""))
