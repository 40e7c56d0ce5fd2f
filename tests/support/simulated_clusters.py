"""Task variances of units in clusters and of a continuum, and what is found in them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.analysis.clustering.cluster_null import cluster_null
from nwbcompare.analysis.clustering.clusters import cluster_units

TRIED = range(2, 7)


def variance_of(values, name="net"):
    """A result of task_variance made of numbers ``(unit, task)``."""
    units, tasks = (
        [f"{c}{i:02d}" for i in range(n)] for c, n in zip("ut", values.shape, strict=True)
    )
    return xr.Dataset(
        {"task_variance": (("unit", "task"), values)},
        coords={"unit": units, "task": tasks, "area": ("unit", ["x"] * len(units))},
        attrs={"name": name, "analysis": "task_variance"},
    )


def true_clusters(seed=0, n_clusters=3, n_units=36, n_tasks=6, noise=0.15):
    """Units in clusters that each serve tasks of their own, of lognormal overall size."""
    rng = np.random.default_rng(seed)
    label = np.arange(n_units) % n_clusters
    profile = np.where(np.arange(n_tasks) % n_clusters == np.arange(n_clusters)[:, None], 1, 0.05)
    size = np.exp(rng.standard_normal((n_units, 1)))
    return size * profile[label] * np.exp(noise * rng.standard_normal((n_units, n_tasks))), label


def continuum(seed=0, n_units=36, n_tasks=6, n_factors=3):
    """Correlated, lognormal variances of units that form no clusters."""
    rng = np.random.default_rng(seed)
    loading = rng.standard_normal((n_factors, n_tasks)) / np.sqrt(n_factors)
    own = 0.5 * rng.standard_normal((n_units, n_tasks))
    return np.exp(1.5 * (rng.standard_normal((n_units, n_factors)) @ loading + own))


def null_of(values, **options):
    defaults = {"n_surrogates": 19, "n_clusters_tried": TRIED, "n_jobs": 1}
    return cluster_null(variance_of(values), **(defaults | options))


def networks(n=4, **options):
    return [
        cluster_units(
            variance_of(true_clusters(seed, **options)[0], f"net{seed}"), n_clusters_tried=TRIED
        )
        for seed in range(n)
    ]
