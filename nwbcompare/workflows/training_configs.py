"""How a network of each kind is trained."""

from __future__ import annotations

from dataclasses import replace

from nwbcompare.model.config import NetworkConfig, TrainingConfig
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network
from nwbcompare.workflows.continual_settings import LEVELS, Settings
from nwbcompare.workflows.training_regimes import consolidation_of


def configs_of(kind: str, seed: int, settings: Settings) -> tuple[NetworkConfig, TrainingConfig]:
    """Give how a network is trained; all kinds of a seed share initial weights and trials.

    Parameters
    ----------
    kind
        One of ``settings.all_kinds``.
    seed
        The network's seed.
    settings
        Length, size and strength.
    """
    network = sequential_network(n_units=settings.n_units, seed=seed)
    build = interleaved_config if kind == "interleaved" else sequential_config
    training = build(
        steps_per_task=settings.steps_per_task,
        milestones=LEVELS,
        warm_up_steps=settings.warm_up_steps,
        seed=seed,
    )
    if kind == "interleaved":
        return network, training
    consolidation = consolidation_of(kind, settings.strength, seed)
    return network, replace(training, consolidation=consolidation)
