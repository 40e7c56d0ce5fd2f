"""Computations that several packages share, on plain arrays: no labels, no files."""
