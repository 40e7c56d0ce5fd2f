"""The kinds of training that are compared: the published two, and their controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from nwbcompare.continual.settings import LEVELS, Settings
from nwbcompare.model.checkpoint import read_importances
from nwbcompare.model.config import Consolidation, Method, NetworkConfig, TrainingConfig
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network

KINDS = {
    "interleaved": "all tasks at once, as many trials of each",
    "sequential": "one task after another, nothing consolidated",
    "consolidated": "one task after another with synaptic intelligence",
    "permuted": "control: the importances of the consolidated network at other synapses",
    "uniform": "control: their sum spread evenly over all synapses",
}
"""What is trained, by name; untrained networks come besides."""
UNTRAINED = "untrained"
DONOR, CONTROLS = "consolidated", ("permuted", "uniform")
METHODS: dict[str, Method] = {
    "sequential": "none",
    "consolidated": "synaptic_intelligence",
    "permuted": "permuted",
    "uniform": "uniform",
}


def configs_of(kind: str, seed: int, settings: Settings) -> tuple[NetworkConfig, TrainingConfig]:
    """Give how a network is trained; all kinds of a seed share initial weights and trials.

    Parameters
    ----------
    kind
        A name in `KINDS`.
    seed
        The network's seed.
    settings
        Length, size and strength.
    """
    network = sequential_network(n_units=settings.n_units, seed=seed)
    make: Callable[..., TrainingConfig] = sequential_config
    if kind == "interleaved":
        make = interleaved_config
    training = make(steps_per_task=settings.steps_per_task, milestones=LEVELS, seed=seed)
    if kind != "interleaved":
        consolidation = Consolidation(
            method=METHODS[kind],
            strength=settings.strength if METHODS[kind] != "none" else 1.0,
            seed=seed,
        )
        training = replace(training, consolidation=consolidation)
    return network, training


def importances_for(kind: str, donor: Path) -> torch.Tensor | None:
    """Give the importances that a control takes from the consolidated network of its seed."""
    return read_importances(donor) if kind in CONTROLS else None
