"""Warning that no spike lies in any window, with the likely mistake in the times."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nwbcompare.io.sessions.recorded_signals import Events, Grid, Rates, SpikeTrains, Times
from nwbcompare.io.sessions.session import Session

MS_PER_S = 1000


@dataclass
class SilenceCheck:
    """Check of a session's rates that are read, until there is a spike among them.

    Attributes
    ----------
    session
        The session.
    done
        Whether spikes were found, or their absence was reported.
    """

    session: Session
    done: bool = False

    def look(self, rates: Rates, events: Events, grid: Grid) -> None:
        """Warn, once, if no spike of the session lies in any window.

        Parameters
        ----------
        rates
            Rates that were read.
        events, grid
            Events of all trials, and the bins.
        """
        signal = self.session.signal
        if self.done or not isinstance(signal, SpikeTrains) or not np.isfinite(rates).any():
            return
        self.done = True
        # most readings have spikes; of others the first unit with one ends the search
        if (rates > 0).any():
            return
        lefts = events.origin + grid.edges[0]
        rights = np.minimum(events.origin + grid.edges[-1], events.stop)
        trains = map(signal.times, range(self.session.n_units))
        longest = float(np.max(rights - lefts, initial=0))
        warn_if_silent(trains, lefts, rights, longest, of=repr(self.session.name))


def warn_if_silent(
    trains: Iterable[Times], lefts: Times, rights: Times, longest: float, *, of: str
) -> None:
    """Warn if no spike lies in any window, with the likely cause.

    Parameters
    ----------
    trains
        Spike times of each unit (s), ascending; read until one is found in a window.
    lefts, rights
        Bounds of the windows (s), ``(trial,)``.
    longest
        Length of the longest window (s).
    of
        Name of the session in the warning.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     ms = np.array([1100.0, 1200.0])
    ...     warn_if_silent([ms], np.array([1.0]), np.array([2.0]), 1.0, of="'day1'")
    >>> str(caught[0].message)
    "no spike of any unit of 'day1' lies in any window: spike times seem to be in ms, not in s"
    """
    first, last = np.inf, -np.inf
    # the trials' span, if it was in ms
    span = np.array([lefts.min(), rights.max()]) / MS_PER_S
    n_spikes = n_in_span = 0
    in_ms = False
    for times in trains:
        if _any_inside(times, lefts, rights):
            return
        if times.size:
            first, last = min(first, times[0]), max(last, times[-1])
            in_ms |= _any_inside(times / MS_PER_S, lefts, rights)
            n_spikes += times.size
            n_in_span += int(np.diff(np.searchsorted(times, span))[0])
    if not n_spikes:
        cause = "no unit has a spike"
    elif n_in_span > n_spikes / 2:
        cause = "times of trials seem to be in ms, not in s"
    elif -longest <= first and last <= longest:
        cause = (
            f"all spike times are within {longest:g} s of 0, as if counted from the start of each "
            "trial; from_arrays(spikes=...) takes such times by unit and trial"
        )
    elif in_ms:
        cause = "spike times seem to be in ms, not in s"
    else:
        cause = (
            f"spike times run from {first:g} to {last:g} s, windows from {lefts.min():g} to "
            f"{rights.max():g} s"
        )
    warnings.warn(f"no spike of any unit of {of} lies in any window: {cause}", stacklevel=3)


def _any_inside(times: Times, lefts: Times, rights: Times) -> bool:
    return bool((np.searchsorted(times, rights) > np.searchsorted(times, lefts)).any())
