"""Random trials per second: all tasks at 20 ms, with input noise, in one thread.

Prints the rate with fresh and with pooled noise, and the time of generating the trials of a
training step as a share of the time of the step.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from nwbcompare.model import NetworkConfig
from nwbcompare.model.batch import make_batch
from nwbcompare.model.training_noise import FreshNoise, NoisePool, NoiseSource
from nwbcompare.tasks.trials import draw_trials

BATCH_SIZE, N_BATCHES, N_ROUNDS, DT_MS = 64, 200, 5, 20.0
STEP_MS = 1000 / 36.3
"""A training step of 256 units, from training_speed.py."""


def trials_per_second(noise: NoiseSource, seed: int) -> float:
    """Draw random trials, sort them by length and generate batches."""
    network = NetworkConfig()
    rules = network.rules
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    task = rng.integers(len(rules), size=BATCH_SIZE * N_BATCHES)
    all_trials = draw_trials(rules, task, rng, dt_ms=DT_MS, shared_timing=False)
    order = np.argsort(all_trials.n_steps, kind="stable").reshape(N_BATCHES, BATCH_SIZE)
    for step, places in enumerate(order):
        trials = all_trials.take(places)
        n_steps = int(trials.n_steps.max())
        noise.prepare(step)
        numbers = noise.shard(step, 0, 1, n_steps * BATCH_SIZE * network.n_inputs)
        make_batch(
            trials,
            rules,
            n_steps,
            dt_ms=DT_MS,
            sigma_x=network.sigma_x,
            noise=numbers.view(n_steps, BATCH_SIZE, -1),
        )
    return all_trials.n_trials / (time.perf_counter() - start)


def main() -> None:
    """Print the median over rounds, in which the kinds of noise are interleaved."""
    torch.set_num_threads(1)
    sources: dict[str, Callable[[], NoiseSource]] = {
        "fresh": lambda: FreshNoise(0),
        "pool": lambda: NoisePool(0, step_size=100 * BATCH_SIZE * NetworkConfig().n_inputs),
    }
    rates: dict[str, list[float]] = {name: [] for name in sources}
    for seed in range(N_ROUNDS):
        for name, make in sources.items():
            rates[name].append(trials_per_second(make(), seed))
    for name, by_round in rates.items():
        median = float(np.median(by_round))
        share = 1000 * BATCH_SIZE / median / STEP_MS
        print(f"{name} noise: {median:,.0f} trials/s, {share:.0%} of a step's {STEP_MS:.1f} ms")


if __name__ == "__main__":
    main()
