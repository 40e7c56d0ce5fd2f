"""Performance of networks on random trials with noise."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.batch import render_input
from nwbcompare.model.config import NetworkConfig
from nwbcompare.model.network import Network, is_correct
from nwbcompare.model.threads import one_thread_each, threads
from nwbcompare.model.training_noise import FreshNoise
from nwbcompare.tasks.description import TrialDescription, concatenate
from nwbcompare.tasks.trials import draw_trials

BATCH_SIZE = 32
"""Number of trials with the same timing; as published, 512 trials are 16 batches of 32."""
TRIALS_AT_ONCE = 128
MOST_THREADS = 8
"""Each thread needs memory for the rates of its trials."""


def evaluate(
    network: Network,
    tasks: Sequence[str],
    *,
    seed: int,
    n_trials: int = 512,
    dt_ms: float | None = None,
    coherence_scale: float = 1.0,
    easy: bool = False,
) -> dict[str, float]:
    """Compute the performance of a network on random trials, with input and recurrent noise.

    Timing is drawn for each batch of 32 trials, so 512 trials have 16 different timings.

    Parameters
    ----------
    network
        The network.
    tasks
        Names of the tasks.
    seed
        Seed of trials and noise.
    n_trials
        Number of trials of each task, a multiple of 32; 512 as published.
    dt_ms
        Time step (ms); by default that of the network.
    coherence_scale
        Factor of the coherences; 1 as published.
    easy
        Whether the trials are of the easy variants of the tasks.

    Returns
    -------
    dict
        Share of correct trials by task (see `nwbcompare.model.network.is_correct`).

    Raises
    ------
    InputError
        For a number of trials that is no multiple of 32, and an unknown task.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> share = evaluate(pretrained("ctxdm-0"), ["contextdm1"], seed=0, n_trials=64)
    >>> share["contextdm1"] > 0.8
    True
    """
    dt_ms = dt_ms or network.config.dt_ms
    trials = evaluation_trials(
        tasks, seed=seed, n_trials=n_trials, dt_ms=dt_ms, coherence_scale=coherence_scale, easy=easy
    )
    correct = _correct(network, trials, dt_ms, FreshNoise(seed, network.device))
    return {task: float(correct[trials.task == place].mean()) for place, task in enumerate(tasks)}


def evaluation_trials(
    tasks: Sequence[str],
    *,
    seed: int,
    n_trials: int,
    dt_ms: float,
    coherence_scale: float = 1.0,
    easy: bool = False,
) -> TrialDescription:
    """Draw the random trials of an evaluation, task by task.

    See `evaluate` for the parameters and errors.

    Examples
    --------
    >>> evaluation_trials(["fdgo", "dm1"], seed=0, n_trials=32, dt_ms=20).n_trials
    64
    """
    if n_trials < BATCH_SIZE or n_trials % BATCH_SIZE:
        raise InputError("n_trials", f"a multiple of {BATCH_SIZE}", repr(n_trials), "Use 512.")
    # (seed, 0) for trials, other numbers for other uses of the same seed
    rng = np.random.default_rng((seed, 0))
    return concatenate(
        [
            draw_trials(
                [task],
                np.zeros(BATCH_SIZE, dtype=np.int64),
                rng,
                dt_ms=dt_ms,
                shared_timing=True,
                coherence_scale=coherence_scale,
                easy=easy,
            )
            for task in tasks
            for _ in range(n_trials // BATCH_SIZE)
        ]
    )


def parts_of_like_length(trials: TrialDescription) -> list[npt.NDArray[np.int64]]:
    """Return indices of trials in parts that run together, shorter trials first.

    Trials of similar length need fewer steps of padding.

    Examples
    --------
    >>> trials = evaluation_trials(["fdgo"], seed=0, n_trials=160, dt_ms=20)
    >>> [len(places) for places in parts_of_like_length(trials)]
    [128, 32]
    """
    order = np.argsort(trials.n_steps, kind="stable")
    return [order[at : at + TRIALS_AT_ONCE] for at in range(0, order.size, TRIALS_AT_ONCE)]


def _correct(
    network: Network, trials: TrialDescription, dt_ms: float, noise: FreshNoise
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which trials are correct ``(trial,)``, from runs of trials of similar length."""
    parts = parts_of_like_length(trials)

    def judge(place: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        part = trials.take(parts[place])
        output = final_output(network, part, dt_ms=dt_ms, noise=noise, step=place)
        return is_correct(output.numpy(), part.response)

    correct = np.empty(trials.n_trials, dtype=np.bool_)
    # every part has noise of its own, so that results do not depend on the threads
    with one_thread_each(), threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for places, part in zip(parts, pool.map(judge, range(len(parts))), strict=True):
            correct[places] = part
    return correct


@torch.no_grad()
def final_output(
    network: Network, trials: TrialDescription, *, dt_ms: float, noise: FreshNoise, step: int
) -> torch.Tensor:
    """Return the output at the last step of each trial ``(trial, output_channel)``, with noise.

    Parameters
    ----------
    network
        The network.
    trials
        The trials.
    dt_ms
        Time step (ms).
    noise, step
        Source of the noise, and index of this call in it.
    """
    inputs, unit_noise = noisy_input(network.config, trials, dt_ms=dt_ms, noise=noise, step=step)
    _, outputs = network(inputs, dt_ms=dt_ms, noise=unit_noise)
    last = torch.from_numpy(trials.n_steps - 1)
    final: torch.Tensor = outputs.cpu()[last, torch.arange(trials.n_trials)]
    return final


def noisy_input(
    config: NetworkConfig, trials: TrialDescription, *, dt_ms: float, noise: FreshNoise, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy input ``(time, trial, input_channel)``, and noise ``(time, trial, unit)``.

    See `final_output` for the parameters.
    """
    n_steps = int(trials.n_steps.max())
    input_noise, unit_noise = noise_numbers(config, trials, noise=noise, step=step)
    inputs = render_input(
        trials, config.rules, n_steps, dt_ms=dt_ms, sigma_x=config.sigma_x, noise=input_noise
    )
    return inputs, unit_noise


def noise_numbers(
    config: NetworkConfig, trials: TrialDescription, *, noise: FreshNoise, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw normal numbers ``(time, trial, input_channel)`` and ``(time, trial, unit)``.

    See `final_output` for the parameters.
    """
    n_steps, n_trials = int(trials.n_steps.max()), trials.n_trials
    inputs, units = (
        # as two shards of one step, which share no number
        noise.shard(step, half, 2, n_steps * n_trials * width).view(n_steps, n_trials, width)
        for half, width in enumerate((config.n_inputs, config.n_units))
    )
    return inputs, units
