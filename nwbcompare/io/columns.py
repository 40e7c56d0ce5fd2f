"""Tables from elsewhere as columns of the data model, and what all conversions share."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    blocks,
    columns_on,
    labels,
    row_dim,
)
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.schema import check_activity

Column = npt.NDArray[Any]
Table = Mapping[str, Any]
"""Columns by name, or a pandas DataFrame."""

TAKEN = {
    "epoch",
    "epoch_start_time",
    "epoch_stop_time",
    "observation",
    "observation_unit",
    "rate",
    "time",
    "trial",
    "unit",
    "unit_key",
}
"""Names that the data model gives a meaning of its own."""
KEYS = {"observation_unit", "unit_key"}
"""Columns of a block that only link its tables."""


def as_array(subject: str, values: Any, dtype: npt.DTypeLike | None = None) -> Column:
    """Make an array of what a user gives.

    Raises
    ------
    InputError
        Where lists are of unlike length, or text stands for numbers.
    """
    try:
        return np.asarray(values, dtype=dtype)
    except (ValueError, TypeError) as error:
        raise InputError(
            subject, "an array", f"values that make none ({error})", "Give one value for each."
        ) from error


def plain_column(values: Any, subject: str = "column") -> Column:
    """Make an array of numbers, booleans or text; what is missing is NaN or "".

    Parameters
    ----------
    values
        Anything that numpy or pandas makes an array of.
    subject
        What an error calls it.

    Raises
    ------
    InputError
        Where they make no array.

    Examples
    --------
    >>> plain_column(["left", None]).tolist()
    ['left', '']
    >>> plain_column([1, None]).tolist()
    [1.0, nan]
    """
    array = as_array(subject, values)
    if array.dtype.kind == "U" and not hasattr(values, "dtype"):
        # numpy makes text of whatever stands beside text
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "biufU":
        return array
    if array.dtype.kind == "S":
        return array.astype(str)
    items = array.astype(object).ravel()
    missing = np.array([_is_missing(item) for item in items], dtype=bool)
    filled = items[~missing]
    if filled.size and all(isinstance(item, bool | np.bool_) for item in filled):
        plain = items.astype(bool) if not missing.any() else _floats(items, missing)
    elif all(isinstance(item, int | float | np.number) for item in filled):
        plain = _floats(items, missing)
    else:
        plain = np.array(
            ["" if absent else str(v) for v, absent in zip(items, missing, strict=True)], dtype=str
        )
    return plain.reshape(array.shape)


def _is_missing(item: Any) -> bool:
    """Tell None, NaN, NaT and pandas' NA: the last three do not equal themselves for certain."""
    equal = operator.eq(item, item)
    return item is None or not (isinstance(equal, bool | np.bool_) and bool(equal))


def _floats(items: Column, missing: Column) -> Column:
    return np.array(
        [np.nan if absent else float(v) for v, absent in zip(items, missing, strict=True)]
    )


def table_columns(
    table: Table | None, n_rows: int, kind: Literal["trial", "unit"]
) -> dict[str, Column]:
    """Give the columns of a table, one value a row.

    Parameters
    ----------
    table
        A mapping or a pandas DataFrame; None: no columns.
    n_rows
        How many values each has.
    kind
        What a row is. A name that the data model has taken gets it in front.

    Raises
    ------
    InputError
        Where it is no table, or a column has another number of values.

    Examples
    --------
    >>> {k: v.tolist() for k, v in table_columns({"time": [1.5, 2]}, 2, "trial").items()}
    {'trial_time': [1.5, 2.0]}
    """
    if table is None:
        return {}
    if not hasattr(table, "keys"):
        raise InputError(
            f"{kind}s",
            f"columns by name, each with a value for each {kind}, or a DataFrame",
            type(table).__name__,
            f'Pass {kind}s={{"column": values}}.',
        )
    columns = {}
    for name in table.keys():  # noqa: SIM118 - a DataFrame, too, gives its columns this way
        values = plain_column(table[name], f"{kind}s[{name!r}]")
        if values.shape != (n_rows,):
            raise InputError(
                f"{kind}s[{name!r}]",
                f"{n_rows} values, one for each {kind}",
                f"shape {values.shape}",
                "Give one number or text for each.",
            )
        columns[own_name(str(name), kind)] = values
    return columns


def own_name(name: str, kind: Literal["trial", "unit"]) -> str:
    """Give a column a name that neither the data model nor its files have taken."""
    taken = name in TAKEN and not (kind == "unit" and name == "unit")
    # a slash would be a path in a DataTree
    return (f"{kind}_{name}" if taken else name).replace("/", "_")


def columns_of_records(
    records: Sequence[Mapping[str, Any]], kind: Literal["trial", "unit"]
) -> dict[str, Column]:
    """Make columns of what is known of each row; values that are no scalars are left out.

    Parameters
    ----------
    records
        For each row its values by name.
    kind
        What a row is, see `table_columns`.

    Examples
    --------
    >>> records = [{"area": "LIP", "depth": 1.5}, {"area": "LIP", "xy": [1, 2]}]
    >>> {k: v.tolist() for k, v in columns_of_records(records, "unit").items()}
    {'area': ['LIP', 'LIP'], 'depth': [1.5, nan]}
    """
    names = dict.fromkeys(name for record in records for name in record)
    plain = {
        name: [record.get(name) for record in records]
        for name in names
        if all(is_scalar(record.get(name)) for record in records)
    }
    return table_columns(plain, len(records), kind)


def is_scalar(value: Any) -> bool:
    """Tell whether a value fits into a cell of a table."""
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def with_task(columns: dict[str, Column], task: str | None, n_rows: int, name: str) -> None:
    """Name the task of each trial in ``task``, which is added where no column names it.

    Parameters
    ----------
    columns
        Trial columns, to which ``task`` is added.
    task
        The column that names it; None: ``task`` where there is one.
    n_rows
        How many trials there are.
    name
        The only task's name where no column has any.

    Raises
    ------
    InputError
        For a column that is not there.

    Warns
    -----
    UserWarning
        Where no column names the task.
    """
    if task is not None and task not in columns:
        raise unknown_name("task", task, columns)
    if task is None and "task" not in columns:
        warnings.warn(
            f"no column names the task: all trials are of one task, {name!r}; "
            "pass task= to name a column",
            stacklevel=4,
        )
        columns["task"] = np.full(n_rows, name)
    columns["task"] = columns[task or "task"].astype(str)


def conditions_by_task(
    conditions: Iterable[str] | None, columns: Mapping[str, Column]
) -> dict[str, list[str]]:
    """Give each task the columns that make its conditions, which have to be there."""
    wanted = list(conditions or ())
    for column in wanted:
        if column not in columns:
            raise unknown_name("conditions", column, columns)
    return {str(task): wanted for task in np.unique(columns["task"])}


def lone_block(activity: Activity, function: Callable[..., Any]) -> xr.Dataset:
    """Give the only block of an activity, checked.

    Raises
    ------
    InputError
        Where it has several, which are on clocks of their own.
    """
    parts = blocks(check_activity(activity))
    if len(parts) > 1:
        raise InputError(
            function.__name__,
            "one block",
            f"{len(parts)} blocks: {listing(parts)}",
            f'Take them one by one: {function.__name__}(activity["{next(iter(parts))}"]).',
        )
    return next(iter(parts.values()))


def even_bin_width(block: xr.Dataset, function: Callable[..., Any]) -> float:
    """Give the width (s) of bins that follow each other without gaps.

    Raises
    ------
    InputError
        Where they have gaps: a regularly sampled signal has none.
    """
    width = float(block["time"].attrs["bin_width_s"])
    gaps = np.abs(np.diff(block["time"].values) - width)
    if gaps.max(initial=0) > EPOCH_TOLERANCE * width:
        raise InputError(
            f"time ({function.__name__})",
            f"even steps of {width:g} s",
            "uneven ones",
            "Bin the rates evenly: nwbcompare.rebin(activity, width_s).",
        )
    return width


def trial_columns(block: xr.Dataset) -> dict[str, Column]:
    """Give the trial columns of a block as plain arrays, text as text."""
    columns = columns_on(block, row_dim(block))
    return {name: labels(column) for name, column in columns.items() if name not in KEYS}


def unit_columns(block: xr.Dataset) -> dict[str, Column]:
    """Give the unit table of a block as plain arrays."""
    columns = columns_on(block, "unit")
    return {name: labels(column) for name, column in columns.items() if name not in KEYS}
