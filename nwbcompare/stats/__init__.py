"""Nulls and controls."""
