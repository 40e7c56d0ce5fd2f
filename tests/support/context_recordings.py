"""Simulated recordings of two contexts, their mapping, and samples like them."""

import json
from functools import cache

import numpy as np
import torch

import nwbcompare as nc
import nwbcompare.comparison.protocol_mapping
from nwbcompare.comparison.kernels.spike_variability import draw_counts
from nwbcompare.comparison.matched_sampling import sample_like
from nwbcompare.model import Network, NetworkConfig

LEVELS = ["coherence_1_level", "coherence_2_level"]
CONTEXTS = ("contextdm1", "contextdm2")
SMOOTH_S, WIDTH = 0.04, 0.05
STRENGTHS = {-2: -0.2, -1: -0.05, 1: 0.05, 2: 0.2}


@cache
def small_network(seed=0, gain=3.0):
    """A network whose units are active in both contexts, untrained."""
    network = Network(NetworkConfig(n_units=16, seed=seed), name=f"small {seed}")
    with torch.no_grad():
        network.input_weight.mul_(gain)
    return network


def table(**changes):
    """The mapping of the recordings below, as a file would hold it."""
    coherence = {
        f"coherence_{m}": {"column": f"coherence_{m}_level", "values": dict(STRENGTHS)}
        for m in (1, 2)
    }
    return {
        "tasks": {task: task for task in CONTEXTS},
        "conditions": {"direction": {"value": 0}, **coherence},
        "axes_degrees": [0, 60, 120],
        "stimulus_ms": 750,
        "epoch": {"recording": "stim1", "network": "stim1"},
        "choice": {"column": "choice", "first": 1, "second": -1},
    } | changes


def without(key):
    return {name: value for name, value in table().items() if name != key}


def make_recording(
    n_units=6, trials=(4, 9), *, seed=0, fano=1.0, gain=0.0, n_bins=15, rates=(5, 30), signal=0.3
):
    """Ragged spikes of units with known scatter, by unit in two contexts of 16 conditions."""
    rng = np.random.default_rng(seed)
    levels = np.array([(a, b) for a in STRENGTHS for b in STRENGTHS])
    rows, units, observed = [], [], []
    for unit in range(n_units):
        mean = rng.uniform(*rates) * np.exp(signal * rng.standard_normal((2, 16, 1)))
        number = rng.integers(*trials, size=(2, 16))
        task, condition = (
            np.repeat(which, number.ravel()) for which in np.divmod(np.arange(32), 16)
        )
        expected = np.repeat(mean[task, condition] * WIDTH, n_bins, axis=1)
        observed.append(draw_counts(expected, fano, gain, rng) / WIDTH)
        rows.append(np.column_stack([task, levels[condition]]))
        units.append(np.full(task.size, unit))
    task, first, second = np.concatenate(rows).T
    block = nc.make_block(
        np.concatenate(observed),
        time_s=0.1 + (np.arange(n_bins) + 0.5) * WIDTH,
        bin_width_s=WIDTH,
        aligned_to="dots onset",
        trials={
            "task": np.array(CONTEXTS)[task],
            "coherence_1_level": first,
            "coherence_2_level": second,
            "coherence_1_sign": np.sign(first),
            "coherence_2_sign": np.sign(second),
            "choice": rng.choice([-1, 1], task.size),
            "reaction_time": rng.random(task.size),
        },
        units={
            "unit": [f"n{unit}" for unit in range(n_units)],
            "subject": ["A"] * n_units,
            "session": [f"day {unit // 2}" for unit in range(n_units)],
        },
        observation_unit=np.concatenate(units),
        epochs={"stim1": (0.1, 0.1 + n_bins * WIDTH)},
        condition_variables={t: ["coherence_1_sign", "coherence_2_sign"] for t in CONTEXTS},
        source="recording",
        name="example",
        provenance={"options": {"bin_s": WIDTH, "smooth_s": SMOOTH_S}},
    )
    return nc.smooth(block, SMOOTH_S)


def sample(recording, mapping=None, *, network=None, **options):
    activity = sample_like(network or small_network(), recording, mapping or table(), **options)
    return nc.check_activity(activity)["sample"].to_dataset()


def as_dense(block):
    """One unit's ragged block as trials."""
    row = "observation"
    columns = {k: v.variable for k, v in block.coords.items() if v.dims == (row,)}
    columns.pop("observation_unit")
    return nc.make_block(
        block["rate"].values[:, :, None],
        time_s=block["time"].values,
        bin_width_s=WIDTH,
        aligned_to="dots onset",
        trials=columns,
        units={"unit": block["unit"].values, "subject": block["subject"].values},
        epochs={"stim1": (0.1, 0.85)},
        condition_variables=json.loads(block.attrs["condition_variables"]),
        source="recording",
        name="dense",
        provenance=json.loads(block.attrs["provenance"]),
    )
