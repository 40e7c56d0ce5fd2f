"""Recorded signals: spike trains and samples, read as rates in bins about events."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    onto_edges,
    smooth_observed,
)

Times = npt.NDArray[np.float64]
Rates = npt.NDArray[np.float32]
ALWAYS = np.array([[-np.inf, np.inf]])
SAME_TIME_S = 1e-6
"""Gap up to which two intervals are joined (s)."""
CLOCK_SHARE = 1e-4
"""Share of the resolution of spike times that counts as their rounding error."""
CELLS_AT_ONCE = 4_000_000
"""Number of values (trials x bins x units) that are computed at a time."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Even bins about an event, with the margin that smoothing needs on both sides.

    Attributes
    ----------
    start_s
        Start of the window, from the event (s).
    bin_s, n_bins
        Bin width (s), and number of bins in the window.
    sd_bins
        Standard deviation of the Gaussian, in bins; 0 for no smoothing.

    Examples
    --------
    >>> grid = Grid(start_s=-0.1, bin_s=0.1, n_bins=3, sd_bins=0)
    >>> grid.edges.round(3).tolist()
    [-0.1, 0.0, 0.1, 0.2]
    """

    start_s: float
    bin_s: float
    n_bins: int
    sd_bins: float

    @property
    def margin(self) -> int:
        """Number of bins on each side of the window that smoothing uses: 4 standard deviations."""
        # where scipy's gaussian_filter1d cuts a Gaussian
        return int(4 * self.sd_bins + 0.5)

    @property
    def centres(self) -> Times:
        """Bin centres (s), ``(bin,)``."""
        return self.start_s + (np.arange(self.n_bins, dtype=np.float64) + 0.5) * self.bin_s

    @cached_property
    def wide_edges(self) -> Times:
        """Edges of the bins and margins (s), ``(bin + 2 margin + 1,)``."""
        places = np.arange(-self.margin, self.n_bins + self.margin + 1, dtype=np.float64)
        return self.start_s + places * self.bin_s

    @property
    def edges(self) -> Times:
        """Edges of the bins (s), ``(bin + 1,)``."""
        return self.wide_edges[self.margin : self.margin + self.n_bins + 1]

    @property
    def kept(self) -> slice:
        """Slice of the window among the bins with margins."""
        return slice(self.margin, self.margin + self.n_bins)

    @property
    def slack_s(self) -> float:
        """Time by which a bin may reach beyond an interval (s), a thousandth of a bin."""
        return EPOCH_TOLERANCE * self.bin_s


class Signal(Protocol):
    """The recorded signal of the units of a session: spike trains or samples."""

    @property
    def sampling_s(self) -> float | None:
        """Sampling interval (s); None for spikes."""

    @property
    def units(self) -> Literal["1", "spikes/s"]:
        """Physical unit of the rates."""

    def observed(self, unit: int) -> Times:
        """Return the intervals in which a unit was recorded (s), ``(interval, 2)``."""

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Return rates about events, ``(trial, time, unit)``, NaN where not observed."""


@dataclass(frozen=True)
class Events:
    """The events of some trials.

    Attributes
    ----------
    origin
        Time of the event (s), ``(trial,)``.
    first, last
        Bounds of the recording of the trial (s), ``(trial,)``; -inf and inf if it was longer.
    stop
        Bins that reach beyond this time (s) are left out, though smoothing of earlier bins uses
        them, ``(trial,)``; inf for none.
    valid
        Intervals (s) in which the whole session was recorded, ``(interval, 2)``; by default always.

    Examples
    --------
    >>> no_bound = np.array([np.inf, np.inf])
    >>> events = Events(np.array([0.5, 2.5]), -no_bound, no_bound, no_bound)
    >>> events.take(np.array([1])).origin.tolist()
    [2.5]
    """

    origin: Times
    first: Times
    last: Times
    stop: Times
    valid: Times = field(default_factory=ALWAYS.copy)

    def take(self, trials: Places) -> Events:
        """Return the events of some of the trials."""
        origin, first, last, stop = (
            times[trials] for times in (self.origin, self.first, self.last, self.stop)
        )
        return Events(origin, first, last, stop, self.valid)

    def observed(self, intervals: Times, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        """Return which bins between edges were recorded, ``(trial, bin)``."""
        inside = bins_inside(self.origin, edges, intervals, grid.slack_s)
        if len(self.valid) > 1:
            inside &= bins_inside(self.origin, edges, self.valid, grid.slack_s)
        if np.isfinite(self.first).any():
            inside &= self.origin[:, None] + edges[:-1] >= self.first[:, None] - grid.slack_s
        if np.isfinite(self.last).any():
            inside &= ~self._beyond(self.last, grid, edges)
        return inside

    def left_out(self, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        """Return which bins between edges reach beyond the stop, ``(trial, bin)``."""
        return self._beyond(self.stop, grid, edges)

    def _beyond(self, bound: Times, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
        return self.origin[:, None] + edges[1:] > bound[:, None] + grid.slack_s


@dataclass(frozen=True)
class SpikeTrains:
    """Spike times by unit.

    Attributes
    ----------
    times
        Returns the spike times of a unit (s), ascending.
    intervals
        Intervals in which each unit was recorded (s), ``(interval, 2)``; by default always.
    between
        Returns the spike times of a unit (s), ascending, between two times at least; for sources
        that need not read all of them.
    rounding_s, single
        Largest error of spike times (s), and whether they were stored in single precision: a spike
        that little before the edge of a bin is on it; see `nwbcompare.kernels.spikes.onto_edges`.
    resolution_s
        Smallest difference of two spike times (s), the tick of their clock; 0 if it is not known.
        A ten-thousandth of it counts as rounding error.

    Examples
    --------
    >>> trains = SpikeTrains(lambda unit: np.array([0.1, 0.15, 0.3]))
    >>> grid = Grid(start_s=0.0, bin_s=0.2, n_bins=2, sd_bins=0)
    >>> no_bound = np.array([np.inf])
    >>> events = Events(np.array([0.0]), -no_bound, no_bound, no_bound)
    >>> trains.rates(np.array([0]), events, grid)[0, :, 0].tolist()
    [10.0, 5.0]
    """

    times: Callable[[int], Times]
    intervals: Sequence[Times] | None = None
    between: Callable[[int, float, float], Times] | None = None
    rounding_s: float = 0.0
    single: bool = False
    resolution_s: float = 0.0
    sampling_s: None = None
    units: Literal["1", "spikes/s"] = "spikes/s"

    def observed(self, unit: int) -> Times:
        """Return the intervals in which a unit was recorded (s), ``(interval, 2)``."""
        if self.intervals is None:
            return ALWAYS
        return merge_intervals(self.intervals[unit], SAME_TIME_S)

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Return rates about events (spikes/s), ``(trial, time, unit)``."""
        rates = np.empty((events.origin.size, grid.n_bins, units.size), dtype=np.float32)
        for place, unit in enumerate(units):
            observed = events.observed(self.observed(int(unit)), grid, grid.wide_edges)
            times = onto_edges(
                self._near(int(unit), events.origin, grid),
                grid.bin_s,
                max(self.rounding_s, CLOCK_SHARE * self.resolution_s),
                single=self.single,
            )
            counts = count_in_windows(times, events.origin, grid.wide_edges)
            rates[:, :, place] = smooth_observed(
                counts, observed, grid.sd_bins, 1 / grid.bin_s, grid.kept
            )
        return rates

    def _near(self, unit: int, origins: Times, grid: Grid) -> Times:
        """Return the spike times in the windows about events, and possibly more."""
        if self.between is None:
            return self.times(unit)
        # a bin more, whose last spikes may be on the first edge
        first = float(origins.min() + grid.wide_edges[0] - grid.bin_s)
        return self.between(unit, first, float(origins.max() + grid.wide_edges[-1]))


class Stamps(Protocol):
    """Ascending times of samples (s): an array, or an object that reads them from a file."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, place: Any, /) -> Any:
        """Return one time by its index, or the array of a slice."""


@dataclass(frozen=True)
class Samples:
    """Simultaneous samples of all units, e.g. fluorescence or rates.

    The value of a bin is the mean of its samples. A bin is not observed if one of them is NaN, or
    if it reaches beyond the samples. At uneven times a bin may fall between two samples: its value
    is then the sample nearest to its centre, within three quarters of the sampling interval.

    Attributes
    ----------
    read
        Returns the samples of some units, ``(sample, unit)``, from one index to before another.
    n_samples
        Number of samples.
    start_s, sampling_s
        Time of the first sample, and sampling interval (s).
    times
        For samples at uneven times, returns all times (s), ascending.

    Examples
    --------
    >>> data = np.array([[1.0], [3.0], [5.0], [7.0]])
    >>> samples = Samples(lambda a, b, units: data[a:b, units], 4, start_s=0.0, sampling_s=0.1)
    >>> grid = Grid(start_s=0.0, bin_s=0.2, n_bins=2, sd_bins=0)
    >>> no_bound = np.array([np.inf])
    >>> events = Events(np.array([0.0]), -no_bound, no_bound, no_bound)
    >>> samples.rates(np.array([0]), events, grid)[0, :, 0].tolist()
    [2.0, 6.0]
    """

    read: Callable[[int, int, Places], npt.NDArray[Any]]
    n_samples: int
    start_s: float
    sampling_s: float
    times: Callable[[], Stamps] | None = None
    units: Literal["1", "spikes/s"] = "1"

    def observed(self, unit: int) -> Times:  # noqa: ARG002 - all units share the samples
        """Return the interval in which bins have all their samples (s), ``(1, 2)``."""
        return self._span

    @cached_property
    def _span(self) -> Times:
        first, last = self.start_s, self.start_s + (self.n_samples - 1) * self.sampling_s
        if self.times is not None:
            stamps = self.times()
            first, last = float(stamps[0]), float(stamps[-1])
        # the position of a sample in its bin is unknown: a bin is complete until one more would fit
        return np.array([[first - 0.99 * self.sampling_s, last + self.sampling_s]])

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        """Return means of the samples in bins about events, ``(trial, time, unit)``."""
        n_trials, n_wide = events.origin.size, grid.wide_edges.size - 1
        rates = np.empty((n_trials, grid.n_bins, units.size), dtype=np.float32)
        stamps = None if self.times is None else self.times()
        at_once = max(1, CELLS_AT_ONCE // (n_wide * max(units.size, 1)))
        # trials in groups, so that memory is bounded by the group and not by the session
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
        """Return the means of samples between edges, ``(bin, unit)``."""
        bounds = self._bounds(edges, grid, stamps)
        # one more on either side, for bins that fall between two samples
        low, high = max(int(bounds[0]) - 1, 0), min(int(bounds[-1]) + 1, self.n_samples)
        samples = np.asarray(self.read(low, high, units), dtype=np.float64)
        if np.isinf(samples).any():
            raise InputError(
                "samples",
                "finite numbers, or NaN where nothing was observed",
                "infinite ones",
                "Look for a division by 0 in the code that computed them.",
            )
        # float64 means of all samples of a bin; a NaN among them makes the bin NaN
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
        """Return the index of each bin's first sample; a sample near an edge counts as on it."""
        if stamps is not None:
            bounds_s = edges - grid.slack_s
            first, last = bisect_left(stamps, bounds_s[0]), bisect_left(stamps, bounds_s[-1])
            return first + np.searchsorted(np.asarray(stamps[first:last]), bounds_s)
        steps = (edges - self.start_s) / self.sampling_s
        per_bin = grid.bin_s / self.sampling_s
        if abs(per_bin - round(per_bin)) < EPOCH_TOLERANCE / edges.size:
            # a whole number of samples per bin, kept exact in spite of rounding errors in edges
            places = np.ceil(steps[0] - EPOCH_TOLERANCE) + np.arange(edges.size) * round(per_bin)
        else:
            places = np.ceil(steps - EPOCH_TOLERANCE)
        bounds: npt.NDArray[np.int64] = np.clip(places, 0, self.n_samples).astype(np.int64)
        return bounds
