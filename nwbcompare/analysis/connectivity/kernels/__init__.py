"""Computations on weights, on plain arrays."""
