"""Confounds: FTV without effects of choice, errors, trial numbers and rates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.confounds import confound_table, ftv_in_time
from nwbcompare.analysis.selectivity.variance_components import ftv_by_factor, variance_components
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.plotting.confounds import plot_confounds, plot_ftv_in_time, plot_variance_components
from nwbcompare.plotting.style import BLUE, RECORDING_COLOUR
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import bounds, counted, number, percent, records
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

FACTORS = {"choice": "choice", "coherence_1_sign": "motion", "coherence_2_sign": "colour"}
"""Display names of the factors of Mante et al. 2013; others go by their own."""


def _compute(
    source: ComparisonSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Measure the recording (``source 0``) and the first sampled network (``source 1``) alike.

    Each has ``table (variant, estimate)`` and ``in_time (time)``, and, where trials have choices,
    ``components (unit, task, factor)`` and ``coding (unit)``.
    """
    # the recording, and the first sampled network beside it
    activities = {source.name: source.recording, **dict(list(source.sampled.items())[:1])}
    jobs: list[Job] = [
        (f"{name}, confounds", measure_confounds, (activity, settings))
        for name, activity in activities.items()
    ]
    by_source, warnings = run_all(jobs, settings.jobs_for(source.recording), "confounds")
    results = Results(warnings=warnings)
    for place, one in enumerate(by_source):
        results.add_group(f"source {place}", one)
    return results


def measure_confounds(activity: xr.DataTree, settings: Settings) -> Results:
    """Measure FTV of a source with one possible confound removed at a time."""
    pair, seed, n_draws = settings.pair, settings.seed, settings.n_bootstrap
    results = Results({"in_time": ftv_in_time(activity, *pair, seed=seed, n_draws=n_draws)})
    results.attempt(
        "components",
        # recordings without a column of choices have no such split
        lambda: variance_components(activity),
        called="variance by choice and stimulus",
    )
    if "components" in results:
        results["coding"] = ftv_by_factor(results["components"], *pair)
    results["table"] = confound_table(
        activity, *pair, components=results.get("components"), seed=seed, n_draws=n_draws
    )
    return results


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return which variant matters most, what units code, and what does not apply."""
    measurements, tables = Measurements.of(results["samples"]), results["confounds"]
    groups = (tables.group(f"source {place}") for place in range(2))
    sources = [group for group in groups if group]
    recording = sources[0]
    findings: list[str | Finding] = [_variants(recording["table"])]
    if "components" in recording:
        findings.append(_coding(recording["coding"]))
        findings.append(_shares(measurements, recording["components"]))
    reasons = json.loads(recording["table"].attrs["left_out"])
    reasons |= {name: refusal.reason for name, refusal in recording.refusals.items()}
    findings += [f"Does not apply: {what}. {why}" for what, why in reasons.items()]
    findings += [text for one in sources for text in _without_units(one["table"])]
    return Summary(
        findings=findings,
        rows=_rows(sources),
        pictures=_pictures(measurements, sources) if pictures else (),
    )


def _pictures(measurements: Measurements, sources: Sequence[Results]) -> list[Picture]:
    """Plot variants and FTV in time of all sources, and variance components of the recording."""
    components = sources[0].get("components")
    pictures = [
        picture(
            "confounds",
            "S.d. of FTV over units with one possible confound taken out at a time, with 95 % "
            "intervals (bootstrap of whole sessions): the recording, and a network sampled as it "
            "was.",
            *(partial(plot_confounds, table=one["table"]) for one in sources),
            size=(4.6 * len(sources), 3.6),
            data=_rows(sources),
            banner=measurements.banner,
        ),
        picture(
            "in-time",
            "S.d. of FTV over units in time, noise taken out bin by bin.",
            lambda ax: _in_time(ax, sources),
            size=(5.4, 3.2),
            data=_time_rows(sources),
            banner=measurements.banner,
        ),
    ]
    if components is not None:
        names = measurements.task_names | FACTORS
        rows = components[["component_corrected"]].rename(component_corrected="component")
        pictures.append(
            picture(
                "components",
                "Shares of the task variance, noise taken out and summed over units, that go with "
                "choice, with each stimulus variable, and with their interaction.",
                partial(plot_variance_components, components=components, names=names),
                size=(6.4, 2.8),
                data=records(rows.transpose("unit", "task", "factor")),
                banner=measurements.banner,
            )
        )
    return pictures


def _in_time(ax: Axes, sources: Sequence[Results]) -> None:
    """Plot all sources in one panel, since their time courses are to be compared."""
    # a recording and, where there is one, a network beside it
    for one, colour in zip(sources, (RECORDING_COLOUR, BLUE), strict=False):
        plot_ftv_in_time(ax, one["in_time"], colour=colour)


def _variants(table: xr.Dataset) -> Finding:
    """Return the variant with the largest change of the corrected s.d. of FTV."""
    corrected = table.sel(estimate="corrected")
    values = corrected.sel(variant=[v for v in table["variant"].values if v != "as published"])
    # NaN: a variant that leaves no unit
    place = int(np.nanargmax(np.abs(values["change"].values)))
    most = values.isel(variant=place)
    return Finding(
        text=f"{table.attrs['name']}: of the variants, {most['variant'].item()!r} changes the "
        f"noise-corrected s.d. of FTV most, by {float(most['change']):+.3f}.",
        evidence=Evidence(
            measure="change of the noise-corrected s.d. of FTV",
            effect=number(most["change"]),
            low=number(most["change_low"]),
            high=number(most["change_high"]),
            n=counted(int(most["n_units"]), "unit"),
            unit_of_inference=str(table.attrs["bootstrapped"]),
            figure="confounds",
        ),
    )


def _without_units(table: xr.Dataset) -> list[str]:
    """Return the variants without any unit with FTV, as where choices follow from the stimulus."""
    none = (table["n_units"] == 0).all("estimate")
    return [
        f"{table.attrs['name']}, {variant}: no unit has an FTV left."
        for variant in table["variant"].values[none.values]
    ]


def _coding(coding: xr.Dataset) -> str:
    """Return how many units code choice, stimulus, or both."""
    names, numbers = np.unique(coding["codes"].values.astype(str), return_counts=True)
    codes = ", ".join(f"{n} {name}" for name, n in zip(names, numbers, strict=True))
    alone = coding["codes"].values == "choice alone"
    return (
        f"What units code, by components that stand out of their noise: {codes}. Units that code "
        f"choice alone ({int(alone.sum())}) have an FTV near 0 whatever the stimulus does and are "
        "not mixed."
    )


def _shares(measurements: Measurements, components: xr.Dataset) -> str:
    """Return the share of each factor in the variance summed over units, by task."""
    texts = []
    for task in measurements.pair:
        # sums over units are unbiased; shares of single units are not
        totals = components["component_corrected"].sel(task=task).sum("unit").clip(0)
        shares = totals / totals.sum()
        factors = ", ".join(
            f"{_factor(str(name))} {percent(shares.sel(factor=name))}"
            for name in components["factor"].values
        )
        texts.append(f"{measurements.task_names[task]}: {factors}")
    return (
        "Shares of the noise-corrected task variance, summed over units: " + "; ".join(texts) + "."
    )


def _factor(name: str) -> str:
    return " × ".join(FACTORS.get(component, component) for component in name.split(":"))


def _rows(sources: Sequence[Results]) -> list[Row]:
    """Return a row for each source, variant and estimate."""
    rows: list[Row] = []
    for table in [one["table"] for one in sources]:
        for variant in table["variant"].values:
            for estimate in table["estimate"].values:
                values = table.sel(variant=variant, estimate=estimate)
                low, high = (values[f"standard_deviation_{end}"] for end in ("low", "high"))
                rows.append(
                    {
                        "source": str(table.attrs["name"]),
                        "variant": str(variant),
                        "estimate": str(estimate),
                        "mean": number(values["mean"]),
                        "s.d.": number(values["standard_deviation"]),
                        **bounds("s.d., 95 %", low, high),
                        "units": int(values["n_units"]),
                        "censored": int(values["n_censored"]),
                    }
                )
    return rows


def _time_rows(sources: Sequence[Results]) -> list[Row]:
    names = ["standard_deviation", "standard_deviation_low", "standard_deviation_high", "pooled"]
    tables = [one["in_time"] for one in sources]
    return [row for one in tables for row in records(one[names], source=str(one.attrs["name"]))]


SECTION = Section(
    name="confounds",
    heading="Confounds",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
