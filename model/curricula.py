"""Learning one task after another: schedules whose stages train tasks of their own."""

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
"""The remedy against exploding rates (``benchmarks/exploding_rates.py``); 0 as published."""


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
    """Give a schedule that trains sets of tasks one after another.

    Parameters
    ----------
    stages
        The tasks of each stage; by default the published order.
    steps_per_task
        Training steps for each task of a stage, of 64 trials; 6250 as published (4e5 trials). A
        stage of two tasks takes twice as many.
    target
        Performance of a stage's worst task at which it ends early; by default none, as
        published.
    consolidation
        What keeps a stage from undoing earlier ones; by default nothing does.
    easy
        Whether the tasks' easy variants are trained, as published.
    milestones
        Performances of the worst task of the last stage at whose first reaching the weights are
        kept.
    warm_up_steps
        Steps over which the learning rate rises at the start of every stage. 0 as published: then
        training goes on also where rates have exploded (see `TrainingConfig`).
    seed
        Seed of trials, order of tasks and noise.

    Returns
    -------
    TrainingConfig
        For `train`. Of each stage the last weights go on, not the best.

    Raises
    ------
    InputError
        For no stages, an empty stage, an unknown task, and one that comes twice.

    Examples
    --------
    >>> config = sequential_config([("fdgo",), ("dm1", "dm2")], steps_per_task=100)
    >>> [(stage.tasks, stage.max_steps) for stage in config.stages]
    [(('fdgo',), 100), (('dm1', 'dm2'), 200)]
    """
    sets = _checked(stages)
    check_whole("steps_per_task", steps_per_task, 1, "Use steps_per_task=6250.")
    parts = [
        Stage(dt_ms=20, max_steps=steps_per_task * len(own), easy=easy, target=target, tasks=own)
        for own in sets
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
    """Give the schedule that trains the same tasks at once, with as many trials of each.

    See `sequential_config` for parameters and errors. Every step's task is drawn at random, so
    the numbers of trials are equal on average.

    Examples
    --------
    >>> interleaved_config(steps_per_task=100).stages[0].max_steps
    700
    """
    sets = _checked(stages)
    check_whole("steps_per_task", steps_per_task, 1, "Use steps_per_task=6250.")
    tasks = tuple(task for own in sets for task in own)
    whole = Stage(
        dt_ms=20, max_steps=steps_per_task * len(tasks), easy=easy, target=target, tasks=tasks
    )
    return _config(sets, (whole,), Consolidation(), milestones, warm_up_steps, seed)


def sequential_network(*, n_units: int = 256, seed: int = 0) -> NetworkConfig:
    """Give the published network for learning in sequence: relu units, orthogonal at the start.

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
        tasks=tuple(task for own in sets for task in own),
        stages=parts,
        schedule="sequential" if len(parts) > 1 else "interleaved",
        noise="pool",
        evaluate_every=EVALUATE_EVERY,
        # where an evaluation ends a stage, it is also what the stage is judged by
        evaluation_trials=FINAL_TRIALS if by_target else EVALUATION_TRIALS,
        n_shards=1,
        consolidation=consolidation,
        keep="last",
        milestones=milestones,
        milestone_tasks=sets[-1] if milestones else (),
        warm_up_steps=warm_up_steps,
        stop_exploded=warm_up_steps > 0,
        seed=seed,
    )


def _checked(stages: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Refuse schedules in which a stage is empty, or a task unknown or trained twice."""
    if not len(stages):
        raise InputError("stages", "at least one stage", "none", "Use YANG2019.")
    seen: dict[str, int] = {}
    for place, own in enumerate(stages):
        if isinstance(own, str):
            raise InputError(
                f"stage {place + 1}", "a tuple of tasks", repr(own), f"Write ({own!r},)."
            )
        if not own:
            raise InputError(
                f"stage {place + 1}", "at least one task", "none", "Leave the stage out."
            )
        for task in own:
            get_task(task)
            if task in seen:
                raise InputError(
                    f"stage {place + 1}",
                    "tasks that are trained once",
                    f"{task}, which stage {seen[task] + 1} trains too",
                    "Name each task once.",
                )
            seen[task] = place
    return tuple(tuple(own) for own in stages)
