"""Means of groups under permuted labels, many permutations at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def permuted_means(
    values: npt.NDArray[Any],
    label: npt.NDArray[np.integer[Any]],
    n_labels: int,
    *,
    n_permutations: int,
    rng: np.random.Generator,
) -> Array:
    """Give the mean of each label's rows after the labels were permuted among the rows.

    Parameters
    ----------
    values
        ``(row, time)``; NaN means not observed.
    label
        ``(row,)``, 0 to ``n_labels - 1``; every permutation keeps the number of each.
    n_labels
        How many labels there are.
    n_permutations
        How many permutations.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(permutation, label, time)``; NaN where nothing was observed.

    Notes
    -----
    The permuted labels of all permutations form 0/1 matrices, one for each label, and the sums
    are matrix products: the rows are read once for all permutations.
    """
    observed = np.isfinite(values)
    rates = np.where(observed, values, 0.0).astype(np.float64)
    shuffled = rng.permuted(np.tile(label.astype(np.int16), (n_permutations, 1)), axis=1)
    complete = observed.all()
    means = np.empty((n_permutations, n_labels, values.shape[1]))
    for which in range(n_labels):
        member = (shuffled == which).astype(np.float64)
        count = member.sum(axis=1, keepdims=True) if complete else member @ observed
        with np.errstate(invalid="ignore", divide="ignore"):
            means[:, which] = np.where(count > 0, (member @ rates) / count, np.nan)
    return means


def random_rotation(size: int, rng: np.random.Generator) -> Array:
    """Draw an orthogonal matrix, uniform over all (Haar): QR of a Gaussian matrix.

    The signs of the diagonal are put right, without which QR is not uniform (Mezzadri 2007).
    """
    orthogonal, upper = np.linalg.qr(rng.standard_normal((size, size)))
    rotation: Array = orthogonal * np.sign(np.diagonal(upper))
    return rotation


def p_value(as_far: npt.NDArray[np.bool_]) -> float:
    """Give (1 + b) / (1 + B), where b of B draws are at least as far out as the observation.

    Never 0, and valid as it stands: the observation counts as a draw (Phipson & Smyth 2010).

    Examples
    --------
    >>> p_value(np.array([True, False, False]))
    0.5
    """
    return float((1 + as_far.sum()) / (1 + as_far.size))
