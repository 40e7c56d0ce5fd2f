"""NWB files as laboratories make them, with pynwb itself."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from datetime import UTC, datetime

import h5py
import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.file import Subject

import nwbcompare as nc


@contextmanager
def quiet():
    """Where pynwb itself warns of what it writes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "EnumData is experimental")
        warnings.filterwarnings("ignore", "The linked table for DynamicTableRegion")
        warnings.filterwarnings("ignore", ".*Data is oriented incorrectly")
        # of bins as wide as analyses have them
        warnings.filterwarnings("ignore", ".*check_units_resolution_is_valid")
        yield


def new_file(session="day1", subject="m1"):
    return NWBFile(
        session_description="a session",
        identifier=f"{subject}-{session}",
        session_start_time=datetime(2020, 1, 1, tzinfo=UTC),
        session_id=session,
        subject=Subject(subject_id=subject, species="Macaca mulatta", sex="M", age="P6Y"),
    )


def add_trials(nwb, n_trials=6, **columns):
    """Trials of 0.8 s every second from 1 s on, with a task unless told otherwise."""
    columns = {"task": ["go"] * n_trials} | columns
    for name in columns:
        nwb.add_trial_column(name=name, description=f"about {name}")
    for k in range(n_trials):
        own = {name: values[k] for name, values in columns.items()}
        nwb.add_trial(start_time=k + 1.0, stop_time=k + 1.8, **own)
    return nwb


def trains(n_units=3, seed=0, stop=8.0):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.uniform(0, stop, 60)) for _ in range(n_units)]


def add_units(nwb, times, **options):
    for unit, own in enumerate(times):
        nwb.add_unit(spike_times=own, **{k: v[unit] for k, v in options.items()})
    return nwb


def written(nwb, path):
    with quiet(), NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def lone_block(path, **options):
    return next(iter(nc.open(path, **options).children.values())).to_dataset()


def spiking(path, day="day1", seed=0, n_units=3, **columns):
    return written(add_units(add_trials(new_file(day), **columns), trains(n_units, seed)), path)


def change(path, edit):
    with h5py.File(path, "a") as file:
        edit(file)
    return path
