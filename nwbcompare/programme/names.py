"""Names of tasks as pictures show them."""

from nwbcompare.tasks import RULES, display_name

NAMES = {task: display_name(task) for task in RULES}
"""Shown names of the published tasks; other tasks go by their own."""
