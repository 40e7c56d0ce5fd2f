"""Training of small networks in a few steps."""

from __future__ import annotations

import torch

from nwbcompare.model import NetworkConfig, Stage, TrainingConfig

TASKS = ("contextdm1", "contextdm2")
SHORT = TrainingConfig(
    tasks=TASKS,
    stages=(Stage(dt_ms=100, coherence_scale=10, max_steps=20),),
    evaluate_every=10,
    evaluation_trials=32,
    batch_size=8,
)
SMALL = NetworkConfig(n_units=16, nonlinearity="relu", seed=3)


def _equal(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)
