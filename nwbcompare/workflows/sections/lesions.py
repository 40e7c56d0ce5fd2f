"""Lesions of clusters: drop in performance by task, and its correlation with the variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.experiments.lesion_statistics import lesion_statistic
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.lesions import (
    plot_lesion_controls,
    plot_lesion_scatter,
    plot_lesions,
    plot_over_networks,
)
from nwbcompare.report.page_section import Cell
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource, NetworkSource
from nwbcompare.workflows.formatting import LEVEL, NAMES, over
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

N_SETS, SET_TRIALS = 100, 64
"""Random sets of each size, and trials of each task, as the published control has them."""


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of recordings, whose units cannot be lesioned."""
    return None if source.network is not None else Refusal("Recorded units cannot be silenced.")


def _groups(earlier: SourceResults) -> dict[str, npt.NDArray[np.intp]]:
    """Return the positions of the units of each cluster."""
    cluster = earlier["clusters"]["clusters"]["cluster"].values
    return {
        str(which): np.flatnonzero(cluster == which) for which in np.unique(cluster[cluster >= 0])
    }


def _compute(
    source: NetworkSource, earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Lesion each cluster: ``lesions (lesion, task)``, and their ``statistic``."""
    from nwbcompare.experiments.lesions import lesion_performance  # noqa: PLC0415 - imports torch

    profile = earlier["clusters"]["clusters"]["profile"]
    lesions = lesion_performance(
        source.network,
        _groups(earlier),
        [str(task) for task in profile["task"].values],
        n_trials=settings.n_trials,
        seed=settings.seed,
    )
    statistic = lesion_statistic(lesions, profile, seed=settings.seed)
    return Results({"lesions": lesions, "statistic": statistic})


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return how drop and variance are correlated in one network, and where performance drops."""
    tables = results["lesions"]
    lesions, statistic = tables["lesions"], tables["statistic"]
    worst = lesions["change"].min("lesion")
    correlation = float(statistic["rank_correlation"])
    null = statistic["null_rank_correlation"].values
    marked = int((lesions["change_high"] < 0).sum())
    place = worst.argmin("task")
    task = str(worst["task"].values[place])
    largest = max(0.0, -float(worst[place]))
    most = (
        f", most in {NAMES.get(task, task)}, by {largest:.2f} of "
        f"{float(lesions['intact'].sel(task=task)):.2f}"
    )
    findings = [
        f"{name}: over {lesions['change'].size} pairs of cluster and task the drop in performance "
        f"and the cluster's normalised variance have a rank correlation of {correlation:.2f} "
        f"(clusters permuted: 95 % {np.quantile(null, 0.025):.2f} to "
        f"{np.quantile(null, 0.975):.2f}).",
        f"{name}: performance drops in {marked} of these pairs by an interval that leaves out 0"
        f"{most if largest else ''}.",
    ]
    numbers = {
        "rank correlation": correlation,
        "pairs with a drop": marked,
        "largest drop": largest,
    }
    if not pictures:
        return Summary(findings=findings, rows=[{"source": name, **numbers}])
    figure = picture(
        f"lesions-{name}",
        f"{name}: change of performance (lesioned minus intact, the same "
        f"{int(lesions['n_trials'].max())} random trials and noise) with each cluster silenced; "
        "dots: 95 % interval over batches of trials leaves out 0. Right: against the cluster's "
        "normalised task variance.",
        partial(plot_lesions, lesions=lesions, names=NAMES),
        partial(plot_lesion_scatter, statistic=statistic),
        size=(12.5, 5),
        width_ratios=(1.8, 1),
    )
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=[figure])


def _summarise_over(networks: Mapping[str, Results], _controls: Mapping[str, Results]) -> Summary:
    """Test the rank correlation of variance and drop over networks."""
    return _correlation_over(networks, "lesions", "the drop without it")


def _correlation_over(networks: Mapping[str, Results], part: str, drop: str) -> Summary:
    """Summarise over networks the rank correlation of variance and drop in performance."""
    inference = over_networks(
        {name: float(r["statistic"]["rank_correlation"]) for name, r in networks.items()}
    )
    what = f"the rank correlation of a cluster's variance and {drop}"
    figure = picture(
        f"{part}-over-networks",
        f"{what[0].upper()}{what[1:]}, one point a network; mean and 95 % interval over networks.",
        partial(plot_over_networks, inference=inference, label="rank correlation"),
        size=(3.2, 3.6),
    )
    return Summary(findings=[over(what, inference)], pictures=[figure])


SECTION = Section(
    name="lesions",
    heading="Lesions of clusters",
    method="A lesion is a view: outgoing recurrent and output weights of the units count as zero. "
    "All lesions and the intact network see the same random trials and noise (batches of 32 share "
    "a timing); intervals are Student's over batches. Per network one statistic, Spearman's "
    "correlation over cluster and task between normalised variance and drop.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
    needs=("variance", "clusters"),
)


def _compute_controls(
    source: NetworkSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    """Lesion random sets by size (``sizes``), and by size and variance (``matched``).

    The ``statistic`` is that of lesions, of the drop beyond sets of equal size.
    """
    from nwbcompare.experiments.lesions import lesion_controls, matched_lesion_controls  # noqa: PLC0415 - imports torch

    clusters, variance = earlier["clusters"]["clusters"], earlier["variance"]["task"]
    tasks = [str(task) for task in clusters["profile"]["task"].values]
    active = np.flatnonzero(clusters["active"].values)
    common: dict[str, Any] = {
        # inactive units would make random sets harmless
        "among": active,
        "n_sets": N_SETS,
        "n_trials": SET_TRIALS,
        "seed": settings.seed,
    }
    caches = [cache.with_suffix(f".{kind}.json") for kind in ("sizes", "matched")]
    groups = _groups(earlier)
    results = Results(
        {
            "sizes": lesion_controls(source.network, groups, tasks, kept=caches[0], **common),
            "matched": matched_lesion_controls(
                source.network,
                groups,
                variance["task_variance"].sum("task"),
                tasks,
                kept=caches[1],
                **common,
            ),
        }
    )
    for file in caches:
        file.unlink(missing_ok=True)
    # the drop beyond random sets takes the place of the drop
    excess = results["sizes"].assign(change=results["sizes"]["excess"])
    results["statistic"] = lesion_statistic(excess, clusters["profile"], seed=settings.seed)
    return results


def _summarise_controls(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return how many drops exceed those of random sets, beside the number expected by chance."""
    sizes, matched = results["controls"]["sizes"], results["controls"]["matched"]
    correlation = float(results["controls"]["statistic"]["rank_correlation"])
    findings = [
        f"{name}: the drop beyond that of random sets of the cluster's size and the cluster's "
        f"normalised variance have a rank correlation of {correlation:.2f}."
    ]
    numbers: dict[str, Cell] = {"rank correlation of the excess": correlation}
    for what, one in (("size", sizes), ("size and summed variance", matched)):
        p_values = one["p_value"].values.ravel()
        below = int((p_values < LEVEL).sum())
        # of hundreds of pairs some pass 0.05 by chance
        discovered = int((adjust_p(p_values, "fdr_bh") <= LEVEL).sum())
        findings.append(
            f"{name}: against random sets of the same {what}, {below} of {p_values.size} pairs of "
            f"cluster and task drop more at p < {LEVEL:g} ({LEVEL * p_values.size:.0f} are "
            f"expected by chance); {discovered} pass at a false discovery "
            f"rate of {LEVEL:.0%}{_floor(p_values.size, one.sizes['set'])}."
        )
        numbers[f"pairs beyond sets of like {what}"] = below
    figures = []
    if pictures:
        caption = (
            f"{name}: drop in performance of random sets of active units by their size (band: 95 % "
            "of sets) and of the clusters (points), mean over tasks."
        )
        draw = partial(plot_lesion_controls, controls=sizes, names=NAMES)
        figures = [picture(f"controls-{name}", caption, draw, size=(5, 3.6))]
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=figures)


def _floor(n_tests: int, n_sets: int) -> str:
    """Return how many tests must have the smallest p for any to pass, where that is several."""
    smallest = 1 / (1 + n_sets)
    # Benjamini and Hochberg: the k-th smallest of n has to be below k / n of the level
    least = math.ceil(smallest * n_tests / LEVEL)
    return f" (with p of at least {smallest:.2g}, {least} have to be there)" if least > 1 else ""


def _summarise_controls_over(
    networks: Mapping[str, Results], _controls: Mapping[str, Results]
) -> Summary:
    """Test over networks the correlation of variance and drop beyond random sets."""
    return _correlation_over(networks, "controls", "the drop beyond random sets of its size")


CONTROLS = Section(
    name="controls",
    heading="Lesions of random sets",
    method=f"{N_SETS} random sets of active units at each of six sizes, {SET_TRIALS} trials of "
    "each task, interpolated in size; and sets of the size and summed variance (within 5 %) of "
    "each cluster. p values per pair of cluster and task, one-sided, (1 + b) / (1 + B). Per "
    "network one statistic, as for the lesions, of the drop beyond sets of the same size.",
    compute=_compute_controls,
    summarise=_summarise_controls,
    summarise_over=_summarise_controls_over,
    applies_to=_applies_to,
    needs=("variance", "clusters", "lesions"),
    is_long=True,
)
