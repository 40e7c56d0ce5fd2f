"""Figures of a recording's trials: single trials of a unit, and mean rates of all units."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.clusters import colour_bar
from nwbcompare.plotting.style import CATEGORICAL, SEQUENTIAL


def plot_trials(ax: Axes, trials: xr.Dataset, *, legend: bool = True) -> Axes:
    """Plot the rates of one unit in single trials as an image, sorted by condition.

    Parameters
    ----------
    ax
        Where to draw.
    trials
        ``rate (trial, time)`` in spikes/s, with the coordinate ``condition (trial)``, whose trials
        lie together.
    legend
        Whether the scale of the rates is drawn beside the image.
    """
    rate = trials["rate"].transpose("trial", "time")
    width = float(rate["time"].attrs["bin_width_s"])
    start, stop = float(rate["time"][0]) - width / 2, float(rate["time"][-1]) + width / 2
    # outliers would leave all other trials pale
    top = float(np.nanquantile(rate, 0.99)) or 1.0
    image = ax.imshow(
        rate.values,
        aspect="auto",
        interpolation="none",
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=top,
        extent=(start, stop, rate.sizes["trial"], 0),
    )
    condition = trials["condition"].values
    for place in np.flatnonzero(condition[1:] != condition[:-1]) + 1:
        ax.axhline(float(place), color="white", lw=0.8)
    ax.set(xlabel="time (s)", ylabel="trial, by condition")
    if legend:
        colour_bar(ax, image, "spikes/s")
    return ax


def plot_mean_rates(ax: Axes, rates: xr.DataArray) -> Axes:
    """Plot the distribution of units' mean rates in each task.

    Parameters
    ----------
    ax
        Where to draw.
    rates
        Mean rate ``(unit, task)`` in spikes/s; NaN for units without trials of a task.
    """
    edges = np.linspace(0, max(float(rates.max()), 1e-3), 31)
    for place, task in enumerate(rates["task"].values):
        own = rates.sel(task=task).dropna("unit")
        ax.hist(
            own.values,
            edges.tolist(),
            histtype="step",
            lw=1.6,
            color=CATEGORICAL[place % len(CATEGORICAL)],
            label=f"{task} ({own.sizes['unit']} units)",
        )
    ax.set(xlabel="mean rate (spikes/s)", ylabel="units")
    ax.legend(loc="upper right")
    return ax
