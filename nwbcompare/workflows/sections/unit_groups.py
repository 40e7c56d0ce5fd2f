"""Groups 1, 2 and 12 of the two context tasks, their weights, lesions and mutual inhibition."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.connectivity.mutual_inhibition import (
    group_weights,
    mutual_inhibition,
    weight_by_direction,
)
from nwbcompare.analysis.selectivity.unit_groups import unit_groups
from nwbcompare.comparison.protocols import CONTEXTS
from nwbcompare.core.number_text import p_text
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.lesions import plot_group_lesions, plot_over_networks
from nwbcompare.plotting.unit_groups import (
    plot_group_matrix,
    plot_group_scatter,
    plot_inhibition,
    plot_input_tuning,
    plot_normalised_variance,
    plot_output_tuning,
    plot_rule_weights,
    plot_weight_by_direction,
)
from nwbcompare.report.page_section import Cell, Picture
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.formatting import NAMES, over, refusal_sentences
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

LESION_DIRECTIONS = 100
"""Directions of the first target: the published 10 leave intervals of 0.1."""


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of sources without trials of both context tasks."""
    lacking = [task for task in CONTEXTS if task not in source.tasks]
    return Refusal(f"It has no trials of {lacking[0]}.") if lacking else None


def _compute(
    source: AnalysisSource, earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Compute ``groups`` and, of networks, their weights, inhibition and lesions."""
    groups = unit_groups(earlier["variance"]["task"], *CONTEXTS)
    results = Results({"groups": groups})
    label = groups["group"].values
    places = {g: (label == g).nonzero()[0] for g in ("1", "2", "12") if (label == g).any()}
    # weights are known of networks only
    if source.network is None or not {"1", "2"} <= set(places):
        return results
    from nwbcompare.experiments.psychometrics import group_lesions  # noqa: PLC0415 - imports torch
    from nwbcompare.experiments.weights import network_weights  # noqa: PLC0415

    weights = network_weights(source.network)
    # small groups may have no pair of units with similar preferred directions
    results.attempt(
        "inhibition",
        lambda: mutual_inhibition(
            weights, groups, n_permutations=settings.n_unit_permutations, seed=settings.seed
        ),
        called="mutual inhibition",
    )
    if "inhibition" not in results:
        return results
    tasks = [t for t in ("dm1", "dm2", *CONTEXTS, "multidm") if t in source.tasks]
    results |= {
        "weights": group_weights(weights, groups),
        "by_direction": weight_by_direction(weights, groups),
        "lesions": group_lesions(
            source.network, places, tasks, n_directions=LESION_DIRECTIONS, seed=settings.seed
        ),
    }
    return results


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the sizes of the groups and, of networks, whether they inhibit each other."""
    tables = results["groups"]
    groups = tables["groups"]
    sizes = dict(zip(groups["group_label"].values, groups["group_size"].values, strict=True))
    numbers: dict[str, Cell] = {f"units in group {g}": int(n) for g, n in sizes.items()}
    findings = [
        f"{name}: {sizes['1']} units vary in Ctx DM 1 alone (more than 90 % of the variance in "
        f"both), {sizes['2']} in Ctx DM 2 alone, {sizes['12']} alike in both (40 to 60 %)."
    ]
    scatter = [
        partial(plot_group_scatter, groups=groups, names=NAMES),
        partial(plot_normalised_variance, groups=groups, names=NAMES),
    ]
    figures = []
    # units of no variance have no place on its axes
    if pictures and bool(groups["normalised_variance"].notnull().any()):
        figures = [
            picture(
                f"groups-{name}",
                f"{name}: task variance of the active units in both contexts, and their groups.",
                *scatter,
                size=(8, 3.6),
            )
        ]
    findings += refusal_sentences(name, tables)
    if "inhibition" in tables:
        findings += _inhibition_sentences(name, tables)
        numbers |= _inhibition_numbers(tables)
        figures += _weight_pictures(name, tables) if pictures else []
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=figures)


def _inhibition_numbers(results: Results) -> dict[str, Cell]:
    """Return mean weights, the statistic, and performance without each group, for the table."""
    inhibition, lesions = results["inhibition"], results["lesions"]
    means = {
        f"W{a}{b}": float(inhibition["mean_weight"].sel(group_from=a, group_to=b))
        for a in "12"
        for b in "12"
    }
    drops = {
        f"{NAMES[task]} without {group}": float(lesions["performance"].sel(lesion=group, task=task))
        for group in ("1", "2")
        for task in CONTEXTS
    }
    return {
        **means,
        "statistic": float(inhibition["statistic"]),
        "p (lower)": float(inhibition["p_lower"]),
        **drops,
    }


def _inhibition_sentences(name: str, results: Results) -> list[str]:
    """Return the mean weights with their test, and the choices without each group."""
    inhibition, lesions = results["inhibition"], results["lesions"]["performance"]
    means = _inhibition_numbers(results)
    verdict = (
        "mutual inhibition" if bool(inhibition["called_inhibition"]) else "no mutual inhibition"
    )
    of = {
        (group, task): float(lesions.sel(lesion=group, task=task))
        for group in ("intact", "1", "2")
        for task in CONTEXTS
    }
    return [
        f"{name}: mean weights of pairs within 30° of preferred direction are "
        f"{means['W12']:+.3f} from group 1 to 2 and {means['W21']:+.3f} back, "
        f"{means['W11']:+.3f} and {means['W22']:+.3f} within; the statistic is "
        f"{float(inhibition['statistic']):+.3f}, {p_text(float(inhibition['p_lower']))} with "
        f"groups permuted at the same preferred direction: called {verdict}.",
        f"{name}: right choices in Ctx DM 1 are {of['intact', CONTEXTS[0]]:.2f} intact, "
        f"{of['1', CONTEXTS[0]]:.2f} without group 1, {of['2', CONTEXTS[0]]:.2f} without group 2; "
        f"in Ctx DM 2 {of['intact', CONTEXTS[1]]:.2f}, {of['1', CONTEXTS[1]]:.2f} and "
        f"{of['2', CONTEXTS[1]]:.2f}.",
    ]


def _plot_lesions(ax: Axes, lesions: xr.Dataset) -> None:
    """Plot lesions of groups with the legend above, where no interval lies."""
    plot_group_lesions(ax, lesions, names=NAMES)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _weight_pictures(name: str, results: Results) -> list[Picture]:
    """Plot weights between groups, and from inputs, to outputs and from rules."""
    weights = results["weights"]
    return [
        picture(
            f"groups-weights-{name}",
            f"{name}: mean recurrent weights from group to group (pairs within 30° of preferred "
            "direction; number of pairs below), and against the difference of preferred direction, "
            "within and between groups 1 and 2. Lateral inhibition alone would make the curves "
            "alike.",
            partial(plot_group_matrix, result=weights),
            partial(plot_weight_by_direction, result=results["by_direction"]),
            size=(8.6, 3.6),
        ),
        picture(
            f"groups-inputs-{name}",
            f"{name}: input weights of each group from both modalities, weights to the response "
            "ring, weights from the rules (means and standard errors over units), and choices "
            "without each group by the published measure.",
            partial(plot_input_tuning, result=weights, modality=1),
            partial(plot_input_tuning, result=weights, modality=2),
            partial(plot_output_tuning, result=weights),
            partial(plot_rule_weights, result=weights, names=NAMES),
            partial(_plot_lesions, lesions=results["lesions"]),
            size=(13.5, 7.4),
            n_rows=2,
        ),
    ]


def _summarise_over(networks: Mapping[str, Results], _controls: Mapping[str, Results]) -> Summary:
    """Test mutual inhibition over the networks that have units in both groups."""
    with_both = {name: r["inhibition"] for name, r in networks.items() if "inhibition" in r}
    lacking = [name for name in networks if name not in with_both]
    findings = [
        f"{name} lacks units of similar preferred direction in groups 1 and 2." for name in lacking
    ]
    if len(with_both) < 2:
        return Summary(findings=findings)
    beyond = {
        name: float(r["statistic"] - r["null_statistic"].mean()) for name, r in with_both.items()
    }
    n_called = sum(bool(r["called_inhibition"]) for r in with_both.values())
    inference = over_networks(beyond)
    findings += [
        over("W12 + W21 − W11 − W22, less its mean with groups permuted,", inference),
        f"Groups 1 and 2 are called mutually inhibiting (W12 and W21 negative, p < 0.05 in the "
        f"network) in {n_called} of {len(with_both)}.",
    ]
    pictures = [
        picture(
            "groups-over-networks",
            "Mutual inhibition, network by network, with 95 % of what permuted groups give; and "
            "its mean over networks, less that of permuted groups, with 95 % interval.",
            partial(plot_inhibition, results=list(with_both.values())),
            partial(plot_over_networks, inference=inference, label="statistic less its null"),
            size=(8.4, 4),
            width_ratios=(3, 1),
        )
    ]
    return Summary(findings=findings, pictures=pictures)


SECTION = Section(
    name="groups",
    heading="Groups 1, 2 and 12 of the context tasks",
    method="Groups by TV(Ctx DM 1) / (TV(Ctx DM 1) + TV(Ctx DM 2)) of active units: above 0.9, "
    "below 0.1, 0.4 to 0.6. Recurrent weights are means over pairs within 30° of preferred "
    "direction (argmax of the input weights, mean of both rings), a unit with itself left out; "
    "errors leave out a unit with all its pairs (jackknife). Null of W12 + W21 − W11 − W22: groups "
    "permuted within 8 bins of preferred direction. Lesions: choices within 0.3 π of the right "
    f"target over those of either, {LESION_DIRECTIONS} directions (published: 10), 4 × 4 "
    "coherences, 800 ms, with noise.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
    needs=("variance",),
)
