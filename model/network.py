"""The leaky recurrent network as a torch module, one line for each step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import NetworkConfig, Nonlinearity
from nwbcompare.model.initialisation import initial_weights, rule_mixing
from nwbcompare.tasks.channels import (
    N_SENSORY,
    OUTPUT_CHANNELS,
    angular_distance,
    input_channels,
    read_direction,
    response_channels,
)

NONLINEARITIES: dict[Nonlinearity, Callable[[torch.Tensor], torch.Tensor]] = {
    "softplus": torch.nn.functional.softplus,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "retanh": lambda x: torch.tanh(torch.relu(x)),
}
FIXATION_THRESHOLD, TOLERANCE_RAD = 0.5, 0.2 * np.pi
"""Bounds of a correct trial (Yang et al. 2019)."""


class Network(torch.nn.Module):
    """A leaky recurrent network (Yang et al. 2019).

    A leaky RNN follows ``h_t = (1 - alpha) h_{t-1} + alpha f(h_{t-1} W_rec + x_t W_in + b +
    noise)`` with ``alpha = dt / tau`` and ``h_0 = 0``. A leaky GRU has gates ``(r, u) =
    sigmoid(x_t G_in + h_{t-1} G_rec + g)``, a candidate ``c = f(x_t W_in + (r h_{t-1}) W_rec + b
    + noise)`` and follows ``h_t = (1 - alpha u) h_{t-1} + alpha u c``. Outputs are
    ``sigmoid(h W_out + b_out)``.

    `nwbcompare.model.backpropagation` computes the same, and its gradients, faster.

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
        ``(unit, output_channel)``, ``(output_channel,)``. Where rules have a map of their own,
        the input weights have the sensory channels only.
    rule_weight : torch.nn.Parameter
        ``(rule, unit)``, where rules have a map of their own.
    gate_input_weight, gate_recurrent_weight, gate_bias : torch.nn.Parameter
        A GRU's gates, reset before update: ``(input_channel, 2 unit)``, ``(unit, 2 unit)``,
        ``(2 unit,)``.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = Network(NetworkConfig(n_units=8))
    >>> rates, outputs = network(torch.zeros(5, 2, 85))
    >>> tuple(rates.shape), tuple(outputs.shape)
    ((5, 2, 8), (5, 2, 33))
    """

    bias: torch.Tensor
    gate_recurrent_weight: torch.Tensor
    gate_bias: torch.Tensor
    output_weight: torch.Tensor
    output_bias: torch.Tensor
    recurrent_weight: torch.Tensor

    def __init__(self, config: NetworkConfig, *, name: str = "network") -> None:
        super().__init__()
        self.config = config
        self.name = name
        self._intact: torch.Tensor | None = None
        # registered by name, since cells differ in their weights
        for weight, values in initial_weights(config).items():
            self.register_parameter(weight, torch.nn.Parameter(values))

    @property
    def device(self) -> str:
        """Device of the weights."""
        return str(self.bias.device)

    def __repr__(self) -> str:
        config = self.config
        n_rules = f"{len(config.rules)} rule{'s' if len(config.rules) > 1 else ''}"
        n_lesioned = config.n_units - len(self.intact_units)
        units = f"{config.n_units} units" + (f" ({n_lesioned} lesioned)" if n_lesioned else "")
        return (
            f"<Network {self.name!r}: {config.cell}, {units}, {config.nonlinearity}, {n_rules}, "
            f"dt {config.dt_ms:g} ms>"
        )

    def forward(
        self,
        inputs: torch.Tensor,
        *,
        dt_ms: float | None = None,
        generator: torch.Generator | None = None,
        noise: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run trials through the network.

        Parameters
        ----------
        inputs
            ``(time, trial, input_channel)``.
        dt_ms
            Time step of the inputs (ms); by default that of the configuration.
        generator
            Source of the recurrent noise; with neither ``generator`` nor ``noise`` there is none.
        noise
            Normal numbers for the recurrent noise ``(time, trial, unit)``.

        Returns
        -------
        rates, outputs : torch.Tensor
            ``(time, trial, unit)`` and ``(time, trial, output_channel)``.

        Examples
        --------
        >>> rates, outputs = Network(NetworkConfig(n_units=4))(torch.zeros(10, 2, 85))
        >>> rates.shape, outputs.shape
        (torch.Size([10, 2, 4]), torch.Size([10, 2, 33]))
        """
        alpha = (dt_ms or self.config.dt_ms) / self.config.tau_ms
        if generator is not None:
            size = (*inputs.shape[:2], self.config.n_units)
            noise = torch.randn(size, generator=generator, device=self.bias.device)
        drive = self.drive(inputs, dt_ms=dt_ms, noise=noise)
        advance = self._gru_steps if self.config.cell == "leaky_gru" else self._rnn_steps
        rates = torch.stack(list(advance(inputs, drive, alpha)))
        return rates, torch.sigmoid(self._sent(rates) @ self.output_weight + self.output_bias)

    def drive(
        self, inputs: torch.Tensor, *, dt_ms: float | None = None, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum of input, bias and noise of each unit ``(time, trial, unit)``.

        See `forward` for the parameters.
        """
        drive = inputs @ self._whole("input_weight", "rule_weight") + self.bias
        if noise is not None:
            alpha = (dt_ms or self.config.dt_ms) / self.config.tau_ms
            # as published, by which the effect of noise does not depend on the time step
            drive = drive + self.config.sigma_rec * math.sqrt(2 / alpha) * noise
        return drive

    @property
    def intact_units(self) -> npt.NDArray[np.int64]:
        """Indices of the units without a lesion ``(unit,)``."""
        if self._intact is None:
            return np.arange(self.config.n_units)
        return np.flatnonzero(self._intact.cpu().numpy())

    def lesioned(self, units: Sequence[int] | npt.NDArray[np.integer]) -> Network:
        """Return a view of the network in which some units have no effect on others.

        As published, their outgoing recurrent and output weights count as 0; their own rates go
        on. The view shares its weights with the network, none is changed or copied.

        Parameters
        ----------
        units
            Indices of the units.

        Raises
        ------
        InputError
            For indices outside the network.

        Examples
        --------
        >>> network = Network(NetworkConfig(n_units=8))
        >>> view = network.lesioned([0, 3])
        >>> view.recurrent_weight is network.recurrent_weight
        True
        """
        places = np.asarray(units, dtype=int)
        n_units = self.config.n_units
        # negative indices would count from the end
        if places.size and not (places.min() >= 0 and places.max() < n_units):
            raise InputError(
                "units",
                f"places from 0 to {n_units - 1}",
                f"{places.min()} to {places.max()}",
                "Count units from 0.",
            )
        view = copy.copy(self)
        # a view of a view has both lesions
        intact = torch.ones(n_units) if self._intact is None else self._intact.clone()
        intact[torch.from_numpy(places)] = 0
        view._intact = intact.to(self.device)
        return view

    def _sent(self, rates: torch.Tensor) -> torch.Tensor:
        """Return the rates as other units and outputs receive them."""
        return rates if self._intact is None else rates * self._intact

    def _whole(self, *names: str) -> torch.Tensor:
        """Return input matrices as one ``(input_channel, unit)``, with rules mixed."""
        weights = dict(self.named_parameters())
        weight = torch.cat([weights[name] for name in names if name in weights])
        mixing = rule_mixing(self.config, self.device)
        if mixing is None:
            return weight
        # mixed weights equal mixed inputs: (x M) W = x (M W)
        return torch.cat([weight[:N_SENSORY], mixing @ weight[N_SENSORY:]])

    def _rnn_steps(
        self, _inputs: torch.Tensor, drive: torch.Tensor, alpha: float
    ) -> Iterator[torch.Tensor]:
        activate = NONLINEARITIES[self.config.nonlinearity]
        rate = torch.zeros_like(drive[0])
        for step in drive:
            sum_of_all = torch.addmm(step, self._sent(rate), self.recurrent_weight)
            rate = torch.lerp(rate, activate(sum_of_all), alpha)
            yield rate

    def _gru_steps(
        self, inputs: torch.Tensor, drive: torch.Tensor, alpha: float
    ) -> Iterator[torch.Tensor]:
        activate = NONLINEARITIES[self.config.nonlinearity]
        rate = torch.zeros_like(drive[0])
        gate_drive = inputs @ self._whole("gate_input_weight") + self.gate_bias
        for step, gate_step in zip(drive, gate_drive, strict=True):
            gates = torch.sigmoid(gate_step + self._sent(rate) @ self.gate_recurrent_weight)
            reset, update = gates.chunk(2, dim=-1)
            candidate = activate(step + (reset * self._sent(rate)) @ self.recurrent_weight)
            rate = rate + alpha * update * (candidate - rate)
            yield rate

    @torch.no_grad()
    def performance(self, trials: xr.Dataset, *, seed: int | None = None) -> float:
        """Return the share of correct trials (see `is_correct`).

        Parameters
        ----------
        trials
            From `nwbcompare.tasks.make_trials`.
        seed
            Seed of the recurrent noise; None for no noise.

        Raises
        ------
        InputError
            For trials of other input channels than those of the network.
        """
        generator = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        inputs = input_of(trials, self.config).to(self.device)
        _, outputs = self(inputs, dt_ms=trials.attrs["dt_ms"], generator=generator)
        last = at_last_step(outputs.cpu().numpy(), trials)
        return float(is_correct(last, trials["response_direction"].values).mean())


def input_of(trials: xr.Dataset, config: NetworkConfig) -> torch.Tensor:
    """Return the input of trials as a tensor ``(time, trial, input_channel)``.

    Raises
    ------
    InputError
        For trials of other input channels than those of the network.
    """
    channels = tuple(trials["input_channel"].values) if "input_channel" in trials.coords else ()
    expected = input_channels(config.rules)
    if channels != expected:
        raise InputError(
            "trials",
            f"the {len(expected)} input channels fixation ... {expected[-1]}",
            f"{len(channels)} channels" + (f" ... {channels[-1]}" if channels else ""),
            "Make trials with nwbcompare.tasks.make_trials(..., rules=network.config.rules).",
        )
    return torch.from_numpy(trials["input"].transpose("time", "trial", "input_channel").values)


def at_last_step(values: np.ndarray, trials: xr.Dataset) -> np.ndarray:
    """Return ``(time, trial, channel)`` at the last step of each trial, ``(trial, channel)``.

    Examples
    --------
    >>> from nwbcompare.tasks import make_trials
    >>> trials = make_trials("fdgo")
    >>> at_last_step(trials["target"].values, trials).shape
    (40, 33)
    """
    ends = trials["trial_stop_time"].values / trials["time"].attrs["bin_width_s"]
    # whole numbers of steps, up to rounding
    last: np.ndarray = values[np.round(ends).astype(int) - 1, np.arange(ends.size)]
    return last


def is_correct(
    last_output: np.ndarray, response_direction: np.ndarray
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which trials are correct, from the output at their last step.

    A trial without a response is correct if the fixation output is above 0.5. Any other trial is
    correct if the fixation output is at most 0.5 and the direction read from the response ring
    is less than 36 degrees from the target (Yang et al. 2019).

    Parameters
    ----------
    last_output
        ``(trial, output_channel)``.
    response_direction
        Direction of the target ``(trial,)`` (rad); NaN for trials without a response.

    Returns
    -------
    numpy.ndarray
        ``(trial,)`` of bool.

    Examples
    --------
    >>> is_correct(np.zeros((2, 33)), np.array([np.nan, 0.0])).tolist()
    [False, True]
    """
    fixating = last_output[:, OUTPUT_CHANNELS.index("fixation")] > FIXATION_THRESHOLD
    direction = read_direction(last_output[:, response_channels()])
    near = angular_distance(direction, np.nan_to_num(response_direction)) < TOLERANCE_RAD
    return np.where(np.isnan(response_direction), fixating, ~fixating & near)
