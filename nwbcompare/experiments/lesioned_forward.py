"""Many lesions of a network on the same trials: the last outputs, computed fast.

A lesioned unit reaches no other unit and no output, so what a lesion leaves is the network of
the other units alone. The drive from outside is made once for all lesions; each then takes its
own rows of it. `nwbcompare.model.network` says what is meant.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from nwbcompare.model.activation import ACTIVATIONS, SAFE_SOFTPLUS, Activation
from nwbcompare.model.batch import render
from nwbcompare.model.evaluation import MOST_THREADS, noisy_input, parts_of_like_length
from nwbcompare.model.network import Network, is_correct
from nwbcompare.model.threads import one_thread_each, threads
from nwbcompare.model.training_noise import FreshNoise
from nwbcompare.tasks.channels import OUTPUT_CHANNELS
from nwbcompare.tasks.description import TrialDescription
from nwbcompare.tasks.signals import input_signal

Places = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float32]


def correct_by_lesion(
    network: Network,
    trials: TrialDescription,
    lesions: Sequence[Places],
    *,
    dt_ms: float,
    seed: int | None,
    label: str | None = None,
) -> npt.NDArray[np.bool_]:
    """Tell which trials end as they should ``(lesion, trial)``; see `outputs_by_lesion`."""
    outputs = outputs_by_lesion(network, trials, lesions, dt_ms=dt_ms, seed=seed, label=label)
    return np.stack([is_correct(output, trials.response) for output in outputs])


def outputs_by_lesion(
    network: Network,
    trials: TrialDescription,
    lesions: Sequence[Places],
    *,
    dt_ms: float,
    seed: int | None,
    label: str | None = None,
) -> Floats:
    """Give the output at each trial's last step, once for every lesion.

    All lesions see the same trials and the same noise, that of `nwbcompare.model.evaluate`.

    Parameters
    ----------
    network
        The network; where it is lesioned already, the lesions come on top.
    trials
        The trials.
    lesions
        Places of the units of each lesion; none for the network as it is.
    dt_ms
        Time step (ms).
    seed
        Seed of both noises; None for none.
    label
        What a progress bar is called; None for no bar.

    Returns
    -------
    numpy.ndarray
        ``(lesion, trial, output_channel)``.
    """
    parts = parts_of_like_length(trials)
    noise = None if seed is None else FreshNoise(seed, network.device)
    kept = [np.setdiff1d(network.intact_units, lesion) for lesion in lesions]

    def run(place: int) -> Floats:
        shown = _shown(network, trials.take(parts[place]), dt_ms, noise, place)
        if network.config.cell == "leaky_rnn":
            return _rnn_outputs(network, shown, kept, dt_ms)
        return _plain_outputs(network, shown, lesions, dt_ms)

    outputs = np.empty((len(lesions), trials.n_trials, len(OUTPUT_CHANNELS)), dtype=np.float32)
    with one_thread_each(), threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        found = pool.map(run, range(len(parts)))
        hidden = True if label is None else None
        for places in tqdm(parts, desc=label, disable=hidden):
            outputs[:, places] = next(found)
    return outputs


class _Shown(NamedTuple):
    """What the trials of a part show: input and noise by time and trial, and their last steps."""

    input: torch.Tensor
    noise: torch.Tensor | None
    last: npt.NDArray[np.int64]


def _shown(
    network: Network, trials: TrialDescription, dt_ms: float, noise: FreshNoise | None, place: int
) -> _Shown:
    config, last = network.config, trials.n_steps - 1
    if noise is not None:
        return _Shown(*noisy_input(config, trials, dt_ms=dt_ms, noise=noise, step=place), last)
    signal = input_signal(trials, config.rules)
    return _Shown(render(signal, int(last.max()) + 1, network.device), None, last)


@torch.no_grad()
def _plain_outputs(
    network: Network, shown: _Shown, lesions: Sequence[Places], dt_ms: float
) -> Floats:
    """Run a network as it is written, lesion by lesion."""
    trials = np.arange(shown.last.size)
    outputs = (
        network.lesioned(lesion)(shown.input, dt_ms=dt_ms, noise=shown.noise)[1]
        for lesion in lesions
    )
    return np.stack([output.cpu().numpy()[shown.last, trials] for output in outputs])


@torch.no_grad()
def _rnn_outputs(network: Network, shown: _Shown, kept: Sequence[Places], dt_ms: float) -> Floats:
    """Run what each lesion leaves of a leaky RNN."""
    drive = network.drive(shown.input, dt_ms=dt_ms, noise=shown.noise)
    # units before trials: a lesion's rows are then copied as they lie
    drive = drive.transpose(1, 2).contiguous()
    return np.stack([_remaining_output(network, drive, units, shown.last, dt_ms) for units in kept])


def _remaining_output(
    network: Network, drive: torch.Tensor, units: Places, last: npt.NDArray[np.int64], dt_ms: float
) -> Floats:
    """Give the output ``(trial, output_channel)`` of the network of some units alone."""
    rows = torch.from_numpy(units).to(drive.device)
    # from column to row, since units come before trials here
    weight = network.recurrent_weight[rows][:, rows].t().contiguous()
    alpha = dt_ms / network.config.tau_ms
    activation = ACTIVATIONS[network.config.nonlinearity]
    rates = _last_rates(drive, weight, rows, last, alpha, activation)
    # infinite rates stay infinite, so the last ones tell
    if activation.overflows and not bool(torch.isfinite(rates).all()):
        rates = _last_rates(drive, weight, rows, last, alpha, SAFE_SOFTPLUS)
    output = torch.sigmoid(rates.t() @ network.output_weight[rows] + network.output_bias)
    return output.cpu().numpy()


def _last_rates(
    drive: torch.Tensor,
    weight: torch.Tensor,
    rows: torch.Tensor,
    last: npt.NDArray[np.int64],
    alpha: float,
    activation: Activation,
) -> torch.Tensor:
    """Give the rates at each trial's last step ``(unit, trial)``; shorter trials come first."""
    total, scratch, rate, final = (
        torch.zeros(rows.numel(), drive.shape[2], device=drive.device) for _ in range(4)
    )
    ends = np.searchsorted(last, np.arange(drive.shape[0]), side="right").tolist()
    ended = 0
    for step, end in zip(drive.unbind(0), ends, strict=True):
        torch.index_select(step, 0, rows, out=total)
        total.addmm_(weight, rate, beta=activation.sign, alpha=activation.sign)
        rate.mul_(1 - alpha).add_(activation.value(total, scratch), alpha=activation.sign * alpha)
        if end > ended:
            final[:, ended:end] = rate[:, ended:end]
            ended = end
    return final
