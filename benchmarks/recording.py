"""Time and memory of recording a network of 256 units on the full test set of all 20 tasks."""

from __future__ import annotations

import resource
import time

import nwbcompare as nc
from nwbcompare.tasks import RULES
from nwbcompare.workflows.sources import record_test_trials


def main() -> None:
    """Print the time, the size of the rates and the peak resident memory."""
    network = nc.model.Network(nc.model.NetworkConfig())
    start = time.perf_counter()
    activity = record_test_trials(network, tuple(RULES))
    seconds = time.perf_counter() - start
    size = sum(block["rate"].nbytes for block in nc.blocks(activity).values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seconds:.2f} s, rates {size / 1e6:.0f} MB, peak {peak / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
