"""Plots of the distance of training regimes to a recording, and of contrasts of regimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.core.checks import check_known
from nwbcompare.core.number_text import p_text
from nwbcompare.plotting.learning import REGIME_COLOURS
from nwbcompare.plotting.ranking import MEASURE_NAMES
from nwbcompare.plotting.style import (
    BLACK,
    CATEGORICAL,
    GREY,
    LIGHT_GREY,
    MARKS,
    display_name,
    interval_bars,
)

DISTANCE_NAMES = {
    **MEASURE_NAMES,
    "sd": "difference of s.d.",
    "mean": "difference of means",
    "mixed_share": "difference of shares of mixed units",
    "single_share": "difference of shares of one-task units",
}
SPREAD = 0.6
"""Share of a row's height over which the measures of a contrast are spread."""


def plot_regimes(
    ax: Axes,
    result: xr.Dataset,
    measure: str | None = None,
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the distance of the networks of each training regime to a recording.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.comparison.compare_regimes`. Thin lines join networks of one pair;
        diamonds are means with their intervals; the band is the range of split-half distances
        (for the distance only).
    measure
        One of the measures of ``result``; by default the distance.
    names
        Display names of regimes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        For a measure that the result does not have.
    """
    name = result.attrs["distance"] if measure is None else measure
    check_known("measure", [name], result["measure"].values.astype(str))
    one = result.sel(measure=name)
    distance = one["distance"].transpose("pair", "regime").values
    places = np.arange(distance.shape[1])
    for row in distance:
        with_partner = np.isfinite(row)
        # lines show the pairs that the test compares
        ax.plot(
            places[with_partner] - 0.1, row[with_partner], color=GREY, alpha=0.6, lw=0.6, zorder=1
        )
    for place, column in enumerate(distance.T):
        colour = REGIME_COLOURS[place % len(REGIME_COLOURS)]
        x = np.full(column.size, place - 0.1)
        ax.scatter(x, column, s=16, color=colour, alpha=0.8, lw=0, zorder=2)
    mean, *bounds = (one[name].values for name in ("mean", "mean_low", "mean_high"))
    reach = interval_bars(mean, *bounds)
    ax.errorbar(places + 0.15, mean, reach, fmt="D", ms=5, capsize=3, color=BLACK, zorder=3)
    # halves of the recording are compared by this measure only
    if name == result.attrs["distance"]:
        _plot_split_half(ax, result)
    regimes = [display_name(str(regime), names) for regime in result["regime"].values]
    counts = zip(regimes, result["n_networks"].values, strict=True)
    ax.set_xticks(places, [f"{regime}\n(n = {n})" for regime, n in counts])
    ax.set(xlim=(-0.5, places.size - 0.5), ylabel=_name(result, name))
    ax.set_ylim(bottom=0)
    return ax


def plot_contrasts(
    ax: Axes,
    result: xr.Dataset,
    measures: Sequence[str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot how much closer to a recording one training regime is than another.

    Parameters
    ----------
    ax
        Where to draw; with some room on the right, for p.
    result
        From `nwbcompare.comparison.compare_regimes`: rows are its contrasts, and
        left of 0 the first regime is closer. p is that of the first measure, adjusted but for the
        primary test.
    measures
        Which of its measures; by default the distance.
    names
        Display names of regimes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        For a measure that the result does not have.
    """
    selection = [str(result.attrs["distance"])] if measures is None else list(measures)
    check_known("measure", selection, result["measure"].values.astype(str))
    rows = np.arange(result.sizes["contrast"])
    for place, measure in enumerate(selection):
        contrasts = result.sel(measure=measure)
        mean, *bounds = (contrasts[f"difference{end}"].values for end in ("", "_low", "_high"))
        height = rows + SPREAD * ((place + 0.5) / len(selection) - 0.5)
        ax.errorbar(
            mean,
            height,
            xerr=interval_bars(mean, *bounds),
            fmt=MARKS[place % len(MARKS)],
            ms=5,
            lw=1.6,
            color=CATEGORICAL[place % len(CATEGORICAL)],
            label=DISTANCE_NAMES.get(measure, measure),
        )
    ax.axvline(0, color=GREY, lw=0.9, ls="--", zorder=0)
    right = ax.get_yaxis_transform()
    for row, p in enumerate(result["p_adjusted"].sel(measure=selection[0]).values):
        ax.text(1.02, row, p_text(p), transform=right, va="center", fontsize=8)
    ax.set_yticks(rows, [_row(result.isel(contrast=row), names) for row in rows])
    ax.set(ylim=(rows.size - 0.5, -0.5), xlabel=_contrast_label(result, selection))
    if len(selection) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return ax


def _plot_split_half(ax: Axes, result: xr.Dataset) -> None:
    middle, low, high = (float(result[f"split_half{end}"]) for end in ("", "_low", "_high"))
    ax.axhspan(low, high, color=LIGHT_GREY, alpha=0.5, lw=0, zorder=0)
    ax.axhline(middle, color=GREY, lw=1, zorder=0)
    label = "halves of the\nrecording (95 %)"
    right = ax.get_yaxis_transform()
    ax.text(1.01, middle, label, transform=right, va="center", fontsize=8, color=GREY)


def _name(result: xr.Dataset, measure: str) -> str:
    label, recording = DISTANCE_NAMES.get(measure, measure), result.attrs["name"]
    return f"{label}\n{'to' if measure == result.attrs['distance'] else 'from'} {recording}"


def _row(row: xr.Dataset, names: Mapping[str, str] | None) -> str:
    first, second = (
        display_name(regime, names) for regime in (row["first"].item(), row["second"].item())
    )
    return f"{first}\nless {second}\n({int(row['n_pairs'])} pairs)"


def _contrast_label(result: xr.Dataset, measures: Sequence[str]) -> str:
    what = DISTANCE_NAMES.get(measures[0], measures[0]) if len(measures) == 1 else "distance"
    return f"difference of pairs: {what} to {result.attrs['name']}\n(left: the first is closer)"
