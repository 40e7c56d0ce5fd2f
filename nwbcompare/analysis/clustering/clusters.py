"""Clusters of units with similar task variances, and their embedding in the plane."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.clustering.kernels import clusters as clustering
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD
from nwbcompare.core.activity import columns_on
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
)

Array = npt.NDArray[np.float64]
Method = Literal["kmeans", "ward", "hdbscan"]
COLUMN_DIMS = ("task", "task_epoch")
# as published
N_CLUSTERS_TRIED = range(2, 30)
# as published: by task and epoch there is no search
N_CLUSTERS_BY_EPOCH = 10
# a silhouette needs two clusters, and fewer clusters than units
FEWEST_UNITS = 3


def cluster_units(
    variance: xr.Dataset,
    *,
    method: Method = "kmeans",
    n_clusters: int | None = None,
    n_clusters_tried: Sequence[int] = N_CLUSTERS_TRIED,
    n_init: int = 20,
    seed: int = 0,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Cluster units by their task variance, each divided by its maximum.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`, with two columns
        or more.
    method
        "kmeans" (Lloyd, as published, default), "ward" (hierarchical) or "hdbscan" (dense groups of
        at least 5 units; it determines their number, and the remaining units are noise).
    n_clusters
        Number of clusters. By default, as published, it is searched for by task and is 10 by epoch.
    n_clusters_tried
        Numbers in the search; by default the published ones, 2 to 29. The number with the highest
        mean silhouette is chosen. Numbers that need more active units are omitted, with a warning.
    n_init, seed
        Starts of k-means, by default the published 20, and their seed.
    threshold
        Units whose variances sum to no more than this are inactive. The published 1e-3 is
        absolute: with other units of the rates other units are active.

    Returns
    -------
    xarray.Dataset
        ``active (unit)``; ``cluster (unit)``, a column of the unit table, numbered from 0 in the
        order of preferred columns, -1 for inactive units and for noise; ``normalised_variance
        (unit, column)``, NaN where inactive; ``profile (cluster, column)``, its mean over members;
        ``cluster_size (cluster)``; ``preferred (cluster)``, the column with the largest sum over
        members; ``silhouette (n_clusters)`` of each number tried. ``column`` is "task" or
        "task_epoch". attrs ``n_clusters`` is the chosen number.

    Raises
    ------
    InputError
        For an unknown method, and fewer than 2 clusters.
    NotApplicableError
        For one column only, fewer than 3 active units, units that are all alike, more clusters than
        the units allow, and where HDBSCAN finds no cluster.

    Warns
    -----
    UnitWarning
        For units without variance (NaN), which are in no cluster, and where numbers were omitted.

    Notes
    -----
    Yang et al. 2019, Methods ("Clusters"). The method finds clusters in any table; whether units
    form clusters at all is tested by `nwbcompare.clustering.cluster_null`.

    Examples
    --------
    >>> import xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3, 0], [2, 0.1], [0, 1], [0, 5.]])},
    ...                 coords={"unit": list("abcd"), "task": ["dm1", "dm2"]})
    >>> cluster_units(tv, n_clusters=2)["cluster"].values.tolist()
    [0, 0, 1, 1]
    """
    table = variance_table(variance)
    rows, active = active_rows(table, threshold)
    tried = _numbers_to_try(rows, table.dims[1], method, n_clusters, n_clusters_tried)
    result = clustering.cluster(rows, tried, method=method, n_init=n_init, seed=seed)
    if not result.n_clusters:
        raise NotApplicableError(
            "variance",
            f"a group of at least {clustering.SMALLEST_CLUSTER} units that HDBSCAN calls dense",
            f"none among {len(rows)} active units",
            'Use method="kmeans" or "ward", and test with cluster_null whether there are clusters.',
        )
    return _result(variance, table, active, rows, result).assign_attrs(
        analysis="cluster_units",
        method=method,
        n_clusters=result.n_clusters,
        n_clusters_tried=json.dumps(result.n_clusters_tried),
        n_init=n_init,
        seed=seed,
        threshold=threshold,
    )


def embed_units(
    variance: xr.Dataset,
    *,
    method: Literal["tsne", "pca", "mds"] = "tsne",
    seed: int = 0,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Embed the active units in two dimensions, so that units with similar profiles lie close.

    Parameters
    ----------
    variance
        From `cluster_units`, or from `nwbcompare.task_variance` or
        `nwbcompare.selectivity.epoch_variance`.
    method
        "tsne" (default, as published: perplexity 30, learning rate 100, exact, started from PCA),
        "pca" or "mds" (metric).
    seed
        Seed of t-SNE and of the starts of MDS.
    threshold
        See `cluster_units`; not used for a result of `cluster_units`.

    Returns
    -------
    xarray.Dataset
        ``embedding (unit, axis)`` of the active units, with their columns of the unit table, such
        as ``cluster`` of a result of `cluster_units`.

    Raises
    ------
    InputError
        For an unknown method.
    NotApplicableError
        For t-SNE of no more units than its perplexity, and as `cluster_units`.

    Notes
    -----
    For illustration only: distances in the plane are not quantitative, and t-SNE shows groups in
    data without clusters, too.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), np.eye(4) + 0.1)},
    ...                 coords={"unit": list("abcd"), "task": list("wxyz")})
    >>> embed_units(tv, method="pca")["embedding"].shape
    (4, 2)
    """
    check_known("method", [method], clustering.EMBEDDINGS)
    if "normalised_variance" in variance:
        active = variance["active"].values
        rows = variance["normalised_variance"].values[active]
    else:
        rows, active = active_rows(variance_table(variance), threshold)
    # scikit-learn raises an error of its own for as few
    if method == "tsne" and len(rows) <= clustering.PERPLEXITY:
        raise NotApplicableError(
            "variance",
            f"more than {clustering.PERPLEXITY} active units, the perplexity of t-SNE",
            f"{len(rows)}",
            'Use method="pca" or "mds".',
        )
    return xr.Dataset(
        {"embedding": (("unit", "axis"), clustering.embed(rows, method=method, seed=seed))},
        coords=columns_on(variance.isel(unit=active), "unit"),
        attrs={
            **variance.attrs,
            "analysis": "embed_units",
            "embedding_method": method,
            "embedding_seed": seed,
        },
    )


def variance_table(variance: xr.Dataset) -> xr.DataArray:
    """Return the variances as ``(unit, column)`` and warn of units that lack some (NaN).

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`.

    Returns
    -------
    xarray.DataArray
        ``(unit, task)`` or ``(unit, task_epoch)``.

    Raises
    ------
    InputError
        For any other result.
    NotApplicableError
        For one column only.

    Examples
    --------
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3, 0], [2, 0.1], [0, 1.0]])},
    ...                 coords={"unit": list("abc"), "task": ["dm1", "dm2"]})
    >>> variance_table(tv).dims
    ('unit', 'task')
    """
    dims: Sequence[Any] = variance["task_variance"].dims if "task_variance" in variance else ()
    if len(dims) != 2 or "unit" not in dims or not set(dims) & set(COLUMN_DIMS):
        raise InputError(
            "variance",
            "task_variance with the dims unit and task, or unit and task_epoch",
            f"the dims {listing(dims)}",
            "Give a result of nwbcompare.task_variance or nwbcompare.selectivity.epoch_variance.",
        )
    table = variance["task_variance"].transpose("unit", ...)
    if table.shape[1] < 2:
        raise NotApplicableError(
            "variance",
            "two or more tasks or epochs",
            f"{table.shape[1]}",
            "Divided by its maximum every unit would be 1: clusters need two or more columns.",
        )
    lacking = np.isnan(table.values).any(axis=1)
    if lacking.any():
        warnings.warn(
            f"{int(lacking.sum())} units have no variance (NaN) in some column and are left "
            f"out: {listing(table['unit'].values[lacking], most=5)}",
            UnitWarning,
            stacklevel=3,
        )
    return table


def complete_table(variance: xr.Dataset) -> xr.DataArray:
    """Return the variances of the units that lack none; see `variance_table`.

    Parameters
    ----------
    variance
        As in `variance_table`.

    Returns
    -------
    xarray.DataArray
        ``(unit, column)``, float64.

    Examples
    --------
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3, 0], [2, 0.1], [0, 1.0]])},
    ...                 coords={"unit": list("abc"), "task": ["dm1", "dm2"]})
    >>> complete_table(tv).shape
    (3, 2)
    """
    table = variance_table(variance)
    return table[~np.isnan(table.values).any(axis=1)].astype(np.float64)


def active_rows(table: xr.DataArray, threshold: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the normalised rows of the active units, and which units these are.

    Parameters
    ----------
    table
        From `variance_table`.
    threshold
        See `cluster_units`.

    Returns
    -------
    rows : numpy.ndarray
        ``(active unit, column)``: variances divided by the unit's maximum.
    active : numpy.ndarray
        ``(unit,)``.

    Raises
    ------
    InputError
        For a negative threshold.
    NotApplicableError
        For fewer than 3 active units, and units that are all alike.

    Examples
    --------
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3, 0], [2, 0.1], [0, 1.0]])},
    ...                 coords={"unit": list("abc"), "task": ["dm1", "dm2"]})
    >>> rows, active = active_rows(variance_table(tv), threshold=1e-3)
    >>> rows.tolist()
    [[1.0, 0.0], [1.0, 0.05], [0.0, 1.0]]
    """
    if not threshold >= 0:
        raise InputError("threshold", "0 or more", f"{threshold:g}", "Use 0 to keep every unit.")
    rows, active = clustering.normalised(table.values.astype(np.float64), threshold)
    if len(rows) < FEWEST_UNITS:
        raise NotApplicableError(
            "variance",
            f"at least {FEWEST_UNITS} units whose variances sum to more than {threshold:g}",
            f"{len(rows)} of {active.size} units",
            "Lower the threshold (it is absolute, and variances scale with squared rates).",
        )
    if clustering.most_clusters(rows) < 2:
        raise NotApplicableError(
            "variance",
            "units that differ in their normalised variance",
            f"{len(rows)} active units that are all alike",
            "Use tasks in which units differ.",
        )
    return rows, active


def numbers_within(
    rows: Array, n_clusters_tried: Sequence[int], *, stacklevel: int = 3
) -> list[int]:
    """Select the numbers of clusters that the rows allow; warn where some are too large.

    Parameters
    ----------
    rows
        ``(active unit, column)``, from `active_rows`.
    n_clusters_tried
        Numbers of clusters.
    stacklevel
        Of the warning, as in `warnings.warn`.

    Returns
    -------
    list of int
        The numbers that leave more units than clusters.

    Raises
    ------
    InputError
        For numbers below 2.
    NotApplicableError
        For fewer units than any of the numbers needs.

    Warns
    -----
    UnitWarning
        Where the search ends early.

    Examples
    --------
    >>> numbers_within(np.eye(4), [2, 3])
    [2, 3]
    """
    most, tried = clustering.most_clusters(rows), list(n_clusters_tried)
    _check_numbers(tried, "n_clusters_tried")
    within = [k for k in tried if k <= most]
    if not within:
        raise NotApplicableError(
            "n_clusters_tried",
            f"units for {min(tried)} clusters",
            f"{len(rows)} active units, enough for {most}",
            "Try smaller numbers of clusters, or lower the threshold.",
        )
    if len(within) < len(tried):
        warnings.warn(
            f"{len(rows)} active units: the search over the number of clusters ends at {most}",
            UnitWarning,
            stacklevel=stacklevel,
        )
    return within


def _numbers_to_try(
    rows: Array, dim: Any, method: str, n_clusters: int | None, n_clusters_tried: Sequence[int]
) -> list[int]:
    check_known("method", [method], clustering.METHODS)
    if method == "hdbscan":
        if n_clusters is not None:
            raise InputError(
                "n_clusters",
                "None with HDBSCAN, which determines the number of clusters",
                str(n_clusters),
                'Use method="kmeans" or "ward" for a number of your own.',
            )
        return []
    if n_clusters is None and dim == "task_epoch":
        n_clusters = N_CLUSTERS_BY_EPOCH
    if n_clusters is None:
        return numbers_within(rows, n_clusters_tried, stacklevel=4)
    _check_numbers([n_clusters], "n_clusters")
    most = clustering.most_clusters(rows)
    if n_clusters > most:
        raise NotApplicableError(
            "n_clusters",
            f"units for {n_clusters} clusters",
            f"{len(rows)} active units, enough for {most}",
            "Ask for fewer with n_clusters=..., or lower the threshold.",
        )
    return [n_clusters]


def _check_numbers(numbers: Sequence[int], argument: str) -> None:
    if not numbers or min(numbers) < 2:
        raise InputError(
            argument, "2 clusters or more", listing(numbers, most=5), "Use at least 2 clusters."
        )


def _result(
    variance: xr.Dataset,
    table: xr.DataArray,
    active: npt.NDArray[np.bool_],
    rows: Array,
    result: clustering.Clustering,
) -> xr.Dataset:
    labels, preferred = clustering.by_preference(rows, result.labels)
    cluster = np.full(active.size, -1)
    cluster[active] = labels
    values = np.full(table.shape, np.nan)
    values[active] = rows
    column = str(table.dims[1])
    # inactive units are no members, and have no row here
    profile = np.array([rows[labels == which].mean(axis=0) for which in range(len(preferred))])
    return xr.Dataset(
        {
            "active": ("unit", active),
            "normalised_variance": (("unit", column), values, {"units": "1"}),
            "profile": (("cluster", column), profile, {"units": "1"}),
            "cluster_size": ("cluster", np.bincount(labels[labels >= 0])),
            "preferred": ("cluster", table[column].values[preferred]),
            "silhouette": ("n_clusters", result.silhouettes, {"units": "1"}),
        },
        coords={
            **columns_on(variance, "unit"),
            **columns_on(variance, column),
            "cluster": ("unit", cluster),
            "n_clusters": result.n_clusters_tried,
        },
        attrs=dict(variance.attrs),
    )
