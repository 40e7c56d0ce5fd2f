"""How networks of continual learning are trained and held against a recording."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nwbcompare.core.checks import check_above_zero, check_whole
from nwbcompare.core.errors import InputError
from nwbcompare.model.curricula import WARM_UP_STEPS
from nwbcompare.workflows.training_regimes import REGIMES, check_regimes, read_regime

LEVELS = (0.8, 0.9, 0.95)
"""Performances in the last stage's tasks at which networks of all regimes are compared."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How networks are trained and compared.

    A trained network depends on its seed and regime and on ``training`` alone.

    Attributes
    ----------
    n_networks
        Seeds, from 0 on. Each gives a network of every regime; whichever fails is left out.
    steps_per_task
        Training steps for each task, of 64 trials; the published 6250 take about 40 minutes a
        network and core, 400 about 3.
    n_units
        Units of a network; 256 as published.
    strength
        Of synaptic intelligence; 1 as published.
    warm_up_steps
        Steps over which the learning rate rises at the start of every stage; see
        `nwbcompare.model.TrainingConfig`. 0 as published, where rates of many networks explode.
    regimes
        Names in `nwbcompare.workflows.training_regimes.REGIMES`, all by default. The primary test
        needs "sequential" and "consolidated".
    also
        More regimes, each a method and strength of consolidation as "METHOD:STRENGTH", such as
        "elastic:200" or "synaptic_intelligence:0.1". They are held against the others in a
        section of their own, outside the tests that were fixed in advance. The controls
        "permuted" and "uniform" take the importances of "synaptic_intelligence" of their
        strength, which must be named too.
    n_also
        Seeds of which there is a network of these regimes, from 0 on; by default all.
    least_performance
        Networks are left out that end with a task of the last stage below it; 0.8 as published.
    n_draws
        Samplings of each network with the recording's noise.
    n_bootstrap, n_splits
        Bootstrap samples of intervals, and splits of the recording for the split-half distance.
    seed
        Seed of sampling and bootstrap.

    Raises
    ------
    InputError
        For numbers that cannot be.
    """

    n_networks: int = 8
    steps_per_task: int = 400
    n_units: int = 256
    strength: float = 1.0
    warm_up_steps: int = WARM_UP_STEPS
    regimes: tuple[str, ...] = tuple(REGIMES)
    also: tuple[str, ...] = ()
    n_also: int | None = None
    least_performance: float = 0.8
    n_draws: int = 4
    n_bootstrap: int = 2000
    n_splits: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be, before any work."""
        check_whole("n_networks", self.n_networks, 1, "Use n_networks=8.")
        check_whole("steps_per_task", self.steps_per_task, 1, "Use steps_per_task=400.")
        check_whole("n_units", self.n_units, 1, "Use n_units=256.")
        check_above_zero("strength", self.strength, "Use strength=1.")
        check_whole("warm_up_steps", self.warm_up_steps, 0, "Use 0 for none.")
        check_regimes(self.regimes, self.further_regimes, self.strength)
        if self.n_also is not None:
            check_whole("n_also", self.n_also, 1, "Leave it out for all seeds.")
        if not 0 <= self.least_performance < 1:
            raise InputError(
                "least_performance",
                "a share of correct trials below 1",
                repr(self.least_performance),
                "Use 0.8.",
            )
        check_whole("n_draws", self.n_draws, 1, "Use n_draws=4.")
        check_whole("n_bootstrap", self.n_bootstrap, 2, "Use n_bootstrap=2000.")
        check_whole("n_splits", self.n_splits, 2, "Use n_splits=200.")
        check_whole("seed", self.seed, 0, "Use seed=0.")

    @property
    def further_regimes(self) -> tuple[str, ...]:
        """Names of the additional regimes, such as "elastic 200"."""
        return tuple(read_regime(text) for text in self.also)

    @property
    def all_regimes(self) -> tuple[str, ...]:
        """Names of all regimes that are trained, in the order in which they are shown."""
        return (*(regime for regime in REGIMES if regime in self.regimes), *self.further_regimes)

    @property
    def also_seeds(self) -> range:
        """The seeds of which there is a network of every additional regime."""
        return range(self.n_networks)[: self.n_also]

    def seeds_of(self, regime: str) -> range:
        """Give the seeds of which there is a network of a regime."""
        return range(self.n_networks) if regime in REGIMES else self.also_seeds

    @property
    def training(self) -> dict[str, Any]:
        """What a trained network depends on, apart from its seed and regime.

        ``strength`` is that of the regimes in `REGIMES`; additional ones have theirs in their name.
        """
        names = ("steps_per_task", "n_units", "strength", "warm_up_steps")
        return {name: getattr(self, name) for name in names}

    def parameters(self) -> dict[str, Any]:
        """Give all of them as plain values."""
        return asdict(self) | {"regimes": list(self.regimes), "also": list(self.also)}
