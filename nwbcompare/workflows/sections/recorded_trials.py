"""Trials and rates of a recording: numbers by condition, mean rates, and single trials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.core.activity import (
    blocks,
    condition_variables_of,
    row_dim,
    select,
    tasks_of,
)
from nwbcompare.core.observations import observations
from nwbcompare.plotting.recorded_trials import plot_mean_rates, plot_trials
from nwbcompare.report.page_section import Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import number
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Count trials (``numbers``), average rates (``rates``), and keep those of example units."""
    means = {t: table for t, table, _ in means_by_task(source.recording) if t in settings.pair}
    results = Results({"rates": _mean_rates(means)})
    for task, table in means.items():
        results[f"numbers.{task}"] = _numbers(table, task)
    units = earlier["examples"]["source 0.units"]["unit"].values
    by_task = {
        task: _trials_of(source.recording, list(map(str, units)), task) for task in settings.pair
    }
    for place, _ in enumerate(units):
        for task, trials in by_task.items():
            results[f"trials.{place}.{task}"] = trials[place]
    return results


def _mean_rates(means: dict[str, xr.Dataset]) -> xr.Dataset:
    """Return the mean rate of each unit over all trials of a task, ``(unit, task)``."""
    rates = []
    for task, table in means.items():
        n = table["n_trials"].where(table["rate_mean"].notnull())
        of_trials = (table["rate_mean"] * n).sum(["condition", "time"])
        mean = of_trials / n.sum(["condition", "time"]).where(lambda number: number > 0)
        bare = mean.drop_vars(set(mean.coords) - {"unit"}, errors="ignore")
        rates.append(bare.expand_dims(task=[task]))
    return xr.Dataset({"rate": xr.concat(rates, "task").transpose("unit", "task")})


def _numbers(table: xr.Dataset, task: str) -> xr.Dataset:
    """Return trials by condition: the median over units with any, the least, and units without."""
    n = table["n_trials"].max("time").transpose("unit", "condition").values
    present = np.where(n > 0, n, np.nan)
    label = [
        ", ".join(
            f"{name} {table[name].values[place]}" for name in condition_variables_of(table)[task]
        )
        for place in range(table.sizes["condition"])
    ]
    return xr.Dataset(
        {
            "median": ("condition", np.nanmedian(present, axis=0)),
            "least": ("condition", np.nanmin(present, axis=0)),
            "units_without": ("condition", np.isnan(present).sum(axis=0)),
        },
        {"condition": label},
    )


def _trials_of(recording: xr.DataTree, units: list[str], task: str) -> list[xr.Dataset]:
    """Return the rates of units in all their trials of a task, sorted by condition."""
    whole = next(one for one in blocks(recording).values() if task in tasks_of(one))
    # conditions are numbered over all tasks of a block
    numbers = whole.assign_coords(number=(row_dim(whole), condition_table(whole)[1]))
    (block,) = blocks(select(numbers, units=units, task=task)).values()
    rates, unit_of_row, trial_of_row = observations(block)
    condition = block["number"].values[trial_of_row]
    names = block["unit"].values.tolist()
    trials = []
    for unit in units:
        rows = np.flatnonzero(unit_of_row == names.index(unit))
        # stable: trials of a condition stay in the order of the recording
        rows = rows[np.argsort(condition[rows], kind="stable")]
        trials.append(
            xr.Dataset(
                {"rate": (("trial", "time"), rates[rows])},
                {"time": block["time"], "condition": ("trial", condition[rows])},
                {"unit": unit, "task": task},
            )
        )
    return trials


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return trial numbers and mean rates, and single trials of the example units."""
    measurements, own = Measurements.of(results["samples"]), results["trials"]
    numbers = own.group("numbers")
    few = sum(int(table["units_without"].sum()) for table in numbers.values())
    finding = (
        f"{measurements.name}: {few} pairs of a unit and a condition have no trial."
        if few
        else f"{measurements.name}: every unit has trials in every condition."
    )
    return Summary(
        findings=[finding],
        rows=[row for task, table in numbers.items() for row in _rows(task, table)],
        further={"rates": _rate_rows(own["rates"])},
        pictures=_pictures(measurements, own) if pictures else (),
    )


def _rows(task: str, table: xr.Dataset) -> list[Row]:
    return [
        {
            "task": task,
            "condition": str(one["condition"].item()),
            "trials a unit (median)": number(one["median"]),
            "least": number(one["least"]),
            "units without": int(one["units_without"]),
        }
        for place in range(table.sizes["condition"])
        for one in [table.isel(condition=place)]
    ]


def _rate_rows(rates: xr.Dataset) -> list[Row]:
    """Return the quartiles of units' mean rates in each task."""
    return [
        {
            "task": str(task),
            "units": int(own.notnull().sum()),
            **{
                f"mean rate, {name} (spikes/s)": number(own.quantile(level))
                for name, level in (("lower quartile", 0.25), ("median", 0.5), ("upper", 0.75))
            },
        }
        for task in rates["task"].values
        for own in [rates["rate"].sel(task=task)]
    ]


def _pictures(measurements: Measurements, own: Results) -> list[Picture]:
    rates = own["rates"]["rate"]
    panels = [own[name] for name in own if name.startswith("trials.")]
    n_units = len(panels) // len(measurements.pair)
    return [
        picture(
            "mean-rates",
            "Mean rate of each unit over all its trials of a task.",
            partial(plot_mean_rates, rates=rates),
            size=(5.4, 3.2),
            data=[
                {"unit": str(unit), "task": str(task), "rate": number(value)}
                for (unit, task), value in rates.to_series().dropna().items()
            ],
            banner=measurements.banner,
        ),
        picture(
            "single-trials",
            "Rates of the example units in single trials, a row each, sorted by condition (lines "
            "between conditions), in the bins of the archive; a column of panels for each task.",
            *(partial(_panel, trials=one) for one in panels),
            size=(8.6, 2.6 * n_units),
            n_rows=n_units,
            data=_trial_rows(panels),
            banner=measurements.banner,
        ),
    ]


def _panel(ax: Axes, trials: xr.Dataset) -> None:
    plot_trials(ax, trials)
    ax.set_title(f"{trials.attrs['unit']}, {trials.attrs['task']}", fontsize=8)


def _trial_rows(panels: Sequence[xr.Dataset]) -> list[Row]:
    """Return the mean rate of each trial that is shown."""
    return [
        {
            "unit": str(one.attrs["unit"]),
            "task": str(one.attrs["task"]),
            "trial": place,
            "condition": int(condition),
            "mean rate": number(rate),
        }
        for one in panels
        for place, (condition, rate) in enumerate(
            zip(one["condition"].values, one["rate"].mean("time").values, strict=True)
        )
    ]


SECTION = Section(
    name="trials",
    heading="Trials, rates, and single trials of example units",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples", "examples"),
    # a page of models is about their units
    is_long=True,
    method="example units are the active ones nearest to the 5th, 50th and 95th percentile of FTV.",
)
