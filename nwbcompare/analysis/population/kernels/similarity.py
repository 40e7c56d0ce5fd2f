"""Similarity of two sets of condition means, on plain arrays.

All measures but the correlation distance depend only on the Gram matrix of the conditions: the
products of the centred means, summed over units. It is small, invariant to rotations of the
units, and a sum over units, so that resampling them is cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LEAST_CONDITIONS = 4
"""With fewer conditions the debiased CKA is undefined."""


def gram(means: Array, weights: Array | None = None, noise: Array | None = None) -> Array:
    """Compute the Gram matrix of conditions, averaged over units, with each unit centred.

    Parameters
    ----------
    means
        ``(condition, unit)``.
    weights
        ``(unit,)``: how often each unit counts; by default once.
    noise
        ``(condition, unit)``: squared standard errors of the means. Independent noise adds
        them to the diagonal. They are subtracted, so that the result is unbiased; it may then
        have negative eigenvalues.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``; rows and columns sum to 0.

    Examples
    --------
    >>> gram(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    w = np.ones(means.shape[1]) if weights is None else weights
    x = means - means.mean(axis=0)
    product: Array = (x * w) @ x.T
    if noise is not None:
        product -= _centred(np.diag(noise @ w))
    # per unit, so that populations of different sizes can be compared
    product /= w.sum()
    return product


def _centred(matrix: Array) -> Array:
    rows = matrix - matrix.mean(axis=0)
    centred: Array = rows - rows.mean(axis=1, keepdims=True)
    return centred


def _distances_of_gram(products: Array) -> Array:
    """Compute squared distances ``(condition, condition)`` from a Gram matrix."""
    size = np.diagonal(products)
    distances: Array = size[:, None] + size - 2 * products
    # rounding leaves no exact zeros
    np.fill_diagonal(distances, 0.0)
    return distances


def squared_distances(means: Array) -> Array:
    """Compute squared Euclidean distances between conditions, per unit.

    Parameters
    ----------
    means
        ``(condition, unit)``.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``, divided by the number of units. Noise of the means adds
        their squared standard errors.

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 0.0], [1.0, 3.0]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    return _distances_of_gram(gram(means))


def correlation_distances(means: Array) -> Array:
    """Compute 1 - the correlation over units between conditions.

    Parameters
    ----------
    means
        ``(condition, unit)``.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``, from 0 to 2; NaN for a condition in which all units have the
        same rate.

    Examples
    --------
    >>> correlation_distances(np.array([[0.0, 1.0], [0.0, 3.0], [2.0, 0.0]])).round(6).tolist()
    [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
    """
    x = means - means.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    distances: Array = 1 - x @ x.T
    np.fill_diagonal(distances, 0.0)
    return distances


def crossvalidated_distances(first: Array, second: Array) -> Array:
    """Compute squared distances per unit that are free of noise on average.

    Parameters
    ----------
    first, second
        ``(condition, unit)``: means over two halves of the trials that share no trial.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``: differences in one half times those in the other, divided by
        the number of units. For two conditions that do not differ the expectation is 0, so that
        about half of such values are negative.

    Notes
    -----
    The crossnobis distance (Walther et al. 2016) with equal weights of the units: units that
    were recorded one after another have no noise covariance to weight them by.

    Examples
    --------
    >>> half = np.array([[0.0, 0.0], [1.0, 3.0]])
    >>> crossvalidated_distances(half, 2 * half).tolist()
    [[0.0, 10.0], [10.0, 0.0]]
    """
    product = first @ second.T / first.shape[1]
    return _distances_of_gram((product + product.T) / 2)


def upper(matrix: Array) -> Array:
    """Return the values above the diagonal, row by row.

    Parameters
    ----------
    matrix
        ``(condition, condition)``.

    Returns
    -------
    numpy.ndarray
        ``(pair,)``.

    Examples
    --------
    >>> upper(np.arange(9.0).reshape(3, 3)).tolist()
    [1.0, 2.0, 5.0]
    """
    return matrix[np.triu_indices(len(matrix), 1)]


def _cosine(a: Array, b: Array) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else float("nan")


def compare_distances(a: Array, b: Array) -> float:
    """Correlate the distances above the diagonals of two matrices (Pearson).

    Parameters
    ----------
    a, b
        ``(condition, condition)``.

    Returns
    -------
    float
        1 for matrices in proportion; NaN where one does not vary.

    Examples
    --------
    >>> distances = squared_distances(np.array([[0.0], [1.0], [3.0]]))
    >>> round(compare_distances(distances, 2 * distances), 6)
    1.0
    """
    x, y = upper(a), upper(b)
    return _cosine(x - x.mean(), y - y.mean())


def _doubly_centred(products: Array) -> Array:
    """Centre a Gram matrix without its diagonal (U-centring).

    ``sum(A * B)`` of two such matrices is n (n - 3) times the unbiased Hilbert-Schmidt
    independence criterion (Song et al. 2012; Székely & Rizzo 2014).
    """
    n = len(products)
    off = products - np.diag(np.diagonal(products))
    rows = off.sum(axis=0) / (n - 2)
    centred: Array = off - rows[:, None] - rows + off.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred


def _factor_of_gram(products: Array) -> Array:
    """Return A with ``A A' = products``; negative eigenvalues are rounding and count as 0."""
    # the Gram matrix fixes the means up to a rotation, which the measure ignores
    values, vectors = np.linalg.eigh(products)
    factor: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor


def _angle(x: Array, y: Array) -> float:
    """Compute the angle (rad) between two factors after the best rotation of one."""
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    overlap = float(np.linalg.svd(x.T @ y, compute_uv=False).sum())
    # the overlap is at most the norm, but for rounding
    return float(np.arccos(min(1.0, overlap / norm))) if norm > 0 else float("nan")


class Measure(NamedTuple):
    """A measure of similarity in two steps, of which the first is done once per population."""

    describe: Callable[[Array, Array, Array], Array]
    """Maps means and noise, ``(condition, unit)``, and weights, ``(unit,)``, to
    ``(condition, ...)``."""
    compare: Callable[[Any, Any], float]
    distance: bool
    """Whether smaller values mean more similar populations."""


MEASURES: dict[str, Measure] = {
    "rsa": Measure(
        lambda means, noise, weights: _distances_of_gram(gram(means, weights, noise)),
        compare_distances,
        distance=False,
    ),
    "cka": Measure(
        lambda means, noise, weights: _doubly_centred(gram(means, weights, noise)),
        _cosine,
        distance=False,
    ),
    "procrustes": Measure(
        lambda means, _, weights: _factor_of_gram(gram(means, weights)),
        _angle,
        distance=True,
    ),
}
"""The measures of `nwbcompare.population.compare_populations`, by name.

Representational similarity analysis (Kriegeskorte et al. 2008): the correlation of squared
distances. Linear centred kernel alignment (Kornblith et al. 2019), debiased by the estimator of
Song et al. 2012: without the products of a condition with itself, where trial noise lies and
which bring the biased measure near 1 for unrelated populations of many units. Procrustes angle
(Williams et al. 2021): with centred means X and Y ``arccos(|X'Y|_* / |X||Y|)``, where ``|.|_*``
is the sum of singular values; a metric on populations up to translation, rotation and scale.
All are NaN for a population that does not vary.
"""
