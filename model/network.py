"""The leaky recurrent network, plainly: one step is one line."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from nwbcompare.errors import InputError
from nwbcompare.model.config import NetworkConfig, Nonlinearity
from nwbcompare.tasks.channels import (
    INPUT_CHANNELS,
    OUTPUT_CHANNELS,
    angular_distance,
    read_direction,
    response_channels,
)

NONLINEARITIES: dict[Nonlinearity, Callable[[torch.Tensor], torch.Tensor]] = {
    "softplus": torch.nn.functional.softplus,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "retanh": lambda x: torch.tanh(torch.relu(x)),
}
RECURRENT_GAIN: dict[Nonlinearity, float] = {
    "softplus": 0.5,
    "relu": 0.5,
    "tanh": 1.0,
    "retanh": 0.5,
}
FIXATION_THRESHOLD = 0.5
TOLERANCE_RAD = 0.2 * np.pi


class Network(torch.nn.Module):
    """A leaky recurrent network (Yang et al. 2019, eq. 1).

    ``h_t = (1 - alpha) h_{t-1} + alpha f(h_{t-1} W_rec + x_t W_in + b + noise)`` with
    ``alpha = dt / tau`` and ``h_0 = 0``; outputs are ``sigmoid(h W_out + b_out)``.

    Parameters
    ----------
    config
        Its configuration.
    name
        What figures and tables call it.

    Attributes
    ----------
    input_weight, recurrent_weight, bias, output_weight, output_bias : torch.nn.Parameter
        ``(input_channel, unit)``, ``(unit, unit)`` from row to column, ``(unit,)``,
        ``(unit, output_channel)``, ``(output_channel,)``.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = Network(NetworkConfig(n_units=8))
    >>> rates, outputs = network(torch.zeros(5, 2, 85))
    >>> tuple(rates.shape), tuple(outputs.shape)
    ((5, 2, 8), (5, 2, 33))
    """

    def __init__(self, config: NetworkConfig, *, name: str = "network") -> None:
        super().__init__()
        self.config = config
        self.name = name
        generator = torch.Generator().manual_seed(config.seed)
        n_units, n_inputs, n_outputs = config.n_units, len(INPUT_CHANNELS), len(OUTPUT_CHANNELS)
        input_weight = torch.randn(n_inputs, n_units, generator=generator) / math.sqrt(n_inputs)
        limit = math.sqrt(6 / (n_units + n_outputs))
        output_weight = torch.empty(n_units, n_outputs).uniform_(-limit, limit, generator=generator)
        self.input_weight = torch.nn.Parameter(input_weight)
        self.recurrent_weight = torch.nn.Parameter(_recurrent_start(config, generator))
        self.bias = torch.nn.Parameter(torch.zeros(n_units))
        self.output_weight = torch.nn.Parameter(output_weight)
        self.output_bias = torch.nn.Parameter(torch.zeros(n_outputs))

    def forward(
        self,
        inputs: torch.Tensor,
        *,
        dt_ms: float | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run trials.

        Parameters
        ----------
        inputs
            ``(time, trial, input_channel)``.
        dt_ms
            Time step of the inputs (ms); by default the configuration's.
        generator
            Source of the recurrent noise; without one the network runs without noise.

        Returns
        -------
        rates, outputs : torch.Tensor
            ``(time, trial, unit)`` and ``(time, trial, output_channel)``.
        """
        alpha = (dt_ms or self.config.dt_ms) / self.config.tau_ms
        activate = NONLINEARITIES[self.config.nonlinearity]
        drive = inputs @ self.input_weight + self.bias
        if generator is not None:
            noise = torch.randn(drive.shape, generator=generator)
            drive = drive + self.config.sigma_rec * math.sqrt(2 / alpha) * noise
        rate = torch.zeros(inputs.shape[1], self.config.n_units)
        rates = []
        for step in drive:
            rate = torch.lerp(rate, activate(torch.addmm(step, rate, self.recurrent_weight)), alpha)
            rates.append(rate)
        stacked = torch.stack(rates)
        return stacked, torch.sigmoid(stacked @ self.output_weight + self.output_bias)

    @torch.no_grad()
    def performance(self, trials: xr.Dataset, *, seed: int | None = None) -> float:
        """Give the share of trials that end as they should.

        Parameters
        ----------
        trials
            From `nwbcompare.tasks.make_trials`.
        seed
            Seed of the recurrent noise; without one the network runs without.
        """
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        _, outputs = self(input_of(trials), dt_ms=trials.attrs["dt_ms"], generator=generator)
        return float(is_correct(outputs[-1].numpy(), trials["response_direction"].values).mean())


def _recurrent_start(config: NetworkConfig, generator: torch.Generator) -> torch.Tensor:
    gain, n_units = RECURRENT_GAIN[config.nonlinearity], config.n_units
    if config.recurrent_initialisation == "diag":
        return torch.eye(n_units) * gain
    orthogonal, upper = torch.linalg.qr(torch.randn(n_units, n_units, generator=generator))
    # the signs make the distribution uniform over all orthogonal matrices
    start: torch.Tensor = gain * orthogonal * torch.sign(torch.diagonal(upper))
    return start.contiguous()


def input_of(trials: xr.Dataset) -> torch.Tensor:
    """Give the trials' input as a tensor, refusing trials of other channels.

    Raises
    ------
    InputError
        Where the channels are not the network's.
    """
    channels = tuple(trials["input_channel"].values) if "input_channel" in trials.coords else ()
    if channels != INPUT_CHANNELS:
        raise InputError(
            "trials",
            f"the {len(INPUT_CHANNELS)} input channels fixation ... {INPUT_CHANNELS[-1]}",
            f"{len(channels)} channels",
            "Make trials with nwbcompare.tasks.make_trials.",
        )
    return torch.from_numpy(trials["input"].transpose("time", "trial", "input_channel").values)


def is_correct(
    last_output: np.ndarray, response_direction: np.ndarray
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which trials end as they should, from the output at the last step.

    Yang et al. 2019: a trial to be kept fixating is correct where the fixation output is above
    0.5; else it has to be at most 0.5 and the read-out within 36 degrees of the response.

    Parameters
    ----------
    last_output
        ``(trial, output_channel)``.
    response_direction
        ``(trial,)`` (rad); NaN: keep fixating.
    """
    fixating = last_output[:, OUTPUT_CHANNELS.index("fixation")] > FIXATION_THRESHOLD
    read = read_direction(last_output[:, response_channels()])
    near = angular_distance(read, np.nan_to_num(response_direction)) < TOLERANCE_RAD
    return np.where(np.isnan(response_direction), fixating, ~fixating & near)


def task_cost(outputs: torch.Tensor, target: torch.Tensor, cost_mask: torch.Tensor) -> torch.Tensor:
    """Give the published cost: the mean of the squared masked error.

    The mask is squared with the error, as in the reference implementation (the paper's formula
    weights the squared error by the mask itself).
    """
    cost: torch.Tensor = (((target - outputs) * cost_mask) ** 2).mean()
    return cost
