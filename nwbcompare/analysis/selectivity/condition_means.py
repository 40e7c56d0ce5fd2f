"""Mean rates of units per condition, on which the variance analyses are based."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    codes_and_categories,
    columns_on,
    condition_variables_of,
    is_ragged,
    labels,
    row_dim,
    tasks_of,
    unit_positions,
    unit_table,
)
from nwbcompare.core.conditions import candidate_columns
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.kernels.variance import group_moments


def condition_means(block: xr.Dataset, *, conditions: Sequence[str] | None = None) -> xr.Dataset:
    """Average each unit's rates over the trials of each condition.

    Parameters
    ----------
    block
        A block, dense or ragged.
    conditions
        Trial columns whose combinations are conditions; by default the ``condition_variables``
        of the source. As published, every test trial of a network is then a separate condition,
        and a recording has the conditions of its archive.

    Returns
    -------
    xarray.Dataset
        On ``condition``, with the coordinates ``task`` and the condition variables: ``rate_mean``,
        ``n_trials`` and ``mean_variance`` (squared standard error of the mean), each ``(unit,
        condition, time)``. ``mean_variance`` is 0 for a deterministic source, and NaN for a single
        noisy trial. A condition without trials of a unit is NaN.

    Raises
    ------
    InputError
        For an unknown condition variable; and for a source that names none although its trials
        differ in some columns, which the message lists. ``conditions=[]`` pools all trials.
    NotApplicableError
        For a condition variable with missing values.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> condition_means(example_block())["rate_mean"].shape
    (3, 4, 5)
    """
    table, condition = condition_table(block, conditions)
    n_conditions, n_units = table.sizes["condition"], block.sizes["unit"]
    rate = block["rate"].values
    noisy = not block.attrs["deterministic"]
    if is_ragged(block):
        groups = unit_positions(block) * n_conditions + condition
        count, mean, squares = (
            moment.reshape(n_units, n_conditions, -1)
            for moment in group_moments(rate, groups, n_units * n_conditions, squares=noisy)
        )
    else:
        count, mean, squares = (
            moment.transpose(2, 0, 1)
            for moment in group_moments(rate, condition, n_conditions, squares=noisy)
        )
    dims = ("unit", "condition", "time")
    axes = unit_table(block) | columns_on(block, "time")
    return table.assign_coords(axes).assign(
        rate_mean=(dims, mean, dict(block["rate"].attrs)),
        n_trials=(dims, count),
        mean_variance=(dims, _squared_standard_error(count, squares, block)),
    )


def condition_table(
    block: xr.Dataset, conditions: Sequence[str] | None = None
) -> tuple[xr.Dataset, npt.NDArray[np.int64]]:
    """Number the conditions of a block, and return the condition of each trial.

    Parameters
    ----------
    block
        A block.
    conditions
        See `condition_means`.

    Returns
    -------
    table : xarray.Dataset
        Coordinates ``task`` and the condition variables on ``condition``; tasks in order of
        their labels, conditions in ascending order of their values. A variable that a task
        does not use is NaN (or "") there.
    condition : numpy.ndarray
        ``(trial,)`` or ``(observation,)``: each one's condition.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> table, condition = condition_table(example_block())
    >>> table.sizes["condition"], condition.shape
    (4, (8,))
    """
    variables = _variables_by_task(block, conditions)
    codes, categories = codes_and_categories(block["task"])
    condition = np.full(len(codes), -1, dtype=np.int64)
    parts: list[tuple[str, dict[str, npt.NDArray[Any]]]] = []
    n_conditions = 0
    for task, columns in variables.items():
        rows = np.flatnonzero(codes == categories.index(task))
        number, levels = _combinations(block, columns, rows, task)
        condition[rows] = n_conditions + number
        n_here = int(number.max()) + 1
        n_conditions += n_here
        parts.append((task, levels | {"": np.zeros(n_here)}))
    return _join_tables(parts, block), condition


def _variables_by_task(block: xr.Dataset, conditions: Sequence[str] | None) -> dict[str, list[str]]:
    by_default = condition_variables_of(block)
    if conditions is None and not any(by_default.values()):
        _refuse_unnamed(block)
    variables = {
        task: list(by_default[task] if conditions is None else conditions)
        for task in tasks_of(block)
    }
    columns = columns_on(block, row_dim(block))
    for name in {name for names in variables.values() for name in names}:
        if name not in columns:
            raise unknown_name("conditions", name, columns)
    return variables


def _refuse_unnamed(block: xr.Dataset) -> None:
    """Check that a source names conditions, where it has columns that could be some."""
    candidates = candidate_columns(block)
    # trials that differ in no column are of one condition
    if candidates:
        example = next(iter(candidates))
        raise InputError(
            "conditions",
            f"trial columns whose combinations are the conditions of {block.attrs['name']!r}",
            "none; columns with few values: "
            + listing(f"{name} ({number} values)" for name, number in candidates.items()),
            f"Name them: conditions=[{example!r}], when the source is read or in the analysis; on "
            f"the command line 'SOURCE?conditions={example}', or --conditions of tv and ftv.",
        )


def _combinations(
    block: xr.Dataset, columns: list[str], rows: npt.NDArray[np.int64], task: str
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
    """Number the combinations of columns that occur in the rows, and give their levels."""
    number = np.zeros(len(rows), dtype=np.int64)
    values_of: dict[str, npt.NDArray[Any]] = {}
    for name in columns:
        values = block[name].values[rows]
        _refuse_missing(name, values, task)
        levels, code = np.unique(values, return_inverse=True)
        values_of[name] = values
        # one number per combination, made consecutive below
        number = number * len(levels) + code.reshape(-1)
    # short numbers are sorted several times as fast
    number = number.astype(np.min_scalar_type(number.max(initial=0)))
    _, first, compact = np.unique(number, return_index=True, return_inverse=True)
    level_table = {
        name: labels(block[name].isel({row_dim(block): rows[first]})) for name in values_of
    }
    return compact.reshape(-1), level_table


def _refuse_missing(name: str, values: npt.NDArray[Any], task: str) -> None:
    if values.dtype.kind != "f":
        return
    missing = int(np.isnan(values).sum())
    if missing:
        raise NotApplicableError(
            f"condition variable {name!r} of task {task!r}",
            "a value in every trial",
            f"none (NaN) in {missing} of {values.size}",
            "Name other columns with conditions=[...], or leave these trials out with "
            "nwbcompare.select.",
        )


def _join_tables(
    parts: list[tuple[str, dict[str, npt.NDArray[Any]]]], block: xr.Dataset
) -> xr.Dataset:
    names = list(dict.fromkeys(name for _, levels in parts for name in levels if name))
    coords: dict[str, Any] = {
        "task": ("condition", np.concatenate([[task] * len(lv[""]) for task, lv in parts]))
    }
    for name in names:
        like = next(levels[name] for _, levels in parts if name in levels)
        blank = np.array("" if like.dtype.kind == "U" else np.nan)
        columns = [levels.get(name, np.full(len(levels[""]), blank)) for _, levels in parts]
        attrs = {k: v for k, v in block[name].attrs.items() if k != "categories"}
        coords[name] = ("condition", np.concatenate(columns), attrs)
    return xr.Dataset(coords=coords, attrs=dict(block.attrs))


def _squared_standard_error(
    count: npt.NDArray[np.float64], squares: npt.NDArray[np.float64], block: xr.Dataset
) -> npt.NDArray[np.float64]:
    if block.attrs["deterministic"]:
        return np.where(count > 0, np.float32(0), np.float32(np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        # squares / (n - 1) is the trial variance; for one trial it is 0 / 0, NaN: unknown
        variance: npt.NDArray[np.float64] = squares / (count - 1) / count
    return np.where(count > 1, variance, np.nan)
