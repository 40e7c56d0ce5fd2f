"""Plots of lesions: changes in performance, their relation to task variance, and controls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.core.number_text import p_text
from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    CATEGORICAL,
    DIVERGING,
    LIGHT_GREY,
    MARKS,
    NULL_COLOUR,
    VERMILION,
    display_name,
    interval_bars,
    slanted,
)

LIMITS = ("change_low", "change_high")
MOST_UPRIGHT = 6
"""Largest number of tasks whose names are not vertical."""


def plot_lesions(ax: Axes, lesions: xr.Dataset, names: Mapping[str, str] | None = None) -> Axes:
    """Plot the change in performance of each task with each lesion as a heat map.

    Parameters
    ----------
    ax
        Where to draw.
    lesions
        From `nwbcompare.experiments.lesion_performance`. Dots mark changes whose 95 % interval
        excludes 0; results of test trials have no intervals and no dots.
    names
        Display names of tasks.
    """
    change = lesions["change"].transpose("lesion", "task").values
    # the scale is symmetric, so that no change has the middle colour
    most = max(float(np.abs(change).max()), 0.01)
    image = ax.imshow(change, cmap=DIVERGING, vmin=-most, vmax=most, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="change of performance")
    if "change_low" in lesions:
        low, high = (lesions[name].transpose("lesion", "task").values for name in LIMITS)
        rows, columns = np.nonzero((low > 0) | (high < 0))
        # white on the dark ends of the colour map, black in its pale middle
        dark = np.abs(change[rows, columns]) > 0.6 * most
        colours = np.where(dark, "white", BLACK)
        ax.scatter(columns, rows, s=6, c=colours, lw=0, label="95 % interval excludes 0")
    _label_tasks(ax, lesions, names)
    sizes = zip(lesions["lesion"].values, lesions["n_units"].values, strict=True)
    ax.set_yticks(range(change.shape[0]), [f"{name} ({n_units})" for name, n_units in sizes])
    ax.set(ylabel="lesioned (units)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def plot_lesion_scatter(ax: Axes, statistic: xr.Dataset) -> Axes:
    """Plot the drop in performance against normalised task variance of clusters and tasks.

    Parameters
    ----------
    ax
        Where to draw.
    statistic
        From `nwbcompare.experiments.lesion_statistic`. The title has the rank correlation and the
        range of 95 % of permutations of clusters, which concerns this network only.
    """
    ax.axhline(0, color=LIGHT_GREY, lw=0.8)
    for place in range(statistic.sizes["cluster"]):
        one = statistic.isel(cluster=place)
        ax.scatter(
            one["normalised_variance"],
            one["drop"],
            s=14,
            alpha=0.8,
            lw=0,
            color=CATEGORICAL[place % len(CATEGORICAL)],
            # another mark after each round of colours keeps clusters distinct
            marker=MARKS[place // len(CATEGORICAL) % len(MARKS)],
            label=str(one["cluster"].item()),
        )
    low, high = np.quantile(statistic["null_rank_correlation"], (0.025, 0.975))
    ax.set(
        xlabel="cluster's normalised task variance",
        ylabel="drop in performance",
        title=f"rank correlation {float(statistic['rank_correlation']):.2f}\n"
        f"clusters permuted: {low:.2f} to {high:.2f}",
    )
    return ax


def plot_lesion_controls(
    ax: Axes, controls: xr.Dataset, task: str | None = None, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the drop in performance over numbers of lesioned units, of groups and random sets.

    Parameters
    ----------
    ax
        Where to draw.
    controls
        From `nwbcompare.experiments.lesion_controls`.
    task
        The task; by default the mean over all.
    names
        Display names of tasks.
    """
    # drops point upwards, as positive numbers
    drop, groups = -controls["change"], -controls["group_change"]
    of_sets = drop.mean("task") if task is None else drop.sel(task=task)
    points = groups.mean("task") if task is None else groups.sel(task=task)
    low, high = (of_sets.quantile(q, "set") for q in (0.025, 0.975))
    sizes = controls["size"].values
    ax.fill_between(
        sizes, low, high, color=LIGHT_GREY, alpha=0.6, lw=0, label="95 % of random sets"
    )
    ax.plot(sizes, of_sets.mean("set"), color=NULL_COLOUR, marker=".", label="random sets, mean")
    ax.scatter(controls["n_units"], points, s=22, color=VERMILION, zorder=3, label="groups")
    groups_at = (controls["lesion"].values, controls["n_units"].values, points.values)
    for name, x, y in zip(*groups_at, strict=True):
        ax.annotate(str(name), (x, y), xytext=(3, 3), textcoords="offset points", fontsize=7)
    what = "mean over tasks" if task is None else display_name(task, names)
    ax.set(xlabel="units lesioned", ylabel=f"drop in performance\n({what})")
    return ax


def plot_group_lesions(
    ax: Axes, lesions: xr.Dataset, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot decision performance, intact and with groups lesioned, with 95 % intervals.

    Parameters
    ----------
    ax
        Where to draw.
    lesions
        From `nwbcompare.experiments.group_lesions`.
    names
        Display names of tasks.
    """
    n_lesions = lesions.sizes["lesion"]
    for place in range(n_lesions):
        one = lesions.isel(lesion=place)
        share, low, high = (one[f"performance{end}"].values for end in ("", "_low", "_high"))
        label = str(one["lesion"].item())
        ax.errorbar(
            np.arange(share.size) + 0.6 * ((place + 0.5) / n_lesions - 0.5),
            share,
            interval_bars(share, low, high),
            fmt=MARKS[place % len(MARKS)],
            ms=4.5,
            lw=1.2,
            # the first is the intact network
            color=(BLACK, *CATEGORICAL[:6])[place % 7],
            label=label if label == "intact" else f"{label} lesioned (n = {int(one['n_units'])})",
        )
    # chance between two targets
    ax.axhline(0.5, color=NULL_COLOUR, lw=0.8, ls=":")
    _label_tasks(ax, lesions, names)
    ax.set(ylabel="share of correct choices", ylim=(-0.02, 1.04))
    ax.set_xlim(-0.5, lesions.sizes["task"] - 0.5)
    return ax


def plot_over_networks(
    ax: Axes, inference: xr.Dataset, label: str, *, at: float = 0.0, colour: str = BLUE
) -> Axes:
    """Plot a statistic of each network, the mean with its 95 % interval, and the null value.

    Parameters
    ----------
    ax
        Where to draw; several results are plotted side by side at different ``at``.
    inference
        From `nwbcompare.inference.over_networks`.
    label
        Name of the statistic.
    at
        Position on the horizontal axis.
    colour
        Colour of the points.
    """
    values = inference["value"].values
    # offset by rank, so that equal values remain visible
    aside = (np.argsort(np.argsort(values)) % 5 - 2) * 0.04
    ax.scatter(at - 0.18 + aside, values, s=16, color=colour, alpha=0.7, lw=0)
    mean, low, high = (float(inference[name]) for name in ("mean", "mean_low", "mean_high"))
    reach = None if np.isnan(low) else [[mean - low], [high - mean]]
    ax.errorbar([at + 0.15], [mean], reach, fmt="D", ms=5, capsize=3, color=BLACK)
    # once, where several statistics share the axes
    if not any(line.get_label() == "null" for line in ax.lines):
        ax.axhline(inference.attrs["null"], color=NULL_COLOUR, lw=0.9, ls="--", label="null")
    p, n = float(inference["p_value"]), int(inference["n_networks"])
    before = [] if at == 0 else [text.get_text() for text in ax.get_xticklabels()]
    places = [*(() if at == 0 else ax.get_xticks()), at]
    ax.set_xticks(places, [*before, f"{label}\n{p_text(p)}, n = {n}"])
    ax.set_xlim(min(places) - 0.5, max(places) + 0.5)
    return ax


def _label_tasks(ax: Axes, result: xr.Dataset, names: Mapping[str, str] | None) -> None:
    labels = [display_name(str(task), names) for task in result["task"].values]
    vertical = len(labels) > MOST_UPRIGHT
    ax.set_xticks(range(len(labels)), labels, **({"rotation": 90} if vertical else slanted(labels)))
