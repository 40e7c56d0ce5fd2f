"""Names of tasks as pictures show them."""

from nwbcompare.tasks.channels import RULES
from nwbcompare.tasks.registry import display_name

NAMES = {task: display_name(task) for task in RULES}
"""Shown names of the published tasks; other tasks go by their own."""
