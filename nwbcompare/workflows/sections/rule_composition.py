"""Rule composition: tasks done under sums of other tasks' rules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import xarray as xr

from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.compositionality import plot_rule_composition
from nwbcompare.report.page_section import Cell
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource, NetworkSource
from nwbcompare.workflows.formatting import NAMES, over
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

MATCHING = "dmsgo"
"""The case whose trials demand a response or not: balanced accuracy tells more there."""


def _cases(source: AnalysisSource) -> list[str]:
    """Return the published cases whose task and rules the network has."""
    from nwbcompare.experiments.rule_composition import RULE_COMPOSITIONS, parse_rule_expression  # noqa: PLC0415 - imports torch

    return [
        task
        for task, expression in RULE_COMPOSITIONS.items()
        if {task, *parse_rule_expression(expression)} <= set(source.tasks)
    ]


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of recordings, and of networks without a published case."""
    if source.network is None:
        return Refusal("A recording has no rule input.")
    return None if _cases(source) else Refusal("It lacks tasks of every published case.")


def _compute(
    source: NetworkSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Test each case: ``TASK (expression, ...)``, see `nwbcompare.experiments.rule_composition`."""
    from nwbcompare.experiments.rule_composition import rule_composition  # noqa: PLC0415 - imports torch

    return Results(
        {
            task: rule_composition(source.network, task, seed=settings.seed)
            for task in _cases(source)
        }
    )


def _measure(task: str) -> str:
    """Return the measure of performance that a case is judged by."""
    return "balanced_accuracy" if task == MATCHING else "performance"


def _value(result: xr.Dataset, measure: str, role: str) -> float:
    """Return the performance under the expression of a role, such as "composed"."""
    return float(result[measure].values[result["role"].values == role][0])


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return performance under composed, right, best wrong and random rules, by case."""
    tables = results["composition"]
    findings: list[str] = []
    numbers: dict[str, Cell] = {}
    for task, result in tables.items():
        measure = _measure(task)
        at = result.sel(measure=measure)
        composed, right = (_value(result, measure, role) for role in ("composed", "right"))
        findings.append(
            f"{name}: {NAMES[task]} under {result.attrs['expression']}: "
            f"{measure.replace('_', ' ')} {composed:.2f}, right rule {right:.2f}, best single "
            f"wrong rule {float(at['best_wrong']):.2f} "
            f"(effect {float(at['effect']):+.2f} ± {float(at['effect_standard_error']):.2f}, s.e. "
            f"over batches), above {float(at['share_of_random_below']):.0%} of random sums."
        )
        numbers |= {
            f"{NAMES[task]}: composed": composed,
            f"{NAMES[task]}: right": right,
            f"{NAMES[task]}: best wrong": float(at["best_wrong"]),
            f"{NAMES[task]}: above random sums": float(at["share_of_random_below"]),
        }
    if not pictures:
        return Summary(findings=findings, rows=[{"source": name, **numbers}])
    figure = picture(
        f"composition-{name}",
        f"{name}: tasks done with the right rule, a composed one, parts of it, none, each wrong "
        "rule and random sums of three others (matching task: balanced accuracy).",
        *(
            partial(plot_rule_composition, results=[result], measure=_measure(task), names=NAMES)
            for task, result in tables.items()
        ),
        size=(4.6 * len(tables), 4.6),
    )
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=[figure])


def _summarise_over(networks: Mapping[str, Results], _controls: Mapping[str, Results]) -> Summary:
    """Test over networks how much better the composed rule is than the best single wrong one."""
    # a mean over networks needs the case in all of them
    cases = [
        task for task in next(iter(networks.values())) if all(task in r for r in networks.values())
    ]
    findings, panels = [], []
    for task in cases:
        measure = _measure(task)
        results = [r[task] for r in networks.values()]
        effect = over_networks(
            {name: float(r[task]["effect"].sel(measure=measure)) for name, r in networks.items()}
        )
        above = [float(r["share_of_random_below"].sel(measure=measure)) for r in results]
        right, composed = (
            sum(_value(result, measure, role) for result in results) / len(results)
            for role in ("right", "composed")
        )
        findings.append(
            over(
                f"{measure.replace('_', ' ')} in {NAMES[task]} under the composed rule, less the "
                f"best single wrong rule's,",
                effect,
            )
            + f" Composed {composed:.2f}, right {right:.2f}; on average the composed rule is above "
            f"{sum(above) / len(above):.0%} of random sums (range {min(above):.0%} to "
            f"{max(above):.0%})."
        )
        panels.append(partial(plot_rule_composition, results=results, measure=measure, names=NAMES))
    if not panels:
        return Summary(findings=findings)
    figure = picture(
        "composition-over-networks",
        "Tasks done with the right rule, a composed one, parts of it, none, the best single wrong "
        "rule and random sums; a point a network (matching task: balanced accuracy).",
        *panels,
        size=(4.6 * len(panels), 4.6),
    )
    return Summary(findings=findings, pictures=[figure])


SECTION = Section(
    name="composition",
    heading="Rule composition",
    method="20 batches of 50 random trials with noise, the same for all rules. The best of many "
    "wrong rules is better by luck too: it is chosen on half of the batches and measured on the "
    "other half, both ways. Random sums: two other rules minus a third, 100 of them on 100 trials. "
    "Balanced accuracy is the mean of the shares correct where a response was due and where not.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
)
