"""Hierarchical bootstrap samples, as counts of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.integer[Any]]


def resample_hierarchy(
    groups: Sequence[Codes], rng: np.random.Generator, n: int, *, strata: Codes | None = None
) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples level by level, as counts of each unit.

    Parameters
    ----------
    groups
        Levels from the highest to the lowest, such as animals, then sessions: labels
        ``(unit,)``. Within each member of the level above, as many members are drawn with
        replacement as there are. Units of one member of the lowest level are kept together;
        append ``np.arange(n_units)`` to resample them, too.
    rng
        Random generator.
    n
        Number of bootstrap samples.
    strata
        Labels ``(unit,)`` of strata within which the first level is resampled.

    Returns
    -------
    numpy.ndarray
        Counts ``(n, unit)`` of each unit in each sample. The only member of a level is always
        drawn. If clusters differ in size, so do samples.

    Notes
    -----
    The content of a member that was drawn c times is resampled independently each time, which is
    one draw from a multinomial of c times its size. Resampling at every level counts the
    variance of the lowest level about twice; resampling whole members of the highest level counts
    all variances once (Davison & Hinkley 1997, section 3.8).

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
        # equal labels in different parents are different members
        member, first = _within(above, level)
        parent = above[first]
        draws = np.empty((n, len(first)), dtype=np.int64)
        for which in range(counts.shape[1]):
            children = np.flatnonzero(parent == which)
            share = np.full(children.size, 1 / children.size)
            draws[:, children] = rng.multinomial(counts[:, which] * children.size, share)
        above, counts = member, draws
    return counts[:, above]


def _codes(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _within(
    above: npt.NDArray[np.int64], level: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the code of each unit's member within those above, and each member's first unit."""
    code = _codes(level)
    joint = above * (int(code.max(initial=0)) + 1) + code
    _, first, member = np.unique(joint, return_index=True, return_inverse=True)
    return member.reshape(-1).astype(np.int64), first
