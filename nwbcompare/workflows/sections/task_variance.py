"""Task variance by task, by task and epoch, and in time; rates of example units."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_means
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    epoch_variance,
    task_variance,
    variance_in_time,
)
from nwbcompare.core.activity import Activity, blocks, select
from nwbcompare.core.errors import UnitWarning
from nwbcompare.plotting.task_variance import plot_unit_rates
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.formatting import NAMES, refusal_sentences
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

EXAMPLE_PERCENTILES = {"mixed": 5, "typical": 50, "selective": 95}
"""Example units by the share of their variance that lies in one task, so that none is picked."""


def _compute(
    source: AnalysisSource, _earlier: SourceResults, _settings: Settings, _cache: Path
) -> Results:
    """Compute variance by ``task``, by ``epoch``, and in ``time``, and rates of example units."""
    activity = source.activity
    variance = task_variance(activity)
    with warnings.catch_warnings():
        # the same units lack the same conditions by epoch and in time
        warnings.simplefilter("ignore", UnitWarning)
        results = Results({"task": variance, "time": variance_in_time(activity)})
        # epochs of a recording may end with the animal's response
        results.attempt("epoch", partial(epoch_variance, activity), called="variance by epoch")
    results.update(_examples(activity, variance))
    return results


def _examples(activity: Activity, variance: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return condition means of example units in their two tasks of largest variance."""
    values = variance["task_variance"].transpose("unit", "task").values
    total = np.nansum(values, axis=1)
    # a unit that lacks a condition has no share to be ordered by
    active = np.flatnonzero((total > ACTIVE_THRESHOLD) & np.isfinite(values).all(axis=1))
    if not active.size:
        return {}
    share = values[active].max(axis=1) / total[active]
    examples: dict[str, xr.Dataset] = {}
    for kind, percentile in EXAMPLE_PERCENTILES.items():
        nearest = np.abs(share - np.percentile(share, percentile)).argmin()
        unit = str(variance["unit"].values[active[nearest]])
        order = np.argsort(-values[active[nearest]], kind="stable")
        for place, task in enumerate(variance["task"].values[order[:2]]):
            (block,) = blocks(select(activity, units=[unit], task=str(task))).values()
            examples[f"{kind}_{place}"] = condition_means(block).assign_attrs(
                example_unit=unit, example_task=str(task), share=float(share[nearest])
            )
    return examples


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return how many units are active and what that stands on, and plot the example units."""
    tables = results["variance"]
    variance = tables["task"]["task_variance"]
    total = variance.sum("task").values
    n_active = int((total > ACTIVE_THRESHOLD).sum())
    bins = float(tables["task"]["n_bins"].sum("task").max())
    lacking = int(np.isnan(variance.values).any(axis=1).sum())
    numbers = {
        "units": int(total.size),
        "active units": n_active,
        "tasks": int(variance.sizes["task"]),
        "median summed TV": float(np.median(total)),
        "units that lack a condition": lacking,
    }
    findings = [
        f"{name}: {n_active} of {total.size} units are active (variance summed over "
        f"{variance.sizes['task']} tasks above {ACTIVE_THRESHOLD:g}); it stands on "
        f"{int(tables['task']['n_conditions'].sum())} conditions and {bins:.0f} time bins.",
        *refusal_sentences(name, tables),
    ]
    examples = {key: value for key, value in tables.items() if "example_unit" in value.attrs}
    rates = [
        partial(
            plot_unit_rates,
            condition_means=means,
            unit=means.attrs["example_unit"],
            task=means.attrs["example_task"],
            names=NAMES,
        )
        for place in ("0", "1")
        for key, means in examples.items()
        if key.endswith(place)
    ]
    if not pictures or not rates:
        return Summary(findings=findings, rows=[{"source": name, **numbers}])
    figure = picture(
        f"variance-examples-{name}",
        f"{name}: mean rates of three units in their task of largest variance (above) and of the "
        "next (below), by the task's "
        "first condition variable. The units are those at the 5th, 50th and 95th percentile of "
        "the share of variance that lies in one task: mixed, typical, selective.",
        *rates,
        size=(11, 5.4),
        n_rows=2,
    )
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=[figure])


SECTION = Section(
    name="variance",
    heading="Task variance",
    method="Variance across conditions at each time, then the mean over time (population "
    "variance), fixation left out; by task, by task and epoch, and at each time. Networks: the "
    "published test trials without noise, every trial a condition, so the variance has no noise "
    "in it. Recordings: condition means of noisy trials, so their variance is biased upwards by "
    "the trials' noise.",
    compute=_compute,
    summarise=_summarise,
)
