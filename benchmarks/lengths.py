"""Effect of the length of training per task on continual learning, paired by seed.

Run ``python benchmarks/lengths.py results/continual results/continual_longer`` in ``benchmarks``,
where the recording of Mante et al. (2013) is available. The folders are those of ``nwbcompare
continual`` with different ``--steps-per-task``; nothing is trained. For seeds with a sequential and
a consolidated network in the comparison at *every* length it prints, by length, the Wasserstein
distance of FTV from the recording (networks sampled as it was) for both regimes, their difference
with its interval over networks and sessions, and performance and retention. Then the last length is
compared with the first, paired by seed, with Student's intervals over seeds and exact sign flips,
which generalise to other networks and this recording.
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
from nwbcompare.workflows.continual_measurements import measure_networks
from nwbcompare.workflows.continual_training import RUNS, train_networks
from nwbcompare.workflows.measurements import mapping_of, sample_table
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.sampling_protocols import RATE
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
    """Return the summary of a length, and the values of each measure by seed."""
    tables = {
        regime: {seed: by_seed[seed] for seed in seeds}
        for regime, by_seed in study.tables(RATE.name).items()
        if regime in REGIMES
    }
    comparison = compare_regimes(tables, study.recorded, [(REGIMES[1], REGIMES[0])])
    distance = comparison.sel(measure=comparison.attrs["distance"])
    row: dict[str, Any] = {
        "steps_per_task": study.plan.steps_per_task,
        "seeds": seeds,
        "values": comparison.attrs["n_values"],
        "difference": [
            float(distance[name].item())
            for name in ("difference", "difference_low", "difference_high", "p_value")
        ],
    }
    values: dict[str, np.ndarray] = {}
    for regime in REGIMES:
        of_regime = distance.sel(regime=regime)
        row[f"{regime} distance"] = [float(of_regime[name]) for name in ESTIMATE]
        sd = comparison["value"].sel(statistic="sd", regime=regime)
        row[f"{regime} s.d."] = float(sd.mean())
        values[f"{regime} distance"] = of_regime["distance"].sel(pair=seeds).values
        measures = retention_over_networks(
            {seed: study.logs[regime][seed] for seed in seeds}, YANG2019
        ).sel(task=MEAN)
        for measure in MEASURES:
            one = measures.sel(measure=measure)
            row[f"{regime} {measure}"] = [float(one[name]) for name in ESTIMATE]
            values[f"{regime} {measure}"] = one["value"].sel(network=seeds).values
    for measure in ("distance", *MEASURES):
        difference = values[f"{REGIMES[1]} {measure}"] - values[f"{REGIMES[0]} {measure}"]
        values[f"difference of {measure}"] = difference
    for measure in MEASURES:
        row[f"difference of {measure}"] = estimate_of(values[f"difference of {measure}"])
    return row, values


def estimate_of(values: np.ndarray) -> list[float]:
    """Return mean, interval and p value over networks."""
    result = over_networks(values)
    return [float(result[name]) for name in (*ESTIMATE, "p_value")]


def main() -> None:
    """Compare the lengths, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--recording")
    options = parser.parse_args()
    choice = choose_recording(options.recording, CONTEXTS, 0)
    if choice.guidance:
        raise SystemExit(choice.guidance)
    activity = choice.activity
    recorded = sample_table([activity], CONTEXTS, "recorded")
    studies = [read_study(folder, recorded, activity) for folder in options.studies]
    shared = set.intersection(
        *(set(study.logs.get(regime, {})) for study in studies for regime in REGIMES)
    )
    seeds = sorted(shared, key=int)
    lengths = [of_length(study, seeds) for study in studies]
    rows = [row for row, _ in lengths]
    first, last = lengths[0][1], lengths[-1][1]
    change = {name: estimate_of(last[name] - first[name]) for name in first}
    left_out = {str(study.plan.steps_per_task): dict(study.exclusions) for study in studies}
    result = {"lengths": rows, "last less first": change, "left_out": left_out}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for row in rows:
        for name, value in row.items():
            print(f"{name:32}{value}")
        print()
    for name, values in change.items():
        print(f"last minus first, {name:32}{[round(value, 4) for value in values]}")


if __name__ == "__main__":
    main()
