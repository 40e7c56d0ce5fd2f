"""Distances at equal sizes: the fewer values a sample has, the further away it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nwbcompare.comparison.split_half import draw_values

Array = npt.NDArray[np.float64]
N_SUBSAMPLES = 50
"""Samples of equal size over which a distance is averaged."""


def equal_size_distance(
    draws: Sequence[Array],
    values: Array,
    n_values: int,
    measure: Callable[[Array, Array], float],
    rng: np.random.Generator,
) -> float:
    """Measure how far a network's values lie from others, as a sample of a given size.

    Parameters
    ----------
    draws
        The network's values, ``(value,)`` for each draw, as
        `nwbcompare.comparison.split_half.draws_of`.
    values
        ``(value,)`` of the recording.
    n_values
        The size, at most that of the smallest draw.
    measure
        The distance of two samples.
    rng
        Source of the samples; a single draw of this very size needs none.

    Returns
    -------
    float
        The mean over 50 samples without replacement, each of a random draw.

    Examples
    --------
    >>> from nwbcompare.comparison.kernels.distances import wasserstein
    >>> draws = [np.array([0.0, 1.0]), np.array([1.0, 2.0])]
    >>> far = equal_size_distance(draws, np.zeros(3), 1, wasserstein, np.random.default_rng(0))
    >>> 0.5 < far < 1.5
    True
    """
    if len(draws) == 1 and draws[0].size == n_values:
        return float(measure(draws[0], values))
    drawn = (draw_values(draws, n_values, rng) for _ in range(N_SUBSAMPLES))
    return float(np.mean([measure(sample, values) for sample in drawn]))
