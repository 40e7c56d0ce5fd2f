"""Time to read NWB files: binning of spikes, a large file, many sessions.

Run: ``python benchmarks/nwb_reading.py [--folder FOLDER] [--parts bins large sessions]``. Prints

- the median time of binning 2.4 million spikes of 100 units in 1000 trials of 100 bins over
  interleaved rounds in one process: nwbcompare, ``numpy.searchsorted`` over all edges, and
  pynapple's ``build_tensor``; their ratios, and the number of counts that differ;
- for a file of 1 GB, in separate processes: the time, bytes read and peak memory of opening it, and
  of reading one unit in one trial, one unit and one trial;
- the time of opening 100 sessions as one activity.

The files are written to a temporary folder in FOLDER and removed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.file import Subject

import nwbcompare as nc
from nwbcompare.io.sessions import Reading, Session, SpikeTrains, lay_on_one_clock

ROUNDS = 7
N_UNITS, N_TRIALS, N_BINS = 100, 1000, 100
N_SPIKES = 2_400_000
TRIAL_S, BIN_S = 1.0, 0.01
GIGABYTE = 1_000_000_000
SPIKES_AT_ONCE = 1_000_000
LOOK = """
import json, sys, time
from pathlib import Path
import nwbcompare as nc
import nwbcompare.io.nwb.write

def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])

def look(what, work):
    before, start = bytes_read(), time.perf_counter()
    work()
    figures[what] = [time.perf_counter() - start, (bytes_read() - before) / 1e6]

figures, opened = {}, {}
options = {"window": (0, 1.0), "bin": 0.01}
look("open", lambda: opened.update(a=nc.open(sys.argv[1], series=sys.argv[2], **options)))
# not ru_maxrss: that begins with the size of the process that started this one
status = Path("/proc/self/status").read_text()
figures["peak"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
rate = next(iter(opened["a"].children.values()))["rate"]
look("one unit, one trial", lambda: rate.isel(unit=3, trial=500).load())
look("one unit", lambda: rate.isel(unit=7).load())
look("one trial", lambda: rate.isel(trial=500).load())
print(json.dumps(figures))
"""


def seconds(work: Callable[[], object]) -> float:
    """Return the time of one call (s)."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spike_trains(rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the spikes of all units."""
    share = np.full(N_UNITS, 1 / N_UNITS)
    numbers = rng.multinomial(N_SPIKES, share)
    return [np.sort(rng.uniform(0, N_TRIALS * 1.5, number)) for number in numbers]


def time_binning() -> None:
    """Print the times of binning spikes in three ways."""
    # pynapple takes seconds to import, and the other parts need none
    import pynapple as nap  # noqa: PLC0415

    trains = spike_trains(np.random.default_rng(0))
    starts = np.arange(N_TRIALS) * 1.5
    trials = {"start_time": starts, "stop_time": starts + TRIAL_S, "task": np.full(N_TRIALS, "go")}
    session = Session(
        name="drawn",
        trials=trials,
        units={"unit": np.arange(N_UNITS).astype(str)},
        signal=SpikeTrains(trains.__getitem__),
    )
    reading = Reading(window=(0.0, TRIAL_S), bin=BIN_S)
    group = nap.TsGroup({unit: nap.Ts(train) for unit, train in enumerate(trains)})
    epochs = nap.IntervalSet(starts, starts + TRIAL_S)
    edges = starts[:, None] + np.arange(N_BINS + 1) * BIN_S

    def ours() -> np.ndarray:
        rate = lay_on_one_clock([session], reading, name="drawn")["drawn"]["rate"]
        return np.rint(rate.values * BIN_S).transpose(2, 0, 1)

    def plain() -> np.ndarray:
        return np.stack([np.diff(np.searchsorted(train, edges), axis=1) for train in trains])

    def pynapple() -> np.ndarray:
        return np.asarray(nap.build_tensor(group, epochs, bin_size=BIN_S))

    counts = {"nwbcompare": ours(), "searchsorted": plain(), "build_tensor": pynapple()}
    rounds = [[seconds(work) for work in (ours, plain, pynapple)] for _ in range(ROUNDS)]
    print(
        f"{sum(map(len, trains)):,} spikes of {N_UNITS} units, {N_TRIALS} trials of {N_BINS} bins; "
        f"median of {ROUNDS} interleaved rounds"
    )
    for place, name in enumerate(counts):
        ratio = median(one[place] / one[1] for one in rounds)
        differing = int((counts[name] != counts["searchsorted"]).sum())
        print(
            f"{name:<18} {median(one[place] for one in rounds):.3f} s   ratio to searchsorted "
            f"{ratio:.2f}   counts that differ {differing}"
        )


def new_file(session: str) -> NWBFile:
    """Return an NWB file without recordings."""
    return NWBFile(
        session_description="made for a benchmark",
        identifier=session,
        session_start_time=datetime(2020, 1, 1, tzinfo=UTC),
        session_id=session,
        subject=Subject(subject_id="m", species="Macaca mulatta", sex="M", age="P6Y"),
    )


def add_trials(nwb: NWBFile, n_trials: int) -> None:
    """Add trials of 1 s, every 1.5 s."""
    nwb.add_trial_column(name="task", description="the task")
    nwb.add_trial_column(name="direction", description="of motion")
    for trial in range(n_trials):
        start = trial * 1.5
        nwb.add_trial(
            start_time=start,
            stop_time=start + TRIAL_S,
            task=f"task {trial % 2}",
            direction=float(trial % 8),
        )


def write_large(path: Path, n_bytes: int = GIGABYTE) -> None:
    """Write a file that contains spikes and voltages in equal parts, with the layout of pynwb."""
    nwb = new_file("large")
    add_trials(nwb, N_TRIALS)
    for _ in range(N_UNITS):
        nwb.add_unit(spike_times=[0.0], obs_intervals=[[0.0, N_TRIALS * 1.5]])
    n_channels = 64
    n_samples = n_bytes // 2 // (n_channels * 2)
    data = H5DataIO(shape=(n_samples, n_channels), dtype=np.dtype("int16"), chunks=(4096, 16))
    rate = n_samples / (N_TRIALS * 1.5)
    nwb.add_acquisition(TimeSeries(name="voltage", data=data, unit="V", rate=rate))
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    with h5py.File(path, "a") as file:
        rng = np.random.default_rng(0)
        fill_spikes(file, rng, n_bytes // 2 // 8)
        series = file["acquisition/voltage/data"]
        for start in range(0, n_samples, SPIKES_AT_ONCE):
            rows = min(SPIKES_AT_ONCE, n_samples - start)
            series[start : start + rows] = rng.integers(
                -1000, 1000, (rows, n_channels), dtype=np.int16
            )


def fill_spikes(file: h5py.File, rng: np.random.Generator, n_spikes: int) -> None:
    """Write the spikes of each unit in turn."""
    each = n_spikes // N_UNITS
    attrs = dict(file["units/spike_times"].attrs)
    del file["units/spike_times"]
    times = file["units"].create_dataset("spike_times", (each * N_UNITS,), "f8")
    times.attrs.update(attrs)
    for unit in range(N_UNITS):
        times[unit * each : (unit + 1) * each] = np.sort(rng.uniform(0, N_TRIALS * 1.5, each))
    index = file["units/spike_times_index"]
    attrs = dict(index.attrs) | {"target": times.ref}
    del file["units/spike_times_index"]
    file["units/spike_times_index"] = np.arange(1, N_UNITS + 1, dtype=np.uint64) * each
    file["units/spike_times_index"].attrs.update(attrs)


def time_large(folder: Path) -> None:
    """Print the times of opening a large file and of reading parts of it."""
    path = folder / "large.nwb"
    write_large(path)
    print(f"a file of {path.stat().st_size / 1e6:,.0f} MB, half spikes, half voltages")
    for series in ("units", "voltage"):
        done = subprocess.run(
            [sys.executable, "-c", LOOK, str(path), series],
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(done.stdout)
        peak = figures.pop("peak")
        for part, (duration, n_megabytes) in figures.items():
            print(f"{series:<8} {part:<20} {duration:6.3f} s  {n_megabytes:8.2f} MB read")
        print(f"{series:<8} peak resident after opening {peak:.0f} MB (in a separate process)")
    path.unlink()


def time_sessions(folder: Path, n_sessions: int = 100) -> None:
    """Print the times of opening many sessions as one activity, and of their task variance."""
    rng = np.random.default_rng(0)
    for number in range(n_sessions):
        nwb = new_file(f"day{number:03d}")
        add_trials(nwb, 200)
        for _ in range(20):
            nwb.add_unit(spike_times=np.sort(rng.uniform(0, 300, 3000)))
        with NWBHDF5IO(str(folder / f"{number:03d}.nwb"), "w") as io:
            io.write(nwb)
    opened = []
    duration = seconds(
        lambda: opened.append(nc.open(folder, window=(0, 1.0), conditions=["direction"]))
    )
    block = next(iter(opened[0].children.values()))
    print(f"{n_sessions} sessions {dict(block.sizes)} opened in {duration:.2f} s")
    print(f"task variance of all {seconds(lambda: nc.task_variance(opened[0])):.2f} s")


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder for the files")
    parts = ("bins", "large", "sessions")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", nc.UnitWarning)
    if "bins" in arguments.parts:
        time_binning()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if "large" in arguments.parts:
            time_large(Path(folder))
        if "sessions" in arguments.parts:
            time_sessions(Path(folder))


if __name__ == "__main__":
    main()
