"""Time that the process takes in which files of others are read first.

Run: ``python benchmarks/first_reading.py``. Prints, for a small file of each kind, the time for the
first file of a program, with the start of the process, and the median over the next 20: by the
clock, and the processor time of the process (user and system), which a busy machine does not
change.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from scipy.io import savemat

import nwbcompare as nc
from nwbcompare.core import first_reading
from nwbcompare.core.hdf5_input import read_objects
from nwbcompare.core.netcdf_input import check_netcdf
from nwbcompare.io.matlab.structs import EXPECTED, read_variables
from nwbcompare.testing import example_block


def main() -> None:
    """Print the table."""
    print("| file | first, s | processor | next, s | processor |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        netcdf, mat, nwb = (Path(folder) / f"a.{suffix}" for suffix in ("nc", "mat", "nwb"))
        nc.make_activity({"example": example_block()}).to_netcdf(netcdf, engine="h5netcdf")
        nc.write_nwb(example_block(), nwb)
        savemat(mat, {"rates": np.ones((30, 40, 5))}, do_compression=True)
        report("netCDF", lambda: check_netcdf(netcdf))
        report("NWB", lambda: first_reading.read_first(read_objects, nwb, EXPECTED))
        report("MATLAB 5", lambda: first_reading.read_first(read_variables, mat, EXPECTED))


def report(name: str, read: Callable[[], None]) -> None:
    """Print the times of one kind of file, in a process of its own."""
    first_reading.stop()
    times = [timed(read) for _ in range(21)]
    after = [median(values) for values in zip(*times[1:], strict=True)]
    print(f"| {name} | {times[0][0]:.2f} | {times[0][1]:.2f} | {after[0]:.3f} | {after[1]:.3f} |")


def timed(read: Callable[[], None]) -> tuple[float, float]:
    """Return the elapsed time and the processor time of the process (s)."""
    # a file that was read is not read again
    first_reading._sound.clear()
    start, before = time.perf_counter(), spent()
    read()
    return time.perf_counter() - start, spent() - before


def spent() -> float:
    """Return the processor time of the process so far (s)."""
    process = first_reading._process
    return 0.0 if process is None else sum(psutil.Process(process.pid).cpu_times()[:2])


if __name__ == "__main__":
    main()
