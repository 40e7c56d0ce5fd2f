"""Numbers that several rooms share, on plain arrays: no labels, no files."""
