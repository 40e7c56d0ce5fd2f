"""Variance across conditions, on plain arrays; every sum is accumulated in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[np.float64]
CHUNK_VALUES = 2_000_000
"""Values taken to float64 at a time: bounds the memory beside the float32 rates."""


def group_moments(
    values: npt.NDArray[Any],
    groups: npt.NDArray[np.integer[Any]],
    n_groups: int,
    *,
    squares: bool = True,
) -> tuple[Array, Array, Array]:
    """Compute count, mean and sum of squared deviations of the rows of each group.

    Parameters
    ----------
    values
        ``(row, ...)``; NaN means not observed and is left out.
    groups
        ``(row,)``; the group of each row, 0 to ``n_groups - 1``; negative: in none.
    n_groups
        Number of groups.
    squares
        Whether to compute squared deviations; if not, they are zeros.

    Returns
    -------
    count, mean, squares : numpy.ndarray
        Each ``(group, ...)``: observations, their mean (NaN where there are none), and the sum
        of squared deviations from it.

    Notes
    -----
    Two passes, for the mean and for the deviations from it: the one-pass formula loses digits
    where the mean is large relative to the standard deviation.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([[1.0], [3.0], [5.0]])
    >>> count, mean, squares = group_moments(values, np.array([0, 0, 1]), 2)
    >>> mean.ravel().tolist(), squares.ravel().tolist()
    ([2.0, 5.0], [2.0, 0.0])
    """
    rows = values.reshape(len(values), -1)
    if np.isfinite(rows).all():
        members = np.bincount(groups[groups >= 0], minlength=n_groups).astype(np.float64)
        # a view: equal counts take no memory
        count = np.broadcast_to(members[:, None], (n_groups, rows.shape[1]))
        observed: Callable[[Array], Array] = _unchanged
    else:
        count = _sum_over_groups(rows, groups, n_groups, lambda x, _: np.isfinite(x))
        observed = np.nan_to_num
    total = _sum_over_groups(rows, groups, n_groups, lambda x, _: observed(x))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.divide(total, count, out=total)
    mean[count == 0] = np.nan
    # squared deviations from the mean: a difference of two large sums would lose digits
    deviations = (
        _sum_over_groups(
            rows, groups, n_groups, lambda x, group: observed(np.square(x - mean[group]))
        )
        if squares
        else np.broadcast_to(0.0, mean.shape)
    )
    shape = (n_groups, *values.shape[1:])
    return (_reshaped(count, shape), mean.reshape(shape), _reshaped(deviations, shape))


def _unchanged(values: Array) -> Array:
    return values


def _reshaped(rows: Array, shape: tuple[int, ...]) -> Array:
    """Reshape the columns of rows; a broadcast view stays a view."""
    if rows.strides[-1] == 0:
        first = rows[:, 0].reshape(-1, *[1] * (len(shape) - 1))
        return np.broadcast_to(first, shape)
    return rows.reshape(shape)


def _sum_over_groups(
    rows: npt.NDArray[Any],
    groups: npt.NDArray[np.integer[Any]],
    n_groups: int,
    term: Callable[[Array, npt.NDArray[np.integer[Any]]], npt.NDArray[Any]],
) -> Array:
    """Sum a function of the rows over each group, chunk by chunk, by a sparse product."""
    total = np.zeros((n_groups, rows.shape[1]))
    at_once = max(1, CHUNK_VALUES // max(1, rows.shape[1]))
    for start in range(0, len(rows), at_once):
        group, chunk = groups[start : start + at_once], rows[start : start + at_once]
        inside = group >= 0
        if not inside.all():
            group, chunk = group[inside], chunk[inside]
        values = term(chunk.astype(np.float64), group).astype(np.float64, copy=False)
        # one sparse product sums all columns, in any order of the rows
        indicator = sparse.csc_matrix(
            (np.ones(group.size), group, np.arange(group.size + 1)), shape=(n_groups, group.size)
        )
        total += indicator @ values
    return total


def _variance_per_time(means: Array) -> Array:
    """Compute the variance across conditions at each time, then the mean over time.

    The published estimator for networks and for the figure of recordings (Yang et al. 2019,
    "variance across conditions, then averaged across time"); population variance.

    Parameters
    ----------
    means
        ``(..., condition, time)``; times where a condition is NaN are left out.

    Returns
    -------
    numpy.ndarray
        ``(...)``; NaN where no time is left.
    """
    return _over_complete_times(means, lambda complete: complete.var(axis=-2).mean(axis=-1))


def _variance_of_time_mean(means: Array) -> Array:
    """Compute the mean over time, then the variance across conditions."""
    return _over_complete_times(means, lambda complete: complete.mean(axis=-1).var(axis=-1))


def _variance_pooled(means: Array) -> Array:
    """Compute the variance over conditions and times together."""
    return _over_complete_times(means, lambda complete: complete.var(axis=(-2, -1)))


ESTIMATORS: dict[str, Callable[[Array], Array]] = {
    "per_time": _variance_per_time,
    "time_mean": _variance_of_time_mean,
    "pooled": _variance_pooled,
}
"""The three published estimators by name; each maps (..., condition, time) to (...)."""


def complete_times(means: Array) -> npt.NDArray[np.bool_]:
    """Return at which times every condition was observed.

    Parameters
    ----------
    means
        ``(..., condition, time)``; NaN means not observed.

    Returns
    -------
    numpy.ndarray
        ``(..., time)``.

    Examples
    --------
    >>> complete_times(np.array([[1.0, np.nan], [2.0, 3.0]])).tolist()
    [True, False]
    """
    return np.asarray(np.isfinite(means).all(axis=-2))


def _over_complete_times(means: Array, estimate: Callable[[Array], Array]) -> Array:
    """Apply an estimator to the complete times of each unit; units with the same go together."""
    complete = complete_times(means)
    if complete.all():
        return estimate(means)
    flat = means.reshape(-1, *means.shape[-2:])
    patterns, which = np.unique(complete.reshape(-1, means.shape[-1]), axis=0, return_inverse=True)
    result = np.full(len(flat), np.nan)
    for index, pattern in enumerate(patterns):
        if pattern.any():
            members = which.reshape(-1) == index
            result[members] = estimate(flat[members][:, :, pattern])
    return result.reshape(means.shape[:-2])


def centred(means: Array, estimator: str) -> Array:
    """Compute the matrix X with ``estimator(r @ means) == sum((r @ X)**2)`` for unit vectors r.

    Each of the three estimators is a quadratic form in the units, so that the variance of any
    mixture of units needs only the units' covariance ``X @ X.T``.

    Parameters
    ----------
    means
        ``(unit, condition, time)`` without NaN.
    estimator
        A name in `ESTIMATORS`.

    Returns
    -------
    numpy.ndarray
        ``(unit, sample)``.

    Examples
    --------
    >>> means, r = np.random.default_rng(0).random((2, 3, 4)), np.array([0.6, 0.8])
    >>> mixture = np.tensordot(r, means, 1)
    >>> bool(np.isclose(ESTIMATORS["pooled"](mixture), ((r @ centred(means, "pooled")) ** 2).sum()))
    True
    """
    n_units, n_conditions, n_times = means.shape
    if estimator == "time_mean":
        means, n_times = means.mean(axis=-1, keepdims=True), 1
    axes = (1, 2) if estimator == "pooled" else (1,)
    deviations = means - means.mean(axis=axes, keepdims=True)
    deviations /= np.sqrt(n_conditions * n_times)
    flat: Array = deviations.reshape(n_units, -1)
    return flat


def fractional_variance(
    a: Array, b: Array, *, threshold: float
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Compute (a - b) / (a + b) of active units.

    Parameters
    ----------
    a, b
        Variances in two tasks, of one shape.
    threshold
        Units whose variances sum to no more than this are inactive.

    Returns
    -------
    fraction : numpy.ndarray
        In [-1, 1] for variances of 0 or more; NaN where inactive.
    active : numpy.ndarray
        Whether the variances sum to more than the threshold.

    Notes
    -----
    Fractional task variance (Yang et al. 2019).

    Examples
    --------
    >>> a, b = np.array([3.0, 0.0]), np.array([1.0, 0.0])
    >>> fraction, active = fractional_variance(a, b, threshold=1e-3)
    >>> fraction.tolist(), active.tolist()
    ([0.5, nan], [True, False])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        active = a + b > threshold
        return np.where(active, (a - b) / (a + b), np.nan), active
