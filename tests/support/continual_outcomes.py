"""Outcomes of studies of continual learning, of networks whose FTV is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from report_inputs import CONTEXTS

from nwbcompare.model.curricula import YANG2019
from nwbcompare.report.pictures import picture
from nwbcompare.workflows import continual_measurements as measuring
from nwbcompare.workflows.continual_measurements import AT_LEVEL, PRIMARY, Measured
from nwbcompare.workflows.continual_results import Outcome
from nwbcompare.workflows.continual_settings import Settings
from nwbcompare.workflows.continual_training import Trained
from nwbcompare.workflows.training_regimes import REGIMES, UNTRAINED


def _no_picture(*_):
    return picture("stages", "Nothing.", lambda _: None, size=(1.0, 1.0))


SESSION = np.repeat([f"s{i:02}" for i in range(20)], 4)
WIDTHS = {
    "interleaved": 0.9,
    "sequential": 0.95,
    "consolidated": 0.52,
    "permuted": 0.85,
    "uniform": 0.8,
    UNTRAINED: 0.2,
}
LEVEL = AT_LEVEL.format(0.8)


def table(values, name="m", **columns):
    return xr.Dataset(
        {
            "fractional_task_variance": ("unit", values),
            "active": ("unit", np.ones(len(values), bool)),
        },
        coords={key: ("unit", column) for key, column in columns.items()},
        attrs={"name": name, "task_a": CONTEXTS[0], "task_b": CONTEXTS[1]},
    )


def log_of(rng, final):
    """A network that gets to about ``final`` in every task at once."""
    tasks = [task for stage in YANG2019 for task in stage]
    return [
        {"step": 10 * place, "stage": max(place - 1, 0), "seconds": 0.0}
        | {"performance": {t: final + 0.02 * rng.random() if place else 0.0 for t in tasks}}
        for place in range(len(YANG2019) + 1)
    ]


def outcome_of(rng, n=8, widths=WIDTHS, left_out=()):
    """Networks whose FTV is uniform on an interval, the recording's on [-0.5, 0.5]."""
    measured = []
    for regime, width in widths.items():
        for seed in range(n):
            own = np.clip(width + 0.02 * rng.standard_normal(), 0.01, 1)
            protocols = [PRIMARY, "signal", *([LEVEL] if regime in measuring.WITH_LEVELS else [])]
            made = {
                name: table(rng.uniform(-own, own, SESSION.size), f"{regime}-{seed}")
                for name in protocols
            }
            measured.append(Measured(regime, seed, made, {}))
    kept = {"consolidated": 0.9, "sequential": 0.6}
    return Outcome(
        settings=Settings(n_networks=n, n_bootstrap=60, n_splits=3),
        trained=[Trained(regime, seed, None) for regime in REGIMES for seed in range(n)],
        left_out=dict.fromkeys(left_out, "stalled."),
        performance={},
        logs={
            regime: {str(seed): log_of(rng, final) for seed in range(n)}
            for regime, final in kept.items()
        },
        measured=measured,
        recorded=table(rng.uniform(-0.5, 0.5, SESSION.size), "monkey", session=SESSION),
    )


def with_further_regimes(rng, left_out=()):
    """Elastic networks as wide as the recording, synaptic intelligence at 0.1 nearly too wide."""
    further = {"elastic 200": 0.52, "synaptic_intelligence 0.1": 0.9}
    outcome = outcome_of(rng, widths=WIDTHS | further, left_out=left_out)
    also = tuple(regime.replace(" ", ":") for regime in further)
    outcome = replace(outcome, settings=replace(outcome.settings, also=also, n_also=7))
    good = {task: 0.95 for stage in YANG2019 for task in stage}
    performance = {"elastic 200": {str(seed): good | {"contextdm1": 0.85} for seed in range(6)}}
    logs = {"elastic 200": {str(seed): log_of(rng, 0.8) for seed in range(6)}}
    return replace(outcome, performance=performance, logs=outcome.logs | logs)
