"""FTV of all pairs of tasks, the shapes of its distributions, and random mixtures of the units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import xarray as xr

from nwbcompare.analysis.selectivity.ftv_shapes import classify_pairs, rotated_pairs, shape_shares
from nwbcompare.analysis.selectivity.kernels.ftv_shapes import SHAPES, UNDECIDED
from nwbcompare.analysis.selectivity.pairwise_ftv import median_histogram, pairwise_ftv
from nwbcompare.plotting.pairwise_ftv import plot_pair, plot_pairs, plot_shape_shares
from nwbcompare.report.page_section import Cell, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.formatting import NAMES, number, refusal_sentences
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

LARGE_PAIRS = ("contextdm1/contextdm2", "fdgo/delaygo", "fdgo/fdanti", "dm1/dm2")
"""Pairs drawn large, where they are there."""


def _applies_to(source: AnalysisSource) -> Refusal | None:
    return None if len(source.tasks) > 1 else Refusal("It has one task only.")


def _compute(
    source: AnalysisSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del cache
    pairs = pairwise_ftv(earlier["variance"]["task"], missing="nan")
    results = Results({"pairs": pairs, "shapes": classify_pairs(pairs)})
    results.attempt(
        "rotated",
        lambda: rotated_pairs(
            source.activity, n_rotations=settings.n_rotations, seed=settings.seed
        ),
        called="rotation of the units",
    )
    return results


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    tables = results["pairs"]
    pairs, shapes = tables["pairs"], tables["shapes"]
    rotated = tables.get("rotated")
    numbers: dict[str, Cell] = {
        kind: int((shapes["shape"].values == kind).sum()) for kind in (*SHAPES, UNDECIDED)
    }
    findings = [
        f"{name}: of {pairs.sizes['pair']} pairs of tasks "
        + ", ".join(f"{n} are {kind}" for kind, n in numbers.items() if n)
        + "."
    ]
    findings += refusal_sentences(name, tables)
    if rotated is not None:
        findings.append(
            f"{name}: the mean s.d. of FTV over pairs is "
            f"{float(rotated['observed_sd'].mean()):.2f}, in {rotated.sizes['rotation']} random "
            f"mixtures of the units {float(rotated['ftv_sd'].mean()):.2f} (no test: rates "
            "and tuning strengths that differ between units alter both)."
        )
    if not pictures:
        return Summary(findings=findings, rows=[{"source": name, **numbers}])
    large = [pair for pair in LARGE_PAIRS if pair in pairs["pair"].values]
    side = 2.5 + 0.42 * _n_tasks(pairs.sizes["pair"])
    panels = [
        picture(
            f"pairs-{name}",
            f"{name}: distributions of FTV (-1 to 1) of the active units for every pair of tasks, "
            "coloured by shape" + (", and the mean of rotated units (line)." if rotated else "."),
            partial(plot_pairs, pairs=pairs, shapes=shapes, rotated=rotated, names=NAMES),
            size=(side, side),
            data=_pair_rows(pairs, shapes),
        )
    ]
    if large:
        panels.append(
            picture(
                f"pairs-large-{name}",
                f"{name}: FTV of some pairs, with 95 % of random mixtures of the units.",
                *(
                    partial(plot_pair, pairs=pairs, pair=pair, rotated=rotated, names=NAMES)
                    for pair in large
                ),
                size=(3.4 * len(large), 3.2),
            )
        )
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=panels)


def _pair_rows(pairs: xr.Dataset, shapes: xr.Dataset) -> list[Row]:
    """Return a row for each pair of tasks."""
    fractions = pairs["fractional_task_variance"]
    mean, sd = fractions.mean("unit").values, fractions.std("unit").values
    return [
        {
            "task A": str(pairs["task_a"].values[place]),
            "task B": str(pairs["task_b"].values[place]),
            "active units": int(pairs["n_active"].values[place]),
            "mean of FTV": number(mean[place]),
            "s.d. of FTV": number(sd[place]),
            "shape": str(shapes["shape"].values[place]),
            "nearest shape": str(shapes["nearest"].values[place]),
        }
        for place in range(pairs.sizes["pair"])
    ]


def _n_tasks(n_pairs: int) -> int:
    """Return the number of tasks that have this number of pairs."""
    return round((1 + math.sqrt(1 + 8 * n_pairs)) / 2)


def _summarise_over(networks: Mapping[str, Results], controls: Mapping[str, Results]) -> Summary:
    del controls
    shares = shape_shares([results["shapes"] for results in networks.values()])
    median = median_histogram([results["pairs"] for results in networks.values()])
    shape_texts = [
        f"{shape} {float(shares['mean'].sel(shape=shape)):.1%} "
        f"[{float(shares['mean_low'].sel(shape=shape)):.1%}, "
        f"{float(shares['mean_high'].sel(shape=shape)):.1%}]"
        for shape in shares["shape"].values
    ]
    findings = [f"Over {len(networks)} networks the shares of pairs are: {', '.join(shape_texts)}."]
    side = 2.5 + 0.42 * _n_tasks(shares.attrs["n_pairs"])
    panels = [
        picture(
            "pairs-over-networks",
            "Shares of pairs per shape, one point a network; mean and 95 % interval over networks.",
            partial(plot_shape_shares, shares=shares),
            size=(5.4, 3.4),
        ),
        picture(
            "pairs-median",
            "The median over networks of the share of active units in each bin, as published.",
            partial(plot_pairs, pairs=median, names=NAMES),
            size=(side, side),
        ),
    ]
    return Summary(findings=findings, pictures=panels)


SECTION = Section(
    name="pairs",
    heading="Fractional task variance of all pairs",
    method="FTV of units active in the pair, 20 bins. Shapes are claimed where their criteria are "
    "shown by exact binomial tests at 95 %, else undecided. Rotations mix all units by one random "
    "orthogonal matrix for all tasks; the threshold is applied again. They describe, and test "
    "nothing.",
    compute=_compute,
    summarise=_summarise,
    summarise_over=_summarise_over,
    applies_to=_applies_to,
    needs=("variance",),
)
