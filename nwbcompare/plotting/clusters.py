"""Plots of clusters of units: heat map, silhouette, null, embedding, matched profiles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from nwbcompare.core.number_text import p_text
from nwbcompare.plotting.style import (
    BLUE,
    CATEGORICAL,
    GREY,
    LIGHT_GREY,
    NULL_COLOUR,
    SEQUENTIAL,
    VERMILION,
    display_name,
)

EMBEDDING_NAMES = {"tsne": "t-SNE", "pca": "PCA", "mds": "MDS"}
STRIP = (-0.035, 0.0, 0.025, 1.0)
"""Position and size of the strip of clusters beside a heat map, in axes coordinates."""
ROW_OF_TEXT = 0.032
"""Smallest distance of two cluster numbers, as a share of the height of the axes."""


def plot_cluster_heatmap(
    ax: Axes, clusters: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot a heat map of the normalised variance of active units, ordered by cluster.

    Parameters
    ----------
    ax
        Where to draw.
    clusters
        From `nwbcompare.clustering.cluster_units`.
    names
        Display names of tasks.
    """
    order = order_by_cluster(clusters)
    values = clusters["normalised_variance"].isel(unit=order)
    image = ax.imshow(
        # not interpolated: a row is a unit, which must not blend with the next
        values,
        aspect="auto",
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    label_columns(ax, clusters, names)
    plot_cluster_strip(ax, clusters["cluster"].values[order])
    ax.set_title(f"{clusters.attrs.get('name', '')}: {order.size} units")
    colour_bar(ax, image, "variance / unit's maximum")
    return ax


def plot_silhouette(ax: Axes, clusters: xr.Dataset, *, null: xr.Dataset | None = None) -> Axes:
    """Plot the mean silhouette by the number of clusters, with the range of its null.

    Parameters
    ----------
    ax
        Where to draw.
    clusters
        From `nwbcompare.clustering.cluster_units`.
    null
        From `nwbcompare.clustering.cluster_null`: a band is the range of the highest silhouettes
        of 95 % of surrogates, for comparison with the maximum of the curve.
    """
    if null is not None:
        low, middle, high = np.percentile(null["surrogate_silhouette"], [2.5, 50, 97.5])
        ax.axhspan(low, high, color=LIGHT_GREY, alpha=0.5, lw=0, label="null, highest: 95 %")
        ax.axhline(middle, color=NULL_COLOUR, lw=1, ls="--", label="null, highest: median")
    ax.plot(clusters["n_clusters"], clusters["silhouette"], "o-", ms=3, color=BLUE, label="data")
    best = clusters.attrs["n_clusters"]
    ax.plot(
        best,
        clusters["silhouette"].sel(n_clusters=best),
        "o",
        ms=8,
        mfc="none",
        color=VERMILION,
        label=f"chosen: {best}",
    )
    ax.set(xlabel="number of clusters", ylabel="mean silhouette")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return ax


def plot_cluster_null(ax: Axes, null: xr.Dataset) -> Axes:
    """Plot the statistic of surrogates without clusters, and that of the data.

    Parameters
    ----------
    ax
        Where to draw.
    null
        From `nwbcompare.clustering.cluster_null` or `nwbcompare.clustering.epairs`.
    """
    silhouette = "surrogate_silhouette" in null
    values = null["surrogate_silhouette" if silhouette else "surrogate_angle"].values
    observed = float(null["observed"])
    ax.hist(values, bins=30, color=LIGHT_GREY, label=f"{values.size} surrogates")
    p_value = p_text(float(null["p_value"]))
    ax.axvline(observed, color=VERMILION, lw=2, label=f"observed, {p_value}")
    angle = "mean angle to nearest units (rad)"
    ax.set(xlabel="highest mean silhouette" if silhouette else angle, ylabel="surrogates")
    # above the axes, since the observed value may be anywhere
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return ax


def plot_embedding(ax: Axes, embedding: xr.Dataset) -> Axes:
    """Plot the two-dimensional embedding of units, with colours and numbers of clusters.

    The number is at the unit closest to the median of a cluster; colours repeat after 8 clusters.

    Parameters
    ----------
    ax
        Where to draw.
    embedding
        From `nwbcompare.clustering.embed_units`.
    """
    place = embedding["embedding"].values
    has_clusters = "cluster" in embedding.coords and embedding["cluster"].dims == ("unit",)
    labels = embedding["cluster"].values if has_clusters else np.full(len(place), -1)
    for which in np.unique(labels):
        members = place[labels == which]
        colour = LIGHT_GREY if which < 0 else CATEGORICAL[which % len(CATEGORICAL)]
        ax.scatter(members[:, 0], members[:, 1], s=10, lw=0, color=colour, alpha=0.8)
        if which >= 0:
            # at a unit, since the median of a cluster in two parts may be in another cluster
            middle = np.linalg.norm(members - np.median(members, axis=0), axis=1).argmin()
            ax.text(
                members[middle, 0],
                members[middle, 1],
                str(which),
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold",
                bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": colour, "alpha": 0.85},
            )
    # distances can be compared by eye only at equal scales
    ax.set(aspect="equal")
    # the axes of an embedding have no unit
    ax.set_axis_off()
    ax.set_title(EMBEDDING_NAMES[embedding.attrs["embedding_method"]])
    return ax


def plot_matched_profiles(
    ax: Axes, matches: xr.Dataset, cluster: int, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the profile of one cluster and of those matched to it in the other networks.

    Parameters
    ----------
    ax
        Where to draw.
    matches
        From `nwbcompare.clustering.match_clusters`.
    cluster
        The number of a cluster of the reference network.
    names
        Display names of tasks.
    """
    of_cluster = matches.isel(cluster=cluster)
    reference = matches.attrs["reference"]
    others = of_cluster["matched_profile"].sel(network=matches["network"] != reference)
    columns = np.arange(others.shape[1])
    # NaN: a network with fewer clusters has none to match
    has_match = np.isfinite(others.values).all(axis=1)
    for place, profile in enumerate(others.values[has_match]):
        ax.plot(columns, profile, color=GREY, lw=0.8, label="" if place else "other networks")
    profile = of_cluster["matched_profile"].sel(network=reference)
    ax.plot(columns, profile, color=BLUE, lw=1.8, label=reference)
    label_columns(ax, matches, names)
    correlation = of_cluster["matched_correlation"].sel(network=matches["network"] != reference)
    median = f", median r = {np.nanmedian(correlation):.2f}" if has_match.any() else ""
    ax.set_title(f"cluster {cluster}: matched in {has_match.sum()} of {has_match.size}{median}")
    # room for the legend above profiles that reach 1
    ax.set(ylabel="variance / unit's maximum", ylim=(0, 1.2))
    ax.legend(loc="upper left", ncols=2, frameon=False)
    return ax


def order_by_cluster(clusters: xr.Dataset) -> npt.NDArray[np.int64]:
    """Return the places of the active units in order of clusters; noise (label < 0) is last."""
    labels = clusters["cluster"].values
    key = np.where(labels < 0, labels.max() + 1, labels)
    # stable: units of one cluster keep the order of the unit table
    order = np.argsort(key, kind="stable")
    # inactive units have the label of noise: only the column tells them apart
    active: npt.NDArray[np.int64] = order[clusters["active"].values[order]]
    return active


def plot_cluster_strip(ax: Axes, labels: npt.NDArray[np.int64]) -> None:
    """Plot the clusters of a heat map's rows beside it, as colours and numbers."""
    strip = ax.inset_axes(STRIP)
    n_clusters = int(labels.max()) + 1
    colours = ListedColormap([*islice(cycle(CATEGORICAL), n_clusters), LIGHT_GREY])
    # noise has the last colour, beside those of the clusters
    code = np.where(labels < 0, n_clusters, labels)
    strip.imshow(
        code[:, None],
        aspect="auto",
        cmap=colours,
        vmin=-0.5,
        vmax=n_clusters + 0.5,
        interpolation="nearest",
    )
    present = np.unique(code)
    centres = np.array([np.flatnonzero(code == which).mean() for which in present])
    strip.set_yticks(
        _apart(centres, ROW_OF_TEXT * labels.size),
        ["noise" if which == n_clusters else str(which) for which in present],
        fontsize=7,
    )
    strip.set_xticks([])
    strip.tick_params(length=0)
    strip.spines[:].set_visible(False)
    strip.set_ylabel("units by cluster")
    for edge in np.flatnonzero(np.diff(code)) + 0.5:
        ax.axhline(edge, color="white", lw=0.6)
    ax.set_yticks([])


def _apart(places: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Return ascending places with a minimal distance, moved as little as possible."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - slow to import

    # with the distances taken off, places only must not decrease
    steps = np.arange(places.size) * least
    apart: npt.NDArray[np.float64] = isotonic_regression(places - steps).x + steps
    return apart


def label_columns(ax: Axes, result: xr.Dataset, names: Mapping[str, str] | None) -> None:
    """Label the columns of a heat map with tasks, or with tasks and epochs."""
    if "task_epoch" in result.dims:
        tasks, epochs = (result[key].values.astype(str) for key in ("task", "epoch"))
        labels = [f"{display_name(t, names)}, {e}" for t, e in zip(tasks, epochs, strict=True)]
    else:
        labels = [display_name(task, names) for task in result["task"].values.astype(str)]
    ax.set_xticks(np.arange(len(labels)), labels, rotation=90, fontsize=7)


def colour_bar(ax: Axes, image: Any, label: str) -> None:
    """Plot a colour bar beside axes."""
    figure = ax.get_figure()
    assert figure is not None  # noqa: S101 - an axes that is drawn on has one
    figure.colorbar(image, ax=ax, label=label, fraction=0.04, aspect=30, pad=0.02)
