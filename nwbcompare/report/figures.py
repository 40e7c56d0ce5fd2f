"""Every figure: a function that takes an axes, draws on it, and returns it.

Colours are Okabe and Ito's, told apart with any colour vision; networks also differ from
recordings by line style.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nwbcompare.figures.style import (
    BLUE,
    FTV_EDGES,
    NETWORK_COLOURS,
    NULL_COLOUR,
    ORANGE,
    RECORDING_COLOUR,
    SKY,
    STYLE,
    VERMILION,
)
from nwbcompare.report.entry import FTV, PROTOCOLS, Comparison, Entry

CONDITION_COLOURS = (VERMILION, ORANGE, SKY, BLUE)
EDGES = FTV_EDGES


def draw_ftv(ax: Axes, entries: Sequence[Entry], comparison: Comparison, title: str) -> Axes:
    """Draw FTV distributions of several sources, with their nulls, as shares of units."""
    for entry, colour in zip(entries, _colours(entries), strict=True):
        recorded = entry.source == "recording"
        shares = _shares(entry.values)
        if recorded:
            ax.stairs(shares, EDGES, fill=True, color=colour, alpha=0.25)
        ax.stairs(
            shares, EDGES, color=colour, lw=1.8, label=f"{entry.name} (n = {entry.values.size})"
        )
        if recorded and entry.context_null is not None:
            ax.stairs(
                _shares(entry.context_null[FTV].values),
                EDGES,
                color=NULL_COLOUR,
                lw=1.2,
                ls="--",
                label="null: contexts permuted",
            )
    _draw_rotation(ax, entries)
    a, b = comparison.display[comparison.task_a], comparison.display[comparison.task_b]
    ax.set(
        xlabel=f"fractional task variance ({a}, {b})",
        ylabel="share of active units",
        xlim=(-1.02, 1.02),
        title=title,
    )
    ax.set_ylim(bottom=0)
    return ax


def _draw_rotation(ax: Axes, entries: Sequence[Entry]) -> None:
    for source, colour in (("model", "#003F63"), ("recording", "#7A3500")):
        rotated = [e.rotation[FTV].values.ravel() for e in entries if e.source == source]
        if rotated:
            name = "networks" if source == "model" else "recording"
            ax.stairs(
                _shares(np.concatenate(rotated)),
                EDGES,
                color=colour,
                lw=1.1,
                ls=":",
                label=f"control: rotated {name}",
            )


def draw_variance_scatter(ax: Axes, entry: Entry, comparison: Comparison, colour: str) -> Axes:
    """Draw each unit's task variance in one task against the other, on logarithmic axes."""
    a, b = (
        entry.variance["task_variance"].sel(task=task).values
        for task in (comparison.task_a, comparison.task_b)
    )
    active = entry.ftv["active"].values
    ax.scatter(a[active], b[active], s=7, alpha=0.5, color=colour, lw=0)
    limits = _limits(np.concatenate([a[active], b[active]]))
    ax.plot(limits, limits, color=NULL_COLOUR, lw=0.8)
    units = "" if entry.source == "model" else " ((spikes/s)²)"
    ax.set(
        xscale="log",
        yscale="log",
        xlim=limits,
        ylim=limits,
        aspect="equal",
        xlabel=f"TV {comparison.display[comparison.task_a]}{units}",
        ylabel=f"TV {comparison.display[comparison.task_b]}{units}",
        title=f"{entry.name}\n({entry.protocol})",
    )
    return ax


def draw_example(ax: Axes, entry: Entry, unit: int, task: str, comparison: Comparison) -> Axes:
    """Draw one unit's mean rate in time for each condition of one task."""
    means = entry.examples.isel(unit=unit)
    means = means.isel(condition=means["task"].values == task)
    for place in range(means.sizes["condition"]):
        condition = means.isel(condition=place)
        signs = [float(condition[f"coherence_{m}_sign"]) for m in (1, 2)]
        label = "motion {}, colour {}".format(*("+" if sign > 0 else "−" for sign in signs))
        ax.plot(
            means["time"],
            condition["rate_mean"],
            lw=1.4,
            label=label,
            color=CONDITION_COLOURS[place % 4],
            ls="-" if signs[0] > 0 else "--",
        )
    fraction = float(means["ftv"])
    lines = f"{means['unit'].item()}\n{comparison.display[task]}, FTV {fraction:+.2f}"
    ax.set_title(lines, fontsize=7.5)
    return ax


def figure_ftv(comparison: Comparison) -> Figure:
    """Draw the distributions: matched protocol first, the others beside it."""
    recorded = comparison.of("recording")
    shown = {name: entries for name in PROTOCOLS if (entries := comparison.of("model", name))}
    figure, axes = _figure(1, len(shown), (5 * len(shown), 4.9), comparison)
    for ax, (protocol, entries) in zip(axes[0], shown.items(), strict=True):
        draw_ftv(ax, [*entries, *recorded], comparison, PROTOCOLS[protocol])
        # sample sizes differ by protocol, so each panel has its own key
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return figure


def figure_variance(comparison: Comparison) -> Figure:
    """Draw task variance in both contexts, one panel a source."""
    entries = [*comparison.of("recording"), *comparison.nearest()]
    figure, axes = _figure(1, len(entries), (2.9 * len(entries), 3.3), comparison)
    for ax, entry, colour in zip(axes[0], entries, _colours(entries), strict=True):
        draw_variance_scatter(ax, entry, comparison, colour)
    return figure


def figure_examples(comparison: Comparison) -> Figure:
    """Draw example units of the recording and of the first network, in both contexts."""
    entries = [*comparison.of("recording")[:1], *comparison.of("model", "matched")[:1]]
    n_columns = max(2 * entry.examples.sizes["unit"] for entry in entries)
    figure, axes = _figure(
        len(entries), n_columns, (1.75 * n_columns, 2.5 * len(entries)), comparison
    )
    for row, entry in zip(axes, entries, strict=True):
        for unit in range(entry.examples.sizes["unit"]):
            pair = row[2 * unit : 2 * unit + 2]
            for ax, task in zip(pair, (comparison.task_a, comparison.task_b), strict=True):
                draw_example(ax, entry, unit, task, comparison)
                ax.set_xlabel("time (s)")
            bottom, top = _common_limits(pair, entry.examples.isel(unit=unit))
            for ax in pair:
                ax.set_ylim(bottom, top)
        unit_name = "rate" if entry.source == "model" else "rate (spikes/s)"
        row[0].set_ylabel(f"{entry.name}\n{unit_name}")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


FIGURES: dict[str, tuple[Callable[[Comparison], Figure], str]] = {
    "ftv": (
        figure_ftv,
        "Fractional task variance of the active units. Filled: the recording; lines: networks, "
        "each on its own. Dashed: the recording with context labels permuted within condition. "
        "Dotted: random rotations of the units. One panel a protocol of the networks (the "
        "animals' own, the published test trials, or as recorded); the recording is the same in "
        "each.",
    ),
    "variance": (
        figure_variance,
        "Task variance in both contexts; each point is an active unit (for networks on the "
        "matched protocol, a unit on one axis of targets). The line marks equal variance. "
        "Variances of recordings hold trial noise; those of noise-free networks do not.",
    ),
    "examples": (
        figure_examples,
        "Mean rates by condition (signs of motion and colour coherence) in both contexts: the "
        "active units nearest to the 5th, 50th and 95th percentile of FTV, by rule.",
    ),
}
"""Each figure of the report with its caption."""


def draw(name: str, comparison: Comparison) -> Figure:
    """Draw a figure of the report by name, in the report's style."""
    with mpl.rc_context(STYLE):
        return FIGURES[name][0](comparison)


def data_of(name: str, comparison: Comparison) -> pd.DataFrame:
    """Give the numbers behind a figure, one row a mark."""
    return {"ftv": _ftv_data, "variance": _variance_data, "examples": _examples_data}[name](
        comparison
    )


def _ftv_data(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for entry in comparison.entries:
        kinds = {"observed": entry.values, "rotation": entry.rotation[FTV].values}
        if entry.context_null is not None:
            kinds["context_null"] = entry.context_null[FTV].values
        for kind, values in kinds.items():
            counts = np.histogram(values[np.isfinite(values)], bins=EDGES)[0]
            rows += [
                (entry.name, entry.protocol, kind, round(left, 1), int(n), share)
                for left, n, share in zip(EDGES[:-1], counts, _shares(values), strict=True)
            ]
    columns = ["source", "protocol", "kind", "bin_left", "count", "share"]
    return pd.DataFrame(rows, columns=columns)


def _variance_data(comparison: Comparison) -> pd.DataFrame:
    parts = []
    for entry in comparison.entries:
        table = pd.DataFrame(
            {
                "source": entry.name,
                "protocol": entry.protocol,
                "unit": entry.variance["unit"].values,
            }
        )
        for task in (comparison.task_a, comparison.task_b):
            table[f"tv_{task}"] = entry.variance["task_variance"].sel(task=task).values
        table["ftv"] = entry.ftv[FTV].values
        table["active"] = entry.ftv["active"].values
        if entry.context_null is not None:
            table["p_value"] = entry.context_null["p_value"].values
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _examples_data(comparison: Comparison) -> pd.DataFrame:
    entries = [*comparison.of("recording")[:1], *comparison.of("model", "matched")[:1]]
    parts = []
    for entry in entries:
        kept = entry.examples[["rate_mean", "n_trials"]].reset_coords("task")
        table = kept.to_dataframe().reset_index()
        names = [
            "unit",
            "condition",
            "time",
            "task",
            "coherence_1_sign",
            "coherence_2_sign",
            "rate_mean",
            "n_trials",
        ]
        parts.append(table[names].assign(source=entry.name))
    return pd.concat(parts, ignore_index=True)


def _figure(
    n_rows: int, n_columns: int, size: tuple[float, float], comparison: Comparison
) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    if comparison.simulated:
        figure.suptitle("SIMULATED recording", color="#B00020", fontweight="bold")
    return figure, axes


def _colours(entries: Sequence[Entry]) -> list[str]:
    networks = iter(NETWORK_COLOURS * len(entries))
    return [RECORDING_COLOUR if e.source == "recording" else next(networks) for e in entries]


def _shares(values: Any) -> Any:
    kept = np.asarray(values)[np.isfinite(values)]
    return np.histogram(kept, bins=EDGES)[0] / max(kept.size, 1)


def _common_limits(pair: Sequence[Axes], example: xr.Dataset) -> tuple[float, float]:
    """Give limits that hold both axes, from 0 unless rates are negative, as a tanh unit's are."""
    lows, highs = zip(*(ax.get_ylim() for ax in pair), strict=True)
    negative = bool((example["rate_mean"] < 0).any())
    return (min(lows) if negative else 0.0), max(highs)


def _limits(values: Any) -> tuple[float, float]:
    positive = values[values > 0]
    low, high = np.percentile(positive, [1, 100])
    return float(low) / 2, float(high) * 2
