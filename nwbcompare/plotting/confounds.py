"""Plots of variance components, of FTV in time, and of confounds of FTV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    CATEGORICAL,
    GREEN,
    GREY,
    LIGHT_GREY,
    RECORDING_COLOUR,
    VERMILION,
    display_name,
)

ESTIMATE_MARKS = {"raw": ("o", GREY), "corrected": ("D", BLUE)}
DARK = (BLUE, VERMILION, GREEN, BLACK)
"""Colours on which numbers are white."""
TINY = np.finfo(float).tiny
SMALLEST_TEXT = 0.06
"""Smallest share with a number inside its bar."""


def plot_variance_components(
    ax: Axes, components: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the share of each factor in the summed task variance of all units, by task.

    Parameters
    ----------
    ax
        Where to draw.
    components
        From `nwbcompare.selectivity.variance_components`. Corrected components are summed over
        units, since noise biases the mean of units' shares but not this sum; a negative sum
        counts as 0. Units with an unknown component are left out; labels give the number of the
        others.
    names
        Display names of tasks and of factors.
    """
    fitted = components["fitted"].transpose("task", "factor").values
    corrected = components["component_corrected"].transpose("task", "factor", "unit").values
    # a factor that a task lacks adds nothing; an unknown one (NaN) excludes the unit
    corrected = np.where(fitted[:, :, None], corrected, 0.0)
    whole = np.isfinite(corrected).all(axis=1)
    # noise can bring a sum below 0, for which there is no bar
    total = np.maximum(np.where(whole[:, None], corrected, 0.0).sum(axis=-1), 0.0)
    share = total / np.maximum(total.sum(axis=1, keepdims=True), TINY)
    rows = np.arange(components.sizes["task"])
    left = np.cumsum(share, axis=1) - share
    for place, factor in enumerate(components["factor"].values.astype(str)):
        width, colour = share[:, place], CATEGORICAL[place % len(CATEGORICAL)]
        label = " × ".join(_readable(name, names) for name in factor.split(":"))
        ax.barh(rows, width, left=left[:, place], height=0.6, color=colour, label=label)
        for row in rows[width >= SMALLEST_TEXT]:
            middle = left[row, place] + width[row] / 2
            number = ax.text(middle, row, f"{width[row]:.0%}", ha="center", va="center", fontsize=8)
            number.set_color("w" if colour in DARK else BLACK)
    counts = zip(components["task"].values.astype(str), whole.sum(axis=1), strict=True)
    ax.set_yticks(rows, [f"{display_name(task, names)}\n(n = {n})" for task, n in counts])
    # the first task on top, as in tables
    ax.invert_yaxis()
    ax.set(
        xlim=(0, 1),
        xlabel="share of the task variance of all units",
        title=components.attrs["name"],
    )
    _legend_below(ax, -0.28)
    return ax


def plot_ftv_in_time(
    ax: Axes, result: xr.Dataset, *, label: str | None = None, colour: str = RECORDING_COLOUR
) -> Axes:
    """Plot the standard deviation of FTV over units in time, with its 95 % interval.

    Parameters
    ----------
    ax
        Where to draw; results can be plotted over each other.
    result
        From `nwbcompare.selectivity.ftv_in_time`.
    label
        Label in the legend; by default the source, and whether noise was subtracted.
    colour
        Colour of the line and its band.
    """
    noise = "noise taken out" if result.attrs["corrected"] else "raw"
    time, label = result["time"], label or f"{result.attrs['name']}, {noise}"
    low, high = (result[f"standard_deviation_{end}"] for end in ("low", "high"))
    ax.fill_between(time, low, high, color=colour, alpha=0.25, lw=0)
    ax.plot(time, result["standard_deviation"], color=colour, lw=1.5, label=label)
    ax.set(
        xlabel=f"time from {time.attrs['aligned_to']} (s)",
        ylabel="s.d. of FTV over units",
        # FTV lies between -1 and 1, so that its s.d. is at most 1
        ylim=(0, 1.02),
    )
    ax.legend(loc="lower right", frameon=False)
    return ax


def plot_confounds(ax: Axes, table: xr.Dataset) -> Axes:
    """Plot the s.d. of FTV of each variant, raw and corrected for trial noise.

    Parameters
    ----------
    ax
        Where to draw; 4.5 by 3 inches or more.
    table
        From `nwbcompare.selectivity.confound_table`. Bars are 95 % intervals, dotted lines the
        values of the published analysis; numbers at the right are those of units, with censored
        units in parentheses.
    """
    rows, right = np.arange(table.sizes["variant"]), ax.get_yaxis_transform()
    for place, estimate in enumerate(table["estimate"].values.astype(str)):
        marker, colour = ESTIMATE_MARKS[estimate]
        rows_of = table.sel(estimate=estimate)
        # both estimates of a variant within its row, one above the other
        y = rows + (place - 0.5) * 0.34
        value, low, high = (
            rows_of[f"standard_deviation{end}"].values for end in ("", "_low", "_high")
        )
        ax.hlines(y, low, high, color=colour, lw=1.5)
        label = "noise taken out" if estimate == "corrected" else estimate
        ax.scatter(value, y, marker=marker, s=22, color=colour, zorder=3, label=label)
        # the first variant is the published analysis, the reference of the others
        ax.axvline(value[0], color=colour, lw=0.8, ls=":", zorder=0)
        counts = zip(y, rows_of["n_units"].values, rows_of["n_censored"].values, strict=True)
        for row, n, censored in counts:
            text = f"{n} ({censored})" if censored else f"{n}"
            ax.text(1.02, row, text, transform=right, va="center", fontsize=7, color=colour)
    ax.hlines(rows[:-1] + 0.5, 0, 1, transform=right, color=LIGHT_GREY, lw=0.4)
    ax.set_yticks(rows, table["variant"].values.astype(str))
    ax.set_ylim(rows[-1] + 0.6, -0.6)
    ax.text(1.02, 1.01, "n (censored)", transform=ax.transAxes, fontsize=7, va="bottom")
    ax.set(
        xlim=(0, max(1.0, float(table["standard_deviation_high"].max()) * 1.05)),
        xlabel="s.d. of FTV over units (95 %)",
        title=table.attrs["name"],
    )
    _legend_below(ax, -0.17)
    return ax


def _legend_below(ax: Axes, y: float) -> None:
    place: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, y)}
    ax.legend(**place, ncols=2, frameon=False, fontsize=8, handlelength=1)


def _readable(name: str, names: Mapping[str, str] | None) -> str:
    return (names or {}).get(name, name.replace("_", " "))
