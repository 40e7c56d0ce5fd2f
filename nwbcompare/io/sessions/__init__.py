"""Recording sessions: trials, units and their signals, aligned and binned to an activity.

All files and objects with trials (NWB, neo, pynapple) are converted to sessions. This package
makes an activity from them: it aligns, bins and smooths, marks bins that were not observed, and
joins the tables of several sessions.
"""

from nwbcompare.io.sessions.alignment import DEFAULT_BIN_S, lay_on_one_clock
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
