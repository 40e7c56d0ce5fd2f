"""Observations: rates of one unit in one trial, whether a block is dense or ragged."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import is_ragged, unit_positions


def observations(
    block: xr.Dataset,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rates of a ragged or dense block as rows of one unit and trial.

    Parameters
    ----------
    block
        A block.

    Returns
    -------
    rates : numpy.ndarray
        ``(row, time)``, without rows in which nothing was observed.
    unit, trial : numpy.ndarray
        Places ``(row,)`` in the unit table and in the trial columns.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> rates, unit, trial = observations(example_block())
    >>> rates.shape, unit[-1].item(), trial[-1].item()
    ((24, 5), 2, 7)
    """
    if is_ragged(block):
        rates = block["rate"].values
        rows = np.flatnonzero(np.isfinite(rates).any(axis=1))
        unit = unit_positions(block)
        # rates may be large: no copy if all rows remain
        return (rates, unit, rows) if len(rows) == len(unit) else (rates[rows], unit[rows], rows)
    by_unit = block["rate"].transpose("unit", "trial", "time").values
    unit, trial = np.nonzero(np.isfinite(by_unit).any(axis=2))
    return by_unit[unit, trial], unit, trial
