"""Samples of a recording and of networks of two regimes, and what is measured of them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.comparison.kernels.distances import wasserstein

QUICK = {"n_bootstrap": 40, "n_splits": 3}
BOUNDS = {"mixed_below": 0.3, "single_above": 0.9}
MAIN = ("consolidated", "sequential")
SESSION = np.repeat([f"s{i:02}" for i in range(20)], 4)


def table(values, name="m", tasks=("a", "b"), **columns):
    values = np.asarray(values, dtype=float)
    return xr.Dataset(
        {"fractional_task_variance": (("draw", "unit")[-values.ndim :], values)},
        coords={key: ("unit", column) for key, column in columns.items()},
        attrs={"name": name} | dict(zip(("task_a", "task_b"), tasks, strict=True)),
    )


def recording(rng, width=0.5, session=SESSION, shift=0.0, **columns):
    own = shift * rng.standard_normal(session.size)[np.unique(session, return_inverse=True)[1]]
    values = np.clip(rng.uniform(-width, width, session.size) * (1 + own), -1, 1)
    return table(values, "monkey", session=session, **columns)


def networks(rng, width, n=8, size=80, spread=0.05, **columns):
    widths = np.clip(width + spread * rng.standard_normal(n), 0.01, 1)
    return {f"seed {i}": table(rng.uniform(-w, w, size), **columns) for i, w in enumerate(widths)}


def two_regimes(rng, n=8, **options):
    return {
        name: networks(rng, width, n, **options)
        for name, width in zip(MAIN, (0.7, 0.95), strict=True)
    }


def plain(values):
    size = np.abs(values)
    return [values.std(), values.mean(), (size < 0.3).mean(), (size > 0.9).mean()]


def unlike(values, recorded):
    apart = np.abs(np.subtract(plain(values), plain(recorded)))
    return [wasserstein(values, recorded), *apart]


def ftv(one):
    return one["fractional_task_variance"].values
