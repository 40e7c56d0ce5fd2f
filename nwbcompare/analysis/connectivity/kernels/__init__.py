"""Numbers of weights, on plain arrays."""
