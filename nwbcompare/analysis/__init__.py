"""Variance analyses of any activity."""
