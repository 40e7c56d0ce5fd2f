"""Trials of every training step, determined by the seed and the number of the step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nwbcompare.model.config import Stage, TaskWeights, TrainingConfig
from nwbcompare.tasks.description import TrialDescription
from nwbcompare.tasks.trials import draw_trials

CONTEXT_TASKS = ("contextdm1", "contextdm2")
CONTEXT_WEIGHT = 5.0
LEAST_ERROR = 0.02
"""Added to the error of every task, so that perfect tasks are still drawn."""


def task_probabilities(
    tasks: tuple[str, ...], weights: TaskWeights, performance: dict[str, float] | None
) -> npt.NDArray[np.float64]:
    """Compute the probability of drawing each task ``(task,)``.

    Parameters
    ----------
    tasks
        Names of the tasks.
    weights
        "equal", "published" or "error"; see `TrainingConfig`.
    performance
        Performance at the last evaluation by task; None before the first evaluation, when
        "error" is "equal".

    Examples
    --------
    >>> task_probabilities(("dm1", "contextdm1"), "published", None).round(3).tolist()
    [0.167, 0.833]
    """
    share = np.ones(len(tasks))
    if weights == "published":
        share[[task in CONTEXT_TASKS for task in tasks]] = CONTEXT_WEIGHT
    # before the first evaluation all tasks are drawn alike
    elif weights == "error" and performance is not None:
        share = LEAST_ERROR + 1 - np.array([performance[task] for task in tasks])
    probabilities: npt.NDArray[np.float64] = share / share.sum()
    return probabilities


def draw_stage_trials(
    stage: Stage,
    tasks: Sequence[str],
    task_of_trial: npt.NDArray[np.integer],
    rng: np.random.Generator,
    *,
    shared_timing: bool,
) -> TrialDescription:
    """Draw random trials with the time step, coherences and variants of a stage.

    See `nwbcompare.tasks.trials.draw_trials` for the parameters.
    """
    return draw_trials(
        tasks,
        task_of_trial,
        rng,
        dt_ms=stage.dt_ms,
        shared_timing=shared_timing,
        coherence_scale=stage.coherence_scale,
        easy=stage.easy,
    )


def single_batch(
    config: TrainingConfig, stage: Stage, step: int, probabilities: npt.NDArray[np.float64]
) -> TrialDescription:
    """Draw the trials of a step, all of one task with one timing, as published.

    Parameters
    ----------
    config, stage
        Configurations of the training and of the stage.
    step
        Number of steps so far, which with the seed determines the trials.
    probabilities
        Probability of each task of the stage ``(task,)``.

    Examples
    --------
    >>> stage = Stage(dt_ms=20, max_steps=10)
    >>> config = TrainingConfig(tasks=("fdgo", "dm1"), stages=(stage,))
    >>> single_batch(config, stage, 0, np.array([0.5, 0.5])).n_trials
    64
    """
    rng = np.random.default_rng((config.seed, 1, step))
    tasks = config.tasks_of(stage)
    task = int(rng.choice(len(tasks), p=probabilities))
    task_of_trial = np.full(config.batch_size, task)
    return draw_stage_trials(stage, tasks, task_of_trial, rng, shared_timing=True)


# every step between two evaluations asks for the same trials
@lru_cache(maxsize=1)
def mixed_batches(
    config: TrainingConfig, stage: Stage, first_step: int, probabilities: tuple[float, ...]
) -> tuple[TrialDescription, npt.NDArray[np.int64]]:
    """Draw the trials of all steps between two evaluations, each with its own task and timing.

    Parameters
    ----------
    config, stage, probabilities
        See `single_batch`.
    first_step
        Number of steps at the last evaluation.

    Returns
    -------
    trials
        All trials.
    places
        Indices of the trials of each step ``(step, trial)``. Trials of a step have similar
        lengths; the order of the steps is random.
    """
    rng = np.random.default_rng((config.seed, 1, first_step))
    number = config.evaluate_every * config.batch_size
    tasks = config.tasks_of(stage)
    task_of_trial = rng.choice(len(tasks), number, p=probabilities)
    trials = draw_stage_trials(stage, tasks, task_of_trial, rng, shared_timing=False)
    # random numbers break ties, so that trials of equal length are in random order
    order = np.lexsort((rng.random(number), trials.n_steps))
    places = order.reshape(config.evaluate_every, config.batch_size)
    # else steps would go from short to long trials
    rng.shuffle(places)
    return trials, places
