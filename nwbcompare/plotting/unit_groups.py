"""Plots of groups of units of a pair of tasks: variances, weights and mutual inhibition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    DIVERGING,
    GREEN,
    GREY,
    LIGHT_GREY,
    NULL_COLOUR,
    VERMILION,
    display_name,
)

GROUP_COLOURS = {"1": BLUE, "2": VERMILION, "12": GREEN, "": LIGHT_GREY}
GROUP_MARKS = {"1": "o", "2": "s", "12": "^", "": "."}
GROUP_LINES = {"1": "-", "2": "--", "12": "-."}
# Yang et al. 2019; the value 1 is variance in the first task alone
GROUP_BOUNDS = {"2": (0.0, 0.1), "12": (0.4, 0.6), "1": (0.9, 1.0)}
SHARE_EDGES = np.linspace(0, 1, 31)
DEGREE_TICKS = (-180, -90, 0, 90, 180)
WHITE_BELOW = 0.45
"""Luminance of a colour below which text on it is white."""


def plot_group_scatter(
    ax: Axes, groups: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the variance of each active unit in one task against that in the other, by group.

    Parameters
    ----------
    ax
        Where to draw.
    groups
        From `nwbcompare.selectivity.unit_groups`.
    names
        Display names of tasks.
    """
    a, b = (groups["task_variance"].sel(task=groups.attrs[task]) for task in ("task_a", "task_b"))
    active = np.isfinite(groups["normalised_variance"].values)
    values = np.concatenate([a.values[active], b.values[active]])
    # variances of 0 are plotted at the edge of the logarithmic axes
    floor = values[values > 0].min() / 2 if (values > 0).any() else 1e-3
    label = groups["group"].values
    for group, legend in {"": "no group", "1": "group 1", "2": "group 2", "12": "group 12"}.items():
        members = active & (label == group)
        ax.scatter(
            np.maximum(a.values[members], floor),
            np.maximum(b.values[members], floor),
            s=14,
            marker=GROUP_MARKS[group],
            color=GROUP_COLOURS[group],
            lw=0,
            label=f"{legend} ({int(members.sum())})",
        )
    tasks = [display_name(groups.attrs[task], names) for task in ("task_a", "task_b")]
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=f"task variance, {tasks[0]}",
        ylabel=f"task variance, {tasks[1]}",
    )
    _legend_above(ax)
    return ax


def plot_normalised_variance(
    ax: Axes, groups: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot a histogram of the share of the first task in active units' variance, groups shaded.

    Parameters
    ----------
    ax
        Where to draw.
    groups
        From `nwbcompare.selectivity.unit_groups`.
    names
        Display names of tasks.
    """
    share = groups["normalised_variance"].values
    counts, _ = np.histogram(share[np.isfinite(share)], bins=SHARE_EDGES)
    ax.stairs(counts, SHARE_EDGES, fill=True, color=GREY, zorder=2)
    # at least 1, since axes need some height
    top = 1.15 * max(counts.max(), 1)
    for group, (low, high) in GROUP_BOUNDS.items():
        ax.axvspan(low, high, color=GROUP_COLOURS[group], alpha=0.25, lw=0)
        n_units = int((groups["group"].values == group).sum())
        ax.text(
            (low + high) / 2,
            1.02,
            f"group {group}\n{n_units}",
            ha="center",
            va="bottom",
            fontsize=8,
            color=GROUP_COLOURS[group],
            transform=ax.get_xaxis_transform(),
        )
    a, b = (display_name(groups.attrs[task], names) for task in ("task_a", "task_b"))
    ax.set(xlim=(-0.02, 1.02), ylim=(0, top), xlabel=f"share of variance in {a} (rest: {b})")
    ax.set_ylabel("active units")
    return ax


def plot_group_matrix(ax: Axes, result: xr.Dataset, *, selection: str = "near") -> Axes:
    """Plot the mean recurrent weight between groups, with the number of pairs of units.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.connectivity.group_weights`.
    selection
        "near" for pairs with similar preferred directions, or "all".
    """
    pairs = result.sel(selection=selection)
    means = pairs["recurrent_weight"].transpose("group_to", "group_from").values
    n_pairs = pairs["n_pairs"].transpose("group_to", "group_from").values
    sizes = np.abs(means[np.isfinite(means)])
    # symmetric, so that the colour shows the sign of a weight
    limit = float(sizes.max()) if sizes.size and sizes.max() > 0 else 1.0
    colours = mpl.colormaps[DIVERGING].with_extremes(bad="#EEEEEE")
    ax.imshow(np.ma.masked_invalid(means), cmap=colours, vmin=-limit, vmax=limit)
    scale = Normalize(-limit, limit)
    for (row, column), mean in np.ndenumerate(means):
        # a minus sign as wide as the plus, not a hyphen
        number = f"{mean:+.3f}".replace("-", "−") if np.isfinite(mean) else "no pairs"
        colour = _on(colours(scale(mean))) if np.isfinite(mean) else BLACK
        text = f"{number}\n({n_pairs[row, column]})"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    groups = [str(group) for group in pairs["group_from"].values]
    ax.set(
        xticks=range(len(groups)),
        yticks=range(len(groups)),
        xticklabels=groups,
        yticklabels=groups,
        xlabel="from group",
        ylabel="to group",
        title=f"mean recurrent weight, {selection} pairs (n)",
    )
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def plot_input_tuning(ax: Axes, result: xr.Dataset, *, modality: int) -> Axes:
    """Plot the input weights of groups from one modality around the preferred direction.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.connectivity.group_weights`.
    modality
        1 or 2.
    """
    mean, error = (
        result[name].sel(modality=modality) for name in ("input_weight", "input_weight_se")
    )
    ax.set(ylabel="mean input weight", title=f"from modality {modality}")
    return _plot_tuning(ax, mean, error)


def plot_output_tuning(ax: Axes, result: xr.Dataset) -> Axes:
    """Plot the output weights of groups to the response ring around the preferred direction.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.connectivity.group_weights`.
    """
    ax.set(ylabel="mean output weight", title="to the response ring")
    return _plot_tuning(ax, result["output_weight"], result["output_weight_se"])


def plot_rule_weights(
    ax: Axes,
    result: xr.Dataset,
    *,
    rules: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the mean input weights of groups from rules, with standard errors.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.connectivity.group_weights`.
    rules
        The rules, in this order; by default all.
    names
        Display names of tasks.
    """
    chosen_rules = [str(rule) for rule in (result["rule"].values if rules is None else rules)]
    weights = result.sel(rule=chosen_rules)
    for place, group in enumerate(_groups_with_units(weights["rule_weight"])):
        ax.errorbar(
            np.arange(len(chosen_rules)) + 0.22 * (place - 1),
            weights["rule_weight"].sel(group=group),
            weights["rule_weight_se"].sel(group=group),
            color=GROUP_COLOURS[group],
            marker=GROUP_MARKS[group],
            ms=4,
            lw=0,
            elinewidth=1.2,
            label=f"group {group}",
        )
    ax.axhline(0, color=NULL_COLOUR, lw=0.8, zorder=0)
    labels = [display_name(rule, names) for rule in chosen_rules]
    ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_ylabel("mean rule weight ± SE")
    _legend_above(ax)
    return ax


def plot_weight_by_direction(ax: Axes, result: xr.Dataset) -> Axes:
    """Plot recurrent weights over the difference of preferred directions, with 95 % intervals.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.connectivity.weight_by_direction`.
    """
    degrees = np.degrees(result["direction_difference"].values)
    styles = {"within": (BLACK, "-", "o"), "between": (VERMILION, "--", "s")}
    legends = {"within": "within group 1 or 2", "between": "between groups 1 and 2"}
    for relation, (colour, line, mark) in styles.items():
        weights = result.sel(relation=relation)
        half = 1.96 * weights["weight_se"].values
        mean = weights["weight"].values
        ax.fill_between(degrees, mean - half, mean + half, color=colour, alpha=0.15, lw=0)
        ax.plot(degrees, mean, color=colour, ls=line, marker=mark, ms=4, label=legends[relation])
    ax.axhline(0, color=NULL_COLOUR, lw=0.8, zorder=0)
    ax.set(
        xlim=(0, 180),
        xticks=(0, 45, 90, 135, 180),
        xlabel="difference of preferred direction (°)",
        ylabel="mean recurrent weight",
    )
    _legend_above(ax)
    return ax


def plot_inhibition(ax: Axes, results: Sequence[xr.Dataset]) -> Axes:
    """Plot the inhibition statistic of networks, with the ranges of their permutation nulls.

    Parameters
    ----------
    ax
        Where to draw.
    results
        From `nwbcompare.connectivity.mutual_inhibition`, one for each network.
    """
    for place, result in enumerate(results):
        null = result["null_statistic"].values
        low, high = np.nanpercentile(null, [2.5, 97.5])
        ax.plot([place, place], [low, high], color=LIGHT_GREY, lw=5, solid_capstyle="butt")
    called = np.array([bool(result["called_inhibition"]) for result in results], dtype=bool)
    statistic = np.array([float(result["statistic"]) for result in results])
    for which, face, legend in ((called, BLUE, "called"), (~called, "white", "not called")):
        if which.any():
            ax.plot(
                np.flatnonzero(which),
                statistic[which],
                ls="",
                marker="o",
                ms=5,
                mec=BLUE,
                mfc=face,
                label=f"{legend} inhibition ({int(which.sum())})",
            )
    ax.plot([], [], color=LIGHT_GREY, lw=5, label="null: groups permuted (95 %)")
    ax.axhline(0, color=NULL_COLOUR, lw=0.8, zorder=0)
    names = [str(result.attrs["name"]) for result in results]
    ax.set_xticks(range(len(names)), names, rotation=90)
    ax.set_xlim(-0.7, len(results) - 0.3)
    ax.set_ylabel("W12 + W21 − W11 − W22")
    _legend_above(ax)
    return ax


def _plot_tuning(ax: Axes, mean: xr.DataArray, error: xr.DataArray) -> Axes:
    degrees = np.degrees(mean["direction_difference"].values)
    for group in _groups_with_units(mean):
        curve, half = (values.sel(group=group).values for values in (mean, error))
        colour = GROUP_COLOURS[group]
        ax.fill_between(degrees, curve - half, curve + half, color=colour, alpha=0.2, lw=0)
        ax.plot(degrees, curve, color=colour, ls=GROUP_LINES[group], label=f"group {group} ± SE")
    ax.axhline(0, color=NULL_COLOUR, lw=0.8, zorder=0)
    ax.set(xlim=(-180, 180), xticks=DEGREE_TICKS, xlabel="channel − preferred direction (°)")
    ax.legend(loc="best")
    return ax


def _legend_above(ax: Axes) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handletextpad=0.4)


def _groups_with_units(means: xr.DataArray) -> list[str]:
    """Return the groups with units, which have means to plot."""
    return [str(g) for g in means["group"].values if means.sel(group=g).notnull().any()]


def _on(colour: tuple[float, float, float, float]) -> str:
    """Return the text colour, black or white, with more contrast to a colour."""
    # shares of red, green and blue in perceived brightness (ITU-R BT.709)
    luminance = float(np.dot(colour[:3], (0.2126, 0.7152, 0.0722)))
    return "white" if luminance < WHITE_BELOW else BLACK
