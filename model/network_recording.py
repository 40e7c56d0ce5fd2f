"""Recording of the rates of a network, or of any torch module, in trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from nwbcompare.core.errors import InputError
from nwbcompare.model.labelled_block import as_block, unit_table
from nwbcompare.model.module_recording import TRIALS_AT_ONCE, record_module
from nwbcompare.model.network import Network, input_of

LAYER = "recurrent"
"""Label of the only layer of a `Network` in the unit table."""


def record(
    network: torch.nn.Module,
    trials: xr.Dataset,
    *,
    layer: str | Sequence[str] | None = None,
    batch_first: bool | None = None,
    name: str | None = None,
    seed: int | None = None,
    inputs_and_outputs: bool = False,
) -> xr.Dataset:
    """Record the rates of a network, or of any torch module, in trials.

    Parameters
    ----------
    network
        A `Network`, an ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``, or any module with one input
        tensor (see `nwbcompare.model.module_recording`). It is run in evaluation mode, and its
        mode is restored.
    trials
        From `nwbcompare.tasks.make_trials`. For a module also any dataset with ``input (time,
        trial, input_channel)`` and ``time`` (s; attrs ``bin_width_s`` and, unless it is trial
        start, ``aligned_to``). All columns on ``trial`` are copied. Without the attribute
        ``sigma_x`` equal to 0 the inputs count as noisy.
    layer
        For a module: names of one or several layers to record, as in ``module.named_modules()``;
        "" is the module itself. The units of several layers are concatenated. By default the
        module, if it is an RNN, GRU or LSTM, or else its only such layer.
    batch_first
        For a module: whether its input is ``(trial, time, channel)`` rather than ``(time, trial,
        channel)``; by default as in its recurrent layers.
    name
        Name of the network in figures and tables; by default that of a `Network`, or the class
        of a module.
    seed
        Seed of the noise. With None a `Network` runs without noise, as published for the variance
        analyses, and a module with the random numbers of torch as they are.
    inputs_and_outputs
        Whether to keep ``input``, ``output`` and ``target`` ``(trial, time, channel)``, as far as
        present; used for export.

    Returns
    -------
    xarray.Dataset
        A dense block with the columns of the trials and, if the output has the 33 channels of
        `nwbcompare.tasks.channels`, ``choice_direction (trial,)`` (rad) and ``correct (trial,)``.
        The column ``layer`` of the unit table is the layer of a unit. The block is deterministic
        if neither network nor inputs have noise; for a module this is measured.

    Raises
    ------
    InputError
        For trials of other input channels than those of the network, and for a module whose
        layers, orientation or output cannot be recorded.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> from nwbcompare.tasks import make_trials
    >>> trials = make_trials("contextdm1")
    >>> dict(record(Network(NetworkConfig(n_units=4)), trials)["rate"].sizes)
    {'trial': 500, 'time': 100, 'unit': 4}
    >>> block = record(torch.nn.GRU(85, 3, batch_first=True), trials, name="my GRU")
    >>> block["unit"].values.tolist(), block["layer"].values.tolist()
    (['h000', 'h001', 'h002'], ['GRU', 'GRU', 'GRU'])
    """
    if isinstance(network, Network):
        _check_absent(layer=layer, batch_first=batch_first)
        return _record_network(
            network,
            trials,
            name=name or network.name,
            seed=seed,
            inputs_and_outputs=inputs_and_outputs,
        )
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            "network",
            "a torch.nn.Module",
            f"a {type(network).__name__}",
            "Load a run with nwbcompare.model.load, or pass the module itself.",
        )
    return record_module(
        network,
        trials,
        layer=layer,
        batch_first=batch_first,
        name=name,
        seed=seed,
        inputs_and_outputs=inputs_and_outputs,
    )


@torch.no_grad()
def _record_network(
    network: Network, trials: xr.Dataset, *, name: str, seed: int | None, inputs_and_outputs: bool
) -> xr.Dataset:
    inputs = input_of(trials, network.config)
    # one generator for all parts, so that no two have the same noise
    generator = None if seed is None else torch.Generator(network.device).manual_seed(seed)
    n_steps, n_trials, _ = inputs.shape
    rate = np.empty((n_trials, n_steps, network.config.n_units), dtype=np.float32)
    output = np.empty((n_trials, n_steps, trials.sizes["output_channel"]), dtype=np.float32)
    for start in range(0, n_trials, TRIALS_AT_ONCE):
        part = slice(start, start + TRIALS_AT_ONCE)
        rates, outputs = network(
            inputs[:, part].to(network.device), dt_ms=trials.attrs["dt_ms"], generator=generator
        )
        rate[part] = rates.cpu().numpy().swapaxes(0, 1)
        output[part] = outputs.cpu().numpy().swapaxes(0, 1)
    return as_block(
        rate,
        output,
        trials,
        units=unit_table({LAYER: network.config.n_units}, name),
        name=name,
        deterministic=seed is None and trials.attrs["sigma_x"] == 0,
        provenance={"network": name, "kind": trials.attrs["kind"], "seed": seed},
        inputs_and_outputs=inputs_and_outputs,
    )


def _check_absent(**arguments: object) -> None:
    """Check that arguments for modules are None."""
    for argument, value in arguments.items():
        if value is not None:
            raise InputError(
                argument,
                "None for a Network, which has one layer and takes its trials as they are",
                repr(value),
                "Leave it out.",
            )
