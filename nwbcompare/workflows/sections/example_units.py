"""Example units: mean rates in both tasks, of units chosen by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.core.activity import blocks, condition_variables_of, select
from nwbcompare.plotting.task_variance import plot_condition_rates
from nwbcompare.report.page_section import Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import number, records
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.sampling_protocols import RATE
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

# a rule, so that no unit is picked for its looks
PERCENTILES = (5, 50, 95)


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Choose units of the recording (``source 0``) and of a sampled network (``source 1``).

    Each has ``units (unit)`` with FTV, and ``means.TASK``, their condition means.
    """
    measurements = Measurements.of(earlier["samples"])
    results = Results()
    results.add_group(
        "source 0",
        choose_examples(source.name, source.recording, measurements.recorded.ftv, settings.pair),
    )
    # one network is enough for an illustration
    for name, activity in list(source.sampled.items())[:1]:
        sample = next(s for s in measurements.on(RATE.name) if s.name == name)
        # the activity is that of the first draw
        ftv = sample.ftv.isel(draw=0) if "draw" in sample.ftv.dims else sample.ftv
        units = next(iter(blocks(activity).values()))["unit"].values
        results.add_group(
            "source 1",
            choose_examples(name, activity, ftv.assign_coords(unit=units), settings.pair),
        )
    return results


def choose_examples(
    name: str, activity: xr.DataTree, ftv: xr.Dataset, pair: Sequence[str]
) -> Results:
    """Choose the active units nearest to set percentiles of FTV, and compute condition means."""
    values = ftv["fractional_task_variance"].values.copy()
    positions: list[int] = []
    for level in np.nanpercentile(values, PERCENTILES):
        distance = np.abs(values - level)
        # a unit counts once, also where it is nearest to two percentiles
        distance[positions] = np.nan
        positions.append(int(np.nanargmin(distance)))
    units = [str(unit) for unit in ftv["unit"].values[positions]]
    results = Results(
        {
            "units": xr.Dataset(
                {"fractional_task_variance": ("unit", values[positions])},
                {"unit": units},
                {"name": name},
            )
        }
    )
    means = means_by_task(select(activity, units=units))
    results.add_group("means", {task: table for task, table, _ in means if task in pair})
    return results


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the rule by which units were chosen, their FTV, and their rates."""
    measurements, tables = Measurements.of(results["samples"]), results["examples"]
    groups = (tables.group(f"source {place}") for place in range(2))
    examples = [group for group in groups if group]
    rows: list[Row] = [
        {"source": one["units"].attrs["name"], "unit": unit, "FTV": number(fraction)}
        for one in examples
        for unit, fraction in _units(one)
    ]
    return Summary(
        findings=[
            "The active units nearest to the 5th, 50th and 95th percentile of FTV, by this rule."
        ],
        rows=rows,
        pictures=[_picture(measurements, examples)] if pictures else (),
    )


def _units(example: Results) -> list[tuple[str, float]]:
    """Return the units of one source, each with its FTV."""
    units = example["units"]
    values = units["unit"].values, units["fractional_task_variance"].values
    return [(str(unit), float(fraction)) for unit, fraction in zip(*values, strict=True)]


def _picture(measurements: Measurements, examples: Sequence[Results]) -> Picture:
    """Plot rates in both tasks, side by side for each unit and a row for each source."""
    _, *more = examples
    panels = [
        partial(_panel, one=one, unit=unit, fraction=fraction, task=task, measurements=measurements)
        for one in examples
        for unit, fraction in _units(one)
        for task in measurements.pair
    ]
    return picture(
        "examples",
        f"Mean rates by condition ({_variables(examples)}) in both tasks, a line a condition; each "
        "pair of panels is a unit."
        + (" A network is sampled with the recording's trials, rates and noise." * bool(more)),
        *panels,
        size=(11.0, 2.5 * len(examples)),
        n_rows=len(examples),
        data=_rates(examples),
        banner=measurements.banner,
    )


def _variables(examples: Sequence[Results]) -> str:
    """Return the names of the condition variables."""
    names = condition_variables_of(next(iter(examples[0].group("means").values())))
    every = dict.fromkeys(name for variables in names.values() for name in variables)
    return ", ".join(every).replace("_", " ")


def _panel(
    ax: Axes, one: Results, unit: str, fraction: float, task: str, measurements: Measurements
) -> None:
    """Plot the rates of one unit in one task, scaled like its other task."""
    plot_condition_rates(ax, one[f"means.{task}"], unit, task, names=measurements.task_names)
    # longer names would run into the next panel
    label = unit if len(unit) <= 22 else f"{unit[:21]}…"
    ax.set_title(f"{label}\n{measurements.task_names[task]}, FTV {fraction:+.2f}", fontsize=7.5)
    rates = [one[f"means.{t}"]["rate_mean"].sel(unit=unit) for t in measurements.pair]
    # both tasks of a unit have one scale
    bottom, top = min(float(rate.min()) for rate in rates), max(float(rate.max()) for rate in rates)
    ax.set_ylim(min(0.0, bottom), 1.08 * top)
    if task == measurements.pair[0] and unit == one["units"]["unit"].values[0]:
        # many conditions have no labels
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=6, handlelength=1.4, loc="best")
        ax.set_ylabel(f"{one['units'].attrs['name']}\n{ax.get_ylabel()}")
    else:
        ax.set_ylabel("")


def _rates(examples: Sequence[Results]) -> list[Row]:
    """Return the plotted rates, a row for each unit, task, condition and time."""
    rows: list[Row] = []
    for one in examples:
        name = str(one["units"].attrs["name"])
        for task, means in one.group("means").items():
            rates = (
                means[["rate_mean"]].rename(rate_mean="rate").transpose("condition", "time", ...)
            )
            for unit, _ in _units(one):
                rows += records(rates.sel(unit=unit), source=name, unit=unit, task=task)
    return rows


SECTION = Section(
    name="examples",
    heading="Example units",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
