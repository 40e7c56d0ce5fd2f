"""Trials of the published tasks and of others, from one registry."""

# a copy under another name would have a registry of its own
if __name__ != "nwbcompare.tasks":
    raise ImportError("this folder is the package nwbcompare.tasks: import it by that name")

# importing a family registers its tasks
from nwbcompare.tasks import (
    decision as decision,
    delayed_decision as delayed_decision,
    delayed_match as delayed_match,
    go as go,
)
from nwbcompare.tasks.channels import RULES, read_direction
from nwbcompare.tasks.neurogym import trials_of_environment
from nwbcompare.tasks.registry import Task, display_name, get_task, register, task_names
from nwbcompare.tasks.trials import make_trials

__all__ = [
    "RULES",
    "Task",
    "display_name",
    "get_task",
    "make_trials",
    "read_direction",
    "register",
    "task_names",
    "trials_of_environment",
]


def __dir__() -> list[str]:
    return sorted(__all__)
