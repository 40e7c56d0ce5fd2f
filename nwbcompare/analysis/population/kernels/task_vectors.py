"""Geometry of a few vectors: differences, cosines, principal axes; on plain arrays."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def squared_distances(vectors: Array) -> Array:
    """Compute the squared distances between vectors.

    Parameters
    ----------
    vectors
        ``(vector, unit)``.

    Returns
    -------
    numpy.ndarray
        ``(vector, vector)``. Computed from differences and not from products, so that equal vectors
        have a distance of exactly 0.

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 25.0], [25.0, 0.0]]
    """
    return np.stack([((vectors - vector) ** 2).sum(axis=1) for vector in vectors])


def composition_cosines(distances: Array, quadruples: Integers) -> Array:
    """Compute the cosine between a - b and c - d for quadruples of vectors.

    Parameters
    ----------
    distances
        From `squared_distances`.
    quadruples
        ``(quadruple, 4)``: places of a, b, c and d.

    Returns
    -------
    numpy.ndarray
        ``(quadruple,)``; NaN where a difference is 0.

    Notes
    -----
    ``2 (a - b) . (c - d) = |a - d|^2 + |b - c|^2 - |a - c|^2 - |b - d|^2``. The sums are
    bracketed so that exchanging the two differences, or reversing both, gives the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    >>> composition_cosines(squared_distances(square), np.array([[0, 1, 2, 3]])).tolist()
    [1.0]
    """
    a, b, c, d = quadruples.T
    # from distances alone, which are computed once for millions of quadruples
    product = (distances[a, d] + distances[b, c]) - (distances[a, c] + distances[b, d])
    lengths = np.sqrt(distances[a, b] * distances[c, d])
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: Array = np.clip(product / (2 * lengths), -1, 1)
    return cosines


def disjoint_quadruples(n_vectors: int) -> Integers:
    """Return the quadruples of different vectors, one per value that a cosine can have.

    The cosine between a - b and c - d is that between c - d and a - b, and that between b - a
    and d - c. Of the 24 orders of four vectors six remain: three pairings, each with two signs.

    Parameters
    ----------
    n_vectors
        Number of vectors.

    Returns
    -------
    numpy.ndarray
        ``(quadruple, 4)``: six for each choice of four vectors.

    Examples
    --------
    >>> disjoint_quadruples(17).shape
    (14280, 4)
    """
    choices = np.array(list(combinations(range(n_vectors), 4)), dtype=np.int64).reshape(-1, 4)
    orders = [(0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)]
    return choices[:, np.array(orders)].reshape(-1, 4)


def bootstrap_cosines(x: Array, y: Array, n_draws: int, rng: np.random.Generator) -> Array:
    """Compute the cosine of two vectors over units drawn with replacement.

    Parameters
    ----------
    x, y
        ``(unit,)``.
    n_draws
        Bootstrap draws.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(draw,)``; NaN where a drawn vector has length 0.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> bootstrap_cosines(x, 2 * x, 2, np.random.default_rng(0)).round(6).tolist()
    [1.0, 1.0]
    """
    counts = rng.multinomial(x.size, np.full(x.size, 1 / x.size), size=n_draws)
    xy, xx, yy = (counts @ np.stack([x * y, x * x, y * y], axis=1)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: Array = xy / np.sqrt(xx * yy)
    return cosines


def principal_axes(vectors: Array, n_axes: int) -> tuple[Array, Array, Array]:
    """Compute principal axes, rotated so that the first vector lies on +x and the second at y > 0.

    Further axes are unchanged; a single axis points towards the first vector.

    Parameters
    ----------
    vectors
        ``(vector, unit)``.
    n_axes
        Number of axes.

    Returns
    -------
    position, axes, shares : numpy.ndarray
        Positions about the mean ``(vector, axis)``; orthonormal axes ``(axis, unit)``; the
        share of variance of every principal component, before the rotation ``(component,)``.

    Examples
    --------
    >>> position, axes, shares = principal_axes(np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), 2)
    >>> bool(abs(position[0, 1]) < 1e-9), bool(position[1, 1] > 0)
    (True, True)
    """
    centred = vectors - vectors.mean(axis=0)
    _, sizes, components = np.linalg.svd(centred, full_matrices=False)
    axes: Array = components[:n_axes]
    # within the first two axes, whose common share of variance stays
    axes[:2] = _rotated(axes[:2], centred[:2] @ axes[:2].T)
    total = (sizes**2).sum()
    return centred @ axes.T, axes, sizes**2 / total if total > 0 else np.zeros_like(sizes)


def _rotated(axes: Array, first_two: Array) -> Array:
    """Rotate one or two axes by the positions of the first two vectors on them."""
    if len(axes) == 1:
        return -axes if first_two[0, 0] < 0 else axes
    x, y = first_two[0] / max(np.hypot(*first_two[0]), np.finfo(float).tiny)
    turn = np.array([[x, y], [-y, x]])
    if len(first_two) > 1 and (turn @ first_two[1])[1] < 0:
        # the sign of a principal axis is arbitrary: networks agree after a reflection
        turn[1] *= -1
    return turn @ axes
