"""Plans and settings of studies that take seconds."""

from __future__ import annotations

from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan

TINY = {"n_networks": 1, "steps_per_task": 2, "n_units": 12}
QUICK = {"n_draws": 1, "n_bootstrap": 20, "n_splits": 3}


def tiny_plan(**changes):
    return StudyPlan(**TINY | changes)


def quick_settings(**changes):
    return Settings(**QUICK | changes)
