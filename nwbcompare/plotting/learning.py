"""Plots of learning: one task after another, what is kept of each, and curves over trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from nwbcompare.core.errors import InputError
from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    CATEGORICAL,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PINK,
    SEQUENTIAL,
    VERMILION,
)

REGIME_COLOURS = (GREY, VERMILION, BLUE, GREEN, ORANGE, PINK)
"""Of training regimes, in their order; the first is usually the plain one."""
MARKS = ("o", "s", "^", "D", "v", "P")
BRIGHT = 0.47
"""Share of correct trials from which the colour map is so bright that numbers are black."""
JOIN = " + "
"""What stands between the tasks in a stage's name."""


def plot_performance_matrix(
    ax: Axes, matrix: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the performance in every task after every stage, the trained ones outlined.

    Parameters
    ----------
    ax
        Where to draw.
    matrix
        From `nwbcompare.learning.performance_matrix`; of networks joined along
        ``network``, their mean is drawn. Performance before any training, where it is known,
        is the first row.
    names
        Shown names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    mean = matrix.mean("network") if "network" in matrix.dims else matrix
    shares = mean["performance"].transpose("stage", "task").values
    rows = [_shown(str(stage), names) for stage in matrix["stage"].values]
    untrained = bool(mean["before"].notnull().all())
    if untrained:
        shares, rows = np.vstack([mean["before"].values, shares]), ["untrained", *rows]
    image = ax.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="share of correct trials")
    for (row, column), share in np.ndenumerate(shares):
        colour = BLACK if share > BRIGHT else "white"
        ax.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
    for column, own in enumerate(matrix["trained_in"].values):
        corner = (column - 0.5, own + untrained - 0.5)
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec=VERMILION, lw=2, clip_on=False))
    _label_tasks(ax, [_shown(str(task), names) for task in matrix["task"].values])
    ax.set_yticks(range(len(rows)), rows)
    ax.set(ylabel="after training")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def plot_stages(
    axes: Sequence[Axes] | npt.NDArray[np.object_],
    courses: Mapping[str, xr.Dataset],
    *,
    names: Mapping[str, str] | None = None,
) -> npt.NDArray[np.object_]:
    """Plot the performance in every task through the stages, a panel a task.

    Parameters
    ----------
    axes
        A panel for each task; in a column they may share their horizontal axis.
    courses
        By training regime ("sequential", "synaptic intelligence"), each from
        `nwbcompare.learning.performance_over_steps` of the same stages. A line
        is the mean over networks, the band its 95 % interval, which a single network has not got.
        The stage that trains a panel's task is shaded.
    names
        Shown names of tasks.

    Returns
    -------
    numpy.ndarray
        The axes.

    Raises
    ------
    InputError
        For another number of axes than tasks, and regimes of different stages.

    Notes
    -----
    Yang et al. 2019, Fig. 8b, c.
    """
    panels = np.ravel(np.asarray(axes, dtype=object))
    first = next(iter(courses.values()))
    if panels.size != first.sizes["task"]:
        raise InputError(
            "axes", f"{first.sizes['task']}, one a task", str(panels.size), "Make one for each."
        )
    for regime, course in courses.items():
        if not all(course[name].equals(first[name]) for name in ("stage", "task", "trained_in")):
            raise InputError(
                "courses",
                "training of the same stages",
                f"others in {regime!r}",
                "Draw them apart.",
            )
    for ax, task in zip(panels, first["task"].values, strict=True):
        own = int(first["trained_in"].sel(task=task))
        ax.axvspan(own, own + 1, color=LIGHT_GREY, alpha=0.4, lw=0)
        for place, (regime, course) in enumerate(courses.items()):
            one, colour = course.sel(task=task), REGIME_COLOURS[place % len(REGIME_COLOURS)]
            _plot_band(ax, one["progress"].values, one, colour, label=regime)
        ax.set_title(_shown(str(task), names), pad=2)
        ax.set(xlim=(0, first.sizes["stage"]), ylim=(0, 1.04), yticks=(0, 0.5, 1))
    stages = [_shown(str(stage), names, " +\n") for stage in first["stage"].values]
    for ax in panels:
        ax.set_xticks(np.arange(len(stages)) + 0.5, stages, fontsize=7)
        ax.tick_params("x", length=0)
    return panels


def plot_final_performance(
    ax: Axes,
    retention_by_regime: Mapping[str, xr.Dataset],
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the performance after the last stage: networks, means, and their 95 % intervals.

    Parameters
    ----------
    ax
        Where to draw.
    retention_by_regime
        By training regime, each from
        `nwbcompare.learning.retention_over_networks` of the same tasks; the last
        column, set apart, is the mean of tasks. A single network has no interval.
    names
        Shown names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        For regimes of different tasks.
    """
    n_regimes = len(retention_by_regime)
    labels = next(iter(retention_by_regime.values()))["task"].values
    columns = np.arange(labels.size)
    for place, (regime, found) in enumerate(retention_by_regime.items()):
        if not np.array_equal(found["task"].values, labels):
            raise InputError(
                "retention_by_regime",
                "the same tasks in every regime",
                f"others in {regime!r}",
                "Draw them apart.",
            )
        final = found.sel(measure="final")
        at = columns + 0.8 * ((place + 0.5) / n_regimes - 0.5)
        # networks beside each other, in an order that does not follow their values
        n_networks = final.sizes["network"]
        aside = 0.3 / n_regimes * ((np.arange(n_networks) * 0.618034) % 1 - 0.5)
        values = final["value"].transpose("network", "task").values
        ax.scatter(
            (at + aside[:, None]).ravel(),
            values.ravel(),
            s=14,
            alpha=0.6,
            lw=0,
            color=REGIME_COLOURS[place % len(REGIME_COLOURS)],
            marker=MARKS[place % len(MARKS)],
            label=regime,
        )
        mean, low, high = (final[name].values for name in ("mean", "mean_low", "mean_high"))
        beside = at + 0.25 / n_regimes
        known = ~np.isnan(low)
        ax.vlines(beside[known], low[known], np.minimum(high[known], 1), color=BLACK, lw=1.2)
        ax.scatter(beside, mean, marker="_", s=50, color=BLACK, lw=1.6, zorder=3)
    ax.axvline(labels.size - 1.5, color=LIGHT_GREY, lw=0.8)
    _label_tasks(ax, [_shown(str(label), names) for label in labels])
    ax.set(ylabel="final share of correct trials", ylim=(0, 1.04))
    ax.set_xlim(-0.6, labels.size - 0.4)
    return ax


def plot_learning_curves(ax: Axes, curves_by_name: Mapping[str, xr.Dataset]) -> Axes:
    """Plot performance against trials of training: networks, their mean, and its interval.

    Parameters
    ----------
    ax
        Where to draw.
    curves_by_name
        By what to call them ("pretrained on ..."), each from
        `nwbcompare.learning.learning_curves`. A thin line is a network, to the
        dot where its training ended, the bold one their mean; a band is the mean's 95 % interval.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Notes
    -----
    Yang et al. 2019, Fig. 7e.
    """
    for place, (name, curves) in enumerate(curves_by_name.items()):
        colour = CATEGORICAL[place % len(CATEGORICAL)]
        thousands = curves["trial"].values / 1000
        for network in curves["network"].values:
            one = curves.sel(network=network)
            trained = curves["trial"].values <= int(one["ended"])
            shares = one["performance"].values[trained]
            ax.plot(thousands[trained], shares, color=colour, lw=0.6, alpha=0.5)
            ax.plot(thousands[trained][-1], shares[-1], color=colour, marker="o", ms=3, mew=0)
        _plot_band(ax, thousands, curves, colour, label=f"{name} (n = {curves.sizes['network']})")
    ax.set(xlabel="trials (thousands)", ylabel="share of correct trials", ylim=(0, 1.04))
    ax.set_xlim(left=0)
    ax.legend(loc="lower right", frameon=False, fontsize=8)
    return ax


def _plot_band(
    ax: Axes, at: npt.NDArray[np.float64], one: xr.Dataset, colour: str, label: str
) -> None:
    """Plot a mean as a line, and its interval where there is one."""
    low, high = one["mean_low"].values, one["mean_high"].values
    if not np.isnan(low).all():
        ax.fill_between(at, low, high, color=colour, alpha=0.25, lw=0)
    ax.plot(at, one["mean"].values, color=colour, lw=1.8, label=label)


def _shown(label: str, names: Mapping[str, str] | None, join: str = JOIN) -> str:
    """Give the shown name of a task, or of a stage of several."""
    return join.join((names or {}).get(task, task) for task in label.split(JOIN))


def _label_tasks(ax: Axes, shown: Sequence[str]) -> None:
    ax.set_xticks(range(len(shown)), shown)
    for text in ax.get_xticklabels() if len(shown) > 3 else ():
        text.set(rotation=30, ha="right", rotation_mode="anchor")
