"""Mean of estimates over animals that were drawn from a population (random-effects model)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.inference.mixed_effects import two_sided_p
from nwbcompare.kernels.intervals import student_half_width

Array = npt.NDArray[np.float64]
LEAST_ANIMALS = 3
ENOUGH_ANIMALS = 5
"""Below it an interval over animals is very wide."""


def over_animals(
    estimates: npt.ArrayLike, standard_errors: npt.ArrayLike, *, confidence: float = 0.95
) -> xr.Dataset:
    """Estimate the mean of an effect over the population of animals.

    Parameters
    ----------
    estimates, standard_errors
        The effect in each animal and its standard error over the animal's own sessions,
        ``(animal,)``.
    confidence
        Coverage of the interval.

    Returns
    -------
    xarray.Dataset
        ``mean`` with ``low``, ``high`` and ``p_value``; ``between_sd``, the s.d. of the true effect
        over animals. ``attrs["caution"]`` says for fewer than 5 animals that the interval is very
        wide.

    Raises
    ------
    NotApplicableError
        For fewer than 3 animals: two are fixed, and each is reported by itself.
    InputError
        For errors that are not above 0, and numbers that are not finite.

    Notes
    -----
    The variance over animals has the largest restricted likelihood. The interval is that of
    Hartung & Knapp (2001), Student's t on (animals - 1) degrees of freedom, whose variance factor
    is at least 1 (Röver, Knapp & Friede 2015): it is never narrower than that of a fixed effect.

    Examples
    --------
    >>> found = over_animals([0.10, 0.25, 0.16, 0.21, 0.15], [0.04, 0.05, 0.03, 0.04, 0.05])
    >>> round(found["mean"].item(), 3), bool(found["low"] > 0)
    (0.17, True)
    """
    y, error = (np.asarray(x, dtype=np.float64) for x in (estimates, standard_errors))
    n = y.size
    if n < LEAST_ANIMALS:
        raise NotApplicableError(
            "animals",
            f"{LEAST_ANIMALS} or more (nothing in {'one' if n == 1 else 'two'} tells how much "
            "animals differ)",
            f"{n}",
            "Report each animal by itself: animals are fixed.",
        )
    if error.shape != y.shape or not np.isfinite([y, error]).all() or (error <= 0).any():
        raise InputError(
            "standard_errors",
            "a finite estimate and an error above 0 for each animal",
            f"{error.tolist()}",
            "Leave out animals without a standard error.",
        )
    variance = _variance_between(y, error**2)
    weight = 1 / (variance + error**2)
    mean = float(weight @ y / weight.sum())
    factor = max(1.0, float(weight @ (y - mean) ** 2) / (n - 1))
    of_mean = np.sqrt(factor / weight.sum())
    half = float(student_half_width(of_mean, n - 1, confidence))
    return xr.Dataset(
        {
            "mean": mean,
            "low": mean - half,
            "high": mean + half,
            "p_value": float(two_sided_p(mean / of_mean, n - 1)),
            "between_sd": float(np.sqrt(variance)),
        },
        attrs={
            "analysis": "over_animals",
            "n_animals": n,
            "confidence": confidence,
            "caution": "" if n >= ENOUGH_ANIMALS else f"very wide: {n} animals only",
        },
    )


def _variance_between(y: Array, sampling: Array) -> float:
    """Find the variance over animals of largest restricted likelihood."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

    def cost(log: float) -> float:
        weight = 1 / (np.exp(log) + sampling)
        mean = weight @ y / weight.sum()
        return float(weight @ (y - mean) ** 2 - np.log(weight).sum() + np.log(weight.sum()))

    scale = float(y.var(ddof=1) + sampling.max())
    bounds = (np.log(scale * 1e-8), np.log(scale * 1e2))
    best = minimize_scalar(cost, bounds=bounds, method="bounded")
    # the likelihood may be largest at no variance, which a logarithm does not reach
    return 0.0 if cost(-np.inf) <= best.fun else float(np.exp(best.x))
