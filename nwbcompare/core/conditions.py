"""Trial columns that could be conditions."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.core.activity import codes_and_categories, columns_on, row_dim

NOT_CONDITIONS = {"task", "session", "observation_trial", "observation_unit"}
"""Trial columns that say where a row is from."""


def candidate_columns(block: xr.Dataset) -> dict[str, int]:
    """Return the trial columns that could be conditions, with their numbers of values.

    Parameters
    ----------
    block
        A block.

    Returns
    -------
    dict of str to int
        For each column without missing values that has two values or more within a task, and on
        average two trials or more for each: the most values in any task. Fewest values first.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> candidate_columns(example_block())
    {'correct': 2, 'direction': 4}
    """
    task, _ = codes_and_categories(block["task"])
    rows = [np.flatnonzero(task == code) for code in np.unique(task)]
    numbers = {
        name: [np.unique(column.values[of_task]).size for of_task in rows]
        for name, column in columns_on(block, row_dim(block)).items()
        if name not in NOT_CONDITIONS and not _has_missing(column)
    }
    candidates = {
        name: max(number)
        for name, number in numbers.items()
        if max(number) > 1
        and all(2 * n <= of_task.size for n, of_task in zip(number, rows, strict=True) if n > 1)
    }
    return dict(sorted(candidates.items(), key=lambda item: item[1]))


def _has_missing(column: xr.DataArray) -> bool:
    return column.dtype.kind == "f" and bool(np.isnan(column.values).any())
