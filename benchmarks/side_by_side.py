"""Time of a training step for networks one by one and for several networks in one batch.

Run: ``python benchmarks/side_by_side.py``. The networks of a comparison can be trained in separate
processes (``nwbcompare continual --jobs``) or together as stacked matrices. A step is the forward
and backward pass of relu units on 64 trials of 100 steps for each network, without noise. Both ways
are interleaved in one process on one thread. The batch has the operations of the training core (one
product for all inputs, three operations a step, one product for each gradient), and its losses and
gradients are checked against those of the core. All trials have one length, which is the best case
for a batch, since trials of different lengths would be padded. Prints the median over rounds of the
time for each network and step, and of the ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from nwbcompare.model import Network, NetworkConfig
from nwbcompare.model.batch import Batch
from nwbcompare.model.shards import FastCore
from nwbcompare.model.threads import one_thread_each

N_TIME, N_TRIALS, N_INPUTS, N_OUTPUTS, ALPHA = 100, 64, 85, 33, 0.2
SIZES, NUMBERS = (32, 64, 128, 256), (1, 2, 4, 8)


def make_batch(seed: int) -> Batch:
    """Return trials of one length with random inputs and targets."""
    random = torch.Generator().manual_seed(seed)
    return Batch(
        input=torch.rand(N_TIME, N_TRIALS, N_INPUTS, generator=random),
        target=torch.rand(N_TIME, N_TRIALS, N_OUTPUTS, generator=random),
        loss_mask=torch.ones(N_TIME, N_TRIALS, N_OUTPUTS),
        lengths=torch.full((N_TRIALS,), N_TIME),
        dt_ms=20,
    )


def networks_of(n_units: int, number: int) -> list[Network]:
    """Return relu networks with seeds from 0."""
    return [
        Network(
            NetworkConfig(
                n_units=n_units,
                nonlinearity="relu",
                recurrent_initialisation="randortho",
                seed=seed,
            )
        )
        for seed in range(number)
    ]


class InOneBatch:
    """Training step of several networks by products of stacked matrices (network, row, column)."""

    def __init__(self, networks: list[Network], batches: list[Batch]) -> None:
        states = [dict(network.named_parameters()) for network in networks]
        weights = {
            name: torch.stack([state[name].detach() for state in states]) for name in states[0]
        }
        whole = [weights[name] for name in ("input_weight", "rule_weight") if name in weights]
        self.input_weight, self.weight = torch.cat(whole, dim=1), weights["recurrent_weight"]
        self.bias = weights["bias"][:, None]
        self.output_weight = weights["output_weight"]
        self.output_bias = weights["output_bias"][:, None]
        self.back = self.weight.transpose(1, 2).contiguous()
        number, n_units = self.bias.shape[0], self.bias.shape[2]
        self.n_units = n_units
        self.inputs = torch.stack([one.input.reshape(-1, N_INPUTS) for one in batches])
        self.target = torch.stack([one.target.reshape(-1, N_OUTPUTS) for one in batches])
        # time is the first dimension, so that a step of all networks is contiguous
        self.rates = torch.zeros(N_TIME + 1, number, N_TRIALS, n_units)
        self.drive = torch.empty(N_TIME, number, N_TRIALS, n_units)

    def _by_network(self, values: torch.Tensor) -> torch.Tensor:
        return values.transpose(0, 1).reshape(values.shape[1], -1, self.n_units)

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss ``(network,)`` and the gradient of the recurrent weights.

        The gradients of the other weights are computed, so that they are timed, and discarded.
        """
        input_drive = torch.baddbmm(self.bias, self.inputs, self.input_weight)
        number = input_drive.shape[0]
        self.drive.copy_(input_drive.view(number, N_TIME, N_TRIALS, -1).transpose(0, 1))
        steps = self.drive.unbind(0)
        for step, before, after in zip(steps, self.rates[:-1], self.rates[1:], strict=True):
            torch.baddbmm(step, before, self.weight, out=step)
            torch.mul(before, 1 - ALPHA, out=after)
            after.add_(step.relu_(), alpha=ALPHA)
        flat = self._by_network(self.rates[1:])
        outputs = torch.baddbmm(self.output_bias, flat, self.output_weight).sigmoid_()
        error = outputs - self.target
        loss = error.square().mean(dim=(1, 2))
        by_output = error.mul_(outputs.addcmul_(outputs, outputs, value=-1))
        by_output.mul_(2 / (N_TIME * N_TRIALS * N_OUTPUTS))
        slope = torch.bmm(by_output, self.output_weight.transpose(1, 2))
        slopes = slope.view(number, N_TIME, N_TRIALS, -1).transpose(0, 1).contiguous().unbind(0)
        torch.bmm(flat.transpose(1, 2), by_output)
        self.drive.sign_().mul_(ALPHA)
        for place in range(N_TIME - 1, 0, -1):
            torch.mul(slopes[place], steps[place], out=steps[place])
            earlier = slopes[place - 1]
            earlier.add_(slopes[place], alpha=1 - ALPHA)
            torch.baddbmm(earlier, steps[place], self.back, out=earlier)
        torch.mul(slopes[0], steps[0], out=steps[0])
        by_drive = self._by_network(self.drive)
        torch.bmm(self.inputs.transpose(1, 2), by_drive)
        before = self._by_network(self.rates[:-1])
        return loss, torch.bmm(before.transpose(1, 2), by_drive)


def one_after_another(networks: list[Network], batches: list[Batch]) -> Callable[[], list[float]]:
    """Return a function that computes a step of each network by the training core."""
    cores = [FastCore(network, n_shards=1) for network in networks]

    def step() -> list[float]:
        return [
            float(
                core.loss_and_gradients(lambda _, batch=batch: (batch, None), N_TIME * N_TRIALS)[0]
            )
            for core, batch in zip(cores, batches, strict=True)
        ]

    return step


def seconds(work: Callable[[], object]) -> float:
    """Return the time of a call (s)."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def check(networks: list[Network], batches: list[Batch]) -> None:
    """Check that both ways give the same losses and gradients."""
    losses = torch.tensor(one_after_another(networks, batches)())
    together, gradient = InOneBatch(networks, batches).step()
    torch.testing.assert_close(together, losses, rtol=1e-4, atol=1e-6)
    core = FastCore(networks[-1], n_shards=1)
    core.loss_and_gradients(lambda _: (batches[-1], None), N_TIME * N_TRIALS)
    expected = core.gradient_by_weight["recurrent_weight"]
    tolerance = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(gradient[-1], expected, rtol=1e-2, atol=tolerance)


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(
        f"{'units':>6}{'networks':>10}{'one by one (ms)':>17}{'in one batch (ms)':>19}{'gain':>7}"
    )
    with one_thread_each():
        for n_units in SIZES:
            for number in NUMBERS:
                networks = networks_of(n_units, number)
                batches = [make_batch(seed) for seed in range(number)]
                check(networks, batches)
                alone = one_after_another(networks, batches)
                together = InOneBatch(networks, batches)
                alone()
                together.step()
                pairs = [(seconds(alone), seconds(together.step)) for _ in range(options.rounds)]
                one, all_ = (median(side) * 1e3 / number for side in zip(*pairs, strict=True))
                gain = median(a / b for a, b in pairs)
                print(f"{n_units:6}{number:10}{one:17.1f}{all_:19.1f}{gain:7.2f}", flush=True)


if __name__ == "__main__":
    main()
