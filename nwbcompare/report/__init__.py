"""Pages: sections of findings, tables and pictures, from labelled results only."""

from nwbcompare.report.page import Page, read_sections, write_page
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture

__all__ = ["Evidence", "Finding", "Page", "PageSection", "Picture", "read_sections", "write_page"]
