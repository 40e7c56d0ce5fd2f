"""Whole analyses, from sources to a page or to files."""
