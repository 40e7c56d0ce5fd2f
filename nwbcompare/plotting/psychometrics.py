"""Plots of psychometric curves."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.core.errors import InputError, listing
from nwbcompare.plotting.style import MARKS, NULL_COLOUR, SEQUENTIAL, interval_bars

DARKEST, PALEST = 0.0, 0.75
"""Part of the colour map that is used, since its pale end is hardly visible on white."""


def plot_psychometric(ax: Axes, curves: xr.Dataset, title: str = "") -> Axes:
    """Plot the share of choices of the first target over coherence, a curve for each duration.

    Parameters
    ----------
    ax
        Where to draw.
    curves
        From `nwbcompare.experiments.psychometric_curves`; pool curves over two coherences with
        `nwbcompare.experiments.pooled_over` first. Bars are 95 % intervals.
    title
        Title of the axes.

    Raises
    ------
    InputError
        For curves over two coherences.
    """
    coherences = [str(dim) for dim in curves["choice_1"].dims if dim != "duration"]
    if len(coherences) > 1:
        raise InputError(
            "curves",
            "curves over one coherence",
            listing(coherences),
            "Pool over the other with nwbcompare.experiments.pooled_over.",
        )
    coherence = coherences[0]
    n_curves = curves.sizes["duration"]
    shades = mpl.colormaps[SEQUENTIAL](np.linspace(PALEST, DARKEST, n_curves))
    for place in range(n_curves):
        one = curves.isel(duration=place)
        share, low, high = (one[f"choice_1{end}"].values for end in ("", "_low", "_high"))
        ax.errorbar(
            one[coherence],
            share,
            interval_bars(share, low, high),
            color=shades[place],
            marker=MARKS[place % len(MARKS)],
            ms=3.5,
            lw=1.3,
            elinewidth=0.9,
            label=f"{float(one['duration']):g} ms",
        )
    # without a bias the curves cross where both lines do
    ax.axhline(0.5, color=NULL_COLOUR, lw=0.7, ls=":")
    ax.axvline(0, color=NULL_COLOUR, lw=0.7, ls=":")
    ax.set(
        xlabel=f"coherence, modality {coherence[-1]}",
        ylabel="choices of target 1",
        ylim=(-0.03, 1.03),
        title=title,
    )
    ax.legend(title="stimulus", loc="upper left")
    return ax
