"""Settings of studies that are done in seconds."""

from __future__ import annotations

from nwbcompare.workflows.continual_settings import Settings

TINY = {"n_networks": 1, "steps_per_task": 2, "n_units": 12, "n_draws": 1}
QUICK = {"n_bootstrap": 20, "n_splits": 3}


def tiny(**changes):
    return Settings(**TINY | QUICK | changes)
