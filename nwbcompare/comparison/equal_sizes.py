"""Distances of samples at equal sizes, since small samples have larger distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nwbcompare.comparison.split_half import draw_values

Array = npt.NDArray[np.float64]
N_SUBSAMPLES = 50
"""Number of subsamples over which a distance is averaged."""


def equal_size_distance(
    draws: Sequence[Array],
    values: Array,
    n_values: int,
    measure: Callable[[Array, Array], float],
    rng: np.random.Generator,
) -> float:
    """Compute the mean distance of subsamples of a network to the values of a recording.

    Parameters
    ----------
    draws
        The network's values, ``(value,)`` for each draw; see
        `nwbcompare.comparison.split_half.draws_of`.
    values
        The recording's values ``(value,)``.
    n_values
        Size of the subsamples, at most that of the smallest draw.
    measure
        The distance of two samples.
    rng
        Random generator; not used for a single draw of exactly ``n_values`` values.

    Returns
    -------
    float
        The mean over 50 subsamples without replacement, each of a random draw.

    Examples
    --------
    >>> from nwbcompare.comparison.kernels.distances import wasserstein
    >>> draws = [np.array([0.0, 1.0]), np.array([1.0, 2.0])]
    >>> rng = np.random.default_rng(0)
    >>> 0.5 < equal_size_distance(draws, np.zeros(3), 1, wasserstein, rng) < 1.5
    True
    """
    if len(draws) == 1 and draws[0].size == n_values:
        return float(measure(draws[0], values))
    samples = (draw_values(draws, n_values, rng) for _ in range(N_SUBSAMPLES))
    return float(np.mean([measure(sample, values) for sample in samples]))
