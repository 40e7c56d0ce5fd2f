"""Plots of fractional task variance: against its nulls, and the two variances behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.style import BLUE, FTV_EDGES, NULL_COLOUR, PINK, RECORDING_COLOUR

FTV = "fractional_task_variance"


def plot_ftv_nulls(
    ax: Axes,
    ftv: xr.Dataset,
    *,
    null: xr.Dataset | None = None,
    rotation: xr.Dataset | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the FTV of a source's units as a histogram, with what it would be under its nulls.

    Parameters
    ----------
    ax
        Where to draw.
    ftv
        From `nwbcompare.fractional_task_variance`; may have a dimension ``draw``.
    null
        From `nwbcompare.selectivity.context_label_null`: labels of the two tasks permuted.
    rotation
        From `nwbcompare.selectivity.rotation_control`: random mixtures of the units.
    names
        Display names of tasks.
    """
    values = _finite(ftv[FTV].values)
    colour = RECORDING_COLOUR if ftv.attrs["source"] == "recording" else BLUE
    ax.stairs(_shares(values), FTV_EDGES, fill=True, color=colour, alpha=0.25)
    ax.stairs(_shares(values), FTV_EDGES, color=colour, lw=1.6, label="units")
    for found, own, style, label in (
        (null, NULL_COLOUR, "--", "task labels permuted"),
        (rotation, PINK, ":", "units rotated"),
    ):
        if found is not None:
            spread = _finite(found[FTV].values)
            ax.stairs(_shares(spread), FTV_EDGES, color=own, lw=1.4, ls=style, label=label)
    shown = [(names or {}).get(ftv.attrs[task], ftv.attrs[task]) for task in ("task_a", "task_b")]
    ax.set(
        xlabel=f"FTV ({shown[0]}, {shown[1]})",
        ylabel="share of active units",
        xlim=(-1.02, 1.02),
        title=f"{ftv.attrs['name']}, s.d. {values.std():.3f}",
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
    """Plot each unit's variance in one task against that in the other, on logarithmic axes.

    Units without variance in a task have no place there; the title counts them.

    Parameters
    ----------
    ax
        Where to draw.
    variance
        From `nwbcompare.task_variance`.
    task_a, task_b
        The two tasks.
    floor
        From `nwbcompare.selectivity.condition_label_null`: its median over units and shuffles is
        drawn as lines, below which variances are no more than noise.
    names
        Display names of tasks.
    """
    pair = [variance["task_variance"].sel(task=task).values for task in (task_a, task_b)]
    positive = (pair[0] > 0) & (pair[1] > 0)
    a, b = (values[positive] for values in pair)
    colour = RECORDING_COLOUR if variance.attrs["source"] == "recording" else BLUE
    ax.scatter(a, b, s=7, alpha=0.5, color=colour, lw=0, rasterized=True)
    limits = _limits(np.concatenate([a, b]))
    ax.plot(limits, limits, color=NULL_COLOUR, lw=0.8)
    if floor is not None:
        for task, line in ((task_a, ax.axvline), (task_b, ax.axhline)):
            level = float(np.nanmedian(floor["task_variance"].sel(task=task)))
            line(level, color=NULL_COLOUR, ls="--", lw=0.8)
    unit = variance["task_variance"].attrs.get("units", "1")
    suffix = "" if unit == "1" else f", {unit.replace('^2', '²')}"
    shown = [(names or {}).get(task, task) for task in (task_a, task_b)]
    ax.set(
        xscale="log",
        yscale="log",
        xlim=limits,
        ylim=limits,
        aspect="equal",
        xlabel=f"TV {shown[0]}{suffix}",
        ylabel=f"TV {shown[1]}{suffix}",
        title=variance.attrs["name"] + ("" if positive.all() else _drawn_of(positive)),
    )
    return ax


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    finite: npt.NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def _shares(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    counts: npt.NDArray[np.float64] = np.histogram(values, bins=FTV_EDGES)[0] / max(values.size, 1)
    return counts


def _drawn_of(drawn: npt.NDArray[np.bool_]) -> str:
    return f", {drawn.sum()} of {drawn.size} units"


def _limits(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [1, 100])
    return float(low) / 2, float(high) * 2
