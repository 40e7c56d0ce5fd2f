"""From a laboratory's own recording to a folder that the DANDI archive takes, and back.

The lab's side is a spike time list for each unit on the session's clock and a table of trials, as
most labs have them in one form or another; here both are simulated: 12 units tuned to the side and
the strength of a stimulus, some of them recorded in a part of the session only.

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


def a_labs_session(seed: int) -> tuple[list[np.ndarray], pd.DataFrame, pd.DataFrame]:
    """Simulate spike times by unit (s), the table of trials, and the table of units."""
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
        own = []
        for trial in trials.itertuples():
            sign = 1 if trial.side == "right" else -1
            rate = max(0.0, 15 + gain[trial.context] * sign * (0.5 + trial.strength))
            own.append(trial.cue_time + rng.uniform(-0.5, 1.2, rng.poisson(rate * 1.7)))
        spikes.append(np.sort(np.concatenate(own)))
    units = pd.DataFrame(
        {
            "unit": [f"z{place:02d}" for place in range(N_UNITS)],
            "area": rng.choice(["8Ar", "46"], N_UNITS),
            "subject": "monkey Z",
        }
    )
    return spikes, trials, units


def main() -> None:
    """Go all the way and print what comes out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="the folder of the dandiset; temporary by default")
    out = Path(parser.parse_args().out or tempfile.mkdtemp(prefix="dandiset-"))

    spikes, trials, units = a_labs_session(seed=0)
    recording = nc.from_arrays(
        spikes=spikes,
        trials=trials,
        units=units,
        align="cue_time",
        window=(-0.2, 1.0),
        bin=0.001,  # fine bins: whole counts, which become spike times again
        task="context",
        conditions=["side", "strength"],
        name="monkey Z",
    )
    reading = {"bin": 0.05, "smooth": 0.04}  # how the files are read by default
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
