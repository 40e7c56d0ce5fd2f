"""Recording sessions: trials, units and their signals, aligned and binned to an activity.

All files and objects with trials (NWB, neo, pynapple) are converted to sessions. This package
makes an activity from them: it aligns, bins and smooths, marks bins that were not observed, and
joins the tables of several sessions.
"""

from nwbcompare.io.sessions.alignment import lay_on_one_clock
from nwbcompare.io.sessions.recorded_signals import Samples, SpikeTrains
from nwbcompare.io.sessions.session import Reading, Session

__all__ = ["Reading", "Samples", "Session", "SpikeTrains", "lay_on_one_clock"]
