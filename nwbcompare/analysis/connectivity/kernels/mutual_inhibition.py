"""Mean weights over pairs of units, for true and for permuted groups of units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
DRAWS_AT_ONCE = 2000
"""Bounds the memory: a draw of 256 units takes some 10 kB."""


class PairMean(NamedTuple):
    """A mean over pairs of units."""

    mean: float
    standard_error: float
    n_pairs: int


def mean_over_pairs(weights: Array, pairs: Mask) -> PairMean:
    """Compute the mean weight over pairs of units, with its standard error over units.

    Parameters
    ----------
    weights
        ``(unit, unit)``, from row to column.
    pairs
        ``(unit, unit)``: which pairs count.

    Returns
    -------
    PairMean
        Mean and standard error are NaN without pairs; the error is also NaN where one unit is in
        all pairs.

    Notes
    -----
    Pairs that share a unit are not independent. The standard error is therefore a jackknife
    estimate over units: each unit is left out once, with all its pairs.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]])
    >>> mean_over_pairs(weights, ~np.eye(3, dtype=bool)).mean
    3.5
    """
    n_pairs = int(pairs.sum())
    if not n_pairs:
        return PairMean(np.nan, np.nan, 0)
    in_pairs = np.where(pairs, weights, 0.0)
    total = in_pairs.sum()
    lost, lost_pairs = _touching(in_pairs), _touching(pairs.astype(np.float64))
    units = lost_pairs > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (total - lost[units]) / (n_pairs - lost_pairs[units])
    n_units = int(units.sum())
    # leaving out a unit that is in every pair leaves no pair: 0 / 0, an unknown error
    spread = (n_units - 1) / n_units * ((without - total / n_pairs) ** 2).sum()
    defined = bool((lost_pairs[units] < n_pairs).all())
    return PairMean(float(total / n_pairs), float(np.sqrt(spread)) if defined else np.nan, n_pairs)


def _touching(matrix: Array) -> Array:
    """Sum over each unit's row and column; what lies in both counts once."""
    touching: Array = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diagonal(matrix)
    return touching


def _means_between(weights: Array, pairs: Mask, in_second: Mask) -> Array:
    """Compute the mean weights within and between two groups, for many assignments of the units.

    Parameters
    ----------
    weights, pairs
        As in `mean_over_pairs`.
    in_second
        ``(draw, unit)``: which units are in the second group; the others are in the first.

    Returns
    -------
    numpy.ndarray
        ``(draw, group_from, group_to)``; NaN where there is no pair.

    Notes
    -----
    Sum and number of pairs are quadratic forms of the groups' indicators, ``g1 @ A @ g2``, so
    all draws are a matrix product.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[0.0, 1.0], [2.0, 0.0]])
    >>> _means_between(weights, np.ones((2, 2), dtype=bool), np.array([[False, True]])).tolist()
    [[[0.0, 1.0], [2.0, 0.0]]]
    """
    # as numbers, whose products count pairs
    groups = np.stack([~in_second, in_second]).astype(np.float64)

    def sums(matrix: Array) -> Array:
        total: Array = np.einsum("fdu,tdu->dft", groups @ matrix, groups)
        return total

    with np.errstate(invalid="ignore"):
        return sums(np.where(pairs, weights, 0.0)) / sums(pairs.astype(np.float64))


def inhibition_statistic(means: Array) -> Array:
    """Compute W12 + W21 - W11 - W22.

    Parameters
    ----------
    means
        ``(..., group_from, group_to)``: mean weights of two groups.

    Returns
    -------
    numpy.ndarray
        ``(...)``; negative for inhibition between the groups.

    Examples
    --------
    >>> float(inhibition_statistic(np.array([[1.0, -1.0], [-1.0, 1.0]])))
    -4.0
    """
    return means[..., 0, 1] + means[..., 1, 0] - means[..., 0, 0] - means[..., 1, 1]


def permuted_statistic(
    weights: Array,
    pairs: Mask,
    in_second: Mask,
    bins: npt.NDArray[np.integer],
    *,
    n_permutations: int,
    rng: np.random.Generator,
) -> Array:
    """Compute the inhibition statistic for groups permuted among the units of each bin.

    Parameters
    ----------
    weights, pairs
        As in `mean_over_pairs`.
    in_second
        ``(unit,)``: which units are in the second group.
    bins
        ``(unit,)``: units are exchanged only with those of the same bin, so that each bin
        keeps its number of units of each group.
    n_permutations
        Number of permutations.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(permutation,)``; NaN where a permutation leaves no pair in one of the four means.

    Examples
    --------
    >>> pairs, in_second = ~np.eye(4, dtype=bool), np.array([0, 0, 1, 1], dtype=bool)
    >>> permuted_statistic(np.ones((4, 4)), pairs, in_second, np.zeros(4, dtype=int),
    ...                    n_permutations=2, rng=np.random.default_rng(0))
    array([0., 0.])
    """
    statistic = np.empty(n_permutations)
    # in pieces, to bound the memory
    for start in range(0, n_permutations, DRAWS_AT_ONCE):
        part = statistic[start : start + DRAWS_AT_ONCE]
        draws = _shuffled_within(in_second, bins, n_draws=part.size, rng=rng)
        part[:] = inhibition_statistic(_means_between(weights, pairs, draws))
    return statistic


def _shuffled_within(
    labels: Mask, bins: npt.NDArray[np.integer], *, n_draws: int, rng: np.random.Generator
) -> Mask:
    """Permute labels within bins: ``(unit,)`` to ``(draw, unit)``."""
    place = np.argsort(bins, kind="stable")
    # random numbers below 1 shuffle the units of a bin and keep the order of the bins
    origin = np.argsort(bins + rng.random((n_draws, bins.size)), axis=1)
    shuffled = np.empty((n_draws, bins.size), dtype=bool)
    shuffled[:, place] = labels[origin]
    return shuffled
