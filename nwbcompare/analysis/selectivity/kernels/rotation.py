"""Task variance and FTV of randomly rotated units, from the covariance of the units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.kernels.threads import one_thread
from nwbcompare.kernels.variance import fractional_variance

Array = npt.NDArray[np.float64]
TOLERANCE = 1e-12
"""Eigenvalues below this share of the largest are taken for rounding and left out."""
BLOCK_COLUMNS = 32
"""Columns of the triangular factors that go together; fewer skip more of their zeros."""


@dataclass(frozen=True)
class Factors:
    """Covariances ``(task, unit, unit)``, each as a triangle times its transpose.

    ``blocks`` holds the first row and ``(rows from there on, task * columns)`` of each block of
    columns: what lies above the diagonal is 0 and not multiplied.
    """

    n_tasks: int
    blocks: tuple[tuple[int, Array], ...]


def factorise(covariances: Sequence[Array] | Array) -> Factors:
    """Factorise covariances for `mixed_variances`.

    Parameters
    ----------
    covariances
        ``(task, unit, unit)``, symmetric, without negative eigenvalues but for rounding.

    Returns
    -------
    Factors
        The triangles, in blocks of columns.

    Notes
    -----
    Eigenvalues below 1e-12 of a task's largest are left out, which changes the variance of no
    mixture of length 1 by more than that. The triangle is that of a QR decomposition, which
    exists for any rank (constant units, fewer samples than units); it halves the products.

    Examples
    --------
    >>> factorise([np.eye(3), np.diag([1.0, 2.0, 0.0])]).n_tasks
    2
    """
    triangles = [_triangle(covariance) for covariance in covariances]
    rank = max(triangle.shape[1] for triangle in triangles)
    blocks = []
    for start in range(0, rank, BLOCK_COLUMNS):
        parts = [triangle[start:, start : start + BLOCK_COLUMNS] for triangle in triangles]
        # tasks of lower rank are padded, so that one product serves all tasks
        width = max(part.shape[1] for part in parts)
        padded = [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]
        blocks.append((start, np.concatenate(padded, axis=1)))
    return Factors(len(triangles), tuple(blocks))


def _triangle(covariance: Array) -> Array:
    """Factorise a covariance as a lower triangle ``(unit, rank)`` times its transpose."""
    values, vectors = np.linalg.eigh(covariance)
    positive = values > TOLERANCE * values[-1]
    factor = vectors[:, positive] * np.sqrt(values[positive])
    return np.asarray(np.linalg.qr(factor.T, mode="r")).T


def mixed_variances(weights: Array, factors: Factors) -> Array:
    """Compute the variance of mixtures of units in each task.

    Parameters
    ----------
    weights
        ``(mixture, unit)``; the rows of a rotation, for instance.
    factors
        From `factorise`.

    Returns
    -------
    numpy.ndarray
        ``(task, mixture)``: ``diag(weights @ covariance @ weights.T)`` of each task.

    Examples
    --------
    >>> import numpy as np
    >>> factors = factorise([np.diag([1.0, 4.0])])
    >>> mixed_variances(np.array([[1.0, 0.0], [0.6, 0.8]]), factors).round(2).tolist()
    [[1.0, 2.92]]
    """
    total = np.zeros((len(weights), factors.n_tasks))
    for start, block in factors.blocks:
        product = (weights[:, start:] @ block).reshape(len(weights), factors.n_tasks, -1)
        total += np.einsum("mtc,mtc->mt", product, product)
    return np.ascontiguousarray(total.T)


def pair_places(n_tasks: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first and the second task of every pair, in task order.

    Parameters
    ----------
    n_tasks
        Number of tasks.

    Returns
    -------
    first, second : numpy.ndarray
        ``(pair,)`` each: places of the tasks.

    Examples
    --------
    >>> [place.tolist() for place in pair_places(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.triu_indices(n_tasks, 1)


def histograms(fractions: Array, edges: Array) -> npt.NDArray[np.int64]:
    """Count the values of each row in evenly spaced bins, as `numpy.histogram` does one row.

    Parameters
    ----------
    fractions
        ``(row, unit)``, within the edges or NaN (not counted).
    edges
        ``(bin + 1,)``, evenly spaced; the last bin holds its upper edge too.

    Returns
    -------
    numpy.ndarray
        ``(row, bin)``.

    Examples
    --------
    >>> fractions = np.array([[-1.0, 0.2, np.nan], [1.0, 1.0, 0.0]])
    >>> histograms(fractions, np.array([-1.0, 0.0, 1.0])).tolist()
    [[1, 1], [0, 3]]
    """
    n_rows, n_bins = len(fractions), edges.size - 1
    counted = np.isfinite(fractions)
    values = fractions[counted]
    place = ((values - edges[0]) * (n_bins / (edges[-1] - edges[0]))).astype(np.intp)
    np.minimum(place, n_bins - 1, out=place)
    # rounding of the product can cross an edge: compare with the edges themselves
    place -= values < edges[place]
    place += (values >= edges[place + 1]) & (place < n_bins - 1)
    row = np.nonzero(counted)[0]
    counts = np.bincount(row * n_bins + place, minlength=n_rows * n_bins)
    return counts.reshape(n_rows, n_bins).astype(np.int64)


def spread(fractions: Array) -> tuple[Array, Array]:
    """Compute the mean and the standard deviation (ddof 0) of each row, without NaN.

    Parameters
    ----------
    fractions
        ``(row, unit)``; NaN is not counted.

    Returns
    -------
    mean, sd : numpy.ndarray
        ``(row,)`` each; NaN for a row without values.

    Examples
    --------
    >>> [moment.tolist() for moment in spread(np.array([[-1.0, 1.0, np.nan]]))]
    [[0.0], [1.0]]
    """
    counted = np.isfinite(fractions)
    n_counted = counted.sum(axis=1)
    values = np.where(counted, fractions, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values.sum(axis=1) / n_counted
        deviations = np.where(counted, fractions - mean[:, None], 0.0)
        sd = np.sqrt(np.einsum("pu,pu->p", deviations, deviations) / n_counted)
    return mean, sd


def pair_summary(
    variances: Array, edges: Array, *, threshold: float
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    """Compute the histogram, mean and standard deviation of FTV of each pair of tasks.

    Parameters
    ----------
    variances
        ``(task, unit)``.
    edges
        Edges of the bins.
    threshold
        Units whose two variances sum to no more are not counted.

    Returns
    -------
    histogram, mean, sd : numpy.ndarray
        ``(pair, bin)``, ``(pair,)`` and ``(pair,)``, pairs as in `pair_places`.

    Examples
    --------
    >>> variances, edges = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-1.0, 0.0, 1.0])
    >>> histogram, mean, sd = pair_summary(variances, edges, threshold=1e-3)
    >>> histogram.tolist(), mean.tolist(), sd.tolist()
    ([[1, 1]], [0.0], [1.0])
    """
    first, second = pair_places(len(variances))
    fractions, _ = fractional_variance(variances[first], variances[second], threshold=threshold)
    return histograms(fractions, edges), *spread(fractions)


def rotated_summaries(
    factors: Factors,
    edges: Array,
    *,
    n_units: int,
    n_rotations: int,
    seed: int,
    threshold: float,
    n_jobs: int,
) -> Iterator[tuple[npt.NDArray[np.int64], Array, Array]]:
    """Compute `pair_summary` of the units after each of many random rotations, in order.

    Parameters
    ----------
    factors
        From `factorise`.
    edges, threshold
        See `pair_summary`.
    n_units
        Number of units.
    n_rotations, seed
        Random rotations and their seed.
    n_jobs
        Threads.

    Yields
    ------
    histogram, mean, sd
        From `pair_summary`, one rotation after another.

    Notes
    -----
    Every rotation has a random stream of its own and is computed by one thread, so that neither the
    number of threads nor that of rotations changes its result.

    Examples
    --------
    >>> factors, edges = factorise([np.eye(2), np.diag([1.0, 0.0])]), np.array([-1.0, 0.0, 1.0])
    >>> len(list(rotated_summaries(factors, edges, n_units=2, n_rotations=3, seed=0, threshold=0.0,
    ...                            n_jobs=1)))
    3
    """

    def summarise(
        stream: np.random.SeedSequence,
    ) -> tuple[npt.NDArray[np.int64], Array, Array]:
        rotation = random_rotation(n_units, np.random.default_rng(stream))
        return pair_summary(mixed_variances(rotation, factors), edges, threshold=threshold)

    streams = np.random.SeedSequence(seed).spawn(n_rotations)
    # numpy releases the interpreter lock inside its products
    with one_thread(), ThreadPoolExecutor(n_jobs) as pool:
        yield from pool.map(summarise, streams)
