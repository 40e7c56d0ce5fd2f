"""Random trials a second: mixed tasks at 20 ms, rendered with input noise, in one thread.

Prints the rate with fresh and with pooled noise, and the share of a training step that making
its trials takes.
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
    """Draw, sort by length and render batches."""
    network = NetworkConfig()
    rules = network.rules
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(rules), size=BATCH_SIZE * N_BATCHES)
    drawn = draw_trials(rules, chosen, rng, dt_ms=DT_MS, shared_timing=False)
    order = np.argsort(drawn.n_steps, kind="stable").reshape(N_BATCHES, BATCH_SIZE)
    for step, places in enumerate(order):
        trials = drawn.take(places)
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
    return drawn.n_trials / (time.perf_counter() - start)


def main() -> None:
    """Print medians of several rounds, the kinds of noise in turn."""
    torch.set_num_threads(1)
    sources: dict[str, Callable[[], NoiseSource]] = {
        "fresh": lambda: FreshNoise(0),
        "pool": lambda: NoisePool(0, step_size=100 * BATCH_SIZE * NetworkConfig().n_inputs),
    }
    rates: dict[str, list[float]] = {name: [] for name in sources}
    for seed in range(N_ROUNDS):
        for name, make in sources.items():
            rates[name].append(trials_per_second(make(), seed))
    for name, found in rates.items():
        median = float(np.median(found))
        share = 1000 * BATCH_SIZE / median / STEP_MS
        print(f"{name} noise: {median:,.0f} trials/s, {share:.0%} of a step's {STEP_MS:.1f} ms")


if __name__ == "__main__":
    main()
