"""The registry of tasks: a name, a display name, and how trials of each kind are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nwbcompare.errors import unknown_name
from nwbcompare.tasks.channels import RULES
from nwbcompare.tasks.description import TrialDescription

Draw = Callable[..., TrialDescription]
KINDS = ("random", "test", "conditions")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes
    ----------
    name
        Its stable name, which is also its rule channel.
    condition_variables
        The trial columns whose combinations are conditions: everything its test trials sweep.
    random, test, conditions
        Draw trials of each kind: ``random(rng, n_trials, dt_ms, coherence_scale)``,
        ``test(dt_ms)``, ``conditions(columns, dt_ms, stimulus_ms)``.
    """

    name: str
    condition_variables: tuple[str, ...]
    random: Callable[[np.random.Generator, int, float, float], TrialDescription]
    test: Callable[[float], TrialDescription]
    conditions: Callable[[Mapping[str, Any], float, float], TrialDescription]


_TASKS: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Add a task to the registry, under its rule's name."""
    if task.name not in RULES:
        raise unknown_name("rule", task.name, RULES)
    _TASKS[task.name] = task
    return task


def task_names() -> list[str]:
    """Give the names of the tasks that trials can be made of."""
    return list(_TASKS)


def get_task(name: str) -> Task:
    """Give a task by name.

    Raises
    ------
    InputError
        Where there is none of this name; the nearest are named.
    """
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    return _TASKS[name]


def display_name(task: str) -> str:
    """Give a task's name as the paper writes it; an unknown task keeps its own name.

    Examples
    --------
    >>> display_name("contextdm1")
    'Ctx DM 1'
    """
    return RULES.get(task, task)
