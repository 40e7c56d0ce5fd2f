"""Alignment of sessions: an activity whose rates are read and binned when they are indexed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import EPOCH_TOLERANCE, Source, make_activity, make_block
from nwbcompare.core.epochs import with_epochs
from nwbcompare.core.errors import InputError, UnitWarning, listing
from nwbcompare.core.lazy import Places, lazy_variable
from nwbcompare.io.sessions.recorded_signals import (
    ALWAYS,
    CELLS_AT_ONCE,
    Events,
    Grid,
    Rates,
    Signal,
    Times,
)
from nwbcompare.io.sessions.session import Reading, Session
from nwbcompare.io.sessions.session_tables import (
    check_condition_types,
    conditions_by_task,
    epochs_of,
    named_apart,
    task_column,
    trial_table,
    unit_table,
)
from nwbcompare.io.sessions.silence import SilenceCheck

DEFAULT_BIN_S = 0.05
"""Bin width for spikes (s), as in Mante et al. (2013)."""
MOST_NAMED = 5
"""Number of trials that a message names."""
MOST_BINS = 10_000_000
"""Limit for the number of bins; more are a mistake in units of time."""


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
    """Make an activity from sessions; rates are read and binned when they are indexed.

    Parameters
    ----------
    sessions
        One session or more, each with its own units and trials. Repeated names are numbered.
    reading
        Alignment, bins and smoothing.
    name
        Name of the activity in figures and tables.
    leaf
        Name of the only block; by default ``name``.
    aligned_to
        Name of the event at time 0; by default the column's name.
    source
        "recording" or "model".
    deterministic
        Whether the rates have no noise at all.
    condition_variables
        Condition variables of each task, used if the reading has none.
    provenance
        Origin of the sessions.

    Returns
    -------
    xarray.DataTree
        One block: dense if there is one session, whose units were recorded in all its trials, but
        for trials outside ``Session.valid``, which are NaN; else ragged, with a row for each unit
        and trial with at least one observed bin.

    Raises
    ------
    InputError
        If a column does not exist, the window has no bin, an epoch lies outside it, some sessions
        have spikes and others samples, no trial has the event, a trial without a window has no
        stop after its event, or no unit was recorded in any trial.

    Warns
    -----
    UserWarning
        If trials without the event are left out, some have no observed bin, or no column names the
        task.
    UnitWarning
        If units without any recorded trial are left out.

    When rates are read and no spike of a session lies in any window, a warning names the likely
    mistake in its times, such as ms for s.

    Examples
    --------
    >>> from nwbcompare.io.sessions import SpikeTrains
    >>> session = Session(
    ...     name="day1", units={"unit": np.array(["u0"])},
    ...     trials={"start_time": np.array([0.0, 1.0]), "stop_time": np.array([0.4, 1.4])},
    ...     signal=SpikeTrains(lambda unit: np.array([0.1, 1.1, 1.3])))
    >>> with warnings.catch_warnings(action="ignore"):
    ...     activity = lay_on_one_clock([session], Reading(bin=0.2), name="monkey A")
    >>> activity["monkey A"]["rate"].values[:, :, 0].tolist()
    [[5.0, 0.0], [5.0, 5.0]]
    """
    # trials without the event first: they count neither for the window nor for the units
    sessions = _with_events(named_apart(sessions), reading.align)
    grid = _grid(sessions, reading)
    # of all units, before some are left out
    checks = {session.name: SilenceCheck(session) for session in sessions}
    sessions, observed = _recorded_units(
        sessions, [_observed(session, _events(session, reading), grid) for session in sessions]
    )
    _warn_of_unrecorded_trials(sessions, observed)
    events = [_events(session, reading) for session in sessions]
    check_condition_types(reading.conditions, [session.trials for session in sessions])
    trials, attrs = trial_table(sessions)
    trials["task"], attrs["task"] = task_column(trials, attrs, reading.task, name)
    # outside invalid_times, and before the trial's stop
    rows = _rows(observed, _observed_once(events[0], ALWAYS, grid))
    columns = {k: (values[rows.trial], attrs[k]) for k, values in trials.items()}
    if rows.unit is not None:
        columns["observation_trial"] = (rows.trial.astype(np.int32), {})
    block = make_block(
        _rates(sessions, events, grid, rows, [checks[session.name] for session in sessions]),
        time_s=grid.centres,
        bin_width_s=grid.bin_s,
        aligned_to=aligned_to or reading.align,
        trials=columns,
        units=unit_table(sessions, trials),
        observation_unit=rows.unit,
        condition_variables=conditions_by_task(reading, trials, attrs, condition_variables),
        epochs={
            epoch: (start[rows.trial], stop[rows.trial])
            for epoch, (start, stop) in epochs_of(sessions, reading.align).items()
        },
        source=source,
        deterministic=deterministic,
        # the same in all sessions, as `_sampling` has checked
        rate_units=sessions[0].signal.units,
        name=name,
        # samples of a network that imitate these rates are smoothed alike
        provenance={**(provenance or {}), "smooth_s": float(reading.smooth)},
    )
    block = with_epochs(block, reading.epochs, event=reading.align)
    # a slash would make a leaf in a leaf
    return make_activity({(leaf or name).replace("/", "_"): block})


@dataclass(frozen=True)
class _Rows:
    """Trial and unit of each row of rates, counted over all sessions.

    For dense rates, ``trial`` counts the trials and ``unit`` is None.
    """

    trial: Places
    unit: Places | None


def _with_events(sessions: Sequence[Session], align: str) -> list[Session]:
    """Return the sessions without trials that lack the event, and without those of no trial."""
    selection, n_lacking = [], 0
    for session in sessions:
        mask = np.isfinite(session.event_times(align))
        n_lacking += int((~mask).sum())
        if mask.all() and mask.size:
            selection.append(session)
        elif mask.any():
            selection.append(
                replace(
                    session,
                    trials={name: column[mask] for name, column in session.trials.items()},
                    epochs={k: (a[mask], b[mask]) for k, (a, b) in session.epochs.items()},
                )
            )
    if not selection:
        raise InputError(
            "align", f"trials with a time in {align!r}", "none", "Align to another column."
        )
    if n_lacking:
        warnings.warn(
            f"{n_lacking} trials were left out: they have no time in {align!r}", stacklevel=4
        )
    return selection


def _named_rows(sessions: Sequence[Session], rows: Sequence[Places]) -> str:
    """Return the first of some trials for messages: rows of the trials table, from 0 on."""
    names = [
        f"row {row} of {session.name!r}"
        for session, some in zip(sessions, rows, strict=True)
        for row in some[:MOST_NAMED]
    ]
    more = sum(some.size for some in rows) - len(names)
    return listing([*names, *range(more)], most=MOST_NAMED)


def _warn_of_unrecorded_trials(
    sessions: Sequence[Session], observed: Sequence[npt.NDArray[np.bool_]]
) -> None:
    """Warn of trials without any observed bin, whose rates are NaN or have no row."""
    rows = [np.flatnonzero(~trials.any(axis=0)) for trials in observed]
    if any(row.size for row in rows):
        warnings.warn(
            f"{sum(row.size for row in rows)} of {sum(trials.shape[1] for trials in observed)} "
            "trials were recorded in no bin: "
            f"{_named_rows(sessions, rows)}; nothing was recorded there (invalid_times, "
            "obs_intervals), or they are shorter than a bin",
            stacklevel=4,
        )


def _events(session: Session, reading: Reading) -> Events:
    origin = session.event_times(reading.align)
    unbounded = np.full(origin.size, np.inf)
    first, last = -unbounded, unbounded
    # in native files other trials lie beside a trial
    if session.apart:
        first, last = session.event_times("start_time"), session.event_times("stop_time")
    stop = session.event_times("stop_time") if reading.window is None else unbounded
    return Events(origin, first, last, stop, session.valid)


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
    n_bins = count_bins(float(start), float(stop), bin_s)
    if reading.smooth / bin_s > MOST_BINS:
        raise InputError(
            "smooth",
            f"at most {MOST_BINS:,} bins of {bin_s:g} s",
            repr(reading.smooth),
            "Pass it in s.",
        )
    return Grid(start_s=float(start), bin_s=bin_s, n_bins=n_bins, sd_bins=reading.smooth / bin_s)


def count_bins(start: float, stop: float, bin_s: float) -> int:
    """Return the number of whole bins in a window.

    Parameters
    ----------
    start, stop
        The window (s).
    bin_s
        Bin width (s).

    Raises
    ------
    InputError
        If there is none, or there are more than ten million.

    Examples
    --------
    >>> count_bins(-0.1, 0.5, 0.05)
    12
    """
    # a window of whole bins must not lose one by rounding
    n_bins = (stop - start) / bin_s + EPOCH_TOLERANCE
    if not 1 <= n_bins <= MOST_BINS:
        raise InputError(
            "bin",
            f"between one bin and {MOST_BINS:,} in the window of {stop - start:g} s",
            f"{np.floor(n_bins):,.0f}, {bin_s:g} s wide",
            "Choose another bin or window.",
        )
    return int(n_bins)


def _longest(sessions: Sequence[Session], align: str) -> float:
    """Return the longest time from the event to the end of a trial (s).

    Trials without a stop, or with one before the event, would have no bin.
    """
    lengths = [
        session.event_times("stop_time") - session.event_times(align) for session in sessions
    ]
    rows = [np.flatnonzero(~(np.isfinite(length) & (length > 0))) for length in lengths]
    n_trials = sum(some.size for some in rows)
    if n_trials:
        raise InputError(
            "window",
            f"trials that stop after {align!r}, since no window is given",
            f"{n_trials} of {sum(map(len, lengths))} trials with a stop_time that is missing, or "
            f"not after it: {_named_rows(sessions, rows)}",
            "Pass window=(start, stop) in s from the event, or mend stop_time.",
        )
    return float(max(length.max() for length in lengths))


def _sampling(sessions: Sequence[Session]) -> float | None:
    """Return the longest sampling interval of sessions (s); None for spikes."""
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
            "Open them separately.",
        )
    steps = [session.signal.sampling_s for session in sessions]
    # the longest, so that no bin is shorter than the samples of any session
    return max((step for step in steps if step is not None), default=None)


def _observed(session: Session, events: Events, grid: Grid) -> npt.NDArray[np.bool_]:
    """Return in which trials at least one bin of each unit was observed, ``(unit, trial)``."""
    observed = np.empty((session.n_units, events.origin.size), dtype=bool)
    # units of one session mostly have the same intervals
    by_intervals: dict[bytes, npt.NDArray[np.bool_]] = {}
    for unit in range(session.n_units):
        intervals = session.signal.observed(unit)
        key = intervals.tobytes()
        if key not in by_intervals:
            by_intervals[key] = _observed_once(events, intervals, grid)
        observed[unit] = by_intervals[key]
    return observed


def _observed_once(events: Events, intervals: Times, grid: Grid) -> npt.NDArray[np.bool_]:
    """Return in which trials at least one bin was observed, ``(trial,)``."""
    # in most trials the first bin is observed, and there can be millions of bins
    observed = _observed_bins(events, intervals, grid, grid.edges[:2])[:, 0]
    others = np.flatnonzero(~observed)
    at_once = max(1, CELLS_AT_ONCE // grid.n_bins)
    for start in range(0, others.size, at_once):
        some = others[start : start + at_once]
        observed[some] = _observed_bins(events.take(some), intervals, grid, grid.edges).any(axis=1)
    return observed


def _observed_bins(
    events: Events, intervals: Times, grid: Grid, edges: Times
) -> npt.NDArray[np.bool_]:
    return events.observed(intervals, grid, edges) & ~events.left_out(grid, edges)


def _recorded_units(
    sessions: Sequence[Session], observed: Sequence[npt.NDArray[np.bool_]]
) -> tuple[list[Session], list[npt.NDArray[np.bool_]]]:
    """Return the sessions, and in which trials units were observed, without unrecorded units."""
    absent = [
        str(unit)
        for session, trials in zip(sessions, observed, strict=True)
        for unit in session.units["unit"][~trials.any(axis=1)]
    ]
    n_units = sum(session.n_units for session in sessions)
    if not absent and n_units:
        return list(sessions), list(observed)
    if len(absent) == n_units:
        raise InputError(
            "units",
            "at least one that was recorded in at least one bin of one trial",
            f"none of {n_units}",
            "Check the window, obs_intervals and the trials' times.",
        )
    warnings.warn(
        f"{len(absent)} units were left out, recorded in no trial: {listing(absent, most=5)}",
        UnitWarning,
        stacklevel=4,
    )
    selection, selection_observed = [], []
    for session, trials in zip(sessions, observed, strict=True):
        places = np.flatnonzero(trials.any(axis=1))
        if places.size:
            units = {name: column[places] for name, column in session.units.items()}
            signal = _SelectedUnits(
                session.signal, places, session.signal.sampling_s, session.signal.units
            )
            selection.append(replace(session, units=units, signal=signal))
            selection_observed.append(trials[places])
    return selection, selection_observed


@dataclass(frozen=True)
class _SelectedUnits:
    """A signal of some of the units of another."""

    signal: Signal
    places: Places
    sampling_s: float | None
    units: Literal["1", "spikes/s"]

    def observed(self, unit: int) -> Times:
        return self.signal.observed(int(self.places[unit]))

    def rates(self, units: Places, events: Events, grid: Grid) -> Rates:
        return self.signal.rates(self.places[units], events, grid)


def _rows(observed: Sequence[npt.NDArray[np.bool_]], possible: npt.NDArray[np.bool_]) -> _Rows:
    """Return the rows: all trials, or all pairs of unit and trial that were observed.

    ``possible`` tells in which trials of a lone session a unit could have a bin, ``(trial,)``:
    the others stay in a dense block, as NaN.
    """
    # only one session can be dense: units of two have different trials
    if len(observed) == 1 and (observed[0].all(axis=0) | ~possible).all():
        return _Rows(np.arange(observed[0].shape[1]), None)
    trials, units = [], []
    n_trials = n_units = 0
    for mask in observed:
        unit, trial = np.nonzero(mask)
        units.append(unit + n_units)
        trials.append(trial + n_trials)
        n_units += mask.shape[0]
        n_trials += mask.shape[1]
    return _Rows(np.concatenate(trials), np.concatenate(units))


def _rates(
    sessions: Sequence[Session],
    events: Sequence[Events],
    grid: Grid,
    rows: _Rows,
    checks: Sequence[SilenceCheck],
) -> xr.Variable:
    n_rows = rows.trial.size
    if rows.unit is None:
        return lazy_variable(
            ("trial", "time", "unit"),
            (n_rows, grid.n_bins, sessions[0].n_units),
            partial(_dense_rates, sessions[0], events[0], grid, checks[0]),
        )
    return lazy_variable(
        ("observation", "time"),
        (n_rows, grid.n_bins),
        partial(_ragged_rates, sessions, events, grid, (rows.trial, rows.unit), checks),
    )


def _dense_rates(
    session: Session,
    events: Events,
    grid: Grid,
    check: SilenceCheck,
    trials: Places,
    times: Places,
    units: Places,
) -> Rates:
    """Return dense rates of one session, ``(trial, time, unit)``."""
    # open throughout, so that an unpacked chunk serves all values in it
    with session.held():
        rates = _cut_rates(session.signal, units, events.take(trials), grid)
        check.look(rates, events, grid)
    return rates[:, times]


def _ragged_rates(
    sessions: Sequence[Session],
    events: Sequence[Events],
    grid: Grid,
    rows: tuple[Places, Places],
    checks: Sequence[SilenceCheck],
    observations: Places,
    times: Places,
) -> Rates:
    """Return observations ``(observation, time)`` of several sessions; rows are trial and unit."""
    trial, unit = (of_row[observations] for of_row in rows)
    rates = np.empty((observations.size, times.size), dtype=np.float32)
    n_units = n_trials = 0
    for session, of_session, check in zip(sessions, events, checks, strict=True):
        here = np.flatnonzero((unit >= n_units) & (unit < n_units + session.n_units))
        if here.size:
            with session.held():
                values = _observations(
                    session, of_session, grid, trial[here] - n_trials, unit[here] - n_units
                )
                check.look(values, of_session, grid)
            rates[here] = values[:, times]
        n_units += session.n_units
        n_trials += of_session.origin.size
    return rates


def _cut_rates(signal: Signal, units: Places, events: Events, grid: Grid) -> Rates:
    """Return rates, ``(trial, time, unit)``, NaN in bins that reach beyond a trial's stop."""
    rates = signal.rates(units, events, grid)
    # without a window each trial ends at its own stop
    if np.isfinite(events.stop).any():
        rates[events.left_out(grid, grid.edges)] = np.nan
    return rates


def _observations(
    session: Session, events: Events, grid: Grid, trial: Places, unit: Places
) -> Rates:
    """Return the rates of pairs of trial and unit, ``(pair, time)``."""
    # all at once if the pairs are most combinations of their units and trials, else by unit
    units, which_unit = np.unique(unit, return_inverse=True)
    trials, which_trial = np.unique(trial, return_inverse=True)
    if units.size * trials.size <= 2 * trial.size and session.signal.sampling_s is not None:
        rates = _cut_rates(session.signal, units, events.take(trials), grid)
        return rates[which_trial, :, which_unit]
    rates = np.empty((trial.size, grid.n_bins), dtype=np.float32)
    for place, one in enumerate(units):
        rows = np.flatnonzero(which_unit == place)
        values = _cut_rates(session.signal, np.array([one]), events.take(trial[rows]), grid)
        rates[rows] = values[:, :, 0]
    return rates
