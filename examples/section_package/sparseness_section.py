"""A section of the page of ``nwbcompare analyze``: lifetime sparseness of every unit.

Install it beside nwbcompare (``pip install examples/section_package``); then
``nwbcompare analyze --list-sections`` has it, and every analysis computes it, keeps it as netCDF
and shows it.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.axes
import numpy as np
import xarray as xr

import nwbcompare as nc
from nwbcompare.report import Evidence, Finding, Picture
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings


def applies_to(source: AnalysisSource) -> Refusal | None:
    """Return why sparseness does not apply to a source, or None where it does."""
    lowest = min(float(block["rate"].min()) for block in nc.blocks(source.activity).values())
    return Refusal("Sparseness needs rates of 0 or more.") if lowest < 0 else None


def compute(
    source: AnalysisSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    """Compute Vinje and Gallant's (2000) sparseness over conditions, and its median's interval."""
    del earlier, cache
    by_task = []
    for block in nc.blocks(source.activity).values():
        means = nc.selectivity.condition_means(block)["rate_mean"].mean("time")
        n = means.sizes["condition"]
        activity_ratio = means.mean("condition") ** 2 / (means**2).mean("condition")
        by_task.append((1 - activity_ratio) / (1 - 1 / n))
    sparseness = xr.concat(by_task, "task").mean("task")
    rng = np.random.default_rng(settings.seed)
    values = sparseness.values[np.isfinite(sparseness.values)]
    medians = np.median(rng.choice(values, (settings.n_bootstrap, values.size)), axis=1)
    result = xr.Dataset(
        {"sparseness": sparseness, "interval": ("end", np.quantile(medians, [0.025, 0.975]))}
    )
    return Results({"sparseness": result})


def summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return a sentence, a row and a histogram."""
    result = results["sparseness"]["sparseness"]
    values = result["sparseness"].values
    median, (low, high) = float(np.nanmedian(values)), map(float, result["interval"].values)
    finding = Finding(
        text=f"{name}: the median unit has a sparseness of {median:.2f}.",
        evidence=Evidence(
            measure="median sparseness over units",
            effect=median,
            low=low,
            high=high,
            n=f"{int(np.isfinite(values).sum())} units",
            unit_of_inference="unit",
            figure=f"sparseness-{name}",
        ),
    )
    rows = [{"source": name, "median sparseness": median}]
    return Summary(
        findings=[finding], rows=rows, pictures=[histogram(name, values)] if pictures else ()
    )


def histogram(name: str, values: np.ndarray) -> Picture:
    """Plot sparseness over units."""

    def panel(ax: matplotlib.axes.Axes) -> None:
        ax.hist(values[np.isfinite(values)], bins=np.linspace(0, 1, 21))
        ax.set(xlabel="sparseness", ylabel="units")

    caption = f"{name}: lifetime sparseness over conditions, a count for each bin."
    return picture(f"sparseness-{name}", caption, panel, size=(4.0, 3.0))


SECTION = Section(
    name="sparseness",
    heading="Sparseness",
    method="Lifetime sparseness over condition means (Vinje & Gallant 2000), the mean over tasks; "
    "interval of the median from bootstraps of units.",
    compute=compute,
    summarise=summarise,
    applies_to=applies_to,
)
