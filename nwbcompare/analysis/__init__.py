"""Analyses of any activity, one folder per question."""

import lazy_loader

_QUESTIONS = ("clustering", "connectivity", "learning", "population", "selectivity")

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, _QUESTIONS)
