"""Figure of a training run: performance by task against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from nwbcompare.plotting.style import (
    BLUE,
    LIGHT_GREY,
    NULL_COLOUR,
    RECORDING_COLOUR,
    STYLE,
    new_figure,
    save,
)


def plot_learning(ax: Axes, log: Sequence[Mapping[str, Any]]) -> Axes:
    """Plot each task's performance against time, the worst task and the mean on top.

    Parameters
    ----------
    ax
        The axes.
    log
        A row for each evaluation, with ``seconds``, ``stage`` and ``performance`` by task.
    """
    minutes = np.array([row["seconds"] for row in log]) / 60
    shares = np.array([list(row["performance"].values()) for row in log])
    ax.plot(minutes, shares, color=LIGHT_GREY, lw=0.7)
    ax.plot(minutes, shares.min(axis=1), color=RECORDING_COLOUR, lw=1.6, label="worst task")
    ax.plot(minutes, shares.mean(axis=1), color=BLUE, lw=1.6, label="mean of tasks")
    stages = np.array([row["stage"] for row in log])
    for place in np.flatnonzero(np.diff(stages)) + 1:
        ax.axvline(minutes[place], color=NULL_COLOUR, lw=0.6, ls=":")
    ax.set(
        xlabel="time (min)",
        ylabel="share of correct trials",
        ylim=(0, 1.02),
        title=f"{shares.shape[1]} tasks, worst now {shares[-1].min():.3f}",
    )
    ax.legend(loc="lower right")
    return ax


def write_learning(log: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Write the figure of a run's log; an earlier figure is replaced in one step.

    Parameters
    ----------
    log
        See `plot_learning`.
    path
        The file; its suffix is the format.
    """
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(size=(6.4, 3.6))
        plot_learning(axes[0, 0], log)
    return save(figure, path, overwrite=True)
