"""Empirical Bayes for FTV: the distribution behind noisy task variances, on plain arrays.

The raw variances of a unit in two tasks are taken as gamma distributed about their true values plus
noise, with the mean and the variance that theory gives
(`nwbcompare.analysis.selectivity.kernels.noise_correction`). The true values are written as a total
S and an FTV f. The distributions of S and of f over units are estimated by maximum likelihood on a
grid, f independent of S, so that units whose variance is mostly noise lean on the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
N_FTV = 41
N_TOTAL = 60
N_ITERATIONS = 100
"""Fewer leave the distribution too flat where all units are alike; more make it ragged."""
RAREST = 1e-15
SMALLEST = 1e-3
"""Share of a unit's raw total below which a variance is taken as this: a gamma needs x > 0."""


class Tuning(NamedTuple):
    """What was measured of each unit in two tasks, each ``(unit, 2)``; see `NoisyVariance`."""

    raw: Array
    noise: Array
    untuned_variance: Array
    slope: Array


class Deconvolved(NamedTuple):
    """Distributions over units and posteriors of each.

    Attributes
    ----------
    mass
        ``(draw, ftv)``: the share of units at each FTV of the grid.
    mean, sd
        ``(draw, unit)``: posterior mean and standard deviation of FTV.
    """

    mass: Array
    mean: Array
    sd: Array


def ftv_grid() -> tuple[Array, Array]:
    """Return the grid of FTV on [-1, 1] and the width of each point's cell; end cells are half.

    Returns
    -------
    grid, width : numpy.ndarray
        ``(ftv,)`` each.

    Examples
    --------
    >>> grid, width = ftv_grid()
    >>> float(grid[0]), float(width.sum().round(6))
    (-1.0, 2.0)
    """
    grid = np.linspace(-1, 1, N_FTV)
    width = np.full(N_FTV, grid[1] - grid[0])
    width[[0, -1]] /= 2
    return grid, width


def likelihood(tuning: Tuning) -> Array:
    """Compute the likelihood of each unit's raw variances at every point of the grid.

    Parameters
    ----------
    tuning
        Measured values, without NaN.

    Returns
    -------
    numpy.ndarray
        ``(unit, total, ftv)``, each unit's largest 1. The first total is 0: no tuning.

    Notes
    -----
    Gamma with mean ``true + noise`` and variance ``untuned + slope * true``, which for an untuned
    unit is Satterthwaite's approximation to a sum of squares. The width of a cell of the grid is
    added to the variance, so that units with smaller errors than that are not lost between points.
    The slope, which would be correlated with the error of a unit's variance, is set to the same
    multiple of sqrt(untuned) in all units, the median.

    Examples
    --------
    >>> raw = np.array([[5.0, 2.0], [1.0, 4.0]])
    >>> tuning = Tuning(raw, 0 * raw + 1.0, 0 * raw + 0.2, 0 * raw + 0.3)
    >>> likelihood(tuning).shape == (2, N_TOTAL + 1, N_FTV)
    True
    """
    total, step = _totals(tuning)
    steady = tuning._replace(slope=_steady_slope(tuning))
    grid, _ = ftv_grid()
    shares = np.stack([1 + grid, 1 - grid]) / 2
    scale = tuning.raw.sum(axis=1)[:, None, None]
    coarse = (total[:, None] * (grid[1] - grid[0]) / 2) ** 2 / 12
    logarithm = np.zeros((len(tuning.raw), total.size, grid.size))
    for task in range(2):
        raw, noise, untuned, slope = (values[:, task, None, None] for values in steady)
        true = total[:, None] * shares[task]
        mean = np.maximum(true + noise, SMALLEST * scale)
        variance = untuned + slope * true + coarse + (step * mean) ** 2 / 12
        logarithm += _log_gamma_density(np.maximum(raw, SMALLEST * scale), mean, variance)
    # relative to the largest: absolute likelihoods would underflow
    logarithm -= logarithm.max(axis=(1, 2), keepdims=True)
    return np.exp(logarithm)


def deconvolve(
    likelihoods: Array, weights: Array | None = None, *, n_iterations: int = N_ITERATIONS
) -> Deconvolved:
    """Estimate the distributions of total and FTV over units, and each unit's posterior FTV.

    Parameters
    ----------
    likelihoods
        ``(unit, total, ftv)``, from `likelihood`.
    weights
        ``(draw, unit)``: how often each unit counts, for bootstraps; by default once.
    n_iterations
        Steps of expectation and maximisation from flat distributions. Their number regularises: at
        convergence the distribution would be concentrated in a few points.

    Returns
    -------
    Deconvolved
        Each draw's distribution, and the posteriors of all units under it.

    Examples
    --------
    >>> raw = np.array([[5.0, 2.0], [1.0, 4.0]])
    >>> tuning = Tuning(raw, 0 * raw + 1.0, 0 * raw + 0.2, 0 * raw + 0.3)
    >>> result = deconvolve(likelihood(tuning))
    >>> bool(result.mean[0, 0] > 0 > result.mean[0, 1])
    True
    """
    n_units, n_total, n_ftv = likelihoods.shape
    counts = np.ones((1, n_units)) if weights is None else weights
    share = counts / counts.sum(axis=1, keepdims=True)
    grid, width = ftv_grid()
    of_ftv = np.tile(width / width.sum(), (len(share), 1))
    of_total = np.full((len(share), n_total), 1 / n_total)
    # half the time of float64, and seven digits are enough for a likelihood
    flat = likelihoods.reshape(n_units, -1).astype(np.float32)
    for _ in range(n_iterations):
        joint = _joint(of_total, of_ftv)
        ratio = (share / (joint @ flat.T)).astype(np.float32) @ flat
        expected = (joint * ratio).reshape(len(share), n_total, n_ftv).astype(np.float64)
        # units that a bootstrap left out need values above 0 that it never drew, too
        of_total = np.maximum(expected.sum(axis=2), RAREST)
        of_ftv = np.maximum(expected.sum(axis=1), RAREST)
    evidence, first, second = (
        _joint(of_total, of_ftv * grid**power) @ flat.T for power in range(3)
    )
    mean = np.clip(first / evidence, -1, 1)
    return Deconvolved(of_ftv, mean, np.sqrt(np.maximum(second / evidence - mean**2, 0)))


def _joint(of_total: Array, of_ftv: Array) -> npt.NDArray[np.float32]:
    """Compute the joint distribution, ``(draw, total x ftv)``, of independent total and FTV."""
    joint = of_total[:, :, None] * of_ftv[:, None, :]
    return joint.reshape(len(of_total), -1).astype(np.float32)


def moments(mass: Array) -> tuple[Array, Array]:
    """Compute the mean and the standard deviation of FTV from ``(..., ftv)`` masses.

    Parameters
    ----------
    mass
        ``(..., ftv)``: shares on the grid of `ftv_grid`, with sum 1.

    Returns
    -------
    mean, sd : numpy.ndarray
        ``(...)`` each.

    Examples
    --------
    >>> mass = np.zeros(N_FTV)
    >>> mass[[0, -1]] = 0.5
    >>> [float(moment) for moment in moments(mass)]
    [0.0, 1.0]
    """
    grid, _ = ftv_grid()
    mean: Array = np.clip(mass @ grid, -1, 1)
    sd: Array = np.sqrt(np.maximum(mass @ grid**2 - mean**2, 0))
    return mean, sd


def in_bins(mass: Array, n_bins: int) -> Array:
    """Sum ``(..., ftv)`` masses in even bins on [-1, 1]; points on an edge count half in both.

    Parameters
    ----------
    mass
        ``(..., ftv)``: shares on the grid of `ftv_grid`.
    n_bins
        Number of bins.

    Returns
    -------
    numpy.ndarray
        ``(..., bin)``.

    Examples
    --------
    >>> in_bins(np.full(N_FTV, 1 / N_FTV), 2).round(6).tolist()
    [0.5, 0.5]
    """
    grid, _ = ftv_grid()
    # shifted to both sides, so that a point on an edge counts half in either bin
    places = np.floor((grid + 1) / 2 * n_bins + np.array([[-1e-9], [1e-9]]))
    shares = (np.clip(places, 0, n_bins - 1)[:, :, None] == np.arange(n_bins)).mean(axis=0)
    binned: Array = mass @ shares
    return binned


def _totals(tuning: Tuning) -> tuple[Array, float]:
    """Return the grid of total variance, 0 and then even in its logarithm, and the step."""
    highest = 1.2 * tuning.raw.sum(axis=1).max()
    untuned = np.sqrt(tuning.untuned_variance.sum(axis=1))
    lowest = max(0.1 * float(np.median(untuned)), 1e-5 * highest)
    total = np.geomspace(min(lowest, highest / 2), highest, N_TOTAL)
    return np.concatenate([[0.0], total]), float(np.log(total[1] / total[0]))


def _steady_slope(tuning: Tuning) -> Array:
    scale = np.sqrt(tuning.untuned_variance)
    slope = np.zeros_like(scale)
    for task in range(2):
        noisy = scale[:, task] > 0
        if noisy.any():
            ratio = np.median(tuning.slope[noisy, task] / scale[noisy, task])
            slope[:, task] = ratio * scale[:, task]
    return slope


def _log_gamma_density(x: Array, mean: Array, variance: Array) -> Array:
    from scipy.special import gammaln  # noqa: PLC0415 - slow to import

    shape, scale = mean**2 / variance, variance / mean
    density: Array = (shape - 1) * np.log(x) - x / scale - shape * np.log(scale) - gammaln(shape)
    return density
