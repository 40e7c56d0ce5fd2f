"""One small session as a laboratory has it, and the same session through every way of reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import nwbcompare as nc

N_TRIALS, N_UNITS = 16, 3
WINDOW = (-0.2, 1.0)
BIN_S = 0.1


@dataclass(frozen=True)
class LabSession:
    """Spike times of each unit and a table of trials, in s on the session's clock."""

    spikes: list[np.ndarray]
    trials: dict[str, np.ndarray]


def lab_session(seed: int = 0) -> LabSession:
    """Two tasks, two sides; the cue ends and the go signal comes at other times in each trial."""
    rng = np.random.default_rng(seed)
    cue = 1.0 + 2.0 * np.arange(N_TRIALS)
    off = cue + rng.choice([0.2, 0.3], N_TRIALS)
    spikes = [np.sort(rng.uniform(0, cue[-1] + 2, 200)) for _ in range(N_UNITS)]
    trials = {
        "start_time": cue - 0.5,
        "stop_time": cue + 1.2,
        "cue_on": cue,
        "cue_off": off,
        "go": off + rng.choice([0.4, 0.6], N_TRIALS),
        "task": np.repeat(["motion", "colour"], N_TRIALS // 2),
        "side": np.tile(["left", "right"], N_TRIALS // 2),
    }
    return LabSession(spikes, trials)


def from_arrays(session: LabSession, _: Path, **options: Any) -> Any:
    return nc.from_arrays(spikes=session.spikes, trials=session.trials, **options)


def from_pynapple(session: LabSession, _: Path, **options: Any) -> Any:
    import pynapple as nap

    trials = dict(session.trials)
    bounds = (trials.pop("start_time"), trials.pop("stop_time"))
    support = nap.IntervalSet(0, bounds[1][-1] + 1)
    trains = {k: nap.Ts(times, time_support=support) for k, times in enumerate(session.spikes)}
    group = nap.TsGroup(trains, time_support=support)
    return nc.from_pynapple(group, nap.IntervalSet(*bounds, metadata=trials), **options)


def from_neo(session: LabSession, _: Path, **options: Any) -> Any:
    import neo
    import quantities as pq

    segment, trials = neo.Segment(name="lab"), dict(session.trials)
    start, stop = trials.pop("start_time"), trials.pop("stop_time")
    for unit, times in enumerate(session.spikes):
        train = neo.SpikeTrain(times * pq.s, t_stop=stop[-1] + 1, name=f"unit {unit}")
        segment.spiketrains.append(train)
    segment.epochs.append(neo.Epoch(start * pq.s, (stop - start) * pq.s, name="trials"))
    return nc.from_neo(segment, trials="trials", columns=trials, **options)


def write_nwb_file(session: LabSession, folder: Path) -> Path:
    """Write the session with pynwb, as a laboratory does."""
    import pynwb

    file = pynwb.NWBFile(
        session_description="a session", identifier="s1", session_start_time=datetime.now(UTC)
    )
    for times in session.spikes:
        file.add_unit(spike_times=times, obs_intervals=[[0.0, session.trials["stop_time"][-1] + 1]])
    columns = {k: v for k, v in session.trials.items() if k not in {"start_time", "stop_time"}}
    for name in columns:
        file.add_trial_column(name, name)
    for row in range(N_TRIALS):
        file.add_trial(
            **{
                name: values[row].item() if values.dtype.kind == "f" else str(values[row])
                for name, values in session.trials.items()
            }
        )
    path = folder / "lab.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def from_nwb(session: LabSession, folder: Path, **options: Any) -> Any:
    return nc.open(write_nwb_file(session, folder), **options)


def from_engine(session: LabSession, folder: Path, **options: Any) -> Any:
    import xarray as xr

    return xr.open_datatree(write_nwb_file(session, folder), engine="nwbcompare", **options)


def from_mat(session: LabSession, folder: Path, **options: Any) -> Any:
    from scipy.io import savemat

    spikes = np.empty((1, N_UNITS), dtype=object)
    spikes[0] = session.spikes
    text = {"task", "side"}
    trials = {
        name: values.astype(object) if name in text else values
        for name, values in session.trials.items()
    }
    savemat(folder / "lab.mat", {"spikes": spikes, "trials": trials})
    mapping = {"spikes": "spikes", "trials": {name: f"trials.{name}" for name in trials}}
    return nc.from_mat(folder / "lab.mat", mapping, **options)


WAYS = {
    "arrays": from_arrays,
    "pynapple": from_pynapple,
    "neo": from_neo,
    "NWB": from_nwb,
    "engine": from_engine,
    "MATLAB": from_mat,
}
"""Every way of reading, by its name."""
