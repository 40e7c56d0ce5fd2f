"""Layout of the blocks of an activity in a native file: rows, samples and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from nwbcompare.core.activity import is_ragged
from nwbcompare.io.nwb.format_names import CHANNEL_SERIES, RATE_SERIES, UNIT_TABLES
from nwbcompare.io.nwb.native_tables import TrialTimes, with_free_names

Layout = Literal["dense", "ragged"]


@dataclass(frozen=True)
class Leaf:
    """A block and its place in the file.

    Attributes
    ----------
    name, block
        Name of the leaf, and its block, with reserved trial columns renamed.
    renamed
        Original names of renamed columns, by their new names.
    layout
        "dense" or "ragged".
    first_row, first_sample
        First row in the trials table, and first sample in the series.
    times
        Times of the trials on the file's clock.
    """

    name: str
    block: xr.Dataset
    renamed: Mapping[str, str]
    layout: Layout
    first_row: int
    first_sample: int
    times: TrialTimes

    @property
    def n_rows(self) -> int:
        """Number of rows in the trials table."""
        return int(self.block["rate"].shape[0])

    @property
    def n_samples(self) -> int:
        """Number of samples in the series."""
        return self.n_rows * self.block.sizes["time"]


@dataclass(frozen=True)
class Plan:
    """Blocks in the order of the file: dense ones first, so that each series is contiguous.

    Attributes
    ----------
    leaves
        The blocks.
    width_s, start_s
        Bin width, and start of the first bin on the file's clock (s).
    order
        Names of the leaves in the order of the activity.
    """

    leaves: Sequence[Leaf]
    width_s: float
    start_s: float
    order: Sequence[str]

    def of_layout(self, layout: str) -> list[Leaf]:
        """Return the leaves of a layout."""
        return [leaf for leaf in self.leaves if leaf.layout == layout]

    def series(self) -> Iterator[tuple[str, str, list[Leaf]]]:
        """Yield the name of each series, its variable and its leaves."""
        for layout in ("dense", "ragged"):
            leaves = self.of_layout(layout)
            if leaves:
                yield self.rate_series(leaves[0]), "rate", leaves
        for name in CHANNEL_SERIES:
            leaves = [leaf for leaf in self.leaves if name in leaf.block]
            if leaves and leaves == self.of_layout("dense"):
                yield name, name, leaves

    def rate_series(self, leaf: Leaf) -> str:
        """Return the name of the series with a leaf's rates."""
        return RATE_SERIES[leaf.block.attrs["source"], leaf.layout]

    @property
    def n_dense_samples(self) -> int:
        """Number of samples of the dense series, which the ragged series follows."""
        return sum(leaf.n_samples for leaf in self.of_layout("dense"))

    def in_given_order(self) -> list[Leaf]:
        """Return the leaves in the order of the activity."""
        return sorted(self.leaves, key=lambda leaf: self.order.index(leaf.name))

    @property
    def unit_table(self) -> str:
        """Name of the unit table."""
        return UNIT_TABLES[self.leaves[0].block.attrs["source"]]


def make_plan(parts: Mapping[str, xr.Dataset], width: float) -> Plan:
    """Return the layout of blocks with their trials end to end.

    Parameters
    ----------
    parts
        Blocks by leaf.
    width
        Bin width (s), the same for all.
    """
    # trials that begin after their event are shifted, so that no event has a negative time
    start_s = max(0.0, *(_left_edge(block) for block in parts.values()))
    leaves: list[Leaf] = []
    row = bins = sample = 0
    # two series, each counted from its own first sample, on one clock
    for layout in ("dense", "ragged"):
        sample = 0
        for name, block in parts.items():
            if is_ragged(block) != (layout == "ragged"):
                continue
            n_rows, n_bins = block["rate"].shape[0], block.sizes["time"]
            start = start_s + (bins + np.arange(n_rows, dtype=np.float64) * n_bins) * width
            times = TrialTimes(start, start + n_bins * width, start - _left_edge(block))
            table, renamed = with_free_names(block)
            kind: Layout = "ragged" if is_ragged(block) else "dense"
            leaf = Leaf(name, table, renamed, kind, row, sample, times)
            leaves.append(leaf)
            row += n_rows
            sample += leaf.n_samples
            bins += leaf.n_samples
    return Plan(leaves, width, start_s, list(parts))


def _left_edge(block: xr.Dataset) -> float:
    """Return the start of the first bin, from the event (s)."""
    return float(block["time"].values[0]) - float(block["time"].attrs["bin_width_s"]) / 2
