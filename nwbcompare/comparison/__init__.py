"""Models against a recording: one analysis for both sides, tested, as a report."""

from nwbcompare.comparison.comparison import MODELS, compare
from nwbcompare.comparison.settings import Settings

__all__ = ["MODELS", "Settings", "compare"]
