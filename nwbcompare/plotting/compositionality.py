"""Plots of compositionality: cosines of task differences, and performance with summed rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    SKY,
    VERMILION,
    display_name,
    jitter,
    slanted,
)

Array = npt.NDArray[np.float64]
# more names are vertical, since slanted ones would overlap
MOST_SLANTED = 8
MEASURE_LABELS = {"performance": "share correct", "balanced_accuracy": "balanced accuracy"}
RANDOM = {"performance": "random_performance", "balanced_accuracy": "random_balanced_accuracy"}
ROLE_COLOURS = {
    "right": BLUE,
    "composed": VERMILION,
    "partial": ORANGE,
    "wrong": GREEN,
    "none": SKY,
    "random": GREY,
}
Row = tuple[str, str, Array]
"""A row of the figure of rules: label, role, and values of its points."""


def plot_cosine_rank(ax: Axes, rank: xr.Dataset, *, names: Mapping[str, str] | None = None) -> Axes:
    """Plot the distribution of cosines over all quadruples of tasks, with one composition marked.

    Parameters
    ----------
    ax
        Axes.
    rank
        From `nwbcompare.population.composition_rank`.
    names
        Display names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    every, cosine = rank["all_cosines"].values, float(rank["cosine"])
    # one range for all networks, so that their panels can be compared
    counts, edges = np.histogram(every, bins=40, range=(-1, 1))
    shares = counts / every.size
    ax.stairs(shares, edges, fill=True, color=LIGHT_GREY, label="all quadruples")
    ax.axvline(
        cosine,
        # up to the tallest bin: the room above is for the key
        ymax=0.74,
        color=VERMILION,
        lw=1.8,
        label=f"{cosine:.2f}, above {_share(float(rank['share_smaller']))}",
    )
    ax.set(
        xlim=(-1, 1),
        xticks=np.linspace(-1, 1, 5),
        xlabel=f"cosine of {_quadruple(rank, names)}",
        ylabel="share of quadruples",
        title=str(rank.attrs.get("name", "")),
    )
    ax.legend(loc="upper left", frameon=False, fontsize=8)
    # room for the key
    ax.set_ylim(0, 1.4 * shares.max())
    return ax


def plot_cosine_ranks(
    ax: Axes, ranks: Sequence[xr.Dataset], *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the cosine of one composition in several networks, over those of all quadruples.

    Parameters
    ----------
    ax
        Axes.
    ranks
        From `nwbcompare.population.composition_rank`, of one quadruple, one for each network.
    names
        See `plot_cosine_rank`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    places = np.arange(len(ranks))
    violins: Any = ax.violinplot(
        [rank["all_cosines"].values for rank in ranks], places, widths=0.8, showextrema=False
    )
    for body in violins["bodies"]:
        body.set(facecolor=LIGHT_GREY, alpha=1.0)
    ax.scatter(
        places,
        [float(rank["cosine"]) for rank in ranks],
        color=VERMILION,
        marker="D",
        s=32,
        zorder=3,
        label=_quadruple(ranks[0], names),
    )
    ax.axhline(0, color=GREY, lw=0.6, zorder=0)
    ax.set_xticks(places, [str(rank.attrs.get("name", "")) for rank in ranks])
    # slanted names of many networks would overlap
    rotation = 0 if len(ranks) <= 2 else 30 if len(ranks) <= MOST_SLANTED else 90
    ax.tick_params(axis="x", rotation=rotation)
    for label in ax.get_xticklabels() if len(ranks) > 2 else ():
        label.set(ha="right", va="center" if rotation == 90 else "top", rotation_mode="anchor")
    ax.set(ylim=(-1.05, 1.05), ylabel="cosine")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8)
    return ax


def plot_cosine_controls(ax: Axes, cosines: Mapping[str, xr.Dataset]) -> Axes:
    """Plot the cosine of a composition in networks and in their controls, with intervals.

    Parameters
    ----------
    ax
        Axes.
    cosines
        By label ("trained", "rule weights", "untrained", ...), each from
        `nwbcompare.population.composition_over_networks`. Lines join values of one network in
        neighbouring columns. A single network has no interval.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    results = list(cosines.values())
    for place, result in enumerate(results):
        for after in results[place + 1 : place + 2]:
            _join_networks(ax, result, after, place)
        values = result["cosine"].values
        ax.scatter(_beside(place, values.size), values, s=18, color=BLUE, alpha=0.7, lw=0, zorder=2)
        ax.plot([place] * 2, [result["mean_low"], result["mean_high"]], color="black", lw=1.4)
        ax.scatter([place], result["mean"], marker="_", s=260, color="black", lw=2, zorder=3)
    ax.axhline(0, color=GREY, lw=0.6, zorder=0)
    ax.set_xticks(range(len(results)), list(cosines), **slanted(results, most_level=0))
    ax.set(xlim=(-0.6, len(results) - 0.4), ylim=(-1.05, 1.05), ylabel="cosine")
    return ax


def _join_networks(ax: Axes, one: xr.Dataset, other: xr.Dataset, place: int) -> None:
    """Plot lines between the values of a network in neighbouring columns."""
    then = dict(zip(other["network"].values, other["cosine"].values, strict=True))
    for name, value in zip(one["network"].values, one["cosine"].values, strict=True):
        if name in then:
            ax.plot([place, place + 1], [value, then[name]], color=LIGHT_GREY, lw=0.8, zorder=1)


def plot_rule_composition(
    ax: Axes,
    results: Sequence[xr.Dataset],
    *,
    measure: str = "performance",
    names: Mapping[str, str] | None = None,
) -> Axes:
    """Plot the performance in a task with the right rule, composed rules, and others.

    Parameters
    ----------
    ax
        Axes.
    results
        From `nwbcompare.experiments.rule_composition`, of one task, one for each network. For a
        single network, bars are standard errors over batches, and every wrong rule and random
        sum is a point. For several, points are networks (for wrong rules the best, for random
        sums the mean) and lines are means.
    measure
        "performance" or "balanced_accuracy".
    names
        Display names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    single = len(results) == 1
    rows = _rows_of_one(results[0], measure, names) if single else _rows(results, measure, names)
    for place, (_, role, values) in enumerate(rows):
        across = _beside(place, values.size)
        ax.scatter(
            values,
            across,
            # small marks for the hundred random sums, which would hide each other
            s=14 if values.size > 30 else 24,
            alpha=0.6 if values.size > 1 else 1,
            color=ROLE_COLOURS[role],
            lw=0,
            zorder=2,
        )
        if values.size > 1:
            ax.plot([values.mean()] * 2, [place - 0.32, place + 0.32], color="black", lw=1.4)
    if single:
        _plot_errors(ax, results[0], measure)
    ax.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    ax.set(
        xlim=(-0.03, 1.03),
        ylim=(len(rows) - 0.4, -0.6),
        xlabel=f"{MEASURE_LABELS[measure]} in {_name(str(results[0].attrs['task']), names)}",
    )
    return ax


def _rows(
    results: Sequence[xr.Dataset], measure: str, names: Mapping[str, str] | None
) -> list[Row]:
    """Return a row for each expression without wrong rules, with a value for each network."""
    single_rows = results[0]["role"].values != "wrong"
    rows: list[Row] = []
    for place in np.flatnonzero(single_rows):
        expression, role = (str(results[0][key].values[place]) for key in ("expression", "role"))
        values = np.array([float(result[measure].values[place]) for result in results])
        rows.append((_label(expression, role, names), role, values))
    # chosen and scored on different batches: a plain maximum is biased upwards
    best = np.array([float(result["best_wrong"].sel(measure=measure)) for result in results])
    random = np.array([float(result[RANDOM[measure]].mean()) for result in results])
    return [*rows, ("best wrong rule", "wrong", best), ("random sums, mean", "random", random)]


def _rows_of_one(result: xr.Dataset, measure: str, names: Mapping[str, str] | None) -> list[Row]:
    rows = _rows([result], measure, names)[:-2]
    wrong = result[measure].values[result["role"].values == "wrong"]
    return [
        *rows,
        ("each wrong rule", "wrong", wrong),
        ("random sums", "random", result[RANDOM[measure]].values),
    ]


def _plot_errors(ax: Axes, result: xr.Dataset, measure: str) -> None:
    """Plot standard errors of the expressions with a row of their own."""
    error = "standard_error" if measure == "performance" else "balanced_standard_error"
    single_rows = np.flatnonzero(result["role"].values != "wrong")
    for place, row in enumerate(single_rows):
        value, spread = float(result[measure].values[row]), float(result[error].values[row])
        ax.plot(
            [value - spread, value + spread],
            [place] * 2,
            color=ROLE_COLOURS[str(result["role"].values[row])],
            lw=1.4,
            zorder=1,
        )


def _label(expression: str, role: str, names: Mapping[str, str] | None) -> str:
    text = " ".join(_name(word, names) for word in expression.split(" "))
    return f"{text} (right)" if role == "right" else text


def _name(task: str, names: Mapping[str, str] | None) -> str:
    """Return the display name of a task with its factor or sign."""
    for mark in ("*", "-"):
        factor, separator, rule = task.rpartition(mark)
        if separator and rule in (names or {}):
            return f"{factor}{mark}{display_name(rule, names)}"
    return display_name(task, names)


def _quadruple(rank: xr.Dataset, names: Mapping[str, str] | None) -> str:
    a, b, c, d = (_name(task, names) for task in json.loads(rank.attrs["quadruple"]))
    return f"{a} − {b}\nand {c} − {d}"


def _share(share: float) -> str:
    """Return a share in percent, rounded down so that 100 % means all."""
    return f"{np.floor(share * 1e4) / 1e2:.4g} %"


def _beside(place: float, number: int) -> Array:
    """Return positions of points beside each other around a place."""
    return np.array([float(place)]) if number == 1 else place + 0.4 * jitter(number)


def plot_condition_cosines(
    ax: Axes, cosines: Sequence[xr.Dataset], *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot cosines of conditions with their intervals, and those of units paired at random.

    Parameters
    ----------
    ax
        Axes.
    cosines
        Each with ``cosine``, ``interval`` and ``null_cosine`` (see
        `nwbcompare.population.composition_cosine` and `nwbcompare.population.pairing_null`), and
        the attributes ``variable``, ``task_a`` and ``task_b``.
    names
        Display names of tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ticks = []
    for place, one in enumerate(cosines):
        null = np.quantile(one["null_cosine"], (0.025, 0.975))
        # without round ends, which would make the range look wider
        ax.plot(null, [place, place], color=LIGHT_GREY, lw=8, solid_capstyle="butt")
        ax.plot(one["interval"], [place, place], color=BLUE, lw=1.5)
        ax.plot(float(one["cosine"]), place, color=BLUE, marker="o", ms=5)
        a, b = (str(one.attrs[key]) for key in ("task_a", "task_b"))
        ticks.append(f"{one.attrs['variable']}\n{display_name(a, names)}, {display_name(b, names)}")
    ax.axvline(0, color=GREY, lw=0.8, zorder=0)
    ax.set_yticks(range(len(ticks)), ticks)
    ax.set(xlabel="cosine", xlim=(-1, 1), ylim=(len(ticks) - 0.5, -0.5))
    return ax
