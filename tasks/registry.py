"""The registry of tasks: a name, a display name, and how trials of each kind are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.tasks.channels import RULES
from nwbcompare.tasks.description import Floats, TrialDescription
from nwbcompare.tasks.trial_draw import Draw

KINDS = ("random", "test", "psychometric")
ENTRY_POINTS = "nwbcompare.tasks"


@dataclass(frozen=True, kw_only=True)
class Psychometric:
    """What is asked of psychometric trials: their conditions and durations.

    ``conditions`` has a column ``(trial,)`` for each of the task's given variables.
    """

    conditions: Mapping[str, Floats]
    dt_ms: float
    stimulus_ms: float
    delay_ms: float


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes
    ----------
    name
        Its stable name, which is also that of its rule channel.
    display_name
        Its name as papers write it.
    condition_variables
        The trial columns whose combinations are conditions: everything its test trials sweep.
    given_variables
        The columns that psychometric trials are made from.
    easy_scale
        Factor on the coherences in the task's easy variant; 1 where it has none.
    random, test, psychometric
        Make trials of each kind: ``random(draw)``, ``test(dt_ms)``, ``psychometric(asked)``.
    """

    name: str
    display_name: str
    condition_variables: tuple[str, ...]
    given_variables: tuple[str, ...]
    random: Callable[[Draw], TrialDescription]
    test: Callable[[float], TrialDescription]
    psychometric: Callable[[Psychometric], TrialDescription]
    easy_scale: float = 1.0


_TASKS: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Add a task to the registry.

    Raises
    ------
    InputError
        Where another task has the name.
    """
    if task.name in _TASKS:
        raise InputError(
            "task",
            "a name that no registered task has",
            repr(task.name),
            "Give the task another name.",
        )
    _TASKS[task.name] = task
    return task


def task_names() -> list[str]:
    """Give the names of all tasks: the published ones in the order of their rules, then others."""
    _load_third_party()
    return [*(name for name in RULES if name in _TASKS), *(n for n in _TASKS if n not in RULES)]


def get_task(name: str) -> Task:
    """Give a task by name.

    Raises
    ------
    InputError
        Where there is none of this name; the nearest are named.
    """
    if name not in _TASKS:
        _load_third_party()
    if name not in _TASKS:
        raise unknown_name("task", name, task_names())
    return _TASKS[name]


def display_name(task: str) -> str:
    """Give a task's name as the paper writes it; an unknown task keeps its own name.

    Examples
    --------
    >>> display_name("contextdm1")
    'Ctx DM 1'
    """
    return _TASKS[task].display_name if task in _TASKS else task


@cache
def _load_third_party() -> None:
    """Import what installed packages name under ``nwbcompare.tasks``; importing registers."""
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
