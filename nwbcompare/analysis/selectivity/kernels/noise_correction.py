"""Contribution of trial noise to the variance of condition means, on plain arrays.

The condition means m of a unit are ``(condition, time)``, and every estimator of task variance
is a quadratic form m'Qm of them. With C conditions and T times,
``Q = (I - 11'/C x K) / (C T)``, where 11'/C averages over conditions and K is the identity
(per_time), the average over time (pooled), or 1 after the mean over time was taken (time_mean).
Trials are independent, so the means' noise is V_c = Sigma_c / n_c, ``(time, time)``, in each
condition, and m'Qm is tr(QV) too large. Residuals of trials, over sqrt(n (n - 1)), are a root of
V_c: nothing of size time x time has to be made for each condition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nwbcompare.analysis.selectivity.kernels.sampling_variance import (
    LEAST_TRIALS as FOUR_DIFFERENT,
    unbiased_sampling_variance,
)

Array = npt.NDArray[np.float64]
LEAST_TRIALS = 2
"""Fewest trials of a condition from which its noise can be estimated."""


class NoisyVariance(NamedTuple):
    """Variance of a unit's condition means, and the contribution of noise to it.

    Attributes
    ----------
    raw
        The variance of the condition means as they are.
    noise
        The part of it that trial noise adds on average; ``raw - noise`` is unbiased.
    sampling_variance
        Variance of ``raw - noise``: its standard error squared.
    untuned_variance
        Sampling variance without tuning.
    slope
        Increase of the sampling variance with the true variance.
    unbiased_variance
        The sampling variance without a lower bound, unbiased for any distribution of trials, but
        less precise: for sums over units. Where a condition has fewer than 4 trials, or a trial
        lacks some of the times, it is the formula for normal trials without its bound.
    n_times
        Times used: those where every condition has two trials or more.
    """

    raw: float
    noise: float
    sampling_variance: float
    untuned_variance: float
    slope: float
    unbiased_variance: float
    n_times: int


UNKNOWN = NoisyVariance(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 0)


def noisy_variance(
    values: npt.NDArray[Any],
    condition: npt.NDArray[np.integer[Any]],
    n_conditions: int,
    estimator: str,
    *,
    unbiased: bool = True,
) -> NoisyVariance:
    """Measure the variance of one unit's condition means, and its noise, from the trials.

    Parameters
    ----------
    values
        ``(trial, time)``; NaN means not observed.
    condition
        ``(trial,)``, 0 to ``n_conditions - 1``.
    n_conditions
        Number of conditions.
    estimator
        A name in `nwbcompare.kernels.variance.ESTIMATORS`.
    unbiased
        Whether to compute ``unbiased_variance``, which takes half of the time; else it is NaN.

    Returns
    -------
    NoisyVariance
        All NaN where no time has two trials of every condition.

    Notes
    -----
    The noise is unbiased for any distribution of trials, any numbers of trials in the conditions
    and any missing times. ``per_time``: (C - 1) / C times the mean over conditions of s^2 / n,
    averaged over time. ``time_mean``: the same of the trials' means over time.
    ``pooled``: the mean of s^2 / n less 1 / C of the variance of the means' time mean.

    The sampling variance is that of a quadratic form of normal means,
    2 tr(QVQV) + 4 mu'QVQmu, estimated without bias by 4 m'QVQm - 2 tr(QVQV), but not
    below 2 tr(QVQV); plus that of the noise estimate, which is independent of the means
    under normality: 2 tr(Q_c V_c Q_c V_c) / (n_c - 1) for each condition.

    Examples
    --------
    >>> values = np.array([[1.0], [3.0], [5.0], [7.0]])
    >>> result = noisy_variance(values, np.array([0, 0, 1, 1]), 2, "per_time")
    >>> result.raw, round(result.noise, 6)
    (4.0, 0.5)
    """
    trials = _by_condition(values, condition, n_conditions)
    observed = np.isfinite(trials)
    count = observed.sum(axis=1)
    complete = (count >= LEAST_TRIALS).all(axis=0)
    if not complete.any():
        return UNKNOWN
    trials, observed, count = trials[:, :, complete], observed[:, :, complete], count[:, complete]
    means = np.where(observed, trials, 0).sum(axis=1) / count
    residual = np.where(observed, trials - means[:, None], 0)
    # R'R is the noise covariance of a condition mean
    root = residual / np.sqrt(count * (count - 1))[:, None]
    of_time_mean = _variance_of_time_mean(residual, observed, count, root)
    n_times = int(complete.sum())
    if estimator == "time_mean":
        means, root = means.mean(axis=1, keepdims=True), root.mean(axis=2, keepdims=True)
        total = of_time_mean.sum()
    else:
        total = (root**2).sum()
    size = n_conditions * means.shape[1]
    pooled = estimator == "pooled"
    shared = n_times * of_time_mean.sum() if pooled else total
    forms = _moments(means, root, count.mean(axis=1) - 1, pooled=pooled)
    normal = 4 * forms.along - 2 * forms.square + forms.of_noise
    return NoisyVariance(
        raw=forms.raw,
        noise=float((total - shared / n_conditions) / size),
        sampling_variance=max(4 * forms.along - 2 * forms.square, 2 * forms.square)
        + forms.of_noise,
        untuned_variance=2 * forms.square + forms.of_noise,
        slope=4 * forms.along / forms.raw if forms.raw > 0 else 0.0,
        unbiased_variance=_unbiased_variance(trials, observed, estimator, normal)
        if unbiased
        else np.nan,
        n_times=n_times,
    )


def _unbiased_variance(
    trials: Array, observed: npt.NDArray[np.bool_], estimator: str, normal: float
) -> float:
    """Return the sampling variance from (condition, trial, time); ``normal`` where it has none."""
    whole = observed.all(axis=2)
    if (observed.any(axis=2) != whole).any() or whole.sum(axis=1).min() < FOUR_DIFFERENT:
        return normal
    condition, place = np.nonzero(whole)
    rates = trials[condition, place]
    if estimator == "time_mean":
        rates = rates.mean(axis=1, keepdims=True)
    return unbiased_sampling_variance(rates, condition, len(trials), pooled=estimator == "pooled")


class _Moments(NamedTuple):
    """m'Qm, m'QVQm, tr(QVQV), and the variance of the estimate of tr(QV)."""

    raw: float
    along: float
    square: float
    of_noise: float


def _moments(means: Array, root: Array, freedom: Array, *, pooled: bool) -> _Moments:
    n_conditions, n_times = means.shape
    size = n_conditions * n_times
    away = means - means.mean(axis=(0, 1) if pooled else 0)
    along = (np.einsum("ct,cjt->cj", away, root) ** 2).sum() / size**2
    # a root of I - K / C, applied to the residuals of a condition
    shrink = 1 - np.sqrt(1 - 1 / n_conditions)
    average = root.mean(axis=2, keepdims=True)
    within = root - shrink * (average if pooled else root)
    squares, floor = _square_traces(within, freedom)
    common = average * np.sqrt(n_times) if pooled else root
    whole = common.reshape(-1, common.shape[2])
    across = (_gram(whole[None]) ** 2).sum() - (_gram(common) ** 2).sum()
    square = max(squares.sum(), floor) + across / n_conditions**2
    of_noise = 2 * max((squares / freedom).sum(), floor / freedom.max())
    return _Moments(
        raw=float((away**2).sum() / size),
        along=float(along),
        square=float(square / size**2),
        of_noise=float(of_noise / size**2),
    )


def _by_condition(
    values: npt.NDArray[Any], condition: npt.NDArray[np.integer[Any]], n_conditions: int
) -> Array:
    """Arrange trials as (condition, trial, time), padded with NaN."""
    order = np.argsort(condition, kind="stable")
    number = np.bincount(condition, minlength=n_conditions)
    first = np.cumsum(number) - number
    where = condition[order]
    padded = np.full((n_conditions, int(number.max(initial=0)), values.shape[1]), np.nan)
    padded[where, np.arange(order.size) - first[where]] = values[order]
    return padded


def _gram(root: Array) -> Array:
    """Compute R'R or RR' of each (trial, time), whichever is smaller: their traces are equal."""
    other = np.swapaxes(root, 1, 2)
    gram: Array = root @ other if root.shape[1] < root.shape[2] else other @ root
    return gram


def _square_traces(root: Array, freedom: Array) -> tuple[Array, float]:
    """Estimate tr(V^2) of each condition without bias for normal trials, and a bound of the sum.

    From two trials tr(V^2) has no unbiased estimate; a third of tr((R'R)^2) is not too small.
    """
    plain = (_gram(root) ** 2).sum(axis=(1, 2))
    trace = (root**2).sum(axis=(1, 2))
    several = freedom >= 2
    nu = np.where(several, freedom, 2)
    unbiased = nu**2 / ((nu - 1) * (nu + 2)) * (plain - trace**2 / nu)
    bound = (trace**2 * freedom / (freedom + 2)).sum() / root.shape[2]
    return np.where(several, unbiased, plain / 3), float(bound)


def _variance_of_time_mean(
    residual: Array, observed: npt.NDArray[np.bool_], count: npt.NDArray[Any], root: Array
) -> Array:
    """Estimate, without bias, the sampling variance of each condition mean averaged over time."""
    if (count == count[:, :1]).all() and observed.all(axis=2).sum() == count[:, 0].sum():
        complete: Array = (root.mean(axis=2) ** 2).sum(axis=1)
        return complete
    indicator = observed.astype(np.float64)
    pairs = np.swapaxes(indicator, 1, 2) @ indicator
    products = np.swapaxes(residual, 1, 2) @ residual
    # E[products] = cov * pairs * weight / (n n'), and cov(m, m') = cov * pairs / (n n')
    weight = (count[:, :, None] - 1) * (count[:, None, :] - 1) - 1 + pairs
    variance = np.divide(products, weight, out=np.zeros_like(products), where=pairs > 0)
    partly: Array = variance.mean(axis=(1, 2))
    return partly


def split_half_variance(
    values: npt.NDArray[Any],
    condition: npt.NDArray[np.integer[Any]],
    n_conditions: int,
    estimator: str,
    *,
    n_splits: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Compute the covariance over conditions between means of two halves of the trials.

    Parameters
    ----------
    values, condition, n_conditions, estimator
        See `noisy_variance`.
    n_splits
        Random splits of the trials of each condition into halves; of an odd number one half
        has one more.
    rng
        Source of randomness.

    Returns
    -------
    mean, variance : float
        The mean over splits, and the variance of this mean due to random splits. A split
        in which a half lacks a condition at some time is left out; NaN where none is left.

    Notes
    -----
    Over all splits of completely observed trials the mean is ``raw - noise`` of `noisy_variance`
    to the last digit: every pair of trials of a condition is in different halves equally often.

    Examples
    --------
    >>> values = np.array([[1.0], [3.0], [5.0], [7.0]])
    >>> mean, _ = split_half_variance(values, np.array([0, 0, 1, 1]), 2, "per_time", n_splits=50,
    ...                               rng=np.random.default_rng(0))
    >>> bool(abs(mean - 3.5) < 0.5)
    True
    """
    trials = _by_condition(values, condition, n_conditions)
    trials = trials[:, :, (np.isfinite(trials).sum(axis=1) >= LEAST_TRIALS).all(axis=0)]
    if not trials.shape[2]:
        return np.nan, np.nan
    there = np.asarray(np.isfinite(trials).any(axis=2))
    member = _random_halves(there, n_splits, rng)
    covariances = _half_covariances(trials, member, estimator)
    covariances = covariances[np.isfinite(covariances)]
    if not covariances.size:
        return np.nan, np.nan
    spread = covariances.var(ddof=1) / covariances.size if covariances.size > 1 else np.nan
    return float(covariances.mean()), float(spread)


def _random_halves(
    trial: npt.NDArray[np.bool_], n_splits: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw half of the trials of each condition: (condition, trial) to (condition, split, trial).

    The trials with the smallest random keys; padding has the largest keys.
    """
    keys = rng.random((trial.shape[0], n_splits, trial.shape[1]))
    keys[np.broadcast_to(~trial[:, None], keys.shape)] = 2
    half = trial.sum(axis=1) // 2
    last = np.take_along_axis(np.sort(keys, axis=2), half[:, None, None] - 1, axis=2)
    chosen: npt.NDArray[np.bool_] = keys <= last
    return chosen


def _half_covariances(trials: Array, member: npt.NDArray[np.bool_], estimator: str) -> Array:
    """Compute the covariance over conditions between the halves' means, for each split.

    Parameters
    ----------
    trials
        ``(condition, trial, time)``; NaN means not observed.
    member
        ``(condition, split, trial)``: the trials of the first half.
    estimator
        See `noisy_variance`.

    Returns
    -------
    numpy.ndarray
        ``(split,)``; NaN where a half lacks a condition at some time.
    """
    indicator = np.isfinite(trials).astype(np.float64)
    rates = np.where(np.isfinite(trials), trials, 0)
    half = member.astype(np.float64)
    number, total = half @ indicator, half @ rates
    halves = np.stack([total, rates.sum(axis=1)[:, None] - total])
    with np.errstate(invalid="ignore", divide="ignore"):
        halves /= np.stack([number, indicator.sum(axis=1)[:, None] - number])
    if estimator == "time_mean":
        halves = halves.mean(axis=3, keepdims=True)
    halves -= halves.mean(axis=(1, 3) if estimator == "pooled" else 1, keepdims=True)
    covariance: Array = (halves[0] * halves[1]).mean(axis=(0, 2))
    return covariance
