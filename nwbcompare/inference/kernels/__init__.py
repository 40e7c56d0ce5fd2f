"""Computations of inference, on plain arrays."""
