"""The section on nulls: what FTV and TV would be if labels or axes meant nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.permutation_nulls import (
    condition_label_null,
    context_label_null,
    rotation_control,
)
from nwbcompare.core.errors import ExplainedError
from nwbcompare.plotting.permutation_nulls import plot_ftv_nulls, plot_task_variances
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.compare_settings import Settings
from nwbcompare.workflows.formatting import LEVEL, counted, number, percent, sd_of
from nwbcompare.workflows.measurements import Measurements
from nwbcompare.workflows.sections.ftv_distributions import share_rows

N_ROTATIONS = 100


@dataclass(frozen=True)
class Nulls:
    """The nulls of one source; None, with the reason, where one cannot be asked."""

    context: xr.Dataset | None
    condition: xr.Dataset
    rotation: xr.Dataset | None
    refused: dict[str, str]


def find_nulls(recording: xr.DataTree, settings: Settings) -> Nulls:
    """Permute labels and rotate units of the recording."""
    refused: dict[str, str] = {}
    pair, seed, n = settings.pair, settings.seed, settings.n_permutations

    def attempt(what: str, make: Callable[[], xr.Dataset]) -> xr.Dataset | None:
        try:
            return make()
        except ExplainedError as error:
            refused[what] = error.reason
            return None

    return Nulls(
        context=attempt(
            "context labels permuted",
            lambda: context_label_null(recording, *pair, n_permutations=n, seed=seed),
        ),
        condition=condition_label_null(recording, n_permutations=n, seed=seed),
        rotation=attempt(
            "units rotated",
            lambda: rotation_control(recording, *pair, n_rotations=N_ROTATIONS, seed=seed),
        ),
        refused=refused,
    )


def nulls_section(measurements: Measurements, nulls: Nulls) -> PageSection:
    """Show the recording against its nulls, each for its claim."""
    findings: list[str | Finding] = []
    if nulls.context is not None:
        findings += _context(nulls.context)
    findings.append(_floor(measurements, nulls.condition))
    if nulls.rotation is not None:
        spread = float(np.nanstd(nulls.rotation["fractional_task_variance"].values))
        findings.append(
            f"Random mixtures of the units (rotations, axis alignment) have an s.d. of FTV of "
            f"{spread:.3f}, single units {sd_of(measurements.recorded.ftv):.3f}: "
            + (
                "single units are more specialised than their mixtures."
                if spread < sd_of(measurements.recorded.ftv)
                else "single units are no more specialised."
            )
        )
    findings += [f"Not asked: {what}. {why}" for what, why in nulls.refused.items()]
    return PageSection(
        name="nulls",
        heading="Nulls, each for its claim",
        findings=findings,
        rows=_rows(measurements, nulls),
        pictures=[
            picture(
                "nulls",
                "Left: FTV of the recorded units; dashed, with the labels of the two tasks "
                "permuted within condition; dotted, of random rotations of the units. Right: "
                "task variance in both tasks, a point a unit; dashed, the floor with condition "
                "labels shuffled.",
                lambda ax: plot_ftv_nulls(
                    ax,
                    measurements.recorded.ftv,
                    null=nulls.context,
                    rotation=nulls.rotation,
                    names=measurements.shown,
                ),
                lambda ax: plot_task_variances(
                    ax,
                    measurements.variance,
                    *measurements.pair,
                    floor=nulls.condition,
                    names=measurements.shown,
                ),
                size=(8.6, 3.8),
                data=[*_unit_rows(measurements, nulls), *_histograms(measurements, nulls)],
                banner=measurements.banner,
            )
        ],
    )


def _unit_rows(measurements: Measurements, nulls: Nulls) -> list[Row]:
    """Give a row for each recorded unit: its variances, FTV, p and q."""
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
    """Give a row for each bin of the distributions drawn."""
    shown = {
        "recorded units": measurements.recorded.ftv,
        "task labels permuted": nulls.context,
        "units rotated": nulls.rotation,
    }
    return [
        row
        for what, table in shown.items()
        if table is not None
        for row in share_rows(what, table["fractional_task_variance"].values)
    ]


def _context(null: xr.Dataset) -> list[Finding]:
    spread, p = null["null_ftv_sd"], float(null["ftv_sd_p_value"])
    observed, expected = float(null["ftv_sd"]), float(spread.mean())
    verdict = "units tell the two tasks apart" if p < LEVEL else "no difference is shown"
    low, high = np.quantile(observed - spread.values, [0.025, 0.975])
    n = counted(int(np.isfinite(null["p_value"].values).sum()), "unit")
    below, found = (_share_below(null[name].values) for name in ("p_value", "q_value"))
    return [
        Finding(
            text="With the labels of the two tasks permuted within condition the s.d. of FTV is "
            f"{expected:.3f}, observed {observed:.3f}: {verdict}. {percent(below)} of {n} differ "
            f"from the null at p < 0.05 (5 % by chance), {percent(found)} at a false discovery "
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
    ]


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
