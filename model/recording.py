"""Recording a network as a laboratory records an animal: trials in, a block out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import xarray as xr

from nwbcompare.activity import columns_on, make_block
from nwbcompare.model.network import Network, at_last_step, input_of, is_correct
from nwbcompare.tasks.channels import read_direction, response_channels

TRIALS_AT_ONCE = 128
"""Bounds the memory of the steps' intermediate tensors."""


@torch.no_grad()
def record(
    network: Network,
    trials: xr.Dataset,
    *,
    seed: int | None = None,
    inputs_and_outputs: bool = False,
) -> xr.Dataset:
    """Run trials through a network and keep its hidden rates as a block.

    Parameters
    ----------
    network
        The network.
    trials
        From `nwbcompare.tasks.make_trials`.
    seed
        Seed of the recurrent noise; without one the network runs without noise, as published
        for the variance analyses; the block is marked deterministic if the inputs have no
        noise either.
    inputs_and_outputs
        Whether to keep ``input``, ``output`` and ``target`` ``(trial, time, channel)`` too,
        as an export wants them.

    Returns
    -------
    xarray.Dataset
        A dense block; beside the trials' columns it has ``correct`` and
        ``choice_direction`` (rad).

    Raises
    ------
    InputError
        Where the trials' channels are not the network's.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> from nwbcompare.tasks import make_trials
    >>> block = record(Network(NetworkConfig(n_units=4)), make_trials("contextdm1"))
    >>> dict(block["rate"].sizes)
    {'trial': 500, 'time': 100, 'unit': 4}
    """
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
    _hide_after_the_end(rate, output, trials)
    noise_free = seed is None and trials.attrs["sigma_x"] == 0
    block = make_block(
        rate,
        time_s=trials["time"].values,
        bin_width_s=trials["time"].attrs["bin_width_s"],
        aligned_to=trials["time"].attrs["aligned_to"],
        trials=_trial_columns(trials, at_last_step(output.swapaxes(0, 1), trials)),
        units=_unit_table(network),
        epochs=_epochs(trials),
        condition_variables=json.loads(trials.attrs["condition_variables"]),
        source="model",
        name=network.name,
        deterministic=noise_free,
        provenance={"network": network.name, "kind": trials.attrs["kind"], "seed": seed},
    )
    if inputs_and_outputs:
        named = {
            "input": (("trial", "time", "input_channel"), trials["input"]),
            "target": (("trial", "time", "output_channel"), trials["target"]),
        }
        block = block.assign_coords(
            input_channel=trials["input_channel"], output_channel=trials["output_channel"]
        ).assign(
            {name: (dims, values.transpose(*dims).values) for name, (dims, values) in named.items()}
            | {"output": (("trial", "time", "output_channel"), output)}
        )
    return block


def _hide_after_the_end(rate: np.ndarray, output: np.ndarray, trials: xr.Dataset) -> None:
    """Mark what comes after the end of a trial as not observed."""
    after = trials["time"].values > trials["trial_stop_time"].values[:, None]
    if after.any():
        rate[after], output[after] = np.nan, np.nan


def _trial_columns(trials: xr.Dataset, last_output: np.ndarray) -> dict[str, Any]:
    columns = {name: column.variable for name, column in columns_on(trials, "trial").items()}
    return columns | {
        "correct": is_correct(last_output, trials["response_direction"].values),
        "choice_direction": (
            read_direction(last_output[:, response_channels()]),
            {"units": "rad"},
        ),
    }


def _unit_table(network: Network) -> dict[str, Any]:
    n_units = network.config.n_units
    return {
        "unit": [f"h{place:03d}" for place in range(n_units)],
        "subject": [network.name] * n_units,
        "session": [network.name] * n_units,
        "area": ["hidden layer"] * n_units,
    }


def _epochs(trials: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    return {
        str(name): (
            trials["epoch_start_time"].values[:, place],
            trials["epoch_stop_time"].values[:, place],
        )
        for place, name in enumerate(trials["epoch"].values)
    }
