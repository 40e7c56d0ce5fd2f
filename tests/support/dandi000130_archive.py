"""Files in the layout of DANDI:000130, from a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lab_nwb import new_file, written

SHORT_MS, LONG_MS = (480, 560, 640, 720, 800), (800, 900, 1000, 1100, 1200)
"""Sample intervals of the two priors (ms); 800 is in both."""
LAST_S = 1e4


def archive(folder: Path, n_units: int = 4, n_trials: int = 60, seed: int = 0) -> dict[str, Any]:
    """Write a session, and return its trials and spike times."""
    rng = np.random.default_rng(seed)
    nwb = new_file("day1", "Haydn")
    start = 1.0 + 4.0 * np.arange(n_trials)
    short, eye = rng.integers(0, 2, (2, n_trials))
    # each condition comes up, whatever the seed
    short[:40], eye[:40] = np.arange(40) % 2, np.arange(40) // 2 % 2
    rank = np.arange(n_trials) // 4 % 5
    ts = np.where(short == 1, np.take(SHORT_MS, rank), np.take(LONG_MS, rank)).astype(float)
    trials = {
        "ready_time": start + 0.5,
        "set_time": start + 0.5 + ts / 1000,
        "go_time": start + 0.5 + 2 * ts / 1000,
        "ts": ts,
        "tp": ts * rng.uniform(0.9, 1.1, n_trials),
        "theta": np.where(np.arange(n_trials) // 20 % 2, 180.0, 0.0),
        "is_short": short,
        "is_eye": eye,
        "split": np.array(["train"] * n_trials),
    }
    # a trial that was broken off before the interval
    trials["ready_time"][-1] = np.nan
    for name in trials:
        nwb.add_trial_column(name=name, description=f"about {name}")
    for k in range(n_trials):
        own = {name: values[k] for name, values in trials.items()}
        nwb.add_trial(start_time=start[k], stop_time=start[k] + 3.5, **own)
    end = start[-1] + 4
    spikes = [np.sort(rng.uniform(0, end, 40 * n_trials)) for _ in range(n_units)]
    # the last unit was lost half-way
    half = start[n_trials // 2]
    spikes[-1] = spikes[-1][spikes[-1] < half]
    nwb.add_unit_column(name="heldout", description="whether held out of the test split")
    for place, own in enumerate(spikes):
        until = half if place == n_units - 1 else end
        nwb.add_unit(spike_times=own, obs_intervals=[[0.0, until]], heldout=place % 2 == 0)
    (folder / "sub-Haydn").mkdir(parents=True)
    written(nwb, folder / "sub-Haydn" / "sub-Haydn_desc-train_ecephys.nwb")
    (folder / "sub-Haydn" / "sub-Haydn_desc-test_ecephys.nwb").write_bytes(b"not to be read")
    return {"trials": trials, "start": start, "rank": rank, "spikes": spikes, "half": half}
