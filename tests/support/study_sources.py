"""Studies of continual learning, of networks whose FTV is drawn at random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from report_inputs import CONTEXTS

from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual_measurements import (
    AT_LEVEL,
    PRIMARY,
    WITH_LEVELS,
    NetworkMeasures,
)
from nwbcompare.workflows.continual_training import StudyNetwork
from nwbcompare.workflows.section import Results
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan
from nwbcompare.workflows.study_source import StudySource
from nwbcompare.workflows.training_regimes import REGIMES, UNTRAINED

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
    """Log of a network that performs all tasks at about ``final`` from the first stage on."""
    tasks = [task for stage in YANG2019 for task in stage]
    return [
        {"step": 10 * place, "stage": max(place - 1, 0), "seconds": 0.0}
        | {"performance": {t: final + 0.02 * rng.random() if place else 0.0 for t in tasks}}
        for place in range(len(YANG2019) + 1)
    ]


def study_source(rng, n=8, widths=WIDTHS, excluded=()):
    """Networks whose FTV is uniform on an interval, the recording's on [-0.5, 0.5]."""
    measures = []
    for regime, width in widths.items():
        for seed in range(n):
            half = np.clip(width + 0.02 * rng.standard_normal(), 0.01, 1)
            protocols = [PRIMARY, "rate", *([LEVEL] if regime in WITH_LEVELS else [])]
            tables = {
                name: table(rng.uniform(-half, half, SESSION.size), f"{regime}-{seed}")
                for name in protocols
            }
            measures.append(NetworkMeasures(regime, seed, Results(tables)))
    final = {"consolidated": 0.9, "sequential": 0.6}
    return StudySource(
        plan=StudyPlan(n_networks=n),
        settings=Settings(n_bootstrap=60, n_splits=3),
        networks=[StudyNetwork(regime, seed, Path()) for regime in REGIMES for seed in range(n)],
        exclusions=dict.fromkeys(excluded, "stalled."),
        performance={},
        logs={
            regime: {str(seed): log_of(rng, share) for seed in range(n)}
            for regime, share in final.items()
        },
        measures=measures,
        recorded=table(rng.uniform(-0.5, 0.5, SESSION.size), "monkey", session=SESSION),
    )


def with_further_regimes(rng, excluded=()):
    """Elastic networks as wide as the recording, synaptic intelligence at 0.1 nearly too wide."""
    further = {"elastic 200": 0.52, "synaptic_intelligence 0.1": 0.9}
    source = study_source(rng, widths=WIDTHS | further, excluded=excluded)
    also = tuple(regime.replace(" ", ":") for regime in further)
    high = {task: 0.95 for stage in YANG2019 for task in stage}
    performance = {"elastic 200": {str(seed): high | {"contextdm1": 0.85} for seed in range(6)}}
    logs = {"elastic 200": {str(seed): log_of(rng, 0.8) for seed in range(6)}}
    return replace(
        source,
        plan=replace(source.plan, also=also, n_also=7),
        performance=performance,
        logs=source.logs | logs,
    )


def results_of(section, source):
    """Return the results of a section."""
    return section.compute(source, {}, source.settings, Path())


def summary_of(section, source, results=None):
    """Return the findings and rows of a section, without pictures."""
    results = results_of(section, source) if results is None else results
    return section.summarise(source.name, {section.name: results}, pictures=False)
