"""Simulated recordings with known confounds, and the FTV of two of their tasks."""

from __future__ import annotations

import numpy as np

import nwbcompare as nc

BIN_S = 0.1


def recording(
    seed=0,
    *,
    ragged=True,
    n_units=6,
    n_trials=(120, 60),
    gain=(1.0, 1.0),
    tuning=0.5,
    spikes=True,
    task_tuning=False,
):
    """Poisson counts of two tasks with 2 x 2 conditions; choice follows c with errors."""
    rng = np.random.default_rng(seed)
    task = np.repeat([0, 1], n_trials)
    n = task.size
    c, d = rng.choice([-1, 1], n, p=[0.3, 0.7]), rng.choice([-1, 1], n)
    choice = np.where(rng.random(n) < 0.2, -c, c)
    slope = tuning * rng.random(n_units)
    sign = np.where(task[:, None] == 1, -1.0, 1.0) if task_tuning else 1.0
    mean = 40 * (1 + slope * (0.7 * choice[:, None] * sign + 0.3 * d[:, None]))
    mean = np.repeat((mean * np.array(gain)[task][:, None])[:, None], 4, axis=1)
    rate = rng.poisson(mean * BIN_S) / BIN_S if spikes else mean
    columns = {"task": np.array(["a", "b"])[task], "c": c, "d": d, "choice": choice}
    columns["correct"] = choice == c
    common = {
        "time_s": (np.arange(4) + 0.5) * BIN_S,
        "bin_width_s": BIN_S,
        "aligned_to": "stimulus",
        "condition_variables": {"a": ["c", "d"], "b": ["c", "d"]},
        "source": "recording",
        "name": "toy",
        "deterministic": not spikes,
    }
    units = {"unit": [f"u{i}" for i in range(n_units)]}
    if not ragged:
        units["session"] = [f"s{i // 2}" for i in range(n_units)]
        return nc.make_block(rate, trials=columns, units=units, **common)
    rows = np.concatenate([rate[:, :, i] for i in range(n_units)])
    tiled = {name: np.tile(values, n_units) for name, values in columns.items()}
    unit = np.repeat(np.arange(n_units), n)
    tiled["session"] = np.array([f"s{i // 2}" for i in unit])
    # units see trials of their own
    kept = np.flatnonzero(rng.random(unit.size) < 0.8)
    return nc.make_block(
        rows[kept],
        trials={name: values[kept] for name, values in tiled.items()},
        units=units,
        observation_unit=unit[kept],
        **common,
    )


def ftv_of(activity):
    variance = nc.task_variance(activity)
    ftv = nc.fractional_task_variance(variance, "a", "b", threshold=0.0)
    return ftv["fractional_task_variance"]
