"""How far tasks are confounded with slow drift during a session, on plain arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]
DEGREE = 3
"""Degree of the polynomial in trial order that stands for slow drift."""


class Drift(NamedTuple):
    """Slow drift of one unit.

    Attributes
    ----------
    task_share
        Share of the variance of the task labels that a slow drift explains: about 0 for tasks in
        random order, near 1 for each task in one block.
    gain_difference
        Difference between the tasks, relative to the mean rate, of the drift of the rate.
    """

    task_share: float
    gain_difference: float


UNKNOWN = Drift(np.nan, np.nan)


def slow_drift(rate: Array, task: Ints, condition: Ints) -> Drift:
    """Measure the drift of a unit's rate, and how far tasks are confounded with any drift.

    Parameters
    ----------
    rate
        ``(trial,)`` in the order of recording.
    task, condition
        ``(trial,)``: 0 or 1, and 0 or more.

    Returns
    -------
    Drift
        All NaN for one task only, and for too few trials.

    Notes
    -----
    The drift of the rate is a polynomial of degree 3 in trial order, fitted within cells (task and
    condition), so that differences in rate between tasks or conditions do not count as drift.

    Examples
    --------
    >>> task = np.repeat([0, 1], 50)
    >>> drift = slow_drift(np.linspace(9, 11, 100), task, np.arange(100) % 2)
    >>> round(drift.task_share, 2), round(drift.gain_difference, 2)
    (0.86, -0.1)
    """
    n = task.size
    if n <= 2 * (DEGREE + 1) or task.min() == task.max():
        return UNKNOWN
    drift = np.polynomial.legendre.legvander(np.linspace(-1, 1, n), DEGREE)[:, 1:]
    label = task - task.mean()
    fitted = np.linalg.qr(drift - drift.mean(axis=0))[0].T @ label
    share = float((fitted @ fitted) / (label @ label))
    cell = np.unique(2 * condition + task, return_inverse=True)[1].reshape(-1)
    within, residual = _less_means(drift, cell), _less_means(rate[:, None], cell)[:, 0]
    course = drift @ np.linalg.lstsq(within, residual)[0]
    difference = course[task == 0].mean() - course[task == 1].mean()
    mean = rate.mean()
    return Drift(share, float(difference / mean) if mean > 0 else 0.0)


def _less_means(values: npt.NDArray[np.floating[Any]], cell: Ints) -> Array:
    """Subtract the mean of each cell from values (trial, column)."""
    count = np.bincount(cell)
    means = np.stack([np.bincount(cell, column) / count for column in values.T], axis=1)
    less: Array = values - means[cell]
    return less
