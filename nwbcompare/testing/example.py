"""A small block for examples and tests."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.core.activity import make_block


def example_block(seed: int = 0) -> xr.Dataset:
    """Return a small dense block: 8 noisy trials of 4 conditions, 5 bins of 0.1 s, 3 units.

    Parameters
    ----------
    seed
        Seed of the rates.

    Returns
    -------
    xarray.Dataset
        Rates between 1 and 2, ``(trial, time, unit)``.

    Examples
    --------
    >>> dict(example_block().sizes)["trial"]
    8
    """
    rng = np.random.default_rng(seed)
    direction = np.tile([0.0, 0.5, 1.0, 1.5], 2) * np.pi
    return make_block(
        1 + rng.random((8, 5, 3)),
        time_s=(np.arange(5) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="trial start",
        trials={"task": ["go"] * 8, "direction": direction, "correct": np.arange(8) % 2 == 0},
        units={"unit": ["u0", "u1", "u2"], "area": ["A", "A", "B"]},
        epochs={"fix1": (0.0, 0.1), "stim1": (0.1, 0.5)},
        condition_variables={"go": ["direction"]},
        source="model",
        name="example",
    )
