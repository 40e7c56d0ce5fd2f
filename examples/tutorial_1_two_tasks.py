"""Tutorial 1: neurons that were recorded in two tasks, and a network trained on the same two.

Run: ``python examples/tutorial_1_two_tasks.py [FOLDER]`` (a minute on two cores).
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import nwbcompare as nc
from nwbcompare.workflows.settings import Settings

out, rng = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial_1"), np.random.default_rng(0)
levels = [["motion", "colour"], ["left", "right"], [0.2, 0.4, 0.8]]
grid = pd.MultiIndex.from_product(levels, names=["task", "side", "strength"]).to_frame(index=False)
signed = (grid.strength * np.where(grid.side == "left", -1, 1)).to_numpy()

# The laboratory's data: for each unit a table of its trials, and lists of spike times (s) from
# the stimulus. Six units a session.
tables, spikes, gain = [], [], np.exp(rng.normal(0, 0.7, (48, 2)))
for unit in range(48):
    shown = rng.permutation(np.repeat(np.arange(12), 10))
    tables.append(grid.iloc[shown])
    rate = 12 * np.exp(gain[unit, shown // 6] * signed[shown])
    spikes.append([rng.uniform(-0.2, 0.8, rng.poisson(r)) for r in rate])
units = pd.DataFrame({"unit": np.arange(48).astype(str), "session": np.arange(48) // 6})
timing = {"conditions": ["side", "strength"], "epochs": {"stimulus": (0.0, 0.6)}}
recording = nc.from_arrays(
    spikes=spikes, trials=tables, units=units, window=(-0.2, 0.8), name="my monkey", **timing
)
print(nc.describe(recording))

# The network: two inputs name the task, the third shows the signed strength; colour is reversed.
inputs = np.zeros((12, 50, 3), dtype=np.float32)
inputs[np.arange(12), :, np.arange(12) // 6] = 1
inputs[:, 10:40, 2] = signed[:, None]
target = torch.tensor(np.sign(signed) * np.where(grid.task == "motion", 1, -1))
torch.manual_seed(0)
network = torch.nn.Sequential()
network.rnn, network.readout = torch.nn.GRU(3, 64, batch_first=True), torch.nn.Linear(64, 1)
optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
for _ in range(200):
    noisy = torch.from_numpy(inputs) + 0.1 * torch.randn(inputs.shape)
    answer = network.readout(network.rnn(noisy)[0])[:, -1, 0]
    optimiser.zero_grad()
    (answer - target).square().mean().backward()
    optimiser.step()

# Its activity in every condition, with a column that says whether the answer was correct.
answer = network.readout(network.rnn(torch.from_numpy(inputs))[0])[:, -1, 0]
columns = grid.assign(correct=(answer.sign() == target).numpy())
trials = nc.tasks.trials_from_arrays(inputs, trials=columns, dt_ms=20, start_s=-0.2, **timing)
activity = nc.record(network.rnn, trials, name="my network")

# Both as files, and the page.
out.mkdir(parents=True, exist_ok=True)
recording.to_netcdf(out / "recording.nc", engine="h5netcdf")
nc.write_nwb(activity, out / "network.nwb", overwrite=True)
options = {"settings": Settings(pair=("motion", "colour")), "chance": (0.5, 0.5), "overwrite": True}
print(nc.compare([out / "network.nwb"], str(out / "recording.nc"), out / "page", **options))
