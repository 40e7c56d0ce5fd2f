"""Configurations: frozen, validated, saved beside what they made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import with_config

from nwbcompare.core.checks import check_above_zero, check_not_negative, check_whole
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.model.validation import STRICT, Number
from nwbcompare.tasks.channels import N_SENSORY, RULES
from nwbcompare.tasks.registry import get_task
from nwbcompare.tasks.timing import check_dt

Cell = Literal["leaky_rnn", "leaky_gru"]
Nonlinearity = Literal["softplus", "relu", "tanh", "retanh"]
Initialisation = Literal["diag", "randortho"]
Batches = Literal["single", "mixed"]
TaskWeights = Literal["equal", "published", "error"]
ClipBy = Literal["value", "norm"]
Noise = Literal["fresh", "pool"]
Keep = Literal["best", "last"]
Method = Literal["none", "synaptic_intelligence", "elastic", "orthogonal", "permuted", "uniform"]


def _check_choices(config: object) -> None:
    """Check that every field with a set of names has one of them."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal and getattr(config, name) not in get_args(hint):
            raise unknown_name(name, getattr(config, name), get_args(hint))


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A leaky recurrent network, with the defaults of the published 20-task networks.

    Attributes
    ----------
    n_units
        Hidden units.
    cell
        "leaky_rnn" or "leaky_gru", with reset and update gates.
    nonlinearity
        "softplus", "relu", "tanh" or "retanh" (tanh of relu).
    recurrent_initialisation
        Recurrent weights start as a scaled identity ("diag") or a scaled random orthogonal
        matrix ("randortho"); those of a GRU are Glorot uniform either way, as published.
    rules
        Tasks that have a rule channel; the 20 published ones, and tasks of one's own.
    separate_rule_input
        Whether rules enter by a map of their own, as in the published rule-only learning
        (leaky RNN only).
    rule_mixing_seed
        Seed of a fixed random orthogonal matrix through which the rule channels enter, so that
        no rule has a channel of its own (the published control); None for no mixing.
    dt_ms, tau_ms
        Time step and time constant (ms).
    sigma_rec, sigma_x
        Recurrent and input noise; the standard deviation at each step is sigma * sqrt(2/alpha)
        with alpha = dt/tau.
    seed
        Seed of the initial weights.
    """

    n_units: int = 256
    cell: Cell = "leaky_rnn"
    nonlinearity: Nonlinearity = "softplus"
    recurrent_initialisation: Initialisation = "diag"
    rules: tuple[str, ...] = tuple(RULES)
    separate_rule_input: bool = False
    rule_mixing_seed: int | None = None
    dt_ms: Number = 20.0
    tau_ms: Number = 100.0
    sigma_rec: Number = 0.05
    sigma_x: Number = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_units", self.n_units, 1, "Use n_units=256.")
        check_whole("seed", self.seed, 0, "Use seed=0.")
        if self.rule_mixing_seed is not None:
            check_whole("rule_mixing_seed", self.rule_mixing_seed, 0, "Use 0, or None for none.")
        check_above_zero("tau_ms", self.tau_ms, "Use tau_ms=100.")
        check_not_negative("sigma_rec", self.sigma_rec, "Use sigma_rec=0.05.")
        check_not_negative("sigma_x", self.sigma_x, "Use sigma_x=0.01.")
        check_dt(self.dt_ms, self.tau_ms)
        _check_choices(self)
        if not self.rules or len(set(self.rules)) < len(self.rules):
            raise InputError(
                "rules", "different names, at least one", repr(self.rules), "Name them."
            )
        if self.separate_rule_input and self.cell != "leaky_rnn":
            raise InputError(
                "separate_rule_input", f"False for a {self.cell}", "True", "Use cell='leaky_rnn'."
            )

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return N_SENSORY + len(self.rules)


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """Losses on rates and weights, each added to the task loss with its factor.

    Attributes
    ----------
    l1_rate
        Factor on the mean of the rates' absolute values.
    l2_rate
        Factor on half the sum of the squared rates.
    l1_weight
        Factor on the mean absolute weight, summed over weight matrices; the input and recurrent
        weights of a layer count as one matrix.
    l2_weight
        Factor on half the sum of the squared weights.
    """

    l1_rate: Number = 0.0
    l2_rate: Number = 0.0
    l1_weight: Number = 0.0
    l2_weight: Number = 0.0

    def __post_init__(self) -> None:
        for name in ("l1_rate", "l2_rate", "l1_weight", "l2_weight"):
            check_not_negative(name, getattr(self, name), "Use 0 for none.")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of training: trials at one time step and one scale of coherences.

    It ends when the worst task reaches ``target`` at an evaluation, or after ``max_steps`` with
    the weights of its best evaluation; without a target it runs to its last step and keeps the
    last weights.

    Attributes
    ----------
    dt_ms
        Time step (ms).
    max_steps
        Most steps.
    coherence_scale
        Factor on coherences; 1 as published.
    easy
        Whether the tasks' easy variants are trained, as published for sequential training.
    target
        Performance of the worst task at which the stage ends; None for no early end.
    learning_rates
        Adam's rate at the first and the last step, falling between them as a half cosine.
    tasks
        The tasks that this stage trains; none for all of the training's. Learning one task
        after another is a stage for each.
    """

    dt_ms: Number
    max_steps: int
    coherence_scale: Number = 1.0
    easy: bool = False
    target: Number | None = None
    learning_rates: tuple[Number, Number] = (1e-3, 1e-3)
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_dt(self.dt_ms)
        check_above_zero("coherence_scale", self.coherence_scale, "Use coherence_scale=1.")
        if self.target is not None:
            check_above_zero("target", self.target, "Use target=0.95.")
        check_whole("max_steps", self.max_steps, 1, "Use max_steps=4000.")
        for rate in self.learning_rates:
            check_above_zero("learning_rates", rate, "Use (0.001, 0.001).")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Consolidation:
    """How a stage of training is kept from undoing what earlier stages have learned.

    Attributes
    ----------
    method
        "none"; "synaptic_intelligence", as published (Zenke et al. 2017); "elastic", elastic
        weight consolidation (Kirkpatrick et al. 2017); "orthogonal", projection of weight
        changes (Duncker et al. 2020). Controls, which take the importances of another run:
        "permuted" gives them to other synapses, "uniform" spreads their sum over all. See
        `nwbcompare.model.consolidation_methods`.
    strength
        Factor on the penalty; 1 as published for synaptic intelligence. Of "orthogonal", how
        much activity counts against change (the inverse of its regulariser).
    damping
        Of synaptic intelligence: what is added to a weight's squared change before the
        importance is divided by it (its xi).
    seed
        Seed of the permutation, and of the trials by which importances are measured.
    donor
        SHA-256 of the importances that a control takes; set by `train`.
    """

    method: Method = "none"
    strength: Number = 1.0
    damping: Number = 0.01
    seed: int = 0
    donor: str = ""

    def __post_init__(self) -> None:
        _check_choices(self)
        check_not_negative("strength", self.strength, "Use strength=1, or 0 for none.")
        check_above_zero("damping", self.damping, "Use damping=0.01.")
        check_whole("seed", self.seed, 0, "Use seed=0.")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained; the defaults are the published recipe.

    Attributes
    ----------
    tasks
        The tasks.
    stages
        Stages of training, one after the other with the same weights.
    schedule
        Name of the recipe, for the record.
    batches
        "single": a step's trials are of one task with one timing, as published. "mixed": each
        trial has its own task and timing, and a batch holds trials of like length.
    task_weights
        How often tasks are drawn: "equal"; "published", where Ctx DM 1 and 2 come five times
        as often; "error", in proportion to the share of wrong trials at the last evaluation.
    batch_size
        Trials of a step; 64 as published.
    clip, clip_by
        Bound on every entry of the gradient ("value", as published) or on its length ("norm").
    weight_average
        Decay of a running average of the weights, which is what is evaluated and kept; 0 for
        none, as published.
    noise
        "fresh" numbers for each step, or a "pool" that is renewed bit by bit (see
        `nwbcompare.model.training_noise`).
    regularisation
        Losses on rates and weights; none as published for the 20-task networks.
    evaluate_every, evaluation_trials
        Steps between evaluations, 500 as published, and their trials of each task, a multiple
        of 32; 512 as published.
    n_shards
        Parts of a batch that are worked on at the same time. Results depend on it in the last
        digits, so it is set here and not by the machine.
    consolidation
        What keeps a stage from undoing earlier ones.
    keep
        With which weights a stage ends: those of its "best" evaluation, or the "last" ones, as
        published for tasks learned one after another.
    warm_up_steps
        Steps at the start of every stage over which the learning rate rises linearly to its value;
        0 for none, as published. Adam's first steps move every weight by the whole learning rate,
        and those after a change of tasks by up to six times it, since its second moment remembers
        about a thousand steps; most weights move in one direction, which makes the rates of many
        relu networks explode.
    stop_exploded
        Whether training stops, with the reason, where rates have exploded (see
        `nwbcompare.model.rate_stability`). Some such networks come back after thousands of steps.
    trainable
        Names of the weights that learn, such as rule_weight; none for all. Not with
        "orthogonal", whose projection spreads a change over all weights that act together.
    milestones, milestone_tasks
        At the first evaluation where the worst of these tasks reaches each of these
        performances, the weights are kept beside the run's.
    start
        SHA-256 of the weights from which training starts; empty for those of the network's
        seed. Set by `train`.
    seed
        Seed of trials, order of tasks and noise.
    """

    tasks: tuple[str, ...]
    stages: tuple[Stage, ...]
    schedule: str = "custom"
    batches: Batches = "single"
    task_weights: TaskWeights = "equal"
    batch_size: int = 64
    clip: Number = 1.0
    clip_by: ClipBy = "value"
    weight_average: Number = 0.0
    noise: Noise = "fresh"
    regularisation: Regularisation = Regularisation()
    evaluate_every: int = 500
    evaluation_trials: int = 512
    n_shards: int = 2
    consolidation: Consolidation = Consolidation()
    keep: Keep = "best"
    warm_up_steps: int = 0
    stop_exploded: bool = True
    trainable: tuple[str, ...] = ()
    milestones: tuple[Number, ...] = ()
    milestone_tasks: tuple[str, ...] = ()
    start: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("tasks", "at least one task", "none", "Name them, e.g. contextdm1.")
        for task in self.tasks:
            get_task(task)
        if not self.stages:
            raise InputError("stages", "at least one stage", "none", "Name a schedule.")
        for task in {*self.milestone_tasks, *(task for one in self.stages for task in one.tasks)}:
            if task not in self.tasks:
                raise unknown_name("tasks", task, self.tasks)
        for level in self.milestones:
            check_above_zero("milestones", level, "Use milestones=(0.9,).")
        _check_choices(self)
        check_whole("batch_size", self.batch_size, 1, "Use batch_size=64.")
        check_whole("evaluate_every", self.evaluate_every, 1, "Use evaluate_every=500.")
        check_whole("n_shards", self.n_shards, 1, "Use n_shards=2.")
        check_whole("warm_up_steps", self.warm_up_steps, 0, "Use 0 for none.")
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_above_zero("clip", self.clip, "Use clip=1.")
        if self.trainable and self.consolidation.method == "orthogonal":
            raise InputError(
                "trainable",
                "none with consolidation 'orthogonal', which moves all weights together",
                ", ".join(self.trainable),
                "Leave it out, or use method='elastic'.",
            )
        self._check_evaluation_and_average()

    def _check_evaluation_and_average(self) -> None:
        check_whole("evaluation_trials", self.evaluation_trials, 32, "Use evaluation_trials=512.")
        if self.evaluation_trials % 32:
            raise InputError(
                "evaluation_trials", "a multiple of 32", repr(self.evaluation_trials), "Use 512."
            )
        if not 0 <= self.weight_average < 1:
            raise InputError(
                "weight_average", "at least 0 and below 1", repr(self.weight_average), "Use 0."
            )

    def tasks_of(self, stage: Stage) -> tuple[str, ...]:
        """Give the tasks that a stage trains."""
        return stage.tasks or self.tasks

    @property
    def is_curriculum(self) -> bool:
        """Whether different stages train different tasks."""
        return any(stage.tasks for stage in self.stages)


def as_json(network: NetworkConfig, training: TrainingConfig | None) -> dict[str, Any]:
    """Return configurations as plain values, as ``config.json`` of a run folder has them."""
    return {
        "network": asdict(network),
        "training": None if training is None else asdict(training),
    }
