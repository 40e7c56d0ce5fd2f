"""Initial weights of networks."""

from __future__ import annotations

import math

import numpy as np
import torch

from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.model.config import NetworkConfig, Nonlinearity
from nwbcompare.model.threads import one_thread_each
from nwbcompare.tasks.channels import N_SENSORY, OUTPUT_CHANNELS

RECURRENT_GAIN: dict[Nonlinearity, float] = {
    "softplus": 0.5,
    "relu": 0.5,
    "tanh": 1.0,
    "retanh": 0.5,
}


def initial_weights(config: NetworkConfig) -> dict[str, torch.Tensor]:
    """Draw the initial weights of a network.

    As in the reference implementation of Yang et al. 2019. A leaky RNN has normal input weights
    and scaled identity or orthogonal recurrent weights. Kernels of a GRU, and both matrices of a
    separate rule input, are Glorot uniform; gate biases are 1.

    Returns
    -------
    dict
        Weights by name; matrices are ``(from, to)``.

    Examples
    --------
    >>> weights = initial_weights(NetworkConfig(n_units=4))
    >>> {name: tuple(weight.shape) for name, weight in weights.items()}["input_weight"]
    (85, 4)
    """
    generator = torch.Generator().manual_seed(config.seed)
    n_inputs, n_units, n_outputs = config.n_inputs, config.n_units, len(OUTPUT_CHANNELS)
    if config.cell == "leaky_gru":
        weights = _gru_weights(config, generator)
    elif config.separate_rule_input:
        weights = {
            "input_weight": _glorot(N_SENSORY, n_units, generator),
            "rule_weight": _glorot(len(config.rules), n_units, generator),
            "recurrent_weight": _recurrent_start(config, generator),
        }
    else:
        normal = torch.randn(n_inputs, n_units, generator=generator)
        output = _glorot(n_units, n_outputs, generator)
        return {
            "input_weight": normal / math.sqrt(n_inputs),
            "recurrent_weight": _recurrent_start(config, generator),
            "bias": torch.zeros(n_units),
            "output_weight": output,
            "output_bias": torch.zeros(n_outputs),
        }
    return weights | {
        "bias": torch.zeros(n_units),
        "output_weight": _glorot(n_units, n_outputs, generator),
        "output_bias": torch.zeros(n_outputs),
    }


def weight_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's weights by name, without making them.

    Examples
    --------
    >>> weight_shapes(NetworkConfig(n_units=30_000))["recurrent_weight"]
    (30000, 30000)
    """
    n_inputs, n_units, n_outputs = config.n_inputs, config.n_units, len(OUTPUT_CHANNELS)
    shapes: dict[str, tuple[int, ...]] = {
        "input_weight": (n_inputs, n_units),
        "recurrent_weight": (n_units, n_units),
        "bias": (n_units,),
        "output_weight": (n_units, n_outputs),
        "output_bias": (n_outputs,),
    }
    if config.cell == "leaky_gru":
        shapes |= {
            "gate_input_weight": (n_inputs, 2 * n_units),
            "gate_recurrent_weight": (n_units, 2 * n_units),
            "gate_bias": (2 * n_units,),
        }
    elif config.separate_rule_input:
        n_rules = len(config.rules)
        shapes |= {"input_weight": (N_SENSORY, n_units), "rule_weight": (n_rules, n_units)}
    return shapes


def rule_mixing(config: NetworkConfig, device: str = "cpu") -> torch.Tensor | None:
    """Draw the orthogonal matrix ``(rule, rule)`` that mixes the rule channels of a network.

    A row is the input that the network receives from one rule channel; None for no mixing.

    Examples
    --------
    >>> mixing = rule_mixing(NetworkConfig(rule_mixing_seed=0))
    >>> torch.allclose(mixing @ mixing.T, torch.eye(20), atol=1e-6)
    True
    """
    if config.rule_mixing_seed is None:
        return None
    rng = np.random.default_rng(config.rule_mixing_seed)
    mixing = random_rotation(len(config.rules), rng)
    return torch.as_tensor(mixing, dtype=torch.get_default_dtype(), device=device)


def mixed_rules(inputs: torch.Tensor, mixing: torch.Tensor | None) -> torch.Tensor:
    """Return inputs ``(..., input_channel)`` with rules mixed by the matrix of `rule_mixing`."""
    if mixing is None:
        return inputs
    rules = inputs[..., N_SENSORY:] @ mixing
    return torch.cat([inputs[..., :N_SENSORY], rules], dim=-1)


def _gru_weights(config: NetworkConfig, generator: torch.Generator) -> dict[str, torch.Tensor]:
    n_inputs, n_units = config.n_inputs, config.n_units
    # one kernel each for both gates and for the candidate, over the stacked [input, rate] rows
    gates = _glorot(n_inputs + n_units, 2 * n_units, generator)
    candidate = _glorot(n_inputs + n_units, n_units, generator)
    return {
        "gate_input_weight": gates[:n_inputs].clone(),
        "gate_recurrent_weight": gates[n_inputs:].clone(),
        "gate_bias": torch.ones(2 * n_units),
        "input_weight": candidate[:n_inputs].clone(),
        "recurrent_weight": candidate[n_inputs:].clone(),
    }


def _glorot(n_from: int, n_to: int, generator: torch.Generator) -> torch.Tensor:
    limit = math.sqrt(6 / (n_from + n_to))
    return torch.empty(n_from, n_to).uniform_(-limit, limit, generator=generator)


def _recurrent_start(config: NetworkConfig, generator: torch.Generator) -> torch.Tensor:
    gain, n_units = RECURRENT_GAIN[config.nonlinearity], config.n_units
    if config.recurrent_initialisation == "diag":
        return torch.eye(n_units) * gain
    normal = torch.randn(n_units, n_units, generator=generator)
    # rounding depends on the number of threads, and the initial weights must not
    with one_thread_each():
        orthogonal, upper = torch.linalg.qr(normal)
    # these signs make the distribution uniform over orthogonal matrices
    start: torch.Tensor = gain * orthogonal * torch.sign(torch.diagonal(upper))
    return start.contiguous()
