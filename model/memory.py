"""Estimates of the memory for training, checked before it starts."""

from __future__ import annotations

import psutil
import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import NetworkConfig, TrainingConfig

LONGEST_TRIAL_MS = 4400.0
"""A little above the longest published random trial: Dly DM with the longest intervals."""
BUFFERS = 4
"""Arrays (time, trial, unit) in memory at the same time: drive, rates, their gradients."""
CHANNEL_BUFFERS = 5
"""Arrays (time, trial, channel): input and its noise, target, mask, output."""
GIB = 2**30


def _needed_bytes(network: NetworkConfig, training: TrainingConfig) -> int:
    """Return the memory (bytes) of a training step with the longest trials."""
    n_steps = max(LONGEST_TRIAL_MS / stage.dt_ms for stage in training.stages)
    gates = 3 if network.cell == "leaky_gru" else 1
    per_trial = BUFFERS * gates * network.n_units + CHANNEL_BUFFERS * network.n_inputs
    # 4 bytes of float32
    return int(4 * n_steps * training.batch_size * per_trial)


def _available_bytes(device: str) -> int:
    """Return the free memory (bytes) of a device."""
    if device != "cpu":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def check_memory(network: NetworkConfig, training: TrainingConfig, device: str) -> None:
    """Check that a batch fits into the free memory of a device.

    Raises
    ------
    InputError
        For a batch that does not; the error names the largest batch size that does.

    Examples
    --------
    >>> from nwbcompare.model.schedules import training_config
    >>> check_memory(NetworkConfig(n_units=8), training_config(("fdgo",)), "cpu")
    """
    need, free = _needed_bytes(network, training), _available_bytes(device)
    if need > free:
        raise InputError(
            "batch_size",
            f"a batch that fits in the {free / GIB:.1f} GiB that are free",
            f"{training.batch_size} trials of {network.n_units} units, {need / GIB:.1f} GiB",
            f"Use batch_size={max(1, int(training.batch_size * free / need))} or less.",
        )
