"""Units that resampling has to keep together: those of one session or one network unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

COLUMNS = ("network_unit", "session")
"""Columns of the unit table whose values group units; the first with several values counts."""


def resampling_units(units: Mapping[str, xr.DataArray]) -> tuple[npt.NDArray[np.int64], str]:
    """Return the cluster of each unit that splits and bootstraps treat as a whole.

    Samples of one network unit are not independent of each other, nor are units of one session.

    Parameters
    ----------
    units
        Columns of the unit table by name, each ``(unit,)``; ``unit`` among them.

    Returns
    -------
    code : numpy.ndarray
        ``(unit,)``: the number of each unit's cluster, from 0. Without a column that groups
        units, and where all units are in one group, each unit is a cluster of its own.
    column : str
        The column that groups them: "network_unit", "session" or "unit".

    Examples
    --------
    >>> unit = xr.DataArray(["u0", "u1", "u2"], dims="unit")
    >>> code, column = resampling_units({"unit": unit, "session": unit.copy(data=[4, 4, 7])})
    >>> code.tolist(), column
    ([0, 0, 1], 'session')
    """
    for column in COLUMNS:
        names, code = np.unique(units.get(column, []), return_inverse=True)
        # a bootstrap over a single session would draw it again and again
        if names.size > 1:
            return code.reshape(-1).astype(np.int64), column
    return np.arange(units["unit"].size), "unit"
