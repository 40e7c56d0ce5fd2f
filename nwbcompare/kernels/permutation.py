"""Permutations of labels of many units at once, means for permuted labels, and p values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]
TIE = 1e-9
"""Relative difference below which two statistics are tied."""


@dataclass(frozen=True)
class Alike:
    """Cells of one stratum with equal numbers of rows and of each label.

    A cell is one unit's rows in one stratum: those among which its labels are permuted.

    Attributes
    ----------
    stratum
        The stratum.
    units
        ``(cell,)``.
    rows
        ``(row, cell)``: the rows of each, in the order of their labels.
    sizes
        ``(label,)``: how many rows have each label.
    complete
        Whether every value of them was observed.
    """

    stratum: int
    units: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    complete: bool


def cells_alike(
    unit: Ints, stratum: Ints, label: Ints, n_labels: int, complete: npt.NDArray[np.bool_]
) -> list[Alike]:
    """Group rows into cells, and cells with the same numbers of labels.

    Parameters
    ----------
    unit, stratum, label
        ``(row,)``: the unit of a row, the stratum within which labels are permuted, and the label.
    n_labels
        Number of labels.
    complete
        ``(row,)``: whether all values of a row were observed.

    Returns
    -------
    list of Alike
        By stratum, then by number of rows.

    Examples
    --------
    >>> unit, label = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> (group,) = cells_alike(unit, unit * 0, label, 2, np.ones(4, dtype=bool))
    >>> group.units.tolist(), group.sizes.tolist(), group.rows.tolist()
    ([0, 1], [1, 1], [[0, 2], [1, 3]])
    """
    # rows of a cell in the order of labels, so that each label is a range of places
    order = np.lexsort((label, unit, stratum))
    unit, stratum, label = unit[order], stratum[order], label[order]
    first = np.ones(order.size, dtype=bool)
    first[1:] = (np.diff(unit) != 0) | (np.diff(stratum) != 0)
    starts = np.flatnonzero(first)
    codes = (np.cumsum(first) - 1) * n_labels + label
    sizes = np.bincount(codes, minlength=starts.size * n_labels).reshape(-1, n_labels)
    whole = np.logical_and.reduceat(complete[order], starts) if starts.size else complete
    # cells with equal keys are summed by one matrix product
    keys = np.column_stack([stratum[starts], sizes.sum(axis=1), sizes, whole])
    kinds, kind, n_alike = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    by_kind = np.split(np.argsort(kind.reshape(-1), kind="stable"), np.cumsum(n_alike)[:-1])
    return [
        Alike(
            stratum=int(key[0]),
            units=unit[starts[cells]].astype(np.int64),
            rows=order[starts[cells] + np.arange(key[1])[:, None]],
            sizes=key[2:-1],
            complete=bool(key[-1]),
        )
        # without any kind numpy still splits into one part
        for key, cells in zip(kinds, by_kind, strict=False)
    ]


def _nested_places(
    sizes: Sequence[int], n_permutations: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int16]]:
    """Draw random permutations of several sizes, each grown from the one before.

    Parameters
    ----------
    sizes
        Numbers of rows, ascending.
    n_permutations
        Number of permutations.
    rng
        Source of randomness.

    Yields
    ------
    numpy.ndarray
        ``(row, permutation)``: the place of each row, uniform over all permutations of a size;
        a view that the next one overwrites.

    Notes
    -----
    Inside-out Fisher-Yates: a new row takes a random place, and the row that held it goes to
    the end. All sizes cost as much as the largest.
    """
    most = sizes[-1]
    # halves the memory that is moved
    kind = np.int16 if most < np.iinfo(np.int16).max else np.int32
    place = np.empty((most, n_permutations), dtype=kind)
    row_at = np.empty((most, n_permutations), dtype=np.int64)
    # inside-out Fisher-Yates: the first n places are a uniform shuffle of n
    taken = rng.integers(np.arange(1, most + 1)[:, None], size=(most, n_permutations))
    column, n_rows = np.arange(n_permutations), 0
    for size in sizes:
        for row in range(n_rows, size):
            row_at[row] = row
            moved = row_at[taken[row], column]
            row_at[row], place[moved, column] = moved, row
            row_at[taken[row], column], place[row] = row, taken[row]
        n_rows = size
        yield place[:size]


def shuffled(
    groups: Sequence[Alike], n_permutations: int, rng: np.random.Generator
) -> Iterator[tuple[Alike, npt.NDArray[np.int64], Ints]]:
    """Permute the labels of each cell.

    Parameters
    ----------
    groups
        From `cells_alike`.
    n_permutations
        Number of permutations.
    rng
        Source of randomness.

    Yields
    ------
    group, rows, place
        The cells; their rows ``(row, cell)``, in a random order per cell; and the place ``(row,
        permutation)`` of each row among the sorted labels: ``np.repeat(labels,
        group.sizes)[place]`` are the permuted labels. The next item overwrites ``place``.

    Notes
    -----
    Drawing permutations takes much longer than the sums of permuted rows. Each stratum therefore
    has one pool of permutations, of which a cell of n rows uses the first n places, and the rows of
    each cell are shuffled once. For each cell the permutations are uniform and mutually
    independent; for each permutation the cells are independent. Two permutations differ by the same
    shuffle in equal cells of a stratum: statistics that are summed over units are uncorrelated
    between permutations, but not strictly independent.

    Examples
    --------
    >>> unit, label = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> groups = cells_alike(unit, unit * 0, label, 2, np.ones(4, dtype=bool))
    >>> ((group, rows, place),) = shuffled(groups, 5, np.random.default_rng(0))
    >>> rows.shape, np.sort(place, axis=0).tolist()
    ((2, 2), [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    """
    for _, together in groupby(groups, key=lambda group: group.stratum):
        in_stratum = list(together)
        sizes = list(dict.fromkeys(len(group.rows) for group in in_stratum))
        pool = _nested_places(sizes, n_permutations, rng)
        n_rows, place = 0, np.empty((0, n_permutations), dtype=np.int16)
        for group in in_stratum:
            if len(group.rows) != n_rows:
                n_rows, place = len(group.rows), next(pool)
            yield group, rng.permuted(group.rows, axis=0), place


def unshuffled(groups: Sequence[Alike]) -> Iterator[tuple[Alike, npt.NDArray[np.int64], Ints]]:
    """Yield what `shuffled` yields, for the true labels: one permutation.

    Parameters
    ----------
    groups
        From `cells_alike`.

    Yields
    ------
    group, rows, place
        As `shuffled`, with ``place (row, 1)`` in order.

    Examples
    --------
    >>> unit, label = np.array([0, 0]), np.array([1, 0])
    >>> groups = cells_alike(unit, unit * 0, label, 2, np.ones(2, dtype=bool))
    >>> [rows.tolist() for _, rows, _ in unshuffled(groups)]
    [[[1], [0]]]
    """
    for group in groups:
        yield group, group.rows, np.arange(len(group.rows))[:, None]


def _label_sums(values: Array, place: Ints, sizes: Ints) -> Array:
    """Sum the rows that have each label, for all permutations by matrix products (float64).

    Parameters
    ----------
    values
        ``(row, column)``, without NaN.
    place
        ``(row, permutation)``: the place of each row among the sorted labels.
    sizes
        ``(label,)``: how many rows have each label.

    Returns
    -------
    numpy.ndarray
        ``(label, column, permutation)``. The last label's are the total less the others.

    Examples
    --------
    >>> _label_sums(np.array([[1.0], [2.0], [4.0]]), np.array([[2], [0], [1]]), np.array([2, 1]))
    array([[[6.]],
    <BLANKLINE>
           [[1.]]])
    """
    sums = np.empty((len(sizes), values.shape[1], place.shape[1]))
    # the last label follows from the sum, which saves a product
    sums[-1] = values.sum(axis=0)[:, None]
    stop = 0
    for sum_of_label, size in zip(sums[:-1], sizes, strict=False):
        start, stop = stop, stop + int(size)
        member = place < stop
        if start:
            member &= place >= start
        np.matmul(values.T, member.astype(np.float64), out=sum_of_label)
        sums[-1] -= sum_of_label
    return sums


def label_means(
    values: npt.NDArray[np.floating[Any]],
    labelled: Iterator[tuple[Alike, npt.NDArray[np.int64], Ints]],
    shape: tuple[int, int, int, int],
) -> Array:
    """Average each unit's rows of each label in each stratum.

    Parameters
    ----------
    values
        ``(row, time)``; NaN means not observed and is left out.
    labelled
        From `shuffled` or `unshuffled`.
    shape
        Numbers of units, strata, labels and permutations.

    Returns
    -------
    numpy.ndarray
        ``(unit, stratum, label, time, permutation)``; NaN where nothing was observed.

    Examples
    --------
    >>> unit, label = np.array([0, 0, 0]), np.array([0, 1, 1])
    >>> groups = cells_alike(unit, unit * 0, label, 2, np.ones(3, dtype=bool))
    >>> values = np.array([[1.0], [2.0], [4.0]])
    >>> label_means(values, unshuffled(groups), (1, 1, 2, 1)).ravel().tolist()
    [1.0, 3.0]
    """
    n_units, n_strata, n_labels, n_permutations = shape
    n_times = values.shape[1]
    means = np.empty((n_units, n_strata, n_labels, n_times, n_permutations))
    lacking = np.ones((n_units, n_strata), dtype=bool)
    for group, rows, place in labelled:
        rates = values[rows].astype(np.float64).reshape(len(rows), -1)
        count: Array = group.sizes[:, None, None].astype(np.float64)
        if not group.complete:
            observed = np.isfinite(rates)
            rates = np.where(observed, rates, 0.0)
            # sums of zeros and ones are exact, also as differences
            count = _label_sums(observed.astype(np.float64), place, group.sizes)
        sums = _label_sums(rates, place, group.sizes)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums /= count
        if not count.all():
            sums[np.broadcast_to(count == 0, sums.shape)] = np.nan
        by_cell = sums.reshape(n_labels, group.units.size, n_times, n_permutations)
        means[group.units, group.stratum] = by_cell.swapaxes(0, 1)
        lacking[group.units, group.stratum] = False
    means[lacking] = np.nan
    return means


def random_rotation(size: int, rng: np.random.Generator, n_columns: int | None = None) -> Array:
    """Draw a random orthogonal matrix, uniform over all of them (Haar), or its first columns.

    Parameters
    ----------
    size
        Rows.
    rng
        Source of randomness.
    n_columns
        Orthonormal columns; by default as many as rows.

    Returns
    -------
    numpy.ndarray
        ``(size, n_columns)``.

    Notes
    -----
    The QR decomposition of a Gaussian matrix, with the signs of R's diagonal moved to Q, without
    which Q is not uniform (Mezzadri 2007).

    Examples
    --------
    >>> rotation = random_rotation(3, np.random.default_rng(0))
    >>> bool(np.allclose(rotation @ rotation.T, np.eye(3)))
    True
    """
    orthogonal, upper = np.linalg.qr(rng.standard_normal((size, n_columns or size)))
    rotation: Array = orthogonal * np.sign(np.diagonal(upper))
    return rotation


def reaches(null: npt.ArrayLike, observed: npt.ArrayLike, axis: int = 0) -> npt.NDArray[np.bool_]:
    """Return where statistics of a null are at least as large as the observed one.

    Equal statistics differ by rounding, which must not decide a test: differences below 1e-9 of
    the largest statistic count as ties.

    Parameters
    ----------
    null
        Statistics under the null hypothesis; draws along ``axis``.
    observed
        The observed statistic, broadcast against ``null``.
    axis
        The axis of the draws.

    Returns
    -------
    numpy.ndarray
        Of the shape of ``null``; False where it is NaN.

    Examples
    --------
    >>> reaches([0.1, 0.3 - 1e-16, 0.2], 0.1 + 0.2)
    array([False,  True, False])
    """
    null, observed = np.asarray(null, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    largest = np.nanmax(np.abs(null), axis=axis, keepdims=True, initial=0.0)
    as_large: npt.NDArray[np.bool_] = null >= observed - TIE * np.fmax(largest, np.abs(observed))
    return as_large


def p_values(as_far: npt.NDArray[np.bool_], axis: int = 0) -> Array:
    """Compute (1 + b) / (1 + B), where b of B draws are at least as extreme as the observation.

    Never 0, and valid as it stands: the observation counts as a draw (Phipson & Smyth 2010).

    Parameters
    ----------
    as_far
        ``(..., draw, ...)``: whether a draw is at least as extreme.
    axis
        The axis of the draws.

    Returns
    -------
    numpy.ndarray
        p values, without the axis of the draws.

    Examples
    --------
    >>> p_values(np.array([[True, False], [False, False], [True, False]])).tolist()
    [0.75, 0.25]
    """
    return np.asarray((1 + as_far.sum(axis=axis)) / (1 + as_far.shape[axis]))


def p_value(as_far: npt.NDArray[np.bool_]) -> float:
    """Compute the p value of one observation; see `p_values`.

    Parameters
    ----------
    as_far
        ``(draw,)``: whether a draw is at least as extreme.

    Returns
    -------
    float

    Examples
    --------
    >>> p_value(np.array([True, False, False]))
    0.5
    """
    return float(p_values(as_far.ravel()))
