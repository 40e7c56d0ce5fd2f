"""Full crossings of conditions for test trials."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.description import Floats


def sweep(**values: npt.ArrayLike) -> dict[str, Floats]:
    """Return all combinations of values as columns ``(trial,)``; the last one varies fastest.

    Examples
    --------
    >>> {name: column.tolist() for name, column in sweep(a=[1, 2], b=[3, 4]).items()}
    {'a': [1.0, 1.0, 2.0, 2.0], 'b': [3.0, 4.0, 3.0, 4.0]}
    """
    grids = np.meshgrid(*(np.asarray(v, dtype=np.float64) for v in values.values()), indexing="ij")
    return {name: grid.ravel() for name, grid in zip(values, grids, strict=True)}
