"""Nulls of FTV and task variance: permuted labels, and random rotations of the units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.permutation_nulls import (
    condition_label_null,
    context_label_null,
    rotation_control,
)
from nwbcompare.plotting.permutation_nulls import plot_ftv_nulls, plot_task_variances
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import LEVEL, counted, number, percent, sd_of
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.ftv_distributions import share_rows
from nwbcompare.workflows.settings import Settings

N_ROTATIONS = 100


@dataclass(frozen=True)
class Nulls:
    """Nulls of a recording; None where one does not apply."""

    context: xr.Dataset | None
    condition: xr.Dataset
    rotation: xr.Dataset | None


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del earlier, cache
    recording, pair, seed = source.recording, settings.pair, settings.seed
    n = settings.n_permutations
    results = Results({"condition": condition_label_null(recording, n_permutations=n, seed=seed)})
    results.attempt(
        "context",
        lambda: context_label_null(recording, *pair, n_permutations=n, seed=seed),
        called="permutation of context labels",
    )
    results.attempt(
        "rotation",
        lambda: rotation_control(recording, *pair, n_rotations=N_ROTATIONS, seed=seed),
        called="rotation of the units",
    )
    return results


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name
    measurements, tables = Measurements.of(results["samples"]), results["nulls"]
    nulls = Nulls(tables.get("context"), tables["condition"], tables.get("rotation"))
    findings: list[str | Finding] = []
    if nulls.context is not None:
        findings.append(_context(nulls.context))
    findings.append(_floor(measurements, nulls.condition))
    if nulls.rotation is not None:
        spread = float(np.nanstd(nulls.rotation["fractional_task_variance"].values))
        single = sd_of(measurements.recorded.ftv)
        verdict = (
            "more specialised than their mixtures" if spread < single else "no more specialised"
        )
        findings.append(
            "Random mixtures of the units (rotations, axis alignment) have an s.d. of FTV of "
            f"{spread:.3f}, single units {single:.3f}: single units are {verdict}."
        )
    findings += [f"Does not apply: {what}. {why.reason}" for what, why in tables.refusals.items()]
    return Summary(
        findings=findings,
        rows=_rows(measurements, nulls),
        pictures=[_picture(measurements, nulls)] if pictures else (),
    )


def _picture(measurements: Measurements, nulls: Nulls) -> Picture:
    return picture(
        "nulls",
        "Left: FTV of the recorded units; dashed, with the labels of the two tasks permuted within "
        "condition; dotted, of random rotations of the units. Right: task variance in both tasks, "
        "a point a unit; dashed, the floor with condition labels shuffled.",
        partial(
            plot_ftv_nulls,
            ftv=measurements.recorded.ftv,
            null=nulls.context,
            rotation=nulls.rotation,
            names=measurements.task_names,
        ),
        lambda ax: plot_task_variances(
            ax,
            measurements.variance,
            *measurements.pair,
            floor=nulls.condition,
            names=measurements.task_names,
        ),
        size=(8.6, 3.8),
        data=[*_unit_rows(measurements, nulls), *_histograms(measurements, nulls)],
        banner=measurements.banner,
    )


def _unit_rows(measurements: Measurements, nulls: Nulls) -> list[Row]:
    """Return a row for each recorded unit: task variances, FTV, p and q."""
    recorded = measurements.recorded
    columns = {
        **{
            f"tv_{task}": measurements.variance["task_variance"].sel(task=task)
            for task in measurements.pair
        },
        "ftv": recorded.ftv["fractional_task_variance"],
    }
    if nulls.context is not None:
        columns |= {"p_value": nulls.context["p_value"], "q_value": nulls.context["q_value"]}
    session = recorded.ftv.coords.get("session")
    return [
        {"unit": str(unit)}
        | ({} if session is None else {"session": str(session.values[place])})
        | {name: number(values.values[place]) for name, values in columns.items()}
        for place, unit in enumerate(recorded.ftv["unit"].values)
    ]


def _histograms(measurements: Measurements, nulls: Nulls) -> list[Row]:
    """Return a row for each bin of the distributions in the figure."""
    distributions = {
        "recorded units": measurements.recorded.ftv,
        "task labels permuted": nulls.context,
        "units rotated": nulls.rotation,
    }
    return [
        row
        for what, table in distributions.items()
        if table is not None
        for row in share_rows(what, table["fractional_task_variance"].values)
    ]


def _context(null: xr.Dataset) -> Finding:
    spread, p = null["null_ftv_sd"], float(null["ftv_sd_p_value"])
    observed, expected = float(null["ftv_sd"]), float(spread.mean())
    verdict = "units tell the two tasks apart" if p < LEVEL else "no difference is shown"
    low, high = np.quantile(observed - spread.values, [0.025, 0.975])
    n = counted(int(np.isfinite(null["p_value"].values).sum()), "unit")
    below, discovered = (_share_below(null[name].values) for name in ("p_value", "q_value"))
    return Finding(
        text="With the labels of the two tasks permuted within condition the s.d. of FTV is "
        f"{expected:.3f}, observed {observed:.3f}: {verdict}. {percent(below)} of {n} differ "
        f"from the null at p < 0.05 (5 % by chance), {percent(discovered)} at a false discovery "
        "rate of 5 %.",
        evidence=Evidence(
            measure="s.d. of FTV less that of the null (range of the null)",
            effect=number(observed - expected),
            low=number(low),
            high=number(high),
            p_value=number(p),
            n=n,
            unit_of_inference="trial, for these units",
            figure="nulls",
        ),
    )


def _share_below(p: npt.NDArray[np.float64]) -> float:
    return float((p[np.isfinite(p)] < LEVEL).mean())


def _floor(measurements: Measurements, null: xr.Dataset) -> str:
    active = measurements.recorded.ftv["active"].values
    floor = np.nanmedian(null["task_variance"].mean("permutation").values[active])
    median = np.nanmedian(measurements.variance["task_variance"].values[active])
    return (
        f"With condition labels shuffled within task the median task variance is {floor:.3g}, "
        f"observed {median:.3g}: {percent(floor / median)} is left, which is the floor that noise "
        "gives."
    )


def _rows(measurements: Measurements, nulls: Nulls) -> list[Row]:
    rows: list[Row] = [
        {"FTV of": "recorded units", "s.d.": number(sd_of(measurements.recorded.ftv))}
    ]
    for name, null in (
        ("context labels permuted", nulls.context),
        ("units rotated", nulls.rotation),
    ):
        if null is not None:
            values = null["fractional_task_variance"].values
            rows.append({"FTV of": name, "s.d.": number(np.nanstd(values))})
    return rows


SECTION = Section(
    name="nulls",
    heading="Nulls, each for its claim",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
