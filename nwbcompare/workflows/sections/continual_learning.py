"""Performance in tasks that are learned one after another, and its retention."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.learning.retention import (
    MEAN,
    compare_retention,
    performance_over_steps,
    retention_over_networks,
)
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.model.curricula import YANG2019
from nwbcompare.model.training import FINAL_TRIALS
from nwbcompare.plotting.learning import plot_final_performance, plot_stages
from nwbcompare.plotting.style import as_svg, new_figure
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.formatting import bounds, counted, interval, number
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_source import StudySource
from nwbcompare.workflows.training_regimes import REGIMES, title_of

WITH_COURSES = ("sequential", "consolidated")
"""Regimes whose performance is plotted stage by stage."""
Logs = Mapping[str, Mapping[str, list[dict[str, Any]]]]


def _compute(
    source: StudySource, _earlier: SourceResults, _settings: Settings, _cache: Path
) -> Results:
    """Compute retention by regime from the training logs, and the difference of the two main ones.

    ``about`` (counts and exclusions as text), ``retention.N`` and ``course.N`` by regime, and
    ``difference (task, measure)`` on the seeds that both regimes have.
    """
    results = Results({"about": xr.Dataset(attrs=_counts(source))})
    # interleaved training has no earlier tasks to retain
    regimes = [name for name in REGIMES if name in source.logs and name != "interleaved"]
    results.add_series(
        "retention", (_retention(source.logs[name]).assign_attrs(regime=name) for name in regimes)
    )
    results.add_series(
        "course",
        (
            performance_over_steps(source.logs[name], YANG2019).assign_attrs(regime=name)
            for name in regimes
            if name in WITH_COURSES
        ),
    )
    results.attempt(
        "difference", lambda: retention_difference(source.logs, "consolidated", "sequential")
    )
    return results


def _retention(logs: Mapping[str, Any]) -> xr.Dataset:
    """Compute retention over networks without a warning about a single one."""
    with warnings.catch_warnings():
        # a single network, whose number the page shows
        warnings.simplefilter("ignore", UserWarning)
        return retention_over_networks(logs, YANG2019)


def retention_difference(logs: Logs, first: str, second: str) -> xr.Dataset:
    """Compare the retention of two regimes on the seeds that both have.

    Parameters
    ----------
    logs
        Training logs by regime and seed.
    first, second
        Names of the regimes.

    Returns
    -------
    xarray.Dataset
        From `nwbcompare.learning.compare_retention`.

    Raises
    ------
    NotApplicableError
        Where no seed has both.
    """
    seeds = [seed for seed in logs.get(first, {}) if seed in logs.get(second, {})]
    if not seeds:
        raise NotApplicableError(
            "networks", f"a seed with both {first} and {second} networks", "none", "Train more."
        )
    pairs = [_retention({seed: logs[name][seed] for seed in seeds}) for name in (first, second)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return compare_retention(*pairs)


def _counts(source: StudySource) -> dict[str, str]:
    """Return the networks in the comparison and those left out, as text."""
    counts = ", ".join(
        f"{len(source.logs.get(name, {}))} of "
        f"{sum(one.regime == name for one in source.networks)} {regime.title}"
        for name, regime in source.plan.all_regimes.items()
    )
    sentences = [
        f"Left out: {title_of(name)}, {why.rstrip('.')}." for name, why in source.exclusions.items()
    ]
    return {
        "counts": f"Networks in the comparison: {counts}. Left out are networks whose training "
        "stalled, and those that ended with a task of the last stage below "
        f"{source.settings.least_performance:g}, as published.",
        "exclusions": json.dumps(sentences),
    }


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the difference in final performance, counts, and a row for each regime."""
    tables = results["learning"]
    retention = {str(one.attrs["regime"]): one for one in tables.series("retention")}
    courses = {str(one.attrs["regime"]): one for one in tables.series("course")}
    about = tables["about"].attrs
    findings: list[str | Finding] = []
    if "difference" in tables:
        findings.append(_difference_finding(tables["difference"]))
    findings += [about["counts"], *json.loads(about["exclusions"])]
    rows: list[Row] = []
    for regime, values in retention.items():
        mean = values.sel(task=MEAN)
        row: Row = {"regime": regime, "networks": int(values["n_networks"])}
        for measure in values["measure"].values:
            one = mean.sel(measure=measure)
            title = str(measure).replace("_", " ")
            row[f"{title} (mean of tasks)"] = number(one["mean"])
            row |= bounds(f"{title}, 95 %", one["mean_low"], one["mean_high"])
        rows.append(row)
    panels = _pictures(retention, courses) if pictures and retention else []
    return Summary(findings=findings, rows=rows, pictures=panels)


def _difference_finding(difference: xr.Dataset) -> Finding:
    """Return the difference of mean final performance between the two main regimes."""
    mean = difference.sel(task=MEAN, measure="final")
    return Finding(
        text=f"Mean final performance of consolidated less sequential networks: "
        f"{float(mean['mean']):+.3f}{interval(mean['mean_low'], mean['mean_high'])} "
        f"over {counted(int(difference['n_networks']), 'pair')}.",
        evidence=Evidence(
            measure="difference of mean final performance",
            effect=number(mean["mean"]),
            low=number(mean["mean_low"]),
            high=number(mean["mean_high"]),
            p_value=number(mean["p_value"]),
            n=f"{counted(int(difference['n_networks']), 'pair')} of networks",
            unit_of_inference="pairs of networks of one seed",
            figure="final-performance",
        ),
    )


def _pictures(retention: dict[str, xr.Dataset], courses: dict[str, xr.Dataset]) -> list[Picture]:
    """Plot final performance by regime and, where it is known, its course."""
    tasks = [task for stage in YANG2019 for task in stage]
    names = {task: display_name(task) for task in tasks}

    def panel(ax: Axes) -> None:
        plot_final_performance(ax, retention, names=names)
        ax.legend()

    final = picture(
        "final-performance",
        f"Performance after the last stage, easy variants, {FINAL_TRIALS} trials a task: "
        "networks and means with 95 % intervals over networks.",
        panel,
        size=(8.6, 3.6),
    )
    return [final, _stages_picture(courses, tasks, names)] if courses else [final]


def _stages_picture(
    courses: dict[str, xr.Dataset], tasks: Sequence[str], names: dict[str, str]
) -> Picture:
    """Plot the performance in each task over the stages, a panel for each task."""
    # one function plots all panels, so that they can share an axis
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


SECTION = Section(
    name="learning",
    heading="Learning one task after another, and retention",
    report="continual",
    compute=_compute,
    summarise=_summarise,
)
