"""Figures of results: every function takes an axes, draws on it, and returns it."""

from nwbcompare.figures.style import as_svg, new_figure, save

__all__ = ["as_svg", "new_figure", "save"]
