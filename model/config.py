"""Configurations of networks and of their training: frozen, validated, saved with every run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import with_config

from nwbcompare.core.checks import check_above_zero, check_not_negative, check_whole
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.short_repr import changed_fields
from nwbcompare.model.file_values import STRICT, Number
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
    """Check every field whose type is a set of names."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal and getattr(config, name) not in get_args(hint):
            raise unknown_name(name, getattr(config, name), get_args(hint))


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Configuration of a leaky recurrent network; defaults as published (Yang et al. 2019).

    Attributes
    ----------
    n_units
        Number of hidden units.
    cell
        "leaky_rnn", or "leaky_gru" with reset and update gates.
    nonlinearity
        "softplus", "relu", "tanh" or "retanh" (tanh of relu).
    recurrent_initialisation
        Initial recurrent weights: a scaled identity ("diag") or a scaled random orthogonal
        matrix ("randortho"). Those of a GRU are Glorot uniform in both cases, as published.
    rules
        Tasks with a rule channel; by default the 20 published ones.
    separate_rule_input
        Whether rule channels have an input matrix of their own, as in the published learning of
        new rules (leaky RNN only).
    rule_mixing_seed
        Seed of a fixed random orthogonal matrix that mixes the rule channels, so that no rule has
        a channel of its own (the published control); None for no mixing.
    dt_ms, tau_ms
        Time step and time constant (ms).
    sigma_rec, sigma_x
        Recurrent and input noise. The standard deviation at each step is ``sigma *
        sqrt(2 / alpha)`` with ``alpha = dt_ms / tau_ms``.
    seed
        Seed of the initial weights.

    Raises
    ------
    InputError
        For values out of range, unknown names, and a separate rule input of a GRU.

    Examples
    --------
    >>> NetworkConfig(n_units=64, nonlinearity="relu").n_inputs
    85
    >>> NetworkConfig(cell="lstm")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: cell: expected one of leaky_rnn, leaky_gru, got 'lstm'. ...
    """

    n_units: int = 256
    cell: Cell = "leaky_rnn"
    nonlinearity: Nonlinearity = "softplus"
    recurrent_initialisation: Initialisation = "diag"
    # all 20, so that any network can be tested on any task
    rules: tuple[str, ...] = tuple(RULES)
    separate_rule_input: bool = False
    rule_mixing_seed: int | None = None
    dt_ms: Number = 20.0
    tau_ms: Number = 100.0
    sigma_rec: Number = 0.05
    sigma_x: Number = 0.01
    seed: int = 0

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        check_whole("n_units", self.n_units, 1, "Use n_units=256.")
        check_whole("seed", self.seed, 0, "Use seed=0.")
        if self.rule_mixing_seed is not None:
            check_whole("rule_mixing_seed", self.rule_mixing_seed, 0, "Use 0, or None for none.")
        check_above_zero("tau_ms", self.tau_ms, "Use tau_ms=100.")
        check_not_negative("sigma_rec", self.sigma_rec, "Use sigma_rec=0.05.")
        check_not_negative("sigma_x", self.sigma_x, "Use sigma_x=0.01.")
        # after tau_ms, which bounds it
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
    """Factors of the losses on rates and weights, which are added to the task loss.

    Attributes
    ----------
    l1_rate
        Factor of the mean absolute rate.
    l2_rate
        Factor of half the sum of squared rates.
    l1_weight
        Factor of the mean absolute weight, summed over weight matrices; input and recurrent
        weights of a layer count as one matrix.
    l2_weight
        Factor of half the sum of squared weights.

    Raises
    ------
    InputError
        For a factor that is negative or not finite.

    Examples
    --------
    >>> Regularisation(l2_rate=1e-4).l1_rate
    0.0
    """

    l1_rate: Number = 0.0
    l2_rate: Number = 0.0
    l1_weight: Number = 0.0
    l2_weight: Number = 0.0

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        for name in ("l1_rate", "l2_rate", "l1_weight", "l2_weight"):
            check_not_negative(name, getattr(self, name), "Use 0 for none.")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of training, on trials with one time step and one scale of coherences.

    A stage ends when the worst task reaches ``target`` at an evaluation, or after ``max_steps``
    with the weights of its best evaluation. Without a target it ends after ``max_steps`` with its
    last weights.

    Attributes
    ----------
    dt_ms
        Time step (ms).
    max_steps
        Maximal number of steps.
    coherence_scale
        Factor of the coherences; 1 as published.
    easy
        Whether trials are of the easy variants of the tasks, as published for sequential
        training.
    target
        Performance of the worst task at which the stage ends; None for no early end.
    learning_rates
        Learning rates of Adam at the first and the last step, with a half cosine between them.
    tasks
        Tasks of this stage; () for all tasks of the training. Sequential learning has one stage
        for each task.

    Raises
    ------
    InputError
        For values out of range.

    Examples
    --------
    >>> Stage(dt_ms=20, max_steps=4000, target=0.95).learning_rates
    (0.001, 0.001)
    """

    dt_ms: Number
    max_steps: int
    coherence_scale: Number = 1.0
    easy: bool = False
    target: Number | None = None
    learning_rates: tuple[Number, Number] = (1e-3, 1e-3)
    tasks: tuple[str, ...] = ()

    __repr__ = changed_fields

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
    """Protection of earlier stages while later ones are trained.

    Attributes
    ----------
    method
        "none"; "synaptic_intelligence", as published (Zenke et al. 2017); "elastic", elastic
        weight consolidation (Kirkpatrick et al. 2017); "orthogonal", projection of weight
        changes (Duncker et al. 2020). Controls with the importances of another run: "permuted"
        over the synapses, or "uniform", their mean at every synapse. See
        `nwbcompare.model.consolidation_methods`.
    strength
        Factor of the penalty; 1 as published for synaptic intelligence. For "orthogonal" the
        inverse of its regulariser alpha.
    damping
        For synaptic intelligence: xi, added to the squared change of a weight by which the
        importance is divided.
    seed
        Seed of the permutation, and of the trials on which importances are measured.
    donor
        SHA-256 of the importances of a control; set by `train`.

    Raises
    ------
    InputError
        For an unknown method and values out of range.

    Examples
    --------
    >>> Consolidation(method="elastic", strength=200.0).damping
    0.01
    """

    method: Method = "none"
    strength: Number = 1.0
    damping: Number = 0.01
    seed: int = 0
    donor: str = ""

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        _check_choices(self)
        check_not_negative("strength", self.strength, "Use strength=1, or 0 for none.")
        check_above_zero("damping", self.damping, "Use damping=0.01.")
        check_whole("seed", self.seed, 0, "Use seed=0.")


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Configuration of training; the defaults are the published recipe (Yang et al. 2019).

    Attributes
    ----------
    tasks
        Names of the tasks.
    stages
        Stages of training, each from the weights of the previous one.
    schedule
        Name of the recipe, for the record.
    batches
        "single": all trials of a step have one task and one timing, as published. "mixed": each
        trial has its own task and timing, and the trials of a step have similar lengths.
    task_weights
        Probability of each task: "equal"; "published", five times higher for Ctx DM 1 and 2;
        "error", in proportion to the share of wrong trials at the last evaluation.
    batch_size
        Trials of a step; 64 as published.
    clip, clip_by
        Bound of each entry of the gradient ("value", as published) or of its length ("norm").
    weight_average
        Decay of a running average of the weights, which is evaluated and saved; 0 for none, as
        published.
    noise
        "fresh" random numbers at each step, or a "pool" that is renewed gradually (see
        `nwbcompare.model.training_noise`).
    regularisation
        Losses on rates and weights; none as published for the 20-task networks.
    evaluate_every, evaluation_trials
        Steps between evaluations, 500 as published, and trials of each task at an evaluation, a
        multiple of 32; 512 as published.
    n_shards
        Parts of a batch that are computed in parallel. The last digits of the results depend on
        it, so it belongs to the configuration and not to the machine.
    consolidation
        Protection of earlier stages.
    keep
        Weights with which a stage ends: those of its "best" evaluation, or the "last" ones, as
        published for sequential learning.
    warm_up_steps
        Steps at the start of every stage over which the learning rate rises linearly to its value;
        0 for none, as published. The first steps of Adam change every weight by the full learning
        rate, and those after a change of tasks by up to six times that, since its second moment
        averages over about a thousand steps. Most weights change in one direction, which makes
        the rates of many relu networks explode.
    stop_exploded
        Whether training stops with an error when rates have exploded (see
        `nwbcompare.model.rate_stability`). Some such networks recover after thousands of steps.
    trainable
        Names of the weights that are trained, such as "rule_weight"; () for all. Not with
        "orthogonal", whose projection spreads a change over all weights that act together.
    milestones, milestone_tasks
        Performances; the weights are saved at the first evaluation at which the worst of these
        tasks (() for all) reaches each of them.
    start
        SHA-256 of the initial weights; "" for those of the network's seed. Set by `train`.
    seed
        Seed of trials, order of tasks and noise.

    Raises
    ------
    InputError
        For unknown tasks and names, values out of range, and ``trainable`` with "orthogonal".

    Examples
    --------
    >>> config = TrainingConfig(tasks=("fdgo", "dm1"), stages=(Stage(dt_ms=20, max_steps=1000),))
    >>> config.batch_size, config.is_curriculum
    (64, False)
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
    # part of the configuration, since the rounding of summed gradients depends on it
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

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("tasks", "at least one task", "none", "Name them, e.g. contextdm1.")
        for task in self.tasks:
            get_task(task)
        if not self.stages:
            raise InputError("stages", "at least one stage", "none", "Name a schedule.")
        for task in {*self.milestone_tasks, *(task for each in self.stages for task in each.tasks)}:
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
        # in batches of 32, each with its own timing
        if self.evaluation_trials % 32:
            raise InputError(
                "evaluation_trials", "a multiple of 32", repr(self.evaluation_trials), "Use 512."
            )
        if not 0 <= self.weight_average < 1:
            raise InputError(
                "weight_average", "at least 0 and below 1", repr(self.weight_average), "Use 0."
            )

    def tasks_of(self, stage: Stage) -> tuple[str, ...]:
        """Return the tasks of a stage."""
        return stage.tasks or self.tasks

    @property
    def is_curriculum(self) -> bool:
        """Whether different stages train different tasks."""
        return any(stage.tasks for stage in self.stages)


def as_json(network: NetworkConfig, training: TrainingConfig | None) -> dict[str, Any]:
    """Return configurations as plain values, as in ``config.json`` of a run folder.

    Examples
    --------
    >>> as_json(NetworkConfig(n_units=8), None)["network"]["n_units"]
    8
    """
    return {"network": asdict(network), "training": None if training is None else asdict(training)}
