"""Plots of task variance by epoch and in time, and of the rates behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from nwbcompare.plotting.clusters import (
    colour_bar,
    label_columns,
    order_by_cluster,
    plot_cluster_strip,
)
from nwbcompare.plotting.style import BLUE, SEQUENTIAL, SKY, display_name

TINY = np.finfo(float).tiny


def plot_variance_heatmap(
    ax: Axes, variance: xr.Dataset, clusters: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot a heat map of variance by task, or by task and epoch, with units ordered by cluster.

    Parameters
    ----------
    ax
        Where to draw.
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`; the values of
        each unit are divided by its maximum.
    clusters
        From `nwbcompare.clustering.cluster_units` of the same units.
    names
        Display names of tasks.
    """
    order = order_by_cluster(clusters)
    rows = variance["task_variance"].transpose("unit", ...).isel(unit=order)
    image = ax.imshow(
        # a unit without any variance stays 0
        rows.values / np.maximum(rows.values.max(axis=1, keepdims=True), TINY),
        aspect="auto",
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    label_columns(ax, variance, names)
    plot_cluster_strip(ax, clusters["cluster"].values[order])
    colour_bar(ax, image, "variance / unit's maximum")
    return ax


def plot_variance_in_time(
    ax: Axes,
    variance: xr.Dataset,
    task: str,
    *,
    clusters: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the variance across conditions in time, of all units or by cluster.

    Parameters
    ----------
    ax
        Where to draw.
    variance
        From `nwbcompare.selectivity.variance_in_time`.
    task
        The task.
    clusters
        From `nwbcompare.clustering.cluster_units`, for a heat map of cluster means, each divided
        by its maximum over all tasks and times. Without it, the median over units with quartiles
        is plotted.
    names
        Display names of tasks.
    """
    every = variance["task_variance"]
    # times outside of the task are NaN in all units
    in_task = every.sel(task=task).dropna("time", how="all").transpose("unit", "time")
    ax.set_title(display_name(task, names))
    ax.set_xlabel("time (s)")
    if clusters is None:
        low, middle, high = np.nanpercentile(in_task, [25, 50, 75], axis=0)
        ax.fill_between(in_task["time"], low, high, color=SKY, alpha=0.4, lw=0, label="quartiles")
        ax.plot(in_task["time"], middle, color=BLUE, label="median unit")
        unit = in_task.attrs["units"]
        ax.set(
            ylabel="variance" if unit == "1" else f"variance {unit}", xlim=_edges(in_task["time"])
        )
        ax.set_ylim(bottom=0)
        ax.legend(loc="upper left", frameon=False)
        return ax
    labels = clusters["cluster"].values
    n_clusters = labels.max() + 1
    members = [labels == which for which in range(n_clusters)]
    # over all tasks, so that panels of different tasks have one scale
    most = [float(every.isel(unit=units).mean("unit").max()) for units in members]
    means = [in_task.isel(unit=units).mean("unit") for units in members]
    image = ax.imshow(
        np.stack(means) / np.array(most)[:, None],
        aspect="auto",
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(*_edges(in_task["time"]), n_clusters - 0.5, -0.5),
    )
    ax.set_yticks(np.arange(n_clusters))
    ax.set_ylabel("cluster")
    colour_bar(ax, image, "variance / cluster's maximum")
    return ax


def plot_unit_rates(
    ax: Axes,
    condition_means: xr.Dataset,
    unit: str,
    task: str,
    *,
    by: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the mean rate of a unit in time, a line for each value of a condition variable.

    Parameters
    ----------
    ax
        Where to draw.
    condition_means
        From `nwbcompare.selectivity.condition_means`.
    unit, task
        The unit and the task.
    by
        The condition variable, by default the first of the task. Conditions with the same value
        are averaged with equal weights.
    names
        Display names of tasks.
    """
    variable = by or json.loads(condition_means.attrs["condition_variables"])[task][0]
    conditions = condition_means.isel(condition=condition_means["task"].values == task)
    by_level = conditions["rate_mean"].sel(unit=unit).groupby(variable)
    rates = by_level.mean("condition", keep_attrs=True)
    levels = rates[variable].values
    numeric = levels.dtype.kind in "fiu"
    # text has no scale: its levels are spaced evenly
    scale = levels.astype(float) if numeric else np.arange(len(levels), dtype=float)
    norm = Normalize(scale.min(), scale.max())
    colours = mpl.colormaps[SEQUENTIAL](norm(scale))
    for level, colour in enumerate(colours):
        line = rates.isel({variable: level})
        text = f"{levels[level]:.3g}" if numeric else str(levels[level])
        ax.plot(line["time"], line, color=colour, lw=1.2, label=text)
    _label_rates(ax, rates, f"{unit}, {display_name(task, names)}")
    unit_of_variable = conditions[variable].attrs.get("units", "1")
    readable = variable.replace("_", " ")
    readable += "" if unit_of_variable == "1" else f" ({unit_of_variable})"
    # more lines are easier to read off a colour bar than off a legend
    if len(levels) <= 6:
        ax.legend(title=readable, frameon=False)
    else:
        colour_bar(ax, mpl.cm.ScalarMappable(norm, SEQUENTIAL), readable)
    return ax


def plot_condition_rates(
    ax: Axes,
    condition_means: xr.Dataset,
    unit: str,
    task: str,
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the mean rate of a unit in time, a line for each condition of a task.

    Parameters
    ----------
    ax
        Where to draw.
    condition_means
        From `nwbcompare.selectivity.condition_means`.
    unit, task
        The unit and the task.
    names
        Display names of tasks.
    """
    conditions = condition_means.isel(condition=condition_means["task"].values == task)
    rates = conditions["rate_mean"].sel(unit=unit)
    variables = json.loads(condition_means.attrs["condition_variables"])[task]
    # without the pale end, which is hardly visible on white
    colours = mpl.colormaps[SEQUENTIAL](np.linspace(0, 0.9, rates.sizes["condition"]))
    for place, colour in enumerate(colours):
        levels = [conditions[name].values[place] for name in variables]
        # a legend of many conditions would cover the curves
        label = ", ".join(_level(level) for level in levels) if len(colours) <= 8 else None
        # neighbouring lines have similar colours and differ in style
        style = "-" if place % 2 == 0 else "--"
        ax.plot(rates["time"], rates.isel(condition=place), color=colour, ls=style, label=label)
    _label_rates(ax, rates, f"{unit}, {display_name(task, names)}")
    return ax


def _label_rates(ax: Axes, rates: xr.DataArray, title: str) -> None:
    unit = rates.attrs["units"]
    label = "rate" if unit == "1" else f"rate ({unit})"
    ax.set(xlabel="time (s)", ylabel=label, title=title, xlim=_edges(rates["time"]))


def _level(level: object) -> str:
    return f"{level:+.3g}" if isinstance(level, int | float | np.number) else str(level)


def _edges(time: xr.DataArray) -> tuple[float, float]:
    # times are the centres of bins
    half = time.attrs["bin_width_s"] / 2
    return float(time[0]) - half, float(time[-1]) + half
