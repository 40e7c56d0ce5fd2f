"""Tables, figures and the page, from labelled results only."""

from nwbcompare.report.entry import Comparison, Entry
from nwbcompare.report.page import write_page

__all__ = ["Comparison", "Entry", "write_page"]
