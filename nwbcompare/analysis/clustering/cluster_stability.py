"""Stability of clusters when units are resampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.clustering.clusters import variance_table
from nwbcompare.analysis.clustering.kernels.clusters import cluster, most_clusters, normalised
from nwbcompare.analysis.clustering.kernels.surrogates import Copula
from nwbcompare.core.errors import InputError

Array = npt.NDArray[np.float64]
# few are enough, since only the mean over surrogates is reported
BOOTSTRAPS_OF_A_SURROGATE = 5


def cluster_stability(
    variance: xr.Dataset,
    clusters: xr.Dataset,
    *,
    n_bootstraps: int = 100,
    n_surrogates: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Measure how well clusters are recovered from resampled units.

    Parameters
    ----------
    variance
        The variances that the clusters were computed from.
    clusters
        From `nwbcompare.clustering.cluster_units`; its method, number of clusters, starts and seed
        are used again.
    n_bootstraps
        Draws of as many active units, with replacement.
    n_surrogates
        Tables without clusters (see `cluster_null`) that are clustered and resampled in the same
        way, with 5 draws each. The index of random labels is 0; that of a continuum cut into pieces
        is higher, and it is this that stable clusters have to exceed.
    seed
        Seed of the draws and of the surrogates.

    Returns
    -------
    xarray.Dataset
        ``adjusted_rand (bootstrap)``, the adjusted Rand index (Hubert & Arabie 1985) between the
        labels of the clusters and those of the drawn units, each unit once; ``mean``, and
        ``interval (bound)``, the 2.5th and 97.5th percentiles over draws;
        ``surrogate_adjusted_rand (surrogate)``, means over 5 draws.

    Raises
    ------
    InputError
        For clusters of other units than those of the variances.

    Examples
    --------
    >>> from nwbcompare.analysis.clustering import cluster_units
    >>> table = np.repeat(np.eye(3), 4, axis=0) + 0.01 * np.random.default_rng(0).random((12, 3))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), table)},
    ...                 coords={"unit": np.arange(12), "task": list("abc")})
    >>> clusters = cluster_units(tv, n_clusters=3)
    >>> result = cluster_stability(tv, clusters, n_bootstraps=5, n_surrogates=1)
    >>> float(result["mean"])
    1.0
    """
    table = variance_table(variance)
    if not np.array_equal(table["unit"].values, clusters["unit"].values):
        raise InputError(
            "clusters",
            "clusters of the same units as the variance",
            f"{clusters.sizes['unit']} units beside {table.sizes['unit']}",
            "Give the variance that cluster_units was given.",
        )
    active = clusters["active"].values
    settings = ("method", "n_clusters", "n_init", "seed")
    repeat = _Repeat(*(clusters.attrs[name] for name in settings))
    rng = np.random.default_rng(seed)
    rows, labels = (clusters[name].values[active] for name in ("normalised_variance", "cluster"))
    with tqdm(total=n_bootstraps + n_surrogates, desc="stability", disable=None) as bar:
        agreement = []
        for _ in range(n_bootstraps):
            agreement.append(repeat.agreement(rows, labels, rng))
            bar.update()
        copula = Copula.of(table.values[~np.isnan(table.values).any(axis=1)])
        continuum = []
        for _ in range(n_surrogates):
            surrogate, _ = normalised(copula.draw(rng), clusters.attrs["threshold"])
            reference = repeat(surrogate)
            draws = range(BOOTSTRAPS_OF_A_SURROGATE)
            continuum.append(np.mean([repeat.agreement(surrogate, reference, rng) for _ in draws]))
            bar.update()
    return xr.Dataset(
        {
            "adjusted_rand": ("bootstrap", agreement),
            "mean": float(np.mean(agreement)),
            "interval": ("bound", np.percentile(agreement, [2.5, 97.5])),
            "surrogate_adjusted_rand": ("surrogate", continuum),
        },
        coords={"bound": ["low", "high"]},
        attrs={
            **clusters.attrs,
            "analysis": "cluster_stability",
            "n_bootstraps": n_bootstraps,
            "n_surrogates": n_surrogates,
            "seed": seed,
        },
    )


@dataclass(frozen=True)
class _Repeat:
    """A clustering with a number of clusters that is settled."""

    method: str
    n_clusters: int
    n_init: int
    seed: int

    def __call__(self, rows: Array) -> npt.NDArray[np.int64]:
        # units that are drawn twice leave fewer different rows
        tried = [max(1, min(self.n_clusters, most_clusters(rows)))]
        return cluster(rows, tried, method=self.method, n_init=self.n_init, seed=self.seed).labels

    def agreement(
        self, rows: Array, labels: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        """Compute the adjusted Rand index of the labels and those of resampled units."""
        from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 - slow to import

        draw = rng.integers(len(rows), size=len(rows))
        again = self(rows[draw])
        # each unit once: repeated units would agree with themselves
        units, first = np.unique(draw, return_index=True)
        return float(adjusted_rand_score(labels[units], again[first]))
