"""Training time until the worst task passes 90 and 95 %, over seeds.

Run: ``python benchmarks/time_to_criterion.py --seeds 0-9 --runs runs`` (finished seeds are skipped,
an interrupted one is continued), then the same with ``--table`` to print the table. Performance is
the share of correct trials among 512 random ones for each task, 16 batches of 32, with both noises;
the last columns are from an evaluation whose seed no training uses.

``--set three`` is three tasks and 64 units instead of 20 tasks and 256 units.
``--schedule paper --target 0.93`` ends the published recipe early. The best weights up to each of
`LENGTHS` steps are saved, to compare networks of several lengths of training.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nwbcompare.model import NetworkConfig, train, training_config
from nwbcompare.model.checkpoint import CONFIG, EVALUATION, LOG, WEIGHTS, is_run, read_evaluation
from nwbcompare.tasks import RULES
from nwbcompare.tasks.trials import rules_of

SETS = {"all20": (tuple(RULES), 256), "three": (("fdgo", "delaygo", "fdanti"), 64)}
"""Tasks and units."""
RESULTS = Path(__file__).parent / "results"
LENGTHS = (10_000, 20_000, 40_000, 80_000)


def train_seed(out: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Train the network of a seed, or continue its training."""
    if (out / EVALUATION).is_file():
        return
    tasks, n_units = SETS[arguments.set]
    config = training_config(
        tasks,
        schedule=arguments.schedule,
        target=arguments.target,
        max_steps=arguments.max_steps,
        n_units=n_units,
        seed=seed,
    )
    network = NetworkConfig(n_units=n_units, rules=rules_of(tasks), seed=seed)
    watch = keep_lengths(out) if arguments.schedule == "paper" else None
    train(network, config, out=out, resume=is_run(out), watch=watch)


def keep_lengths(out: Path) -> Callable[[list[dict[str, Any]]], None]:
    """Return a callback that saves the weights at each of `LENGTHS` as a run folder."""

    def watch(log: list[dict[str, Any]]) -> None:
        # at an evaluation the folder still has the weights of the evaluation before
        if len(log) > 1 and log[-2]["step"] in LENGTHS:
            copy = out.with_name(f"{out.name}-at-{log[-2]['step']}")
            copy.mkdir(exist_ok=True)
            for name in (CONFIG, WEIGHTS):
                shutil.copy(out / name, copy / name)

    return watch


def time_to(rows: list[dict[str, str]], tasks: Iterable[str], share: float) -> float:
    """Return the time (s) of the first evaluation at 20 ms whose worst task exceeds a share."""
    for row in rows:
        if float(row["dt_ms"]) == 20 and min(float(row[task]) for task in tasks) > share:
            return float(row["seconds"])
    return float("nan")


def describe(out: Path) -> dict[str, object]:
    """Return the row of a network in the table."""
    with (out / LOG).open() as file:
        rows = list(csv.DictReader(file))
    final = read_evaluation(out)
    shares = final["performance"]
    worst = min(shares, key=shares.get)
    return {
        "network": out.name,
        "seconds_to_0.90": time_to(rows, shares, 0.90),
        "seconds_to_0.95": time_to(rows, shares, 0.95),
        "seconds": final["seconds"],
        "steps": final["steps"],
        "worst": round(shares[worst], 3),
        "worst_task": worst,
        "mean": round(sum(shares.values()) / len(shares), 4),
    }


def main() -> None:
    """Train the networks, or print and write the table of finished ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-9", help="first-last")
    parser.add_argument("--set", default="all20", choices=SETS)
    parser.add_argument("--schedule", default="fast", choices=["fast", "paper"])
    parser.add_argument(
        "--target", type=float, help="performance of the worst task at which training ends"
    )
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    folders = {
        seed: arguments.runs / f"{arguments.set}-{arguments.schedule}-{seed}"
        for seed in range(int(first), int(last or first) + 1)
    }
    if not arguments.table:
        for seed, out in folders.items():
            train_seed(out, seed, arguments)
        return
    table = [describe(out) for out in folders.values() if (out / EVALUATION).is_file()]
    with (RESULTS / f"time_to_criterion_{arguments.set}_{arguments.schedule}.csv").open(
        "w"
    ) as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
