"""Configurations: frozen, validated, saved beside what they made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from nwbcompare.errors import InputError, unknown_name
from nwbcompare.tasks.checks import check_above_zero, check_not_negative, check_whole
from nwbcompare.tasks.registry import get_task
from nwbcompare.tasks.timing import check_dt

Nonlinearity = Literal["softplus", "relu", "tanh", "retanh"]
Initialisation = Literal["diag", "randortho"]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A leaky recurrent network, with the defaults of the published 20-task networks.

    Attributes
    ----------
    n_units
        Hidden units.
    nonlinearity
        "softplus", "relu", "tanh" or "retanh" (tanh of relu).
    recurrent_initialisation
        Recurrent weights start as a scaled identity ("diag") or a scaled random orthogonal
        matrix ("randortho").
    dt_ms, tau_ms
        Time step and time constant (ms).
    sigma_rec, sigma_x
        Recurrent and input noise; the standard deviation at each step is sigma * sqrt(2/alpha)
        with alpha = dt/tau.
    seed
        Seed of the initial weights.
    """

    n_units: int = 256
    nonlinearity: Nonlinearity = "softplus"
    recurrent_initialisation: Initialisation = "diag"
    dt_ms: float = 20.0
    tau_ms: float = 100.0
    sigma_rec: float = 0.05
    sigma_x: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_units", self.n_units, 1, "Use n_units=256.")
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_above_zero("tau_ms", self.tau_ms, "Use tau_ms=100.")
        check_not_negative("sigma_rec", self.sigma_rec, "Use sigma_rec=0.05.")
        check_not_negative("sigma_x", self.sigma_x, "Use sigma_x=0.01.")
        check_dt(self.dt_ms, self.tau_ms)
        for name, known in (
            ("nonlinearity", Nonlinearity),
            ("recurrent_initialisation", Initialisation),
        ):
            if getattr(self, name) not in get_args(known):
                raise unknown_name(name, getattr(self, name), get_args(known))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of training: trials at one time step and one scale of coherences.

    It ends when the worst task reaches ``target`` at an evaluation, or after ``max_steps`` with
    the weights of its best evaluation.
    """

    dt_ms: float
    coherence_scale: float
    target: float
    max_steps: int

    def __post_init__(self) -> None:
        check_dt(self.dt_ms)
        check_above_zero("coherence_scale", self.coherence_scale, "Use coherence_scale=1.")
        check_above_zero("target", self.target, "Use target=0.95.")
        check_whole("max_steps", self.max_steps, 1, "Use max_steps=4000.")


EASY_TO_HARD = (
    Stage(dt_ms=100, coherence_scale=10, target=0.95, max_steps=4000),
    Stage(dt_ms=100, coherence_scale=4, target=0.95, max_steps=4000),
    Stage(dt_ms=100, coherence_scale=2, target=0.95, max_steps=4000),
    Stage(dt_ms=100, coherence_scale=1, target=0.94, max_steps=6000),
    Stage(dt_ms=50, coherence_scale=1, target=0.94, max_steps=4000),
    Stage(dt_ms=20, coherence_scale=1, target=0.94, max_steps=5000),
)
"""From easy to hard coherences, then from coarse to fine time steps."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes
    ----------
    tasks
        Tasks, one drawn at random for each step.
    stages
        Stages of training, one after the other with the same weights.
    batch_size
        Trials of a step; 64 as published.
    learning_rate, clip
        Adam's rate, and the bound on every entry of a gradient, as published.
    evaluate_every
        Steps between evaluations; 250, half the published interval, since stages are short.
    seed
        Seed of trials, order of tasks and noise.
    """

    tasks: tuple[str, ...]
    stages: tuple[Stage, ...] = EASY_TO_HARD
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip: float = 1.0
    evaluate_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("tasks", "at least one task", "none", "Name them, e.g. contextdm1.")
        for task in self.tasks:
            get_task(task)
        if not self.stages:
            raise InputError("stages", "at least one stage", "none", "Use EASY_TO_HARD.")
        check_whole("batch_size", self.batch_size, 1, "Use batch_size=64.")
        check_whole("evaluate_every", self.evaluate_every, 1, "Use evaluate_every=250.")
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_above_zero("learning_rate", self.learning_rate, "Use learning_rate=0.001.")
        check_above_zero("clip", self.clip, "Use clip=1.")


def default_configs(
    tasks: tuple[str, ...], *, seed: int, n_units: int = 256
) -> tuple[NetworkConfig, TrainingConfig]:
    """Give the configurations of a network of few tasks.

    As published for the networks of the two context tasks: relu units, recurrent weights
    initialised as a random orthogonal matrix.
    """
    network = NetworkConfig(
        n_units=n_units, nonlinearity="relu", recurrent_initialisation="randortho", seed=seed
    )
    return network, TrainingConfig(tasks=tasks, seed=seed)


def as_json(network: NetworkConfig, training: TrainingConfig | None) -> dict[str, Any]:
    """Give configurations as plain values."""
    return {
        "network": asdict(network),
        "training": None if training is None else asdict(training),
    }


def from_json(values: dict[str, Any]) -> tuple[NetworkConfig, TrainingConfig | None]:
    """Read configurations from plain values; see `as_json`."""
    network = NetworkConfig(**values["network"])
    plain = values.get("training")
    if plain is None:
        return network, None
    stages = tuple(Stage(**stage) for stage in plain["stages"])
    return network, TrainingConfig(**plain | {"tasks": tuple(plain["tasks"]), "stages": stages})
