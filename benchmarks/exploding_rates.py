"""Loss of networks by exploding rates, with the published recipe and with remedies.

The first stage of sequential networks and the first steps of interleaved ones are trained with the
published recipe and with remedies, and the number of lost networks is printed. ``choose`` compares
remedies on separate seeds, by performance alone; ``verify`` compares the selected remedy with the
published recipe on fifty seeds. Results are saved in ``benchmarks/results/exploding_rates.jsonl``
(seeds 0 to 13 and 100 to 107 were evaluated every 20 steps, the others every 50).

    python benchmarks/exploding_rates.py choose --jobs 2
    python benchmarks/exploding_rates.py verify --jobs 2
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest, wilcoxon
from tqdm import tqdm

from nwbcompare.core.errors import DivergedError, StalledError
from nwbcompare.core.process_pool import ends_with_parent
from nwbcompare.model import NetworkConfig, TrainingConfig, read_log, train
from nwbcompare.model.checkpoint import STABILITY_COLUMNS
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network
from nwbcompare.model.rate_stability import Stability

RESULTS = Path(__file__).parent / "results" / "exploding_rates.jsonl"
STEPS, EVERY = 400, 50
AFTER_WARM_UP = 300
KINDS = ("sequential", "interleaved")
REMEDIES: dict[str, dict[str, Any]] = {
    "published": {},
    "warm-up 30": {"warm_up_steps": 30},
    "warm-up 100": {"warm_up_steps": 100},
    "warm-up 300": {"warm_up_steps": 300},
    "learning rate 0.0003": {"learning_rate": 3e-4},
}
SELECTED = "warm-up 300"
CHOICE_SEEDS, VERIFICATION_SEEDS = range(100, 108), range(50)


def configs(kind: str, remedy: str, seed: int) -> tuple[NetworkConfig, TrainingConfig]:
    """Return the configurations of the first steps of a network."""
    change = dict(REMEDIES[remedy])
    rate = change.pop("learning_rate", 1e-3)
    build = sequential_config if kind == "sequential" else interleaved_config
    # without a warm-up and tasks of its own a stage is not stopped when rates explode
    whole = build(warm_up_steps=0, seed=seed)
    stage = replace(whole.stages[0], max_steps=STEPS, learning_rates=(rate, rate), tasks=())
    tasks = whole.tasks if kind == "interleaved" else whole.stages[0].tasks
    training = replace(
        whole,
        tasks=tasks,
        stages=(stage,),
        evaluate_every=EVERY,
        evaluation_trials=32,
        **change,
    )
    return sequential_network(seed=seed), training


def measure(kind: str, remedy: str, seed: int) -> dict[str, Any]:
    """Train a network, and return its log and the error that stopped it, if any."""
    network, training = configs(kind, remedy, seed)
    failure = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            train(network, training, out=Path(folder) / "run")
        except (DivergedError, StalledError) as error:
            failure = str(error).replace(folder, "")
        log = read_log(Path(folder) / "run")
    rows = [
        {name: _rounded(value) for name, value in row.items() if name not in _LEFT_OUT}
        | {"worst": min(row["performance"].values()), "best": max(row["performance"].values())}
        for row in log
    ]
    about = {"kind": kind, "remedy": remedy, "seed": seed, "steps": STEPS}
    return {**about, "stopped": failure, "log": rows}


_LEFT_OUT = ("stage", "dt_ms", "coherence_scale", "seconds", "performance")


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def saved_results() -> dict[tuple[Any, ...], dict[str, Any]]:
    """Read the saved results, by kind, remedy and seed."""
    lines = RESULTS.read_text().splitlines() if RESULTS.is_file() else []
    results = map(json.loads, lines)
    return {(one["kind"], one["remedy"], one["seed"]): one for one in results}


def is_lost(result: dict[str, Any]) -> bool:
    """Return whether the rates of a network have exploded at the last step."""
    last = {name: result["log"][-1][name] for name in STABILITY_COLUMNS}
    whole = {name: math.inf if value is None else value for name, value in last.items()}
    return bool(result["stopped"]) or Stability(**whole).has_exploded


def largest(result: dict[str, Any], column: str, until: int) -> float:
    """Return the largest value of a column up to a step, infinity if one was not finite."""
    values = [row[column] for row in result["log"] if row["step"] <= until]
    return math.inf if None in values else max(values)


def collect(keys: list[tuple[Any, ...]], n_jobs: int) -> dict[tuple[str, str], list[Any]]:
    """Return the results by kind and remedy, after training and saving missing networks."""
    results = saved_results()
    missing = [key for key in keys if key not in results]
    pool = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    work = pool(delayed(ends_with_parent(measure))(*key) for key in missing)
    for result in tqdm(work, total=len(missing), desc="networks", disable=None):
        with RESULTS.open("a") as file:
            file.write(json.dumps(result) + "\n")
    results = saved_results()
    by_recipe: dict[tuple[str, str], list[Any]] = {}
    for kind, remedy, seed in keys:
        by_recipe.setdefault((kind, remedy), []).append(results[kind, remedy, seed])
    return by_recipe


def table(by_recipe: dict[tuple[str, str], list[Any]]) -> Iterator[str]:
    """Yield the lines of a Markdown table of lost networks and the ranges of their rates."""
    yield (
        "| kind | recipe | lost | 95 % | largest rate: kept | lost | active spectral radius in the "
        "first 100 steps: kept | lost | saturated outputs: kept | lost | loss at the end: kept |"
    )
    yield "| --- " * 11 + "|"
    for (kind, remedy), results in by_recipe.items():
        lost = [one for one in results if is_lost(one)]
        alive = [one for one in results if not is_lost(one)]
        interval = binomtest(len(lost), len(results)).proportion_ci(method="wilson")
        parts = [
            f"{len(lost)} of {len(results)}",
            f"{interval.low:.2f} to {interval.high:.2f}",
            _range(alive, "largest_rate"),
            _range(lost, "largest_rate"),
            _range(alive, "active_spectral_radius", until=100),
            _range(lost, "active_spectral_radius", until=100),
            _range(alive, "saturated_outputs"),
            _range(lost, "saturated_outputs"),
            f"{np.mean([one['log'][-1]['loss'] for one in alive]):.4f}" if alive else "-",
        ]
        yield f"| {kind} | {remedy} | " + " | ".join(parts) + " |"


def _range(results: list[Any], column: str, *, until: int = STEPS) -> str:
    if not results:
        return "-"
    values = [largest(one, column, until) for one in results]
    return f"{np.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def end_loss(result: dict[str, Any]) -> float:
    """Return the mean loss of the evaluations after step 300, when every warm-up has ended."""
    return float(np.mean([row["loss"] for row in result["log"] if row["step"] > AFTER_WARM_UP]))


def performances(by_recipe: dict[tuple[str, str], list[Any]]) -> Iterator[str]:
    """Yield the losses of kept networks, and their paired differences from the published recipe."""
    for (kind, remedy), results in by_recipe.items():
        ends = {one["seed"]: end_loss(one) for one in results if not is_lost(one)}
        line = f"{kind}, {remedy}: loss after step {AFTER_WARM_UP} {np.mean([*ends.values()]):.4f}"
        published = {
            one["seed"]: end_loss(one) for one in by_recipe[kind, "published"] if not is_lost(one)
        }
        pairs = [end - published[seed] for seed, end in ends.items() if seed in published]
        if remedy != "published" and len(pairs) > 5:
            line += (
                f"; minus published {np.mean(pairs):+.4f} in {len(pairs)} seeds kept with both, "
                f"p = {wilcoxon(pairs).pvalue:.2g}"
            )
        yield line


def main() -> None:
    """Train missing networks and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["choose", "verify"])
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "choose":
        remedies, seeds = list(REMEDIES), CHOICE_SEEDS
    else:
        remedies, seeds = ["published", SELECTED], VERIFICATION_SEEDS
    keys = [(kind, remedy, seed) for seed in seeds for kind in KINDS for remedy in remedies]
    by_recipe = collect(keys, arguments.jobs)
    print("\n".join([*table(by_recipe), "", *performances(by_recipe)]))


if __name__ == "__main__":
    main()
