"""Samples in several segments, with nothing recorded between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nwbcompare.core.activity import EPOCH_TOLERANCE
from nwbcompare.core.errors import InputError
from nwbcompare.core.lazy import Places
from nwbcompare.io.sessions.recorded_signals import Events, Grid, Rates, Samples, Times
from nwbcompare.kernels.spikes import merge_intervals


@dataclass(frozen=True)
class SampledSegment:
    """One segment of samples.

    Attributes
    ----------
    samples
        Its samples.
    channel
        ``(unit,)``: which of its channels is a unit's; -1: none, the unit was not recorded.
    """

    samples: Samples
    channel: Places

    @property
    def span(self) -> Times:
        """The interval ``(1, 2)`` that the samples fill (s)."""
        if self.samples.times is None:
            return self.samples.observed(0)
        half = self.samples.sampling_s / 2
        stamps = self.samples.times()
        return np.array([[stamps[0] - half, stamps[-1] + half]])


@dataclass(frozen=True)
class SampledSegments:
    """Samples that were recorded in segments, as neo calls them; pynapple has epochs.

    A bin that is not filled with samples of one segment was not observed.
    """

    parts: Sequence[SampledSegment]

    def __post_init__(self) -> None:
        """Refuse segments that were sampled differently."""
        steps = [part.samples.sampling_s for part in self.parts]
        if max(steps) - min(steps) > EPOCH_TOLERANCE * min(steps):
            raise InputError(
                "samples",
                "one sampling interval throughout",
                f"{min(steps):g} to {max(steps):g} s",
                "Take the recordings one by one.",
            )

    @property
    def sampling_s(self) -> float:
        """Interval between samples (s)."""
        return self.parts[0].samples.sampling_s

    @property
    def units(self) -> Literal["1", "spikes/s"]:
        """Units of the samples."""
        return self.parts[0].samples.units

    def observed(self, unit: int) -> Times:
        """Give the intervals in which a unit was recorded."""
        there = self._channels[:, unit] >= 0
        return merge_intervals(self._spans[there])

    @cached_property
    def _spans(self) -> Times:
        """Intervals ``(part, 2)`` that the parts fill (s)."""
        return np.concatenate([part.span for part in self.parts])

    @cached_property
    def _channels(self) -> Places:
        """Channels ``(part, unit)``."""
        return np.stack([part.channel for part in self.parts])

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Give means of the samples in bins ``(trial, time, unit)`` about events."""
        shape = (events.origin.size, grid.n_bins, units.size)
        rates = np.full(shape, np.nan, dtype=np.float32)
        start = events.origin + grid.start_s
        stop = start + grid.n_bins * grid.bin_s
        # from the first sample to the last: a bin without any has nothing to be filled with
        inside = self._spans + np.array([0.5, -0.5]) * self.sampling_s
        for part, (first, last) in zip(self.parts, inside, strict=True):
            near = np.flatnonzero((stop > first) & (start - grid.slack_s <= last))
            here = np.flatnonzero(part.channel[units] >= 0)
            if near.size and here.size:
                own = _padded(part.samples, grid.bin_s).rates(
                    part.channel[units[here]], events.take(near), grid
                )
                cells = np.ix_(near, np.arange(grid.n_bins), here)
                rates[cells] = np.where(np.isnan(own), rates[cells], own)
        return rates


def _padded(samples: Samples, bin_s: float) -> Samples:
    """Put NaN around samples, so that a bin which reaches beyond them is not observed."""
    if samples.times is not None:
        return samples
    pad = int(np.ceil(bin_s / samples.sampling_s)) + 1

    def read(start: int, stop: int, channels: Places) -> npt.NDArray[Any]:
        values = np.full((stop - start, channels.size), np.nan)
        low = min(max(start - pad, 0), samples.n_samples)
        high = min(max(stop - pad, low), samples.n_samples)
        if high > low:
            at = slice(low + pad - start, high + pad - start)
            values[at] = samples.read(low, high, channels)
        return values

    return Samples(
        read=read,
        n_samples=samples.n_samples + 2 * pad,
        start_s=samples.start_s - pad * samples.sampling_s,
        sampling_s=samples.sampling_s,
        units=samples.units,
    )
