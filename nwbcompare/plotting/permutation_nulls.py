"""Plots of fractional task variance with its null distributions, and of the two task variances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.style import (
    FTV_EDGES,
    NULL_COLOUR,
    PINK,
    display_name,
    ftv_shares,
    source_colour,
)

FTV = "fractional_task_variance"


def plot_ftv_nulls(
    ax: Axes,
    ftv: xr.Dataset,
    *,
    null: xr.Dataset | None = None,
    rotation: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot a histogram of the FTV of units, with its null distributions.

    Parameters
    ----------
    ax
        Where to draw.
    ftv
        From `nwbcompare.fractional_task_variance`, with or without a dimension ``draw``.
    null
        From `nwbcompare.selectivity.ftv_null`: units if their FTV was 0.
    rotation
        From `nwbcompare.selectivity.rotation_control`: random mixtures of the units, a description.
    names
        Display names of tasks.
    """
    values, colour = ftv[FTV].values, source_colour(ftv)
    ax.stairs(ftv_shares(values), FTV_EDGES, fill=True, color=colour, alpha=0.25)
    ax.stairs(ftv_shares(values), FTV_EDGES, color=colour, lw=1.6, label="units")
    for distribution, name, colour_of_null, style, label in (
        (null, "null_ftv", NULL_COLOUR, "--", "if FTV was 0"),
        (rotation, FTV, PINK, ":", "units rotated"),
    ):
        if distribution is not None:
            shares = ftv_shares(distribution[name].values)
            ax.stairs(shares, FTV_EDGES, color=colour_of_null, lw=1.4, ls=style, label=label)
    tasks = [display_name(ftv.attrs[task], names) for task in ("task_a", "task_b")]
    ax.set(
        xlabel=f"FTV ({tasks[0]}, {tasks[1]})",
        ylabel="share of active units",
        xlim=(-1.02, 1.02),
        title=f"{ftv.attrs['name']}, s.d. {np.nanstd(values):.3f}",
    )
    ax.set_ylim(bottom=0)
    ax.legend(loc="best")
    return ax


def plot_task_variances(
    ax: Axes,
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    floor: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the variance of each unit in one task against that in another, on logarithmic axes.

    Units without variance in a task are left out, and counted in the title.

    Parameters
    ----------
    ax
        Where to draw.
    variance
        From `nwbcompare.task_variance`.
    task_a, task_b
        The two tasks.
    floor
        From `nwbcompare.selectivity.condition_label_null`: lines are its median over units and
        permutations, the typical variance due to noise.
    names
        Display names of tasks.
    """
    pair = [variance["task_variance"].sel(task=task).values for task in (task_a, task_b)]
    positive = (pair[0] > 0) & (pair[1] > 0)
    a, b = (values[positive] for values in pair)
    ax.scatter(a, b, s=7, alpha=0.5, color=source_colour(variance), lw=0, rasterized=True)
    limits = _limits(np.concatenate([a, b]))
    ax.plot(limits, limits, color=NULL_COLOUR, lw=0.8)
    if floor is not None:
        for task, line in ((task_a, ax.axvline), (task_b, ax.axhline)):
            level = float(np.nanmedian(floor["task_variance"].sel(task=task)))
            line(level, color=NULL_COLOUR, ls="--", lw=0.8)
    unit = variance["task_variance"].attrs.get("units", "1")
    suffix = "" if unit == "1" else f", {unit.replace('^2', '²')}"
    counted = f", {positive.sum()} of {positive.size} units"
    labels = [display_name(task, names) for task in (task_a, task_b)]
    ax.set(
        xscale="log",
        yscale="log",
        xlim=limits,
        ylim=limits,
        aspect="equal",
        xlabel=f"TV {labels[0]}{suffix}",
        ylabel=f"TV {labels[1]}{suffix}",
        title=variance.attrs["name"] + ("" if positive.all() else counted),
    )
    return ax


def _limits(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [1, 100])
    return float(low) / 2, float(high) * 2
