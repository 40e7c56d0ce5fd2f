"""Sessions: trials, units and what was recorded of them, laid on one clock.

Every kind of file or object with trials (NWB, neo, pynapple) becomes sessions, and this package
alone makes an activity of them: it aligns, bins and smooths, leaves out what was not observed,
and joins the tables of several sessions.
"""

from nwbcompare.io.sessions.alignment import DEFAULT_BIN_S, MOST_BINS, lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import (
    Events,
    Grid,
    Rates,
    Samples,
    Signal,
    SpikeTrains,
    Stamps,
    Times,
)
from nwbcompare.io.sessions.session import Column, Reading, Session
from nwbcompare.io.sessions.session_tables import joined_columns

__all__ = [
    "DEFAULT_BIN_S",
    "MOST_BINS",
    "Column",
    "Events",
    "Grid",
    "Rates",
    "Reading",
    "Samples",
    "Session",
    "Signal",
    "SpikeTrains",
    "Stamps",
    "Times",
    "joined_columns",
    "lay_on_one_clock",
]
