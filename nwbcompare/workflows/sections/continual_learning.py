"""Sections of the page: what was learned and kept, and how like the recording it made networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.learning.retention import MEAN, performance_over_steps
from nwbcompare.comparison.compare_samples import distribution_curves
from nwbcompare.model.curricula import YANG2019
from nwbcompare.model.training import FINAL_TRIALS
from nwbcompare.plotting.ftv_distributions import plot_distributions
from nwbcompare.plotting.learning import plot_final_performance, plot_stages
from nwbcompare.plotting.style import as_svg, new_figure
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.continual_measurements import PRIMARY
from nwbcompare.workflows.continual_results import COMPARED, Outcome, levels_reached
from nwbcompare.workflows.continual_settings import LEVELS
from nwbcompare.workflows.formatting import counted, interval, number
from nwbcompare.workflows.sections.continual_alternatives import also_section
from nwbcompare.workflows.sections.continual_evidence import (
    animals_said,
    contrast_finding,
    pairs_picture,
    rows_of,
    split_half_sentence,
)
from nwbcompare.workflows.training_regimes import CONTROLS, REGIMES, UNTRAINED, shown_name

SAID = {
    PRIMARY: "sampled as the recording was (its conditions, trials, rates and noise)",
    "signal": "sampled so and tuned as strongly as the recorded units",
    "published": "on the published test trials without noise",
}
DRAWN = ("interleaved", "sequential", "consolidated", UNTRAINED)


def learning_section(outcome: Outcome) -> PageSection:
    """Say what networks learned and kept, and which were left out."""
    retention = {regime: own for regime, own in outcome.retention().items() if regime in REGIMES}
    findings: list[str | Finding] = []
    kept = outcome.kept_more("consolidated", "sequential")
    if kept is not None:
        findings.append(_kept_finding(kept))
    findings += [_counts(outcome), *_left_out(outcome)]
    rows: list[Row] = []
    for regime, own in retention.items():
        mean = own.sel(task=MEAN)
        row: Row = {"regime": regime, "networks": int(own["n_networks"])}
        for measure in own["measure"].values:
            one = mean.sel(measure=measure)
            shown = str(measure).replace("_", " ")
            row[f"{shown} (mean of tasks)"] = number(one["mean"])
            row[f"{shown}, 95 %"] = interval(one["mean_low"], one["mean_high"]).strip()
        rows.append(row)
    return PageSection(
        name="learning",
        heading="What was learned one after another, and kept",
        findings=findings,
        rows=rows,
        pictures=_learning_pictures(outcome, retention),
    )


def ftv_section(outcome: Outcome, protocol: str) -> PageSection:
    """Hold the training regimes against the recording on one protocol."""
    result = outcome.compared(protocol)
    name = f"ftv-{protocol}"
    heading = f"Similarity to the recording, {SAID[protocol]}"
    if result is None:
        why = "No seed has both a sequential and a consolidated network on this protocol."
        return PageSection(name=name, heading=heading, findings=[why])
    main = protocol == PRIMARY
    findings: list[str | Finding] = [
        contrast_finding(result, str(contrast), main=main and place == 0, figure=f"{name}-pairs")
        for place, contrast in enumerate(result["contrast"].values)
    ]
    if main:
        findings[1:1] = [_verdict(outcome, result)]
    findings.append(split_half_sentence(result))
    if main:
        findings += animals_said(outcome.recorded, seed=outcome.settings.seed)
    return PageSection(
        name=name,
        heading=heading,
        findings=findings,
        rows=rows_of(result),
        pictures=[
            pairs_picture(f"{name}-pairs", result),
            *([_distributions(name, outcome, protocol)] if protocol != "signal" else []),
        ],
    )


def _every_section(outcome: Outcome) -> PageSection:
    """Hold all networks that were trained to the end against the recording, good or not."""
    name = "ftv-every"
    heading = "Similarity without the inclusion rule"
    result = outcome.compared(PRIMARY, every=True)
    if result is None:
        return PageSection(name=name, heading=heading, findings=["No seed has both regimes."])
    findings: list[str | Finding] = [
        "Networks that hardly learned the context tasks are among these; a similarity that they "
        "share is none that learning has brought about. Those that stalled are not.",
        *(
            contrast_finding(result, str(contrast), main=False, figure=f"{name}-pairs")
            for contrast in result["contrast"].values
        ),
    ]
    return PageSection(
        name=name,
        heading=heading,
        findings=findings,
        rows=rows_of(result),
        pictures=[pairs_picture(f"{name}-pairs", result)],
    )


def levels_section(outcome: Outcome) -> PageSection:
    """Hold the regimes against the recording at equal performance in the last stage's tasks."""
    rows: list[Row] = []
    findings: list[str | Finding] = []
    for level, counts in levels_reached(outcome).items():
        listed = ", ".join(f"{n} {regime}" for regime, n in counts.items())
        result = outcome.at_level(level)
        if result is None:
            findings.append(f"Worst of Ctx DM 1 and 2 at {level:g}: {listed} networks; no pair.")
            continue
        findings.append(
            contrast_finding(
                result,
                "consolidated - sequential",
                main=False,
                figure="",
                before=f"When the worst of Ctx DM 1 and 2 first reached {level:g} ({listed} "
                "networks), ",
            )
        )
        own: list[Row] = [{"worst of Ctx DM at": level, **row} for row in rows_of(result)]
        rows += own
    return PageSection(
        name="levels",
        heading="Similarity at equal performance in the context tasks",
        findings=findings,
        rows=rows,
    )


def sections_of(outcome: Outcome) -> list[PageSection]:
    """Give all sections, the primary test first."""
    first, *others = (ftv_section(outcome, protocol) for protocol in COMPARED)
    found = [first, learning_section(outcome), levels_section(outcome)]
    if outcome.settings.also:
        found.append(also_section(outcome))
    return [*found, _every_section(outcome), *others]


def _kept_finding(kept: xr.Dataset) -> Finding:
    own = kept.sel(task=MEAN, measure="final")
    return Finding(
        text=f"Mean final performance of consolidated less sequential networks: "
        f"{float(own['mean']):+.3f}{interval(own['mean_low'], own['mean_high'])} "
        f"over {counted(int(kept['n_networks']), 'pair')}.",
        evidence=Evidence(
            measure="difference of mean final performance",
            effect=number(own["mean"]),
            low=number(own["mean_low"]),
            high=number(own["mean_high"]),
            p_value=number(own["p_value"]),
            n=f"{counted(int(kept['n_networks']), 'pair')} of networks",
            unit_of_inference="pairs of networks of one seed",
            figure="final-performance",
        ),
    )


def _counts(outcome: Outcome) -> str:
    said = ", ".join(
        f"{len(outcome.logs.get(regime, {}))} of "
        f"{sum(one.regime == regime for one in outcome.trained)} {shown_name(regime)}"
        for regime in outcome.settings.all_regimes
    )
    return (
        f"Networks in the comparison: {said}. Left out are those that stalled, and those that "
        f"ended with a task of the last stage below {outcome.settings.least_performance:g}, as "
        "published."
    )


def _left_out(outcome: Outcome) -> list[str]:
    return [
        f"Left out: {shown_name(name)}, {why.rstrip('.')}."
        for name, why in outcome.left_out.items()
    ]


def _verdict(outcome: Outcome, result: xr.Dataset) -> str:
    verdict = outcome.attributed(result)
    if verdict is None:
        missing = [
            regime
            for regime in CONTROLS
            if f"consolidated - {regime}" not in set(result["contrast"].values)
        ]
        return (
            "Whether similarity is to be attributed to consolidation cannot be said: no pairs with "
            f"the controls {', '.join(missing)}."
        )
    said = ", ".join(
        f"{contrast}: {own}"
        for contrast, own in zip(verdict["contrast"].values, verdict["verdict"].values, strict=True)
    )
    return f"Attribution to consolidation: {verdict['status'].item()} ({said})."


def _distributions(name: str, outcome: Outcome, protocol: str) -> Picture:
    tables = outcome.tables(protocol)
    shown = [regime for regime in DRAWN if regime in tables]
    names = {task: display_name(task) for task in ("contextdm1", "contextdm2")}

    def panel(ax: Axes, regime: str) -> None:
        curves = distribution_curves(
            list(tables[regime].values()),
            outcome.recorded,
            n_bootstrap=outcome.settings.n_bootstrap,
        )
        plot_distributions(ax, curves, kind="histogram", names=names)
        ax.set_title(regime)

    return picture(
        f"{name}-distributions",
        "FTV of active units by training regime. Thick: the recording with a 95 % band (whole "
        "sessions); thin lines: networks (Fig. 8 d, e of Yang et al. 2019).",
        *(partial(panel, regime=regime) for regime in shown),
        size=(3.4 * len(shown), 3.3),
    )


def _learning_pictures(outcome: Outcome, retention: dict[str, xr.Dataset]) -> list[Picture]:
    tasks = [task for stage in YANG2019 for task in stage]
    names = {task: display_name(task) for task in tasks}
    regimes = list(retention)
    if not regimes:
        return []
    courses = {
        regime: performance_over_steps(outcome.logs[regime], YANG2019)
        for regime in regimes
        if regime in {"sequential", "consolidated"}
    }

    def final(ax: Axes) -> None:
        plot_final_performance(ax, {regime: retention[regime] for regime in regimes}, names=names)
        ax.legend()

    found = [
        picture(
            "final-performance",
            f"Performance after the last stage, easy variants, {FINAL_TRIALS} trials a task: "
            "networks and means with 95 % intervals over networks.",
            final,
            size=(8.6, 3.6),
        )
    ]
    if courses:
        found.append(_stages_picture(courses, tasks, names))
    return found


def _stages_picture(
    courses: dict[str, xr.Dataset], tasks: Sequence[str], names: dict[str, str]
) -> Picture:
    figure, axes = new_figure(len(tasks), 1, (8.6, 1.2 * len(tasks)), sharex=True)
    plot_stages(list(axes.flat), courses, names=names)
    axes.flat[0].legend(loc="lower right")
    return Picture(
        name="stages",
        svg=as_svg(figure),
        caption="Performance in every task while tasks are learned one after another (Fig. 8 b, c "
        "of Yang et al. 2019): means over networks with 95 % bands; shaded: the stage in which "
        "the task is trained.",
        width=8.6,
    )


def levels_said() -> str:
    """Name the levels of performance, for the page's methods."""
    return ", ".join(f"{level:g}" for level in LEVELS)
