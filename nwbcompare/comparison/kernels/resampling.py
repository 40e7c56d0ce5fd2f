"""Bootstrap over a hierarchy, and swaps of whole clusters, as weights of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.integer[Any]]


def resample_hierarchy(
    groups: Sequence[Codes], rng: np.random.Generator, n: int, *, strata: Codes | None = None
) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples level by level and count how often each unit comes.

    Parameters
    ----------
    groups
        Levels from the highest to the lowest, e.g. animals, then sessions; each ``(unit,)``,
        codes or labels of any kind. At each level as many members as there are are drawn with
        replacement out of each draw of the level above. Units below the last level are kept
        together: name the units themselves as the last level to draw them, too.
    rng
        Source of randomness.
    n
        Number of bootstrap samples.
    strata
        ``(unit,)``: groups that are all kept, above the first level.

    Returns
    -------
    numpy.ndarray
        ``(n, unit)``: how often each unit is in each sample. A level with one member is kept
        as it is. Where clusters differ in size, so do the samples.

    Notes
    -----
    Members that were drawn c times are resampled anew each time, which is one draw from a
    multinomial of c times their number. Drawing at every level counts the lowest level's
    variance about twice; drawing whole members of the highest level counts all variances once
    (Davison & Hinkley 1997, section 3.8).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> resample_hierarchy([np.array([0, 0, 1, 1])], rng, 3).sum(axis=1).tolist()
    [4, 4, 4]
    """
    if not groups:
        raise ValueError("groups: expected at least one level")
    above = np.zeros(len(groups[0]), dtype=np.int64) if strata is None else _codes(strata)
    counts = np.ones((n, int(above.max(initial=-1)) + 1), dtype=np.int64)
    for level in groups:
        # equal names in different parents are different members
        member, first = _within(above, level)
        parent = above[first]
        drawn = np.empty((n, len(first)), dtype=np.int64)
        for which in range(counts.shape[1]):
            own = np.flatnonzero(parent == which)
            share = np.full(own.size, 1 / own.size)
            drawn[:, own] = rng.multinomial(counts[:, which] * own.size, share)
        above, counts = member, drawn
    return counts[:, above]


def _codes(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _within(
    above: npt.NDArray[np.int64], level: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Number the members of a level within those above; and the first unit of each."""
    own = _codes(level)
    joint = above * (int(own.max(initial=0)) + 1) + own
    _, first, member = np.unique(joint, return_index=True, return_inverse=True)
    return member.reshape(-1).astype(np.int64), first
