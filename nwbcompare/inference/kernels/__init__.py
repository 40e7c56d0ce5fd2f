"""Numbers of inference, on plain arrays."""
