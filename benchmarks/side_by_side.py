"""Networks side by side in one batch: what a training step costs each of them, on one core.

Run: ``python benchmarks/side_by_side.py``. The networks of a comparison can be trained each in a
process (``nwbcompare continual --jobs``) or many in one batch of matrices. A step is forward and
backward of relu units on 64 trials of 100 steps for each network, without noise, in the two ways,
interleaved in one process on one thread; the batch is written as the core is (one product for all
inputs, three operations a step, one product for each gradient), and its losses and gradients are
checked against the core's. All trials are of one length, which is the best case for a batch: tasks
of different lengths would have to be padded. Prints the median over rounds of the time a network
and step, and of the ratio.
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
    """Make trials of one length, of random numbers."""
    random = torch.Generator().manual_seed(seed)
    return Batch(
        input=torch.rand(N_TIME, N_TRIALS, N_INPUTS, generator=random),
        target=torch.rand(N_TIME, N_TRIALS, N_OUTPUTS, generator=random),
        loss_mask=torch.ones(N_TIME, N_TRIALS, N_OUTPUTS),
        lengths=torch.full((N_TRIALS,), N_TIME),
        dt_ms=20,
    )


def networks_of(n_units: int, number: int) -> list[Network]:
    """Make relu networks."""
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
    """A step of many networks as products of stacked matrices ``(network, row, column)``."""

    def __init__(self, networks: list[Network], batches: list[Batch]) -> None:
        states = [dict(network.named_parameters()) for network in networks]
        weights = {name: torch.stack([own[name].detach() for own in states]) for name in states[0]}
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
        # steps before networks, so that a step of all of them lies together
        self.rates = torch.zeros(N_TIME + 1, number, N_TRIALS, n_units)
        self.drive = torch.empty(N_TIME, number, N_TRIALS, n_units)

    def _by_network(self, values: torch.Tensor) -> torch.Tensor:
        return values.transpose(0, 1).reshape(values.shape[1], -1, self.n_units)

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the loss ``(network,)`` and the recurrent weights' gradient, like the others'."""
        shown = torch.baddbmm(self.bias, self.inputs, self.input_weight)
        number = shown.shape[0]
        self.drive.copy_(shown.view(number, N_TIME, N_TRIALS, -1).transpose(0, 1))
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
    """Give a step of each network by the core, on one thread."""
    cores = [FastCore(network, n_shards=1) for network in networks]

    def step() -> list[float]:
        return [
            float(core.loss_and_gradients(lambda _, own=own: (own, None), N_TIME * N_TRIALS)[0])
            for core, own in zip(cores, batches, strict=True)
        ]

    return step


def seconds(work: Callable[[], object]) -> float:
    """Give the time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def check(networks: list[Network], batches: list[Batch]) -> None:
    """Refuse to time two ways that do not do the same."""
    losses = torch.tensor(one_after_another(networks, batches)())
    together, gradient = InOneBatch(networks, batches).step()
    torch.testing.assert_close(together, losses, rtol=1e-4, atol=1e-6)
    core = FastCore(networks[-1], n_shards=1)
    core.loss_and_gradients(lambda _: (batches[-1], None), N_TIME * N_TRIALS)
    own = core.gradient_by_weight["recurrent_weight"]
    torch.testing.assert_close(gradient[-1], own, rtol=1e-2, atol=1e-4 * float(own.abs().max()))


def main() -> None:
    """Run the benchmark and print its figures."""
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
