"""Registry of tasks: name, display name, and functions that make trials of each kind."""

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
    """Conditions and durations of psychometric trials.

    Attributes
    ----------
    conditions
        A column ``(trial,)`` for each of the ``given_variables`` of the task.
    dt_ms, stimulus_ms, delay_ms
        Time step, and durations of a stimulus and of the delay (ms).
    """

    conditions: Mapping[str, Floats]
    dt_ms: float
    stimulus_ms: float
    delay_ms: float


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task.

    Attributes
    ----------
    name
        Name, which is also that of its rule channel.
    display_name
        Name in papers and figures.
    condition_variables
        Trial columns whose combinations are conditions: all variables of the test trials.
    given_variables
        Variables of psychometric trials.
    easy_scale
        Factor of the coherences in the easy variant; 1 for a task without one.
    random, test, psychometric
        Functions that make trials of each kind: ``random(draw)``, ``test(dt_ms)``,
        ``psychometric(request)``.
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
    """Add a task to the registry; return it.

    Raises
    ------
    InputError
        For a name that is registered already.

    Examples
    --------
    >>> register(get_task("fdgo"))
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: task: expected a name that no registered task has, ...
    """
    if task.name in _TASKS:
        raise InputError(
            "task", "a name that no registered task has", repr(task.name), "Choose another name."
        )
    _TASKS[task.name] = task
    return task


def task_names() -> list[str]:
    """Return the names of all tasks: the published ones in the order of their rules, then others.

    Examples
    --------
    >>> task_names()[:3]
    ['fdgo', 'reactgo', 'delaygo']
    """
    _load_third_party()
    return [*(name for name in RULES if name in _TASKS), *(n for n in _TASKS if n not in RULES)]


def get_task(name: str) -> Task:
    """Return a task by name.

    Raises
    ------
    InputError
        For an unknown name; the error suggests the nearest names.

    Examples
    --------
    >>> get_task("dm1").condition_variables
    ('direction', 'coherence_1')
    """
    # other packages are imported only for names that are unknown here
    if name not in _TASKS:
        _load_third_party()
    if name not in _TASKS:
        raise unknown_name("task", name, task_names())
    return _TASKS[name]


def display_name(task: str) -> str:
    """Return the name of a task in papers and figures; an unknown name is returned as it is.

    Examples
    --------
    >>> display_name("contextdm1")
    'Ctx DM 1'
    """
    return _TASKS[task].display_name if task in _TASKS else task


# once: to register a task again is an error
@cache
def _load_third_party() -> None:
    """Import the entry points ``nwbcompare.tasks`` of installed packages, which register tasks."""
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
