"""Sessions of simulated spikes and of samples, and the block they give."""

from __future__ import annotations

import numpy as np

import nwbcompare as nc
from nwbcompare.io.sessions import Reading, Samples, Session, SpikeTrains, lay_on_one_clock


def spikes_of(n_units=3, n_trials=4, *, seed=0, name="s1", times=None, intervals=None, **columns):
    """A session of spikes: trials of 1 s each second, of task "go" unless told otherwise."""
    rng = np.random.default_rng(seed)
    if times is None:
        times = [np.sort(rng.random(40) * (n_trials + 2)) for _ in range(n_units)]
    start = np.arange(n_trials) + 1.0
    trials = {"start_time": start, "stop_time": start + 1, "task": np.array(["go"] * n_trials)}
    return Session(
        name=name,
        trials=trials | columns,
        units={"unit": np.array([f"u{k}" for k in range(n_units)])},
        signal=SpikeTrains(times.__getitem__, intervals),
    )


def block_of(sessions, name="data", **reading):
    activity = lay_on_one_clock(
        sessions if isinstance(sessions, list) else [sessions], Reading(**reading), name=name
    )
    return next(iter(nc.check_activity(activity).children.values())).to_dataset()


def samples_of(values=None, *, rate=20.0, start=0.0, times=None, n_trials=4, origin=1.0):
    """A session of samples; with ``times`` at uneven ones."""
    if values is None:
        values = np.random.default_rng(0).random((200, 3))
    starts = np.arange(n_trials) + origin
    trials = {"start_time": starts, "stop_time": starts + 1, "task": np.array(["go"] * n_trials)}
    signal = Samples(
        read=lambda a, b, units: values[a:b, units],
        n_samples=len(values),
        start_s=start if times is None else float(times[0]),
        sampling_s=1 / rate,
        times=None if times is None else lambda: times,
    )
    units = {"unit": np.array([f"c{k}" for k in range(values.shape[1])])}
    return Session(name="s1", trials=trials, units=units, signal=signal)
