"""The test of FTV = 0, the noise floor of task variance, and FTV of rotated units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.ftv_null import ftv_null
from nwbcompare.analysis.selectivity.permutation_nulls import (
    condition_label_null,
    rotation_control,
)
from nwbcompare.core.number_text import p_text
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

    ftv: xr.Dataset | None
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
        "ftv",
        lambda: ftv_null(recording, *pair, n_resamples=n, seed=seed),
        called="test of FTV = 0",
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
    nulls = Nulls(tables.get("ftv"), tables["condition"], tables.get("rotation"))
    findings: list[str | Finding] = []
    if nulls.ftv is not None:
        findings += [*_population(nulls.ftv), _units(nulls.ftv)]
    findings.append(_floor(measurements, nulls.condition))
    findings += [f"Does not apply: {what}. {why.reason}" for what, why in tables.refusals.items()]
    return Summary(
        findings=findings,
        rows=_rows(measurements, nulls),
        pictures=[_picture(measurements, nulls)] if pictures else (),
    )


def _picture(measurements: Measurements, nulls: Nulls) -> Picture:
    return picture(
        "nulls",
        "Left: raw FTV of the recorded units; dashed, of the tested units if their FTV was 0 "
        "(residuals resampled); dotted, of random rotations of the units, a description without a "
        "test. Right: task variance in both tasks, a point a unit; dashed, the floor with "
        "condition labels shuffled.",
        partial(
            plot_ftv_nulls,
            ftv=measurements.recorded.ftv,
            null=nulls.ftv,
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
        data=_histograms(measurements, nulls),
        further={"units": _unit_rows(measurements, nulls)},
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
    if nulls.ftv is not None:
        columns |= {"p_value": nulls.ftv["p_value"], "q_value": nulls.ftv["q_value"]}
    session = recorded.ftv.coords.get("session")
    return [
        {"unit": str(unit)}
        | ({} if session is None else {"session": str(session.values[place])})
        | {name: number(values.values[place]) for name, values in columns.items()}
        for place, unit in enumerate(recorded.ftv["unit"].values)
    ]


def _histograms(measurements: Measurements, nulls: Nulls) -> list[Row]:
    """Return a row for each bin of the distributions in the figure."""
    recorded = measurements.recorded.ftv["fractional_task_variance"].values
    return [
        row
        for what, values in {"recorded units": recorded, **_null_values(nulls)}.items()
        for row in share_rows(what, values)
    ]


def _null_values(nulls: Nulls) -> dict[str, npt.NDArray[np.float64]]:
    """Return the FTV values of each null by its name."""
    values = {}
    if nulls.ftv is not None:
        values["units if FTV was 0"] = nulls.ftv["null_ftv"].values
    if nulls.rotation is not None:
        values["units rotated"] = nulls.rotation["fractional_task_variance"].values
    return values


def _population(null: xr.Dataset) -> list[str | Finding]:
    """Return the tests of the population, over sessions."""
    spread, mean = float(null["spread_p_value"]), float(null["summed_ftv_p_value"])
    summed, n_sessions = float(null["summed_ftv"]), int(null["n_sessions"])
    n = f"{counted(int(null['n_tested']), 'unit')} in {counted(n_sessions, 'session')}"
    total = f"The FTV of the summed, noise-corrected task variances is {summed:.3f}"
    if np.isnan(spread):
        return [f"{total} ({n}; no test over fewer than 5 sessions)."]
    evidence = partial(
        Evidence, n=n, unit_of_inference="session, for these animals", figure="nulls"
    )
    rejected = "is rejected" if spread < LEVEL else "is not rejected"
    return [
        Finding(
            text=f"That every unit has an FTV of 0 {rejected}, {p_text(spread)} ({n}).",
            evidence=evidence(
                measure="squared differences of task variance beyond noise", p_value=number(spread)
            ),
        ),
        Finding(
            text=f"{total}, {p_text(mean)} for a value of 0.",
            evidence=evidence(
                measure="FTV of the summed task variances",
                effect=number(summed),
                p_value=number(mean),
            ),
        ),
    ]


def _units(null: xr.Dataset) -> str:
    n, refused = int(null["n_tested"]), null.attrs["n_drifting"]
    text = (
        f"{percent(null['share_significant'])} of {counted(n, 'unit')} have an FTV other than 0 at "
        f"p <= 0.05 (5 % by chance), {percent(null['share_discovered'])} at a false discovery rate "
        "of 5 %."
    )
    if refused:
        text += (
            f" {counted(refused, 'unit')} with tasks in few blocks or a rate that drifts between "
            "them, where FTV cannot be told from drift, are not tested."
        )
    elif not null.attrs["order_known"]:
        text += (
            " The order of the trials is not known: if the tasks were recorded in few blocks, a "
            "drift of tuning can appear as FTV."
        )
    return text


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
    rows += [
        {"FTV of": name, "s.d.": number(np.nanstd(values))}
        for name, values in _null_values(nulls).items()
    ]
    return rows


SECTION = Section(
    name="nulls",
    heading="Nulls, each for its claim",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
