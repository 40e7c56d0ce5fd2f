"""Tutorial 3: a laboratory's NWB files with events, and networks of this package's tasks.

Run: ``python examples/tutorial_3_lab_file.py [FOLDER]`` (a minute on two cores).
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pynwb import NWBHDF5IO, NWBFile

import nwbcompare as nc
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.sources import resolve

out, rng = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial_3"), np.random.default_rng(0)
(out / "lab").mkdir(parents=True, exist_ok=True)

# The laboratory's files, six sessions of six units: a cue at one of four places, answered at once
# ("saccade") or after a delay ("memory"). Spikes and events are on the session's clock.
tasks = ("saccade", "memory")
angles = {"right": 0, "up": 90, "left": 180, "down": 270}
for day in range(1, 7):
    nwb = NWBFile("saccades", f"day-{day}", datetime(2026, 3, day, tzinfo=UTC))
    for name in ("cue_on", "block", "place"):
        nwb.add_trial_column(name, f"{name} of the trial")
    memory, place = rng.integers(0, 2, 200), rng.choice(list(angles), 200)
    cue = 4.0 * np.arange(200) + rng.uniform(0.5, 1.0, 200)
    for trial in range(200):
        row = {"cue_on": cue[trial], "block": tasks[memory[trial]], "place": place[trial]}
        nwb.add_trial(start_time=4.0 * trial, stop_time=4.0 * trial + 3, **row)
    for _ in range(6):
        gain, preferred = rng.normal(0, 0.8, 2), rng.uniform(0, 2 * np.pi)
        angle = np.radians([angles[one] for one in place])
        rate = 15 * np.exp(gain[memory] * np.cos(angle - preferred))
        times = np.repeat(cue, rng.poisson(1.5 * rate))
        nwb.add_unit(spike_times=np.sort(times + rng.uniform(-0.5, 1.0, times.size)))
    with NWBHDF5IO(out / "lab" / f"day-{day}.nwb", "w") as file:
        file.write(nwb)

# Read about the cue; the epoch begins when neurons respond, 0.1 s after it.
reading = "align=cue_on&window=-0.2,0.8&task=block&conditions=place&epoch.cue=0.1,0.6"
source = f"{out / 'lab'}?{reading}"
recording = resolve(source)
print(nc.describe(recording))

# The recorded conditions as those of the package's tasks Go and Dly Go.
place_of = {"column": "place", "values": angles}
mapping = {
    "tasks": {"saccade": "fdgo", "memory": "delaygo"},
    "conditions": {"direction": place_of, "modality": {"value": 1}},
    "epoch": {"recording": "cue", "network": "stim1"},
    "stimulus_ms": 500,
    "axes_degrees": [0, 22.5, 45, 67.5],
}
print(nc.comparison.check_mapping(recording, mapping).to_dataframe())

# Three networks of these tasks, sampled like the neurons, on a page.
networks = [f"pretrained:all20-fast-{seed}" for seed in range(3)]
settings = Settings(pair=("saccade", "memory"))
print(
    nc.compare(networks, source, out / "page", mapping=mapping, settings=settings, overwrite=True)
)
