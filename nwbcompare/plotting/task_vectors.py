"""Plots of tasks in the space of their principal axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from nwbcompare.plotting.style import CATEGORICAL, GREY, LIGHT_GREY, display_name

MARKERS = "osD^vP*X"
Array = npt.NDArray[np.float64]


def plot_task_space(
    ax: Axes, spaces: Sequence[xr.Dataset], *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the position of each task: a point for each network, and the labelled mean.

    Parameters
    ----------
    ax
        Axes.
    spaces
        From `nwbcompare.population.task_space`, of the same tasks, one for each network.
    names
        Display names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    tasks, positions = _positions(spaces)
    single = len(spaces) == 1
    for place, task in enumerate(tasks):
        colour = CATEGORICAL[place % len(CATEGORICAL)]
        look: Any = {"color": colour, "marker": MARKERS[place % len(MARKERS)]}
        x, y = positions[:, place].T
        if not single:
            ax.scatter(x, y, s=16, alpha=0.45, lw=0, **look)
        ax.scatter(x.mean(), y.mean(), s=70, edgecolors="black", linewidths=0.8, zorder=4, **look)
        _write_name(ax, positions.mean(axis=0), place, display_name(task, names), colour)
    for line in (ax.axhline, ax.axvline):
        line(0, color=LIGHT_GREY, lw=0.6, zorder=0)
    explained = np.mean([space["explained_variance"].values[:2] for space in spaces], axis=0)
    ax.set(
        xlabel="axis 1",
        ylabel="axis 2",
        title=f"{explained.sum():.0%} of the variance" + ("" if single else " on average"),
    )
    # equal scales keep directions; the margin has room for names
    low, high = (edge(positions, axis=(0, 1)) for edge in (np.min, np.max))
    middle, half = (low + high) / 2, 0.85 * (high - low).max()
    ax.set(
        aspect="equal",
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
    )
    return ax


def _write_name(ax: Axes, means: Array, place: int, name: str, colour: str) -> None:
    """Write the name of a task beside its mean, away from the origin and the nearest task."""
    here, others = means[place], np.delete(means, place, axis=0)
    outwards = _unit(here)
    if len(others):
        nearest = others[np.argmin(((others - here) ** 2).sum(axis=1))]
        outwards = _unit(outwards + _unit(here - nearest))
    ax.annotate(
        name,
        here,
        xytext=(11 * outwards[0], 11 * outwards[1]),
        textcoords="offset points",
        ha="center" if abs(outwards[0]) < 0.5 else "left" if outwards[0] > 0 else "right",
        va="center" if abs(outwards[1]) < 0.5 else "bottom" if outwards[1] > 0 else "top",
        fontsize=8,
        color=colour,
        fontweight="bold",
        # a white rim keeps names legible over points
        path_effects=[withStroke(linewidth=2, foreground="white", alpha=0.7)],
        zorder=5,
    )


def _unit(vector: Array) -> Array:
    # a task at the origin has no direction, and stays there
    scaled: Array = vector / max(np.hypot(*vector), np.finfo(float).tiny)
    return scaled


def plot_differences(ax: Axes, spaces: Sequence[xr.Dataset], quadruple: Sequence[str]) -> Axes:
    """Plot arrows from b to a and from d to c, between the tasks' mean positions.

    Parameters
    ----------
    ax
        Axes, usually with `plot_task_space` of the same spaces.
    spaces
        See `plot_task_space`.
    quadruple
        Tasks a, b, c, d; in a composition the two arrows are equal.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    tasks, positions = _positions(spaces)
    mean = dict(zip(tasks, positions.mean(axis=0), strict=True))
    a, b, c, d = quadruple
    for start, stop in ((b, a), (d, c)):
        ax.annotate(
            "",
            xy=mean[stop],
            xytext=mean[start],
            arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 1.4, "shrinkA": 5, "shrinkB": 5},
            zorder=3,
        )
    return ax


def _positions(spaces: Sequence[xr.Dataset]) -> tuple[list[str], Array]:
    """Return the tasks and their positions on the first two axes ``(network, task, axis)``."""
    dim = str(spaces[0]["position"].dims[0])
    tasks = [str(task) for task in spaces[0][dim].values]
    rows = [
        space["position"].sel({dim: tasks}).transpose(dim, "axis").values[:, :2] for space in spaces
    ]
    return tasks, np.stack(rows)
