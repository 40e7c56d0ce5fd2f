"""Pages: sections of findings, tables and pictures, from labelled results only."""

from nwbcompare.report.comparison_page import Comparison, write_comparison

__all__ = ["Comparison", "write_comparison"]
