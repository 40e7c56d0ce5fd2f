"""Plots of learning: performance over stages of training, retention, and learning curves."""

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
    MARKS,
    ORANGE,
    PINK,
    SEQUENTIAL,
    VERMILION,
    display_name,
    jitter,
    slanted,
)

REGIME_COLOURS = (GREY, VERMILION, BLUE, GREEN, ORANGE, PINK)
"""Colours of training regimes, in order; the first is usually the plain regime."""
BRIGHT = 0.47
"""Share of correct trials above which the colour map is bright and numbers are black."""
JOIN = " + "
"""Separator of tasks in the name of a stage."""


def plot_performance_matrix(
    ax: Axes, matrix: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the performance in each task after each stage as a heat map, trained cells outlined.

    Parameters
    ----------
    ax
        Where to draw.
    matrix
        From `nwbcompare.learning.performance_matrix`; networks joined along ``network`` are
        averaged. The first row is the performance before training, if it is known.
    names
        Display names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    mean = matrix.mean("network") if "network" in matrix.dims else matrix
    shares = mean["performance"].transpose("stage", "task").values
    rows = [_stage_name(str(stage), names) for stage in matrix["stage"].values]
    # logs without an evaluation at step 0 do not know the untrained network
    untrained = bool(mean["before"].notnull().all())
    if untrained:
        shares, rows = np.vstack([mean["before"].values, shares]), ["untrained", *rows]
    image = ax.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="share of correct trials")
    for (row, column), share in np.ndenumerate(shares):
        colour = BLACK if share > BRIGHT else "white"
        ax.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
    for column, stage in enumerate(matrix["trained_in"].values):
        corner = (column - 0.5, stage + untrained - 0.5)
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec=VERMILION, lw=2, clip_on=False))
    _label_tasks(ax, [_stage_name(str(task), names) for task in matrix["task"].values])
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
    """Plot the performance in each task over the stages of training, one panel per task.

    Parameters
    ----------
    axes
        One panel for each task; panels in a column may share their horizontal axis.
    courses
        By training regime ("sequential", "synaptic intelligence"), each from
        `nwbcompare.learning.performance_over_steps` of the same stages. Lines are means over
        networks, bands their 95 % intervals (none for a single network). The stage in which the
        task of a panel is trained is shaded.
    names
        Display names of tasks.

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
            "axes", f"{first.sizes['task']}, one per task", str(panels.size), "Pass one for each."
        )
    for regime, course in courses.items():
        if not all(course[name].equals(first[name]) for name in ("stage", "task", "trained_in")):
            raise InputError(
                "courses",
                "training of the same stages",
                f"others in {regime!r}",
                "Plot them separately.",
            )
    for ax, task in zip(panels, first["task"].values, strict=True):
        stage = int(first["trained_in"].sel(task=task))
        ax.axvspan(stage, stage + 1, color=LIGHT_GREY, alpha=0.4, lw=0)
        for place, (regime, course) in enumerate(courses.items()):
            one, colour = course.sel(task=task), REGIME_COLOURS[place % len(REGIME_COLOURS)]
            _plot_band(ax, one["progress"].values, one, colour, label=regime)
        ax.set_title(_stage_name(str(task), names), pad=2)
        # a little above 1, so that lines at 1 are not cut
        ax.set(xlim=(0, first.sizes["stage"]), ylim=(0, 1.04), yticks=(0, 0.5, 1))
    stages = [_stage_name(str(stage), names, " +\n") for stage in first["stage"].values]
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
    """Plot the performance after the last stage: networks, means and 95 % intervals.

    Parameters
    ----------
    ax
        Where to draw.
    retention_by_regime
        By training regime, each from `nwbcompare.learning.retention_over_networks` of the same
        tasks. The last column, behind a line, is the mean over tasks. A single network has no
        interval.
    names
        Display names of tasks.

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
    for place, (regime, retention) in enumerate(retention_by_regime.items()):
        if not np.array_equal(retention["task"].values, labels):
            raise InputError(
                "retention_by_regime",
                "the same tasks in every regime",
                f"others in {regime!r}",
                "Plot them separately.",
            )
        final = retention.sel(measure="final")
        at = columns + 0.8 * ((place + 0.5) / n_regimes - 0.5)
        aside = 0.3 / n_regimes * jitter(final.sizes["network"])
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
        finite = ~np.isnan(low)
        # Student's interval may reach beyond 1, a share cannot
        ax.vlines(beside[finite], low[finite], np.minimum(high[finite], 1), color=BLACK, lw=1.2)
        ax.scatter(beside, mean, marker="_", s=50, color=BLACK, lw=1.6, zorder=3)
    # the last column is no task but the mean over tasks
    ax.axvline(labels.size - 1.5, color=LIGHT_GREY, lw=0.8)
    _label_tasks(ax, [_stage_name(str(label), names) for label in labels])
    ax.set(ylabel="final share of correct trials", ylim=(0, 1.04))
    ax.set_xlim(-0.6, labels.size - 0.4)
    return ax


def plot_learning_curves(ax: Axes, curves_by_name: Mapping[str, xr.Dataset]) -> Axes:
    """Plot learning curves: performance over trials of networks, their mean and its interval.

    Parameters
    ----------
    ax
        Where to draw.
    curves_by_name
        By label ("pretrained on ..."), each from `nwbcompare.learning.learning_curves`. Thin lines
        are networks, with a dot at the end of training; thick lines are means with bands of
        their 95 % intervals.

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
            # after the end of training a curve only repeats its last value
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
    """Plot a mean as a line, and its interval, if any, as a band."""
    low, high = one["mean_low"].values, one["mean_high"].values
    # a single network has no interval
    if not np.isnan(low).all():
        ax.fill_between(at, low, high, color=colour, alpha=0.25, lw=0)
    ax.plot(at, one["mean"].values, color=colour, lw=1.8, label=label)


def _stage_name(label: str, names: Mapping[str, str] | None, join: str = JOIN) -> str:
    """Return the display name of a task, or of a stage of several tasks."""
    return join.join(display_name(task, names) for task in label.split(JOIN))


def _label_tasks(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_xticks(range(len(labels)), labels, **slanted(labels))
