"""FTV of all pairs under 1000 rotations: from covariances, and by rotating the activity itself.

A shipped network is recorded on its 20 tasks. The results are computed in two ways in one process:
by `rotated_pairs`, with and without the time of the condition means, and, for a few rotations, from
rotated rates by `task_variance` and `pairwise_ftv`. Prints the times, their ratio, and the largest
differences between the results.
"""

from __future__ import annotations

import time

import numpy as np

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_shapes import rotated_pairs
from nwbcompare.analysis.selectivity.kernels.rotation import (
    factorise,
    mixed_variances,
    rotated_summaries,
)
from nwbcompare.analysis.selectivity.pairwise_ftv import EDGES, pairwise_ftv
from nwbcompare.analysis.selectivity.permutation_nulls import task_covariances
from nwbcompare.core.activity import Activity, blocks
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.kernels.variance import fractional_variance
from nwbcompare.model import pretrained
from nwbcompare.workflows.sources import record_test_trials

NETWORK, N_ROTATIONS, N_BRUTE, SEED, THRESHOLD, N_WORKERS = "all20-fast-0", 1000, 3, 0, 1e-3, 2


def rotate(activity: Activity, rotation: np.ndarray) -> Activity:
    """Rotate the rates of all tasks by one matrix."""
    result = {}
    for name, block in blocks(activity).items():
        rate = (block["rate"].values @ rotation.T.astype(np.float32)).astype(np.float32)
        result[name] = block.assign(rate=(block["rate"].dims, rate, block["rate"].attrs))
    return nc.make_activity(result)


def main() -> None:
    """Run the benchmark and print the results."""
    network = pretrained(NETWORK)
    activity = record_test_trials(network, network.config.rules)
    start = time.perf_counter()
    covariance, units = task_covariances(activity, None, estimator="per_time", conditions=None)
    means_s = time.perf_counter() - start
    n_units = units["unit"].size

    start, processor = time.perf_counter(), time.process_time()
    factors = factorise(list(covariance.values()))
    for _ in rotated_summaries(
        factors,
        EDGES,
        n_units=n_units,
        n_rotations=N_ROTATIONS,
        seed=SEED,
        threshold=THRESHOLD,
        n_jobs=N_WORKERS,
    ):
        pass
    fast_s = time.perf_counter() - start
    processor_s = time.process_time() - processor
    start = time.perf_counter()
    result = rotated_pairs(activity, n_rotations=N_ROTATIONS, seed=SEED, n_jobs=N_WORKERS)
    whole_s = time.perf_counter() - start
    print(f"{NETWORK}: {n_units} units, {len(covariance)} tasks, {result.sizes['pair']} pairs")
    print(f"condition means and covariances: {means_s:.1f} s")
    print(f"{N_ROTATIONS} rotations from them, {N_WORKERS} threads: {fast_s:.1f} s")
    print(f"processor time of these: {processor_s:.1f} s")
    print(f"rotated_pairs as a whole: {whole_s:.1f} s")

    brute_s, variance_error, ftv_error, sd_error = 0.0, 0.0, 0.0, 0.0
    for place, stream in enumerate(np.random.SeedSequence(SEED).spawn(N_BRUTE)):
        rotation = random_rotation(n_units, np.random.default_rng(stream))
        start = time.perf_counter()
        variance = nc.task_variance(rotate(activity, rotation))
        pairs = pairwise_ftv(variance)
        brute_s += time.perf_counter() - start
        slow = variance["task_variance"].transpose("task", "unit").values
        fast = mixed_variances(rotation, factors)
        variance_error = max(variance_error, float(np.abs(fast / slow - 1).max()))
        first, second = np.triu_indices(len(fast), 1)
        fractions, _ = fractional_variance(fast[first], fast[second], threshold=THRESHOLD)
        slow_fractions = pairs["fractional_task_variance"].values
        ftv_error = max(ftv_error, float(np.nanmax(np.abs(fractions - slow_fractions))))
        sd = np.nanstd(slow_fractions, axis=1)
        sd_error = max(sd_error, float(np.abs(result["ftv_sd"].values[place] - sd).max()))
    per_rotation = brute_s / N_BRUTE
    print(f"rotating the activity: {per_rotation:.2f} s a rotation")
    print(
        f"faster by {per_rotation * N_ROTATIONS / fast_s:.0f} times, "
        f"as a whole by {per_rotation * N_ROTATIONS / whole_s:.0f} times"
    )
    print(
        f"largest difference: TV {variance_error:.1e} (relative), FTV {ftv_error:.1e}, "
        f"s.d. of FTV {sd_error:.1e}"
    )


if __name__ == "__main__":
    main()
