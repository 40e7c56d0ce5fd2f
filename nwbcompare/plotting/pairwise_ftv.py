"""Plots of pairs of tasks: distributions of FTV, their shapes, and rotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError
from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    LIGHT_GREY,
    NULL_COLOUR,
    ORANGE,
    PINK,
    VERMILION,
    display_name,
)

Array = npt.NDArray[np.float64]
SHAPE_COLOURS = {
    "disjoint": BLUE,
    "inclusive": ORANGE,
    "mixed": GREEN,
    "disjoint-equal": PINK,
    "disjoint-mixed": VERMILION,
    "undecided": LIGHT_GREY,
}
CELL = 0.84
"""Width and height of a small histogram in a cell of size 1."""
SMALLEST_WITH_ROOM = 12
"""Smallest number of tasks with room for the legend inside the triangle."""


def plot_pairs(
    ax: Axes,
    pairs: xr.Dataset,
    shapes: xr.Dataset | None = None,
    rotated: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the distribution of FTV of every pair of tasks as a triangle of small histograms.

    Parameters
    ----------
    ax
        The axes; 20 tasks need about 9 inches.
    pairs
        From `nwbcompare.selectivity.pairwise_ftv` or `nwbcompare.selectivity.median_histogram`,
        of all pairs.
    shapes
        From `nwbcompare.selectivity.classify_pairs`: colours.
    rotated
        From `nwbcompare.selectivity.rotated_pairs`: its mean as a line.
    names
        Display names of tasks.
    """
    columns, rows, tasks = _cells(pairs)
    share = _shares(pairs)
    # above 0, since a pair without active units has no tallest bin
    top = np.nanmax(share, axis=1, initial=1e-9)
    colours, kinds = [BLUE] * len(columns), None
    if shapes is not None:
        kinds = shapes["shape"].sel(pair=pairs["pair"].values).values
        colours = [SHAPE_COLOURS[str(kind)] for kind in kinds]
    _plot_frames(ax, columns, rows)
    steps = _steps(share / top[:, None], columns, rows)
    ax.add_collection(PolyCollection(list(steps), facecolors=colours, edgecolors="none"))
    if rotated is not None:
        null = _shares(rotated.sel(pair=pairs["pair"].values))
        # scaled like the histogram of the pair, and cut at its top
        lines = _steps(np.minimum(null / top[:, None], 1), columns, rows)
        ax.add_collection(LineCollection(list(lines[:, 1:-1]), colors=BLACK, linewidths=0.5))
    _label_tasks(ax, tasks, names)
    _plot_key(ax, len(tasks), kinds, rotated=rotated is not None)
    return ax


def plot_pair(
    ax: Axes,
    pairs: xr.Dataset,
    pair: str,
    rotated: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
    colour: str = BLUE,
) -> Axes:
    """Plot the distribution of FTV of one pair, with the range over rotations.

    Parameters
    ----------
    ax
        The axes.
    pairs
        From `nwbcompare.selectivity.pairwise_ftv` or `nwbcompare.selectivity.median_histogram`.
    pair
        Name of the pair, such as "contextdm1/contextdm2".
    rotated
        From `nwbcompare.selectivity.rotated_pairs`: mean and the range of 95 % of rotations.
    names
        Display names of tasks.
    colour
        Colour of the histogram; `SHAPE_COLOURS` has the colours of shapes.
    """
    check_known("pair", [pair], pairs["pair"].values.astype(str))
    one, edges = pairs.sel(pair=[pair]), pairs.attrs["bin_edges"]
    share = _shares(one)[0]
    ax.stairs(share, edges, fill=True, color=colour, alpha=0.75, label="units")
    if rotated is not None:
        null = rotated.sel(pair=pair)
        mean, low, high = (null[f"share{end}"].values for end in ("", "_low", "_high"))
        band: Any = {"baseline": low, "fill": True, "color": NULL_COLOUR, "alpha": 0.35}
        # the range is that of single rotations, as the null of one network
        ax.stairs(high, edges, label="rotated (95 %)", **band)
        ax.stairs(mean, edges, baseline=None, color=BLACK, lw=1.2, label="rotated (mean)")
    a, b = (display_name(str(one[key].values.item()), names) for key in ("task_a", "task_b"))
    n = f" (n = {int(one['n_active'].item())})" if "n_active" in one else ""
    ax.set(
        xlim=(-1.02, 1.02),
        xlabel=f"FTV  (−1: only {b};  1: only {a})",
        ylabel="share of active units",
        title=f"{a}, {b}{n}",
    )
    ax.set_ylim(bottom=0)
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=3,
        frameon=False,
        fontsize=7,
        handlelength=1.2,
        columnspacing=1,
    )
    return ax


def plot_shape_shares(ax: Axes, shares: xr.Dataset) -> Axes:
    """Plot the share of pairs of each shape: networks, their mean and its 95 % interval.

    Parameters
    ----------
    ax
        The axes.
    shares
        From `nwbcompare.selectivity.shape_shares`.
    """
    n_networks = shares.sizes["network"]
    kinds = shares["shape"].values.astype(str)
    aside = np.linspace(-0.18, 0.18, n_networks) if n_networks > 1 else np.zeros(1)
    for place, kind in enumerate(kinds):
        one = shares.sel(shape=kind)
        ax.scatter(
            place + aside, 100 * one["share"], s=16, color=SHAPE_COLOURS[kind], zorder=2, lw=0
        )
        mean, low, high = (100 * float(one[name]) for name in ("mean", "mean_low", "mean_high"))
        ax.plot([place - 0.3, place + 0.3], [mean, mean], color=BLACK, lw=1.5, zorder=3)
        ax.vlines(place + 0.3, low, high, color=BLACK, lw=1.2, zorder=3)
    plural = "network" if n_networks == 1 else "networks"
    ax.set_xticks(range(kinds.size), [kind.replace("-", "-\n") for kind in kinds], fontsize=8)
    ax.set(
        xlim=(-0.6, kinds.size - 0.4),
        ylabel=f"share of {shares.attrs['n_pairs']} pairs (%)",
        title=f"shapes in {n_networks} {plural} (mean, 95 %)",
    )
    ax.set_ylim(bottom=0)
    return ax


def _cells(pairs: xr.Dataset) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], list[str]]:
    """Return column (task A) and row (task B) of each pair, and the tasks in order."""
    a, b = (pairs[name].values.astype(str).tolist() for name in ("task_a", "task_b"))
    tasks = list(dict.fromkeys([*a, *b]))
    if pairs.sizes["pair"] != len(tasks) * (len(tasks) - 1) // 2:
        raise InputError(
            "pairs",
            f"all pairs of {len(tasks)} tasks",
            f"{pairs.sizes['pair']} pairs",
            "Select tasks before pairwise_ftv, or draw one pair with plot_pair.",
        )
    place = {task: index for index, task in enumerate(tasks)}
    return np.array([place[t] for t in a]), np.array([place[t] for t in b]), tasks


def _shares(result: xr.Dataset) -> Array:
    """Return shares of active units ``(pair, bin)``; 0 without active units."""
    if "share" in result:
        return np.asarray(np.nan_to_num(result["share"].values))
    counts = result["histogram"].values
    shares: Array = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _steps(
    heights: Array, columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the outline of each histogram in its cell ``(pair, vertex, 2)``; y points down."""
    n_pairs, n_bins = heights.shape
    x = CELL * (np.repeat(np.arange(n_bins + 1), 2) / n_bins - 0.5)
    y = np.zeros((n_pairs, 2 * n_bins + 2))
    y[:, 1:-1] = np.repeat(heights, 2, axis=1)
    outline = np.empty((*y.shape, 2))
    outline[..., 0] = columns[:, None] + x
    outline[..., 1] = rows[:, None] + CELL * (0.5 - y)
    return outline


def _plot_frames(ax: Axes, columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]) -> None:
    """Plot the base line of each cell, and a dotted line at an FTV of 0."""
    half, cells = CELL / 2, list(zip(columns, rows, strict=True))
    base = [[(c - half, r + half), (c + half, r + half)] for c, r in cells]
    zero = [[(c, r - half), (c, r + half)] for c, r in cells]
    ax.add_collection(LineCollection(base, colors=BLACK, linewidths=0.4))
    ax.add_collection(LineCollection(zero, colors=NULL_COLOUR, linewidths=0.4, linestyles=":"))


def _label_tasks(ax: Axes, tasks: list[str], names: Mapping[str, str] | None) -> None:
    labels = [display_name(task, names) for task in tasks]
    n = len(tasks)
    # without the diagonal the last task has no column, and the first no row
    ax.set(xlim=(-0.6, n - 1.4), ylim=(n - 0.4, 0.4), aspect="equal")
    ax.set_xticks(range(n - 1), labels[:-1], rotation=90)
    ax.set_yticks(range(1, n), labels[1:])
    ax.set(xlabel="task A", ylabel="task B")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _plot_key(ax: Axes, n_tasks: int, kinds: npt.NDArray[np.str_] | None, *, rotated: bool) -> None:
    """Plot the legend: inside the empty half of a large triangle, else beside it."""
    title = "FTV from −1 (only task B, row) to 1 (only\ntask A, column), scaled to the tallest bin"
    handles: list[Artist] = []
    if kinds is not None:
        handles += [
            Patch(color=colour, label=f"{kind} ({int((kinds == kind).sum())})")
            for kind, colour in SHAPE_COLOURS.items()
        ]
    if rotated:
        handles.append(Line2D([], [], color=BLACK, lw=0.8, label="rotated units (cut at the top)"))
    inside = n_tasks >= SMALLEST_WITH_ROOM
    ax.legend(
        handles=handles,
        title=title,
        loc="upper right" if inside else "upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        alignment="left",
        title_fontsize=8,
    )
