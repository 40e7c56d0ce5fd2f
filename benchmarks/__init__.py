"""Benchmarks, each a command of its own; a package, so that no other is taken for it."""
