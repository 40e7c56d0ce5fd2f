"""Equivalence tests: that two things are alike, within a margin stated beforehand."""

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
    """Test whether differences are smaller than a margin, in size.

    Parameters
    ----------
    estimate
        Estimated differences, of any shape.
    margin
        The smallest size of a difference that would matter, stated beforehand.
    standard_error, degrees_of_freedom
        Of each estimate; Student's t, by default the normal distribution. NaN: nothing can be
        inferred, p is 1.

    Returns
    -------
    dict
        ``p_value``, the larger of the two one-sided; ``equivalent``, whether it is at most 5 %;
        ``low`` and ``high``, the 90 % interval, which lies within the margin in just these
        cases; ``smallest_margin``, the smallest that would be accepted (infinite where nothing
        can be inferred).

    Raises
    ------
    InputError
        For a margin that is not above 0.

    Notes
    -----
    Schuirmann (1987). The error of 5 % is reached where the difference is the margin. A margin
    chosen after the estimate was seen makes it invalid; ``smallest_margin`` is a bound, not a
    test.

    Examples
    --------
    >>> found = two_one_sided(0.02, margin=0.1, standard_error=0.03)
    >>> bool(found["equivalent"]), float(found["smallest_margin"].round(3))
    (True, 0.069)
    """
    from scipy.special import stdtr  # noqa: PLC0415 - slow to import

    if not 0 < margin < np.inf:
        raise InputError(
            "margin",
            "a size of difference above 0",
            repr(margin),
            "Take it from split_half_distance.",
        )
    value, error, df = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (estimate, standard_error, degrees_of_freedom))
    )
    known = np.isfinite(error)
    # without error an estimate is what it is
    scale, freedom = np.where(known & (error > 0), error, 1e-300), np.where(known, df, 1.0)
    with np.errstate(over="ignore"):
        p_value = np.where(known, stdtr(freedom, (np.abs(value) - margin) / scale), 1.0)
    # the interval of 1 - 2 x 5 % lies within the margin just where both one-sided tests reject
    half = student_half_width(np.where(known, error, np.inf), freedom, 1 - 2 * LEVEL)
    return {
        "p_value": p_value,
        "equivalent": p_value <= LEVEL,
        "low": value - half,
        "high": value + half,
        "smallest_margin": np.abs(value) + half,
    }


def equivalence_test(comparison: xr.Dataset, *, margin: float, measure: str = "sd") -> xr.Dataset:
    """Test whether networks and a recording are alike within a margin.

    Parameters
    ----------
    comparison
        From `nwbcompare.compare_samples`.
    margin
        The size of ``measure``'s difference that would matter, stated beforehand: a split-half
        distance, e.g. what two halves of the recording differ by. In units of the measure.
    measure
        The measure: a difference. A distance cannot be tested, since its interval does not hold
        near 0.

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
    known = [str(name) for name in comparison["measure"].values]
    if measure in DISTANCES:
        raise InputError(
            "measure",
            "a difference",
            f"{measure!r}, a distance",
            "Its interval does not hold near 0: compare it with null_mean and split halves.",
        )
    if measure not in known:
        raise unknown_name("measure", measure, [name for name in known if name not in DISTANCES])
    own = comparison.sel(measure=measure, drop=True)
    found = two_one_sided(
        own["estimate"].values,
        margin=margin,
        standard_error=own["standard_error"].values,
        degrees_of_freedom=own["degrees_of_freedom"].values,
    )
    variables: dict[str, Any] = {name: ("claim", values) for name, values in found.items()}
    return xr.Dataset(
        {"estimate": own["estimate"], **variables},
        coords={"claim": comparison["claim"]},
        attrs={
            **comparison.attrs,
            "analysis": "equivalence_test",
            "measure": measure,
            "margin": margin,
        },
    )
