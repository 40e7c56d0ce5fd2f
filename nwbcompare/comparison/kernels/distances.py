"""Distances and differences of two weighted samples of numbers, for many weightings at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AT_ONCE = 128
"""Weightings per step, so that their cumulative sums stay in the cache."""
TINY = 1e-12


def wasserstein(a: Array, b: Array) -> float:
    """Compute the Wasserstein-1 distance: the area between two cumulative distributions.

    Parameters
    ----------
    a, b
        Samples ``(value,)`` without NaN, of any sizes above 0.

    Examples
    --------
    >>> wasserstein(np.array([0.0, 1.0]), np.array([0.5, 1.5]))
    0.5
    """
    gap, step = _gap(a, b)
    return float(np.abs(gap) @ step)


def energy(a: Array, b: Array) -> float:
    """Compute the energy distance, sqrt(2 E|X-Y| - E|X-X'| - E|Y-Y'|); see `wasserstein`.

    Székely & Rizzo (2013); in one dimension it is sqrt(2) times the L2 distance of the
    cumulative distributions.

    Examples
    --------
    >>> round(energy(np.array([0.0]), np.array([1.0])), 6)
    1.414214
    """
    gap, step = _gap(a, b)
    return float(np.sqrt(2 * (gap**2 @ step)))


def kolmogorov_smirnov(a: Array, b: Array) -> float:
    """Compute the largest difference of two cumulative distributions; see `wasserstein`.

    Examples
    --------
    >>> kolmogorov_smirnov(np.array([0.0, 1.0]), np.array([0.5, 1.5]))
    0.5
    """
    gap, step = _gap(a, b)
    return float(np.abs(gap * (step > 0)).max())


DISTANCES: dict[str, Callable[[Array, Array], float]] = {
    "wasserstein": wasserstein,
    "energy": energy,
    "kolmogorov_smirnov": kolmogorov_smirnov,
}
"""Distances by name; each is 0 only for equal distributions."""


MEASURES = (
    "sd",
    "mean",
    "mixed_share",
    "single_share",
    "cliffs_delta",
    "wasserstein",
    "energy",
    "kolmogorov_smirnov",
)
"""Measures of `compare_weighted`: differences (first minus second), then `DISTANCES`."""
EFFECTS = (
    "log ratio of s.d.",
    "Cohen's d",
    "Cohen's h",
    "Cohen's h",
    "Cliff's delta",
    "share of the recording's s.d.",
    "energy coefficient",
    "largest difference of shares",
)
"""The effect size of each of `MEASURES`."""


def compare_weighted(
    values: Array,
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    *,
    mixed_below: float,
    single_above: float,
) -> tuple[Array, Array]:
    """Compare two weighted samples of the same values, for many weightings at once.

    Parameters
    ----------
    values
        Values of both samples ``(value,)``, without NaN.
    first, second
        Weights of the values in each sample ``(replicate, value)``, 0 or more; scaled to a sum
        of 1.
    mixed_below, single_above
        Bounds for the share of values whose absolute value is below the first, and above the
        second.

    Returns
    -------
    measures, effects : numpy.ndarray
        ``(replicate, measure)``, as in `MEASURES` and `EFFECTS`. S.d. are those of the
        population (ddof 0). Cliff's delta compares absolute values: the probability that one of
        the first sample is larger than one of the second, less that it is smaller.

    Notes
    -----
    Values are sorted once; each weighting costs cumulative sums only.

    Examples
    --------
    >>> measures, effects = compare_weighted(
    ...     np.array([-1.0, 1.0, 0.0, 0.5]), np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 1]]),
    ...     mixed_below=0.3, single_above=0.9)
    >>> dict(zip(MEASURES, measures[0].tolist()))["single_share"]
    1.0
    """
    grid = _Grid(values, mixed_below, single_above)
    parts = [
        grid.compare(first[start : start + AT_ONCE], second[start : start + AT_ONCE])
        for start in range(0, len(first), AT_ONCE)
    ]
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def weighted_sd(values: Array, weights: npt.NDArray[Any]) -> Array:
    """Compute the population s.d. of weighted samples of the same values.

    Parameters
    ----------
    values
        ``(value,)``, without NaN.
    weights
        ``(replicate, value)``, 0 or more.

    Returns
    -------
    numpy.ndarray
        ``(replicate,)``; 0 where nothing has a weight.

    Examples
    --------
    >>> weighted_sd(np.array([0.0, 1.0, 5.0]), np.array([[1, 1, 0]])).tolist()
    [0.5]
    """
    share = _to_one(weights)
    away = values - (values.mean() if values.size else 0.0)
    sd: Array = np.sqrt(np.maximum(share @ away**2 - (share @ away) ** 2, 0.0))
    return sd


class _Grid:
    """Values of both samples, sorted by value and by absolute value."""

    def __init__(self, values: Array, mixed_below: float, single_above: float) -> None:
        self.order, self.step = _merge(values)
        size = np.abs(values)
        self.by_size = np.argsort(size, kind="stable")
        ordered = size[self.by_size]
        self.first_of_size = np.flatnonzero(np.append(True, np.diff(ordered) > 0))
        self.centre = values.mean()
        away = values - self.centre
        columns = [away, away**2, size < mixed_below, size > single_above]
        self.features = np.stack(columns, axis=1).astype(np.float64)

    def compare(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[Array, Array]:
        a, b = _to_one(first), _to_one(second)
        (mean_a, sd_a, *shares_a), (mean_b, sd_b, *shares_b) = self._moments(a), self._moments(b)
        size_a, size_b = self._by_size(a), self._by_size(b)
        delta = (size_a * (2 * np.cumsum(size_b, axis=1) - size_b - 1)).sum(axis=1)
        up_a, up_b = (np.cumsum(np.take(w, self.order, axis=1), axis=1) for w in (a, b))
        gap = np.abs(up_a - up_b)
        area, squares = gap @ self.step, gap**2 @ self.step
        widest = (gap * (self.step > 0)).max(axis=1)
        # E|X - Y| in one dimension
        apart = (up_a + up_b - 2 * up_a * up_b) @ self.step
        shares = [x - y for x, y in zip(shares_a, shares_b, strict=True)]
        angles = [
            2 * (np.arcsin(np.sqrt(x)) - np.arcsin(np.sqrt(y)))
            for x, y in zip(shares_a, shares_b, strict=True)
        ]
        spread = np.maximum(np.sqrt((sd_a**2 + sd_b**2) / 2), TINY)
        measures = [
            sd_a - sd_b,
            mean_a - mean_b,
            *shares,
            delta,
            area,
            np.sqrt(2 * squares),
            widest,
        ]
        effects = [
            np.log(np.maximum(sd_a, TINY) / np.maximum(sd_b, TINY)),
            (mean_a - mean_b) / spread,
            *angles,
            delta,
            area / np.maximum(sd_b, TINY),
            np.sqrt(squares / np.maximum(apart, TINY)),
            widest,
        ]
        return np.stack(measures, axis=1), np.stack(effects, axis=1)

    def _by_size(self, weight: Array) -> Array:
        """Return the weight at each distinct absolute value, in ascending order."""
        ordered = np.take(weight, self.by_size, axis=1)
        if self.first_of_size.size == self.by_size.size:
            return ordered
        return np.add.reduceat(ordered, self.first_of_size, axis=1)

    def _moments(self, weight: Array) -> list[Array]:
        mean, square, mixed, single = (weight @ self.features).T
        sd = np.sqrt(np.maximum(square - mean**2, 0.0))
        return [mean + self.centre, sd, np.clip(mixed, 0, 1), np.clip(single, 0, 1)]


def _to_one(weight: npt.NDArray[Any]) -> Array:
    total = weight.sum(axis=1, keepdims=True, dtype=np.float64)
    # a bootstrap sample may have none of the values: its weights are then 0
    scaled: Array = weight / np.maximum(total, TINY)
    return scaled


def _gap(a: Array, b: Array) -> tuple[Array, Array]:
    """Compute the difference of two cumulative distributions at each value, and the next step."""
    order, step = _merge(np.concatenate([a, b]))
    of_a = order < len(a)
    return np.cumsum(of_a) / len(a) - np.cumsum(~of_a) / len(b), step


def _merge(values: Array) -> tuple[npt.NDArray[np.intp], Array]:
    order = np.argsort(values, kind="stable")
    # no step follows the last value
    return order, np.append(np.diff(values[order]), 0.0)
