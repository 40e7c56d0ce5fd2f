"""p values adjusted for the number of tests, over statsmodels."""

from __future__ import annotations

import gc
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, unknown_name

Method = Literal["holm", "fdr_bh", "fdr_by"]
METHODS: tuple[str, ...] = get_args(Method)
Values = TypeVar("Values", npt.NDArray[np.float64], xr.DataArray)


def adjust_p(p: Values, method: Method = "holm") -> Values:
    """Adjust p values for the number of tests in their family.

    Parameters
    ----------
    p
        p values of any shape, all of one family: an array or a labelled one. NaN means that
        nothing was tested: it stays NaN and does not count.
    method
        "holm": against any false finding, whatever the dependence. "fdr_bh" (Benjamini &
        Hochberg 1995): against a share of false ones among the findings, for tests that are
        independent or depend positively. "fdr_by" (Benjamini & Yekutieli 2001): the same
        whatever the dependence.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Adjusted p values, of the kind and shape given. Reject where one is at most the level
        that you want; it needs no naming beforehand.

    Raises
    ------
    InputError
        For an unknown method, and values outside [0, 1].

    Examples
    --------
    >>> adjust_p(np.array([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    values = np.asarray(p, dtype=np.float64)
    tested = ~np.isnan(values)
    _refuse_impossible(values[tested])
    adjusted = np.full(values.shape, np.nan)
    if tested.any():
        from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - slow to import

        # statsmodels collects garbage in every call: 0.3 s where a page has many objects
        gc.freeze()
        try:
            adjusted[tested] = multipletests(values[tested], method=method)[1]
        finally:
            gc.unfreeze()
    if isinstance(p, xr.DataArray):
        return p.copy(data=adjusted)
    return adjusted


def _refuse_impossible(p: npt.NDArray[np.float64]) -> None:
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise InputError(
            "p",
            "values from 0 to 1, NaN where nothing was tested",
            f"{outside[0]:g}",
            "Give p values, not their logarithms or test statistics.",
        )
