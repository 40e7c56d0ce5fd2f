"""Surrogate tables without clusters: Gaussian copulas, and Gaussian tables for ePAIRS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Copula:
    """A Gaussian copula with the marginals of a table's columns and their rank correlations.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[1.0, 0.0], [2.0, 5.0], [3.0, 7.0]])
    >>> drawn = Copula.of(table).draw(np.random.default_rng(0))
    >>> np.sort(drawn, axis=0).tolist() == table.tolist()
    True
    """

    ordered: Array
    """``(row, column)``, each column sorted."""
    factor: Array
    """``(column, column)``; times its transpose it is the Gaussian's correlation."""

    @classmethod
    def of(cls, table: Array) -> Copula:
        """Fit the copula to a table ``(row, column)``."""
        # the correlation of a Gaussian with this rank correlation (Pearson 1907)
        gaussian = 2 * np.sin(np.pi / 6 * rank_correlation(table))
        return cls(np.sort(table, axis=0), square_root(gaussian))

    def draw(self, rng: np.random.Generator) -> Array:
        """Draw a table: each column is a permutation of the observed one."""
        gaussian = rng.standard_normal(self.ordered.shape) @ self.factor.T
        # sorting twice gives ranks
        rank = gaussian.argsort(axis=0).argsort(axis=0)
        return np.take_along_axis(self.ordered, rank, axis=0)


def rank_correlation(table: Array) -> Array:
    """Compute the Spearman correlation of the columns; 0 with a constant column.

    Parameters
    ----------
    table
        ``(row, column)``.

    Returns
    -------
    numpy.ndarray
        ``(column, column)``, 1 on the diagonal.

    Examples
    --------
    >>> rank_correlation(np.array([[1.0, 9.0], [2.0, 4.0], [3.0, 1.0]])).round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    centred = rankdata(table, axis=0).T
    centred -= centred.mean(axis=1, keepdims=True)
    unit = _of_unit_length(centred)
    correlation: Array = unit @ unit.T
    # a constant column would have 0 with itself
    np.fill_diagonal(correlation, 1)
    return correlation


def square_root(correlation: Array) -> Array:
    """Factorise the correlation matrix that is nearest to a symmetric matrix.

    Parameters
    ----------
    correlation
        ``(column, column)``, symmetric; need not be positive semidefinite, as rank correlations
        that were turned into Gaussian ones.

    Returns
    -------
    numpy.ndarray
        ``(column, column)``: A, such that ``A @ A.T`` is positive semidefinite with a diagonal
        of 1. Negative eigenvalues are set to 0.

    Examples
    --------
    >>> factor = square_root(np.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> (factor @ factor.T).round(6).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    values, vectors = np.linalg.eigh(correlation)
    # rank correlations turned Gaussian need not be positive semidefinite
    factor = vectors * np.sqrt(np.maximum(values, 0))
    scaled: Array = factor / np.linalg.norm(factor, axis=1, keepdims=True)
    return scaled


def mean_neighbour_angle(vectors: Array, n_neighbours: int) -> float:
    """Compute the mean angle between each vector and its nearest neighbours.

    Parameters
    ----------
    vectors
        ``(unit, column)``; one of length 0 is at a right angle to all others.
    n_neighbours
        Number of nearest neighbours.

    Returns
    -------
    float
        In rad.

    Examples
    --------
    >>> round(mean_neighbour_angle(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), 1), 4)
    0.5236
    """
    unit = _of_unit_length(vectors)
    cosine = unit @ unit.T
    # a unit is not a neighbour of itself
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.partition(cosine, -n_neighbours, axis=1)[:, -n_neighbours:]
    return float(np.arccos(np.clip(nearest, -1, 1)).mean())


def _of_unit_length(vectors: Array) -> Array:
    """Scale rows to length 1; rows of length 0 stay 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Array = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return scaled


def normal_scores(table: Array) -> Array:
    """Replace the values of each column by the normal quantiles of their ranks.

    Parameters
    ----------
    table
        ``(row, column)``.

    Returns
    -------
    numpy.ndarray
        ``(row, column)``; equal values share the mean of their ranks, so that a constant column
        becomes 0.

    Examples
    --------
    >>> normal_scores(np.array([[3.0], [1.0], [2.0]])).ravel().round(3).tolist()
    [0.967, -0.967, 0.0]
    """
    from scipy.special import ndtri  # noqa: PLC0415 - only where it is needed
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    # half a rank less, since the quantile of 1 is infinite
    scores: Array = ndtri((rankdata(table, axis=0) - 0.5) / len(table))
    return scores


def gaussian_like(table: Array, rng: np.random.Generator) -> Array:
    """Draw a Gaussian table with exactly the mean and the covariance of another.

    Parameters
    ----------
    table
        ``(row, column)``.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(row, column)``. For Gaussian rows its distribution is that of the table given its mean
        and covariance, so that no parameter has to be estimated.

    Examples
    --------
    >>> table = np.random.default_rng(0).random((5, 2))
    >>> drawn = gaussian_like(table, np.random.default_rng(1))
    >>> bool(np.allclose(np.cov(drawn.T), np.cov(table.T)))
    True
    """
    mean = table.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(table.T, ddof=0))
    # centred rows have no variance along their mean: that direction is left out
    positive = values > 1e-10 * values[-1]
    scale = np.sqrt(len(table) * values[positive])
    raw = rng.standard_normal((len(table), int(positive.sum())))
    white, upper = np.linalg.qr(raw - raw.mean(axis=0))
    # as in random_rotation: QR alone is not uniform
    white *= np.sign(np.diagonal(upper))
    draw: Array = mean + (white * scale) @ vectors[:, positive].T
    return draw
