"""Moment estimates, and random draws, of spike counts with Fano factor and trial-wide gain."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.variance import group_moments

Array = npt.NDArray[np.float64]
FANO_FLOOR = 0.1
"""Smallest estimate of a Fano factor: whole counts can hardly be more regular."""


class Dispersion(NamedTuple):
    """Trial-to-trial variability of units, each ``(unit,)``; NaN where it is unknown."""

    mean_rate: Array
    fano: Array
    gain_variance: Array
    degrees: Array


def moment_dispersion(
    rates: npt.NDArray[Any],
    unit: npt.NDArray[np.integer[Any]],
    condition: npt.NDArray[np.integer[Any]],
    shape: tuple[int, int],
    *,
    smoothing: Array,
    bin_width_s: float,
) -> Dispersion:
    """Estimate Fano factors and the variance of a trial-wide gain from smoothed rates.

    The model covariance of a trial's counts about the mean counts ``mu`` of their condition is
    ``F diag(mu) + g mu mu'``. Smoothing multiplies counts by a known matrix, which gives the
    covariance of smoothed rates; its trace and its sum over all entries are two equations for F
    and g.

    Parameters
    ----------
    rates
        Smoothed rates of trials ``(row, bin)`` (spikes/s), without NaN.
    unit, condition
        Codes of the unit and the condition of each row ``(row,)``.
    shape
        Numbers of units and conditions.
    smoothing
        Matrix ``(bin, bin)``; rates are ``counts @ smoothing / bin_width_s``.
    bin_width_s
        Width of a bin (s).

    Returns
    -------
    Dispersion
        Residual covariances are pooled over conditions, with n - 1 degrees of freedom each. A
        negative g is set to 0, an F below `FANO_FLOOR` to `FANO_FLOOR`; the other parameter then
        follows from the trace, which is what trial noise adds to a task variance. Without spikes
        both are NaN.

    Notes
    -----
    With F = 1 this is the modulated Poisson model (Goris, Movshon & Simoncelli 2014). The term
    of F uses the smoothed mean, since means change little within the smoothing kernel.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rates = rng.poisson(2.0, (4000, 5)) / 0.1
    >>> zeros = np.zeros(4000, dtype=int)
    >>> result = moment_dispersion(
    ...     rates, zeros, zeros, (1, 1), smoothing=np.eye(5), bin_width_s=0.1)
    >>> result.fano.round(1).tolist(), result.mean_rate.round().tolist()
    ([1.0], [20.0])
    """
    n_units, n_conditions = shape
    with_sum = np.column_stack([rates, rates.sum(axis=1, dtype=np.float64)])
    groups = unit.astype(np.int64) * n_conditions + condition
    count, mean, squares = (
        moment.reshape(n_units, n_conditions, -1)
        for moment in group_moments(with_sum, groups, n_units * n_conditions)
    )
    n = count[..., :1]
    degrees = np.maximum(n - 1, 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.maximum(n - 1, 0) / degrees[:, None]
        residual = squares.sum(axis=1) / degrees
        # the expected square of an estimated mean includes the variance of that mean
        noise = np.where(n > 1, squares / (n - 1) / n, 0)
        power = (weight * (np.nan_to_num(mean) ** 2 - noise)).sum(axis=1)
        average = (weight * np.nan_to_num(mean)).sum(axis=1)[:, :-1]
        mean_rate = (n * np.nan_to_num(mean)).sum(axis=1)[:, :-1] / n.sum(axis=1)
    fano, gain = _solve(
        np.stack([residual[:, :-1].sum(axis=1), residual[:, -1]]),
        average
        @ np.stack([(smoothing**2).sum(axis=1), smoothing.sum(axis=1) ** 2]).T
        / bin_width_s,
        np.stack([power[:, :-1].sum(axis=1), power[:, -1]]),
    )
    return Dispersion(mean_rate.mean(axis=1), fano, gain, degrees[:, 0])


def _solve(observed: Array, per_fano: Array, per_gain: Array) -> tuple[Array, Array]:
    """Solve ``observed = fano * per_fano + gain * per_gain``, for trace and sum, within bounds."""
    (trace, total), (a, b), (c, d) = observed, per_fano.T, per_gain
    with np.errstate(invalid="ignore", divide="ignore"):
        determinant = a * d - b * c
        gain = (a * total - b * trace) / determinant
        # a single bin gives one equation, and silence none
        gain = np.where((gain > 0) & (np.abs(determinant) > 1e-9 * np.abs(a * d)), gain, 0)
        fano = (trace - gain * c) / a
        low = fano < FANO_FLOOR
        gain = np.where(low, np.maximum(trace - FANO_FLOOR * a, 0) / c, gain)
        fano = np.where(low, FANO_FLOOR, fano)
    solvable = np.isfinite(trace) & (a > 0)
    return np.where(solvable, fano, np.nan), np.where(solvable, gain, np.nan)


def draw_counts(
    mean: Array, fano: float, gain_variance: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw spike counts with a given mean, Fano factor and trial-wide gain.

    Parameters
    ----------
    mean
        Mean counts ``(trial, bin)``, 0 or more.
    fano
        Fano factor within a bin, above 0.
    gain_variance
        Variance of a gamma-distributed gain of mean 1 that all bins of a trial share; it adds
        ``gain_variance * mean_s * mean_t`` to the covariance of bins s and t.
    rng
        Random generator.

    Returns
    -------
    numpy.ndarray
        Counts ``(trial, bin)``.

    Notes
    -----
    Given the gain, bins are independent. Counts are Poisson for a Fano factor of 1, negative
    binomial above. Below 1 they are binomial; the number of draws is random, one of two successive
    integers, so that mean and variance are exact. For a mean below ``1 - fano`` no distribution of
    whole counts has so small a variance; bins then have one spike or none (Bernoulli), which is
    the most regular.

    Examples
    --------
    >>> counts = draw_counts(np.full((4, 2), 3.0), 1.5, 0.1, np.random.default_rng(0))
    >>> counts.shape
    (4, 2)
    """
    if gain_variance > 0:
        gain = rng.gamma(1 / gain_variance, gain_variance, size=(len(mean), 1))
        mean = mean * gain
    if fano < 1:
        return _regular_counts(mean, fano, rng)
    if fano > 1:
        mean = rng.standard_gamma(mean / (fano - 1)) * (fano - 1)
    counts: npt.NDArray[np.int64] = rng.poisson(mean)
    return counts


def _regular_counts(mean: Array, fano: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw binomial counts from N or N + 1 draws, whose mean number x makes the variance exact.

    With success probability m / x the variance is
    ``m (1 - m / x) + (m / x)^2 (x - N)(N + 1 - x)``; equating it with ``fano m`` gives a quadratic
    equation for x.
    """
    fewest = np.maximum(np.floor(mean / (1 - fano)), 1)
    at_once = mean * fewest
    root = np.sqrt(np.maximum(at_once * (at_once - (fano - 1 + mean) * (fewest + 1)), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = at_once * (fewest + 1) / (at_once + root)
    # for m below 1 - fano one draw; the success probability is at most 1
    draws = np.where(mean < 1 - fano, fewest, np.clip(draws, np.maximum(fewest, mean), fewest + 1))
    number = (fewest + (rng.random(mean.shape) < draws - fewest)).astype(np.int64)
    counts: npt.NDArray[np.int64] = rng.binomial(number, mean / draws)
    return counts
