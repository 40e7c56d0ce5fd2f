"""The section of example units: mean rates in both tasks, by a rule and not by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.core.activity import condition_variables_of, select
from nwbcompare.plotting.task_variance import plot_condition_rates
from nwbcompare.report.page_section import PageSection, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import number
from nwbcompare.workflows.measurements import Measurements

PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class Examples:
    """Condition means of example units of one source, task by task, and their FTV."""

    name: str
    units: list[str]
    ftv: list[float]
    means: dict[str, xr.Dataset]


def find_examples(
    name: str, activity: xr.DataTree, ftv: xr.Dataset, pair: Sequence[str]
) -> Examples:
    """Choose the active units nearest to set percentiles of FTV, and give their condition means."""
    values = ftv["fractional_task_variance"].values.copy()
    wanted = np.nanpercentile(values, PERCENTILES)
    chosen: list[int] = []
    for level in wanted:
        distance = np.abs(values - level)
        distance[chosen] = np.nan
        chosen.append(int(np.nanargmin(distance)))
    units = [str(unit) for unit in ftv["unit"].values[chosen]]
    few = select(activity, units=units)
    means = {task: table for task, table, _ in means_by_task(few) if task in pair}
    return Examples(name, units, [float(values[place]) for place in chosen], means)


def examples_section(measurements: Measurements, examples: Sequence[Examples]) -> PageSection:
    """Show example units of the recording and of the first sampled network."""
    panels = [
        partial(_panel, one=one, unit=unit, fraction=fraction, task=task, measurements=measurements)
        for one in examples
        for unit, fraction in zip(one.units, one.ftv, strict=True)
        for task in measurements.pair
    ]
    rows: list[Row] = [
        {"source": one.name, "unit": unit, "FTV": number(fraction)}
        for one in examples
        for unit, fraction in zip(one.units, one.ftv, strict=True)
    ]
    return PageSection(
        name="examples",
        heading="Example units",
        findings=[
            "The active units nearest to the 5th, 50th and 95th percentile of FTV, by this rule."
        ],
        rows=rows,
        pictures=[
            picture(
                "examples",
                f"Mean rates by condition ({_variables(examples)}) in both tasks, a line a "
                "condition; each pair of panels is a unit. "
                "A network is sampled with the recording's trials, rates and noise.",
                *panels,
                size=(11.0, 2.5 * len(examples)),
                n_rows=len(examples),
                data=_rates(examples),
                banner=measurements.banner,
            )
        ],
    )


def _variables(examples: Sequence[Examples]) -> str:
    """Name what conditions are combinations of."""
    names = condition_variables_of(next(iter(examples[0].means.values())))
    every = dict.fromkeys(name for own in names.values() for name in own)
    return ", ".join(every).replace("_", " ")


def _panel(
    ax: Axes, one: Examples, unit: str, fraction: float, task: str, measurements: Measurements
) -> None:
    plot_condition_rates(ax, one.means[task], unit, task, names=measurements.shown)
    shown = unit if len(unit) <= 22 else f"{unit[:21]}…"
    ax.set_title(f"{shown}\n{measurements.shown[task]}, FTV {fraction:+.2f}", fontsize=7.5)
    tops = [float(one.means[t]["rate_mean"].sel(unit=unit).max()) for t in measurements.pair]
    bottoms = [float(one.means[t]["rate_mean"].sel(unit=unit).min()) for t in measurements.pair]
    ax.set_ylim(min(0.0, *bottoms), 1.08 * max(tops))
    if task == measurements.pair[0] and unit == one.units[0]:
        ax.legend(fontsize=6, handlelength=1.4, loc="best")
        ax.set_ylabel(f"{one.name}\n{ax.get_ylabel()}")
    else:
        ax.set_ylabel("")


def _rates(examples: Sequence[Examples]) -> list[Row]:
    return [
        {
            "source": one.name,
            "unit": unit,
            "task": task,
            "condition": place,
            "time": number(time),
            "rate": number(rate),
        }
        for one in examples
        for task, means in one.means.items()
        for unit in one.units
        for place in range(means.sizes["condition"])
        for time, rate in zip(
            means["time"].values,
            means["rate_mean"].sel(unit=unit).isel(condition=place).values,
            strict=True,
        )
    ]
