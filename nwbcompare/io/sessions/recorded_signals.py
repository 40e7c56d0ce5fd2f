"""What was recorded: spike trains and samples, as rates on a grid of bins about events."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from nwbcompare.core.activity import EPOCH_TOLERANCE
from nwbcompare.core.errors import InputError
from nwbcompare.core.lazy import Places
from nwbcompare.kernels.spikes import (
    bins_inside,
    count_in_windows,
    mean_in_bins,
    merge_intervals,
    nearest_place,
    smooth_observed,
)

Times = npt.NDArray[np.float64]
Rates = npt.NDArray[np.float32]
ALWAYS = np.array([[-np.inf, np.inf]])
SAME_TIME_S = 1e-6
"""Intervals that are no further apart are one."""
CELLS_AT_ONCE = 4_000_000
"""Values of trials, bins and units that are worked on at a time."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Even bins about an event, with the margin that smoothing needs on both sides."""

    start_s: float
    bin_s: float
    n_bins: int
    sd_bins: float

    @property
    def margin(self) -> int:
        """Bins beyond the window that smoothing looks at."""
        return int(4 * self.sd_bins + 0.5)

    @property
    def centres(self) -> Times:
        """Bin centres (s)."""
        return self.start_s + (np.arange(self.n_bins, dtype=np.float64) + 0.5) * self.bin_s

    @cached_property
    def wide_edges(self) -> Times:
        """Edges (s) of the bins and the margins."""
        places = np.arange(-self.margin, self.n_bins + self.margin + 1, dtype=np.float64)
        return self.start_s + places * self.bin_s

    @property
    def edges(self) -> Times:
        """Edges (s) of the bins."""
        return self.wide_edges[self.margin : self.margin + self.n_bins + 1]

    @property
    def kept(self) -> slice:
        """Where the window lies among the wide bins."""
        return slice(self.margin, self.margin + self.n_bins)

    @property
    def slack_s(self) -> float:
        """By how much a bin may reach over the bound of what was observed."""
        return EPOCH_TOLERANCE * self.bin_s


class Signal(Protocol):
    """What was recorded of the units of a session."""

    @property
    def sampling_s(self) -> float | None:
        """Sampling interval (s); None for spikes."""

    @property
    def units(self) -> Literal["1", "spikes/s"]:
        """Units of the rates."""

    def observed(self, unit: int) -> Times:
        """Give the intervals ``(interval, 2)`` in which a unit was recorded (s)."""

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Give rates ``(trial, time, unit)`` about events."""


@dataclass(frozen=True)
class Events:
    """The events of some trials.

    Attributes
    ----------
    origin
        ``(trial,)``: time of the event (s).
    first, last
        ``(trial,)``: nothing was recorded of the trial before and after (s); -inf and inf where
        recording went on.
    stop
        ``(trial,)``: bins that reach beyond it (s) are left out, though they serve the
        smoothing of those before; inf: none are.
    """

    origin: Times
    first: Times
    last: Times
    stop: Times

    def take(self, trials: Places) -> Events:
        """Give the events of some of the trials."""
        return Events(self.origin[trials], self.first[trials], self.last[trials], self.stop[trials])

    def observed(self, intervals: Times, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        """Tell which bins between edges were recorded, ``(trial, bin)``."""
        inside = bins_inside(self.origin, edges, intervals, grid.slack_s)
        if np.isfinite(self.first).any():
            inside &= self.origin[:, None] + edges[:-1] >= self.first[:, None] - grid.slack_s
        if np.isfinite(self.last).any():
            inside &= ~self._beyond(self.last, grid, edges)
        return inside

    def left_out(self, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        """Tell which bins between edges reach beyond the stop, ``(trial, bin)``."""
        return self._beyond(self.stop, grid, edges)

    def _beyond(self, bound: Times, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        beyond: npt.NDArray[np.bool_] = (
            self.origin[:, None] + edges[1:] > bound[:, None] + grid.slack_s
        )
        return beyond


@dataclass(frozen=True)
class SpikeTrains:
    """Spike times by unit.

    Attributes
    ----------
    times
        Gives the spike times (s), ascending, of a unit.
    intervals
        For each unit the intervals ``(interval, 2)`` in which it was recorded (s); None:
        always, so that no spikes mean silence.
    between
        Gives those of a unit's spike times, ascending, that are not before one time nor after
        another (or some more), where that costs less than all.
    """

    times: Callable[[int], Times]
    intervals: Sequence[Times] | None = None
    between: Callable[[int, float, float], Times] | None = None
    sampling_s: None = None
    units: Literal["1", "spikes/s"] = "spikes/s"

    def observed(self, unit: int) -> Times:
        """Give the intervals in which a unit was recorded."""
        if self.intervals is None:
            return ALWAYS
        return merge_intervals(self.intervals[unit], SAME_TIME_S)

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Give rates ``(trial, time, unit)`` in spikes/s about events."""
        rates = np.empty((events.origin.size, grid.n_bins, units.size), dtype=np.float32)
        for place, unit in enumerate(units):
            observed = events.observed(self.observed(int(unit)), grid, grid.wide_edges)
            times = self._near(int(unit), events.origin, grid.wide_edges)
            counts = count_in_windows(times, events.origin, grid.wide_edges)
            rates[:, :, place] = smooth_observed(
                counts, observed, grid.sd_bins, 1 / grid.bin_s, grid.kept
            )
        return rates

    def _near(self, unit: int, origins: Times, edges: Times) -> Times:
        """Give at least the spike times in the windows about events."""
        if self.between is None:
            return self.times(unit)
        return self.between(unit, float(origins.min() + edges[0]), float(origins.max() + edges[-1]))


class Stamps(Protocol):
    """The ascending times (s) of samples: an array, or what reads them."""

    def __len__(self) -> int:
        """Give how many there are."""

    def __getitem__(self, place: Any, /) -> Any:
        """Give one by its place, or the array of those of a slice."""


@dataclass(frozen=True)
class Samples:
    """Samples of all units at once, such as fluorescence or rates.

    A bin is the mean of the samples in it, and not observed where one of them is NaN or where
    it reaches beyond the samples. Where times are uneven, a bin may fall between two samples:
    it is the one nearest to its middle, within three quarters of the sampling interval.

    Attributes
    ----------
    read
        Gives the samples ``(sample, unit)`` from a place up to another, of some units.
    n_samples
        How many there are.
    start_s, sampling_s
        Time (s) of the first sample and the interval between samples.
    times
        For samples at uneven times: gives all of them (s), ascending.
    """

    read: Callable[[int, int, Places], npt.NDArray[Any]]
    n_samples: int
    start_s: float
    sampling_s: float
    times: Callable[[], Stamps] | None = None
    units: Literal["1", "spikes/s"] = "1"

    def observed(self, unit: int) -> Times:  # noqa: ARG002 - all units share the samples
        """Give the interval in which bins have all their samples."""
        return self._span

    @cached_property
    def _span(self) -> Times:
        first, last = self.start_s, self.start_s + (self.n_samples - 1) * self.sampling_s
        if self.times is not None:
            stamps = self.times()
            first, last = float(stamps[0]), float(stamps[-1])
        # where a sample stands in its bin is not known: a bin is whole until one more would fit
        return np.array([[first - 0.99 * self.sampling_s, last + self.sampling_s]])

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Give means of the samples in bins ``(trial, time, unit)`` about events."""
        n_trials, n_wide = events.origin.size, grid.wide_edges.size - 1
        rates = np.empty((n_trials, grid.n_bins, units.size), dtype=np.float32)
        stamps = None if self.times is None else self.times()
        at_once = max(1, CELLS_AT_ONCE // (n_wide * max(units.size, 1)))
        for block in range(0, n_trials, at_once):
            some = np.arange(block, min(block + at_once, n_trials))
            near = events.take(some)
            inside = near.observed(self._span, grid, grid.wide_edges)
            values = np.full((some.size, n_wide, units.size), np.nan)
            for trial in np.flatnonzero(inside.any(axis=1)):
                edges = near.origin[trial] + grid.wide_edges
                values[trial] = self._means(edges, grid, units, stamps)
            # all units at once: a row for each unit and trial
            rows = values.transpose(2, 0, 1).reshape(-1, n_wide)
            observed = np.tile(inside, (units.size, 1)) & ~np.isnan(rows)
            smoothed = smooth_observed(rows, observed, grid.sd_bins, 1.0, grid.kept)
            rates[some] = smoothed.reshape(units.size, some.size, -1).transpose(1, 2, 0)
        return rates

    def _means(self, edges: Times, grid: Grid, units: Places, stamps: Stamps | None) -> Times:
        """Average the samples between edges, ``(bin, unit)``."""
        bounds = self._bounds(edges, grid, stamps)
        # one more on either side, for bins that fall between two samples
        low, high = max(int(bounds[0]) - 1, 0), min(int(bounds[-1]) + 1, self.n_samples)
        samples = np.asarray(self.read(low, high, units), dtype=np.float64)
        if np.isinf(samples).any():
            raise InputError(
                "samples",
                "finite numbers, or NaN where nothing was observed",
                "infinite ones",
                "Look for a division by zero in what made them.",
            )
        means = mean_in_bins(samples, bounds - low)
        empty = np.flatnonzero(np.diff(bounds) == 0)
        if empty.size and high > low:
            times = self._times(low, high, stamps)
            middles = (edges[empty] + edges[empty + 1]) / 2
            nearest = nearest_place(times, middles)
            close = np.abs(times[nearest] - middles) <= 0.75 * self.sampling_s
            means[empty[close]] = samples[nearest[close]]
        return means

    def _times(self, first: int, last: int, stamps: Stamps | None) -> Times:
        if stamps is not None:
            return np.asarray(stamps[first:last], dtype=np.float64)
        return self.start_s + np.arange(first, last, dtype=np.float64) * self.sampling_s

    def _bounds(self, edges: Times, grid: Grid, stamps: Stamps | None) -> npt.NDArray[np.int64]:
        """Give the place of the first sample of each bin; a sample near an edge is on it."""
        if stamps is not None:
            wanted = edges - grid.slack_s
            first, last = bisect_left(stamps, wanted[0]), bisect_left(stamps, wanted[-1])
            return first + np.searchsorted(np.asarray(stamps[first:last]), wanted)
        steps = (edges - self.start_s) / self.sampling_s
        a_bin = grid.bin_s / self.sampling_s
        if abs(a_bin - round(a_bin)) < EPOCH_TOLERANCE / edges.size:
            # whole samples a bin: counted from the first, so that rounding cannot make one differ
            places = np.ceil(steps[0] - EPOCH_TOLERANCE) + np.arange(edges.size) * round(a_bin)
        else:
            places = np.ceil(steps - EPOCH_TOLERANCE)
        bounds: npt.NDArray[np.int64] = np.clip(places, 0, self.n_samples).astype(np.int64)
        return bounds
