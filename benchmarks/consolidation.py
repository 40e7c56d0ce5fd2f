"""Comparison of methods of consolidation, for small networks in continual learning.

Run: ``python benchmarks/consolidation.py --runs runs`` (about 40 minutes on one core; an
interrupted run is continued). Networks of 64 relu units learn the published sequence of tasks (easy
variants) in 250 steps a task, at a learning rate of 0.002, double the published one, with which
they learn the last tasks in so few steps. Performance is the share of correct trials, of 512 a
task.

Seeds are taken in order from 10 on. Seeds whose plain network stalls in the first stage (its
units have become silent), before any consolidation, are skipped. The first two remaining seeds are
for tuning, the next eight for the test.

Tuning: each method is trained at five strengths, powers of ten apart, on both tuning seeds, and
the strength with the highest final performance (after the last stage, mean over tasks) is selected.
The strengths were set after single runs of seed 101: those of synaptic intelligence are around the
published 1, those of elastic weight consolidation are 200 times as large, since the sum of its
importances is 200 times smaller, and those of projection end at the paper's 1000, where the network
of this seed stalled. There were four strengths at first; on a tuning seed two methods were best at
the end of their range, so one strength was added for all three.

Test: networks of one seed have the same initial weights, trials and noise for all methods, and are
paired. A method is better than another if the 95 % interval of the mean paired difference of
final performance lies above 0; p values are from sign flips over pairs, with Holm's correction for
the comparisons. Networks that stall in a later stage are included as they are at this point,
with the tasks of later stages unlearned. Learning (performance at the end of a task's own stage)
and forgetting (best performance since then minus final, mean over all but the last tasks) are
averaged over networks that did not stall.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from nwbcompare.analysis.learning.retention import performance_matrix, retention
from nwbcompare.core.errors import StalledError
from nwbcompare.core.process_pool import ends_with_parent
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.inference.networks import over_networks
from nwbcompare.model import TrainingConfig, train
from nwbcompare.model.checkpoint import EVALUATION, is_run, read_log
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import YANG2019, sequential_config, sequential_network

N_UNITS, STEPS, LEARNING_RATE = 64, 250, 2e-3
FIRST_SEED, N_TUNING, N_TESTING = 10, 2, 8
STRENGTHS = {
    "synaptic_intelligence": (0.01, 0.1, 1.0, 10.0, 100.0),
    "elastic": (2.0, 20.0, 200.0, 2000.0, 20_000.0),
    "orthogonal": (0.1, 1.0, 10.0, 100.0, 1000.0),
}
PLAIN = ("none", 1.0)
PUBLISHED = ("synaptic_intelligence", 1.0)
RESULTS = Path(__file__).parent / "results" / "consolidation.json"
Arm = tuple[str, float]


@dataclass(frozen=True)
class Result:
    """Result of training a network; ``stalled`` is the index of the stage at which it stalled."""

    method: str
    strength: float
    seed: int
    stalled: int | None
    final: float
    learned: float | None
    forgetting: float | None
    performance: dict[str, float]


def configuration(method: Any, strength: float, seed: int) -> TrainingConfig:
    """Return the training configuration of a method."""
    config = sequential_config(
        steps_per_task=STEPS,
        consolidation=Consolidation(method=method, strength=strength),
        seed=seed,
    )
    stages = [replace(one, learning_rates=(LEARNING_RATE, LEARNING_RATE)) for one in config.stages]
    # evaluate at the ends of stages only
    longest = max(stage.max_steps for stage in stages)
    return replace(config, stages=tuple(stages), evaluate_every=longest)


def train_network(method: str, strength: float, seed: int, runs: Path) -> Result:
    """Train a network, or continue its training, and return the result."""
    out = runs / f"{method}-{strength:g}-{seed}"
    stalled = None
    if not (out / EVALUATION).is_file():
        config = configuration(method, strength, seed)
        try:
            train(
                sequential_network(n_units=N_UNITS, seed=seed), config, out=out, resume=is_run(out)
            )
        except StalledError:
            stalled = read_log(out)[-1]["stage"]
    log = read_log(out)
    performance = log[-1]["performance"]
    measures = None if stalled is not None else retention(performance_matrix(log, YANG2019))
    return Result(
        method,
        strength,
        seed,
        stalled,
        float(np.mean(list(performance.values()))),
        None if measures is None else float(measures["mean_learned"]),
        None if measures is None else float(measures["mean_forgetting"]),
        performance,
    )


class Runs:
    """Results of networks, saved as one line each of a file; missing networks are trained."""

    def __init__(self, folder: Path, n_jobs: int) -> None:
        self._folder, self._n_jobs = folder, n_jobs
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "finished.jsonl"
        lines = self._file.read_text().splitlines() if self._file.is_file() else []
        results = [Result(**json.loads(line)) for line in lines]
        self._results = {(one.method, one.strength, one.seed): one for one in results}

    def of(self, arms: Iterable[Arm], seeds: Iterable[int]) -> dict[Arm, list[Result]]:
        """Return the results of some methods and strengths, after training missing networks."""
        seeds, arms = list(seeds), list(dict.fromkeys(arms))
        keys = [(*arm, seed) for seed in seeds for arm in arms]
        missing = [key for key in keys if key not in self._results]
        work = Parallel(n_jobs=self._n_jobs, return_as="generator_unordered")(
            delayed(ends_with_parent(train_network))(*key, self._folder) for key in missing
        )
        for one in tqdm(work, total=len(missing), desc="networks", disable=None):
            with self._file.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")
            self._results[one.method, one.strength, one.seed] = one
        return {arm: [self._results[(*arm, seed)] for seed in seeds] for arm in arms}

    def seeds(self, number: int) -> tuple[list[int], list[int]]:
        """Return the first seeds whose plain network learns its first task, and those skipped."""
        seeds: list[int] = []
        skipped: list[int] = []
        seed = FIRST_SEED
        while len(seeds) < number:
            (plain,) = self.of([PLAIN], [seed])[PLAIN]
            (skipped if plain.stalled == 0 else seeds).append(seed)
            seed += 1
        return seeds, skipped


def best_strengths(networks: dict[Arm, list[Result]]) -> dict[str, Arm]:
    """Return each method with its best strength, the lower one of equals."""
    return {
        method: max(
            ((method, strength) for strength in strengths),
            key=lambda arm: np.mean([one.final for one in networks[arm]]),
        )
        for method, strengths in STRENGTHS.items()
    }


def summarise(networks: list[Result]) -> dict[str, Any]:
    """Return performance, learning and forgetting over the networks of a method."""
    finished = [one for one in networks if one.stalled is None]
    final = over_networks([one.final for one in networks])
    by_task = {
        task: float(np.mean([one.performance[task] for one in networks]))
        for task in networks[0].performance
    }
    last = YANG2019[-1]
    return {
        "strength": networks[0].strength,
        "final": rounded(final["mean"]),
        "interval_95": [rounded(final["mean_low"]), rounded(final["mean_high"])],
        "final_of_last_stage": rounded(np.mean([by_task[task] for task in last])),
        "final_of_earlier_stages": rounded(
            np.mean([share for task, share in by_task.items() if task not in last])
        ),
        "final_by_task": {task: rounded(share) for task, share in by_task.items()},
        "stalled_in_stage": {
            str(one.seed): one.stalled + 1 for one in networks if one.stalled is not None
        },
        "learned": rounded(np.mean([one.learned for one in finished])) if finished else None,
        "forgetting": rounded(np.mean([one.forgetting for one in finished])) if finished else None,
        "final_by_seed": {str(one.seed): rounded(one.final) for one in networks},
    }


def compare(first: list[Result], second: list[Result]) -> dict[str, Any]:
    """Compare the final performance of paired networks, first minus second."""
    difference = over_networks([a.final - b.final for a, b in zip(first, second, strict=True)])
    low, high = float(difference["mean_low"]), float(difference["mean_high"])
    return {
        "difference": rounded(difference["mean"]),
        "interval_95": [rounded(low), rounded(high)],
        "p": float(difference["p_value"]),
        "verdict": "better" if low > 0 else "worse" if high < 0 else "undecided",
    }


def rounded(value: Any) -> float:
    """Return a number rounded to four places."""
    return round(float(value), 4)


def main() -> None:
    """Tune and test the methods, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run folders")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    runs = Runs(arguments.runs, arguments.jobs)
    seeds, skipped = runs.seeds(N_TUNING + N_TESTING)
    tuning, testing = seeds[:N_TUNING], seeds[N_TUNING:]
    tuning_arms = [
        (method, strength) for method, strengths in STRENGTHS.items() for strength in strengths
    ]
    tuning_results = runs.of(tuning_arms, tuning)
    best = best_strengths(tuning_results)
    arms = {"none": PLAIN, "synaptic_intelligence, published": PUBLISHED, **best}
    networks = runs.of(arms.values(), testing)
    pairs = [(method, "none") for method in best]
    pairs += [(a, b) for place, a in enumerate(best) for b in list(best)[:place]]
    comparisons = {f"{a} - {b}": compare(networks[arms[a]], networks[arms[b]]) for a, b in pairs}
    adjusted = adjust_p(np.array([one["p"] for one in comparisons.values()]))
    for one, p in zip(comparisons.values(), adjusted, strict=True):
        one["p_holm"] = float(p)
    result = {
        "command": "python benchmarks/consolidation.py --runs runs",
        "n_units": N_UNITS,
        "steps_per_task": STEPS,
        "learning_rate": LEARNING_RATE,
        "seeds": {"tuning": tuning, "testing": testing, "stalled_in_stage_1": skipped},
        "tuning": {
            f"{method} {strength:g}": [rounded(one.final) for one in results]
            for (method, strength), results in tuning_results.items()
        },
        "testing": {name: summarise(networks[arm]) for name, arm in arms.items()},
        "comparisons": comparisons,
        "published against tuned": compare(networks[PUBLISHED], networks[best[PUBLISHED[0]]]),
    }
    text = json.dumps(result, indent=1)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
