"""Computations on populations, on plain arrays."""
