"""Rates and outputs of a network in trials, as a labelled block."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import columns_on, labels, make_block
from nwbcompare.model.network import at_last_step, is_correct
from nwbcompare.tasks.channels import OUTPUT_CHANNELS, read_direction, response_channels

Floats = npt.NDArray[np.float32]


def as_block(
    rate: Floats,
    output: Floats | None,
    trials: xr.Dataset,
    *,
    units: Mapping[str, Any],
    name: str,
    deterministic: bool,
    provenance: Mapping[str, Any],
    inputs_and_outputs: bool = False,
) -> xr.Dataset:
    """Return rates and outputs of a network in trials as a block.

    Parameters
    ----------
    rate
        ``(trial, time, unit)``; set to NaN after the end of a trial.
    output
        ``(trial, time, output_channel)``, also set to NaN; None for a network whose output is not
        that of the trials.
    trials
        The trials. ``task (trial,)`` and ``time`` are needed. Without ``condition_variables``
        each task is one condition, without ``trial_stop_time`` trials last to the end, and only
        outputs of `nwbcompare.tasks.channels` are read as choices.
    units
        Columns of the unit table.
    name
        Name of the network in figures and tables.
    deterministic
        Whether neither the network nor its inputs had noise.
    provenance
        Further attributes of the recording.
    inputs_and_outputs
        Whether to keep ``input`` and, if present, ``target`` and ``output`` ``(trial, time,
        channel)``.

    Returns
    -------
    xarray.Dataset
        A dense block.
    """
    if "trial_stop_time" in trials.coords:
        # rates after a trial's end are those of padding
        after = trials["time"].values > trials["trial_stop_time"].values[:, None]
        for values in (rate, output):
            if values is not None:
                values[after] = np.nan
    columns = {key: column.variable for key, column in columns_on(trials, "trial").items()}
    block = make_block(
        rate,
        time_s=trials["time"].values,
        bin_width_s=trials["time"].attrs["bin_width_s"],
        aligned_to=trials["time"].attrs["aligned_to"],
        trials=columns | ({} if output is None else _choices(output, trials)),
        units=units,
        epochs=_epochs(trials),
        condition_variables=_condition_variables(trials),
        source="model",
        name=name,
        deterministic=deterministic,
        provenance=provenance,
    )
    return _with_channels(block, output, trials) if inputs_and_outputs else block


def unit_table(layers: Mapping[str, int], name: str) -> dict[str, Any]:
    """Return the unit table of the layers of a network.

    Parameters
    ----------
    layers
        Number of units of each layer by its label.
    name
        Name of the network.

    Examples
    --------
    >>> unit_table({"recurrent": 2}, "mine")["unit"]
    ['h000', 'h001']
    >>> unit_table({"lower": 1, "upper": 1}, "mine")["unit"]
    ['lower.000', 'upper.000']
    """
    # a lone layer needs no name in the ids
    prefixes = {label: f"{label}." if len(layers) > 1 else "h" for label in layers}
    places = [(label, place) for label, n_units in layers.items() for place in range(n_units)]
    return {
        "unit": [f"{prefixes[label]}{place:03d}" for label, place in places],
        # the network is the unit of inference, as animal and session are in recordings
        "subject": [name] * len(places),
        "session": [name] * len(places),
        "area": ["hidden layer"] * len(places),
        "layer": [label for label, _ in places],
    }


def _choices(output: Floats, trials: xr.Dataset) -> dict[str, Any]:
    """Return the direction of the choice at the last step, and whether it was correct."""
    channels = tuple(trials["output_channel"].values) if "output_channel" in trials.coords else ()
    if channels != OUTPUT_CHANNELS:
        return {}
    timed = "trial_stop_time" in trials.coords
    last = at_last_step(output.swapaxes(0, 1), trials) if timed else output[:, -1]
    direction = read_direction(last[:, response_channels()])
    choices: dict[str, Any] = {"choice_direction": (direction, {"units": "rad"})}
    if "response_direction" in trials.coords:
        choices["correct"] = is_correct(last, trials["response_direction"].values)
    return choices


def _condition_variables(trials: xr.Dataset) -> Mapping[str, Sequence[str]]:
    if "condition_variables" in trials.attrs:
        table: dict[str, list[str]] = json.loads(trials.attrs["condition_variables"])
        return table
    # trials have no rates, so that they are no block
    return {str(task): [] for task in np.unique(labels(trials["task"]))}


def _epochs(trials: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    if "epoch" not in trials.coords:
        return {}
    return {
        str(name): (
            trials["epoch_start_time"].values[:, place],
            trials["epoch_stop_time"].values[:, place],
        )
        for place, name in enumerate(trials["epoch"].values)
    }


def _with_channels(block: xr.Dataset, output: Floats | None, trials: xr.Dataset) -> xr.Dataset:
    """Add inputs, outputs and targets to a block."""
    for name, channel in (("input", "input_channel"), ("target", "output_channel")):
        if name in trials:
            dims = ("trial", "time", channel)
            block[name] = (dims, trials[name].transpose(*dims).values)
    if output is not None:
        block["output"] = (("trial", "time", "output_channel"), output)
    named = [dim for dim in ("input_channel", "output_channel") if dim in block.dims]
    return block.assign_coords({dim: trials[dim] for dim in named if dim in trials.coords})
