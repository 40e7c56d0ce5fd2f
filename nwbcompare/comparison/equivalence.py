"""Equivalence tests: whether a difference is smaller than a margin stated beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.kernels.intervals import student_half_width

Array = npt.NDArray[np.float64]
LEVEL = 0.05


def two_one_sided(
    estimate: npt.ArrayLike,
    *,
    margin: float,
    standard_error: npt.ArrayLike,
    degrees_of_freedom: npt.ArrayLike = np.inf,
) -> dict[str, Array]:
    """Test whether the absolute value of differences is below a margin.

    Parameters
    ----------
    estimate
        Estimated differences, of any shape.
    margin
        The smallest absolute difference that would matter, stated beforehand.
    standard_error, degrees_of_freedom
        Of each estimate, for Student's t; by default the normal distribution. For a standard
        error of NaN p is 1.

    Returns
    -------
    dict
        ``p_value``, the larger of the two one-sided p values; ``equivalent``, whether it is at
        most 5 %; ``low`` and ``high``, the 90 % interval, which lies within the margin exactly
        where ``equivalent``; ``smallest_margin``, the smallest margin that would be accepted
        (infinite without a standard error). Arrays of the shape of ``estimate``.

    Raises
    ------
    InputError
        For a margin that is not above 0.

    Notes
    -----
    Schuirmann (1987). The type I error is 5 % where the true difference equals the margin. The
    test is invalid with a margin chosen after seeing the estimate, so ``smallest_margin`` is a
    bound, not a test.

    Examples
    --------
    >>> result = two_one_sided(0.02, margin=0.1, standard_error=0.03)
    >>> bool(result["equivalent"]), float(result["smallest_margin"].round(3))
    (True, 0.069)
    """
    from scipy.special import stdtr  # noqa: PLC0415 - slow to import

    if not 0 < margin < np.inf:
        raise InputError(
            "margin",
            "an absolute difference above 0",
            repr(margin),
            "Take it from split_half_distance.",
        )
    value, error, df = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (estimate, standard_error, degrees_of_freedom))
    )
    finite = np.isfinite(error)
    # with an error of 0 the test compares the estimate with the margin
    scale, freedom = np.where(finite & (error > 0), error, 1e-300), np.where(finite, df, 1.0)
    with np.errstate(over="ignore"):
        p_value = np.where(finite, stdtr(freedom, (np.abs(value) - margin) / scale), 1.0)
    # the interval of 1 - 2 x 5 % lies within the margin just where both one-sided tests reject
    half = student_half_width(np.where(finite, error, np.inf), freedom, 1 - 2 * LEVEL)
    return {
        "p_value": p_value,
        "equivalent": p_value <= LEVEL,
        "low": value - half,
        "high": value + half,
        "smallest_margin": np.abs(value) + half,
    }


def equivalence_test(comparison: xr.Dataset, *, margin: float, measure: str = "sd") -> xr.Dataset:
    """Test whether a measure of networks and of a recording differs by less than a margin.

    Parameters
    ----------
    comparison
        From `nwbcompare.compare_samples`.
    margin
        The absolute difference that would matter, stated beforehand, in the unit of the measure;
        for example the difference of two halves of the recording
        (`nwbcompare.comparison.split_half_distance`).
    measure
        A measure of ``comparison`` that is a difference. Distances cannot be tested, since their
        intervals are invalid near 0.

    Returns
    -------
    xarray.Dataset
        On ``(claim,)``: ``estimate``, the 90 % interval ``low``, ``high``, ``p_value``,
        ``equivalent``, ``smallest_margin``; see `two_one_sided`.

    Raises
    ------
    InputError
        For an unknown measure, a distance, and a margin that is not above 0.

    Examples
    --------
    >>> import xarray as xr
    >>> comparison = xr.Dataset(
    ...     {"estimate": ("measure", [0.02]),
    ...      "standard_error": (("claim", "measure"), [[0.03]]),
    ...      "degrees_of_freedom": (("claim", "measure"), [[68.0]])},
    ...     coords={"measure": ["sd"], "claim": ["these networks"]})
    >>> equivalence_test(comparison, margin=0.1)["equivalent"].values.tolist()
    [True]
    """
    names = [str(name) for name in comparison["measure"].values]
    if measure in DISTANCES:
        raise InputError(
            "measure",
            "a difference",
            f"{measure!r}, a distance",
            "Its interval is invalid near 0: compare it with null_mean and split halves.",
        )
    if measure not in names:
        raise unknown_name("measure", measure, [name for name in names if name not in DISTANCES])
    estimates = comparison.sel(measure=measure, drop=True)
    tests = two_one_sided(
        estimates["estimate"].values,
        margin=margin,
        standard_error=estimates["standard_error"].values,
        degrees_of_freedom=estimates["degrees_of_freedom"].values,
    )
    variables: dict[str, Any] = {name: ("claim", values) for name, values in tests.items()}
    return xr.Dataset(
        {"estimate": estimates["estimate"], **variables},
        coords={"claim": comparison["claim"]},
        attrs={
            **comparison.attrs,
            "analysis": "equivalence_test",
            "measure": measure,
            "margin": margin,
        },
    )
