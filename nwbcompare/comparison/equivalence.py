"""Equivalence: whether networks differ from a recording by less than a margin stated beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.sample_contrasts import LEVEL
from nwbcompare.comparison.split_half import units_of_recording
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import UnitSample
from nwbcompare.inference.mixed_effects import LEAST_SESSIONS
from nwbcompare.inference.random_effects import ENOUGH_ANIMALS, over_animals
from nwbcompare.kernels.intervals import student_half_width
from nwbcompare.kernels.jackknife import jackknife_covariance

Array = npt.NDArray[np.float64]
MARGIN_MEASURES: dict[str, Callable[[Array], float]] = {
    "sd": lambda x: float(x.std()),
    "mean": lambda x: float(x.mean()),
}


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
        The smallest absolute difference that would matter, stated beforehand; above 0 and at most
        1, since the measures compared lie in [-1, 1].
    standard_error, degrees_of_freedom
        Of each estimate, for Student's t; by default the normal distribution. For a standard
        error of NaN p is NaN, and nothing is equivalent.

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
        For a margin that is not above 0, or above 1.

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

    check_margin(margin)
    value, error, df = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (estimate, standard_error, degrees_of_freedom))
    )
    finite = np.isfinite(error)
    # with an error of 0 the test compares the estimate with the margin
    scale, freedom = np.where(finite & (error > 0), error, 1e-300), np.where(finite, df, 1.0)
    with np.errstate(over="ignore"):
        p_value = np.where(finite, stdtr(freedom, (np.abs(value) - margin) / scale), np.nan)
    # the interval of 1 - 2 x 5 % lies within the margin just where both one-sided tests reject
    half = student_half_width(np.where(finite, error, np.inf), freedom, 1 - 2 * LEVEL)
    return {
        "p_value": p_value,
        "equivalent": p_value <= LEVEL,
        "low": value - half,
        "high": value + half,
        "smallest_margin": np.abs(value) + half,
    }


def check_margin(margin: float) -> None:
    """Check that a margin is above 0 and at most 1.

    Raises
    ------
    InputError
        Otherwise.
    """
    if not 0 < margin <= 1:
        raise InputError(
            "margin",
            "a number above 0 and at most 1 (measures of FTV lie in [-1, 1])",
            repr(margin),
            "State the smallest difference that would matter before looking at the result, with "
            "its reason, or take animal_margin of animals that are not in the test.",
        )


def below_margin(
    estimate: npt.ArrayLike,
    *,
    margin: float,
    bias: npt.ArrayLike,
    standard_error: npt.ArrayLike,
    degrees_of_freedom: npt.ArrayLike = np.inf,
) -> dict[str, Array]:
    """Test whether distances, which are positive and biased upwards, are below a margin.

    Parameters
    ----------
    estimate, margin, standard_error, degrees_of_freedom
        See `two_one_sided`.
    bias
        Estimated bias of each distance.

    Returns
    -------
    dict
        As of `two_one_sided`; ``low`` is 0 and ``high`` the one-sided 95 % bound of the distance
        without its bias.

    Raises
    ------
    InputError
        As `two_one_sided`.

    Examples
    --------
    >>> found = below_margin(0.06, margin=0.1, bias=0.03, standard_error=0.02)
    >>> bool(found["equivalent"]), float(found["high"].round(3))
    (True, 0.063)
    """
    corrected = np.maximum(np.asarray(estimate, dtype=np.float64) - np.asarray(bias), 0.0)
    # with an estimate of 0 or more the upper of the two tests is the one that decides
    tests = two_one_sided(
        corrected,
        margin=margin,
        standard_error=standard_error,
        degrees_of_freedom=degrees_of_freedom,
    )
    return tests | {"low": np.zeros_like(tests["low"])}


def equivalence_test(
    comparison: xr.Dataset, *, margin: float, reason: str = "", measure: str = "sd"
) -> xr.Dataset:
    """Test whether a measure of networks and of a recording differs by less than a margin.

    Parameters
    ----------
    comparison
        From `nwbcompare.compare_samples`.
    margin
        The absolute difference that would matter, stated beforehand, in the unit of the measure;
        there is no default, since a margin taken from the recording in the test, such as the
        difference of its halves, is its sampling noise: it shrinks as the interval does, and
        equivalence is missed however many sessions there are.
    reason
        Why a difference of this size would not matter, for reports.
    measure
        A measure of ``comparison``. A distance is tested by a one-sided bound, corrected for its
        positive bias.

    Returns
    -------
    xarray.Dataset
        On ``(claim,)``: ``estimate``, the 90 % interval ``low``, ``high`` (for a distance 0 and
        the one-sided 95 % bound), ``p_value``, ``equivalent``, ``smallest_margin``; see
        `two_one_sided`. With several animals ``p_value`` and ``smallest_margin`` are the largest of
        any animal.

    Raises
    ------
    InputError
        For an unknown measure, and a margin that is not above 0, or above 1.

    Notes
    -----
    Errors with a true difference of the margin, and power without one, by numbers of sessions:
    ``benchmarks/few_sessions.py`` and docs/statistics.md.

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
    if measure not in names:
        raise unknown_name("measure", measure, names)
    estimates = comparison.sel(measure=measure, drop=True)
    tests = _tests(estimates, estimates["estimate"], estimates, margin, measure)
    if "error_by_animal" in estimates:
        each = {
            "standard_error": estimates["error_by_animal"].transpose("animal", "claim"),
            "degrees_of_freedom": estimates["freedom_by_animal"].transpose("animal", "claim"),
        }
        of_animals = _tests(each, estimates["estimate_by_animal"], estimates, margin, measure)
        # equivalence of all animals needs that of each (Berger 1982)
        tests |= {k: of_animals[k].max(axis=0) for k in ("p_value", "smallest_margin")}
        tests["equivalent"] = np.asarray(of_animals["equivalent"].all(axis=0))
    variables: dict[str, Any] = {name: ("claim", values) for name, values in tests.items()}
    return xr.Dataset(
        {"estimate": estimates["estimate"], **variables},
        coords={"claim": comparison["claim"]},
        attrs={
            **comparison.attrs,
            "analysis": "equivalence_test",
            "measure": measure,
            "margin": margin,
            "margin_reason": reason,
        },
    )


def _tests(
    errors: Any, estimate: xr.DataArray, comparison: xr.Dataset, margin: float, measure: str
) -> dict[str, Array]:
    """Test estimates ``(..., claim)``, of which each claim has the same."""
    options = {
        name: np.asarray(errors[name].values) for name in ("standard_error", "degrees_of_freedom")
    }
    values = np.broadcast_to(estimate.values[..., None], options["standard_error"].shape)
    if measure in DISTANCES:
        bias = comparison["bias"].values
        return below_margin(values, margin=margin, bias=bias, **options)
    return two_one_sided(values, margin=margin, **options)


def animal_margin(recording: xr.Dataset, *, measure: str = "sd") -> xr.Dataset:
    """Estimate by how much animals differ, as a margin for animals that are not among these.

    Parameters
    ----------
    recording
        Sample table of 5 animals or more, with the unit columns ``subject`` and ``session``: none
        of them may be in the comparison that is then tested.
    measure
        "sd" or "mean", of FTV.

    Returns
    -------
    xarray.Dataset
        ``margin``, sqrt(2) times ``between_sd``, the s.d. over animals without the sampling error
        of their sessions: a typical difference of two animals. ``animal`` names them.

    Raises
    ------
    InputError
        For an unknown measure.
    NotApplicableError
        For fewer than 5 animals, an animal with fewer than 5 sessions, and animals that differ no
        more than their sessions do.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> animal = np.repeat(list("ABCDE"), 60)
    >>> ftv = np.clip(rng.normal(0, np.repeat([0.2, 0.3, 0.4, 0.5, 0.3], 60)), -1, 1)
    >>> table = xr.Dataset({"fractional_task_variance": ("unit", ftv)}, {
    ...     "subject": ("unit", animal), "session": ("unit", np.arange(300) // 6)})
    >>> 0.05 < animal_margin(table)["margin"].item() < 0.3
    True
    """
    if measure not in MARGIN_MEASURES:
        raise unknown_name("measure", measure, MARGIN_MEASURES)
    sample = UnitSample(recording)
    values, session, animal = units_of_recording(sample, "session")
    names = np.unique(sample.animals[sample.active[0]])
    sessions = [np.unique(session[animal == which]).size for which in range(names.size)]
    if names.size < ENOUGH_ANIMALS or min(sessions) < LEAST_SESSIONS:
        raise NotApplicableError(
            "recording",
            f"{ENOUGH_ANIMALS} animals or more with {LEAST_SESSIONS} sessions each, none of them "
            "in the test",
            f"{names.size} ({listing(names)}), with {listing(sessions)} sessions",
            "State a margin beforehand, with its reason, or claim no equivalence.",
        )
    of = MARGIN_MEASURES[measure]
    estimates, errors = [], []
    for which in range(names.size):
        own, code = values[animal == which], session[animal == which]
        without = np.array([[of(own[code != one])] for one in np.unique(code)])
        estimates.append(of(own))
        errors.append(np.sqrt(jackknife_covariance(without, np.zeros(len(without), int))[0, 0]))
    between = float(over_animals(estimates, errors)["between_sd"])
    if not between:
        raise NotApplicableError(
            "recording",
            "animals that differ by more than their sessions do",
            "no more",
            "State a margin beforehand, with its reason.",
        )
    return xr.Dataset(
        {"margin": min(1.0, np.sqrt(2) * between), "between_sd": between},
        coords={"animal": names},
        attrs={"analysis": "animal_margin", "measure": measure},
    )
