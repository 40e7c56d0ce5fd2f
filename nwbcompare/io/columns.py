"""Conversion of tables to columns of the data model, and checks that all formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from nwbcompare.core.activity import EPOCH_TOLERANCE, Activity, blocks
from nwbcompare.core.checks import unmasked
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.schema import check_activity
from nwbcompare.io.sessions.session_tables import warn_of_one_task

Column = npt.NDArray[Any]
Table = Mapping[str, Any]
"""Columns by name, or a pandas DataFrame."""

RESERVED = {
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
"""Names with a meaning in the data model."""


def as_array(subject: str, values: Any, dtype: npt.DTypeLike | None = None) -> Column:
    """Convert a user's values to an array.

    Parameters
    ----------
    subject
        Name of the values in an error.
    values
        The values.
    dtype
        Type of the array; by default numpy's choice.

    Raises
    ------
    InputError
        If nested lists differ in length, or text cannot be converted to numbers.

    Examples
    --------
    >>> as_array("time_s", [0, 0.1]).tolist()
    [0.0, 0.1]
    """
    try:
        return unmasked(subject, values, dtype)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(
            subject, "an array", f"values that make none ({error})", "Pass one value for each."
        ) from error


def as_numbers(subject: str, values: Any) -> Column:
    """Convert a user's values to an array of numbers, of the type that they have.

    Parameters
    ----------
    subject, values
        As for `as_array`.

    Raises
    ------
    InputError
        If they are not numbers.

    Examples
    --------
    >>> as_numbers("rates", [[0, 1]]).shape
    (1, 2)
    """
    array = as_array(subject, values)
    if array.dtype.kind not in "biuf":
        raise InputError(subject, "an array of numbers", f"{array.dtype}", "Pass rates or counts.")
    return array


def plain_column(values: Any, subject: str = "column") -> Column:
    """Convert values to an array of numbers, booleans or text; missing ones are NaN or "".

    Parameters
    ----------
    values
        An array, list, or pandas column. None, NaN, NaT and pandas' NA are missing values.
    subject
        Name of the column in an error.

    Returns
    -------
    array
        Booleans with missing values become 0.0, 1.0 and NaN; mixed types become text.

    Raises
    ------
    InputError
        If they cannot be converted to an array.

    Examples
    --------
    >>> plain_column(["left", None]).tolist()
    ['left', '']
    >>> plain_column([1, None]).tolist()
    [1.0, nan]
    """
    array = as_array(subject, values)
    if array.dtype.kind == "U" and not hasattr(values, "dtype"):
        # numpy would turn numbers and None beside text into text
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "biufU":
        return array
    if array.dtype.kind == "S":
        return array.astype(str)
    # object arrays: the type is that of the values that are present
    items = array.astype(object).ravel()
    missing = np.asarray(pd.isna(items))
    present = items[~missing]
    if present.size and all(isinstance(item, bool | np.bool_) for item in present):
        # booleans have no missing value
        plain = np.where(missing, np.nan, items).astype(float if missing.any() else bool)
    elif all(isinstance(item, int | float | np.number) for item in present):
        plain = np.where(missing, np.nan, items).astype(float)
    else:
        plain = np.where(missing, "", items).astype(str)
    return plain.reshape(array.shape)


def table_columns(
    table: Table | None, n_rows: int, kind: Literal["trial", "unit"]
) -> dict[str, Column]:
    """Return the columns of a table as arrays with one value for each row.

    Parameters
    ----------
    table
        A mapping or a pandas DataFrame; None for no columns.
    n_rows
        Number of rows.
    kind
        "trial" or "unit". It is put before column names that the data model reserves.

    Returns
    -------
    dict of str to array, (row,)
        Columns of numbers, booleans or text.

    Raises
    ------
    InputError
        If it is not a table, or a column has another number of values.

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
    for name in table.keys():  # noqa: SIM118 - also the columns of a DataFrame
        values = plain_column(table[name], f"{kind}s[{name!r}]")
        # a column of MATLAB is a matrix
        if values.shape == (n_rows, 1):
            values = values[:, 0]
        if values.shape != (n_rows,):
            raise InputError(
                f"{kind}s[{name!r}]",
                f"{n_rows} values, one for each {kind}",
                f"shape {values.shape}",
                "Pass one number or text for each.",
            )
        columns[own_name(str(name), kind)] = values
    return columns


def own_name(name: str, kind: Literal["trial", "unit"]) -> str:
    """Return a column's name, changed if the data model reserves it.

    Parameters
    ----------
    name
        Name of the column. Slashes, which are paths in a DataTree, become underscores.
    kind
        "trial" or "unit", which is put before a reserved name.

    Examples
    --------
    >>> own_name("time", "trial"), own_name("area", "unit")
    ('trial_time', 'area')
    """
    reserved = name in RESERVED and not (kind == "unit" and name == "unit")
    # xarray takes a slash in a name as a path
    return (f"{kind}_{name}" if reserved else name).replace("/", "_")


def columns_of_records(
    records: Sequence[Mapping[str, Any]], kind: Literal["trial", "unit"]
) -> dict[str, Column]:
    """Return the columns of a list of records, without those whose values are not scalars.

    Parameters
    ----------
    records
        Values of each row by name; a missing name is a missing value.
    kind
        "trial" or "unit"; see `table_columns`.

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
    """Return whether a value fits into a cell of a table.

    Examples
    --------
    >>> is_scalar("LIP"), is_scalar([1, 2])
    (True, False)
    """
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def with_task(columns: dict[str, Column], task: str | None, n_rows: int, name: str) -> None:
    """Set the trial column ``task`` from the column that names the task of each trial.

    Parameters
    ----------
    columns
        Trial columns, changed in place.
    task
        Column that names the task; by default ``task``, if there is one.
    n_rows
        Number of trials.
    name
        Name of the only task if no column names tasks.

    Raises
    ------
    InputError
        If the column does not exist.

    Warns
    -----
    UserWarning
        If no column names the task.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"context": np.array([1, -1])}
    >>> with_task(columns, "context", 2, "monkey A")
    >>> columns["task"].tolist()
    ['1', '-1']
    """
    if task is not None and task not in columns:
        raise unknown_name("task", task, columns)
    if task is None and "task" not in columns:
        # five frames up is the code that called the public function
        warn_of_one_task(name, stacklevel=5)
        columns["task"] = np.full(n_rows, name)
    columns["task"] = columns[task or "task"].astype(str)


def conditions_by_task(
    conditions: Iterable[str] | None, columns: Mapping[str, Column]
) -> dict[str, list[str]]:
    """Return the condition variables of each task, the same for all.

    Parameters
    ----------
    conditions
        Trial columns whose combinations are conditions; None for none.
    columns
        Trial columns, with ``task``.

    Raises
    ------
    InputError
        If a column does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"task": np.array(["go", "anti"]), "direction": np.array([0.0, 3.1])}
    >>> conditions_by_task(["direction"], columns)
    {'anti': ['direction'], 'go': ['direction']}
    """
    names = list(conditions or ())
    for column in names:
        if column not in columns:
            raise unknown_name("conditions", column, columns)
    return {str(task): names for task in np.unique(columns["task"])}


def lone_block(activity: Activity, function: Callable[..., Any]) -> xr.Dataset:
    """Return the only block of an activity, after a check of the data model.

    Parameters
    ----------
    activity
        An activity with one block, or a block.
    function
        The calling function, for the message.

    Raises
    ------
    InputError
        If there are several blocks, whose clocks differ, or the data model is broken.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> lone_block(example_block(), lone_block).attrs["name"]
    'example'
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


def uneven_steps(subject: str, width: float) -> InputError:
    """Return the error for a time axis with other steps than its bin width (s).

    Examples
    --------
    >>> uneven_steps("time", 0.05).expected
    'even steps of 0.05 s'
    """
    remedy = "Bin the rates evenly: nwbcompare.rebin(activity, width_s)."
    return InputError(subject, f"even steps of {width:g} s", "uneven ones", remedy)


def even_bin_width(block: xr.Dataset, function: Callable[..., Any]) -> float:
    """Return the width (s) of bins without gaps between them.

    Parameters
    ----------
    block
        A block.
    function
        The calling function, for the message.

    Raises
    ------
    InputError
        If there are gaps, which a regularly sampled signal cannot have.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> even_bin_width(example_block(), even_bin_width)
    0.1
    """
    width = float(block["time"].attrs["bin_width_s"])
    gaps = np.abs(np.diff(block["time"].values) - width)
    # times that were computed are seldom even to the last bit
    if gaps.max(initial=0) > EPOCH_TOLERANCE * width:
        raise uneven_steps(f"time ({function.__name__})", width)
    return width
