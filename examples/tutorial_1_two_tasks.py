"""Compare neurons that were recorded in two tasks with a network trained on the same tasks.

Run: ``python examples/tutorial_1_two_tasks.py [FOLDER]``; it writes a page to FOLDER.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import nwbcompare as nc
from nwbcompare.workflows.settings import Settings

out, rng = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial_1"), np.random.default_rng(0)
grid = pd.MultiIndex.from_product([["motion", "colour"], ["left", "right"], [0.2, 0.4, 0.8]])
grid = grid.to_frame(index=False, name=["task", "side", "strength"])  # every condition once
signed = grid.strength * np.where(grid.side == "left", -1, 1)

# 1. The recording: a table of trials for each unit, and its spike times (s) from the stimulus
tables, spikes, gain = [], [], np.exp(rng.normal(0, 0.7, (48, 2)))
for unit in range(48):
    shown = rng.permutation(np.repeat(np.arange(12), 10))
    tables.append(grid.iloc[shown])
    rate = 12 * np.exp(gain[unit, (shown >= 6).astype(int)] * signed.to_numpy()[shown])
    spikes.append([rng.uniform(-0.2, 0.8, rng.poisson(r)) for r in rate])
units = {"unit": [f"n{k}" for k in range(48)], "session": [f"day {k // 6}" for k in range(48)]}
recording = nc.from_arrays(
    spikes=spikes, trials=tables, units=units | {"subject": ["monkey"] * 48}, window=(-0.2, 0.8),
    task="task", conditions=["side", "strength"], epochs={"stimulus": (0.0, 0.6)}, name="my monkey",
)  # fmt: skip
print(nc.describe(recording))

# 2. The network: 2 inputs that name the task, then one that shows the signed strength
inputs = np.zeros((12, 50, 3), dtype=np.float32)
inputs[np.arange(12), :, (grid.task == "colour").astype(int)] = 1
inputs[:, 10:40, 2] = signed.to_numpy()[:, None]
target = np.where(grid.task == "motion", np.sign(signed), -np.sign(signed))  # colour is reversed
torch.manual_seed(0)
network = torch.nn.RNN(3, 64, batch_first=True, nonlinearity="relu")
readout = torch.nn.Linear(64, 1)
optimiser = torch.optim.Adam([*network.parameters(), *readout.parameters()], lr=3e-3)
for _ in range(300):
    noisy = torch.from_numpy(inputs) + 0.1 * torch.randn(12, 50, 3)
    answer = readout(network(noisy)[0])[:, 40:, 0]
    loss = (answer - torch.tensor(target, dtype=torch.float32)[:, None]).square().mean()
    optimiser.zero_grad(); loss.backward(); optimiser.step()  # noqa: E702
answer = readout(network(torch.from_numpy(inputs))[0])[:, -1, 0].detach().numpy()
columns = grid.assign(correct=np.sign(answer) == target)
trials = nc.tasks.trials_from_arrays(
    inputs, trials=columns, dt_ms=20, conditions=["side", "strength"], start_s=-0.2,
    aligned_to="stimulus", epochs={"stimulus": (0.0, 0.6)},
)  # fmt: skip

# 3. Both as files, and the page
out.mkdir(parents=True, exist_ok=True)
recording.to_netcdf(out / "recording.nc", engine="h5netcdf")
nc.write_nwb(nc.record(network, trials, name="my network"), out / "network.nwb", overwrite=True)
page = nc.compare([out / "network.nwb"], str(out / "recording.nc"), out / "page", overwrite=True,
                  settings=Settings(pair=("motion", "colour")), chance=(0.5, 0.5))  # fmt: skip
print(page / "index.html")
