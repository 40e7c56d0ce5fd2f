"""How alike two sets of condition means are, on plain arrays.

All but the correlation distance need only the conditions' Gram matrix, products of the centred
means summed over units: it is small, blind to rotations of the units, and a sum over units, so
that bootstraps and permutations are cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LEAST_CONDITIONS = 4
"""Fewer leave the debiased CKA undefined."""


def gram(means: Array, weights: Array | None = None, noise: Array | None = None) -> Array:
    """Give the products of conditions, averaged over units, after centring each unit.

    Parameters
    ----------
    means
        ``(condition, unit)``.
    weights
        ``(unit,)``: how often each unit counts; by default once.
    noise
        ``(condition, unit)``: squared standard errors of the means. Independent noise adds
        them to the diagonal, from which they are taken, so that the result is unbiased; it
        may then have negative eigenvalues.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``, rows and columns of sum 0.
    """
    w = np.ones(means.shape[1]) if weights is None else weights
    x = means - means.mean(axis=0)
    product: Array = (x * w) @ x.T
    if noise is not None:
        product -= _centred(np.diag(noise @ w))
    product /= w.sum()
    return product


def _centred(matrix: Array) -> Array:
    rows = matrix - matrix.mean(axis=0)
    centred: Array = rows - rows.mean(axis=1, keepdims=True)
    return centred


def _distances_of_gram(products: Array) -> Array:
    """Give squared distances ``(condition, condition)`` from products of conditions."""
    size = np.diagonal(products)
    distances: Array = size[:, None] + size - 2 * products
    np.fill_diagonal(distances, 0.0)
    return distances


def squared_distances(means: Array) -> Array:
    """Give squared Euclidean distances of conditions, divided by the number of units.

    Parameters
    ----------
    means
        ``(condition, unit)``.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``. Noise of the means adds their squared standard errors.
    """
    return _distances_of_gram(gram(means))


def correlation_distances(means: Array) -> Array:
    """Give 1 - the correlation over units of each two conditions; see `squared_distances`.

    NaN for a condition in which all units have the same rate.
    """
    x = means - means.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    distances: Array = 1 - x @ x.T
    np.fill_diagonal(distances, 0.0)
    return distances


def crossvalidated_distances(first: Array, second: Array) -> Array:
    """Give squared distances whose expectation is free of noise, divided by the number of units.

    Parameters
    ----------
    first, second
        ``(condition, unit)``: means over two halves of the trials that share none.

    Returns
    -------
    numpy.ndarray
        ``(condition, condition)``: differences in one half times those in the other. Around 0
        where two conditions do not differ, so negative about half of the time.

    Notes
    -----
    The crossnobis distance (Walther et al. 2016) with all units weighed alike: trials of single
    units recorded one by one say nothing of covariances of noise.
    """
    product = first @ second.T / first.shape[1]
    return _distances_of_gram((product + product.T) / 2)


def upper(matrix: Array) -> Array:
    """Give the values above the diagonal, row by row."""
    values: Array = matrix[np.triu_indices(len(matrix), 1)]
    return values


def _pearson(a: Array, b: Array) -> float:
    return _cosine(a - a.mean(), b - b.mean())


def _spearman(a: Array, b: Array) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    return _pearson(rankdata(a), rankdata(b))


def _cosine(a: Array, b: Array) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else float("nan")


RDM_COMPARISONS: dict[str, Callable[[Array, Array], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "cosine": _cosine,
}
"""Ways to compare what stands above the diagonals of two distance matrices, by name."""


def compare_distances(a: Array, b: Array, how: str = "pearson") -> float:
    """Compare two matrices of distances by what stands above their diagonals.

    Parameters
    ----------
    a, b
        ``(condition, condition)``.
    how
        A name in `RDM_COMPARISONS`. The cosine knows a true zero: use it for cross-validated
        distances.

    Returns
    -------
    float
        1 for matrices in proportion; NaN where one does not vary.
    """
    return RDM_COMPARISONS[how](upper(a), upper(b))


def linear_cka(a: Array, b: Array, *, debiased: bool = True) -> float:
    """Give the linear centred kernel alignment of two populations.

    Parameters
    ----------
    a, b
        ``(condition, unit)`` of the same conditions.
    debiased
        Whether to leave the products of a condition with itself out. With more units than
        conditions the biased one is near 1 for unrelated populations, and trial noise of the
        means stands on the diagonal only.

    Returns
    -------
    float
        1 for populations that are the same up to rotation and scale, NaN where one does not
        vary. The debiased one has expectation near 0 for unrelated populations and can be
        negative.

    Notes
    -----
    Kornblith et al. 2019; debiased with the estimator of Song et al. 2012, which needs 4
    conditions.
    """
    centre = _doubly_centred if debiased else _centred
    return _cosine(centre(gram(a)), centre(gram(b)))


def _doubly_centred(products: Array) -> Array:
    """Centre products of conditions by those above and below the diagonal alone (U-centring).

    ``sum(A * B)`` of two such matrices is n (n - 3) times the unbiased Hilbert-Schmidt
    independence criterion (Song et al. 2012; Székely & Rizzo 2014).
    """
    n = len(products)
    off = products - np.diag(np.diagonal(products))
    rows = off.sum(axis=0) / (n - 2)
    centred: Array = off - rows[:, None] - rows + off.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred


def procrustes_distance(a: Array, b: Array, *, scaled: bool = True) -> float:
    """Give the distance of two populations that is left when one is rotated onto the other.

    Parameters
    ----------
    a, b
        ``(condition, unit)`` of the same conditions; the smaller population is filled up with
        silent units.
    scaled
        Whether both are scaled to unit size first: the distance is then an angle (rad), from 0
        to pi / 2. Otherwise a difference in size counts.

    Returns
    -------
    float
        A metric on populations up to translation and rotation (and scale). NaN where one does
        not vary and ``scaled``.

    Notes
    -----
    Williams et al. 2021: with centred means X and Y, ``sqrt(|X|^2 + |Y|^2 - 2 |X'Y|_*)``, or
    ``arccos(|X'Y|_* / |X||Y|)``, where ``|.|_*`` is the sum of singular values.
    """
    x, y = (factor_of_gram(gram(m) * m.shape[1]) for m in (a, b))
    if scaled:
        return _angle(x, y)
    # the sum of singular values is at most the product of the sizes, but for rounding
    squared = np.square(x).sum() + np.square(y).sum() - 2 * _overlap(x, y)
    return float(np.sqrt(max(0.0, squared)))


def factor_of_gram(products: Array) -> Array:
    """Give A with ``A A' = products``; negative eigenvalues are rounding and count as 0."""
    values, vectors = np.linalg.eigh(products)
    factor: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor


def _overlap(x: Array, y: Array) -> float:
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum())


def _angle(x: Array, y: Array) -> float:
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.arccos(min(1.0, _overlap(x, y) / norm))) if norm > 0 else float("nan")


class Measure(NamedTuple):
    """A measure of similarity in two steps, the first of which is done once a population."""

    describe: Callable[[Array, Array, Array], Array]
    """(means, noise, weights) to what is compared, ``(condition, ...)``."""
    compare: Callable[[Any, Any], float]
    square: bool
    """Whether columns of what is compared are conditions too."""
    distance: bool
    """Whether small values mean alike."""


MEASURES: dict[str, Measure] = {
    "rsa": Measure(
        lambda means, noise, weights: _distances_of_gram(gram(means, weights, noise)),
        compare_distances,
        square=True,
        distance=False,
    ),
    "cka": Measure(
        lambda means, noise, weights: _doubly_centred(gram(means, weights, noise)),
        _cosine,
        square=True,
        distance=False,
    ),
    "procrustes": Measure(
        lambda means, _, weights: factor_of_gram(gram(means, weights)),
        _angle,
        square=False,
        distance=True,
    ),
}
"""The measures of `nwbcompare.population.compare_populations` by name."""


def permuted(described: Array, order: npt.NDArray[np.integer[Any]], *, square: bool) -> Array:
    """Change the order of the conditions of what a `Measure` describes."""
    rows: Array = described[order]
    return rows[:, order] if square else rows
