"""Tests of whether units form clusters: silhouettes of the data and of surrogate tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.clustering.clusters import (
    N_CLUSTERS_TRIED,
    active_rows,
    complete_table,
    numbers_within,
    variance_table,
)
from nwbcompare.analysis.clustering.kernels.clusters import cluster, most_clusters, normalised
from nwbcompare.analysis.clustering.kernels.surrogates import Copula
from nwbcompare.analysis.selectivity.permutation_nulls import task_covariances
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD, task_variance
from nwbcompare.core.activity import Activity
from nwbcompare.core.checks import check_whole
from nwbcompare.core.partial_results import resumed_rows
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.kernels.permutation import p_value, random_rotation, reaches

Array = npt.NDArray[np.float64]
AT_ONCE = 50
"""Surrogates computed between two writes of the file that they are saved in."""


def cluster_null(
    variance: xr.Dataset,
    *,
    n_surrogates: int = 999,
    seed: int = 0,
    n_init: int = 1,
    n_clusters_tried: Sequence[int] = N_CLUSTERS_TRIED,
    threshold: float = ACTIVE_THRESHOLD,
    n_jobs: int | None = None,
    kept: str | PathLike[str] | None = None,
) -> xr.Dataset:
    """Test whether units form clusters: their silhouette against that of surrogate tables.

    Null hypothesis: task variances are correlated between tasks, but units lie on a continuum.
    Surrogates are drawn from a Gaussian copula with the observed values of every column (each
    surrogate column is a permutation of them) and the observed rank correlations. They are
    processed as the data are: threshold, division by the maximum, search over numbers of clusters.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`.
    n_surrogates
        Surrogates; 999 give p values down to 0.001.
    seed
        Seed of the surrogates, each of which has its own random stream, and of k-means.
    n_init
        Starts of k-means, for data and surrogates; 1, since 20 take ten times as long. The observed
        silhouette may therefore differ slightly from that of `cluster_units`.
    n_clusters_tried, threshold
        See `nwbcompare.clustering.cluster_units`.
    n_jobs
        Processes; by default one per core. The result does not depend on it.
    kept
        A file (JSON) that surrogates are saved in as they are computed. A later call with the same
        table and parameters resumes from it, and may ask for more surrogates.

    Returns
    -------
    xarray.Dataset
        ``observed``, the highest silhouette over numbers of clusters, and its ``n_clusters``;
        ``surrogate_silhouette`` and ``surrogate_n_clusters (surrogate)``; ``p_value``, (1 + b) / (1
        + B), where b counts surrogates with at least the observed silhouette. A surrogate with too
        few active units counts, with silhouette 1 and 0 clusters.

    Raises
    ------
    InputError
        As `cluster_units`, for no surrogate, and where ``kept`` has surrogates of another table
        or of other parameters.
    NotApplicableError
        As `cluster_units`.
    DamagedCacheError
        Where ``kept`` is a file that cannot be read.

    Notes
    -----
    The p value concerns one network; for inference over networks test their values against each
    other. Where values are tied, the surrogates' rank correlations are slightly weaker than
    observed.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> table = np.repeat(np.eye(3), 8, axis=0) + 0.01 * np.random.default_rng(0).random((24, 3))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), table)}, coords={"task": list("abc")})
    >>> cluster_null(tv, n_surrogates=19, n_clusters_tried=[2, 3, 4], n_jobs=1)["p_value"].item()
    0.05
    """
    table = complete_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed, n_clusters = search.checked(table)
    null = _surrogates(table.values, search, n_surrogates, n_jobs, kept)
    silhouettes = null[:, 0]
    return xr.Dataset(
        {
            "observed": observed,
            "n_clusters": n_clusters,
            "surrogate_silhouette": ("surrogate", silhouettes, {"units": "1"}),
            "surrogate_n_clusters": ("surrogate", null[:, 1].astype(np.int64)),
            "p_value": p_value(reaches(silhouettes, observed)),
        },
        attrs={
            **variance.attrs,
            **search.attrs(),
            "analysis": "cluster_null",
            "n_surrogates": n_surrogates,
        },
    )


def describe_shuffled(
    variance: xr.Dataset,
    *,
    n_shuffles: int = 20,
    seed: int = 0,
    n_init: int = 1,
    n_clusters_tried: Sequence[int] = N_CLUSTERS_TRIED,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Compute the silhouettes of tables whose columns were each permuted over units.

    A description, not a test: permutations also destroy the correlations between tasks. A row of
    unrelated values is dominated by one of them; divided by its maximum it lies near an axis, so
    that shuffled units look *more* clustered than those of real networks. `cluster_null` is the
    test.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`.
    n_shuffles, seed
        Shuffles and their seed.
    n_init, n_clusters_tried, threshold
        See `cluster_null`.

    Returns
    -------
    xarray.Dataset
        ``observed`` and ``shuffled_silhouette (shuffle)``, each the highest over numbers of
        clusters, at ``n_clusters`` and ``shuffled_n_clusters (shuffle)``.

    Examples
    --------
    >>> table = np.repeat(np.eye(3), 4, axis=0) + 0.01 * np.random.default_rng(0).random((12, 3))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), table)},
    ...                 coords={"unit": np.arange(12), "task": list("abc")})
    >>> describe_shuffled(tv, n_shuffles=2, n_clusters_tried=[2, 3])["n_clusters"].item()
    3
    """
    table = complete_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed = search.checked(table)
    rng = np.random.default_rng(seed)
    shuffled = [
        search(rng.permuted(table.values, axis=0))
        for _ in tqdm(range(n_shuffles), desc="shuffles", disable=None)
    ]
    result = _described("shuffled", "shuffle", observed, shuffled)
    attrs = variance.attrs | search.attrs()
    return result.assign_attrs(attrs, analysis="describe_shuffled", n_shuffles=n_shuffles)


def describe_rotated(
    activity: Activity,
    *,
    n_rotations: int = 20,
    seed: int = 0,
    n_init: int = 1,
    n_clusters_tried: Sequence[int] = N_CLUSTERS_TRIED,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Compute the silhouettes of random mixtures (rotations) of the units.

    A description, not a test: mixtures of all units are similar to each other and respond in all
    tasks, and their remaining differences reflect the directions of largest variance, whether or
    not the units form clusters.

    Parameters
    ----------
    activity
        An activity or a block whose units all have every condition.
    n_rotations, seed
        Random rotations, the same for all tasks, and their seed.
    n_init, n_clusters_tried, threshold
        See `cluster_null`.

    Returns
    -------
    xarray.Dataset
        ``observed`` and ``rotated_silhouette (rotation)``, each the highest over numbers of
        clusters, at ``n_clusters`` and ``rotated_n_clusters (rotation)``.

    Raises
    ------
    InputError
        As `cluster_units`.
    NotApplicableError
        As `cluster_units`, and for units that lack a condition.

    Notes
    -----
    The variance of a rotated unit needs only the units' covariance over conditions.

    Examples
    --------
    >>> from nwbcompare.core.activity import make_block
    >>> block = make_block(
    ...     np.random.default_rng(0).random((6, 2, 8)), time_s=[0.1, 0.3], bin_width_s=0.2,
    ...     aligned_to="trial start", units={"unit": list("stuvwxyz")},
    ...     trials={"task": ["a"] * 3 + ["b"] * 3, "direction": [0.0, 1.0, 2.0] * 2},
    ...     condition_variables={"a": ["direction"], "b": ["direction"]},
    ...     source="model", name="toy", deterministic=True)
    >>> describe_rotated(block, n_rotations=2, n_clusters_tried=[2])["rotated_silhouette"].size
    2
    """
    variance = task_variance(activity)
    table = variance_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed = search.checked(table)
    by_task, _ = task_covariances(activity, None, estimator="per_time", conditions=None)
    covariances = np.stack(list(by_task.values()))
    rng = np.random.default_rng(seed)
    rotated = []
    for _ in tqdm(range(n_rotations), desc="rotations", disable=None):
        rotation = random_rotation(len(table), rng)
        # the diagonal of R C R' alone
        variances = (rotation @ covariances * rotation).sum(axis=-1).T
        rotated.append(search(variances))
    result = _described("rotated", "rotation", observed, rotated)
    attrs = variance.attrs | search.attrs()
    return result.assign_attrs(attrs, analysis="describe_rotated", n_rotations=n_rotations)


def _described(
    prefix: str, dim: str, observed: tuple[float, int], tables: Sequence[tuple[float, int]]
) -> xr.Dataset:
    """Return silhouettes and numbers of clusters of the data and of altered tables."""
    return xr.Dataset(
        {
            "observed": observed[0],
            "n_clusters": observed[1],
            f"{prefix}_silhouette": (dim, [silhouette for silhouette, _ in tables]),
            f"{prefix}_n_clusters": (dim, [number for _, number in tables]),
        }
    )


@dataclass(frozen=True)
class _Search:
    """The statistic of `cluster_null`: the highest silhouette of a table, and where it is."""

    n_clusters_tried: tuple[int, ...]
    threshold: float
    n_init: int
    seed: int

    def checked(self, table: xr.DataArray) -> tuple[float, int]:
        """Compute the statistic of the data, with the errors and warnings that concern them."""
        rows, _ = active_rows(table, self.threshold)
        numbers_within(rows, self.n_clusters_tried, stacklevel=4)
        return self(table.values)

    def __call__(self, table: Array) -> tuple[float, int]:
        rows, _ = normalised(table, self.threshold)
        most = most_clusters(rows)
        # surrogates can have fewer active units than the data
        tried = [k for k in self.n_clusters_tried if k <= most]
        if not tried:
            # counts as extreme, against the observation
            return 1.0, 0
        clustering = cluster(rows, tried, n_init=self.n_init, seed=self.seed)
        return float(clustering.silhouettes.max()), clustering.n_clusters

    def attrs(self) -> dict[str, Any]:
        return {
            "n_clusters_tried": json.dumps([int(k) for k in self.n_clusters_tried]),
            "threshold": self.threshold,
            "n_init": self.n_init,
            "seed": self.seed,
        }


def _surrogate(copula: Copula, search: _Search, index: int) -> tuple[float, int]:
    # a stream per surrogate: neither processes nor resumed runs change the result
    stream = np.random.SeedSequence(search.seed, spawn_key=(index,))
    return search(copula.draw(np.random.default_rng(stream)))


def _surrogates(
    table: Array, search: _Search, n: int, n_jobs: int | None, kept: str | PathLike[str] | None
) -> Array:
    """Compute the silhouette and the number of clusters of n surrogates, ``(surrogate, 2)``."""
    # fitted to all units: the threshold is part of what is tested
    copula = Copula.of(table)

    def rows(indices: range) -> list[tuple[float, int]]:
        jobs: list[Job] = [("surrogate", _surrogate, (copula, search, index)) for index in indices]
        return run_all(jobs, n_jobs)[0]

    return resumed_rows(
        kept,
        {
            "table_sha256": hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest(),
            "n_columns": table.shape[1],
            **search.attrs(),
        },
        check_whole("n_surrogates", n, 1, "Use n_surrogates=999."),
        rows,
        at_once=AT_ONCE,
        description="surrogates",
    )
