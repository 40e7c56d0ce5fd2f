"""Tutorial 2: an LSTM on three tasks of one's own: variance, clusters, DANDI, and a recording.

Run: ``python examples/tutorial_2_own_module.py [FOLDER]`` (a minute on two cores).
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import nwbcompare as nc

out, rng = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial_2"), np.random.default_rng(0)
levels = [["go", "anti", "ignore"], [-1, 1], [0.25, 0.5, 1.0]]
grid = pd.MultiIndex.from_product(levels, names=["task", "side", "contrast"]).to_frame(index=False)
task, signed = np.repeat(np.arange(3), 6), (grid.side * grid.contrast).to_numpy()

# Three inputs name the task, the fourth shows the stimulus from 0 to 0.6 s.
inputs = np.zeros((18, 50, 4), dtype=np.float32)
inputs[np.arange(18), :, task] = 1
inputs[:, 10:40, 3] = signed[:, None]
target = torch.tensor(np.sign(signed) * np.array([1, -1, 0])[task])
torch.manual_seed(0)
lstm, readout = torch.nn.LSTM(4, 64, batch_first=True), torch.nn.Linear(64, 1)
optimiser = torch.optim.Adam([*lstm.parameters(), *readout.parameters()], lr=3e-3)
for _ in range(200):
    noisy = torch.from_numpy(inputs) + 0.1 * torch.randn(inputs.shape)
    optimiser.zero_grad()
    (readout(lstm(noisy)[0])[:, -1, 0] - target).square().mean().backward()
    optimiser.step()

# Activity in every condition; task variance and clusters of the hidden units.
timing = {"conditions": ["side", "contrast"], "epochs": {"stimulus": (0.0, 0.6)}}
trials = nc.tasks.trials_from_arrays(inputs, trials=grid, dt_ms=20, start_s=-0.2, **timing)
activity = nc.make_activity({"lstm": nc.record(lstm, trials, name="my LSTM")})
variance = nc.task_variance(activity)
print(variance["task_variance"].to_pandas().describe())
print(nc.clustering.cluster_units(variance, seed=0))
print(nc.io.write_dandiset(activity, out / "dandiset", overwrite=True))

# A recording of two of the tasks, in which contrasts were written in percent. LSTM rates have both
# signs, so that units are sampled at the strength of tuning of the recorded ones.
shown = rng.integers(0, 12, 400)
gain = rng.normal(0, 1, (30, 2))
rate = 10 * np.exp(gain[:, task[shown]] * signed[shown]).T[:, None]
recorded = grid.iloc[shown].assign(contrast=(100 * grid.contrast.iloc[shown]).astype(int))
recording = nc.from_arrays(
    rng.poisson(0.05 * rate, (400, 12, 30)), counts=True, bin=0.05, trials=recorded,
    name="my mouse", **timing,
)  # fmt: skip
match = {"contrast": {25: 0.25, 50: 0.5, 100: 1.0}}
sample = nc.sample_like(activity, recording, match)
for name, one in {"sampled units of the LSTM": sample, "neurons": recording}.items():
    ftv = nc.fractional_task_variance(nc.task_variance(one), "go", "anti")
    print(f"s.d. of FTV of {name}: {float(ftv['fractional_task_variance'].std()):.3f}")
