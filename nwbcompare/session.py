"""Sessions: trials, units and what was recorded of them, before they are laid on one clock.

Every kind of file or object with trials (NWB, neo, pynapple) becomes sessions, and this module
alone makes an activity of them: it aligns, bins and smooths, leaves out what was not observed,
and joins the tables of several sessions.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.activity import (
    EPOCH_TOLERANCE,
    Source,
    encode_labels,
    is_text,
    make_activity,
    make_block,
)
from nwbcompare.errors import InputError, UnitWarning, listing, unknown_name
from nwbcompare.kernels.spikes import (
    bins_inside,
    count_in_windows,
    mean_in_bins,
    merge_intervals,
    nearest_place,
    smooth_observed,
)
from nwbcompare.lazy import Places, lazy_variable

Times = npt.NDArray[np.float64]
Rates = npt.NDArray[np.float32]
Column = npt.NDArray[Any]
ALWAYS = np.array([[-np.inf, np.inf]])
DEFAULT_BIN_S = 0.05
SAME_TIME_S = 1e-6
"""Intervals that are no further apart are one."""
MOST_BINS = 10_000_000
CELLS_AT_ONCE = 4_000_000
"""Values of trials, bins and units that are worked on at a time."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How sessions are to be laid on one clock.

    Attributes
    ----------
    align
        The trial column with the time (s) of the event that becomes time 0.
    window
        Start and stop (s) about the event; None: from the event to the end of the longest
        trial, where what lies after a trial's own end counts as not observed.
    bin
        Width of the bins (s); None: 0.05 s for spikes, the sampling interval for samples. An
        incomplete last bin is dropped.
    smooth
        Standard deviation (s) of a Gaussian; bins beyond the window serve it too.
    task
        The trial column that names the task; None: ``task`` where there is one, else all
        trials are of one task, named after the source.
    conditions
        The trial columns whose combinations are conditions; None: none are known.
    """

    align: str = "start_time"
    window: tuple[float, float] | None = None
    bin: float | None = None
    smooth: float = 0.0
    task: str | None = None
    conditions: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a window, a bin, a smoothing or a list of columns."""
        if self.window is not None:
            if not _is_window(self.window):
                raise InputError(
                    "window", "(start, stop) in s, ascending", repr(self.window), "Use (-0.5, 1.0)."
                )
            start, stop = self.window
            object.__setattr__(self, "window", (float(start), float(stop)))
        if self.bin is not None and not (_is_number(self.bin) and 0 < self.bin < np.inf):
            raise InputError("bin", "a width above 0 s", repr(self.bin), "Use 0.05.")
        if not (_is_number(self.smooth) and 0 <= self.smooth < np.inf):
            raise InputError("smooth", "0 s or more", repr(self.smooth), "Use 0.04.")
        if isinstance(self.conditions, str):
            raise InputError(
                "conditions",
                "a list of trial columns",
                repr(self.conditions),
                f"Use [{self.conditions!r}].",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_window(window: object) -> bool:
    """Tell whether something is two finite, ascending times, in whatever holds them."""
    if not isinstance(window, Sequence | np.ndarray) or len(window) != 2:
        return False
    start, stop = window
    return (
        _is_number(start) and _is_number(stop) and bool(np.isfinite(window).all()) and start < stop
    )


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


@dataclass(frozen=True, kw_only=True)
class Session:
    """One recording session.

    Attributes
    ----------
    name
        Its id.
    trials
        Trial columns by name, each ``(trial,)``, times in s.
    units
        Columns of the unit table by name, each ``(unit,)``; ``unit`` is needed.
    signal
        What was recorded.
    trial_attrs
        Attributes of trial columns.
    epochs
        For each epoch its start and stop (s) about ``event``, each ``(trial,)``.
    event
        The trial column with the time (s) that epochs are told from.
    apart
        Whether each trial was recorded by itself: what lies before its ``start_time`` or
        after its ``stop_time`` is not of it.
    left_out
        Trial columns that were left out, since they have no plain value for each trial.
    held
        Holds open what the signal is read from, while much is read.
    """

    name: str
    trials: Mapping[str, Column]
    units: Mapping[str, Column]
    signal: Signal
    trial_attrs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: Mapping[str, tuple[Times, Times]] = field(default_factory=dict)
    event: str = "start_time"
    apart: bool = False
    left_out: Sequence[str] = ()
    held: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def n_units(self) -> int:
        """How many units it has."""
        return len(self.units["unit"])

    def event_times(self, align: str) -> Times:
        """Give the times (s) of an event by trial; NaN where a trial lacks it."""
        timed = [name for name, column in self.trials.items() if column.dtype.kind in "fiu"]
        if align not in timed:
            raise unknown_name(f"align (session {self.name!r})", align, timed)
        return np.asarray(self.trials[align], dtype=np.float64)


def lay_on_one_clock(
    sessions: Sequence[Session],
    reading: Reading,
    *,
    name: str,
    leaf: str | None = None,
    aligned_to: str | None = None,
    source: Source = "recording",
    deterministic: bool = False,
    condition_variables: Mapping[str, Sequence[str]] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Make an activity of sessions; rates are read when they are looked at.

    Parameters
    ----------
    sessions
        At least one; several have units and trials of their own. Names that repeat are
        numbered.
    reading
        How to align, bin and smooth.
    name
        What figures and tables call it.
    leaf
        Name of the only block; by default ``name``.
    aligned_to
        What to call the event; by default the column's name.
    source
        "recording" or "model".
    deterministic
        Whether the rates hold no noise at all.
    condition_variables
        For each task its condition variables, where the reading names none.
    provenance
        Where the sessions came from.

    Returns
    -------
    xarray.DataTree
        One block: dense where a lone session's units were recorded in all its trials, else
        ragged, with a row for each unit and trial in which at least one bin was observed.

    Raises
    ------
    InputError
        For columns that do not exist, a window without bins, sessions of spikes and samples
        at once, and where no trial has the event or no unit was recorded in a trial.

    Warns
    -----
    UserWarning
        For trials left out since they lack the event, and where no column names the task.
    UnitWarning
        For units left out since no trial was recorded of them.
    """
    sessions = _with_events(_named_apart(sessions), reading.align)
    grid = _grid(sessions, reading)
    sessions, observed = _seen_units(
        sessions, [_observed(session, _events(session, reading), grid) for session in sessions]
    )
    events = [_events(session, reading) for session in sessions]
    trials, attrs = _trial_table(sessions)
    trials["task"], attrs["task"] = _tasks(trials, attrs, reading.task, name)
    rows = _rows(observed)
    columns = {k: (values[rows.trial], attrs[k]) for k, values in trials.items()}
    if rows.unit is not None:
        columns["observation_trial"] = (rows.trial.astype(np.int32), {})
    block = make_block(
        _rates(sessions, events, grid, rows),
        time_s=grid.centres,
        bin_width_s=grid.bin_s,
        aligned_to=aligned_to or reading.align,
        trials=columns,
        units=_unit_table(sessions, trials),
        observation_unit=rows.unit,
        condition_variables=_conditions(reading, trials, attrs, condition_variables),
        epochs={
            epoch: (start[rows.trial], stop[rows.trial])
            for epoch, (start, stop) in _epochs(sessions, reading.align).items()
        },
        source=source,
        deterministic=deterministic,
        rate_units=sessions[0].signal.units,
        name=name,
        provenance=provenance,
    )
    # a slash would make a leaf in a leaf
    return make_activity({(leaf or name).replace("/", "_"): block})


@dataclass(frozen=True)
class _Rows:
    """What the rows of rates are.

    Dense: ``trial`` is each trial in turn and ``unit`` None. Ragged: the trial and the unit of
    each observation, counted over all sessions.
    """

    trial: Places
    unit: Places | None


def _named_apart(sessions: Sequence[Session]) -> list[Session]:
    """Number sessions whose names repeat."""
    total = Counter(session.name for session in sessions)
    seen: Counter[str] = Counter()
    named = []
    for session in sessions:
        seen[session.name] += 1
        number = f"_{seen[session.name]}" if total[session.name] > 1 else ""
        named.append(replace(session, name=session.name + number))
    return named


def _with_events(sessions: Sequence[Session], align: str) -> list[Session]:
    """Leave out trials that lack the event, and sessions without trials."""
    kept, lacking = [], 0
    for session in sessions:
        there = np.isfinite(session.event_times(align))
        lacking += int((~there).sum())
        if there.all() and there.size:
            kept.append(session)
        elif there.any():
            kept.append(
                replace(
                    session,
                    trials={name: column[there] for name, column in session.trials.items()},
                    epochs={k: (a[there], b[there]) for k, (a, b) in session.epochs.items()},
                )
            )
    if not kept:
        raise InputError(
            "align", f"trials with a time in {align!r}", "none", "Align to another column."
        )
    if lacking:
        warnings.warn(
            f"{lacking} trials were left out: they have no time in {align!r}", stacklevel=4
        )
    return kept


def _events(session: Session, reading: Reading) -> Events:
    origin = session.event_times(reading.align)
    endless = np.full(origin.size, np.inf)
    first, last = -endless, endless
    if session.apart:
        first, last = session.event_times("start_time"), session.event_times("stop_time")
    stop = session.event_times("stop_time") if reading.window is None else endless
    return Events(origin, first, last, np.where(np.isnan(stop), -np.inf, stop))


def _grid(sessions: Sequence[Session], reading: Reading) -> Grid:
    start, stop = reading.window or (0.0, _longest(sessions, reading.align))
    sampling = _sampling(sessions)
    bin_s = float(reading.bin or sampling or DEFAULT_BIN_S)
    if sampling is not None and bin_s < sampling * (1 - EPOCH_TOLERANCE):
        raise InputError(
            "bin",
            f"at least the sampling interval, {sampling:g} s",
            repr(bin_s),
            "Leave it out for bins of one sample.",
        )
    n_bins = float(stop - start) / bin_s + EPOCH_TOLERANCE
    if not 1 <= n_bins <= MOST_BINS:
        raise InputError(
            "bin",
            f"between one bin and {MOST_BINS:,} in the window of {stop - start:g} s",
            f"{np.floor(n_bins):,.0f}, {bin_s:g} s wide",
            "Choose another bin or window.",
        )
    if reading.smooth / bin_s > MOST_BINS:
        raise InputError(
            "smooth",
            f"at most {MOST_BINS:,} bins of {bin_s:g} s",
            repr(reading.smooth),
            "Give it in s.",
        )
    return Grid(
        start_s=float(start), bin_s=bin_s, n_bins=int(n_bins), sd_bins=reading.smooth / bin_s
    )


def _longest(sessions: Sequence[Session], align: str) -> float:
    """Give the time (s) from the event to the end of the trial where that is longest."""
    lengths = np.concatenate(
        [session.event_times("stop_time") - session.event_times(align) for session in sessions]
    )
    lengths = lengths[np.isfinite(lengths)]
    if not (lengths > 0).any():
        raise InputError(
            "window",
            f"trials that stop after {align!r}",
            f"at most {lengths.max():g} s" if lengths.size else "none with a stop_time",
            "Pass window=(start, stop) in s.",
        )
    return float(lengths.max())


def _sampling(sessions: Sequence[Session]) -> float | None:
    """Give the longest sampling interval (s) of sessions; None for spikes."""
    kinds = {
        (session.signal.sampling_s is None, session.signal.units): session for session in sessions
    }
    if len(kinds) > 1:
        raise InputError(
            "sessions",
            "all of spikes, or all of samples of one unit of measurement",
            listing(
                f"{'spikes' if spikes else 'samples'} ({units}) in {session.name!r}"
                for (spikes, units), session in kinds.items()
            ),
            "Open them apart.",
        )
    steps = [session.signal.sampling_s for session in sessions]
    return max((step for step in steps if step is not None), default=None)


def _observed(session: Session, events: Events, grid: Grid) -> npt.NDArray[np.bool_]:
    """Tell in which trials at least one bin of each unit was observed, ``(unit, trial)``."""
    seen = np.empty((session.n_units, events.origin.size), dtype=bool)
    known: dict[bytes, npt.NDArray[np.bool_]] = {}
    for unit in range(session.n_units):
        intervals = session.signal.observed(unit)
        key = intervals.tobytes()
        if key not in known:
            known[key] = _observed_once(events, intervals, grid)
        seen[unit] = known[key]
    return seen


def _observed_once(events: Events, intervals: Times, grid: Grid) -> npt.NDArray[np.bool_]:
    """Tell in which trials at least one bin was observed."""
    # the first bin tells for most trials, and there can be millions of bins
    seen = _kept(events, intervals, grid, grid.edges[:2])[:, 0]
    others = np.flatnonzero(~seen)
    at_once = max(1, CELLS_AT_ONCE // grid.n_bins)
    for start in range(0, others.size, at_once):
        some = others[start : start + at_once]
        seen[some] = _kept(events.take(some), intervals, grid, grid.edges).any(axis=1)
    return seen


def _kept(events: Events, intervals: Times, grid: Grid, edges: Times) -> npt.NDArray[np.bool_]:
    return events.observed(intervals, grid, edges) & ~events.left_out(grid, edges)


def _seen_units(
    sessions: Sequence[Session], observed: Sequence[npt.NDArray[np.bool_]]
) -> tuple[list[Session], list[npt.NDArray[np.bool_]]]:
    """Leave out units of which no trial was recorded: a unit table has none of those."""
    unseen = [
        str(unit)
        for session, seen in zip(sessions, observed, strict=True)
        for unit in session.units["unit"][~seen.any(axis=1)]
    ]
    n_units = sum(session.n_units for session in sessions)
    if not unseen and n_units:
        return list(sessions), list(observed)
    if len(unseen) == n_units:
        raise InputError(
            "units",
            "at least one that was recorded in at least one bin of one trial",
            f"none of {n_units}",
            "Look at the window, and at obs_intervals and the trials' times.",
        )
    warnings.warn(
        f"{len(unseen)} units were left out, recorded in no trial: {listing(unseen, most=5)}",
        UnitWarning,
        stacklevel=4,
    )
    kept, kept_observed = [], []
    for session, seen in zip(sessions, observed, strict=True):
        places = np.flatnonzero(seen.any(axis=1))
        if places.size:
            units = {name: column[places] for name, column in session.units.items()}
            kept.append(replace(session, units=units, signal=_Some(session.signal, places)))
            kept_observed.append(seen[places])
    return kept, kept_observed


@dataclass(frozen=True)
class _Some:
    """Some of the units of a signal."""

    signal: Signal
    places: Places

    @property
    def sampling_s(self) -> float | None:
        return self.signal.sampling_s

    @property
    def units(self) -> Literal["1", "spikes/s"]:
        return self.signal.units

    def observed(self, unit: int) -> Times:
        return self.signal.observed(int(self.places[unit]))

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        return self.signal.rates(self.places[units], events, grid)


def _rows(observed: Sequence[npt.NDArray[np.bool_]]) -> _Rows:
    """Give the rows: each trial, or each unit and trial that were observed."""
    if len(observed) == 1 and observed[0].all():
        return _Rows(np.arange(observed[0].shape[1]), None)
    trials, units = [], []
    n_trials = n_units = 0
    for seen in observed:
        unit, trial = np.nonzero(seen)
        units.append(unit + n_units)
        trials.append(trial + n_trials)
        n_units += seen.shape[0]
        n_trials += seen.shape[1]
    return _Rows(np.concatenate(trials), np.concatenate(units))


def _rates(
    sessions: Sequence[Session], events: Sequence[Events], grid: Grid, rows: _Rows
) -> xr.Variable:
    n_rows = rows.trial.size
    if rows.unit is None:
        return lazy_variable(
            ("trial", "time", "unit"),
            (n_rows, grid.n_bins, sessions[0].n_units),
            _Dense(sessions[0], events[0], grid),
        )
    return lazy_variable(
        ("observation", "time"),
        (n_rows, grid.n_bins),
        _Ragged(tuple(sessions), tuple(events), grid, rows),
    )


@dataclass(frozen=True)
class _Dense:
    """Reads dense rates of one session."""

    session: Session
    events: Events
    grid: Grid

    def __call__(self, trials: Places, times: Places, units: Places) -> Rates:
        with self.session.held():
            rates = _cut_rates(self.session.signal, units, self.events.take(trials), self.grid)
        return rates[:, times]


@dataclass(frozen=True)
class _Ragged:
    """Reads observations of several sessions, or of units with trials of their own."""

    sessions: tuple[Session, ...]
    events: tuple[Events, ...]
    grid: Grid
    rows: _Rows

    def __call__(self, observations: Places, times: Places) -> Rates:
        assert self.rows.unit is not None  # noqa: S101 - ragged rows name their unit
        trial, unit = self.rows.trial[observations], self.rows.unit[observations]
        rates = np.empty((observations.size, times.size), dtype=np.float32)
        n_units = n_trials = 0
        for session, events in zip(self.sessions, self.events, strict=True):
            here = np.flatnonzero((unit >= n_units) & (unit < n_units + session.n_units))
            if here.size:
                with session.held():
                    own = _observations(
                        session, events, self.grid, trial[here] - n_trials, unit[here] - n_units
                    )
                rates[here] = own[:, times]
            n_units += session.n_units
            n_trials += events.origin.size
        return rates


def _cut_rates(signal: Signal, units: Places, events: Events, grid: Grid) -> Rates:
    """Read rates ``(trial, time, unit)``; NaN in bins that reach beyond a trial's stop."""
    rates = signal.rates(units, events, grid)
    if np.isfinite(events.stop).any():
        rates[events.left_out(grid, grid.edges)] = np.nan
    return rates


def _observations(
    session: Session, events: Events, grid: Grid, trial: Places, unit: Places
) -> Rates:
    """Read the given pairs of trial and unit: at once where they cross, else unit by unit."""
    units, which_unit = np.unique(unit, return_inverse=True)
    trials, which_trial = np.unique(trial, return_inverse=True)
    if units.size * trials.size <= 2 * trial.size and session.signal.sampling_s is not None:
        rates = _cut_rates(session.signal, units, events.take(trials), grid)
        return rates[which_trial, :, which_unit]
    rates = np.empty((trial.size, grid.n_bins), dtype=np.float32)
    for place, one in enumerate(units):
        rows = np.flatnonzero(which_unit == place)
        own = _cut_rates(session.signal, np.array([one]), events.take(trial[rows]), grid)
        rates[rows] = own[:, :, 0]
    return rates


def _trial_table(
    sessions: Sequence[Session],
) -> tuple[dict[str, Column], dict[str, dict[str, Any]]]:
    """Join the sessions' trial columns; text becomes codes."""
    names = dict.fromkeys(name for session in sessions for name in session.trials)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    table: dict[str, Column] = {}
    attrs: dict[str, dict[str, Any]] = {}
    for name in names:
        own = [session.trials.get(name) for session in sessions]
        values = joined_columns(own, sizes)
        attrs[name] = dict(
            next((s.trial_attrs[name] for s in sessions if name in s.trial_attrs), {})
        )
        if is_text(values):
            values, categories = encode_labels(values)
            attrs[name]["categories"] = json.dumps(categories)
        table[name] = values
    if "session" not in table:
        table["session"] = np.repeat(np.arange(len(sessions), dtype=np.int32), sizes)
        attrs["session"] = {"categories": json.dumps([session.name for session in sessions])}
    return table, attrs


def joined_columns(columns: Sequence[Column | None], sizes: Sequence[int]) -> Column:
    """Join a column over tables, some of which lack it; what is lacking is NaN or "".

    Numbers that lack values become float64. Where one table has text, all become text.

    Examples
    --------
    >>> import numpy as np
    >>> joined_columns([np.array([1, 2]), None], [2, 1]).tolist()
    [1.0, 2.0, nan]
    """
    there = [column for column in columns if column is not None]
    if any(is_text(column) for column in there):
        parts = [
            np.full(size, "", dtype="U1") if column is None else column.astype(str)
            for column, size in zip(columns, sizes, strict=True)
        ]
    elif len(there) == len(columns):
        parts = there
    else:
        parts = [
            np.full(size, np.nan) if column is None else column.astype(np.float64)
            for column, size in zip(columns, sizes, strict=True)
        ]
    return np.concatenate(parts)


def _tasks(
    trials: Mapping[str, Column], attrs: Mapping[str, dict[str, Any]], asked: str | None, name: str
) -> tuple[Column, dict[str, Any]]:
    """Give the task of each trial, as codes with what they stand for."""
    if asked is not None and asked not in trials:
        raise unknown_name("task", asked, trials)
    column = asked or ("task" if "task" in trials else None)
    if column is None:
        warnings.warn(
            f"no column names the task: all trials are of one task, {name!r}; "
            "pass task= to name a column",
            stacklevel=4,
        )
        codes = np.zeros(len(trials["session"]), dtype=np.int32)
        return codes, {"categories": json.dumps([name])}
    if "categories" in attrs[column]:
        return trials[column], dict(attrs[column])
    codes, categories = encode_labels(trials[column].astype(str))
    return codes, {"categories": json.dumps(categories)}


def _conditions(
    reading: Reading,
    trials: Mapping[str, Column],
    attrs: Mapping[str, dict[str, Any]],
    known: Mapping[str, Sequence[str]] | None,
) -> dict[str, list[str]]:
    for column in reading.conditions or ():
        if column not in trials:
            raise unknown_name("conditions", column, trials)
    categories = json.loads(attrs["task"]["categories"])
    tasks = [categories[code] for code in np.unique(trials["task"])]
    if reading.conditions is not None:
        return {task: list(reading.conditions) for task in tasks}
    return {task: list((known or {}).get(task, ())) for task in tasks}


def _unit_table(sessions: Sequence[Session], trials: Mapping[str, Column]) -> dict[str, Column]:
    """Join the sessions' unit tables; ids that occur twice get their session in front.

    A column that trials have too is called ``unit_NAME``.
    """
    names = dict.fromkeys(name for session in sessions for name in session.units)
    sizes = [session.n_units for session in sessions]
    table = {
        f"unit_{name}" if name in trials else name: joined_columns(
            [session.units.get(name) for session in sessions], sizes
        )
        for name in names
    }
    ids = table["unit"].astype(str)
    if np.unique(ids).size < ids.size:
        session_of = np.repeat([session.name for session in sessions], sizes)
        ids = np.array([f"{s}/{unit}" for s, unit in zip(session_of, ids, strict=True)])
    return table | {"unit": ids}


def _epochs(sessions: Sequence[Session], align: str) -> dict[str, tuple[Times, Times]]:
    """Join the sessions' epochs, told from the event that trials are aligned to."""
    names = dict.fromkeys(name for session in sessions for name in session.epochs)
    sizes = [len(next(iter(session.trials.values()))) for session in sessions]
    later = [
        session.event_times(session.event) - session.event_times(align) if session.epochs else None
        for session in sessions
    ]

    def bounds(name: str, which: int) -> Times:
        own = [
            session.epochs[name][which] + shift
            if shift is not None and name in session.epochs
            else None
            for session, shift in zip(sessions, later, strict=True)
        ]
        return joined_columns(own, sizes)

    return {name: (bounds(name, 0), bounds(name, 1)) for name in names}
