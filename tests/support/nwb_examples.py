"""Activities for tests of NWB files."""

from __future__ import annotations

import numpy as np

import nwbcompare as nc
from nwbcompare.testing import example_block


def two_blocks():
    """Two leaves of other lengths, columns and epochs, with what is hard to keep."""
    first = example_block()
    first["rate"].values[0, 3:, 1] = np.nan
    second = nc.make_block(
        np.random.default_rng(0).random((3, 4, 3)),
        time_s=np.arange(4) * 0.1 - 0.15,
        bin_width_s=0.1,
        aligned_to="cue",
        trials={
            "task": ["stop", "wait", "stop"],
            "shape": ["é", "", "日本"],
            "count": np.array([3, 1, 2], "i2"),
        },
        units={name: first[name].values for name in ("unit", "area")},
        epochs={"delay1": ([-0.1, np.nan, 0.0], [0.1, np.nan, 0.2])},
        condition_variables={"stop": ["shape"], "wait": []},
        source="model",
        name="example",
    )
    return nc.make_activity({"go": first, "stop": second})
