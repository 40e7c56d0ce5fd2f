"""Plan of a study of continual learning: which networks are trained, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from nwbcompare.core.checks import check_above_zero, check_whole
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.short_repr import changed_fields
from nwbcompare.model.config import NetworkConfig, TrainingConfig
from nwbcompare.model.curricula import (
    WARM_UP_STEPS,
    interleaved_config,
    sequential_config,
    sequential_network,
)
from nwbcompare.workflows.training_regimes import (
    METHODS,
    REGIMES,
    TrainingRegime,
    read_regime,
    regime_of_study,
)

LEVELS = (0.8, 0.9, 0.95)
"""Performances in the last stage's tasks at which networks of all regimes are compared."""
# other values make other networks, whereas more seeds or regimes only add some
OF_TRAINING = ("steps_per_task", "n_units", "strength", "warm_up_steps")


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """Networks of a study, and their training.

    A trained network depends on its seed and regime, and on ``training`` alone.

    Attributes
    ----------
    n_networks
        Number of seeds, from 0 on; each has a network of every regime.
    steps_per_task
        Training steps for each task, of 64 trials; the published 6250 take about 40 minutes a
        network and core, 400 about 3.
    n_units
        Hidden units; 256 as published.
    strength
        Strength of synaptic intelligence; 1 as published.
    warm_up_steps
        Steps over which the learning rate rises at the start of every stage; see
        `nwbcompare.model.TrainingConfig`. 0 as published, where rates of many networks explode.
    regimes
        Names in `nwbcompare.workflows.training_regimes.REGIMES`. The primary test needs
        "sequential" and "consolidated".
    also
        Further regimes, each as "METHOD:STRENGTH", such as "elastic:200". They are compared in a
        section of their own, outside the tests that were fixed in advance. The controls
        "permuted" and "uniform" take the importances of "synaptic_intelligence" of their
        strength, which must be among the regimes.
    n_also
        Number of seeds of the further regimes; by default all.

    Raises
    ------
    InputError
        For numbers below the smallest possible, unknown regimes, and controls without the regime
        whose importances they take.
    """

    n_networks: int = 8
    steps_per_task: int = 400
    n_units: int = 256
    strength: float = 1.0
    warm_up_steps: int = WARM_UP_STEPS
    regimes: tuple[str, ...] = tuple(REGIMES)
    also: tuple[str, ...] = ()
    n_also: int | None = None

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        """Check everything before any work."""
        check_whole("n_networks", self.n_networks, 1, "Use n_networks=8.")
        check_whole("steps_per_task", self.steps_per_task, 1, "Use steps_per_task=400.")
        check_whole("n_units", self.n_units, 1, "Use n_units=256.")
        check_above_zero("strength", self.strength, "Use strength=1.")
        check_whole("warm_up_steps", self.warm_up_steps, 0, "Use 0 for none.")
        if self.n_also is not None:
            check_whole("n_also", self.n_also, 1, "Leave it out for all seeds.")
        repeats = len(set(self.regimes)) < len(self.regimes)
        if not self.regimes or set(self.regimes) - set(REGIMES) or repeats:
            raise InputError(
                "regimes",
                f"some of {listing(REGIMES)}, each once",
                listing(self.regimes),
                "Leave it out for all.",
            )
        _check_further(self.further_regimes, self.strength)
        _check_donors(self.all_regimes)

    @cached_property
    def further_regimes(self) -> list[TrainingRegime]:
        """Regimes of ``also``."""
        return [read_regime(text) for text in self.also]

    @cached_property
    def all_regimes(self) -> dict[str, TrainingRegime]:
        """All regimes by name, in the order of tables."""
        of_study = [
            regime_of_study(name, self.strength) for name in REGIMES if name in self.regimes
        ]
        return {regime.name: regime for regime in (*of_study, *self.further_regimes)}

    @property
    def further_seeds(self) -> range:
        """Seeds of the further regimes."""
        # the first seeds, so that each network has partners of the main regimes
        return range(self.n_networks)[: self.n_also]

    def seeds_of(self, regime: str) -> range:
        """Return the seeds of a regime by its name."""
        return range(self.n_networks) if regime in REGIMES else self.further_seeds

    @property
    def training(self) -> dict[str, Any]:
        """Values that all trained networks depend on.

        ``strength`` is that of the regimes in `REGIMES`; further ones have theirs in their name.
        """
        return {name: getattr(self, name) for name in OF_TRAINING}

    def parameters(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return asdict(self) | {"regimes": list(self.regimes), "also": list(self.also)}

    def configs_of(self, regime: TrainingRegime, seed: int) -> tuple[NetworkConfig, TrainingConfig]:
        """Return the configurations of a network.

        All regimes of a seed share initial weights; those in stages share trials and noise.

        Parameters
        ----------
        regime
            A regime of the plan.
        seed
            Seed of the network.
        """
        # by the seed alone, so that regimes can be compared in pairs
        network = sequential_network(n_units=self.n_units, seed=seed)
        consolidation = regime.consolidation(seed)
        build = interleaved_config if consolidation is None else sequential_config
        training = build(
            steps_per_task=self.steps_per_task,
            milestones=LEVELS,
            warm_up_steps=self.warm_up_steps,
            seed=seed,
        )
        if consolidation is None:
            return network, training
        return network, replace(training, consolidation=consolidation)


def _check_further(regimes: list[TrainingRegime], strength: float) -> None:
    """Check that further regimes differ from each other and from those of the study."""
    # one training under two names would count twice
    of_study = {(method, float(strength)) for method in METHODS.values() if method != "none"}
    names = [regime.name for regime in regimes]
    for regime in regimes:
        if (regime.method, regime.strength) in of_study or names.count(regime.name) > 1:
            raise InputError(
                "also",
                f"methods and strengths that {listing(METHODS)} do not have, each once",
                regime.option,
                "Leave it out, or ask for the regime by its name.",
            )


def _check_donors(regimes: dict[str, TrainingRegime]) -> None:
    """Check that controls come with the regime whose importances they take."""
    for regime in regimes.values():
        if regime.donor is not None and regime.donor not in regimes:
            raise InputError(
                "regimes" if regime.name in REGIMES else "also",
                f"{regime.donor.replace(' ', ':')} beside {regime.option}, which takes its "
                "importances",
                listing(regimes),
                "Add it.",
            )
