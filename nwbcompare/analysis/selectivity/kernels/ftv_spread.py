"""Mean and standard deviation of FTV over units from unbiased squares, on plain arrays.

The FTV of a unit with little tuning is not identified, and the square of a noisy difference is too
large. So the squares are corrected, and summed over units before they are divided: with a unit's
corrected variances a and b, D = a - b, S = a + b, and v the sampling variance of either, D^2 - v,
S^2 - v and DS - (v_a - v_b) have the means that exact variances would have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nwbcompare.analysis.selectivity.kernels.noise_correction import noisy_variance

Array = npt.NDArray[np.float64]
CONFIDENCE = 0.95
LEAST_EFFECTIVE = 2.0
"""Fewer observations have no degree of freedom; the interval itself is infinite below about 6."""


class Folds(NamedTuple):
    """A unit's variance in one task, ``(fold,)`` each, from two separate sets of trials.

    Attributes
    ----------
    value, sampling_variance
        Corrected variance from all other folds, and its unbiased sampling variance.
    held_out, held_out_noise, held_out_error
        Corrected variance from the fold's own trials, the noise that was subtracted, and the
        standard error that it would have without tuning.
    """

    value: Array
    sampling_variance: Array
    held_out: Array
    held_out_noise: Array
    held_out_error: Array


class Squares(NamedTuple):
    """Each unit's weighted squares ``(unit,)``, without the bias of noise: D^2, DS and S^2."""

    difference: Array
    product: Array
    total: Array


class Spread(NamedTuple):
    """Weighted mean and s.d. of FTV over units, with 95 % intervals.

    Attributes
    ----------
    mean, mean_low, mean_high, sd, sd_low, sd_high, p_value
        ``p_value`` is one-sided, of an s.d. of 0. All are NaN where the sum of squared
        strengths is not above 0 by more than its error.
    n_effective
        Kish's effective number of groups.
    """

    mean: float
    mean_low: float
    mean_high: float
    sd: float
    sd_low: float
    sd_high: float
    p_value: float
    n_effective: float


UNKNOWN = Spread(*[np.nan] * 8)


def fold_variances(
    values: npt.NDArray[np.floating],
    condition: npt.NDArray[np.integer],
    n_conditions: int,
    estimator: str,
    *,
    n_folds: int,
    rng: np.random.Generator,
) -> Folds:
    """Measure a unit's variance in each fold of its trials, and in all other folds.

    Parameters
    ----------
    values, condition, n_conditions, estimator
        See `nwbcompare.analysis.selectivity.kernels.noise_correction.noisy_variance`.
    n_folds
        The trials of each condition are dealt to the folds at random, as evenly as possible.
    rng
        Source of randomness.

    Returns
    -------
    Folds
        NaN where a fold has fewer than 2 trials of a condition.

    Examples
    --------
    >>> condition = np.repeat([0, 1], 8)
    >>> found = fold_variances(np.arange(16.0)[:, None], condition, 2, "per_time", n_folds=4,
    ...                        rng=np.random.default_rng(0))
    >>> found.value.shape
    (4,)
    """
    dealt = rng.permutation(condition.size)
    dealt = dealt[np.argsort(condition[dealt], kind="stable")]
    number = np.bincount(condition, minlength=n_conditions)
    place = np.arange(condition.size) - np.repeat(np.cumsum(number) - number, number)
    fold = np.empty(condition.size, dtype=np.int64)
    fold[dealt] = place % n_folds
    rows = []
    for one in range(n_folds):
        inside = fold == one
        rest = noisy_variance(values[~inside], condition[~inside], n_conditions, estimator)
        held = noisy_variance(
            values[inside], condition[inside], n_conditions, estimator, unbiased=False
        )
        rows.append(
            (
                rest.raw - rest.noise,
                rest.unbiased_variance,
                held.raw - held.noise,
                held.noise,
                np.sqrt(held.untuned_variance),
            )
        )
    return Folds(*np.array(rows).T)


def capped_weights(held_out: Array, noise: Array) -> Array:
    """Compute weights with which strongly tuned units count alike, and untuned ones little.

    Parameters
    ----------
    held_out, noise
        ``(fold, unit, 2)``: corrected variances and their noise, from the trials of the fold.

    Returns
    -------
    numpy.ndarray
        ``(fold, unit)``: ``1 / (S + N)^2``, S at least 0, so that a squared strength counts as
        its share of strength and noise, squared. N is the mean over folds: of a unit with few
        spikes one fold can have none. Units without any noise are silent and get 0.

    Examples
    --------
    >>> capped_weights(np.array([[[1.0, 2.0], [-3.0, 1.0]]]), np.ones((1, 2, 2))).tolist()
    [[0.04, 0.25]]
    """
    scale = np.maximum(held_out.sum(axis=2), 0) + noise.sum(axis=2).mean(axis=0)
    weights: Array = np.where(scale > 0, scale, np.inf) ** -2
    return weights


def equal_weights(held_out: Array, error: Array, least_strength: float) -> Array:
    """Compute weights with which clearly tuned units count alike, and others not at all.

    Parameters
    ----------
    held_out, error
        ``(fold, unit, 2)``: corrected variances and standard errors, from the fold's trials.
    least_strength
        Units count whose S is above this number of standard errors.

    Returns
    -------
    numpy.ndarray
        ``(fold, unit)``: ``1 / S^2``, or 0.

    Examples
    --------
    >>> equal_weights(np.array([[[1.0, 1.0], [0.1, 0.1]]]), np.full((1, 2, 2), 0.2), 2.0).tolist()
    [[0.25, 0.0]]
    """
    strength = held_out.sum(axis=2)
    is_tuned = strength > least_strength * np.sqrt((error**2).sum(axis=2))
    weights: Array = np.where(is_tuned, np.where(is_tuned, strength, 1.0) ** -2, 0.0)
    return weights


def unbiased_squares(value: Array, sampling_variance: Array, weights: Array) -> Squares:
    """Compute each unit's weighted squares of difference and sum, without the bias of noise.

    Parameters
    ----------
    value, sampling_variance
        ``(fold, unit, 2)``: corrected variances in two tasks, and their sampling variances.
    weights
        ``(fold, unit)``, from other trials than ``value``.

    Returns
    -------
    Squares
        Means over folds, ``(unit,)`` each.

    Examples
    --------
    >>> value, noise = np.array([[[3.0, 1.0]]]), np.zeros((1, 1, 2))
    >>> [part.item() for part in unbiased_squares(value, noise, np.ones((1, 1)))]
    [4.0, 8.0, 16.0]
    """
    a, b = value[..., 0], value[..., 1]
    of_a, of_b = sampling_variance[..., 0], sampling_variance[..., 1]
    difference, total = a - b, a + b
    parts = (
        difference**2 - (of_a + of_b),
        difference * total - (of_a - of_b),
        total**2 - (of_a + of_b),
    )
    return Squares(*((weights * part).mean(axis=0) for part in parts))


def weighted_spread(squares: Squares, group: npt.NDArray[np.integer]) -> Spread:
    """Estimate the weighted mean and s.d. of FTV over units, with the group as observation.

    Parameters
    ----------
    squares
        From `unbiased_squares`.
    group
        ``(unit,)``, from 0: units of one group (a session) may be similar.

    Returns
    -------
    Spread
        The mean is ``sum(DS) / sum(S^2)``, the variance ``sum(D^2) / sum(S^2)`` less the mean
        squared, plus the sampling variance of the mean.

    Notes
    -----
    For a variance theta, ``e = D^2 - 2 m DS + m^2 S^2 - theta S^2`` summed over the units of a
    group has mean 0. The interval has those theta for which the sum of e over groups is within
    Student's quantile of its error ``sqrt(sum e^2)`` (Fieller 1954): its error is that under the
    hypothesis, not at the estimate, which matters near 0. The degrees of freedom are Kish's
    effective number of groups, ``sum(S^2)^2 / sum((S^2)^2)``, less 1. Where the sum of S^2 is
    itself within its quantile of 0, no finite interval exists, and nothing is identified. For the
    test of theta = 0, under which e is as skewed as squares of noise are, Student's ratio is
    corrected for skewness (Hall 1992); where the interval excludes 0, p is below 0.025.

    Examples
    --------
    >>> squares = Squares(np.full(20, 0.25), np.tile([0.5, -0.5], 10), np.ones(20))
    >>> found = weighted_spread(squares, np.arange(20))
    >>> round(found.mean, 2), round(found.sd, 2), round(found.n_effective)
    (0.0, 0.51, 20)
    """
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - slow to import

    difference, product, total = (np.bincount(group, part) for part in squares)
    n_groups, weight = total.size, total.sum()
    n_effective = float(weight**2 / (total**2).sum()) if total.any() else 0.0
    if weight <= 0 or n_effective < LEAST_EFFECTIVE:
        return UNKNOWN._replace(n_effective=n_effective)
    quantile = float(stdtrit(n_effective - 1, (1 + CONFIDENCE) / 2))
    scale = n_groups / (n_groups - 1)
    mean = product.sum() / weight
    error = np.sqrt(scale * ((product - mean * total) ** 2).sum()) / weight
    about_mean = difference - 2 * mean * product + mean**2 * total
    # the square of the estimated mean is too large by its sampling variance
    above = about_mean.sum() + error**2 * weight
    student = _unskewed(above, about_mean) / np.sqrt(scale)
    factor = quantile**2 * scale
    square = weight**2 - factor * (total**2).sum()
    if square <= 0:
        return UNKNOWN._replace(n_effective=n_effective)
    half = above * weight - factor * (about_mean * total).sum()
    constant = above**2 - factor * (about_mean**2).sum()
    root = np.sqrt(max(half**2 - square * constant, 0.0))
    variance, low, high = above / weight, (half - root) / square, (half + root) / square
    return Spread(
        mean=float(np.clip(mean, -1, 1)),
        mean_low=float(max(mean - quantile * error, -1)),
        mean_high=float(min(mean + quantile * error, 1)),
        sd=_root(variance),
        sd_low=_root(low),
        sd_high=_root(high),
        p_value=float(stdtr(n_effective - 1, -student)),
        n_effective=n_effective,
    )


def _unskewed(total: float, parts: Array) -> float:
    """Return the ratio of a total to its error, with Hall's correction for skewed parts."""
    square = (parts**2).sum()
    if square == 0:
        return 0.0
    ratio = total / np.sqrt(square)
    skewness = (parts**3).sum() / square**1.5
    return float(ratio + skewness * (ratio**2 / 3 + skewness * ratio**3 / 27 + 1 / 6))


def _root(variance: float) -> float:
    """Return the s.d. of a variance that noise may have moved below 0, or above 1."""
    return float(np.sqrt(np.clip(variance, 0, 1)))
