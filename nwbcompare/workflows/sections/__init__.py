"""Sections of pages, one file each."""
