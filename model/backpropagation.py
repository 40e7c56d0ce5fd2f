"""Loss and gradients by backpropagation through time, with explicit formulas.

Equal to automatic differentiation of `nwbcompare.model.network` and several times faster: the
input of all steps is one matrix product, every step is three operations on reused memory, and the
gradient of each weight is one product over all steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from nwbcompare.model.activation import ACTIVATIONS, SAFE_SOFTPLUS, Activation
from nwbcompare.model.batch import Batch
from nwbcompare.model.config import NetworkConfig, Regularisation
from nwbcompare.model.initialisation import mixed_rules, rule_mixing

Weights = Mapping[str, torch.Tensor]


class ShardLoss(NamedTuple):
    """Contribution of a shard to the loss, and its gradients.

    Attributes
    ----------
    task, rates
        Task loss and loss on rates ``()``; tensors, since reading a number makes a GPU wait.
    gradients
        Gradient by the name of the weight.
    """

    task: torch.Tensor
    rates: torch.Tensor
    gradients: dict[str, torch.Tensor]


@dataclass
class _Workspace:
    """Memory that is reused by one pass after another, by name."""

    device: str = "cpu"
    _blocks: dict[str, torch.Tensor] = field(default_factory=dict)

    def get(self, name: str, *shape: int) -> torch.Tensor:
        """Return an array of a shape, with arbitrary values."""
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.numel() < size:
            block = self._blocks[name] = torch.empty(size, device=self.device)
        return block[:size].view(shape)


class Backpropagation:
    """Forward and backward passes for one shard after another, on their own memory.

    Parameters
    ----------
    config
        Configuration of the network.
    regularisation
        Factors of the losses on rates; losses on weights are no part of a shard.
    device
        Device of the weights.

    Examples
    --------
    >>> from nwbcompare.model.network import Network
    >>> config = NetworkConfig(n_units=4)
    >>> batch = Batch(input=torch.rand(5, 2, 85), target=torch.rand(5, 2, 33),
    ...               loss_mask=torch.ones(5, 2, 33), lengths=torch.tensor([5, 5]), dt_ms=20)
    >>> loss = Backpropagation(config, Regularisation())(
    ...     dict(Network(config).named_parameters()), batch, None, 10)
    >>> loss.gradients["recurrent_weight"].shape
    torch.Size([4, 4])
    """

    def __init__(
        self, config: NetworkConfig, regularisation: Regularisation, device: str = "cpu"
    ) -> None:
        self._config, self._regularisation = config, regularisation
        self._space = _Workspace(device)
        # fixed by the configuration, so it is drawn once and not at every pass
        self._mixing = rule_mixing(config, device)
        self._activation: Activation = ACTIVATIONS[config.nonlinearity]

    @torch.no_grad()
    def __call__(
        self, weights: Weights, batch: Batch, noise: torch.Tensor | None, n_counted: int
    ) -> ShardLoss:
        """Return loss and gradients of a shard.

        Parameters
        ----------
        weights
            Weights of the network by name.
        batch
            The shard.
        noise
            Normal numbers for the recurrent noise ``(time, trial, unit)``; not changed.
        n_counted
            Number of steps of all trials of all shards, over which the loss is a mean.
        """
        result = self._pass(weights, batch, noise, n_counted)
        # infinite rates stay infinite, so it is enough to look at the last step
        if self._activation.overflows and not math.isfinite(float(self._last_rates.sum())):
            fast, self._activation = self._activation, SAFE_SOFTPLUS
            result = self._pass(weights, batch, noise, n_counted)
            self._activation = fast
        return result

    def _pass(
        self, weights: Weights, batch: Batch, noise: torch.Tensor | None, n_counted: int
    ) -> ShardLoss:
        alpha = batch.dt_ms / self._config.tau_ms
        n_steps, n_trials, n_inputs = batch.input.shape
        inputs = mixed_rules(batch.input.reshape(n_steps * n_trials, n_inputs), self._mixing)
        drive = self._drive(weights, inputs, noise, alpha).view(n_steps, n_trials, -1)
        cell = (_Gru if self._config.cell == "leaky_gru" else _Rnn)(
            self._space, self._activation, weights, alpha
        )
        # one more step than the input: the first row is the state before the first step
        rates = self._space.get("rates", n_steps + 1, n_trials, self._config.n_units)
        rates[0] = 0
        cell.forward(drive, rates, inputs)
        self._last_rates = rates[-1]
        task, gradients, slope = self._read_out(weights, batch, rates[1:], n_counted)
        rate_loss = self._add_rate_slope(batch, rates[1:], slope, n_counted)
        gradients |= cell.backward(drive, rates, slope)
        gradients |= self._input_gradients(weights, inputs, drive, gradients)
        return ShardLoss(task, rate_loss, gradients)

    def _drive(
        self, weights: Weights, inputs: torch.Tensor, noise: torch.Tensor | None, alpha: float
    ) -> torch.Tensor:
        """Return bias, input and noise of all steps, with the sign that the activation expects."""
        sign, n_units = self._activation.sign, self._config.n_units
        drive = self._space.get("drive", inputs.shape[0], n_units)
        input_weight = _stacked(weights, "input_weight", "rule_weight")
        if noise is None:
            torch.addmm(weights["bias"], inputs, input_weight, beta=sign, alpha=sign, out=drive)
            return drive
        scale = self._config.sigma_rec * math.sqrt(2 / alpha)
        # either sign of the noise is normal; this one agrees with the reference implementation
        torch.addmm(
            noise.view(-1, n_units), inputs, input_weight, beta=sign * scale, alpha=sign, out=drive
        )
        return drive.add_(weights["bias"], alpha=sign)

    def _read_out(
        self, weights: Weights, batch: Batch, rates: torch.Tensor, n_counted: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Return the task loss, the gradients of the read-out, and the gradient by the rates."""
        n_steps, n_trials, n_units = rates.shape
        flat = rates.reshape(-1, n_units)
        n_outputs = weights["output_bias"].numel()
        outputs = self._space.get("outputs", flat.shape[0], n_outputs)
        torch.addmm(weights["output_bias"], flat, weights["output_weight"], out=outputs)
        outputs.sigmoid_()
        mask = batch.loss_mask.reshape(-1, n_outputs)
        error = self._space.get("error", *outputs.shape)
        torch.sub(outputs, batch.target.reshape(-1, n_outputs), out=error).mul_(mask)
        # float64, in which the losses of shards are added up
        task = error.square().sum().double() / (n_counted * n_outputs)
        # outputs * (1 - outputs) is the derivative of the logistic function
        # from here on the memory of error and outputs is reused for the gradient
        by_output = error.mul_(mask).mul_(outputs.addcmul_(outputs, outputs, value=-1))
        by_output.mul_(2 / (n_counted * n_outputs))
        slope = self._space.get("slope", flat.shape[0], n_units)
        torch.mm(by_output, weights["output_weight"].t(), out=slope)
        gradients = {"output_weight": flat.t() @ by_output, "output_bias": by_output.sum(0)}
        return task, gradients, slope.view(n_steps, n_trials, n_units)

    def _add_rate_slope(
        self, batch: Batch, rates: torch.Tensor, slope: torch.Tensor, n_counted: int
    ) -> torch.Tensor:
        """Add the gradient of the losses on rates; return these losses."""
        by_mean, by_square = self._regularisation.l1_rate, self._regularisation.l2_rate
        # published networks have neither, and the product with `inside` takes time
        if not (by_mean or by_square):
            return torch.zeros((), device=rates.device)
        rates_inside = rates * batch.inside
        by_one = by_mean / (n_counted * rates.shape[2])
        slope.add_(rates_inside.sign().mul_(by_one)).add_(rates_inside, alpha=by_square)
        return rates_inside.abs().sum().double() * by_one + rates_inside.square().sum() * (
            by_square / 2
        )

    @staticmethod
    def _input_gradients(
        weights: Weights,
        inputs: torch.Tensor,
        by_drive: torch.Tensor,
        gradients: dict[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Return the gradients of bias and input weights from the gradient by the drive."""
        flat = by_drive.reshape(inputs.shape[0], -1)
        whole = inputs.t() @ flat
        n_sensory = weights["input_weight"].shape[0]
        by_input = {"bias": flat.sum(0), "input_weight": whole[:n_sensory]}
        if "rule_weight" in weights:
            by_input["rule_weight"] = whole[n_sensory:]
        if "by_gate" in gradients:
            by_gate = gradients.pop("by_gate")
            by_input |= {"gate_bias": by_gate.sum(0), "gate_input_weight": inputs.t() @ by_gate}
        return by_input


@dataclass
class _Cell:
    """Steps of a cell; ``backward`` leaves the gradient by the drive in the drive."""

    _space: _Workspace
    _activation: Activation
    _weights: Weights
    _alpha: float


class _Rnn(_Cell):
    """Steps of the leaky RNN."""

    def forward(self, drive: torch.Tensor, rates: torch.Tensor, _inputs: torch.Tensor) -> None:
        scratch = self._space.get("scratch", *drive.shape[1:])
        weight = self._weights["recurrent_weight"]
        value, sign = self._activation.value, self._activation.sign
        before = rates[0]
        for step, after in zip(drive.unbind(0), rates[1:].unbind(0), strict=True):
            torch.addmm(step, before, weight, alpha=sign, out=step)
            torch.mul(before, 1 - self._alpha, out=after)
            after.add_(value(step, scratch), alpha=sign * self._alpha)
            before = after

    def backward(
        self, drive: torch.Tensor, rates: torch.Tensor, slope: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        # the transposed matrix is read at every step: contiguous memory makes that faster
        keep, back = 1 - self._alpha, self._weights["recurrent_weight"].t().contiguous()
        # derivatives of all steps at once, times alpha
        self._activation.to_slope(drive).mul_(self._alpha)
        steps, slopes = drive.unbind(0), slope.unbind(0)
        for place in range(len(steps) - 1, 0, -1):
            torch.mul(slopes[place], steps[place], out=steps[place])
            earlier = slopes[place - 1]
            earlier.add_(slopes[place], alpha=keep)
            torch.addmm(earlier, steps[place], back, out=earlier)
        # no step comes before the first one
        torch.mul(slopes[0], steps[0], out=steps[0])
        return {"recurrent_weight": _product(rates[:-1], drive)}


class _Gru(_Cell):
    """Steps of the leaky GRU."""

    def forward(self, drive: torch.Tensor, rates: torch.Tensor, inputs: torch.Tensor) -> None:
        weights, space, n_units = self._weights, self._space, drive.shape[2]
        sign = self._activation.sign
        gates = space.get("gates", *drive.shape[:2], 2 * n_units)
        torch.addmm(
            weights["gate_bias"],
            inputs,
            weights["gate_input_weight"],
            out=gates.view(-1, 2 * n_units),
        )
        reset_rates = space.get("reset_rates", *drive.shape)
        change = space.get("change", *drive.shape)
        for place, step in enumerate(drive.unbind(0)):
            before, gate = rates[place], gates[place]
            torch.addmm(gate, before, weights["gate_recurrent_weight"], out=gate).sigmoid_()
            torch.mul(gate[:, :n_units], before, out=reset_rates[place])
            torch.addmm(step, reset_rates[place], weights["recurrent_weight"], alpha=sign, out=step)
            candidate = self._activation.value(step, change[place])
            torch.sub(candidate, before, alpha=sign, out=change[place]).mul_(sign)
            torch.mul(gate[:, n_units:], change[place], out=rates[place + 1])
            torch.add(before, rates[place + 1], alpha=self._alpha, out=rates[place + 1])

    def backward(
        self, drive: torch.Tensor, rates: torch.Tensor, slope: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        n_units, alpha, space = drive.shape[2], self._alpha, self._space
        gates = space.get("gates", *drive.shape[:2], 2 * n_units)
        reset_rates, change = (space.get(name, *drive.shape) for name in ("reset_rates", "change"))
        # derivative of the logistic function; gates are overwritten with their gradient below
        gate_slopes = torch.addcmul(gates, gates, gates, value=-1)
        self._activation.to_slope(drive)
        gate_back = self._weights["gate_recurrent_weight"].t().contiguous()
        back = self._weights["recurrent_weight"].t().contiguous()
        for place in range(drive.shape[0] - 1, -1, -1):
            reset, update = gates[place, :, :n_units], gates[place, :, n_units:]
            after, by_gate = slope[place], gates[place]
            drive[place].mul_(after).mul_(update).mul_(alpha)
            by_reset_rate = drive[place] @ back
            earlier = after * (1 - alpha * update) + by_reset_rate * reset
            by_gate[:, n_units:] = alpha * after * change[place]
            by_gate[:, :n_units] = by_reset_rate * rates[place]
            by_gate.mul_(gate_slopes[place])
            if place:
                slope[place - 1].add_(earlier).addmm_(by_gate, gate_back)
        return {
            "recurrent_weight": _product(reset_rates, drive),
            "gate_recurrent_weight": _product(rates[:-1], gates),
            "by_gate": gates.view(-1, 2 * n_units),
        }


def _product(before: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Return the sum of outer products over all steps and trials."""
    return before.reshape(-1, before.shape[2]).t() @ slope.reshape(-1, slope.shape[2])


def _stacked(weights: Weights, *names: str) -> torch.Tensor:
    parts = [weights[name] for name in names if name in weights]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
