"""Plots of populations: distances of conditions, decoding accuracy, and similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from nwbcompare.plotting.clusters import colour_bar
from nwbcompare.plotting.style import (
    BLACK,
    BLUE,
    LIGHT_GREY,
    NULL_COLOUR,
    ORANGE,
    SEQUENTIAL,
    display_name,
    source_colour,
)

MOST_LABELS = 16
"""Largest number of conditions with labels of their own; more are labelled by task."""
MEASURE_NAMES = {
    "rsa": "RSA: correlation of distances",
    "cka": "CKA, debiased",
    "procrustes": "Procrustes: 1 - angle / 90°",
}


def plot_dissimilarity(
    ax: Axes, result: xr.Dataset, *, names: Mapping[str, str] | None = None
) -> Axes:
    """Plot the distances of all pairs of conditions as a heat map.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.population.dissimilarity`.
    names
        Display names of tasks.
    """
    image = ax.imshow(result["dissimilarity"], cmap=SEQUENTIAL, interpolation="nearest")
    tasks = [str(task) for task in result["task"].values]
    labels = [display_name(task, names) for task in tasks]
    edges = [place for place in range(1, len(tasks)) if tasks[place] != tasks[place - 1]]
    for edge in edges:
        ax.axhline(edge - 0.5, color="white", lw=1)
        ax.axvline(edge - 0.5, color="white", lw=1)
    if len(tasks) <= MOST_LABELS:
        levels = _levels([str(label) for label in result["condition"].values])
        text = [f"{task} {level}".strip() for task, level in zip(labels, levels, strict=True)]
        places: list[float] = list(range(len(text)))
    else:
        bounds = [0, *edges, len(tasks)]
        places = [(a + b - 1) / 2 for a, b in pairwise(bounds)]
        text = [labels[start] for start in bounds[:-1]]
    ax.set_yticks(places, text)
    if len(tasks) <= MOST_LABELS:
        ax.set_xticks(places, text, rotation=45, ha="right", rotation_mode="anchor")
        variables = [part.split("=")[0] for part in _parts(str(result["condition"].values[0]))]
        ax.set_xlabel(", ".join(variables).replace("_", " "))
    else:
        ax.set_xticks(places, text)
    ax.tick_params(length=0, labelsize=7)
    ax.set_title(f"{result.attrs.get('name', '')}: {int(result['n_units'])} units")
    unit = result["dissimilarity"].attrs.get("units", "1")
    metric = {
        "crossvalidated": "cross-validated squared distance",
        "euclidean": "squared distance",
        "correlation": "1 - correlation",
    }[result.attrs["metric"]]
    colour_bar(ax, image, metric if unit == "1" else f"{metric}\n{unit.replace('^2', '²')}")
    return ax


def _parts(label: str) -> list[str]:
    _, _, variables = label.partition(": ")
    return variables.split(", ")


def _levels(labels: Sequence[str]) -> list[str]:
    """Return the values in names of conditions with signs: "a: x=-1, y=1" becomes "-1, +1"."""
    values = [[part.partition("=")[2] for part in _parts(label)] for label in labels]
    signed = any(value.startswith("-") for row in values for value in row)
    return [
        ", ".join(f"+{v}" if signed and v[:1] in "123456789" and v else v for v in row)
        for row in values
    ]


def plot_decoding(
    ax: Axes, results: Sequence[xr.Dataset], *, labels: Sequence[str] | None = None
) -> Axes:
    """Plot decoding accuracies with 95 % intervals, chance levels and nulls.

    Parameters
    ----------
    ax
        Where to draw.
    results
        From `nwbcompare.population.decode`, one for each row.
    labels
        Labels of the rows; by default the decoded variable and the source.
    """
    rows = labels or [
        f"{r.attrs['what'].replace('_', ' ')}{', other task' if r.attrs['generalise'] else ''}\n"
        f"{r.attrs['name']}, {int(r['n_units'])} units, {int(r['n_trials'])} trials"
        for r in results
    ]
    for place, result in enumerate(results):
        # label each kind of mark once
        once = place == 0
        _null_band(ax, place, result["null"], "null, one draw: 95 %" if once else None)
        ax.plot(
            [float(result["chance"])] * 2,
            [place - 0.35, place + 0.35],
            color=NULL_COLOUR,
            ls="--",
            lw=1,
            label="chance" if once else None,
        )
        ax.scatter(
            result["halves"].mean("resample"),
            [place] * 2,
            marker="|",
            s=60,
            color=ORANGE,
            zorder=2,
            label="half of the units" if once else None,
        )
        value, low, high = (float(result[f"accuracy{end}"]) for end in ("", "_low", "_high"))
        _estimate(ax, place, value, low, high, source_colour(result))
    _finish(ax, rows, "accuracy (95 % interval over units)")
    ax.set_xlim(0, 1.02)
    return ax


def plot_similarity(ax: Axes, result: xr.Dataset) -> Axes:
    """Plot measures of similarity with 95 % intervals and ceilings.

    All measures are scaled so that 1 means equality and larger values more similarity; the
    Procrustes angle is plotted as 1 - angle / 90°.

    Parameters
    ----------
    ax
        Where to draw.
    result
        From `nwbcompare.population.compare_populations`.
    """
    rows = []
    for place, name in enumerate(result["measure"].values):
        row = result.sel(measure=name)
        once = place == 0
        rows.append(MEASURE_NAMES[str(name)])
        for which, (ceiling, marker) in enumerate((("units", "|"), ("trials", "x"))):
            ax.scatter(
                _alike(row, f"ceiling_{ceiling}").mean(),
                place,
                marker=marker,
                s=60,
                color=(ORANGE, BLACK)[which],
                zorder=2,
                label=f"recording, halves of its {ceiling}" if once else None,
            )
        value, *bounds = (float(_alike(row, key)) for key in ("value", "low", "high"))
        # the bounds of a distance change places when it is turned into a similarity
        _estimate(ax, place, value, min(bounds), max(bounds), BLUE)
    _finish(ax, rows, "similarity (1: the same)\n95 % interval over sessions")
    ax.set_xlim(ax.get_xlim()[0] - 0.05, 1.02)
    ax.set_title(
        f"{result.attrs['model']} and {result.attrs['recording']}: "
        f"{int(result['n_conditions'])} conditions"
    )
    return ax


def _alike(row: xr.Dataset, name: str) -> xr.DataArray:
    values = row[name]
    # a right angle, the largest there is, becomes 0
    return 1 - values / (np.pi / 2) if bool(row["distance"]) else values


def _estimate(ax: Axes, place: int, value: float, low: float, high: float, colour: str) -> None:
    reach = [[value - low], [high - value]]
    ax.errorbar(value, place, xerr=reach, fmt="o", ms=5, capsize=3, color=colour, zorder=3)


def _null_band(ax: Axes, place: int, null: xr.DataArray, label: str | None) -> None:
    low, high = np.percentile(null, [2.5, 97.5])
    ax.barh(place, high - low, left=low, height=0.7, color=LIGHT_GREY, alpha=0.5, lw=0, label=label)


def _finish(ax: Axes, rows: Sequence[str], xlabel: str) -> None:
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    # below the label of the axis, for any height of the axes
    below: Any = offset_copy(ax.transAxes, ax.get_figure(root=True), y=-0.6, units="inches")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below)
