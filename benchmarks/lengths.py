"""Does it matter how long each task is trained? The same seeds at several lengths.

Run ``python benchmarks/lengths.py results/continual results/continual_longer`` in ``benchmarks``,
with the recording of Mante et al. 2013 at hand; the folders are those of ``nwbcompare continual``
with different ``--steps-per-task`` and are read, not trained. Of the seeds that have a sequential
and a consolidated network in the comparison at *every* length it prints, by length: the Wasserstein
distance of FTV to the recording (sampled as it was) of both regimes and their difference with its
interval over networks and sessions, and what was learned and kept. Then how the last length
differs from the first, paired by seed, with Student's intervals over seeds and exact sign flips: a
question about other networks and this recording.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nwbcompare.analysis.learning.retention import MEAN, retention_over_networks
from nwbcompare.comparison.training_regimes import compare_regimes
from nwbcompare.core.errors import InputError
from nwbcompare.inference.networks import over_networks
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual import plan_of
from nwbcompare.workflows.continual_measurements import PRIMARY, measure_networks
from nwbcompare.workflows.continual_training import RUNS, train_networks
from nwbcompare.workflows.measurements import mapping_of, sample_table
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.settings import CONTEXTS, Settings
from nwbcompare.workflows.study_source import StudySource

REGIMES = ("sequential", "consolidated")
ESTIMATE = ("mean", "mean_low", "mean_high")
MEASURES = ("final", "backward_transfer")
RESULTS = Path(__file__).parent / "results" / "lengths.json"


def read_study(folder: Path, recorded: xr.Dataset, activity: xr.DataTree) -> StudySource:
    """Read the networks of a study, and their measures."""
    seeds = [int(run.name.split("-")[-1]) for run in (folder / RUNS).glob("sequential-*")]
    plan, settings = (
        plan_of(folder, n_networks=max(seeds) + 1, regimes=REGIMES, also=()),
        Settings(),
    )
    missing = [
        f"{regime}-{seed}"
        for regime in REGIMES
        for seed in range(plan.n_networks)
        if not (folder / RUNS / f"{regime}-{seed}").is_dir()
    ]
    if missing:
        raise InputError(str(folder), "a finished study", f"none of {missing}", "Resume it first.")
    networks = train_networks(folder, plan)
    finished = [one for one in networks if not one.failure]
    measures = measure_networks(folder, finished, activity, mapping_of(activity), plan, settings)
    return StudySource.of(networks, measures, recorded, plan, settings)


def of_length(study: StudySource, seeds: list[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a length's row, and by measure the difference (or value) of each seed."""
    tables = {
        regime: {seed: own[seed] for seed in seeds}
        for regime, own in study.tables(PRIMARY).items()
        if regime in REGIMES
    }
    found = compare_regimes(tables, study.recorded, [(REGIMES[1], REGIMES[0])])
    far = found.sel(measure=found.attrs["distance"])
    row: dict[str, Any] = {
        "steps_per_task": study.plan.steps_per_task,
        "seeds": seeds,
        "values": found.attrs["n_values"],
        "difference": [
            float(far[name].item())
            for name in ("difference", "difference_low", "difference_high", "p_value")
        ],
    }
    by_seed: dict[str, np.ndarray] = {}
    for regime in REGIMES:
        own = far.sel(regime=regime)
        row[f"{regime} distance"] = [float(own[name]) for name in ESTIMATE]
        sd = found["value"].sel(statistic="sd", regime=regime)
        row[f"{regime} s.d."] = float(sd.mean())
        by_seed[f"{regime} distance"] = own["distance"].sel(pair=seeds).values
        kept = retention_over_networks(
            {seed: study.logs[regime][seed] for seed in seeds}, YANG2019
        ).sel(task=MEAN)
        for measure in MEASURES:
            one = kept.sel(measure=measure)
            row[f"{regime} {measure}"] = [float(one[name]) for name in ESTIMATE]
            by_seed[f"{regime} {measure}"] = one["value"].sel(network=seeds).values
    for measure in ("distance", *MEASURES):
        difference = by_seed[f"{REGIMES[1]} {measure}"] - by_seed[f"{REGIMES[0]} {measure}"]
        by_seed[f"difference of {measure}"] = difference
    for measure in MEASURES:
        row[f"difference of {measure}"] = said(over_networks(by_seed[f"difference of {measure}"]))
    return row, by_seed


def said(found: xr.Dataset) -> list[float]:
    """Give mean, interval and p."""
    return [float(found[name]) for name in (*ESTIMATE, "p_value")]


def main() -> None:
    """Compare lengths and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--recording")
    options = parser.parse_args()
    brain = choose_recording(options.recording, CONTEXTS, 0)
    if brain.guidance:
        raise SystemExit(brain.guidance)
    activity = brain.activity
    recorded = sample_table([activity], CONTEXTS, "recorded")
    studies = [read_study(folder, recorded, activity) for folder in options.studies]
    shared = set.intersection(
        *(set(own.logs.get(regime, {})) for own in studies for regime in REGIMES)
    )
    seeds = sorted(shared, key=int)
    found = [of_length(own, seeds) for own in studies]
    rows = [row for row, _ in found]
    first, last = found[0][1], found[-1][1]
    change = {name: said(over_networks(last[name] - first[name])) for name in first}
    left_out = {str(own.plan.steps_per_task): dict(own.exclusions) for own in studies}
    result = {"lengths": rows, "last less first": change, "left_out": left_out}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for row in rows:
        for name, value in row.items():
            print(f"{name:32}{value}")
        print()
    for name, values in change.items():
        print(f"last less first, {name:32}{[round(value, 4) for value in values]}")


if __name__ == "__main__":
    main()
