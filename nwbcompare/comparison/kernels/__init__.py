"""Numbers of comparisons, on plain arrays."""
