"""Plots of trial noise in task variance, and of FTV corrected for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.core.checks import check_known
from nwbcompare.plotting.style import (
    BLACK,
    FTV_EDGES,
    GREEN,
    GREY,
    LIGHT_GREY,
    display_name,
    ftv_shares,
    source_colour,
)

FTV = "fractional_task_variance"
ROOM = 0.16
"""Width of the bars of censored units beyond -1 and 1."""


def plot_noise_share(
    ax: Axes, variance: xr.Dataset, task: str, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the share of trial noise in the raw task variance of each unit.

    Parameters
    ----------
    ax
        Where to draw.
    variance
        From `nwbcompare.selectivity.corrected_task_variance`, of a noisy source.
    task
        The task.
    names
        Display names of tasks.
    """
    tasks = variance["task"].values.astype(str)
    check_known("task", [task], tasks)
    one = variance.sel(task=task)
    raw, noise = one["uncorrected"].values, one["noise"].values
    # without raw variance there is no share, and no place on a logarithmic axis
    positive = np.isfinite(raw) & (raw > 0)
    share = noise[positive] / raw[positive]
    ax.scatter(raw[positive], share, s=12, color=source_colour(variance), alpha=0.6, lw=0)
    # by its own error the noise can exceed the raw variance
    ax.axhline(1, color=BLACK, lw=0.8, ls="--")
    median = float(np.median(share))
    ax.axhline(median, color=GREY, lw=1.2)
    right = ax.get_yaxis_transform()
    ax.text(0.99, 1.02, "all noise", transform=right, ha="right", va="bottom", fontsize=8)
    units = variance["task_variance"].attrs.get("units", "1")
    ax.set(
        xscale="log",
        xlabel=f"raw task variance{'' if units == '1' else f', {units}'.replace('^2', '²')}",
        ylabel="share that is trial noise",
        ylim=(0, max(1.25, float(share.max(initial=0)) * 1.05)),
        title=f"{variance.attrs.get('name', '')}, {display_name(task, names)}, median {median:.2f}",
    )
    return ax


def plot_corrected_ftv(
    ax: Axes,
    raw: xr.Dataset,
    corrected: xr.Dataset,
    shrunken: xr.Dataset | None = None,
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the distributions of raw FTV, corrected FTV, and FTV of the population.

    Parameters
    ----------
    ax
        Where to draw.
    raw
        From `nwbcompare.fractional_task_variance` of `nwbcompare.task_variance`.
    corrected
        From `nwbcompare.selectivity.corrected_ftv`; bars beyond -1 and 1 are censored units.
    shrunken
        From `nwbcompare.selectivity.deconvolved_ftv`: the shape of the distribution behind the
        noise, with its interval.
    names
        Display names of tasks.
    """
    colour, width = source_colour(corrected), np.diff(FTV_EDGES)[0]
    values = raw[FTV].values
    label = f"raw, s.d. {np.nanstd(values):.2f}"
    ax.stairs(ftv_shares(values), FTV_EDGES, fill=True, color=LIGHT_GREY, label=label)
    fractions, censored = corrected[FTV].values, corrected["censored"].values
    # censored units are in the denominator, so that all bars sum to 1
    n_units = int(np.isfinite(fractions).sum())
    # censored values are at -1 and 1 by convention: they have bars of their own
    inside = np.where(censored == "", fractions, np.nan)
    label = f"corrected, s.d. {np.nanstd(fractions):.2f}"
    ax.stairs(ftv_shares(inside, n_units), FTV_EDGES, color=colour, lw=1.6, label=label)
    for end in (-1, 1):
        share = (censored == f"at {end:+d}").sum() / max(n_units, 1)
        ax.bar(
            end * (1 + ROOM / 2),
            share,
            width * 0.7,
            color=colour,
            hatch="///",
            edgecolor="white",
            lw=0,
            label="a variance below 0" if end < 0 else None,
        )
    if shrunken is not None:
        share, lower, upper = (shrunken[f"share{end}"].values for end in ("", "_low", "_high"))
        ax.stairs(upper, FTV_EDGES, baseline=lower, fill=True, color=GREEN, alpha=0.25)
        ax.stairs(share, FTV_EDGES, color=GREEN, lw=1.8, label="behind the noise (shape)")
    tasks = [display_name(corrected.attrs[task], names) for task in ("task_a", "task_b")]
    ax.set(
        xlabel=f"FTV ({tasks[0]}, {tasks[1]})",
        ylabel="share of units",
        xlim=(-1 - ROOM, 1 + ROOM),
        title=str(corrected.attrs.get("name", "")),
    )
    # room for the legend above the bars
    ax.set_ylim(0, ax.dataLim.y1 * 1.55)
    ax.legend(loc="upper left", handlelength=1.4)
    return ax
