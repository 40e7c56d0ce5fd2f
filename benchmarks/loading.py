"""Time and memory of loading each archive, beside plain reading of the same files.

Run: ``python benchmarks/loading.py [NAME ...]``. Prints for every archive on this machine the
medians over interleaved rounds in one process: of plain reading (by the package that the format is
for, without a look at what was read) and of ``nwbcompare.load``; and the peak memory of a process
that loads it. The first round, in which the system reads files from the disk, is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.io import loadmat

import nwbcompare as nc
from nwbcompare.datasets import find_dataset
from nwbcompare.datasets.location import DatasetNotFoundError

ROUNDS = 5
PEAK = (
    "import resource, sys, warnings, nwbcompare as nc;"
    "warnings.simplefilter('ignore');"
    "nc.load(sys.argv[1], sys.argv[2], **eval(sys.argv[3]));"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def mante2013(path: Path) -> None:
    """Read the units of monkey A."""
    for file in {f.name: f for f in path.glob("PFC data */ar*.mat")}.values():
        loadmat(file)


def wang2024(path: Path) -> None:
    """Read the four files of neurons."""
    for file in path.rglob("*.mat"):
        loadmat(file)


def miranda2025(path: Path) -> None:
    """Read spikes and trials of all cells, the behaviour, and the tables of units."""
    import pandas as pd  # noqa: PLC0415

    for file in path.rglob("cell_*.npy"):
        np.load(file)
    for file in path.rglob("cell_*.parquet"):
        pd.read_parquet(file)
    for file in path.rglob("PreparedData.mat"):
        loadmat(file)
    for file in path.rglob("*_DLPFC_Units.xlsx"):
        pd.read_excel(file)


def shi2022(path: Path) -> None:
    """Read spikes of all cells, and behaviour of the first cell of each session."""
    sessions: set[str] = set()
    for file in sorted(path.rglob("*_data.mat")):
        behaviour = ["psyphydata", "goodTrials_JC", "goodTrials_SO"]
        session = file.name[:8]
        wanted = ["celldata", *([] if session in sessions else behaviour)]
        loadmat(file, variable_names=wanted)
        sessions.add(session)


ARCHIVES: dict[str, tuple[Callable[[Path], None], dict[str, Any]]] = {
    "mante2013": (mante2013, {"animal": "ar", "quality": "all"}),
    "wang2024": (wang2024, {}),
    "miranda2025": (miranda2025, {}),
    "shi2022": (shi2022, {}),
}
"""Plain reading of the files, and the options of the loader."""


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the time and the processor time of one call (s)."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def row(name: str, path: Path) -> str:
    """Measure an archive, and return its row of the table."""
    plain, options = ARCHIVES[name]
    rounds = [
        (seconds(lambda: plain(path)), seconds(lambda: nc.load(name, path, **options)))
        for _ in range(ROUNDS + 1)
    ][1:]
    (plain_s, plain_cpu), (ours_s, ours_cpu) = (
        tuple(median(one[side][kind] for one in rounds) for kind in range(2)) for side in range(2)
    )
    ratio = median(ours[0] / theirs[0] for theirs, ours in rounds)
    peak = subprocess.run(
        [sys.executable, "-c", PEAK, name, str(path), repr(options)],
        capture_output=True,
        text=True,
        check=True,
    )
    return (
        f"| {name} | {plain_s:.2f} | {ours_s:.2f} | {ratio:.2f} | {ours_s - plain_s:+.2f} | "
        f"{plain_cpu:.2f} | {ours_cpu:.2f} | {float(peak.stdout):.0f} |"
    )


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(ARCHIVES))
    # cells that lack trials, which is known
    warnings.simplefilter("ignore")
    print("| archive | plain, s | loaded, s | ratio | more, s | plain CPU, s | CPU, s | peak, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in parser.parse_args().names:
        try:
            print(row(name, find_dataset(name)), flush=True)
        except DatasetNotFoundError:
            print(f"| {name} | not found on this machine |")


if __name__ == "__main__":
    main()
