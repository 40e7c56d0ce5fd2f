"""Numbers on plain arrays: no labels, no files."""
