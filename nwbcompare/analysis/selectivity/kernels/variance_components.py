"""Components of task variance by factor, from single trials in cells of unequal size.

A cell is one combination of the factors' levels. All trials of a cell share a row of the design,
so that counts, means and noise covariances of the cells hold all that a least-squares fit needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.variance import group_moments

Array = npt.NDArray[np.float64]
RANK_TOLERANCE = 1e-10
"""Eigenvalues of X'NX / n below this are 0; in a balanced design all are 1."""
CONFOUNDED = 1e-8
"""Squared share of a column in the null space from which it is confounded with others."""


@dataclass(frozen=True)
class Design:
    """Columns that are orthonormal over the cells of the balanced design.

    Attributes
    ----------
    columns
        ``(cell, column)``, the mean first; the mean over cells of each squared column is 1.
    term
        ``(column,)``: which term a column belongs to; -1 for the mean.
    n_terms
        Number of terms.
    """

    columns: Array
    term: npt.NDArray[np.int64]
    n_terms: int


@dataclass(frozen=True)
class Fit:
    """A least-squares fit for given numbers of trials, independent of the rates.

    Attributes
    ----------
    weights
        ``(column, cell)``: coefficients are ``weights @ cell_means``.
    estimable
        ``(column,)``: whether the cells with trials separate the column from the others.
    inflation
        ``(column,)``: the sampling variance over that in a balanced design of as many trials.
    """

    weights: Array
    estimable: npt.NDArray[np.bool_]
    inflation: Array


@dataclass(frozen=True)
class Components:
    """A unit's components in one task, each ``(term,)``; see `unit_components`."""

    raw: Array
    corrected: Array
    standard_error: Array
    noise_sd: Array
    inflation: Array


def contrasts(n_levels: int) -> Array:
    """Return Helmert contrasts: mean 0, mean square 1, orthogonal.

    Parameters
    ----------
    n_levels
        Levels of a factor.

    Returns
    -------
    numpy.ndarray
        ``(level, n_levels - 1)``.

    Examples
    --------
    >>> contrasts(2).ravel().tolist()
    [-1.0, 1.0]
    """
    matrix = np.zeros((n_levels, n_levels - 1))
    for j in range(1, n_levels):
        matrix[:j, j - 1], matrix[j, j - 1] = -1, j
        matrix[:, j - 1] *= np.sqrt(n_levels / (j * (j + 1)))
    return matrix


def balanced_design(n_levels: Sequence[int], terms: Sequence[Sequence[int]]) -> Design:
    """Return the design columns of terms over all combinations of levels.

    Parameters
    ----------
    n_levels
        Levels of each factor; cells run over their combinations, the last factor fastest.
    terms
        The factors of each term: one for a main effect, more for an interaction.

    Returns
    -------
    Design
        Columns over cells, the mean first.

    Examples
    --------
    >>> balanced_design([2, 3], [[0], [1], [0, 1]]).columns.shape
    (6, 6)
    """
    level = np.indices(tuple(n_levels)).reshape(len(n_levels), -1)
    columns, term = [np.ones((level.shape[1], 1))], [-1]
    for index, factors in enumerate(terms):
        product = columns[0]
        for factor in factors:
            main = contrasts(n_levels[factor])[level[factor]]
            product = (product[:, :, None] * main[:, None, :]).reshape(len(main), -1)
        columns.append(product)
        term += [index] * product.shape[1]
    return Design(np.concatenate(columns, axis=1), np.array(term), len(terms))


def _fit_cells(design: Design, count: Array) -> Fit:
    """Solve the normal equations for the numbers of trials ``(cell,)`` of each cell.

    A column is estimable where no combination of columns that vanishes in all cells with trials
    has a component in it; the generalised inverse does not change estimable coefficients.
    """
    n_trials = count.sum()
    weighted = design.columns * count[:, None] / n_trials
    values, vectors = np.linalg.eigh(design.columns.T @ weighted)
    lost = values < RANK_TOLERANCE
    basis = vectors[:, ~lost]
    inverse = basis / values[~lost] @ basis.T
    estimable = (vectors[:, lost] ** 2).sum(axis=1) < CONFOUNDED
    return Fit(inverse @ weighted.T, estimable, np.where(estimable, np.diag(inverse), np.inf))


def unit_components(
    rates: npt.NDArray[Any],
    cell: npt.NDArray[np.int64],
    design: Design,
    *,
    noisy: bool,
    fits: dict[bytes, Fit],
) -> Components:
    """Split one unit's variance in one task into the components of the design's terms.

    Parameters
    ----------
    rates
        ``(trial, time)``; NaN is not observed. At least one trial.
    cell
        ``(trial,)``: each trial's cell.
    design
        From `balanced_design`.
    noisy
        Whether trials of a cell differ by noise; if not, nothing is subtracted.
    fits
        Fits by numbers of trials, a cache that is filled here for units with the same trials.

    Returns
    -------
    Components
        ``raw``: the variance over the balanced design of each term's fitted contribution, mean
        over the times where it is estimable (NaN where there are none). ``corrected``: less what
        noise adds on average, the trace of the coefficients' covariance. ``standard_error`` of
        it, and ``noise_sd``, its standard deviation if the term had no effect. ``inflation``:
        mean over the term's columns, at the best time.

    Notes
    -----
    With coefficients b (one for each column and time), their covariance S, and T times, the
    component is ``b'b / T``. It has mean ``(beta'beta + tr S) / T`` and, for normal b, variance
    ``(4 beta'S beta + 2 tr S^2) / T^2``, estimated without bias by ``4 b'S b - 2 tr S^2`` and kept
    at or above its value for no effect, ``2 tr S^2``. S comes from the covariance over time of
    the trials within cells: each cell's own, so that no equal noise is assumed.

    Examples
    --------
    >>> design = balanced_design([2], [[0]])
    >>> rates, cell = np.array([[1.0], [1.0], [3.0]]), np.array([0, 0, 1])
    >>> unit_components(rates, cell, design, noisy=False, fits={}).raw.round(6).tolist()
    [1.0]
    """
    n_cells = len(design.columns)
    count, mean, _ = group_moments(rates, cell, n_cells, squares=False)
    mean = np.where(count > 0, mean, 0.0)
    patterns, pattern = np.unique(count, axis=1, return_inverse=True)
    fit_of_pattern = [_fit_of(design, column, fits) for column in patterns.T]
    pattern = pattern.reshape(-1)
    estimable = np.stack([_by_term(design, fit.estimable, np.min) > 0 for fit in fit_of_pattern])[
        pattern
    ]
    inflation = np.stack([_by_term(design, fit.inflation, np.mean) for fit in fit_of_pattern])
    coefficients = np.empty((count.shape[1], len(design.term)))
    for which, fit in enumerate(fit_of_pattern):
        coefficients[pattern == which] = (fit.weights @ mean[:, pattern == which]).T
    covariance = _mean_covariance(rates, cell, count, mean) if noisy else None
    components = np.full((4, design.n_terms), np.nan)
    for term in range(design.n_terms):
        times, columns = np.flatnonzero(estimable[:, term]), design.term == term
        if not times.size:
            continue
        of_term = coefficients[np.ix_(times, columns)]
        if covariance is None:
            raw = (of_term**2).sum() / times.size
            components[:, term] = raw, raw, 0.0, 0.0
        else:
            weights = np.stack([fit_of_pattern[which].weights[columns] for which in pattern[times]])
            components[:, term] = _noisy_component(
                of_term, weights, covariance[:, times][:, :, times]
            )
    return Components(
        components[0], components[1], components[2], components[3], inflation.min(axis=0)
    )


def _fit_of(design: Design, count: Array, fits: dict[bytes, Fit]) -> Fit:
    key = count.tobytes()
    if key not in fits:
        fits[key] = _fit_cells(design, count)
    return fits[key]


def _by_term(design: Design, values: npt.NDArray[Any], reduce: Any) -> Array:
    return np.array([reduce(values[design.term == term]) for term in range(design.n_terms)])


def _mean_covariance(
    rates: npt.NDArray[Any], cell: npt.NDArray[np.int64], count: Array, mean: Array
) -> Array:
    """Estimate the noise covariance over time ``(cell, time, time)`` of each cell's mean.

    A cell of one trial takes the covariance pooled over cells; NaN where no cell has two.
    """
    residuals = np.nan_to_num(rates - mean[cell])
    order = np.argsort(cell, kind="stable")
    bounds = np.cumsum(np.bincount(cell, minlength=len(count)))
    cross = np.stack([(rows := residuals[mine]).T @ rows for mine in np.split(order, bounds[:-1])])
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.where(count > 1, count * (count - 1), np.nan))
        of_cell = cross / (scale[:, :, None] * scale[:, None, :])
        freedom = np.sqrt(np.clip(count - 1, 0, None).sum(axis=0))
        pooled = cross.sum(axis=0) / (freedom[:, None] * freedom)
        root = np.sqrt(count)
        shared = pooled / (root[:, :, None] * root[:, None, :])
    covariance = np.where(np.isfinite(of_cell), of_cell, shared)
    empty = count == 0
    return np.where(empty[:, :, None] | empty[:, None, :], 0.0, covariance)


def _noisy_component(
    coefficients: Array, weights: Array, covariance: Array
) -> tuple[float, float, float, float]:
    """Compute a term's raw and corrected component, its standard error and its noise's s.d."""
    n_times = len(coefficients)
    raw = float((coefficients**2).sum()) / n_times
    if not np.isfinite(covariance).all():
        return raw, np.nan, np.nan, np.nan
    spread = np.einsum("tjc,ctu,ukc->tjuk", weights, covariance, weights)
    bias = float(np.einsum("tjtj->", spread))
    squared = float((spread**2).sum())
    linear = float(np.einsum("tj,tjuk,uk->", coefficients, spread, coefficients))
    variance = max(4 * linear - 2 * squared, 2 * squared)
    return (
        raw,
        raw - bias / n_times,
        float(np.sqrt(variance)) / n_times,
        float(np.sqrt(2 * squared)) / n_times,
    )
