"""Numbers of populations, on plain arrays."""
