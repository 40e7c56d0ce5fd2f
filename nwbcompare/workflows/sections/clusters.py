"""Clusters of units: as published, by other methods, and against data without clusters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from nwbcompare.analysis.clustering.cluster_matching import match_clusters
from nwbcompare.analysis.clustering.cluster_null import (
    cluster_null,
    describe_rotated,
    describe_shuffled,
)
from nwbcompare.analysis.clustering.cluster_stability import cluster_stability
from nwbcompare.analysis.clustering.clusters import cluster_units, embed_units
from nwbcompare.analysis.clustering.epairs import epairs
from nwbcompare.core.errors import UnitWarning
from nwbcompare.core.number_text import p_text
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.clusters import (
    EMBEDDING_NAMES,
    plot_cluster_heatmap,
    plot_cluster_null,
    plot_embedding,
    plot_matched_profiles,
    plot_silhouette,
)
from nwbcompare.plotting.task_variance import plot_variance_heatmap, plot_variance_in_time
from nwbcompare.report.page_section import Cell, Picture
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.formatting import NAMES, over, refusal_sentences
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

EMBEDDINGS: tuple[Literal["tsne", "pca", "mds"], ...] = ("tsne", "pca", "mds")
TIMED_TASKS = ("delaygo", "contextdelaydm1")
"""The tasks shown in time, where they are there: these have delays."""


def _compute(
    source: AnalysisSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    """Compute clusters, their embeddings, and tests of whether there are any.

    ``clusters`` always; as far as they apply: ``by_epoch``, ``ward`` and ``hdbscan`` (other
    clusters of the same units); ``tsne``, ``pca`` and ``mds (unit, axis)``; ``null``, ``epairs``
    and ``stability``; ``shuffled`` and ``rotated``, which are described only.
    """
    variance = earlier["variance"]["task"]
    clusters = cluster_units(variance, seed=settings.seed)
    # surrogates take minutes: an interrupted run continues from this file
    surrogates = cache.with_suffix(".json")
    draws: dict[str, Any] = {"n_surrogates": settings.n_surrogates, "seed": settings.seed}
    results = Results({"clusters": clusters})
    analyses: dict[str, Callable[[], xr.Dataset]] = {
        # another method may give another number of clusters
        "ward": lambda: cluster_units(variance, method="ward"),
        "hdbscan": lambda: cluster_units(variance, method="hdbscan"),
        **{
            method: partial(embed_units, clusters, method=method, seed=settings.seed)
            for method in EMBEDDINGS
        },
        "null": lambda: cluster_null(variance, kept=surrogates, **draws),
        "epairs": lambda: epairs(variance, **draws),
        "shuffled": lambda: describe_shuffled(variance, seed=settings.seed),
        "rotated": lambda: describe_rotated(source.activity, seed=settings.seed),
        "stability": lambda: cluster_stability(variance, clusters, seed=settings.seed),
    }
    if "epoch" in earlier["variance"]:
        by_epoch = earlier["variance"]["epoch"]
        analyses["by_epoch"] = partial(cluster_units, by_epoch, seed=settings.seed)
    # one may not apply, such as t-SNE of too few units; the others do
    for name, compute in analyses.items():
        results.attempt(name, compute)
    surrogates.unlink(missing_ok=True)
    return results


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return findings about one source, its row, and its pictures."""
    tables = results["clusters"]
    clusters = tables["clusters"]
    best = clusters.attrs["n_clusters"]
    height = float(clusters["silhouette"].max())
    numbers: dict[str, Cell] = {"clusters": int(best), "silhouette": height}
    findings = [
        f"{name}: k-means gives {best} clusters of {int(clusters['active'].sum())} active units "
        f"(silhouette {height:.3f})"
        + "".join(
            f"; {method} {tables[method].attrs['n_clusters']}"
            for method in ("ward", "hdbscan")
            if method in tables
        )
        + "."
    ]
    for key, summarise in {"null": _null, "epairs": _epairs, "stability": _stability}.items():
        if key in tables:
            sentence, more = summarise(name, tables)
            findings.append(sentence)
            numbers |= more
    findings += refusal_sentences(name, tables)
    return Summary(
        findings=findings,
        rows=[{"source": name, **numbers}],
        pictures=_pictures(name, tables, results["variance"]) if pictures else (),
    )


def _null(name: str, results: Results) -> tuple[str, dict[str, Cell]]:
    """Return what the test against surrogates shows, and its numbers for the table."""
    null, shuffled = results["null"], results.get("shuffled")
    silhouettes = null["surrogate_silhouette"].values
    low, median, high = np.quantile(silhouettes, [0.025, 0.5, 0.975])
    p_value = float(null["p_value"])
    # a p above the level does not show that units form a continuum
    verdict = "more clustered" if p_value < 0.05 else "not shown to be more clustered"
    text = (
        f"{name}: its units are {verdict} than a continuum with the same values and rank "
        f"correlations (silhouette {float(null['observed']):.3f} against "
        f"{median:.3f}, 95 % {low:.3f} to {high:.3f}; "
        f"{p_text(p_value)} of {silhouettes.size} surrogates)."
    )
    if shuffled is not None:
        text += (
            " Described only: shuffled columns have "
            f"{float(shuffled['shuffled_silhouette'].median()):.3f}"
        )
        if "rotated" in results:
            rotated = float(results["rotated"]["rotated_silhouette"].median())
            text += f", rotated units {rotated:.3f}"
        text += "."
    return text, {"p (clusters)": p_value, "null silhouette": float(median)}


def _epairs(name: str, results: Results) -> tuple[str, dict[str, Cell]]:
    """Return whether units have nearer neighbours than Gaussian ones, and the numbers."""
    test = results["epairs"]
    p_value, effect = float(test["p_value"]), float(test["effect_size"])
    return (
        f"{name}: by ePAIRS units are {abs(effect):.1f} s.d. "
        f"{'nearer to' if effect > 0 else 'farther from'} their neighbours than Gaussian ones of "
        f"equal covariance ({p_text(p_value)})."
    ), {"ePAIRS (s.d.)": effect, "p (ePAIRS)": p_value}


def _stability(name: str, results: Results) -> tuple[str, dict[str, Cell]]:
    """Return how well clusters are recovered from resampled units, beside those of a continuum."""
    stability = results["stability"]
    low, high = stability["interval"].values
    continuum = float(stability["surrogate_adjusted_rand"].mean())
    return (
        f"{name}: clusters of resampled units agree with an adjusted Rand index of "
        f"{float(stability['mean']):.2f} [{low:.2f}, {high:.2f}]; clusters of a continuum with "
        f"{continuum:.2f}."
    ), {"adjusted Rand": float(stability["mean"]), "its continuum": continuum}


def _pictures(name: str, results: Results, variance: Results) -> list[Picture]:
    """Plot clusters, tests, embeddings, and variance by epoch and in time."""
    clusters = results["clusters"]
    panels = [
        picture(
            f"clusters-{name}",
            f"{name}: task variance of the active units, each divided by its maximum, ordered by "
            "cluster, and the silhouette by number of clusters; band: 95 % of the highest "
            "silhouettes of surrogates without clusters.",
            partial(plot_cluster_heatmap, clusters=clusters, names=NAMES),
            partial(plot_silhouette, clusters=clusters, null=results.get("null")),
            size=(10.5, 5),
            width_ratios=(1.8, 1),
        )
    ]
    tests = [results[key] for key in ("null", "epairs") if key in results]
    if tests:
        panels.append(
            picture(
                f"clusters-null-{name}",
                f"{name}: what data without clusters give, and what the units give (line).",
                *(partial(plot_cluster_null, null=test) for test in tests),
                size=(4 * len(tests), 3),
            )
        )
    plane = [results[method] for method in EMBEDDINGS if method in results]
    if plane:
        methods = [EMBEDDING_NAMES[one.attrs["embedding_method"]] for one in plane]
        panels.append(
            picture(
                f"clusters-plane-{name}",
                f"{name}: units in the plane, by their normalised task variance "
                f"({', '.join(methods)}); numbers are clusters.",
                *(partial(plot_embedding, embedding=one) for one in plane),
                size=(4.2 * len(plane), 4),
            )
        )
    if "by_epoch" in results:
        epochs = variance["epoch"]
        panels.append(
            picture(
                f"clusters-epochs-{name}",
                f"{name}: variance by task and epoch. Above: units in the order of their clusters "
                "by task; below: clustered by task and epoch, "
                f"{results['by_epoch'].attrs['n_clusters']} clusters as published.",
                partial(plot_variance_heatmap, variance=epochs, clusters=clusters, names=NAMES),
                partial(plot_cluster_heatmap, clusters=results["by_epoch"], names=NAMES),
                size=(12, 10),
                n_rows=2,
            )
        )
    tasks = variance["time"]["task"].values
    timed = [task for task in TIMED_TASKS if task in tasks] or list(tasks[:2])
    in_time = partial(
        plot_variance_in_time, variance=variance["time"], clusters=clusters, names=NAMES
    )
    panels.append(
        picture(
            f"clusters-time-{name}",
            f"{name}: variance across conditions in time, the mean over each cluster's units, "
            "relative to its maximum over all tasks and times.",
            *(partial(in_time, task=str(task)) for task in timed),
            size=(5 * len(timed), 3.4),
        )
    )
    return panels


def _summarise_over(networks: Mapping[str, Results], _controls: Mapping[str, Results]) -> Summary:
    """Match clusters between networks, and test over networks what the single tests measure."""
    clusters = [results["clusters"] for results in networks.values()]
    numbers = np.array([one.attrs["n_clusters"] for one in clusters])
    p_values = np.array([float(r["null"]["p_value"]) for r in networks.values() if "null" in r])
    with warnings.catch_warnings():
        # two networks have no interval, which the sentence leaves out
        warnings.filterwarnings("ignore", "two networks", UnitWarning)
        matches = match_clusters(clusters)
    low, high = matches["interval"].values
    interval = f" [{low:.3f}, {high:.3f}] (jackknife over networks)" if low <= high else ""
    null = matches["null_mean"].values
    findings = [
        *_excess(networks),
        f"Over {numbers.size} networks the number of clusters is {numbers.min()} to "
        f"{numbers.max()} (median {np.median(numbers):g}).",
        f"In {(p_values < 0.05).sum()} of {p_values.size} networks units are more clustered than "
        "a continuum (p < 0.05 in the network).",
        f"Clusters matched between networks have profiles that correlate by "
        f"{float(matches['mean']):.3f}{interval}; profiles with permuted tasks, matched alike, "
        f"{null.mean():.3f} ({p_text(float(matches['p_value']))}).",
    ]
    n_panels = min(6, matches.sizes["cluster"])
    profiles = picture(
        "clusters-over-networks",
        f"Profiles of clusters of {matches.attrs['reference']} and of those matched to them in "
        "the other networks.",
        *(
            partial(plot_matched_profiles, matches=matches, cluster=int(which), names=NAMES)
            # spread over the clusters, which are in order of preferred task
            for which in np.linspace(0, matches.sizes["cluster"] - 1, n_panels).round()
        ),
        size=(13, 6.4),
        n_rows=2,
    )
    return Summary(findings=findings, pictures=[profiles])


def _excess(networks: Mapping[str, Results]) -> list[str]:
    """Test over networks how far silhouettes and nearest neighbours are from their nulls."""
    nulls = {name: r["null"] for name, r in networks.items() if "null" in r}
    silhouette = {
        name: float(null["observed"] - null["surrogate_silhouette"].median())
        for name, null in nulls.items()
    }
    nearer = {
        name: float(r["epairs"]["effect_size"]) for name, r in networks.items() if "epairs" in r
    }
    effects = {
        "the silhouette, less the median of the network's surrogates,": silhouette,
        "ePAIRS' effect (s.d. by which units are nearer to their neighbours)": nearer,
    }
    return [
        over(what, over_networks(values)) for what, values in effects.items() if len(values) > 1
    ]


SECTION = Section(
    name="clusters",
    heading="Clusters of units",
    method="Rows of task variance of the active units, each divided by its maximum; k-means "
    "(20 starts), k = 2 to 29 by the highest silhouette; by epoch k = 10. Null: Gaussian-copula "
    "surrogates with the observed values of each task and the observed rank correlations between "
    "tasks, taken through the same threshold, division and search (one start on both sides); "
    "p = (1 + b) / (1 + B), about one network. ePAIRS: angles to the 3 nearest units on normal "
    "scores. Stability: units drawn anew 100 times, the same on 20 surrogates. t-SNE: perplexity "
    "30, learning rate 100, exact, from PCA. Column shuffles are no null: dividing rows by their "
    "maximum makes them look more clustered than the data.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    needs=("variance",),
)
