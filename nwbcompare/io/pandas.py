"""Conversion of activity to a pandas table and to plain numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    Activity,
    blocks,
    is_ragged,
    row_dim,
    trial_columns,
    unit_columns,
    unit_positions,
)
from nwbcompare.core.schema import check_activity
from nwbcompare.core.short_repr import fields_with_shapes
from nwbcompare.io.columns import Column, lone_block

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PlainArrays:
    """A block as plain arrays.

    Attributes
    ----------
    rate
        Dense ``(trial, time, unit)`` or ragged ``(observation, time)``, float32; NaN means not
        observed.
    time_s
        Bin centres (s), ``(time,)``.
    trials
        Trial columns, each ``(trial,)`` or ``(observation,)``; codes are decoded to text.
    units
        Columns of the unit table, each ``(unit,)``.
    observation_unit
        For a ragged block, the row of each observation's unit in ``units``, ``(observation,)``;
        else None.
    """

    rate: npt.NDArray[np.float32]
    time_s: npt.NDArray[np.float64]
    trials: dict[str, Column]
    units: dict[str, Column]
    observation_unit: npt.NDArray[np.int64] | None

    __repr__ = fields_with_shapes


def to_numpy(activity: Activity) -> PlainArrays:
    """Convert an activity of one block to plain numpy arrays.

    Parameters
    ----------
    activity
        An activity with one block, or a block.

    Raises
    ------
    InputError
        If there are several blocks, or the data break the data model.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> arrays = to_numpy(example_block())
    >>> arrays.rate.shape, arrays.trials["task"][0], arrays.units["area"].tolist()
    ((8, 5, 3), np.str_('go'), ['A', 'A', 'B'])
    """
    block = lone_block(activity, to_numpy)
    return PlainArrays(
        rate=np.asarray(block["rate"].values),
        time_s=np.asarray(block["time"].values),
        trials=trial_columns(block),
        units=unit_columns(block),
        observation_unit=unit_positions(block) if is_ragged(block) else None,
    )


def to_pandas(activity: Activity) -> pd.DataFrame:
    """Convert an activity to a tidy table, with one row for each unit, trial and bin.

    Parameters
    ----------
    activity
        An activity or a block.

    Returns
    -------
    pandas.DataFrame
        Columns ``block`` (the leaf), ``trial`` (ragged blocks: ``observation``), an index from 0,
        ``unit``, ``time`` (s), ``rate`` (NaN: not observed), then the other trial columns and
        the columns of the unit table. Text is categorical, since values occur in many rows.

    Raises
    ------
    InputError
        If the data break the data model.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> table = to_pandas(example_block())
    >>> len(table), list(table.columns[:5])
    (120, ['block', 'trial', 'unit', 'time', 'rate'])
    >>> bool((table.groupby("unit").rate.mean() > 1).all())
    True
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    parts = [_table(leaf, block) for leaf, block in blocks(check_activity(activity)).items()]
    text = {name for part in parts for name in part if part[name].dtype == "category"}
    table = pd.concat(parts, ignore_index=True)
    # pandas joins categoricals with different categories to plain text
    return table.astype({name: "category" for name in text if table[name].dtype != "category"})


def _table(leaf: str, block: xr.Dataset) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    rate = block["rate"].values
    n_rows, n_bins = rate.shape[:2]
    n_units = 1 if is_ragged(block) else block.sizes["unit"]
    # rows of the table in the order of the rates in memory, which are not copied
    row = np.repeat(np.arange(n_rows), n_bins * n_units)
    if is_ragged(block):
        unit = np.repeat(unit_positions(block), n_bins)
    else:
        unit = np.tile(np.arange(n_units), n_rows * n_bins)
    units = unit_columns(block)
    columns = {
        # from codes: the name repeated for every row would take far more memory
        "block": pd.Categorical.from_codes(np.zeros(rate.size, dtype=np.int8), [leaf]),
        row_dim(block): row,
        "unit": _spread(units.pop("unit"), unit),
        "time": np.tile(np.repeat(block["time"].values, n_units), n_rows),
        "rate": rate.reshape(-1),
    }
    columns |= {name: _spread(values, row) for name, values in trial_columns(block).items()}
    columns |= {name: _spread(values, unit) for name, values in units.items()}
    return pd.DataFrame(columns)


def _spread(values: Column, place: npt.NDArray[np.int64]) -> Any:
    """Return the value of each row of the long table; text as a categorical."""
    import pandas as pd  # noqa: PLC0415

    if values.dtype.kind != "U":
        return values[place]
    categories, code = np.unique(values, return_inverse=True)
    return pd.Categorical.from_codes(code.reshape(-1)[place], categories)
