"""The section on confounds: FTV again with choice, errors, trial numbers, or rates taken out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.confounds import confound_table, ftv_in_time
from nwbcompare.analysis.selectivity.variance_components import ftv_by_factor, variance_components
from nwbcompare.core.errors import ExplainedError
from nwbcompare.plotting.confounds import plot_confounds, plot_ftv_in_time, plot_variance_components
from nwbcompare.plotting.style import BLUE, RECORDING_COLOUR
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.compare_settings import Settings
from nwbcompare.workflows.formatting import counted, interval, number, percent
from nwbcompare.workflows.measurements import Measurements

FACTORS = {
    "choice": "choice",
    "coherence_1_sign": "motion",
    "coherence_2_sign": "colour",
}
"""Display names of the factors of Mante et al. 2013; others go by their own."""


@dataclass(frozen=True)
class Confounds:
    """The FTV of a source under variants, in time, and split by factors."""

    table: xr.Dataset
    in_time: xr.Dataset
    components: xr.Dataset | None
    coded: xr.Dataset | None
    refused: dict[str, str]


def find_confounds(activity: xr.DataTree, settings: Settings) -> Confounds:
    """Measure a source again with one possible confound taken out at a time."""
    pair, seed, n_draws = settings.pair, settings.seed, settings.n_bootstrap
    refused: dict[str, str] = {}
    components = coded = None
    try:
        components = variance_components(activity)
        coded = ftv_by_factor(components, *pair)
    except ExplainedError as error:
        refused["variance split by choice and stimulus"] = error.reason
    return Confounds(
        table=confound_table(activity, *pair, seed=seed, n_draws=n_draws),
        in_time=ftv_in_time(activity, *pair, seed=seed, n_draws=n_draws),
        components=components,
        coded=coded,
        refused=refused,
    )


def confounds_section(
    measurements: Measurements, found: Confounds, model: Confounds | None
) -> PageSection:
    """Show whether the spread of FTV stands when a confound is taken out.

    Parameters
    ----------
    measurements
        What was measured.
    found, model
        Of the recording, and of the first sampled network.
    """
    both = [found, *([] if model is None else [model])]
    findings: list[str | Finding] = [_variants(found.table)]
    if found.coded is not None:
        findings += _coding(found.coded)
    if found.components is not None:
        findings.append(_shares(measurements, found.components))
    left_out = json.loads(found.table.attrs["left_out"]) | found.refused
    findings += [f"Not asked: {what}. {why}" for what, why in left_out.items()]
    findings += [text for one in both for text in _without_units(one.table)]
    names = measurements.shown | FACTORS
    panels = [partial(plot_confounds, table=one.table) for one in both]
    pictures = [
        picture(
            "confounds",
            "S.d. of FTV over units with one possible confound taken out at a time, with 95 % "
            "intervals (bootstrap of whole sessions): the recording, and a network sampled as it "
            "was.",
            *panels,
            size=(4.6 * len(panels), 3.6),
            data=_rows(both),
            banner=measurements.banner,
        ),
        picture(
            "in-time",
            "S.d. of FTV over units in time, noise taken out bin by bin.",
            lambda ax: _in_time(ax, both),
            size=(5.4, 3.2),
            data=_time_rows(both),
            banner=measurements.banner,
        ),
    ]
    if found.components is not None:
        pictures.append(
            picture(
                "components",
                "Shares of the task variance, noise taken out and summed over units, that go with "
                "choice, with each stimulus variable, and with their interaction.",
                partial(plot_variance_components, components=found.components, names=names),
                size=(6.4, 2.8),
                data=_component_rows(found.components),
                banner=measurements.banner,
            )
        )
    return PageSection(
        name="confounds",
        heading="Confounds",
        findings=findings,
        rows=_rows(both),
        pictures=pictures,
    )


def _in_time(ax: Axes, both: Sequence[Confounds]) -> None:
    for one, colour in zip(both, (RECORDING_COLOUR, BLUE), strict=False):
        plot_ftv_in_time(ax, one.in_time, colour=colour)


def _variants(table: xr.Dataset) -> Finding:
    corrected = table.sel(estimate="corrected")
    own = corrected.sel(variant=[v for v in table["variant"].values if v != "as published"])
    place = int(np.nanargmax(np.abs(own["change"].values)))
    most = own.isel(variant=place)
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
    """Name the variants that leave no unit an FTV, as where a choice follows from the stimulus."""
    none = (table["n_units"] == 0).all("estimate")
    return [
        f"{table.attrs['name']}, {variant}: no unit has an FTV left."
        for variant in table["variant"].values[none.values]
    ]


def _coding(coded: xr.Dataset) -> list[str]:
    names, numbers = np.unique(coded["codes"].values.astype(str), return_counts=True)
    listed = ", ".join(f"{n} {name}" for name, n in zip(names, numbers, strict=True))
    alone = coded["codes"].values == "choice alone"
    return [
        f"What units code, by components that stand out of their noise: {listed}. Units that code "
        f"choice alone ({int(alone.sum())}) have an FTV near 0 whatever the stimulus does and are "
        "not mixed."
    ]


def _shares(measurements: Measurements, components: xr.Dataset) -> str:
    texts = []
    for task in measurements.pair:
        summed = components["component_corrected"].sel(task=task).sum("unit").clip(0)
        shares = summed / summed.sum()
        listed = ", ".join(
            f"{_factor(str(name))} {percent(shares.sel(factor=name))}"
            for name in components["factor"].values
        )
        texts.append(f"{measurements.shown[task]}: {listed}")
    return (
        "Shares of the noise-corrected task variance, summed over units: " + "; ".join(texts) + "."
    )


def _factor(name: str) -> str:
    return " × ".join(FACTORS.get(component, component) for component in name.split(":"))


def _rows(both: Sequence[Confounds]) -> list[Row]:
    rows: list[Row] = []
    for table in [one.table for one in both]:
        for variant in table["variant"].values:
            for estimate in table["estimate"].values:
                own = table.sel(variant=variant, estimate=estimate)
                rows.append(
                    {
                        "source": str(table.attrs["name"]),
                        "variant": str(variant),
                        "estimate": str(estimate),
                        "mean": number(own["mean"]),
                        "s.d.": number(own["standard_deviation"]),
                        "s.d. interval": interval(
                            own["standard_deviation_low"], own["standard_deviation_high"]
                        ).strip(),
                        "units": int(own["n_units"]),
                        "censored": int(own["n_censored"]),
                    }
                )
    return rows


def _time_rows(both: Sequence[Confounds]) -> list[Row]:
    names = ("standard_deviation", "standard_deviation_low", "standard_deviation_high", "pooled")
    return [
        {"source": str(table.attrs["name"]), "time": number(table["time"].values[place])}
        | {name: number(table[name].values[place]) for name in names}
        for table in [one.in_time for one in both]
        for place in range(table.sizes["time"])
    ]


def _component_rows(components: xr.Dataset) -> list[Row]:
    return [
        {
            "unit": str(unit),
            "task": str(task),
            "factor": str(factor),
            "component": number(
                components["component_corrected"].sel(unit=unit, task=task, factor=factor)
            ),
        }
        for unit in components["unit"].values
        for task in components["task"].values
        for factor in components["factor"].values
    ]
