"""The trials of every training step, fixed by the seed and the step's number."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nwbcompare.model.config import Stage, TaskWeights, TrainingConfig
from nwbcompare.tasks.description import TrialDescription
from nwbcompare.tasks.trials import draw_trials

CONTEXT_TASKS = ("contextdm1", "contextdm2")
CONTEXT_WEIGHT = 5.0
LEAST_ERROR = 0.02
"""Added to every task's error before drawing by error, so that none is forgotten."""


def task_probabilities(
    tasks: tuple[str, ...], weights: TaskWeights, performance: dict[str, float] | None
) -> npt.NDArray[np.float64]:
    """Give how often each task is drawn ``(task,)``.

    Parameters
    ----------
    tasks
        The tasks.
    weights
        See `TrainingConfig`.
    performance
        Performance at the last evaluation; None before the first, when all are drawn equally.
    """
    share = np.ones(len(tasks))
    if weights == "published":
        share[[task in CONTEXT_TASKS for task in tasks]] = CONTEXT_WEIGHT
    elif weights == "error" and performance is not None:
        share = LEAST_ERROR + 1 - np.array([performance[task] for task in tasks])
    probabilities: npt.NDArray[np.float64] = share / share.sum()
    return probabilities


def single_batch(
    config: TrainingConfig, stage: Stage, step: int, probabilities: npt.NDArray[np.float64]
) -> TrialDescription:
    """Draw the trials of a step, of one task with one timing, as published."""
    rng = np.random.default_rng((config.seed, 1, step))
    tasks = config.tasks_of(stage)
    task = int(rng.choice(len(tasks), p=probabilities))
    return draw_trials(
        tasks,
        np.full(config.batch_size, task),
        rng,
        dt_ms=stage.dt_ms,
        shared_timing=True,
        coherence_scale=stage.coherence_scale,
        easy=stage.easy,
    )


@lru_cache(maxsize=1)
def mixed_batches(
    config: TrainingConfig, stage: Stage, first_step: int, probabilities: tuple[float, ...]
) -> tuple[TrialDescription, npt.NDArray[np.int64]]:
    """Draw the trials of all steps between two evaluations, each of its own task and timing.

    Returns
    -------
    trials
        All of them.
    places
        Those of each step, alike in length, in random order of lengths ``(step, trial)``.
    """
    rng = np.random.default_rng((config.seed, 1, first_step))
    number = config.evaluate_every * config.batch_size
    tasks = config.tasks_of(stage)
    chosen = rng.choice(len(tasks), number, p=probabilities)
    trials = draw_trials(
        tasks,
        chosen,
        rng,
        dt_ms=stage.dt_ms,
        shared_timing=False,
        coherence_scale=stage.coherence_scale,
        easy=stage.easy,
    )
    # trials of one length come in random order
    order = np.lexsort((rng.random(number), trials.n_steps))
    places = order.reshape(config.evaluate_every, config.batch_size)
    rng.shuffle(places)
    return trials, places
