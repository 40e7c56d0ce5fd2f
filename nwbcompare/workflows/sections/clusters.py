"""Clusters of units: as published, by other methods, and whether there are any."""

from __future__ import annotations

import json
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
from nwbcompare.core.errors import ExplainedError, UnitWarning
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.clusters import (
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
from nwbcompare.workflows.analyze_settings import Settings
from nwbcompare.workflows.formatting import NAMES, over
from nwbcompare.workflows.section import Earlier, Results, Section, Shown

EMBEDDINGS: tuple[Literal["tsne", "pca", "mds"], ...] = ("tsne", "pca", "mds")
SHOWN = {"tsne": "t-SNE", "pca": "PCA", "mds": "MDS"}
TIMED_TASKS = ("delaygo", "contextdelaydm1")
"""The tasks shown in time, where they are there: these have delays."""


def _compute(source: AnalysisSource, earlier: Earlier, settings: Settings, work: Path) -> Results:
    variance = earlier["variance"]["task"]
    clusters = cluster_units(variance, seed=settings.seed)
    kept = work.with_suffix(".json")
    draws: dict[str, Any] = {"n_surrogates": settings.n_surrogates, "seed": settings.seed}
    # what too few units or tasks cannot be asked is left out, and the page says so
    asked: dict[str, Callable[[], xr.Dataset]] = {
        "by_epoch": lambda: cluster_units(earlier["variance"]["epoch"], seed=settings.seed),
        "ward": lambda: cluster_units(variance, method="ward"),
        "hdbscan": lambda: cluster_units(variance, method="hdbscan"),
        **{
            method: partial(embed_units, clusters, method=method, seed=settings.seed)
            for method in EMBEDDINGS
        },
        "null": lambda: cluster_null(variance, kept=kept, **draws),
        "epairs": lambda: epairs(variance, **draws),
        "shuffled": lambda: describe_shuffled(variance, seed=settings.seed),
        "rotated": lambda: describe_rotated(source.activity, seed=settings.seed),
        "stability": lambda: cluster_stability(variance, clusters, seed=settings.seed),
    }
    results, refused = {"clusters": clusters}, {}
    for name, ask in asked.items():
        try:
            results[name] = ask()
        except ExplainedError as error:
            if error.subject == str(kept):
                # what an earlier run has left is damaged: no reason to go without
                raise
            refused[name] = str(error)
    kept.unlink(missing_ok=True)
    clusters.attrs["not_asked"] = json.dumps(refused)
    return results


def _show(name: str, found: Earlier, *, pictures: bool) -> Shown:
    results = found["clusters"]
    clusters = results["clusters"]
    best = clusters.attrs["n_clusters"]
    height = float(clusters["silhouette"].max())
    numbers: dict[str, Cell] = {"clusters": int(best), "silhouette": height}
    findings = [
        f"{name}: k-means finds {best} clusters of {int(clusters['active'].sum())} active units "
        f"(silhouette {height:.3f})"
        + "".join(
            f"; {method} {results[method].attrs['n_clusters']}"
            for method in ("ward", "hdbscan")
            if method in results
        )
        + "."
    ]
    for ask in (_null, _epairs, _stability):
        sentences, more = ask(name, results)
        findings += sentences
        numbers |= more
    refused: dict[str, str] = json.loads(clusters.attrs["not_asked"])
    findings += [f"{name}: {what} not asked: {why}" for what, why in refused.items()]
    shown = _pictures(name, results, found["variance"]) if pictures else []
    return Shown(findings=findings, numbers=numbers, pictures=shown)


def _null(name: str, results: Results) -> tuple[list[str], dict[str, Cell]]:
    if "null" not in results:
        return [], {}
    null, shuffled = results["null"], results.get("shuffled")
    drawn = null["surrogate_silhouette"].values
    p_value = float(null["p_value"])
    verdict = "more clustered" if p_value < 0.05 else "not shown to be more clustered"
    text = (
        f"{name}: its units are {verdict} than a continuum with the same values and rank "
        f"correlations (silhouette {float(null['observed']):.3f} against {np.median(drawn):.3f}, "
        f"95 % {np.quantile(drawn, 0.025):.3f} to {np.quantile(drawn, 0.975):.3f}; p = "
        f"{p_value:.2g} of {drawn.size} surrogates)."
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
    return [text], {"p (clusters)": p_value, "null silhouette": float(np.median(drawn))}


def _epairs(name: str, results: Results) -> tuple[list[str], dict[str, Cell]]:
    if "epairs" not in results:
        return [], {}
    found = results["epairs"]
    p_value, effect = float(found["p_value"]), float(found["effect_size"])
    return [
        f"{name}: by ePAIRS units are {abs(effect):.1f} s.d. "
        f"{'nearer to' if effect > 0 else 'farther from'} their neighbours than Gaussian ones of "
        f"equal covariance (p = {p_value:.2g})."
    ], {"ePAIRS (s.d.)": effect, "p (ePAIRS)": p_value}


def _stability(name: str, results: Results) -> tuple[list[str], dict[str, Cell]]:
    if "stability" not in results:
        return [], {}
    found = results["stability"]
    low, high = found["interval"].values
    continuum = float(found["surrogate_adjusted_rand"].mean())
    return [
        f"{name}: clusters are found again in redrawn units with an adjusted Rand index of "
        f"{float(found['mean']):.2f} [{low:.2f}, {high:.2f}]; cut out of a continuum they have "
        f"{continuum:.2f}."
    ], {"adjusted Rand": float(found["mean"]), "its continuum": continuum}


def _pictures(name: str, results: Results, variance: Results) -> list[Picture]:
    clusters = results["clusters"]
    shown = [
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
        shown.append(
            picture(
                f"clusters-null-{name}",
                f"{name}: what data without clusters give, and what the units give (line).",
                *(partial(plot_cluster_null, null=test) for test in tests),
                size=(4 * len(tests), 3),
            )
        )
    plane = [results[method] for method in EMBEDDINGS if method in results]
    if plane:
        shown_methods = [SHOWN[one.attrs["embedding_method"]] for one in plane]
        shown.append(
            picture(
                f"clusters-plane-{name}",
                f"{name}: units in the plane, by their normalised task variance "
                f"({', '.join(shown_methods)}); numbers are clusters.",
                *(partial(plot_embedding, embedding=one) for one in plane),
                size=(4.2 * len(plane), 4),
            )
        )
    if "by_epoch" in results:
        shown.append(
            picture(
                f"clusters-epochs-{name}",
                f"{name}: variance by task and epoch. Above: units in the order of their clusters "
                "by task; below: clustered by task and epoch, "
                f"{results['by_epoch'].attrs['n_clusters']} clusters as published.",
                partial(
                    plot_variance_heatmap,
                    variance=variance["epoch"],
                    clusters=clusters,
                    names=NAMES,
                ),
                partial(plot_cluster_heatmap, clusters=results["by_epoch"], names=NAMES),
                size=(12, 10),
                n_rows=2,
            )
        )
    tasks = variance["time"]["task"].values
    timed = [task for task in TIMED_TASKS if task in tasks] or list(tasks[:2])
    shown.append(
        picture(
            f"clusters-time-{name}",
            f"{name}: variance across conditions in time, the mean over each cluster's units, "
            "relative to its maximum over all tasks and times.",
            *(
                partial(
                    plot_variance_in_time,
                    variance=variance["time"],
                    task=str(task),
                    clusters=clusters,
                    names=NAMES,
                )
                for task in timed
            ),
            size=(5 * len(timed), 3.4),
        )
    )
    return shown


def _show_over(found: Mapping[str, Results], controls: Mapping[str, Results]) -> Shown:
    del controls
    clusters = [results["clusters"] for results in found.values()]
    numbers = np.array([one.attrs["n_clusters"] for one in clusters])
    p_values = np.array([float(r["null"]["p_value"]) for r in found.values() if "null" in r])
    with warnings.catch_warnings():
        # two networks have no interval, which the sentence leaves out
        warnings.filterwarnings("ignore", "two networks", UnitWarning)
        matches = match_clusters(clusters)
    low, high = matches["interval"].values
    interval = f" [{low:.3f}, {high:.3f}] (jackknife over networks)" if low <= high else ""
    null = matches["null_mean"].values
    findings = [
        *_excess(found),
        f"Over {numbers.size} networks the number of clusters is {numbers.min()} to "
        f"{numbers.max()} (median {np.median(numbers):g}).",
        f"In {(p_values < 0.05).sum()} of {p_values.size} networks units are more clustered than "
        "a continuum (p < 0.05 in the network).",
        f"Clusters matched between networks have profiles that correlate by "
        f"{float(matches['mean']):.3f}{interval}; profiles with permuted tasks, matched alike, "
        f"{null.mean():.3f} (p = {float(matches['p_value']):.2g}).",
    ]
    n_shown = min(6, matches.sizes["cluster"])
    shown = picture(
        "clusters-over-networks",
        f"Profiles of clusters of {matches.attrs['reference']} and of those matched to them in "
        "the other networks.",
        *(
            partial(plot_matched_profiles, matches=matches, cluster=int(which), names=NAMES)
            for which in np.linspace(0, matches.sizes["cluster"] - 1, n_shown).round()
        ),
        size=(13, 6.4),
        n_rows=2,
    )
    return Shown(findings=findings, numbers={}, pictures=[shown])


def _excess(found: Mapping[str, Results]) -> list[str]:
    """Say over networks how far silhouettes and neighbours are from those of the nulls."""
    silhouette = {
        name: float(r["null"]["observed"] - r["null"]["surrogate_silhouette"].median())
        for name, r in found.items()
        if "null" in r
    }
    nearer = {name: float(r["epairs"]["effect_size"]) for name, r in found.items() if "epairs" in r}
    asked = {
        "the silhouette, less the median of the network's surrogates,": silhouette,
        "ePAIRS' effect (s.d. by which units are nearer to their neighbours)": nearer,
    }
    return [over(what, over_networks(values)) for what, values in asked.items() if len(values) > 1]


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
    show=_show,
    show_over=_show_over,
    needs=("variance",),
)
