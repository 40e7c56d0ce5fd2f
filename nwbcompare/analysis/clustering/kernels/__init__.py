"""Computations of clustering, on plain arrays."""
