"""The best method of consolidation, for small networks that learn one task after another.

Run it as ``python benchmarks/consolidation.py --runs runs``: about 40 minutes on one core; a
stopped one goes on. Networks of 64 relu units learn the published sequence of tasks (easy
variants) in 250 steps a task, at a learning rate of 0.002, double the published one, so that they
learn the last tasks in so few steps. Performance is the share of correct trials, of 512 a task.

Seeds are taken in order from 10 on. A seed whose plain network stalls in the first stage (its
units have died) is passed over: there no method has done anything yet. The first two that are
left are for tuning, the next eight for the test.

Tuning: each method is trained at five strengths, powers of ten apart, on both tuning seeds, and
keeps the strength of the highest final performance (after the last stage, mean over tasks). The
strengths were set after single runs of seed 101: those of synaptic intelligence lie about the
published 1, those of elastic weight consolidation are 200 times as large, as its importances have
a sum that is 200 times smaller, and those of projection end at the paper's 1000, where that one
network stalled. At first they were four; on a tuning seed two methods were best at the end of
their range, so all three got one more.

Test: a seed means the same initial weights, trials and noise for all methods, so networks are
paired. A method is better than another where the 95 % interval of the mean paired difference of
final performance lies above 0; p is of sign flips over pairs, corrected for the comparisons by
Holm's method. A network that stalls in a later stage is not left out: it counts as it is then,
with the tasks of later stages unlearned. What was learned (performance at the end of a task's
own stage) and forgotten (its best since then minus final, mean over tasks but the last ones) are
means over networks that did not stall.
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
class Trained:
    """What became of a network; ``stalled`` is the place of the stage at which it stalled."""

    method: str
    strength: float
    seed: int
    stalled: int | None
    final: float
    learned: float | None
    forgetting: float | None
    performance: dict[str, float]


def configuration(method: Any, strength: float, seed: int) -> TrainingConfig:
    """Give the training of a method."""
    config = sequential_config(
        steps_per_task=STEPS,
        consolidation=Consolidation(method=method, strength=strength),
        seed=seed,
    )
    stages = [replace(one, learning_rates=(LEARNING_RATE, LEARNING_RATE)) for one in config.stages]
    # only the ends of stages count here
    longest = max(stage.max_steps for stage in stages)
    return replace(config, stages=tuple(stages), evaluate_every=longest)


def trained(method: str, strength: float, seed: int, runs: Path) -> Trained:
    """Train a network, or go on with it, and say what became of it."""
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
    kept = None if stalled is not None else retention(performance_matrix(log, YANG2019))
    return Trained(
        method,
        strength,
        seed,
        stalled,
        float(np.mean(list(performance.values()))),
        None if kept is None else float(kept["mean_learned"]),
        None if kept is None else float(kept["mean_forgetting"]),
        performance,
    )


class Runs:
    """Networks that are finished, a line each in a file, and those that are still to be made."""

    def __init__(self, folder: Path, n_jobs: int) -> None:
        self._folder, self._n_jobs = folder, n_jobs
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "finished.jsonl"
        lines = self._file.read_text().splitlines() if self._file.is_file() else []
        read = [Trained(**json.loads(line)) for line in lines]
        self._found = {(one.method, one.strength, one.seed): one for one in read}

    def of(self, arms: Iterable[Arm], seeds: Iterable[int]) -> dict[Arm, list[Trained]]:
        """Give the networks of these methods, those that are not there yet trained."""
        seeds, arms = list(seeds), list(dict.fromkeys(arms))
        asked = [(*arm, seed) for seed in seeds for arm in arms]
        missing = [one for one in asked if one not in self._found]
        work = Parallel(n_jobs=self._n_jobs, return_as="generator_unordered")(
            delayed(ends_with_parent(trained))(*one, self._folder) for one in missing
        )
        for one in tqdm(work, total=len(missing), desc="networks", disable=None):
            with self._file.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")
            self._found[one.method, one.strength, one.seed] = one
        return {arm: [self._found[(*arm, seed)] for seed in seeds] for arm in arms}

    def seeds(self, number: int) -> tuple[list[int], list[int]]:
        """Give the first seeds whose plain network learns its first task, and those passed over."""
        good: list[int] = []
        dead: list[int] = []
        seed = FIRST_SEED
        while len(good) < number:
            (plain,) = self.of([PLAIN], [seed])[PLAIN]
            (dead if plain.stalled == 0 else good).append(seed)
            seed += 1
        return good, dead


def tuned(networks: dict[Arm, list[Trained]]) -> dict[str, Arm]:
    """Give every method at its best strength; of equals the weaker one."""
    return {
        method: max(
            ((method, strength) for strength in strengths),
            key=lambda arm: np.mean([one.final for one in networks[arm]]),
        )
        for method, strengths in STRENGTHS.items()
    }


def described(networks: list[Trained]) -> dict[str, Any]:
    """Give an arm's numbers over its networks."""
    finished = [one for one in networks if one.stalled is None]
    found = over_networks([one.final for one in networks])
    by_task = {
        task: float(np.mean([one.performance[task] for one in networks]))
        for task in networks[0].performance
    }
    last = YANG2019[-1]
    return {
        "strength": networks[0].strength,
        "final": rounded(found["mean"]),
        "interval_95": [rounded(found["mean_low"]), rounded(found["mean_high"])],
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


def compared(first: list[Trained], second: list[Trained]) -> dict[str, Any]:
    """Compare final performance by pairs, first minus second."""
    found = over_networks([a.final - b.final for a, b in zip(first, second, strict=True)])
    low, high = float(found["mean_low"]), float(found["mean_high"])
    return {
        "difference": rounded(found["mean"]),
        "interval_95": [rounded(low), rounded(high)],
        "p": float(found["p_value"]),
        "verdict": "better" if low > 0 else "worse" if high < 0 else "undecided",
    }


def rounded(value: Any) -> float:
    """Give a number with four places."""
    return round(float(value), 4)


def main() -> None:
    """Tune, test, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="finished are kept here")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    runs = Runs(asked.runs, asked.jobs)
    seeds, dead = runs.seeds(N_TUNING + N_TESTING)
    tuning, testing = seeds[:N_TUNING], seeds[N_TUNING:]
    tried = runs.of(
        [(method, one) for method, strengths in STRENGTHS.items() for one in strengths], tuning
    )
    best = tuned(tried)
    arms = {"none": PLAIN, "synaptic_intelligence, published": PUBLISHED, **best}
    networks = runs.of(arms.values(), testing)
    pairs = [(method, "none") for method in best]
    pairs += [(a, b) for place, a in enumerate(best) for b in list(best)[:place]]
    comparisons = {f"{a} - {b}": compared(networks[arms[a]], networks[arms[b]]) for a, b in pairs}
    adjusted = adjust_p(np.array([one["p"] for one in comparisons.values()]))
    for one, p in zip(comparisons.values(), adjusted, strict=True):
        one["p_holm"] = float(p)
    result = {
        "command": "python benchmarks/consolidation.py --runs runs",
        "n_units": N_UNITS,
        "steps_per_task": STEPS,
        "learning_rate": LEARNING_RATE,
        "seeds": {"tuning": tuning, "testing": testing, "stalled_in_stage_1": dead},
        "tuning": {
            f"{method} {strength:g}": [rounded(one.final) for one in found]
            for (method, strength), found in tried.items()
        },
        "testing": {name: described(networks[arm]) for name, arm in arms.items()},
        "comparisons": comparisons,
        "published against tuned": compared(networks[PUBLISHED], networks[best[PUBLISHED[0]]]),
    }
    text = json.dumps(result, indent=1)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
