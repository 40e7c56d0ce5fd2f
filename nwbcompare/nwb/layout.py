"""Names in our NWB files, shared by writing and reading."""

SCHEMA = "nwbcompare_schema"
"""The scratch entry with what NWB has no place for, as JSON."""
FORMAT_VERSION = 1
MODULE = "misc"
RATE = "hidden_rate"
UNITS = "hidden_units"
EPOCHS = "task_epochs"
CHANNEL_SERIES = ("input", "output", "target")
STEP_TOLERANCE = 1e-6
"""Share of a bin by which a time axis may stray from even steps."""
