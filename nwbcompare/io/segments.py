"""Signals that were sampled in several segments, with gaps between them."""

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
        The samples.
    channel
        Channel of each unit, ``(unit,)``; -1 for a unit that was not recorded in the segment.
    """

    samples: Samples
    channel: Places

    @property
    def span(self) -> Times:
        """Start and stop of the segment (s), ``(1, 2)``."""
        if self.samples.times is None:
            return self.samples.observed(0)
        # stamps are centres: the first and the last sample reach half an interval further
        half = self.samples.sampling_s / 2
        stamps = self.samples.times()
        return np.array([[stamps[0] - half, stamps[-1] + half]])


@dataclass(frozen=True)
class SampledSegments:
    """Samples that were recorded in segments (neo) or epochs (pynapple).

    A bin counts as observed if samples of one segment fill it.

    Attributes
    ----------
    parts
        The segments, with one sampling interval.

    Raises
    ------
    InputError
        If sampling intervals differ by more than a thousandth.
    """

    parts: Sequence[SampledSegment]

    def __post_init__(self) -> None:
        """Check that segments have the same sampling interval."""
        steps = [part.samples.sampling_s for part in self.parts]
        if max(steps) - min(steps) > EPOCH_TOLERANCE * min(steps):
            raise InputError(
                "samples",
                "one sampling interval throughout",
                f"{min(steps):g} to {max(steps):g} s",
                "Convert the recordings one by one.",
            )

    @property
    def sampling_s(self) -> float:
        """Sampling interval (s)."""
        return self.parts[0].samples.sampling_s

    @property
    def units(self) -> Literal["1", "spikes/s"]:
        """Physical unit of the samples."""
        return self.parts[0].samples.units

    def observed(self, unit: int) -> Times:
        """Return the intervals in which a unit was recorded (s), ``(interval, 2)``."""
        recorded = self._channels[:, unit] >= 0
        return merge_intervals(self._spans[recorded])

    @cached_property
    def _spans(self) -> Times:
        """Start and stop of the segments (s), ``(segment, 2)``."""
        return np.concatenate([part.span for part in self.parts])

    @cached_property
    def _channels(self) -> Places:
        """Channel of each unit, ``(segment, unit)``."""
        return np.stack([part.channel for part in self.parts])

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Return means of the samples in bins about events, ``(trial, time, unit)``."""
        shape = (events.origin.size, grid.n_bins, units.size)
        rates = np.full(shape, np.nan, dtype=np.float32)
        start = events.origin + grid.start_s
        stop = start + grid.n_bins * grid.bin_s
        # from the first sample to the last: bins outside have no samples
        inside = self._spans + np.array([0.5, -0.5]) * self.sampling_s
        for part, (first, last) in zip(self.parts, inside, strict=True):
            near = np.flatnonzero((stop > first) & (start - grid.slack_s <= last))
            here = np.flatnonzero(part.channel[units] >= 0)
            if near.size and here.size:
                means = _padded(part.samples, grid.bin_s).rates(
                    part.channel[units[here]], events.take(near), grid
                )
                cells = np.ix_(near, np.arange(grid.n_bins), here)
                # NaN of this segment must not erase what another one has
                rates[cells] = np.where(np.isnan(means), rates[cells], means)
        return rates


def _padded(samples: Samples, bin_s: float) -> Samples:
    """Return samples padded with NaN, so that a bin beyond their ends is not observed."""
    if samples.times is not None:
        return samples
    # one sample more than a bin has, so that the first bin beyond the end is padding alone
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
