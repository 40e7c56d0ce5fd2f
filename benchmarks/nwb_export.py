"""Export of a network's full test set: time compared with plain h5py, size, memory, and reading.

Run: ``python benchmarks/nwb_export.py [--folder FOLDER]``. A network of 256 units is recorded on
the test trials of all 20 tasks to netCDF (rates, inputs, outputs, targets). Prints

- the times of `nwbcompare.write_nwb` (with tables, validation and inspection) and of plain h5py
  with the same arrays, chunks and filters, over rounds interleaved in one process, their ratio, and
  the size of the file; the same without compression and with float16;
- the time to read one trial of all units and one unit of all trials for several shapes of chunks;
- the peak resident memory of an export in a separate process, for the recorded trials and for ten
  times as many.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import h5py
import numpy as np
import numpy.typing as npt
import nwbinspector  # noqa: F401 - imported here so that its import is not timed
import xarray as xr

import nwbcompare as nc
from nwbcompare.io.nwb import series_writer as stream
from nwbcompare.tasks import RULES
from nwbcompare.workflows.sources import record_test_trials

ROUNDS = 3
SERIES = ("rate", "input", "output", "target")
CHUNKS = ((1024, 32), (1024, 64), (512, 256), (4096, 16))
TIMES = 10
EXPORT = """
import sys
import numpy as np, xarray as xr
import nwbcompare as nc
from nwbcompare.core.lazy import lazy_variable
times = int(sys.argv[3])
activity = nc.open(sys.argv[1])
def repeated(block):
    n = block.sizes["trial"]
    longer = block.drop_vars(list(block.data_vars)).isel(trial=np.arange(n * times) % n)
    def lazily(values):
        def read(trials, *places):
            part = values.isel(trial=trials % n).values
            return part[np.ix_(np.arange(trials.size), *places)]
        shape = (n * times, *values.shape[1:])
        return lazy_variable(values.dims, shape, read).copy(deep=False)
    for name, values in block.data_vars.items():
        variable = lazily(values)
        variable.attrs.update(values.attrs)
        longer[name] = variable
    return longer
if times > 1:
    activity = nc.make_activity({k: repeated(b) for k, b in nc.blocks(activity).items()})
def peak():
    # not getrusage, which counts the process that started this one
    lines = open("/proc/self/status").read().splitlines()
    return int(next(l for l in lines if l.startswith("VmHWM")).split()[1]) / 1024
before = peak()
nc.write_nwb(activity, sys.argv[2], overwrite=True)
print(f"{before:.0f} {peak():.0f} {'torch' in sys.modules}")
"""


def pieces(activity: xr.DataTree, name: str) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the values of a variable ``(time, channel)``, block by block."""
    for block in nc.blocks(activity).values():
        values = block[name].isel(trial=slice(None)).values
        yield values.reshape(-1, values.shape[-1])


def plain_h5py(activity: xr.DataTree, path: Path, *, dtype: str, compression: str) -> float:
    """Write the arrays with plain h5py, and return the time (s)."""
    start = time.perf_counter()
    blocks = list(nc.blocks(activity).values())
    with h5py.File(path, "w") as file:
        for name in SERIES:
            n_samples = sum(b[name].shape[0] * b[name].shape[1] for b in blocks)
            shape = (n_samples, blocks[0][name].shape[2])
            options = {}
            if compression == "gzip":
                options = {
                    "chunks": (stream.CHUNK_ROWS, min(stream.CHUNK_COLUMNS, shape[1])),
                    "compression": "gzip",
                    "compression_opts": stream.GZIP_LEVEL,
                    "shuffle": True,
                }
            data = file.create_dataset(name, shape, dtype=dtype, **options)
            at = 0
            for values in pieces(activity, name):
                data[at : at + len(values)] = values
                at += len(values)
    return time.perf_counter() - start


def ours(activity: xr.DataTree, path: Path, *, dtype: str, compression: str) -> float:
    """Export the activity, and return the time (s)."""
    start = time.perf_counter()
    nc.write_nwb(activity, path, dtype=dtype, compression=compression, overwrite=True)
    return time.perf_counter() - start


def compare(activity: xr.DataTree, folder: Path) -> None:
    """Print the times of export and of plain h5py, and the size of the file."""
    for dtype, compression in (("float32", "gzip"), ("float32", "none"), ("float16", "gzip")):
        options = {"dtype": dtype, "compression": compression}
        pairs = [
            (
                ours(activity, folder / "ours.nwb", **options),
                plain_h5py(activity, folder / "plain.h5", **options),
            )
            for _ in range(ROUNDS)
        ]
        size = (folder / "ours.nwb").stat().st_size / 1e6
        print(
            f"{dtype}, {compression}: export {median(p[0] for p in pairs):.2f} s, plain h5py "
            f"{median(p[1] for p in pairs):.2f} s, median ratio "
            f"{median(p[0] / p[1] for p in pairs):.2f}, {size:.0f} MB",
            flush=True,
        )


def chunk_shapes(activity: xr.DataTree, folder: Path) -> None:
    """Print size and reading times for several shapes of chunks."""
    default = (stream.CHUNK_ROWS, stream.CHUNK_COLUMNS)
    for stream.CHUNK_ROWS, stream.CHUNK_COLUMNS in CHUNKS:
        path = folder / "ours.nwb"
        seconds = ours(activity, path, dtype="float32", compression="gzip")
        with h5py.File(path) as file:
            data = file["processing/misc/hidden_rate/data"]
            places = range(0, data.shape[0] - 100, data.shape[0] // 50)
            start = time.perf_counter()
            for first in places:
                data[first : first + 100]
            a_trial = (time.perf_counter() - start) / len(places)
            start = time.perf_counter()
            for unit in (3, 100):
                data[:, unit]
            a_unit = (time.perf_counter() - start) / 2
        print(
            f"chunks {stream.CHUNK_ROWS} samples x {stream.CHUNK_COLUMNS} units: export "
            f"{seconds:.2f} s, {path.stat().st_size / 1e6:.0f} MB, one trial of all units "
            f"{a_trial * 1e3:.1f} ms, one unit of all trials {a_unit:.2f} s",
            flush=True,
        )
    stream.CHUNK_ROWS, stream.CHUNK_COLUMNS = default


def memory(recorded: Path, folder: Path) -> None:
    """Print the peak memory of exports in separate processes."""
    for times in (1, TIMES):
        command = [sys.executable, "-c", EXPORT, str(recorded), str(folder / "m.nwb"), str(times)]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        before, after, torch = done.stdout.split()
        size = (folder / "m.nwb").stat().st_size / 1e6
        print(
            f"{times} x the trials: peak resident {after} MB ({before} MB before the export), "
            f"{time.perf_counter() - start:.0f} s, {size:.0f} MB, torch imported: {torch}",
            flush=True,
        )


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="folder for the files; temporary by default")
    parent = parser.parse_args().folder
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        recorded = folder / "all20.nc"
        network = nc.model.pretrained("all20-fast-0")
        record_test_trials(network, tuple(RULES), inputs_and_outputs=True).to_netcdf(
            recorded, engine="h5netcdf"
        )
        activity = nc.open(recorded)
        rates = sum(block["rate"].nbytes for block in nc.blocks(activity).values())
        n_trials = sum(block.sizes["trial"] for block in nc.blocks(activity).values())
        print(f"rates {rates / 1e9:.2f} GB, {n_trials} trials")
        compare(activity, folder)
        chunk_shapes(activity, folder)
        memory(recorded, folder)


if __name__ == "__main__":
    main()
