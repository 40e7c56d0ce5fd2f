"""nwbcompare."""
