"""Trials of the published tasks, from one registry."""

if __name__ != "nwbcompare.tasks":
    raise ImportError("this folder is the package nwbcompare.tasks: import it by that name")

from nwbcompare.tasks import context_decision as context_decision  # registers its tasks
from nwbcompare.tasks.channels import RULES, read_direction
from nwbcompare.tasks.registry import display_name, task_names
from nwbcompare.tasks.trials import make_trials

__all__ = ["RULES", "display_name", "make_trials", "read_direction", "task_names"]
