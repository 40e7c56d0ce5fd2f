"""Jackknife over clusters, such as sessions, and intervals that rest on it, on plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
N_ANGLES = 1440


def kish_number(sizes: npt.ArrayLike) -> float:
    """Compute the effective number of clusters of unequal sizes (Kish 1965).

    Parameters
    ----------
    sizes
        Size of each cluster, ``(cluster,)``.

    Returns
    -------
    float
        ``sum(sizes)^2 / sum(sizes^2)``: the number of clusters where all are of one size, and fewer
        otherwise.

    Examples
    --------
    >>> kish_number([5, 5, 5]), round(kish_number([13, 1, 1]), 2)
    (3.0, 1.32)
    """
    size = np.asarray(sizes, dtype=np.float64)
    return float(size.sum() ** 2 / (size**2).sum())


def jackknife_covariance(without: Array, strata: npt.NDArray[np.integer[Any]]) -> Array:
    """Compute the covariance of estimates from their values without each cluster.

    Parameters
    ----------
    without
        ``(cluster, ..., statistic)``: the statistics with one cluster left out.
    strata
        ``(cluster,)``: the stratum of each cluster, such as its animal. Strata are fixed: only
        differences within them count.

    Returns
    -------
    numpy.ndarray
        ``(..., statistic, statistic)``: sum over strata of (n - 1) / n times the products of
        deviations from the stratum's mean (Efron & Stein 1981). A stratum of one cluster adds
        nothing.

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 6.0])
    >>> means = (values.sum() - values) / 2
    >>> float(jackknife_covariance(means[:, None], np.zeros(3, int))[0, 0])
    2.333333333333333
    """
    total = np.zeros((*without.shape[1:], without.shape[-1]))
    for stratum in np.unique(strata):
        own = without[strata == stratum]
        away = own - own.mean(axis=0)
        total += (len(own) - 1) / len(own) * np.einsum("c...i,c...j->...ij", away, away)
    return total


def ellipse_range(
    log_first: float, log_second: float, covariance: Array, radius: float
) -> tuple[float, float]:
    """Compute the interval of a difference of two numbers whose logarithms were estimated.

    Parameters
    ----------
    log_first, log_second
        Estimated logarithms x and y.
    covariance
        Their covariance, ``(2, 2)``.
    radius
        Quantile of Student's t.

    Returns
    -------
    low, high : float
        Smallest and largest exp(x) - exp(y) on the ellipse of this radius about the estimates; NaN
        for a covariance or radius that is not finite.

    Notes
    -----
    In the small the range is the estimate plus and minus ``radius`` standard errors. It contains 0
    exactly where the ellipse meets x = y, that is where t of x - y is at most ``radius``: interval
    and test agree, and the skewness of a standard deviation is kept.

    Examples
    --------
    >>> low, high = ellipse_range(np.log(0.5), np.log(0.4), np.diag([0.01, 0.01]), 2.0)
    >>> round(low, 3), round(high, 3)
    (-0.027, 0.233)
    """
    if not (np.isfinite(covariance).all() and np.isfinite(radius)):
        return np.nan, np.nan
    # the square root of a covariance that may be singular
    size, axes = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    x, y = radius * (axes * np.sqrt(np.maximum(size, 0))) @ circle
    # t decides whether 0 is inside, whatever the steps between angles
    error = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    apart = log_first - log_second
    values = np.exp(log_first + x) - np.exp(log_second + y)
    low, high = float(values.min()), float(values.max())
    if abs(apart) > radius * error:
        return (max(low, 0.0), high) if apart > 0 else (low, min(high, 0.0))
    return min(low, 0.0), max(high, 0.0)
