"""Computations of selectivity, on plain arrays."""
