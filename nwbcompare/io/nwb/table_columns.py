"""Columns of NWB tables as plain arrays: numbers, text, JSON in text, enumerations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.hdf5_input import (
    attribute,
    damaged,
    dataset,
    is_plain,
    member,
    members,
    read_column,
    referred,
)

Column = npt.NDArray[Any]
MOST_KEYS = 100
"""Limit for keys of JSON objects that become columns; beyond it the text stays as it is."""


def read_table(
    table: h5py.Group, *, skip: Sequence[str] = (), decode: bool = True
) -> tuple[dict[str, Column], dict[str, dict[str, Any]], list[str]]:
    """Read the columns of a dynamic table with one number or text for each row.

    Parameters
    ----------
    table
        The table.
    skip
        Names of columns to skip.
    decode
        Whether to decode text columns that are JSON.

    Returns
    -------
    columns : dict of str to array, (row,)
        Numbers, booleans or text. If all values of a text column are JSON it is decoded: keys of
        JSON objects become columns ``NAME_KEY``; JSON lists stay text.
    attrs : dict of str to dict
        Attributes of the columns: ``long_name``, the description in the table.
    left_out : list of str
        Columns with several values for each row, or with references.

    Raises
    ------
    InputError
        If columns differ in length.
    """
    items = members(table).items()
    datasets = {name: item for name, item in items if isinstance(item, h5py.Dataset)}
    n_rows = _row_count(table, datasets)
    columns: dict[str, Column] = {}
    attrs: dict[str, dict[str, Any]] = {}
    left_out: list[str] = []
    for name in _in_order(table, datasets):
        if name in skip or name == "id" or _is_auxiliary(name, datasets):
            continue
        data = datasets[name]
        # such columns do not have one value for each row
        if f"{name}_index" in datasets or not is_flat(data) or is_reference(data):
            left_out.append(name)
            continue
        if data.shape[0] != n_rows:
            expected = f"{n_rows} values, one for each row"
            raise damaged(table, expected, f"{data.shape[0]}", f"/{name}")
        values = table_values(table, data)
        read = decoded(name, values) if decode else {name: values}
        if any(key != name and (key in datasets or key in columns) for key in read):
            # a column of the table itself has that name
            read = {name: values}
        columns |= read
        text = str(attribute(data, "description", ""))
        attrs |= {key: {"long_name": text} if text else {} for key in read}
    return columns, attrs, left_out


def row_ids(table: h5py.Group) -> Column:
    """Return the ids of a table's rows, ``(row,)``."""
    return flat_column(dataset(table, "id"))


def is_flat(data: h5py.Dataset) -> bool:
    """Return whether a dataset has one value for each row: ``(row,)`` or ``(row, 1)``."""
    return data.ndim >= 1 and all(size == 1 for size in data.shape[1:])


def flat_column(data: h5py.Dataset) -> Column:
    """Read a column with one value for each row as ``(row,)``; others as they are."""
    values = read_column(data)
    return values.reshape(-1) if is_flat(data) else values


def indexed(table: h5py.Group, name: str) -> tuple[h5py.Dataset, npt.NDArray[np.int64]] | None:
    """Return a ragged column, and the end of each row's values in it.

    Parameters
    ----------
    table
        The table.
    name
        The column, e.g. "spike_times".

    Returns
    -------
    tuple or None
        Dataset of values, and ends ``(row,)``; None if the table has no such column.

    Raises
    ------
    InputError
        If the ends do not ascend up to the number of values.
    """
    values, index = member(table, name), member(table, f"{name}_index")
    if not isinstance(values, h5py.Dataset) or not isinstance(index, h5py.Dataset):
        return None
    stops = flat_column(index)
    whole = stops.ndim == 1 and stops.dtype.kind in "iu"
    if whole:
        stops = stops.astype(np.int64)
        whole = bool((np.diff(stops, prepend=0) >= 0).all())
    if not whole or (stops.size and stops[-1] > values.shape[0]):
        expected = f"ascending whole numbers up to {values.shape[0]}"
        raise damaged(table, expected, "others", f"/{name}_index")
    return values, stops


def decoded(name: str, values: Column) -> dict[str, Column]:
    """Decode a text column whose values are all JSON; other columns are unchanged.

    Parameters
    ----------
    name
        Name of the column.
    values
        Values, ``(row,)``.

    Returns
    -------
    dict of str to array, (row,)
        One column, or one for each key of JSON objects.

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
    # each different text is parsed once: columns have few
    texts, place = np.unique(values, return_inverse=True)
    contents = [_json(text) for text in texts]
    if any(value is _NOT_JSON for value in contents):
        return {name: values}
    items = [contents[i] for i in place.reshape(-1)]
    present = [item for item in items if item is not None]
    if present and all(isinstance(item, dict) for item in present):
        return _by_key(name, items, values)
    plain = _plain_column(items)
    return {name: values if plain is None else plain}


_NOT_JSON = object()


def _json(text: str) -> Any:
    """Return the value of JSON text; None for empty text, a missing value."""
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
        # xarray takes a slash as a path
        columns[f"{name}_{key}".replace("/", "_")] = column
    return columns


def _plain_column(items: Sequence[Any]) -> Column | None:
    """Return an array of booleans, numbers or text; None for mixed types or nested values."""
    present = [item for item in items if item is not None]
    complete = len(present) == len(items)
    # booleans first, since Python counts them as integers
    if present and all(isinstance(item, bool) for item in present):
        if complete:
            return np.array(items, dtype=bool)
        return np.array([np.nan if item is None else float(item) for item in items])
    if present and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in present
    ):
        # larger integers would overflow int64
        whole = complete and all(isinstance(i, int) and abs(i) < 2**62 for i in present)
        if whole:
            return np.array(items, dtype=np.int64)
        return np.array([np.nan if item is None else _as_float(item) for item in items])
    if present and all(isinstance(item, str) for item in present):
        return np.array(["" if item is None else item for item in items], dtype=str)
    return None


def _as_float(number: float) -> float:
    try:
        # integers in JSON have no bounds
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _in_order(table: h5py.Group, datasets: dict[str, h5py.Dataset]) -> list[str]:
    """Return the names of columns in the order of the table's attribute ``colnames``."""
    colnames = attribute(table, "colnames", ())
    names = [str(name) for name in np.atleast_1d(colnames)] if len(colnames) else []
    # the two are columns even if the attribute does not list them
    first = [name for name in ("start_time", "stop_time") if name in datasets]
    return list(dict.fromkeys([*first, *(n for n in names if n in datasets), *datasets]))


def _row_count(table: h5py.Group, datasets: dict[str, h5py.Dataset]) -> int:
    for name in ("id", "start_time"):
        if name in datasets and is_flat(datasets[name]):
            return int(datasets[name].shape[0])
    raise damaged(table, "a table with a column 'id'", "none")


def _is_auxiliary(name: str, datasets: dict[str, h5py.Dataset]) -> bool:
    """Return whether a dataset is the index or the elements of a column."""
    if name.endswith("_index") and name[:-6] in datasets:
        return True
    column = datasets.get(name.removesuffix("_elements"))
    is_elements = name.endswith("_elements") and column is not None
    return is_elements and _neurodata_type(column) == "EnumData"


def is_reference(data: h5py.Dataset) -> bool:
    """Return whether a dataset has no numbers or texts, but references or compounds."""
    return not is_plain(data) or h5py.check_ref_dtype(data.dtype) is not None


def table_values(table: h5py.Group, data: h5py.Dataset) -> Column:
    """Read a column; enumerations become their labels."""
    values = flat_column(data)
    if _neurodata_type(data) != "EnumData":
        return values
    elements = flat_column(referred(table, attribute(data, "elements")))
    if values.dtype.kind not in "iu" or elements.ndim != 1:
        raise damaged(data, "whole numbers, indices of its elements", f"{values.dtype}")
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < elements.size:
        expected = f"indices from 0 to {elements.size - 1} of its elements"
        raise damaged(data, expected, f"{values.min()} to {values.max()}")
    labels: Column = elements[values]
    return labels


def _neurodata_type(item: Any) -> str:
    """Return the type that NWB calls an object; "" for an object without one."""
    return str(attribute(item, "neurodata_type", ""))
