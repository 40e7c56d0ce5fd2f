"""Networks from the weights of other programs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from nwbcompare.core.errors import InputError, listing
from nwbcompare.model.config import Cell, NetworkConfig, Nonlinearity
from nwbcompare.model.network import Network


def from_arrays(
    input_weight: npt.ArrayLike,
    recurrent_weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    output_weight: npt.ArrayLike,
    output_bias: npt.ArrayLike,
    *,
    gate_input_weight: npt.ArrayLike | None = None,
    gate_recurrent_weight: npt.ArrayLike | None = None,
    gate_bias: npt.ArrayLike | None = None,
    cell: Cell = "leaky_rnn",
    nonlinearity: Nonlinearity = "softplus",
    dt_ms: float = 20.0,
    tau_ms: float = 100.0,
    name: str = "network",
) -> Network:
    """Return a network with these weights.

    Parameters
    ----------
    input_weight, recurrent_weight, bias
        ``(85, unit)``, ``(unit, unit)`` from row to column, ``(unit,)``; of a GRU those of the
        candidate.
    output_weight, output_bias
        ``(unit, 33)``, ``(33,)``.
    gate_input_weight, gate_recurrent_weight, gate_bias
        Gates of a GRU, reset before update: ``(85, 2 unit)``, ``(unit, 2 unit)``, ``(2 unit,)``.
        In the reference implementation input and recurrent rows are one kernel, to be split at
        row 85.
    cell, nonlinearity, dt_ms, tau_ms
        See `NetworkConfig`; the defaults are those of the published 20-task networks.
    name
        Name of the network in figures and tables.

    Raises
    ------
    InputError
        For arrays of other shapes or with values that are not finite, and for gates of a leaky
        RNN.

    Examples
    --------
    >>> import numpy as np
    >>> network = from_arrays(
    ...     np.zeros((85, 4)), np.eye(4), np.zeros(4), np.zeros((4, 33)), np.zeros(33)
    ... )
    >>> network.config.n_units
    4
    """
    weights = {
        "input_weight": input_weight,
        "recurrent_weight": recurrent_weight,
        "bias": bias,
        "output_weight": output_weight,
        "output_bias": output_bias,
        "gate_input_weight": gate_input_weight,
        "gate_recurrent_weight": gate_recurrent_weight,
        "gate_bias": gate_bias,
    }
    # an empty bias is reported by its shape below
    n_units = max(1, np.size(bias))
    config = NetworkConfig(
        n_units=n_units, cell=cell, nonlinearity=nonlinearity, dt_ms=dt_ms, tau_ms=tau_ms
    )
    network = Network(config, name=name)
    expected = {key: tuple(weight.shape) for key, weight in network.named_parameters()}
    surplus = [key for key, values in weights.items() if values is not None and key not in expected]
    if surplus:
        raise InputError(
            listing(surplus), f"None for a {cell}", "an array", "Leave it out, or set cell."
        )
    arrays = {key: _checked(key, weights[key], shape) for key, shape in expected.items()}
    network.load_state_dict({key: torch.from_numpy(values) for key, values in arrays.items()})
    return network


def _checked(
    name: str, values: npt.ArrayLike | None, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    array = np.array(values, dtype=np.float32) if values is not None else np.empty(0)
    if array.shape != shape:
        raise InputError(
            name,
            f"an array of shape {shape}",
            "none" if values is None else f"shape {array.shape}",
            "Weights go from row to column; the length of the bias is the number of units.",
        )
    if not np.isfinite(array).all():
        raise InputError(name, "finite weights", "NaN or infinity", "Correct them.")
    return array.astype(np.float32)
