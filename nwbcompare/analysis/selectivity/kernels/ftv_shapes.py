"""Typical shapes of a distribution of fractional task variance: tests and simulations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

SHAPES = ("disjoint", "inclusive", "mixed", "disjoint-equal", "disjoint-mixed")
UNDECIDED = "undecided"
RINGS = (0.2, 0.7, 0.8, 0.9)
"""Bounds on absolute FTV between the parts. 0.8 and 0.2 are those of the published groups (a
normalised variance above 0.9 or below 0.1, and from 0.4 to 0.6); 0.9 that of the outermost
published bin."""
PARTS = ("b_0.9", "b_0.8", "b_0.7", "b_0.2", "equal", "a_0.2", "a_0.7", "a_0.8", "a_0.9")
"""Parts of [-1, 1], from units of task B alone to units of task A alone, by where they begin."""

FLAT_EDGE, FLAT_END = 0.05, 0.1
"""Shares of a flat distribution beyond 0.9 and beyond 0.8, at one end."""
EDGE_DENSITY = 1 / 3
"""Of units beyond 0.7 at one end, the share beyond 0.9 were they evenly dense."""
EQUAL_SHARE = 0.1
"""A peak at 0, or a middle that counts, holds more of the units than this."""
EMPTY_MIDDLE = 0.4
"""Two ends are disjoint where less than this lies between them: half of a flat distribution's."""
EQUAL_OF_MIDDLE = 0.6
"""Of units between the ends, the share near 0 that separates a peak from a broad middle."""
EQUAL_DENSITY = 0.25
"""Of units near 0 and on one side of it up to 0.8, the share near 0 were they evenly dense."""


def part_counts(fractions: Array) -> Counts:
    """Count the units of each row in the parts of [-1, 1].

    Parameters
    ----------
    fractions
        ``(row, unit)``, FTV; NaN is not counted.

    Returns
    -------
    numpy.ndarray
        ``(row, part)``, parts as in `PARTS`.

    Examples
    --------
    >>> import numpy as np
    >>> part_counts(np.array([[-1.0, 0.0, 0.1, 0.95, np.nan]])).tolist()
    [[1, 0, 0, 0, 2, 0, 0, 0, 1]]
    """
    # by size and sign, not by edges, so that reversing the tasks mirrors the counts exactly
    ring = np.searchsorted(RINGS, np.abs(fractions))
    place = len(RINGS) + np.sign(fractions) * ring
    return np.stack([(place == part).sum(axis=1) for part in range(len(PARTS))], axis=1)


def shape_p_values(counts: Counts) -> Array:
    """Test each shape of each row: the p value of "it does not have this shape".

    Parameters
    ----------
    counts
        ``(row, part)``, from `part_counts`.

    Returns
    -------
    numpy.ndarray
        ``(row, shape)``, shapes as in `SHAPES`.

    Notes
    -----
    A shape is a list of criteria on shares of units. Each is tested by its exact binomial
    tail, and the shape's p value is the largest of its criteria's: all have to hold
    (intersection-union test), so a shape that is false is claimed in at most that share of
    cases. Where either of two criteria is enough, the smaller p value is doubled.

    Examples
    --------
    >>> counts = part_counts(np.repeat([[-1.0, 1.0]], 30, axis=1))
    >>> SHAPES[shape_p_values(counts)[0].argmin()]
    'disjoint'
    """
    n_units, middle = counts.sum(axis=1), counts[:, 2:-2].sum(axis=1)
    equal = counts[:, len(RINGS)]
    sides = (counts[:, ::-1], counts)
    (peak_a, empty_a), (peak_b, empty_b) = (_end(side, n_units) for side in sides)
    two_peaks = np.maximum(peak_a, peak_b)
    no_valley = _either(
        *(_more_than(EQUAL_DENSITY, equal, equal + side[:, 2:4].sum(axis=1)) for side in sides)
    )
    criteria = {
        "disjoint": (
            two_peaks,
            _less_than(EMPTY_MIDDLE, middle, n_units),
            _either(
                _less_than(EQUAL_SHARE, equal, n_units),
                _less_than(EQUAL_OF_MIDDLE, equal, middle),
            ),
        ),
        "inclusive": (
            np.minimum(np.maximum(peak_a, empty_b), np.maximum(peak_b, empty_a)),
            _more_than(EQUAL_SHARE, middle, n_units),
        ),
        "mixed": (empty_a, empty_b, no_valley),
        "disjoint-equal": (
            two_peaks,
            _more_than(EQUAL_SHARE, equal, n_units),
            _more_than(EQUAL_OF_MIDDLE, equal, middle),
        ),
        "disjoint-mixed": (
            two_peaks,
            _more_than(EMPTY_MIDDLE, middle, n_units),
            _less_than(EQUAL_OF_MIDDLE, equal, middle),
        ),
    }
    return np.stack([np.max(criteria[shape], axis=0) for shape in SHAPES], axis=1)


def _end(side: Counts, n_units: Counts) -> tuple[Array, Array]:
    """Compute the p values of "no peak" and "not empty" at one end; parts from the end inwards."""
    edge, end, beside = side[:, 0], side[:, :2].sum(axis=1), side[:, :3].sum(axis=1)
    peak = np.maximum(_more_than(FLAT_EDGE, edge, n_units), _more_than(EDGE_DENSITY, edge, beside))
    # an end that looks like a peak is never called empty, so that no two shapes are claimed
    visible = (edge > FLAT_EDGE * n_units) & (edge > EDGE_DENSITY * beside)
    return peak, np.where(visible, 1.0, _less_than(FLAT_END, end, n_units))


def _more_than(share: float, count: Counts, total: Counts) -> Array:
    """Compute the p value of "at most this share": the probability of as many or more."""
    tail = bdtrc(np.maximum(count - 1, 0), np.maximum(total, 1), share)
    return np.asarray(np.where(count > 0, tail, 1.0))


def _less_than(share: float, count: Counts, total: Counts) -> Array:
    """Compute the p value of "at least this share": the probability of as few or fewer."""
    tail = bdtr(count, np.maximum(total, 1), share)
    return np.asarray(np.where(total > 0, tail, 1.0))


def _either(one: Array, other: Array) -> Array:
    return np.asarray(np.minimum(2 * np.minimum(one, other), 1.0))


def simulate_shape(shape: str, n_units: int, seed: int | np.random.SeedSequence) -> Array:
    """Draw units' FTV from a distribution of known shape.

    Parameters
    ----------
    shape
        A name in `SHAPES`.
    n_units
        Number of active units.
    seed
        Seed of the parameters of the shape (shares, widths, centre, side) and of the units.

    Returns
    -------
    numpy.ndarray
        ``(unit,)``, within [-1, 1].

    Notes
    -----
    Ends are Beta-distributed with a mean distance of 0.03 to 0.1 from the end, peaks at 0 are
    normal with a standard deviation of 0.05 to 0.12, broad parts are Beta-distributed with one
    of 0.28 to 0.45. Up to 5 % of the units are spread evenly.

    Examples
    --------
    >>> simulate_shape("mixed", 50, seed=0).shape
    (50,)
    """
    rng = np.random.default_rng(seed)
    weights = _WEIGHTS[shape](rng)
    side = rng.choice([-1, 1])
    background = rng.uniform(0, 0.05)
    weights = np.append(weights * (1 - background), background)
    counts = rng.multinomial(n_units, weights / weights.sum())
    centre = rng.uniform(0, 0.25) if shape in {"inclusive", "mixed"} else rng.uniform(-0.1, 0.1)
    pieces = [
        _at_end(rng, counts[0]),
        -_at_end(rng, counts[1]),
        rng.normal(rng.uniform(-0.04, 0.04), rng.uniform(0.05, 0.12), counts[2]),
        _broad(rng, centre, counts[3]),
        rng.uniform(-1, 1, counts[4]),
    ]
    return rng.permutation(side * np.clip(np.concatenate(pieces), -1, 1))


def _disjoint(rng: np.random.Generator) -> Array:
    return _ends(rng, middle=0.0, broad=rng.uniform(0.02, 0.2))


def _inclusive(rng: np.random.Generator) -> Array:
    end, other = rng.uniform(0.25, 0.7), rng.uniform(0, 0.02)
    return np.array([end, other, 0, 1 - end - other])


def _mixed(rng: np.random.Generator) -> Array:
    end, other = rng.uniform(0, 0.02, 2)
    return np.array([end, other, 0, 1 - end - other])


def _disjoint_equal(rng: np.random.Generator) -> Array:
    return _ends(rng, middle=rng.uniform(0.2, 0.65), broad=rng.uniform(0, 0.08))


def _disjoint_mixed(rng: np.random.Generator) -> Array:
    return _ends(rng, middle=0.0, broad=rng.uniform(0.5, 0.7))


def _ends(rng: np.random.Generator, *, middle: float, broad: float) -> Array:
    ends, of_a = 1 - middle - broad, rng.uniform(0.4, 0.6)
    return np.array([ends * of_a, ends * (1 - of_a), middle, broad])


def _at_end(rng: np.random.Generator, n: int) -> Array:
    distance: Array = 2 * rng.beta(1, rng.uniform(19, 60), n)
    return 1 - distance


def _broad(rng: np.random.Generator, centre: float, n: int) -> Array:
    mean, concentration = (1 + centre) / 2, rng.uniform(4, 12)
    position: Array = rng.beta(mean * concentration, (1 - mean) * concentration, n)
    return 2 * position - 1


_WEIGHTS: dict[str, Callable[[np.random.Generator], Array]] = {
    "disjoint": _disjoint,
    "inclusive": _inclusive,
    "mixed": _mixed,
    "disjoint-equal": _disjoint_equal,
    "disjoint-mixed": _disjoint_mixed,
}
"""For each shape, the shares of the end at 1, the end at -1, the peak at 0 and the broad part."""
