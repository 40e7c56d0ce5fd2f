"""Clusters of units by their normalised task variance, on plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.threads import one_thread

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
METHODS = ("kmeans", "ward", "hdbscan")
EMBEDDINGS = ("tsne", "pca", "mds")
# as published
PERPLEXITY = 30
SMALLEST_CLUSTER = 5
"""Fewest units of a cluster in HDBSCAN (scikit-learn's default)."""
MDS_STARTS = 4


class Clustering(NamedTuple):
    """The clusters at the number of clusters with the highest silhouette."""

    labels: Labels
    """``(unit,)``, from 0; -1: noise of HDBSCAN."""
    n_clusters: int
    n_clusters_tried: list[int]
    silhouettes: Array
    """``(n_clusters_tried,)``."""


def normalised(variance: Array, threshold: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Divide the rows of active units by their maxima.

    Parameters
    ----------
    variance
        ``(unit, column)``, at least 0; units with NaN are not active.
    threshold
        Units whose variances sum to more than this are active.

    Returns
    -------
    rows : numpy.ndarray
        ``(active unit, column)`` in [0, 1].
    active : numpy.ndarray
        ``(unit,)``.

    Examples
    --------
    >>> rows, active = normalised(np.array([[1.0, 4.0], [0.0, 0.0]]), 1e-3)
    >>> rows.tolist(), active.tolist()
    ([[0.25, 1.0]], [True, False])
    """
    active: npt.NDArray[np.bool_] = variance.sum(axis=1) > threshold
    rows = variance[active]
    return np.ascontiguousarray(rows / rows.max(axis=1, keepdims=True)), active


def most_clusters(rows: Array) -> int:
    """Return the largest number of clusters that has a silhouette.

    Parameters
    ----------
    rows
        ``(unit, column)``.

    Returns
    -------
    int
        The number of units less one, or that of different rows where that is smaller.

    Examples
    --------
    >>> most_clusters(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.5, 1.0]]))
    3
    """
    # rows that differ by rounding are one point for k-means
    distinct = len(np.unique(rows.round(12), axis=0))
    return min(len(rows) - 1, distinct)


def cluster(
    rows: Array,
    n_clusters_tried: Sequence[int],
    *,
    method: str = "kmeans",
    n_init: int = 20,
    seed: int = 0,
) -> Clustering:
    """Cluster rows into each number of clusters and keep that of the highest mean silhouette.

    Parameters
    ----------
    rows
        ``(unit, column)``.
    n_clusters_tried
        Numbers of clusters; of equal silhouettes the first counts. Not used by HDBSCAN, which
        determines the number.
    method
        A name in `METHODS`.
    n_init, seed
        Starts of k-means and their seed.

    Returns
    -------
    Clustering
        Labels and silhouettes.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]])
    >>> cluster(rows, [2, 3], method="ward").labels.tolist()
    [0, 0, 1, 1]
    """
    with one_thread():
        distances = _distances_between(rows)
        if method == "hdbscan":
            labels = _hdbscan(rows)
            n_found = int(labels.max()) + 1
            return Clustering(
                labels, n_found, [n_found], np.array([_mean_silhouette(distances, labels)])
            )
        tried = [int(k) for k in n_clusters_tried]
        candidates = _ward(rows, tried) if method == "ward" else _kmeans(rows, tried, n_init, seed)
        scores = np.array([_mean_silhouette(distances, labels) for labels in candidates])
    best = int(np.argmax(scores))
    return Clustering(candidates[best], tried[best], tried, scores)


def _kmeans(rows: Array, tried: Sequence[int], n_init: int, seed: int) -> list[Labels]:
    from sklearn.cluster import KMeans  # noqa: PLC0415 - slow to import

    return [
        # Lloyd's algorithm, as in the published analysis
        KMeans(k, n_init=n_init, random_state=seed, algorithm="lloyd")
        .fit_predict(rows)
        .astype(np.int64)
        for k in tried
    ]


def _ward(rows: Array, tried: Sequence[int]) -> list[Labels]:
    from scipy.cluster.hierarchy import cut_tree, linkage  # noqa: PLC0415 - slow to import

    cuts: npt.NDArray[np.int64] = cut_tree(linkage(rows, "ward"), n_clusters=tried)
    return list(cuts.astype(np.int64).T)


def _hdbscan(rows: Array) -> Labels:
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 - slow to import

    # scikit-learn raises an error for fewer
    if len(rows) < SMALLEST_CLUSTER:
        return np.full(len(rows), -1)
    labels: Labels = HDBSCAN(min_cluster_size=SMALLEST_CLUSTER, copy=True).fit_predict(rows)
    return labels.astype(np.int64)


def _distances_between(rows: Array) -> Array:
    """Compute the Euclidean distance of each pair of rows."""
    from scipy.spatial.distance import pdist, squareform  # noqa: PLC0415 - slow to import

    distances: Array = squareform(pdist(rows))
    return distances


def _mean_silhouette(distances: Array, labels: Labels) -> float:
    """Compute the mean silhouette of the units that are in a cluster.

    Parameters
    ----------
    distances
        ``(unit, unit)``.
    labels
        ``(unit,)``; -1: in no cluster, left out.

    Returns
    -------
    float
        Equal to scikit-learn's ``silhouette_score``, but from distances that are computed once for
        all numbers of clusters; 0 for fewer than two clusters.
    """
    inside = labels >= 0
    names, cluster = np.unique(labels[inside], return_inverse=True)
    if len(names) < 2:
        return 0.0
    # sums over all clusters are one matrix product
    member = np.eye(len(names))[cluster.reshape(-1)]
    size, every = member.sum(axis=0), np.arange(len(member))
    # noise of HDBSCAN is in no cluster, and in no silhouette
    total = distances[np.ix_(inside, inside)] @ member
    alone = size[cluster] == 1
    within = total[every, cluster] / np.where(alone, 1, size[cluster] - 1)
    other = total / size
    other[every, cluster] = np.inf
    nearest = other.min(axis=1)
    wider = np.maximum(within, nearest)
    # by convention a unit alone in its cluster has 0
    scored = ~alone & (wider > 0)
    scores = np.where(scored, nearest - within, 0) / np.where(scored, wider, 1)
    return float(scores.mean())


def by_preference(rows: Array, labels: Labels) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Renumber clusters by the column that their members vary most in.

    Parameters
    ----------
    rows
        ``(unit, column)``.
    labels
        ``(unit,)``, any numbers; -1 stays.

    Returns
    -------
    labels : numpy.ndarray
        ``(unit,)``, from 0: by preferred column, the larger cluster first among equals.
    preferred : numpy.ndarray
        ``(cluster,)``: the column with the largest sum over the members.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0]])
    >>> labels, preferred = by_preference(rows, np.array([0, 0, 1]))
    >>> labels.tolist(), preferred.tolist()
    ([1, 1, 0], [0, 1])
    """
    names = np.unique(labels[labels >= 0])
    sums = np.array([rows[labels == name].sum(axis=0) for name in names])
    sizes = np.array([(labels == name).sum() for name in names])
    preferred = sums.argmax(axis=1)
    order = np.lexsort((-sizes, preferred))
    renumbered = np.full(len(labels), -1)
    for new, old in enumerate(order):
        renumbered[labels == names[old]] = new
    return renumbered, preferred[order]


def embed(rows: Array, *, method: str, seed: int = 0) -> Array:
    """Embed rows in two dimensions with the published settings.

    Parameters
    ----------
    rows
        ``(unit, column)``.
    method
        A name in `EMBEDDINGS`.
    seed
        Seed of t-SNE and of the starts of MDS.

    Returns
    -------
    numpy.ndarray
        ``(unit, 2)``.

    Notes
    -----
    t-SNE: perplexity 30, learning rate 100, exact, started from PCA (Yang et al. 2019). MDS: the
    best of 4 random starts.

    Examples
    --------
    >>> embed(np.eye(4), method="pca").shape
    (4, 2)
    """
    makers: dict[str, Callable[[Array, int], Any]] = {"tsne": _tsne, "pca": _pca, "mds": _mds}
    with one_thread():
        return np.asarray(makers[method](rows, seed), dtype=np.float64)


def _tsne(rows: Array, seed: int) -> Any:
    from sklearn.manifold import TSNE  # noqa: PLC0415 - slow to import

    settings = {"perplexity": PERPLEXITY, "learning_rate": 100, "method": "exact", "init": "pca"}
    return TSNE(n_components=2, random_state=seed, **settings).fit_transform(rows)


def _pca(rows: Array, _seed: int) -> Any:
    from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to import

    return PCA(n_components=2, svd_solver="full").fit_transform(rows)


def _mds(rows: Array, seed: int) -> Any:
    from sklearn.manifold import smacof  # noqa: PLC0415 - slow to import

    # scikit-learn's MDS calls this function, with defaults that differ between versions
    distances = _distances_between(rows)
    place, _ = smacof(distances, n_components=2, n_init=MDS_STARTS, random_state=seed)
    return place
