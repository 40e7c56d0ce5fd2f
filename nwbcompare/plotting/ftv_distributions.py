"""Plots of networks and a recording: distributions of FTV, and differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    CATEGORICAL,
    FTV_EDGES,
    LIGHT_GREY,
    MARKS,
    NETWORK_COLOURS,
    NULL_COLOUR,
    RECORDING_COLOUR,
    display_name,
)

DIFFERENCES = ("sd", "mean", "mixed_share", "single_share", "cliffs_delta")
DISTANCES = ("wasserstein", "energy", "kolmogorov_smirnov")
MEASURE_LABELS = {
    "sd": "s.d.",
    "mean": "mean",
    "mixed_share": "share of mixed units",
    "single_share": "share of one-task units",
    "cliffs_delta": "Cliff's delta of |FTV|",
    "wasserstein": "Wasserstein distance",
    "energy": "energy distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
}
LINES = ("-", "--", "-.", ":")
MOST_NAMED = 6
"""Largest number of networks with a name each in the legend; more have one common name."""
SPREAD = 0.5
"""Share of a row's height over which protocols are spread."""


def plot_distributions(
    ax: Axes,
    curves: xr.Dataset,
    *,
    kind: Literal["cumulative", "histogram"] = "cumulative",
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the distribution of FTV of a recording, with its 95 % band, and of each network.

    Parameters
    ----------
    ax
        Where to draw.
    curves
        From `nwbcompare.comparison.distribution_curves`.
    kind
        "cumulative": the share of units up to each value. "histogram": in the published 20 bins.
    names
        Display names of tasks.
    """
    what = "share" if kind == "histogram" else "cumulative"
    values, low, high = (curves[f"recording_{what}{end}"].values for end in ("", "_low", "_high"))
    band: dict[str, Any] = {"color": RECORDING_COLOUR, "alpha": 0.25, "lw": 0}
    label = f"{curves.attrs['name']}, n = {curves.attrs['n_units']}"
    if kind == "histogram":
        ax.stairs(high, FTV_EDGES, baseline=low, fill=True, **band)
        ax.stairs(values, FTV_EDGES, color=RECORDING_COLOUR, lw=2, label=label)
    else:
        ax.fill_between(curves["value"].values, low, high, **band)
        ax.plot(curves["value"], values, color=RECORDING_COLOUR, lw=2, label=label)
    n_networks = curves.sizes["network"]
    has_names = n_networks <= MOST_NAMED
    for place, network in enumerate(curves["network"].values):
        shares = curves[f"network_{what}"].values[place]
        style: dict[str, Any] = {
            "color": NETWORK_COLOURS[place % len(NETWORK_COLOURS)] if has_names else BLUE,
            "ls": LINES[place % len(LINES)] if has_names else "-",
            "lw": 1.3 if has_names else 0.7,
            "label": str(network) if has_names else None if place else f"{n_networks} networks",
        }
        if kind == "histogram":
            ax.stairs(shares, FTV_EDGES, **style)
        else:
            ax.plot(curves["value"], shares, **style)
    tasks = [display_name(curves.attrs[t], names) for t in ("task_a", "task_b")]
    ax.set(
        xlabel=f"FTV ({tasks[0]}, {tasks[1]})",
        ylabel="share of units" if kind == "histogram" else "share of units up to it",
        xlim=(-1, 1),
    )
    # the ends and the middle of FTV: one task only, and both alike
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    # a histogram needs room for the legend above it
    ax.set_ylim(0, ax.dataLim.y1 * 1.45 if kind == "histogram" else 1)
    ax.legend(loc="upper center" if kind == "histogram" else "best")
    return ax


def plot_effects(
    ax: Axes,
    comparisons: Mapping[str, xr.Dataset],
    *,
    claim: str = "these networks",
    measures: Sequence[str] = DIFFERENCES,
    margin: float | None = None,
) -> Axes:
    """Plot differences between networks and a recording with 95 % intervals, a row per measure.

    Parameters
    ----------
    ax
        Where to draw.
    comparisons
        From `nwbcompare.compare_samples`, by the name of the protocol.
    claim
        The claim of the intervals: "these networks" or "networks of this kind".
    measures
        Measures, one in each row. For a distance a grey bar spans its mean to its 95th percentile
        under equal distributions.
    margin
        Margin of equivalence for the difference of s.d., which is shaded in its row.
    """
    n = len(comparisons)
    for row, measure in enumerate(measures):
        for place, (protocol, comparison) in enumerate(comparisons.items()):
            one = comparison.sel(measure=measure)
            low, high = (float(one[end].sel(claim=claim)) for end in ("low", "high"))
            height = row + SPREAD * ((place + 0.5) / n - 0.5)
            colour = CATEGORICAL[place % len(CATEGORICAL)]
            ax.plot([low, high], [height, height], color=colour, lw=1.6, solid_capstyle="butt")
            ax.plot(
                float(one["estimate"]),
                height,
                ls="",
                marker=MARKS[place % len(MARKS)],
                ms=5,
                color=colour,
                # one entry in the legend for each protocol, not for each row
                label=protocol if row == 0 else None,
            )
            # equal distributions have a distance above 0: their range is the reference
            if measure in DISTANCES:
                ends = float(one["null_mean"]), float(one["null_high"])
                ax.plot(ends, [height, height], color=NULL_COLOUR, lw=6, alpha=0.5, zorder=0)
        if measure == "sd" and margin is not None:
            label = f"margin of equivalence, {margin:.2g}"
            edges = [row - 0.5, row + 0.5]
            ax.fill_betweenx(edges, -margin, margin, color=LIGHT_GREY, alpha=0.5, lw=0, label=label)
    ax.axvline(0, color=BLACK, lw=0.8, ls="--", zorder=0)
    ax.set_yticks(np.arange(len(measures)), [MEASURE_LABELS[measure] for measure in measures])
    ax.set(xlabel=_axis_label(measures), ylim=(len(measures) - 0.5, -0.5), title=claim)
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.18))
    return ax


def _axis_label(measures: Sequence[str]) -> str:
    are_distances = [measure in DISTANCES for measure in measures]
    if all(are_distances):
        return "distance (grey: where both are the same)"
    return "networks minus recording" + (", or distance" if any(are_distances) else "")
