"""Time to load the archive of Mante et al. (2013), compared with plain ``scipy.io.loadmat``.

Run: ``python benchmarks/mante2013_loading.py [PATH]``. Prints the median times of both over
interleaved rounds in one process, their ratio, the time of task variance, and the peak memory of
loading in a separate process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from scipy.io import loadmat

import nwbcompare as nc
from nwbcompare.datasets import find_dataset

ROUNDS = 5
PEAK = (
    "import resource, sys, nwbcompare as nc;"
    "nc.load('mante2013', sys.argv[1], animal='ar', quality='all');"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def seconds(work: Callable[[], object]) -> float:
    """Return the time of one call (s)."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", help="folder of the archive")
    path = find_dataset("mante2013", parser.parse_args().path)
    files = sorted({f.name: f for f in path.glob("PFC data */ar*.mat")}.values())

    def plain() -> None:
        for file in files:
            loadmat(file)

    load_all = nc.load("mante2013", path, animal="ar", quality="all")
    pairs = [
        (seconds(plain), seconds(lambda: nc.load("mante2013", path, animal="ar", quality="all")))
        for _ in range(ROUNDS)
    ]
    ours = median(pair[1] for pair in pairs)
    print(f"files {len(files)}; median of {ROUNDS} interleaved rounds")
    print(f"scipy.io.loadmat  {median(pair[0] for pair in pairs):.2f} s")
    print(f"nwbcompare.load   {ours:.2f} s")
    print(f"ratio             {median(pair[1] / pair[0] for pair in pairs):.2f}")
    print(f"task variance     {seconds(lambda: nc.task_variance(load_all)):.2f} s")
    peak = subprocess.run(
        [sys.executable, "-c", PEAK, str(Path(path))], capture_output=True, text=True, check=True
    )
    print(f"peak resident     {float(peak.stdout):.0f} MB (in a separate process)")


if __name__ == "__main__":
    main()
