"""Names in native NWB files, shared by writing and reading.

A native file (one that `write_nwb` wrote) holds what any reader of NWB understands (series, trials,
epochs, units), and in ``scratch`` one JSON text with what NWB has no place for: which rows and
samples belong to which block, and attributes and types of the labelled arrays. Blocks are kept in
one of three layouts:

- *dense*: a series (time x unit) in which trials lie end to end;
- *ragged*: a series (time x 1) in which observations lie end to end, each with its own row of the
  trials table;
- *spikes*: a units table with spike times, made of whole counts.
"""

from __future__ import annotations

SCHEMA = "nwbcompare_schema"
"""The scratch entry with what NWB has no place for, as JSON."""
FORMAT_VERSION = 2
MODULE = "misc"
EPOCHS = "task_epochs"
CHANNEL_SERIES = ("input", "output", "target")
STEP_TOLERANCE = 1e-6
"""Share of a bin by which a time axis may stray from even steps."""
RATE_SERIES = {
    ("model", "dense"): "hidden_rate",
    ("model", "ragged"): "observed_hidden_rate",
    ("recording", "dense"): "firing_rate",
    ("recording", "ragged"): "observed_firing_rate",
}
UNIT_TABLES = {"model": "hidden_units", "recording": "recorded_units"}
