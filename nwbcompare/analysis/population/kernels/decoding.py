"""Linear decoding of labels from populations, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve

from nwbcompare.kernels.grouping import group_order

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]
Folds = Sequence[tuple[Labels, Labels]]
SHRINKAGE = 1.0
"""Ridge penalty in units of the mean squared length of a sample."""


def pseudo_trials(
    rate: Array,
    unit: Labels,
    cell: Labels,
    *,
    shape: tuple[int, int],
    n_trials: int,
    rng: np.random.Generator,
) -> Array:
    """Draw pseudo-trials of the population from trials of its units.

    Parameters
    ----------
    rate
        ``(row,)``: the rate of one unit in one trial.
    unit, cell
        ``(row,)``: its unit, and the cell (condition) of its trial.
    shape
        Number of units and of cells.
    n_trials
        Trials to draw in each cell; every unit must have as many.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(cell, trial, unit)``. Each row is used at most once, so that disjoint sets of trials
        share no row.

    Examples
    --------
    >>> rate, unit, cell = np.arange(4.0), np.array([0, 0, 1, 1]), np.zeros(4, dtype=int)
    >>> rng = np.random.default_rng(0)
    >>> drawn = pseudo_trials(rate, unit, cell, shape=(2, 1), n_trials=2, rng=rng)
    >>> np.sort(drawn, axis=1).tolist()
    [[[0.0, 2.0], [1.0, 3.0]]]
    """
    n_units, n_cells = shape
    order, first = shuffled_groups(cell * n_units + unit, n_units * n_cells, rng)
    rows = order[first[:, None] + np.arange(n_trials)]
    trials: Array = rate[rows].reshape(n_cells, n_units, n_trials).transpose(0, 2, 1)
    return trials


def shuffled_groups(
    group: Labels, n_groups: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows ordered by group and shuffled within, and where each group starts.

    Parameters
    ----------
    group
        ``(row,)``, from 0 to ``n_groups - 1``.
    n_groups
        Number of groups.
    rng
        Source of randomness.

    Returns
    -------
    order : numpy.ndarray
        ``(row,)``: rows, group by group.
    first : numpy.ndarray
        ``(group,)``: where each group starts in ``order``.

    Examples
    --------
    >>> order, first = shuffled_groups(np.array([1, 0, 1]), 2, np.random.default_rng(0))
    >>> order[0], first.tolist()
    (np.int64(1), [0, 1])
    """
    shuffled = rng.permutation(group.size)
    order = shuffled[group_order(group[shuffled], n_groups)]
    counts = np.bincount(group, minlength=n_groups)
    return order, np.cumsum(counts) - counts


def fold_accuracy(trials: Array, labels: Labels, folds: Folds) -> Array:
    """Compute the cross-validated accuracy of a linear decoder, for many labellings at once.

    Parameters
    ----------
    trials
        ``(sample, unit)``.
    labels
        ``(sample, labelling)``: 0 to classes - 1; each labelling is decoded on its own.
    folds
        The samples to train on and to test on, fold by fold.

    Returns
    -------
    numpy.ndarray
        ``(labelling,)``: share of correct answers, averaged over folds.

    Notes
    -----
    Ridge regression on the indicators of the classes; the class with the largest prediction is
    chosen. With classes of equal size this is Fisher's linear discriminant with a shrunken
    covariance (Hastie et al., The Elements of Statistical Learning, 4.3). It is linear in the
    labels, so that 1000 permuted labellings take one fit. Units are scaled to unit variance in the
    training samples.

    Examples
    --------
    >>> trials, labels = np.array([[0.0], [1.0], [0.1], [1.1]]), np.array([[0], [1], [0], [1]])
    >>> fold_accuracy(trials, labels, [(np.array([0, 1]), np.array([2, 3]))]).tolist()
    [1.0]
    """
    n_classes = int(labels.max()) + 1
    right = np.zeros(labels.shape[1])
    for train, test in folds:
        fit, left_out = _standardised(trials[train], trials[test])
        indicator = labels[train][..., None] == np.arange(n_classes)
        # of two classes one indicator determines the other
        indicator = indicator[..., 1:] if n_classes == 2 else indicator
        target = indicator.reshape(len(train), -1).astype(np.float64)
        # the kernel form: a population has more units than trials
        kernel = fit @ fit.T + SHRINKAGE * trials.shape[1] * np.eye(len(train))
        weight = solve(kernel, target - target.mean(axis=0), assume_a="pos")
        score = left_out @ fit.T @ weight + target.mean(axis=0)
        score = score.reshape(len(test), labels.shape[1], -1)
        predicted = score[..., 0] > 0.5 if n_classes == 2 else score.argmax(axis=-1)
        right += (predicted == labels[test]).mean(axis=0) / len(folds)
    return right


def _standardised(train: Array, test: Array) -> tuple[Array, Array]:
    """Return samples in which each unit has mean 0 and s.d. 1 over the training samples."""
    middle, spread = train.mean(axis=0), train.std(axis=0)
    # of a constant unit rounding leaves a spread of about this size
    spread[spread <= len(train) * np.finfo(np.float64).eps * np.abs(middle)] = 1
    return (train - middle) / spread, (test - middle) / spread


def permuted_labels(
    labels: Labels, strata: Labels, n_permutations: int, rng: np.random.Generator
) -> Labels:
    """Permute labels among the samples of each stratum.

    Parameters
    ----------
    labels, strata
        ``(sample,)``.
    n_permutations
        Number of permutations.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(sample, 1 + n_permutations)``: the true labels, then the permuted ones.

    Examples
    --------
    >>> labels, strata = np.array([0, 1, 1]), np.array([0, 0, 1])
    >>> table = permuted_labels(labels, strata, 9, np.random.default_rng(0))
    >>> table.shape, table[2].tolist() == [1] * 10
    ((3, 10), True)
    """
    table = np.tile(labels[:, None], (1, 1 + n_permutations))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        table[rows, 1:] = rng.permuted(table[rows, 1:], axis=0)
    return table


def balanced_folds(n_cells: int, n_trials: int, n_folds: int) -> list[tuple[Labels, Labels]]:
    """Split samples laid out as (cell, trial) into folds with equal numbers of trials per cell.

    Parameters
    ----------
    n_cells, n_trials, n_folds
        Cells (conditions), trials of each, and folds.

    Returns
    -------
    list of tuple
        For each fold, the samples to train on and to test on.

    Examples
    --------
    >>> [test.tolist() for _, test in balanced_folds(2, 2, 2)]
    [[0, 2], [1, 3]]
    """
    fold = np.tile(np.arange(n_trials) % n_folds, n_cells)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def combined_p(p_values: Array) -> float:
    """Combine p values that depend on each other: twice their mean, at most 1.

    Valid whatever the dependence of the p values (Rüschendorf 1982; Vovk & Wang 2020), so it
    errs less often than its level.

    Parameters
    ----------
    p_values
        ``(test,)``: p values of tests on the same trials.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> combined_p(np.array([0.01, 0.03]))
    0.04
    """
    return min(1.0, 2 * float(np.mean(p_values)))
