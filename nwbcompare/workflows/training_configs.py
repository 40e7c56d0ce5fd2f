"""How a network of each regime is trained."""

from __future__ import annotations

from dataclasses import replace

from nwbcompare.model.config import NetworkConfig, TrainingConfig
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network
from nwbcompare.workflows.continual_settings import LEVELS, Settings
from nwbcompare.workflows.training_regimes import consolidation_of


def configs_of(regime: str, seed: int, settings: Settings) -> tuple[NetworkConfig, TrainingConfig]:
    """Give how a network is trained; all regimes of a seed share initial weights and trials.

    Parameters
    ----------
    regime
        One of ``settings.all_regimes``.
    seed
        The network's seed.
    settings
        Length, size and strength.
    """
    network = sequential_network(n_units=settings.n_units, seed=seed)
    build = interleaved_config if regime == "interleaved" else sequential_config
    training = build(
        steps_per_task=settings.steps_per_task,
        milestones=LEVELS,
        warm_up_steps=settings.warm_up_steps,
        seed=seed,
    )
    if regime == "interleaved":
        return network, training
    consolidation = consolidation_of(regime, settings.strength, seed)
    return network, replace(training, consolidation=consolidation)
