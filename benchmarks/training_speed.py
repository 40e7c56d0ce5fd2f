"""Training steps per second of the fast core and of a plain loop.

Run: ``python benchmarks/training_speed.py``. A step is the forward and backward pass and Adam for
256 softplus units on 64 trials of 100 steps, with recurrent noise; the trials are generated
beforehand. Prints the median over rounds interleaved in one process, the ratio to the plain loop,
and the speed of the step's matrix products as a share of that of a large float32 product.

No other process may run at the same time: small products on two threads become very slow beside
one, so that the plain loop falls to a fraction of a step per second and its ratio is not
meaningful. The load before the run is printed as a check.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median

import torch

from nwbcompare.model import Network, NetworkConfig
from nwbcompare.model.adam import Adam
from nwbcompare.model.batch import Batch
from nwbcompare.model.shards import FastCore
from nwbcompare.model.threads import one_thread_each
from nwbcompare.model.training_noise import FreshNoise, NoisePool

N_TIME, N_TRIALS, N_INPUTS, N_UNITS, N_OUTPUTS = 100, 64, 85, 256, 33
ALPHA, NOISE_SCALE, LEARNING_RATE = 0.2, 0.05 * math.sqrt(10), 1e-3
SQUARE = 2048
STEP_FLOP = (
    2 * N_TIME * N_TRIALS * N_UNITS * (2 * (N_INPUTS + N_UNITS + N_OUTPUTS) + N_UNITS + N_OUTPUTS)
)
"""Multiplications and additions of a step's products: every weight matrix once forward and once
for its gradient, the recurrent and output weights once more to go back; 3.40 GFLOP."""
NoiseOfShard = Callable[[int, int], torch.Tensor | None]
Step = Callable[[], object]


def make_batch(n_trials: int) -> Batch:
    """Return trials of one length with random inputs and targets."""
    return Batch(
        input=torch.rand(N_TIME, n_trials, N_INPUTS),
        target=torch.rand(N_TIME, n_trials, N_OUTPUTS),
        loss_mask=torch.ones(N_TIME, n_trials, N_OUTPUTS),
        lengths=torch.full((n_trials,), N_TIME),
        dt_ms=20,
    )


def plain_step() -> Step:
    """Return a step written with a loop, autograd, torch's Adam and fresh noise."""
    network, batch = Network(NetworkConfig(n_units=N_UNITS)), make_batch(N_TRIALS)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        rate, rates = torch.zeros(N_TRIALS, N_UNITS), []
        for inputs in batch.input:
            drive = inputs @ network.get_parameter("input_weight") + rate @ network.recurrent_weight
            drive = drive + network.bias + NOISE_SCALE * torch.randn(N_TRIALS, N_UNITS)
            rate = (1 - ALPHA) * rate + ALPHA * torch.nn.functional.softplus(drive)
            rates.append(rate)
        outputs = torch.sigmoid(torch.stack(rates) @ network.output_weight + network.output_bias)
        loss = (((batch.target - outputs) * batch.loss_mask) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def fast_step(n_shards: int, noise: NoiseOfShard) -> Step:
    """Return a step of the fast core, with the noise of ``noise(step, shard)``."""
    core = FastCore(Network(NetworkConfig(n_units=N_UNITS)), n_shards=n_shards)
    adam = Adam(core.parameters)
    shards = [make_batch(N_TRIALS // n_shards) for _ in range(n_shards)]
    n_done = 0

    def make_shard(place: int) -> tuple[Batch, torch.Tensor | None]:
        return shards[place], noise(n_done, place)

    def step() -> None:
        nonlocal n_done
        core.loss_and_gradients(make_shard, N_TIME * N_TRIALS)
        adam.step(core.gradients, LEARNING_RATE)
        n_done += 1

    return step


def variants(n_shards: int) -> dict[str, Step]:
    """Return the steps that are compared, by name; the plain loop comes first."""
    shape = (N_TIME, N_TRIALS // n_shards, N_UNITS)
    size = math.prod(shape)
    fresh, pool = FreshNoise(0), NoisePool(0, size * n_shards)
    constant = [torch.randn(shape) for _ in range(n_shards)]

    def pooled(step: int, shard: int) -> torch.Tensor:
        return pool.shard(step, shard, n_shards, size).view(shape)

    of_pool = fast_step(n_shards, pooled)
    n_done = 0

    def step_of_pool() -> None:
        nonlocal n_done
        pool.prepare(n_done)
        of_pool()
        n_done += 1

    return {
        "plain loop, fresh noise": plain_step(),
        "fast core, fresh noise": fast_step(
            n_shards, lambda step, shard: fresh.shard(step, shard, n_shards, size).view(shape)
        ),
        "fast core, pooled noise": step_of_pool,
        "fast core, noise given": fast_step(n_shards, lambda _, shard: constant[shard]),
        "fast core, no noise": fast_step(n_shards, lambda _, __: None),
    }


def rate(work: Step, number: int) -> float:
    """Return the number of calls per second, after two calls that are not timed."""
    work()
    work()
    start = time.perf_counter()
    for _ in range(number):
        work()
    return number / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="steps of each variant in a round")
    parser.add_argument("--shards", type=int, default=2, help="shards, each in its own thread")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    steps = variants(options.shards)
    square = torch.rand(SQUARE, SQUARE)
    product = torch.empty_like(square)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    peaks = []
    for _ in range(options.rounds):
        peaks.append(rate(lambda: torch.mm(square, square, out=product), 8) * 2 * SQUARE**3)
        for name, step in steps.items():
            # the plain loop uses the threads of torch, the fast core has its own
            with nullcontext() if name.startswith("plain") else one_thread_each():
                rates[name].append(rate(step, options.steps))
    plain = next(iter(rates.values()))
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, {options.rounds} interleaved rounds")
    print(f"load before the run: {load:.1f} processes")
    print(f"float32 product of {SQUARE} x {SQUARE}: {median(peaks) / 1e9:.0f} GFLOP/s")
    print(f"{STEP_FLOP / 1e9:.2f} GFLOP a step")
    print(f"{'':26}{'steps/s':>8}{'ratio':>7}{'of peak':>9}")
    for name, by_round in rates.items():
        ratio = median(ours / theirs for ours, theirs in zip(by_round, plain, strict=True))
        share = median(r * STEP_FLOP / peak for r, peak in zip(by_round, peaks, strict=True))
        print(f"{name:26}{median(by_round):8.1f}{ratio:7.2f}{share:9.0%}")


if __name__ == "__main__":
    main()
