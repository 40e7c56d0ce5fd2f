"""Numbers of selectivity, on plain arrays."""
