"""Time of lesioning a network: 12 clusters, 20 tasks, 512 random trials, 256 units.

Prints the time of `lesion_performance` (elapsed and processor time), the expected time of random
sets, and with ``--plain`` the time of a plain loop over `network.lesioned(...)` with the same
trials and noise, and the number of trials with different results.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nwbcompare.experiments.lesions import lesion_performance
from nwbcompare.model import evaluate, pretrained
from nwbcompare.tasks import RULES

N_CLUSTERS = 12


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=512)
    parser.add_argument("--plain", action="store_true", help="also run the plain loop (minutes)")
    options = parser.parse_args()
    network, tasks = pretrained("all20-fast-0"), list(RULES)
    order = np.random.default_rng(0).permutation(network.config.n_units)
    groups = {str(place): units for place, units in enumerate(np.array_split(order, N_CLUSTERS))}
    start, busy = time.perf_counter(), time.process_time()
    lesions = lesion_performance(network, groups, tasks, n_trials=options.trials)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    what = f"{N_CLUSTERS} lesions and intact, {len(tasks)} tasks x {options.trials} trials"
    print(f"{what}: {seconds:.1f} s, {busy:.1f} s of processors")
    n_runs = (1 + N_CLUSTERS) * len(tasks) * options.trials
    sets = 600 * len(tasks) * 64 * seconds / n_runs
    print(f"600 random sets x 64 trials a task would take about {sets / 60:.1f} min")
    if options.plain:
        start, busy = time.perf_counter(), time.process_time()
        plain = [
            evaluate(network.lesioned(units), tasks, seed=0, n_trials=options.trials)
            for units in ([], *groups.values())
        ]
        passed, busy = time.perf_counter() - start, time.process_time() - busy
        print(f"plain loop: {passed:.1f} s, {busy:.1f} s of processors")
        shares = np.array([[row[task] for task in tasks] for row in plain])
        fast = np.vstack([lesions["intact"].values, lesions["performance"].values])
        n_apart = np.abs(shares - fast).sum() * options.trials
        print(f"trials judged differently: {n_apart:.0f} of {n_runs}")


if __name__ == "__main__":
    main()
