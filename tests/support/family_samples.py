"""Samples of a recording and of families of networks."""

from __future__ import annotations

import numpy as np
import xarray as xr


def table(values, name="m", **columns):
    return xr.Dataset(
        {"fractional_task_variance": ("unit", np.asarray(values, dtype=float))},
        coords={key: ("unit", column) for key, column in columns.items()},
        attrs={"name": name, "source": "recording"},
    )


def recording(rng, *, sessions=20, size=4, width=0.5, shift=0.0, **columns):
    """A recording whose sessions differ by a shift of their own."""
    session = np.repeat([f"s{i:02}" for i in range(sessions)], size)
    own = np.repeat(rng.normal(0, shift, sessions), size)
    values = np.clip(rng.uniform(-width, width, session.size) + own, -1, 1)
    return table(values, session=session, **columns)


def family(rng, width, *, n=3, size=60, name=""):
    return [
        table(rng.uniform(-width, width, size), f"{name or width}-{i}").assign_attrs(source="model")
        for i in range(n)
    ]
