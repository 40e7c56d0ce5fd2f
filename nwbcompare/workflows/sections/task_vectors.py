"""Task vectors: cosine between two differences of tasks, and its controls."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nwbcompare.analysis.population.compositionality import (
    COMPOSITIONS,
    composition_cosine,
    composition_over_networks,
    composition_rank,
)
from nwbcompare.analysis.population.task_vectors import (
    TASK_SETS,
    rule_vectors,
    task_space,
    task_vectors,
)
from nwbcompare.core.activity import make_activity
from nwbcompare.core.number_text import p_text
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.compositionality import (
    plot_cosine_controls,
    plot_cosine_rank,
    plot_cosine_ranks,
)
from nwbcompare.plotting.task_vectors import plot_differences, plot_task_space
from nwbcompare.report.page_section import Cell, Picture
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource, NetworkSource
from nwbcompare.workflows.formatting import NAMES, estimate, over
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nwbcompare.model.network import Network

MATCHED_S = 0.5
"""Time since stimulus onset (s) at which tasks are compared alike: the shortest first stimulus."""
N_GAUSSIAN, N_UNTRAINED = 5, 3
"""Control networks of each network, whose cosines are averaged: it stays one observation."""
KINDS = {
    "end": "end of stimulus",
    "matched": f"{MATCHED_S:g} s after onset",
    "rules": "rule weights",
    "gaussian": "Gaussian rules",
    "untrained": "untrained",
}


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of recordings, and of networks without a published set of four tasks."""
    if source.network is None:
        return Refusal("The condition vectors of a recording are analysed.")
    if not _sets(source.tasks):
        return Refusal("It has none of the published sets of four tasks.")
    return None


def _sets(tasks: tuple[str, ...]) -> list[str]:
    """Return the published sets of four tasks that a network has."""
    return [name for name, members in TASK_SETS.items() if set(members) <= set(tasks)]


def _compute(
    source: NetworkSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Compute task vectors, and the cosine of each composition with its controls.

    Vectors ``end``, ``matched`` and ``rules (task, unit)``; by set ``space_SET`` and
    ``rule_space_SET``, ``cosine_KIND_SET`` of each kind in `KINDS`, and, with other tasks beside
    the set, ``rank_SET`` and ``matched_rank_SET``.
    """
    from nwbcompare.experiments.control_networks import untrained, with_gaussian_rules  # noqa: PLC0415
    from nwbcompare.experiments.weights import network_weights  # noqa: PLC0415 - imports torch

    network = source.network
    sets = _sets(source.tasks)
    members = tuple(dict.fromkeys(task for name in sets for task in TASK_SETS[name]))
    end, matched = _network_vectors(network, source.tasks, settings.seed)
    rules = rule_vectors(network_weights(network), list(end["task"].values))
    results = Results({"end": end, "matched": matched, "rules": rules})
    for name in sets:
        quadruple = COMPOSITIONS[name]
        results |= {
            f"space_{name}": task_space(end, TASK_SETS[name]),
            f"rule_space_{name}": task_space(rules, TASK_SETS[name]),
        }
        for kind in ("end", "matched", "rules"):
            results[f"cosine_{kind}_{name}"] = composition_cosine(
                results[kind], *quadruple, seed=settings.seed
            )
        # four tasks have no other quadruple to be ranked among
        if end.sizes["task"] > 4:
            results[f"rank_{name}"] = composition_rank(end, quadruple)
            results[f"matched_rank_{name}"] = composition_rank(matched, quadruple)
    for kind, make, number in (
        ("gaussian", with_gaussian_rules, N_GAUSSIAN),
        ("untrained", untrained, N_UNTRAINED),
    ):
        results |= _control_cosines(kind, make, number, network, members, sets, settings.seed)
    return results


def _network_vectors(
    network: Network, tasks: tuple[str, ...], seed: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return a noisy network's task vectors at the stimulus' end and at a matched time."""
    from nwbcompare.model.network_recording import record  # noqa: PLC0415 - imports torch
    from nwbcompare.tasks.trials import make_trials  # noqa: PLC0415

    at_end, at_matched = [], []
    for place, task in enumerate(tasks):
        trials = make_trials(task, "test", dt_ms=network.config.dt_ms, rules=network.config.rules)
        # in RT tasks the stimulus is the go cue, and there is no such epoch
        if "stim1" not in trials["epoch"].values:
            continue
        # with noise, as published, of another stream for each task
        block = record(network, trials, seed=seed + place)
        activity = make_activity({task: block})
        at_end.append(task_vectors(activity))
        at_matched.append(task_vectors(activity, at=MATCHED_S))
    return _joined(at_end), _joined(at_matched)


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """Join the vectors of tasks, whose units are the same."""
    return xr.concat(
        parts, dim="task", coords="minimal", compat="override", combine_attrs="override"
    )


def _control_cosines(
    kind: str,
    make: Callable[[Network, int], Network],
    number: int,
    network: Network,
    tasks: tuple[str, ...],
    sets: list[str],
    seed: int,
) -> dict[str, xr.Dataset]:
    """Return the mean cosine over control networks by set of tasks."""
    cosines: dict[str, list[xr.Dataset]] = {name: [] for name in sets}
    # untrained networks of one seed and size are equal: each network gets seeds of its own
    first = zlib.crc32(network.name.encode())
    for draw in range(number):
        end, _ = _network_vectors(make(network, first + seed + draw), tasks, seed)
        for name in sets:
            cosines[name].append(composition_cosine(end, *COMPOSITIONS[name], seed=seed))
    return {
        f"cosine_{kind}_{name}": xr.Dataset(
            {"cosine": float(np.mean([one["cosine"] for one in several]))},
            attrs=several[0].attrs | {"name": network.name, "n_networks": number},
        )
        for name, several in cosines.items()
    }


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the cosine of each composition beside its controls, its rank, and the pictures."""
    tables = results["vectors"]
    sets = [one for one in TASK_SETS if f"space_{one}" in tables]
    findings: list[str] = []
    numbers: dict[str, Cell] = {}
    for one in sets:
        cosines = {kind: float(tables[f"cosine_{kind}_{one}"]["cosine"]) for kind in KINDS}
        numbers |= {f"{one}: {KINDS[kind]}": value for kind, value in cosines.items()}
        rank = tables.get(f"rank_{one}")
        share = (
            ""
            if rank is None
            else f", above {float(rank['share_smaller']):.1%} of the other quadruples"
        )
        findings.append(
            f"{name}: {_cosine_name(one)} is {cosines['end']:+.2f} at the end of the first "
            f"stimulus{share}; {cosines['matched']:+.2f} {KINDS['matched']}, "
            f"{cosines['rules']:+.2f} for the rule weights, {cosines['gaussian']:+.2f} with "
            f"Gaussian rules, {cosines['untrained']:+.2f} untrained."
        )
    return Summary(
        findings=findings,
        rows=[{"source": name, **numbers}],
        pictures=_pictures(name, tables, sets) if pictures else (),
    )


def _cosine_name(one: str) -> str:
    """Return the two differences of a composition in words."""
    a, b, c, d = (NAMES[task] for task in COMPOSITIONS[one])
    return f"the cosine between ({a} − {b}) and ({c} − {d})"


def _space(ax: Axes, spaces: list[xr.Dataset], one: str) -> None:
    """Plot the tasks of a set, with arrows along both differences."""
    plot_task_space(ax, spaces, names=NAMES)
    plot_differences(ax, spaces, COMPOSITIONS[one])


def _pictures(name: str, results: Results, sets: list[str]) -> list[Picture]:
    """Plot the plane of each set and, where there are other tasks, the rank of its composition."""
    spaces = [
        picture(
            f"vectors-{name}",
            f"{name}: tasks in the plane of their first two principal components, at the end of "
            "the first stimulus (above) and by their rule weights (below); the two differences of "
            "a composition are drawn as arrows.",
            *(
                partial(_space, spaces=[results[f"{kind}_{one}"]], one=one)
                for kind in ("space", "rule_space")
                for one in sets
            ),
            size=(4 * len(sets), 7.4),
            n_rows=2,
        )
    ]
    ranked = [one for one in sets if f"rank_{one}" in results]
    if ranked:
        spaces.append(
            picture(
                f"vectors-ranks-{name}",
                f"{name}: cosines of all quadruples of different tasks, and that of the published "
                "composition (line).",
                *(
                    partial(plot_cosine_rank, rank=results[f"rank_{one}"], names=NAMES)
                    for one in ranked
                ),
                size=(4 * len(ranked), 3.2),
            )
        )
    return spaces


def _summarise_over(networks: Mapping[str, Results], controls: Mapping[str, Results]) -> Summary:
    """Test over networks each composition, its rank, and by how much it exceeds its controls."""
    common = [s for s in TASK_SETS if all(f"space_{s}" in r for r in networks.values())]
    findings, pictures = [], []
    for one in common:
        by_kind = _over_kinds(one, networks, controls)
        end = by_kind[KINDS["end"]]
        text = over(_cosine_name(one), end)
        text += " Controls: " + ", ".join(
            f"{label} {estimate(value)}"
            for label, value in by_kind.items()
            if label != KINDS["end"] and "mean_low" in value
        )
        findings += [text + ".", _beyond_controls(one, networks)]
        if all(f"rank_{one}" in r for r in networks.values()):
            shares = [float(r[f"rank_{one}"]["share_smaller"]) for r in networks.values()]
            matched = [float(r[f"matched_rank_{one}"]["share_smaller"]) for r in networks.values()]
            findings[-2] += (
                f" Its rank among disjoint quadruples: above {np.mean(shares):.1%} of them (range "
                f"{min(shares):.1%} to {max(shares):.1%}); {KINDS['matched']} "
                f"{np.mean(matched):.1%}."
            )
        panels: list[Callable[[Axes], object]] = [
            partial(_space, spaces=[r[f"space_{one}"] for r in networks.values()], one=one)
        ]
        ranks = [r[f"rank_{one}"] for r in networks.values() if f"rank_{one}" in r]
        if ranks:
            panels.append(partial(plot_cosine_ranks, ranks=ranks, names=NAMES))
        panels.append(partial(plot_cosine_controls, cosines=by_kind))
        pictures.append(
            picture(
                f"vectors-over-networks-{one}",
                f"{_cosine_name(one)[0].upper()}{_cosine_name(one)[1:]}: tasks of every network "
                "in its own plane; its cosine among those of all disjoint quadruples; and beside "
                "its controls, a point a network, mean and 95 % interval over networks.",
                *panels,
                size=(4.6 * len(panels), 4.4),
            )
        )
    return Summary(findings=findings, pictures=pictures)


def _beyond_controls(one: str, networks: Mapping[str, Results]) -> str:
    """Test over networks by how much the cosine exceeds that of the network's own controls."""
    texts = []
    for kind in ("rules", "gaussian", "untrained"):
        excess = over_networks(
            {
                name: float(r[f"cosine_end_{one}"]["cosine"] - r[f"cosine_{kind}_{one}"]["cosine"])
                for name, r in networks.items()
            }
        )
        texts.append(f"{KINDS[kind]} {estimate(excess)}, {p_text(float(excess['p_value']))}")
    return f"Network by network {_cosine_name(one)} is above its controls by: {'; '.join(texts)}."


def _over_kinds(
    one: str, networks: Mapping[str, Results], controls: Mapping[str, Results]
) -> dict[str, xr.Dataset]:
    """Join the cosines of a composition over networks, and over networks of mixed rules."""
    by_kind = {
        label: composition_over_networks([r[f"cosine_{kind}_{one}"] for r in networks.values()])
        for kind, label in KINDS.items()
    }
    mixed = [r[f"cosine_end_{one}"] for r in controls.values() if f"cosine_end_{one}" in r]
    rules = [r[f"cosine_rules_{one}"] for r in controls.values() if f"cosine_rules_{one}" in r]
    with warnings.catch_warnings():
        # one mixed network has no interval, which the figure shows
        warnings.simplefilter("ignore", UserWarning)
        if mixed:
            by_kind["rules mixed"] = composition_over_networks(mixed)
            by_kind["rules mixed: weights"] = composition_over_networks(rules)
    return by_kind


SECTION = Section(
    name="vectors",
    heading="Task vectors and their composition",
    method="Rates averaged over the test trials, with the network's noise on, in the last bin of "
    "the first stimulus; RT tasks have none. PCA over a set's tasks, turned so that its first task "
    "lies on +x. Rank: share of the other quadruples of different tasks with a smaller cosine, an "
    f"effect size. Controls: {MATCHED_S:g} s after stimulus onset in every task (a delayed task is "
    "the same task to a recurrent network until its stimulus ends); the rule-input weights "
    "themselves (rates may inherit them); the network with Gaussian rule weights of equal mean and "
    f"covariance ({N_GAUSSIAN} draws) and untrained ones ({N_UNTRAINED} draws), averaged; and, "
    "where given, networks trained with orthogonally mixed rules.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
)
