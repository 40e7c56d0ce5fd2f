"""Recording a network as a laboratory records an animal: trials in, a block out."""

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
"""What the unit table calls the only layer of a `Network`."""


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
    """Run trials through a network, any torch module, and keep its hidden rates as a block.

    Parameters
    ----------
    network
        A `Network`, an ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``, or any module that takes one
        tensor of inputs; `nwbcompare.model.module_recording` says what is recorded of it. It
        is run in evaluation mode and left in the mode that it was in.
    trials
        From `nwbcompare.tasks.make_trials`, or, for a module, any dataset with ``input (time,
        trial, input_channel)`` and ``time`` (s; attrs ``bin_width_s`` and, unless it is trial
        start, ``aligned_to``). Whatever lies on ``trial`` goes along. Where the attribute
        ``sigma_x`` is not 0, or not there, the inputs count as noisy.
    layer
        For a module: the layer to record, or several, whose units then stand side by side, by
        their names in ``module.named_modules()``; "" is the module itself. By default the
        module, if it is an RNN, GRU or LSTM, else the only such layer in it.
    batch_first
        For a module: whether it takes its input as ``(trial, time, channel)`` rather than
        ``(time, trial, channel)``. By default as its recurrent layers take theirs.
    name
        What figures and tables call the network; by default a `Network`'s name, and a module's
        class.
    seed
        Seed of the noise. Without one a `Network` runs without noise, as published for the
        variance analyses, and a module runs as it is; with one, torch's random numbers are the
        same every time.
    inputs_and_outputs
        Whether to keep ``input``, ``output`` and ``target`` ``(trial, time, channel)`` too, as
        far as they are there, as an export wants them.

    Returns
    -------
    xarray.Dataset
        A dense block; the unit table's ``layer`` says where a unit lies. Beside the trials'
        columns it has ``choice_direction`` (rad) and ``correct`` where the network's output has
        the 33 channels of `nwbcompare.tasks.channels`. It is marked deterministic where neither
        the network nor its inputs have noise; of a module that is measured.

    Raises
    ------
    InputError
        Where the trials' channels are not the network's, and where it cannot be told what of a
        module to record, or what it gave.

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
        _refuse_for_a_network(layer=layer, batch_first=batch_first)
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
            "Load a run with nwbcompare.model.load, or give the module itself.",
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


def _refuse_for_a_network(**arguments: object) -> None:
    for argument, value in arguments.items():
        if value is not None:
            raise InputError(
                argument,
                "None for a Network, which has one layer and takes its trials as they are",
                repr(value),
                "Leave it out.",
            )
