"""Fast forward passes of a network with many lesions on the same trials.

A lesioned unit has no effect on other units and outputs, so a lesioned network is the network of
the remaining units. The external drive is computed once for all lesions; each lesion then uses the
rows of its remaining units. `nwbcompare.model.network` is the reference implementation.
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
    """Compute which trials are correct ``(lesion, trial)``.

    Parameters
    ----------
    network, trials, lesions, dt_ms, seed, label
        See `outputs_by_lesion`.

    Returns
    -------
    numpy.ndarray
        ``(lesion, trial)``, True for correct trials.
    """
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
    """Compute the output at the last step of each trial, for every lesion.

    All lesions are tested on the same trials with the same noise, that of
    `nwbcompare.model.evaluate`.

    Parameters
    ----------
    network
        The network; lesions are added to those that it has.
    trials
        The trials.
    lesions
        Places of the units of each lesion; an empty array for no lesion.
    dt_ms
        Time step (ms).
    seed
        Seed of input and recurrent noise; None for no noise.
    label
        Label of the progress bar; None for no bar.

    Returns
    -------
    numpy.ndarray
        ``(lesion, trial, output_channel)``.
    """
    parts = parts_of_like_length(trials)
    noise = None if seed is None else FreshNoise(seed, network.device)
    # lesions that the network has already add to these
    remaining = [np.setdiff1d(network.intact_units, lesion) for lesion in lesions]

    def run(place: int) -> Floats:
        stimulus = _stimulus(network, trials.take(parts[place]), dt_ms, noise, place)
        if network.config.cell == "leaky_rnn":
            return _rnn_outputs(network, stimulus, remaining, dt_ms)
        return _plain_outputs(network, stimulus, lesions, dt_ms)

    outputs = np.empty((len(lesions), trials.n_trials, len(OUTPUT_CHANNELS)), dtype=np.float32)
    # products of one part are too small to gain from several threads each
    with one_thread_each(), threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        results = pool.map(run, range(len(parts)))
        hidden = True if label is None else None
        for places in tqdm(parts, desc=label, disable=hidden):
            outputs[:, places] = next(results)
    return outputs


class _Stimulus(NamedTuple):
    """Input and noise of some trials, by time and trial, and their last steps ``(trial,)``."""

    input: torch.Tensor
    noise: torch.Tensor | None
    last: npt.NDArray[np.int64]


def _stimulus(
    network: Network, trials: TrialDescription, dt_ms: float, noise: FreshNoise | None, place: int
) -> _Stimulus:
    config, last = network.config, trials.n_steps - 1
    if noise is not None:
        return _Stimulus(*noisy_input(config, trials, dt_ms=dt_ms, noise=noise, step=place), last)
    signal = input_signal(trials, config.rules)
    return _Stimulus(render(signal, int(last.max()) + 1, network.device), None, last)


@torch.no_grad()
def _plain_outputs(
    network: Network, stimulus: _Stimulus, lesions: Sequence[Places], dt_ms: float
) -> Floats:
    """Run the reference implementation, lesion by lesion."""
    trials = np.arange(stimulus.last.size)
    outputs = (
        network.lesioned(lesion)(stimulus.input, dt_ms=dt_ms, noise=stimulus.noise)[1]
        for lesion in lesions
    )
    return np.stack([output.cpu().numpy()[stimulus.last, trials] for output in outputs])


@torch.no_grad()
def _rnn_outputs(
    network: Network, stimulus: _Stimulus, remaining: Sequence[Places], dt_ms: float
) -> Floats:
    """Run the remaining units of a leaky RNN for each lesion."""
    drive = network.drive(stimulus.input, dt_ms=dt_ms, noise=stimulus.noise)
    # units before trials, so that the rows of a lesion are contiguous
    drive = drive.transpose(1, 2).contiguous()
    return np.stack(
        [_remaining_output(network, drive, units, stimulus.last, dt_ms) for units in remaining]
    )


def _remaining_output(
    network: Network, drive: torch.Tensor, units: Places, last: npt.NDArray[np.int64], dt_ms: float
) -> Floats:
    """Compute the output ``(trial, output_channel)`` of the network of some units alone."""
    rows = torch.from_numpy(units).to(drive.device)
    # transposed, since units come before trials here
    weight = network.recurrent_weight[rows][:, rows].t().contiguous()
    alpha = dt_ms / network.config.tau_ms
    activation = ACTIVATIONS[network.config.nonlinearity]
    rates = _last_rates(drive, weight, rows, last, alpha, activation)
    # infinite rates stay infinite, so the last ones show an overflow
    if activation.overflows and not bool(torch.isfinite(rates).all()):
        rates = _last_rates(drive, weight, rows, last, alpha, SAFE_SOFTPLUS)
    # the last step alone decides whether a trial is correct
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
    """Compute the rates at the last step of each trial ``(unit, trial)``; short trials first."""
    total, scratch, rate, final = (
        torch.zeros(rows.numel(), drive.shape[2], device=drive.device) for _ in range(4)
    )
    # trials are in order of length: those that end at a step are neighbours
    ends = np.searchsorted(last, np.arange(drive.shape[0]), side="right").tolist()
    ended = 0
    for step, end in zip(drive.unbind(0), ends, strict=True):
        torch.index_select(step, 0, rows, out=total)
        # some activations take the negated argument (softplus by its logistic form)
        total.addmm_(weight, rate, beta=activation.sign, alpha=activation.sign)
        rate.mul_(1 - alpha).add_(activation.value(total, scratch), alpha=activation.sign * alpha)
        if end > ended:
            final[:, ended:end] = rate[:, ended:end]
            ended = end
    return final
