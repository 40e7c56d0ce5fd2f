"""Confidence intervals of means and shares, on plain arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LEAST_CLUSTERS = 5
"""Fewest sessions from which the standard error of a jackknife is computed."""


def student_half_width(
    error: npt.ArrayLike, freedom: npt.ArrayLike, confidence: float = 0.95
) -> Array:
    """Compute half the width of Student's two-sided interval.

    Parameters
    ----------
    error
        Standard errors of the estimates, of any shape.
    freedom
        Degrees of freedom, broadcast against ``error``.
    confidence
        Coverage of the interval.

    Returns
    -------
    numpy.ndarray
        The error times Student's quantile; NaN for no degree of freedom.

    Examples
    --------
    >>> student_half_width(1.0, 4).round(3)
    np.float64(2.776)
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

    half: Array = stdtrit(freedom, (1 + confidence) / 2) * np.asarray(error)
    return half


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[Array, Array, Array]:
    """Compute the mean of independent observations and Student's interval.

    Parameters
    ----------
    values
        ``(observation, ...)``.
    confidence
        Coverage of the interval.

    Returns
    -------
    mean, low, high : numpy.ndarray
        ``(...)``; the interval of a single observation is NaN.

    Examples
    --------
    >>> [float(end.round(3)) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    numbers = np.asarray(values, dtype=np.float64)
    n, mean = len(numbers), numbers.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = student_half_width(numbers.std(axis=0, ddof=1) / np.sqrt(n), n - 1, confidence)
    return mean, mean - half, mean + half


def jackknife_error(without: npt.ArrayLike) -> float:
    """Compute the standard error of an estimate from its values without each cluster.

    Parameters
    ----------
    without
        ``(cluster,)``: the estimate with one cluster left out.

    Returns
    -------
    float
        The square root of (n - 1) / n times the sum of squared deviations from their mean (Efron
        & Stein 1981); NaN for fewer than 5 clusters, which tell too little of how they differ.

    Examples
    --------
    >>> values = np.arange(5.0)
    >>> round(jackknife_error((values.sum() - values) / 4), 6)  # of a mean: s.d. / sqrt(5)
    0.707107
    """
    numbers = np.asarray(without, dtype=np.float64)
    n = numbers.size
    if n < LEAST_CLUSTERS:
        return float("nan")
    return float(np.sqrt((n - 1) / n * ((numbers - numbers.mean()) ** 2).sum()))


def wilson_interval(
    hits: npt.ArrayLike, n: npt.ArrayLike, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Compute Wilson's interval of a binomial share (Wilson 1927).

    Parameters
    ----------
    hits, n
        Successes and trials, broadcast against each other.
    confidence
        Coverage of the interval.

    Returns
    -------
    low, high : numpy.ndarray
        NaN where ``n`` is 0.

    Examples
    --------
    >>> [float(end.round(3)) for end in wilson_interval(5, 10)]
    [0.237, 0.763]
    """
    from statsmodels.stats.proportion import proportion_confint  # noqa: PLC0415 - slow to import

    hits, n = np.broadcast_arrays(hits, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = proportion_confint(hits, n, alpha=1 - confidence, method="wilson")
    # rounding must not put a share of 0 or 1 outside its own interval
    none, all_hit = (hits == 0) & (n > 0), (hits == n) & (n > 0)
    return np.where(none, 0.0, low), np.where(all_hit, 1.0, high)
