"""Samples of a recording, and of networks matched to it session by session."""

from __future__ import annotations

import numpy as np
import xarray as xr

FTV = "fractional_task_variance"
SESSION = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
FEW = {"n_bootstrap": 100, "n_permutations": 99}


def table(values, name, **columns):
    """A table of samples, as `nwbcompare.fractional_task_variance` gives it."""
    values = np.asarray(values, float)
    dims = ("draw", "unit") if values.ndim == 2 else ("unit",)
    return xr.Dataset(
        {FTV: (dims, values)},
        {column: ("unit", own) for column, own in columns.items()},
        attrs={"name": name, "task_a": "a", "task_b": "b"},
    )


def normal(rng, sd, shape):
    return np.clip(rng.normal(0, sd, shape), -1, 1)


def recorded(rng, sd=0.33, session=SESSION, **columns):
    columns = {"subject": np.full(session.size, "A"), "session": session} | columns
    return table(normal(rng, sd, session.size), "monkey", **columns)


def networks(rng, sd=0.33, n=3, *, matched=True, session=SESSION, n_draws=0):
    """Tables of networks; matched have the columns of the recorded units."""
    columns = {"session": session, "recorded_unit": np.arange(session.size)} if matched else {}
    shape = (n_draws, session.size) if n_draws else session.size
    return [table(normal(rng, sd, shape), f"n{i}", **columns) for i in range(n)]
