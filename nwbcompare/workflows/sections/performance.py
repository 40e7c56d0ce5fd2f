"""Performance: through training, and choice against coherence by duration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting.lesions import plot_over_networks
from nwbcompare.plotting.psychometrics import plot_psychometric
from nwbcompare.report.page_section import Cell, Picture
from nwbcompare.report.pictures import picture
from nwbcompare.report.training_progress import plot_learning
from nwbcompare.workflows.analysis_sources import AnalysisSource, NetworkSource
from nwbcompare.workflows.formatting import NAMES, over
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.sources import run_folder

ATTENDED = {
    "dm1": "coherence_1",
    "dm2": "coherence_2",
    "contextdm1": "coherence_1",
    "contextdm2": "coherence_2",
}
"""The coherence that each of these tasks asks for."""
# the ends of the published range of durations
LONGEST_MS, SHORTEST_MS = 800.0, 200.0


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of recordings, and of networks without a decision task."""
    if source.network is None:
        return Refusal("A recording cannot be tested on other trials.")
    return None if set(ATTENDED) & set(source.tasks) else Refusal("It has no decision task.")


def _compute(
    source: NetworkSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Compute ``training (evaluation, task)`` from the log, and curves of each task."""
    from nwbcompare.experiments.psychometrics import pooled_over, psychometric_curves  # noqa: PLC0415
    from nwbcompare.model.checkpoint import read_log  # noqa: PLC0415 - imports torch

    results = Results()
    log = read_log(run_folder(source.source))
    if log:
        tasks = list(log[0]["performance"])
        results["training"] = xr.Dataset(
            {
                "performance": (
                    ("evaluation", "task"),
                    np.array([[row["performance"][task] for task in tasks] for row in log]),
                ),
                "seconds": ("evaluation", [row["seconds"] for row in log]),
                "stage": ("evaluation", [row["stage"] for row in log]),
            },
            coords={"step": ("evaluation", [row["step"] for row in log]), "task": tasks},
            attrs={"analysis": "training", "name": source.name},
        )
    for task, attended in ATTENDED.items():
        if task not in source.tasks:
            continue
        curves = psychometric_curves(source.network, task, seed=settings.seed)
        # the coherence that the task ignores
        for other in {"coherence_1", "coherence_2"} - {attended}:
            if other in curves["choice_1"].dims:
                curves = pooled_over(curves, other)
        results[task] = curves
    return results


def _slope(curves: xr.Dataset, task: str, duration: float) -> float:
    """Return the mean share of correct choices: the first target above 0, the second below."""
    cells = curves.sel(duration=duration)
    coherence = cells[ATTENDED[task]].values
    share = cells["choice_1"].values
    # at a coherence of 0 no choice is right
    right = np.where(coherence > 0, share, 1 - share)[coherence != 0]
    # NaN: no choice near either target
    return float(np.nanmean(right))


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the share of right choices after the shortest and the longest stimulus, by task."""
    tables = results["performance"]
    tasks = [task for task in ATTENDED if task in tables]
    numbers: dict[str, Cell] = {}
    findings = []
    for task in tasks:
        short, long_ = (_slope(tables[task], task, ms) for ms in (SHORTEST_MS, LONGEST_MS))
        numbers |= {
            f"{NAMES[task]}, {SHORTEST_MS:g} ms": short,
            f"{NAMES[task]}, {LONGEST_MS:g} ms": long_,
        }
        findings.append(
            f"{name}: in {NAMES[task]} {long_:.2f} of choices are right after {LONGEST_MS:g} ms of "
            f"stimulus and {short:.2f} after {SHORTEST_MS:g} ms (mean over coherences)."
        )
    figures = _pictures(name, tables, tasks) if pictures else []
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=figures)


def _pictures(name: str, results: Results, tasks: list[str]) -> list[Picture]:
    """Plot psychometric curves of all tasks and, where there is a log, the course of training."""
    figures = [
        picture(
            f"performance-{name}",
            f"{name}: share of choices of the first of two opposite targets, against the coherence "
            "that counts, by duration of the stimulus; bars: 95 % intervals.",
            *(
                partial(plot_psychometric, curves=results[task], title=NAMES[task])
                for task in tasks
            ),
            size=(3.6 * len(tasks), 3.4),
        )
    ]
    if "training" in results:
        training = results["training"]
        log = [
            {
                "seconds": float(row["seconds"]),
                "stage": int(row["stage"]),
                "performance": dict(
                    zip(training["task"].values, row["performance"].values, strict=True)
                ),
            }
            for row in (training.isel(evaluation=i) for i in range(training.sizes["evaluation"]))
        ]
        figures.append(
            picture(
                f"performance-training-{name}",
                f"{name}: performance of every task through training (dotted: stages).",
                partial(plot_learning, log=log),
                size=(6, 3.4),
            )
        )
    return figures


def _summarise_over(networks: Mapping[str, Results], _controls: Mapping[str, Results]) -> Summary:
    """Test over networks how much a longer stimulus improves choices."""
    # a mean over networks needs the task in all of them
    tasks = [task for task in ATTENDED if all(task in results for results in networks.values())]
    findings, panels = [], []
    for task in tasks:
        gain = over_networks(
            {
                name: _slope(results[task], task, LONGEST_MS)
                - _slope(results[task], task, SHORTEST_MS)
                for name, results in networks.items()
            }
        )
        what = (
            f"the gain in right choices from {SHORTEST_MS:g} to {LONGEST_MS:g} ms in {NAMES[task]}"
        )
        findings.append(over(what, gain))
        panels.append(partial(plot_over_networks, inference=gain, label=NAMES[task]))
    if not panels:
        return Summary(findings=[])
    caption = (
        f"Gain in right choices from a stimulus of {SHORTEST_MS:g} to one of {LONGEST_MS:g} ms, "
        "one point a network: evidence is accumulated in time."
    )
    figure = picture("performance-over-networks", caption, *panels, size=(2.6 * len(panels), 3.2))
    return Summary(findings=findings, pictures=[figure])


SECTION = Section(
    name="performance",
    heading="Performance",
    method="Two opposite targets of strengths 1 + c and 1 − c, 100 directions for each coherence "
    "and duration, with both noises; a choice counts within 0.3 π of either target; the coherence "
    "that the task ignores is pooled over.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
)
