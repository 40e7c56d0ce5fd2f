"""Whether there are clusters at all, how stable they are, and whether networks share them."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.activity import Activity, columns_on
from nwbcompare.analysis.clusters import (
    N_CLUSTERS_TRIED,
    active_rows,
    numbers_within,
    variance_table,
)
from nwbcompare.analysis.variance import ACTIVE_THRESHOLD, means_by_task, task_variance
from nwbcompare.errors import InputError, UnitWarning, listing
from nwbcompare.files import written_aside
from nwbcompare.kernels.clustering import cluster, most_clusters, normalised, one_thread
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.kernels.surrogates import (
    Copula,
    gaussian_like,
    mean_neighbour_angle,
    normal_scores,
)
from nwbcompare.kernels.variance import centred

Array = npt.NDArray[np.float64]
AT_ONCE = 50
"""Surrogates computed between two writes of the file that keeps them."""
BOOTSTRAPS_OF_A_SURROGATE = 5
BOUNDS = {"bound": ["low", "high"]}


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
    """Test whether units form clusters: their silhouette against tables without clusters.

    The null is that task variances are correlated between tasks, but that units lie on a
    continuum. Surrogates are drawn from a Gaussian copula with the observed values of every
    column (each surrogate column is a permutation of them) and the observed rank correlations.
    They go through the same steps as the data: threshold, division by the maximum, search.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.epoch_variance`.
    n_surrogates
        Surrogates; 999 give p values down to 0.001.
    seed
        Seed of the surrogates, each of which has a stream of its own, and of k-means.
    n_init
        Starts of k-means, in the data as in the surrogates; 1, since 20 take ten times as long.
        The observed silhouette is therefore not quite that of `cluster_units`.
    n_clusters_tried, threshold
        See `nwbcompare.analysis.clusters.cluster_units`.
    n_jobs
        Processes; by default one for each core. The result does not depend on it.
    kept
        A file (JSON) that surrogates are kept in as they are computed. A later call with the
        same table and parameters goes on from it, and may ask for more surrogates.

    Returns
    -------
    xarray.Dataset
        ``observed``, the highest silhouette over the numbers of clusters; ``n_clusters``, where
        it is; ``surrogate_silhouette`` and ``surrogate_n_clusters (surrogate)``; ``p_value``,
        (1 + b) / (1 + B), where b counts surrogates with at least the observed silhouette. A
        surrogate with too few active units has silhouette 1 and 0 clusters, and so counts.

    Raises
    ------
    InputError
        As `cluster_units`, and where ``kept`` holds surrogates of another table.

    Notes
    -----
    The p value is about one network; for a claim about networks, test their values against each
    other. With ties the surrogates' rank correlations are slightly weaker than the observed.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> table = np.repeat(np.eye(3), 8, axis=0) + 0.01 * np.random.default_rng(0).random((24, 3))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), table)}, coords={"task": list("abc")})
    >>> cluster_null(tv, n_surrogates=19, n_clusters_tried=[2, 3, 4], n_jobs=1)["p_value"].item()
    0.05
    """
    table = _complete_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed, n_clusters = search.checked(table)
    null = _surrogates(table.values, search, n_surrogates, n_jobs, kept)
    silhouettes = np.array([silhouette for silhouette, _ in null])
    return xr.Dataset(
        {
            "observed": observed,
            "n_clusters": n_clusters,
            "surrogate_silhouette": ("surrogate", silhouettes, {"units": "1"}),
            "surrogate_n_clusters": ("surrogate", [number for _, number in null]),
            "p_value": _p_value(silhouettes >= observed - 1e-12),
        },
        attrs={
            **variance.attrs,
            **search.attrs(),
            "analysis": "cluster_null",
            "n_surrogates": n_surrogates,
        },
    )


def epairs(
    variance: xr.Dataset,
    *,
    n_surrogates: int = 999,
    n_neighbours: int = 3,
    seed: int = 0,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Test whether units point closer together than Gaussian ones of equal covariance (ePAIRS).

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.epoch_variance`, of three columns or more.
    n_surrogates
        Gaussian draws; 999 give two-sided p values down to 0.002.
    n_neighbours
        Nearest units that count for each unit.
    seed
        Seed of the draws.
    threshold
        See `nwbcompare.analysis.clusters.cluster_units`.

    Returns
    -------
    xarray.Dataset
        ``observed``, the mean angle (rad) of a unit to its nearest; ``surrogate_angle
        (surrogate)``; ``p_value``, two-sided, twice the smaller (1 + b) / (1 + B);
        ``effect_size``, how many s.d. of the surrogates the angle is below their mean:
        positive for units in clusters.

    Raises
    ------
    InputError
        For fewer than three columns, or no more active units than neighbours and two.

    Notes
    -----
    Hirokawa et al. 2019 compare profiles with Gaussian ones of the data's mean and covariance.
    Rows of task variance divided by their maximum are far from Gaussian, so that they are
    rejected in data without any cluster. Here every column is replaced by the normal quantiles
    of its ranks, which makes it Gaussian whatever its marginal, and each unit's mean over
    columns is taken off, which takes out its overall size as the division does. The draws have
    exactly the data's mean and covariance: for Gaussian rows the test is then exact.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> values = np.random.default_rng(0).random((20, 4))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), values)})
    >>> bool(epairs(tv, n_surrogates=99)["p_value"] > 0.05)
    True
    """
    table = _complete_table(variance)
    _, active = active_rows(table, threshold)
    if table.shape[1] < 3 or active.sum() < n_neighbours + 2:
        raise InputError(
            "variance",
            f"three or more columns and at least {n_neighbours + 2} active units",
            f"{table.shape[1]} columns and {int(active.sum())} active units",
            "Give more tasks, or fewer neighbours with n_neighbours=...",
        )
    scores = normal_scores(table.values[active])
    scores -= scores.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    with one_thread():
        observed = mean_neighbour_angle(scores, n_neighbours)
        null = np.array(
            [
                mean_neighbour_angle(gaussian_like(scores, rng), n_neighbours)
                for _ in tqdm(range(n_surrogates), desc="ePAIRS", disable=None)
            ]
        )
    one_sided = min(_p_value(null <= observed), _p_value(null >= observed))
    return xr.Dataset(
        {
            "observed": ((), observed, {"units": "rad"}),
            "surrogate_angle": ("surrogate", null, {"units": "rad"}),
            "p_value": min(1.0, 2 * one_sided),
            "effect_size": (null.mean() - observed) / null.std(),
        },
        attrs={
            **variance.attrs,
            "analysis": "epairs",
            "n_surrogates": n_surrogates,
            "n_neighbours": n_neighbours,
            "seed": seed,
            "threshold": threshold,
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
    """Describe the silhouettes of tables whose columns were shuffled among units, one by one.

    There is no p value, since this is no null for clusters: a shuffle also breaks the
    correlation between tasks, and a row of unrelated values is ruled by one of them. Divided by
    its maximum it lies near an axis, so that shuffled units look *more* clustered than those of
    real networks. See `cluster_null` for the test.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.epoch_variance`.
    n_shuffles, seed
        Shuffles and their seed.
    n_init, n_clusters_tried, threshold
        See `cluster_null`.

    Returns
    -------
    xarray.Dataset
        ``observed`` and ``shuffled_silhouette (shuffle)``, each the highest over the numbers of
        clusters, and the ``n_clusters`` and ``shuffled_n_clusters (shuffle)`` they are at.
    """
    table = _complete_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed, n_clusters = search.checked(table)
    rng = np.random.default_rng(seed)
    shuffled = [
        search(rng.permuted(table.values, axis=0))
        for _ in tqdm(range(n_shuffles), desc="shuffles", disable=None)
    ]
    return xr.Dataset(
        {
            "observed": observed,
            "n_clusters": n_clusters,
            "shuffled_silhouette": ("shuffle", [silhouette for silhouette, _ in shuffled]),
            "shuffled_n_clusters": ("shuffle", [number for _, number in shuffled]),
        },
        attrs={
            **variance.attrs,
            **search.attrs(),
            "analysis": "describe_shuffled",
            "n_shuffles": n_shuffles,
        },
    )


def describe_rotated(
    activity: Activity,
    *,
    n_rotations: int = 20,
    seed: int = 0,
    n_init: int = 1,
    n_clusters_tried: Sequence[int] = N_CLUSTERS_TRIED,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Describe the silhouettes of random mixtures of the units (rotations).

    There is no p value, since this is no null for clusters: mixtures of all units are nearly
    alike, take part in all tasks, and what remains of their differences is that of the
    directions with most variance, whether or not the units were in clusters.

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
        ``observed`` and ``rotated_silhouette (rotation)``, each the highest over the numbers of
        clusters, and the ``n_clusters`` and ``rotated_n_clusters (rotation)`` they are at.

    Raises
    ------
    InputError
        As `cluster_units`, and for units that lack a condition.

    Notes
    -----
    The variance of a rotated unit needs only the units' covariance over conditions.
    """
    variance = task_variance(activity)
    table = variance_table(variance)
    search = _Search(tuple(n_clusters_tried), threshold, n_init, seed)
    observed, n_clusters = search.checked(table)
    samples = [
        centred(means["rate_mean"].values[:, :, bins], "per_time")
        for _, means, bins in means_by_task(activity)
    ]
    if not all(np.isfinite(sample).all() for sample in samples):
        raise InputError(
            "activity",
            "units that have every condition at every time",
            "some that lack one",
            "Leave them out with nwbcompare.select(activity, units=...).",
        )
    covariances = np.stack([sample @ sample.T for sample in samples])
    rng = np.random.default_rng(seed)
    rotated = []
    for _ in tqdm(range(n_rotations), desc="rotations", disable=None):
        rotation = random_rotation(len(table), rng)
        turned = (rotation @ covariances * rotation).sum(axis=-1).T
        rotated.append(search(turned))
    return xr.Dataset(
        {
            "observed": observed,
            "n_clusters": n_clusters,
            "rotated_silhouette": ("rotation", [silhouette for silhouette, _ in rotated]),
            "rotated_n_clusters": ("rotation", [number for _, number in rotated]),
        },
        attrs={
            **variance.attrs,
            **search.attrs(),
            "analysis": "describe_rotated",
            "n_rotations": n_rotations,
        },
    )


def cluster_stability(
    variance: xr.Dataset,
    clusters: xr.Dataset,
    *,
    n_bootstraps: int = 100,
    n_surrogates: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Measure how well clusters are found again when units are drawn anew.

    Parameters
    ----------
    variance
        What the clusters were made from.
    clusters
        From `nwbcompare.analysis.clusters.cluster_units`; its method, number of clusters,
        starts and seed are used again.
    n_bootstraps
        Draws of as many active units, with replacement.
    n_surrogates
        Tables without clusters (see `cluster_null`) that go through the same, with 5 draws
        each. Labels that mean nothing have 0; a continuum cut in pieces has more than that, and
        this is what stable clusters have to exceed.
    seed
        Seed of the draws and of the surrogates.

    Returns
    -------
    xarray.Dataset
        ``adjusted_rand (bootstrap)``, between the labels of the clusters and those found in the
        drawn units, each unit once; ``mean`` and its ``interval (bound)``, the 2.5th and 97.5th
        percentile over draws; ``surrogate_adjusted_rand (surrogate)``, means over 5 draws.

    Raises
    ------
    InputError
        Where the two do not have the same units.
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
    repeat = _Repeat(
        clusters.attrs["method"],
        clusters.attrs["n_clusters"],
        clusters.attrs["n_init"],
        clusters.attrs["seed"],
    )
    rng = np.random.default_rng(seed)
    rows, labels = (
        clusters["normalised_variance"].values[active],
        clusters["cluster"].values[active],
    )
    with tqdm(total=n_bootstraps + n_surrogates, desc="stability", disable=None) as bar:
        agreement = []
        for _ in range(n_bootstraps):
            agreement.append(repeat.agreement(rows, labels, rng))
            bar.update()
        copula = Copula.of(table.values[~np.isnan(table.values).any(axis=1)])
        continuum = []
        for _ in range(n_surrogates):
            drawn, _ = normalised(copula.draw(rng), clusters.attrs["threshold"])
            own = repeat(drawn)
            draws = range(BOOTSTRAPS_OF_A_SURROGATE)
            continuum.append(np.mean([repeat.agreement(drawn, own, rng) for _ in draws]))
            bar.update()
    return xr.Dataset(
        {
            "adjusted_rand": ("bootstrap", agreement),
            "mean": float(np.mean(agreement)),
            "interval": ("bound", np.percentile(agreement, [2.5, 97.5])),
            "surrogate_adjusted_rand": ("surrogate", continuum),
        },
        coords=BOUNDS,
        attrs={
            **clusters.attrs,
            "analysis": "cluster_stability",
            "n_bootstraps": n_bootstraps,
            "n_surrogates": n_surrogates,
            "seed": seed,
        },
    )


def match_clusters(
    results: Sequence[xr.Dataset], *, n_permutations: int = 199, seed: int = 0
) -> xr.Dataset:
    """Match the clusters of several networks by their profiles; the network is the unit.

    Parameters
    ----------
    results
        From `nwbcompare.analysis.clusters.cluster_units`, one for each network, all with the
        same columns and each with a name of its own.
    n_permutations, seed
        Permutations for the null, and their seed: the columns of every profile are permuted by
        themselves, and the profiles matched anew. What is left is what an optimal assignment
        finds in unrelated profiles.

    Returns
    -------
    xarray.Dataset
        ``correlation`` and ``null_correlation (network, other_network)``: the mean Pearson
        correlation of matched profiles of each two networks, and its mean over permutations.
        ``mean`` over pairs, its 95 % ``interval (bound)`` by a jackknife over networks (NaN,
        with a warning, for two), ``null_mean (permutation)`` and ``p_value``,
        (1 + b) / (1 + B). Against the network most like the others (attrs ``reference``):
        ``matched_cluster (network, cluster)``, -1 where a network has none left, its
        ``matched_correlation`` and ``matched_profile (network, cluster, column)``, then NaN.

    Raises
    ------
    InputError
        For fewer than two networks, two of one name, or networks that differ in their columns.

    Notes
    -----
    Assignment is optimal in the summed correlation (`scipy.optimize.linear_sum_assignment`).
    Where one network has more clusters, the surplus is left out. A profile without variance
    has correlation 0.
    """
    names, column = _check_networks(results)
    profiles = [result["profile"].values for result in results]
    rng = np.random.default_rng(seed)
    correlation = _matched_correlations(profiles)
    null = np.stack(
        [
            _matched_correlations([rng.permuted(profile, axis=1) for profile in profiles])
            for _ in tqdm(range(n_permutations), desc="matching", disable=None)
        ]
    )
    mean, null_mean = _mean_of_pairs(correlation), np.array([_mean_of_pairs(one) for one in null])
    # more clusters leave an assignment more choice: what it finds by chance is taken off
    reference = int(np.argmax((correlation - null.mean(axis=0)).sum(axis=1)))
    matched = [_assign(profiles[reference], profile) for profile in profiles]
    places = np.array([place for place, _ in matched])
    found = np.full((*places.shape, profiles[0].shape[1]), np.nan)
    for network, profile in enumerate(profiles):
        inside = places[network] >= 0
        found[network, inside] = profile[places[network, inside]]
    pair = ("network", "other_network")
    return xr.Dataset(
        {
            "correlation": (pair, correlation),
            "null_correlation": (pair, null.mean(axis=0)),
            "mean": mean,
            "interval": ("bound", _jackknife_interval(correlation)),
            "null_mean": ("permutation", null_mean),
            "p_value": _p_value(null_mean >= mean - 1e-12),
            "matched_cluster": (("network", "cluster"), places),
            "matched_correlation": (("network", "cluster"), np.array([r for _, r in matched])),
            "matched_profile": (("network", "cluster", column), found, {"units": "1"}),
            "preferred": ("cluster", results[reference]["preferred"].values),
        },
        coords={
            **columns_on(results[0], column),
            "network": names,
            "other_network": names,
            **BOUNDS,
        },
        attrs={
            "analysis": "match_clusters",
            "reference": names[reference],
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )


@dataclass(frozen=True)
class _Search:
    """The statistic of `cluster_null`: the highest silhouette of a table, and where it is."""

    n_clusters_tried: tuple[int, ...]
    threshold: float
    n_init: int
    seed: int

    def checked(self, table: xr.DataArray) -> tuple[float, int]:
        """Give the statistic of the data, which errors and warnings are about."""
        rows, _ = active_rows(table, self.threshold)
        numbers_within(rows, self.n_clusters_tried, stacklevel=4)
        return self(table.values)

    def __call__(self, table: Array) -> tuple[float, int]:
        rows, _ = normalised(table, self.threshold)
        most = most_clusters(rows)
        tried = [k for k in self.n_clusters_tried if k <= most]
        if not tried:
            return 1.0, 0
        found = cluster(rows, tried, n_init=self.n_init, seed=self.seed)
        return float(found.silhouettes.max()), found.n_clusters

    def attrs(self) -> dict[str, Any]:
        return {
            "n_clusters_tried": json.dumps([int(k) for k in self.n_clusters_tried]),
            "threshold": self.threshold,
            "n_init": self.n_init,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class _Repeat:
    """A clustering with a number of clusters that is settled."""

    method: str
    n_clusters: int
    n_init: int
    seed: int

    def __call__(self, rows: Array) -> npt.NDArray[np.int64]:
        tried = [max(1, min(self.n_clusters, most_clusters(rows)))]
        found = cluster(rows, tried, method=self.method, n_init=self.n_init, seed=self.seed)
        return found.labels

    def agreement(
        self, rows: Array, labels: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> float:
        """Adjusted Rand index of the labels and those of units drawn with replacement."""
        from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 - slow to import

        drawn = rng.integers(len(rows), size=len(rows))
        again = self(rows[drawn])
        units, first = np.unique(drawn, return_index=True)
        return float(adjusted_rand_score(labels[units], again[first]))


def _p_value(as_far: npt.NDArray[np.bool_]) -> float:
    return float((1 + as_far.sum()) / (1 + as_far.size))


def _complete_table(variance: xr.Dataset) -> xr.DataArray:
    table = variance_table(variance)
    return table[~np.isnan(table.values).any(axis=1)].astype(np.float64)


def _surrogate(copula: Copula, search: _Search, index: int) -> tuple[float, int]:
    stream = np.random.SeedSequence(search.seed, spawn_key=(index,))
    return search(copula.draw(np.random.default_rng(stream)))


def _surrogates(
    table: Array, search: _Search, n: int, n_jobs: int | None, kept: str | PathLike[str] | None
) -> list[tuple[float, int]]:
    """Compute n surrogates, or what a file lacks of them, and keep them chunk by chunk."""
    from joblib import Parallel, cpu_count, delayed  # noqa: PLC0415 - only where it is needed

    key = {
        "table_sha256": hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest(),
        "n_columns": table.shape[1],
        **search.attrs(),
    }
    found = [] if kept is None else _read_kept(Path(kept), key)
    copula = Copula.of(table)
    at_once = Parallel(n_jobs=n_jobs or cpu_count())
    with tqdm(total=n, initial=min(len(found), n), desc="surrogates", disable=None) as bar:
        while len(found) < n:
            indices = range(len(found), min(len(found) + AT_ONCE, n))
            found += at_once(delayed(_surrogate)(copula, search, index) for index in indices)
            if kept is not None:
                with written_aside(kept, overwrite=True) as aside:
                    aside.write_text(json.dumps({**key, "surrogates": found}))
            bar.update(len(indices))
    return found[:n]


def _read_kept(path: Path, key: dict[str, Any]) -> list[tuple[float, int]]:
    if not path.is_file():
        return []
    try:
        record = json.loads(path.read_text())
        surrogates = [(float(silhouette), int(k)) for silhouette, k in record.pop("surrogates")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            str(path), "surrogates kept by cluster_null", "another file", "Name another path."
        ) from error
    if record != key:
        differing = [name for name in key if record.get(name) != key[name]]
        raise InputError(
            str(path),
            "surrogates of this table with these parameters",
            f"others, which differ in {listing(differing)}",
            "Name another path with kept=..., or delete the file.",
        )
    return surrogates


def _check_networks(results: Sequence[xr.Dataset]) -> tuple[list[str], str]:
    if len(results) < 2:
        raise InputError("results", "two or more networks", str(len(results)), "Give more.")
    names = [str(result.attrs.get("name", "")) for result in results]
    if len(set(names)) < len(names):
        raise InputError(
            "results",
            "networks with names of their own",
            listing(names),
            "Name them with assign_attrs(name=...).",
        )
    column = str(results[0]["profile"].dims[1])
    for name, result in zip(names, results, strict=True):
        same = column in result.coords and np.array_equal(
            result[column].values, results[0][column].values
        )
        if not same:
            raise InputError(
                "results",
                f"the columns of {names[0]!r} in all networks",
                f"others in {name!r}",
                "Take the same tasks of every network, in the same order.",
            )
    return names, column


def _correlations(a: Array, b: Array) -> Array:
    """Pearson correlation of each row of a with each of b; 0 with a row without variance."""
    unit = []
    for rows in (a, b):
        centred = rows - rows.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        unit.append(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12))
    correlation: Array = unit[0] @ unit[1].T
    return correlation


def _assign(reference: Array, profile: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Give, for each row of the reference, its matched row (-1: none) and their correlation."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow to import

    correlation = _correlations(reference, profile)
    mine, theirs = linear_sum_assignment(correlation, maximize=True)
    place, matched = np.full(len(reference), -1), np.full(len(reference), np.nan)
    place[mine], matched[mine] = theirs, correlation[mine, theirs]
    return place, matched


def _matched_correlations(profiles: Sequence[Array]) -> Array:
    """Mean matched correlation of each two networks ``(network, network)``."""
    mean = np.eye(len(profiles))
    for a, b in combinations(range(len(profiles)), 2):
        mean[a, b] = mean[b, a] = np.nanmean(_assign(profiles[a], profiles[b])[1])
    return mean


def _mean_of_pairs(correlation: Array) -> float:
    return float(correlation[np.triu_indices(len(correlation), 1)].mean())


def _jackknife_interval(correlation: Array) -> Array:
    """95 % interval of the mean over pairs, by leaving out each network in turn."""
    from scipy.special import stdtrit  # noqa: PLC0415 - only where it is needed

    n = len(correlation)
    if n < 3:
        warnings.warn("two networks have no interval: it is NaN", UnitWarning, stacklevel=3)
        return np.full(2, np.nan)
    without = np.array(
        [
            _mean_of_pairs(np.delete(np.delete(correlation, one, axis=0), one, axis=1))
            for one in range(n)
        ]
    )
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    half = stdtrit(n - 1, 0.975) * error
    return _mean_of_pairs(correlation) + np.array([-half, half])
