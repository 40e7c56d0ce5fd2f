"""Test of equal task variances of one unit, on plain arrays: resampled residuals.

A cell is the trials of one unit in one condition of one task. Covariances ``(time, time)`` are
packed: the upper triangle in one row, off-diagonal values times sqrt(2), so that the product of
two packed matrices is the trace of the product of the matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
TIE = 1e-9
VALUES_AT_ONCE = 65_536
"""Packed values held at a time for one task: 256 KB, so that they stay in the processor's cache."""


class Variances(NamedTuple):
    """Corrected task variances and their errors, each ``(resample,)``.

    Attributes
    ----------
    raw
        Variance of the condition means as they are.
    corrected
        The variance without the contribution of trial noise, unbiased.
    squared_error
        Sampling variance of ``corrected``, at least that of an untuned unit.
    unbiased_squared_error
        The same without this bound, which makes it unbiased; it may be below 0.
    untuned, slope
        The sampling variance of a unit with true variance v is ``untuned + slope * v``.
    """

    raw: Array
    corrected: Array
    squared_error: Array
    unbiased_squared_error: Array
    untuned: Array
    slope: Array


def variances(means: Floats, covariance: Floats, freedom: Array) -> Variances:
    """Correct the variance of condition means for noise, and compute its sampling variance.

    Parameters
    ----------
    means
        ``(resample, condition, time)``.
    covariance
        ``(resample, condition, pair of times)``: of each condition mean, packed.
    freedom
        ``(condition,)``: trials less 1.

    Returns
    -------
    Variances

    Notes
    -----
    The formulas of `nwbcompare.analysis.selectivity.kernels.noise_correction.noisy_variance` for
    the variance at each time, averaged over time, of completely observed trials.

    Examples
    --------
    >>> found = variances(np.array([[[2.0], [6.0]]]), np.ones((1, 2, 1)), np.array([1.0, 1.0]))
    >>> found.raw.item(), found.corrected.item()
    (4.0, 3.5)
    """
    n_conditions, n_times = means.shape[1:]
    size = n_conditions * n_times
    kept = 1 - 1 / n_conditions
    away = means - means.mean(axis=1, keepdims=True)
    raw = (away**2).sum(axis=(1, 2)) / size
    trace = covariance[..., _diagonal(n_times)].sum(axis=2)
    corrected = raw - kept * trace.sum(axis=1) / size
    along = np.einsum("rcp,rcp->r", packed(away), covariance) / size**2
    plain = np.einsum("rcp,rcp->rc", covariance, covariance)
    across = (covariance.sum(axis=1) ** 2).sum(axis=1) - plain.sum(axis=1)
    # two trials have no unbiased estimate of a squared covariance: a third is not too small
    nu = np.where(freedom >= 2, freedom, 2)
    unbiased = nu**2 / ((nu - 1) * (nu + 2)) * (plain - trace**2 / nu)
    squares = kept**2 * np.where(freedom >= 2, unbiased, plain / 3)
    bound = kept**2 * (trace**2 * (freedom / (freedom + 2))).sum(axis=1) / n_times
    square = np.maximum(squares.sum(axis=1), bound) + across / n_conditions**2
    of_noise = np.maximum((squares / freedom).sum(axis=1), bound / freedom.max())
    square, of_noise = square / size**2, 2 * of_noise / size**2
    tuned = 4 * along - 2 * square
    slope = np.divide(4 * along, raw, out=np.zeros_like(raw), where=raw > 0)
    return Variances(
        raw,
        corrected,
        np.maximum(tuned, 2 * square) + of_noise,
        tuned + of_noise,
        2 * square + of_noise,
        slope,
    )


def packed(values: Floats) -> Floats:
    """Compute the products of all pairs of times, packed.

    Parameters
    ----------
    values
        ``(..., time)``.

    Returns
    -------
    numpy.ndarray
        ``(..., pair of times)``.

    Examples
    --------
    >>> packed(np.array([1.0, 2.0])).round(3).tolist()
    [1.0, 2.828, 4.0]
    """
    n_times = values.shape[-1]
    root = values * values.dtype.type(2**0.25)
    products = np.empty((*values.shape[:-1], n_times * (n_times + 1) // 2), values.dtype)
    start = 0
    # slices are several times faster than fancy indices of all pairs
    for time in range(n_times):
        stop = start + n_times - time
        np.multiply(root[..., time, None], root[..., time:], out=products[..., start:stop])
        start = stop
    products[..., _diagonal(n_times)] = values**2
    return products


@cache
def _diagonal(n_times: int) -> npt.NDArray[np.int64]:
    """Return the places of the variances among the packed values."""
    places: npt.NDArray[np.int64] = np.cumsum([0, *range(n_times, 1, -1)])
    return places


class EqualVariances(NamedTuple):
    """Test of equal task variances of one unit.

    Attributes
    ----------
    observed
        `Variances` of the two tasks, each value ``(2,)``.
    z
        Difference of the corrected variances, task a less task b, over its standard error.
    p_value
        Two-sided.
    raw
        ``(resample, 2)``: variances of the condition means, not corrected, under the null.
    """

    observed: Variances
    z: float
    p_value: float
    raw: Array


def observed_variances(cells: Sequence[Array]) -> Variances:
    """Compute the corrected variance of one task from its cells.

    Parameters
    ----------
    cells
        One array ``(trial, time)`` a condition, two trials or more.

    Returns
    -------
    Variances
        Each value ``(1,)``.

    Examples
    --------
    >>> cells = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]])]
    >>> observed_variances(cells).corrected.item()
    3.5
    """
    means = np.stack([cell.mean(axis=0) for cell in cells])
    covariance = np.stack(
        [
            packed(cell - mean).sum(axis=0) / (len(cell) * (len(cell) - 1))
            for cell, mean in zip(cells, means, strict=True)
        ]
    )
    return variances(means[None], covariance[None], _freedom(cells))


def equal_variances(
    tasks: Sequence[Sequence[Array]], n_resamples: int, rng: np.random.Generator
) -> EqualVariances:
    """Test that the condition means of two tasks have one variance, by resampled residuals.

    Parameters
    ----------
    tasks
        For each of the two tasks, one array ``(trial, time)`` a condition, two trials or more.
    n_resamples
        Number of resamples.
    rng
        Source of randomness.

    Returns
    -------
    EqualVariances
        ``p_value`` is NaN where no trial differs from its condition's mean.

    Notes
    -----
    Under the null both tasks have one variance, the mean of their corrected variances weighted by
    the inverse of their untuned sampling variances: the condition means of each are scaled to it,
    or have no variance if it is 0 or less. Residuals are drawn with replacement from the trials of
    their own cell, times sqrt(n / (n - 1)), which restores their variance. Every resample is
    corrected for noise, and divided by its error, as the data are.

    The error grows with the variance. If it is computed from the two variances as estimated, the
    test rejects too often where the noisier task has the smaller one; if from their common value,
    where it has the larger one. p is the larger of the p values of both.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> tasks = [[rng.normal(mean, 1, (20, 3)) for mean in means] for means in ((0, 4), (2, 2))]
    >>> equal_variances(tasks, 99, rng).p_value
    0.01
    """
    observed = _side_by_side([observed_variances(cells) for cells in tasks])
    common = _common(observed)[0]
    drawn = _side_by_side(
        [
            _resampled(cells, np.sqrt(common / raw) if raw > 0 else 0.0, n_resamples, rng)
            for cells, raw in zip(tasks, observed.raw[0], strict=True)
        ]
    )
    (z,), (of_null,) = _statistics(observed)
    beyond = [
        int((np.abs(null) >= abs(statistic) * (1 - TIE)).sum())
        for statistic, null in zip((z, of_null), _statistics(drawn), strict=True)
    ]
    p_value = (1 + max(beyond)) / (1 + n_resamples) if np.isfinite(z) else np.nan
    single = Variances(*(values[0] for values in observed))
    return EqualVariances(single, float(z), p_value, drawn.raw)


def _side_by_side(tasks: Sequence[Variances]) -> Variances:
    """Join the variances of two tasks: each value (resample, 2)."""
    return Variances(*(np.stack(values, axis=1) for values in zip(*tasks, strict=True)))


def _common(both: Variances) -> Array:
    """Compute the common variance, 0 or more, of two tasks: (resample, 2) to (resample,)."""
    weight = np.divide(1, both.untuned, out=np.zeros_like(both.untuned), where=both.untuned > 0)
    total = weight.sum(axis=1)
    weighted = (weight * both.corrected).sum(axis=1)
    common = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    positive: Array = np.maximum(common, 0)
    return positive


def _statistics(both: Variances) -> tuple[Array, Array]:
    """Divide the difference by its error: as estimated, and with the common variance.

    Infinite for a difference without error; NaN without both.
    """
    difference = both.corrected[:, 0] - both.corrected[:, 1]
    under_null = (both.untuned + both.slope * _common(both)[:, None]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimated = difference / np.sqrt(both.squared_error.sum(axis=1))
        return estimated, difference / np.sqrt(under_null)


def _freedom(cells: Sequence[Array]) -> Array:
    return np.array([len(cell) - 1 for cell in cells], dtype=np.float64)


def _resampled(
    cells: Sequence[Array], scale: float, n_resamples: int, rng: np.random.Generator
) -> Variances:
    n_times = cells[0].shape[1]
    means = np.stack([cell.mean(axis=0) for cell in cells])
    residuals = [
        (cell - mean) * np.sqrt(len(cell) / (len(cell) - 1))
        for cell, mean in zip(cells, means, strict=True)
    ]
    columns = [np.hstack([residual, packed(residual)]) for residual in residuals]
    values = len(cells) * columns[0].shape[1]
    at_once = max(1, VALUES_AT_ONCE // values)
    parts = []
    for start in range(0, n_resamples, at_once):
        n = min(at_once, n_resamples - start)
        moments = np.stack([_drawn(own, n, rng) for own in columns], axis=1)
        shift, second = moments[..., :n_times], moments[..., n_times:]
        second -= packed(shift)
        second /= _freedom(cells)[:, None]
        parts.append(variances(scale * means + shift, second, _freedom(cells)))
    return Variances(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _drawn(columns: Array, n_resamples: int, rng: np.random.Generator) -> Array:
    """Average rows drawn with replacement, as many as there are: (row, column) to means."""
    n = len(columns)
    drawn = rng.integers(n, size=(n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=n * n_resamples).reshape(n_resamples, n)
    mean: Array = times.astype(np.float64) @ columns / n
    return mean
