"""Plots of rankings of families with split halves, and of power analyses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.core.errors import InputError
from nwbcompare.plotting.style import (
    BLACK,
    CATEGORICAL,
    GREY,
    LIGHT_GREY,
    MARKS,
    RECORDING_COLOUR,
    display_name,
    interval_bars,
)

MEASURE_NAMES = {
    "wasserstein": "Wasserstein distance",
    "energy": "energy distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
    "sd_difference": "difference of s.d.",
    "mean_difference": "difference of means",
}


def plot_split_half_and_families(
    ax: Axes,
    ranking: xr.Dataset,
    animals: xr.Dataset | None = None,
    *,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the distance of each family to a recording, with the split-half distance.

    Parameters
    ----------
    ax
        Where to draw; use a width of 6 inches, and half an inch of height for each family.
    ranking
        From `nwbcompare.comparison.rank_families`. Small points are networks.
    animals
        From `nwbcompare.comparison.between_animal_distance`, for a row of each pair of animals.
    names
        Display names of families.
    """
    # the closest family on top
    order = np.argsort(ranking["distance"].values)
    labels = []
    for place, which in enumerate(order):
        one = ranking.isel(family=which)
        family = str(one["family"].item())
        _plot_family(ax, ranking, one, place, CATEGORICAL[which % len(CATEGORICAL)])
        n, p = int(one["n_networks"].item()), one["p_closest"].item()
        labels.append(f"{display_name(family, names)} (n = {n})\nP(closest) = {p:.2f}")
    if animals is not None:
        apart = animals["value"].sel(measure=ranking.attrs["measure"])
        for pair, value in zip(apart["animal_pair"].values, apart.values, strict=True):
            ax.plot(value, len(labels), "D", color=RECORDING_COLOUR, ms=6)
            labels.append(str(pair).replace("/", "\nagainst "))
    low, high = (ranking[name].item() for name in ("split_half_low", "split_half_high"))
    ax.axvspan(low, high, color=LIGHT_GREY, alpha=0.5, lw=0, zorder=0)
    middle, above = ranking["split_half"].item(), ax.get_xaxis_transform()
    ax.axvline(middle, color=GREY, lw=1, zorder=1)
    style: Any = {"transform": above, "ha": "center", "va": "bottom", "fontsize": 8, "color": GREY}
    ax.text(middle, 1.01, "halves of the\nrecording (95 %)", **style)
    ax.set_yticks(range(len(labels)), labels)
    measure = MEASURE_NAMES.get(ranking.attrs["measure"], ranking.attrs["measure"])
    ax.set(ylim=(len(labels) - 0.4, -0.6), xlabel=f"{measure} to {ranking.attrs['name']}")
    # from 0 on, so that lengths show how many times farther one family is
    ax.set_xlim(left=0)
    return ax


def _plot_family(ax: Axes, ranking: xr.Dataset, one: xr.Dataset, place: int, colour: str) -> None:
    members = ranking["family_of"].values == one["family"].item()
    values = ranking["network_distance"].values[members]
    ax.plot(values, np.full(values.size, place + 0.22), "o", ms=3, color=colour, mfc="none")
    ax.hlines(place, one["distance_low"], one["distance_high"], color=colour, lw=2)
    ax.plot(one["distance"], place, "s", ms=6, color=colour)


def plot_power(ax: Axes, power: xr.Dataset, *, legend: bool = True) -> Axes:
    """Plot power over the number of recorded units, a curve for each number of trials.

    Parameters
    ----------
    ax
        Where to draw.
    power
        From `nwbcompare.comparison.power_analysis`. Bars are 95 % intervals of the simulation.
    legend
        Whether to plot a legend of the numbers of trials.

    Raises
    ------
    InputError
        For more than 8 numbers of trials.
    """
    if power.sizes["n_trials"] > len(MARKS):
        raise InputError(
            "power",
            f"at most {len(MARKS)} numbers of trials",
            str(power.sizes["n_trials"]),
            "Select some: power.sel(n_trials=[...]).",
        )
    units = power["n_units"].values
    for place, trials in enumerate(power["n_trials"].values):
        one = power.sel(n_trials=trials)
        height, low, high = (one[f"power{end}"].values for end in ("", "_low", "_high"))
        ax.errorbar(
            units,
            height,
            yerr=interval_bars(height, low, high),
            marker=MARKS[place],
            color=CATEGORICAL[place],
            ms=5,
            lw=1.5,
            elinewidth=1,
            label=str(trials),
        )
    target, alpha = power.attrs["target_power"], power.attrs["alpha"]
    ax.axhline(target, color=BLACK, lw=0.8, ls="--")
    ax.axhline(alpha, color=GREY, lw=0.8, ls=":")
    right = ax.get_yaxis_transform()
    ax.text(1.0, target, f"{target:g}", transform=right, ha="left", va="center", fontsize=8)
    ax.text(1.0, alpha, f" {alpha:g}", transform=right, va="center", fontsize=8, color=GREY)
    ax.set(xscale="log", ylim=(-0.02, 1.02), xlabel="recorded units", ylabel="power")
    ax.set_xticks(units, [str(number) for number in units])
    # ticks are the designs that were simulated, and no others
    ax.minorticks_off()
    ax.set_title(f"s.d. of FTV {power.attrs['sd_a']:g} against {power.attrs['sd_b']:g}")
    if legend:
        ax.legend(title="trials per condition", loc="center left", bbox_to_anchor=(1.06, 0.5))
    return ax
