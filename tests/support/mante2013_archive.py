"""A small archive in the form of Mante et al. (2013), for tests of what is read from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat


def unit_record(rng, n_trials=40, scale=1.0, kind="s", **changes):
    levels = np.array([-0.5, -0.17, -0.06, 0.06, 0.17, 0.5]) * scale
    sign = rng.choice([-1, 1], n_trials)
    variables = {
        "stim_dir": rng.choice(levels, n_trials),
        "stim_col": rng.choice(levels, n_trials),
        "stim_col2dir": rng.choice(levels, n_trials),
        "stim_dir2col": rng.choice(levels, n_trials),
        "targ_dir": sign.astype("i2"),
        "targ_col": sign.astype("i2"),
        "context": np.tile([1, -1], n_trials // 2).astype("i2"),
        "correct": rng.integers(0, 2, n_trials).astype("u1"),
        "congruent": rng.integers(0, 2, n_trials).astype("u1"),
        "stim_trial": np.arange(n_trials).astype("u2"),
    }
    variables = {k: v[:, None] for k, v in variables.items()}
    record = {
        "response": rng.poisson(0.02, (n_trials, 751)).astype("u1"),
        "task_variable": variables,
        "unitInfo": {"type": kind, "discriminability": 3.0, "grid_position": [[-4.0], [-2.0]]},
    }
    return record | changes


def archive(folder: Path, units: dict, place="PFC data 1") -> Path:
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name, record in units.items():
        savemat(
            folder / place / f"{name}_Vstim_100_850_ms.mat", {"unit": record}, do_compression=True
        )
    return folder
