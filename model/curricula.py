"""Schedules of sequential learning, whose stages train different tasks."""

from __future__ import annotations

from collections.abc import Sequence

from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation, NetworkConfig, Stage, TrainingConfig
from nwbcompare.model.training import FINAL_TRIALS
from nwbcompare.tasks.registry import get_task

YANG2019: tuple[tuple[str, ...], ...] = (
    ("fdgo",),
    ("delaygo",),
    ("dm1", "dm2"),
    ("multidm",),
    ("contextdm1", "contextdm2"),
)
"""The published order of tasks (Yang et al. 2019, Fig. 8)."""
PUBLISHED_STEPS = 6250
"""4e5 trials of each task, in batches of 64."""
EVALUATE_EVERY, EVALUATION_TRIALS = 100, 128
WARM_UP_STEPS = 300
"""Prevents exploding rates (``benchmarks/exploding_rates.py``); 0 as published."""


def sequential_config(
    stages: Sequence[Sequence[str]] = YANG2019,
    *,
    steps_per_task: int = PUBLISHED_STEPS,
    target: float | None = None,
    consolidation: Consolidation | None = None,
    easy: bool = True,
    milestones: tuple[float, ...] = (),
    warm_up_steps: int = WARM_UP_STEPS,
    seed: int = 0,
) -> TrainingConfig:
    """Return the configuration of training sets of tasks one after another.

    Parameters
    ----------
    stages
        Tasks of each stage; by default the published order.
    steps_per_task
        Steps of 64 trials for each task; 6250 as published (4e5 trials). A stage of two tasks has
        twice as many.
    target
        Performance of the worst task at which a stage ends early; None for no early end, as
        published.
    consolidation
        Protection of earlier stages; by default none.
    easy
        Whether trials are of the easy variants of the tasks, as published.
    milestones
        Performances of the worst task of the last stage; the weights that first reach each of
        them are saved.
    warm_up_steps
        Steps over which the learning rate rises at the start of every stage; 0 as published, and
        then training does not stop when rates explode (see `TrainingConfig`).
    seed
        Seed of trials, order of tasks and noise.

    Returns
    -------
    TrainingConfig
        For `train`. Each stage ends with its last weights.

    Raises
    ------
    InputError
        For no stages, an empty stage, an unknown task, and a task in two stages.

    Examples
    --------
    >>> config = sequential_config([("fdgo",), ("dm1", "dm2")], steps_per_task=100)
    >>> [(stage.tasks, stage.max_steps) for stage in config.stages]
    [(('fdgo',), 100), (('dm1', 'dm2'), 200)]
    """
    sets = _checked(stages)
    check_whole("steps_per_task", steps_per_task, 1, "Use steps_per_task=6250.")
    parts = [
        Stage(
            dt_ms=20, max_steps=steps_per_task * len(tasks), easy=easy, target=target, tasks=tasks
        )
        for tasks in sets
    ]
    return _config(
        sets, tuple(parts), consolidation or Consolidation(), milestones, warm_up_steps, seed
    )


def interleaved_config(
    stages: Sequence[Sequence[str]] = YANG2019,
    *,
    steps_per_task: int = PUBLISHED_STEPS,
    target: float | None = None,
    easy: bool = True,
    milestones: tuple[float, ...] = (),
    warm_up_steps: int = WARM_UP_STEPS,
    seed: int = 0,
) -> TrainingConfig:
    """Return the configuration of training the same tasks together, with as many trials of each.

    See `sequential_config` for parameters and errors. The task of every step is drawn at random,
    so that numbers of trials are equal on average.

    Examples
    --------
    >>> interleaved_config(steps_per_task=100).stages[0].max_steps
    700
    """
    sets = _checked(stages)
    check_whole("steps_per_task", steps_per_task, 1, "Use steps_per_task=6250.")
    tasks = tuple(task for tasks in sets for task in tasks)
    whole = Stage(
        dt_ms=20, max_steps=steps_per_task * len(tasks), easy=easy, target=target, tasks=tasks
    )
    return _config(sets, (whole,), Consolidation(), milestones, warm_up_steps, seed)


def sequential_network(*, n_units: int = 256, seed: int = 0) -> NetworkConfig:
    """Return the published network for sequential learning: relu, orthogonal initial weights.

    Parameters
    ----------
    n_units
        Number of hidden units; 256 as published.
    seed
        Seed of the initial weights.

    Examples
    --------
    >>> sequential_network().nonlinearity
    'relu'
    """
    return NetworkConfig(
        n_units=n_units, nonlinearity="relu", recurrent_initialisation="randortho", seed=seed
    )


def _config(
    sets: tuple[tuple[str, ...], ...],
    parts: tuple[Stage, ...],
    consolidation: Consolidation,
    milestones: tuple[float, ...],
    warm_up_steps: int,
    seed: int,
) -> TrainingConfig:
    by_target = any(part.target is not None for part in parts)
    return TrainingConfig(
        tasks=tuple(task for tasks in sets for task in tasks),
        stages=parts,
        schedule="sequential" if len(parts) > 1 else "interleaved",
        noise="pool",
        evaluate_every=EVALUATE_EVERY,
        # an evaluation that ends a stage is its result as well, so it has more trials
        evaluation_trials=FINAL_TRIALS if by_target else EVALUATION_TRIALS,
        n_shards=1,
        consolidation=consolidation,
        keep="last",
        milestones=milestones,
        milestone_tasks=sets[-1] if milestones else (),
        warm_up_steps=warm_up_steps,
        # without a warm-up, as published, some networks recover from exploded rates
        stop_exploded=warm_up_steps > 0,
        seed=seed,
    )


def _checked(stages: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Check the tasks of stages; return them as tuples."""
    if not len(stages):
        raise InputError("stages", "at least one stage", "none", "Use YANG2019.")
    stage_of_task: dict[str, int] = {}
    for place, tasks in enumerate(stages):
        if isinstance(tasks, str):
            raise InputError(
                f"stage {place + 1}", "a tuple of tasks", repr(tasks), f"Write ({tasks!r},)."
            )
        if not tasks:
            raise InputError(
                f"stage {place + 1}", "at least one task", "none", "Leave the stage out."
            )
        for task in tasks:
            get_task(task)
            if task in stage_of_task:
                raise InputError(
                    f"stage {place + 1}",
                    "tasks that are trained once",
                    f"{task}, which stage {stage_of_task[task] + 1} trains too",
                    "Name each task once.",
                )
            stage_of_task[task] = place
    return tuple(tuple(tasks) for tasks in stages)
