"""Convert a laboratory's own recording to a folder for the DANDI archive, and read it again.

The laboratory's data are the spike times of each unit on the session's clock and a table of trials.
Here both are simulated: 12 units tuned to the side and the strength of a stimulus.

Run: ``python examples/recording_to_dandi.py [--out FOLDER]``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import nwbcompare as nc

N_UNITS, N_TRIALS = 12, 160
METADATA = {
    "NWBFile": {
        "session_id": "2026-03-14",
        "session_start_time": "2026-03-14T10:20:00+01:00",
        "session_description": "Simulated: spikes of tuned units, as a laboratory has them.",
        "experiment_description": "Choice between two sides, by context.",
        "experimenter": "Doe, Jane",
        "institution": "An institute",
        "keywords": ["decision", "context"],
    },
    "Subject": {
        "subject_id": "monkey-Z",
        "species": "Macaca mulatta",
        "sex": "F",
        "age": "P8Y",
        "description": "A simulated animal.",
    },
}


def simulate_session(seed: int) -> tuple[list[np.ndarray], pd.DataFrame, pd.DataFrame]:
    """Simulate the spike times of each unit (s), the table of trials, and the table of units."""
    rng = np.random.default_rng(seed)
    start = np.cumsum(rng.uniform(1.6, 2.0, N_TRIALS))
    trials = pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + 1.4,
            "cue_time": start + rng.uniform(0.2, 0.4, N_TRIALS),
            "context": rng.choice(["motion", "colour"], N_TRIALS),
            "side": rng.choice(["left", "right"], N_TRIALS),
            "strength": rng.choice([0.1, 0.4], N_TRIALS),
        }
    )
    spikes = []
    for _ in range(N_UNITS):
        gain = dict(zip(["motion", "colour"], rng.uniform(0, 25, 2), strict=True))
        by_trial = []
        for trial in trials.itertuples():
            sign = 1 if trial.side == "right" else -1
            rate = max(0.0, 15 + gain[trial.context] * sign * (0.5 + trial.strength))
            by_trial.append(trial.cue_time + rng.uniform(-0.5, 1.2, rng.poisson(rate * 1.7)))
        spikes.append(np.sort(np.concatenate(by_trial)))
    units = pd.DataFrame(
        {
            "unit": [f"z{place:02d}" for place in range(N_UNITS)],
            "area": rng.choice(["8Ar", "46"], N_UNITS),
            "subject": "monkey Z",
        }
    )
    return spikes, trials, units


def main() -> None:
    """Write the recording, read it again, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="output folder; temporary by default")
    out = Path(parser.parse_args().out or tempfile.mkdtemp(prefix="dandiset-"))

    spikes, trials, units = simulate_session(seed=0)
    recording = nc.from_arrays(
        spikes=spikes,
        trials=trials,
        units=units,
        align="cue_time",
        window=(-0.2, 1.0),
        bin=0.001,  # fine bins, whose counts are converted to spike times
        task="context",
        conditions=["side", "strength"],
        name="monkey Z",
    )
    reading = {"bin": 0.05, "smooth": 0.04}  # default options of reading the file
    (path,) = nc.io.write_dandiset(
        recording, out, spikes="counts", metadata=METADATA, reading=reading, overwrite=True
    )
    print(f"written: {path.relative_to(out)}, {path.stat().st_size / 1e3:.0f} kB")
    print("messages of the validators:", nc.io.inspect_nwb(path) or "none")

    activity = nc.open(out)
    variance = nc.task_variance(activity)
    ftv = nc.fractional_task_variance(variance, "colour", "motion")["fractional_task_variance"]
    print(f"opened again: {dict(activity['monkey Z'].sizes)}")
    print(f"FTV of colour against motion: mean {ftv.mean():.3f}, s.d. {ftv.std():.3f}")


if __name__ == "__main__":
    main()
