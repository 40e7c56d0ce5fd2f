"""Command line: reading of arguments only."""
