"""A network's weights, labelled by channel and by unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from nwbcompare.model.labelled_block import unit_table
from nwbcompare.model.network import Network
from nwbcompare.model.network_recording import LAYER
from nwbcompare.tasks.channels import (
    MODALITIES,
    N_SENSORY,
    OUTPUT_CHANNELS,
    RING_DIRECTIONS,
    input_channels,
    modality_channels,
    response_channels,
)

Floats = npt.NDArray[np.float32]
GATES = ("reset", "update")


@torch.no_grad()
def network_weights(network: Network) -> xr.Dataset:
    """Return the weights of a network as labelled data, with the units of its recordings.

    Parameters
    ----------
    network
        The network. Weights are effective ones: rows of rules are part of the input weights,
        also if rules have separate weights or are mixed, and outgoing weights of lesioned units
        are 0.

    Returns
    -------
    xarray.Dataset
        ``input_weight (input_channel, unit)``, ``recurrent_weight (unit_from, unit_to)``,
        ``bias (unit,)``, ``output_weight (unit, output_channel)``, ``output_bias
        (output_channel,)``. Of a GRU these are the weights of the candidate state, and those of
        gates have a further dimension ``gate``: ``gate_input_weight``, ``gate_recurrent_weight``,
        ``gate_bias``.

        ``preferred_direction (unit,)`` (rad) is the direction of the largest input weight,
        averaged over both rings; ``preferred_output_direction (unit,)`` (rad) that of the largest
        output weight to the response ring. Coordinates of channels are ``input_modality`` (0 for
        none), ``input_direction`` (rad; NaN for none), ``input_rule`` ("" for none) and
        ``output_direction``. Units have the names and the table of `nwbcompare.record`.

    Notes
    -----
    Preferred directions are defined as in Yang et al. 2019, by the input weights. Input weights
    plotted against them therefore peak at 0 by construction.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> weights = network_weights(Network(NetworkConfig(n_units=4)))
    >>> weights["recurrent_weight"].sel(unit_from="h000", unit_to="h001").item()
    0.0
    >>> weights["input_weight"].sel(input_channel="rule_contextdm1").sizes["unit"]
    4
    """
    into = _array(network._whole("input_weight", "rule_weight"))
    # outgoing weights of lesioned units act as 0
    out = _array(network.output_weight) * _sending(network)
    rings = [into[modality_channels(modality)] for modality in MODALITIES]
    recurrent = _array(network.recurrent_weight) * _sending(network)
    # of the weights as trained: a lesioned unit keeps its preferred direction
    preferred_output = _preferred(_array(network.output_weight)[:, response_channels()].T)
    weights: dict[str, Any] = {
        "input_weight": (("input_channel", "unit"), into),
        "recurrent_weight": (("unit_from", "unit_to"), recurrent),
        "bias": ("unit", _array(network.bias)),
        "output_weight": (("unit", "output_channel"), out),
        "output_bias": ("output_channel", _array(network.output_bias)),
        "preferred_direction": ("unit", _preferred(np.mean(rings, axis=0)), {"units": "rad"}),
        "preferred_output_direction": ("unit", preferred_output, {"units": "rad"}),
    }
    if network.config.cell == "leaky_gru":
        weights |= _gates(network)
    return xr.Dataset(
        weights,
        coords=_unit_coords(network) | _channel_coords(network),
        attrs={
            "analysis": "network_weights",
            "name": network.name,
            "source": "model",
            "cell": network.config.cell,
            "nonlinearity": network.config.nonlinearity,
        },
    )


def _array(weight: torch.Tensor) -> Floats:
    return weight.cpu().numpy().copy()


def _sending(network: Network) -> Floats:
    """Return 0 for lesioned units and 1 for others, as a column ``(unit, 1)``."""
    return _array(network._sent(torch.ones_like(network.bias)))[:, None]


def _preferred(ring: Floats) -> npt.NDArray[np.float64]:
    """Return the direction (rad) of the largest weight of ``(ring, unit)`` for each unit."""
    strongest: npt.NDArray[np.float64] = RING_DIRECTIONS[ring.argmax(axis=0)]
    return strongest


def _gates(network: Network) -> dict[str, Any]:
    def split(stacked: Floats) -> Floats:
        return stacked.reshape(*stacked.shape[:-1], len(GATES), -1)

    into = _array(network._whole("gate_input_weight"))
    recurrent = _array(network.gate_recurrent_weight) * _sending(network)
    return {
        "gate_input_weight": (("input_channel", "gate", "unit"), split(into)),
        "gate_recurrent_weight": (("unit_from", "gate", "unit_to"), split(recurrent)),
        "gate_bias": (("gate", "unit"), split(_array(network.gate_bias))),
        "gate": ("gate", list(GATES)),
    }


def _unit_coords(network: Network) -> dict[str, Any]:
    table = unit_table({LAYER: network.config.n_units}, network.name)
    units = {name: ("unit", column) for name, column in table.items()}
    return units | {dim: (dim, table["unit"]) for dim in ("unit_from", "unit_to")}


def _channel_coords(network: Network) -> dict[str, Any]:
    channels = input_channels(network.config.rules)
    modality = np.zeros(len(channels), dtype=np.int64)
    direction = np.full(len(channels), np.nan)
    for which in MODALITIES:
        modality[modality_channels(which)] = which
        direction[modality_channels(which)] = RING_DIRECTIONS
    rule = [""] * N_SENSORY + list(network.config.rules)
    responses = np.full(len(OUTPUT_CHANNELS), np.nan)
    responses[response_channels()] = RING_DIRECTIONS
    return {
        "input_channel": ("input_channel", list(channels)),
        "input_modality": ("input_channel", modality),
        "input_direction": ("input_channel", direction, {"units": "rad"}),
        "input_rule": ("input_channel", rule),
        "output_channel": ("output_channel", list(OUTPUT_CHANNELS)),
        "output_direction": ("output_channel", responses, {"units": "rad"}),
    }
