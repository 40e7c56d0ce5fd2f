"""Performance of a network on random trials, with noise."""

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
"""Trials that share a timing: as published, 512 trials are 16 batches of 32."""
TRIALS_AT_ONCE = 128
MOST_THREADS = 8
"""Each holds the rates of its trials: more would cost memory."""


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
    """Give a network's performance on random trials of tasks, with both noises.

    Timing is drawn for each batch of 32 trials, so the default 512 trials have 16 timings.

    Parameters
    ----------
    network
        The network.
    tasks
        The tasks.
    seed
        Seed of trials and noise.
    n_trials
        Trials of each task, a multiple of 32.
    dt_ms
        Time step (ms); by default the network's.
    coherence_scale
        Factor on the coherences; 1 as published.
    easy
        Whether the trials are of the tasks' easy variants.

    Returns
    -------
    dict
        The share of correct trials by task.

    Raises
    ------
    InputError
        Where n_trials is no multiple of 32, and for an unknown task.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> share = evaluate(pretrained("ctxdm-0"), ["contextdm1"], seed=0, n_trials=64)
    >>> share["contextdm1"] > 0.8
    True
    """
    dt_ms = dt_ms or network.config.dt_ms
    trials = evaluation_trials(
        tasks,
        seed=seed,
        n_trials=n_trials,
        dt_ms=dt_ms,
        coherence_scale=coherence_scale,
        easy=easy,
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
    """Draw the random trials on which networks are evaluated, task by task.

    See `evaluate` for the parameters.

    Raises
    ------
    InputError
        Where n_trials is no multiple of 32, and for an unknown task.
    """
    if n_trials < BATCH_SIZE or n_trials % BATCH_SIZE:
        raise InputError("n_trials", f"a multiple of {BATCH_SIZE}", repr(n_trials), "Use 512.")
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
    """Give the places of the trials in parts that run together, shorter trials first."""
    order = np.argsort(trials.n_steps, kind="stable")
    return [order[at : at + TRIALS_AT_ONCE] for at in range(0, order.size, TRIALS_AT_ONCE)]


def _correct(
    network: Network, trials: TrialDescription, dt_ms: float, noise: FreshNoise
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which trials end as they should, running trials of like length together."""
    parts = parts_of_like_length(trials)

    def judge(place: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        part = trials.take(parts[place])
        output = final_output(network, part, dt_ms=dt_ms, noise=noise, step=place)
        return is_correct(output.numpy(), part.response)

    correct = np.empty(trials.n_trials, dtype=np.bool_)
    with one_thread_each(), threads(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for places, judged in zip(parts, pool.map(judge, range(len(parts))), strict=True):
            correct[places] = judged
    return correct


@torch.no_grad()
def final_output(
    network: Network, trials: TrialDescription, *, dt_ms: float, noise: FreshNoise, step: int
) -> torch.Tensor:
    """Give the output at each trial's last step ``(trial, output_channel)``, with both noises.

    Parameters
    ----------
    network
        The network.
    trials
        The trials.
    dt_ms
        Time step (ms).
    noise, step
        Source of the noise, and what tells this call's numbers from others.
    """
    shown, units = noisy_input(network.config, trials, dt_ms=dt_ms, noise=noise, step=step)
    _, outputs = network(shown, dt_ms=dt_ms, noise=units)
    last = torch.from_numpy(trials.n_steps - 1)
    final: torch.Tensor = outputs.cpu()[last, torch.arange(trials.n_trials)]
    return final


def noisy_input(
    config: NetworkConfig,
    trials: TrialDescription,
    *,
    dt_ms: float,
    noise: FreshNoise,
    step: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the trials' noisy input, and normal numbers for the units, each by time and trial.

    See `final_output` for the parameters.
    """
    n_steps = int(trials.n_steps.max())
    inputs, units = noise_numbers(config, trials, noise=noise, step=step)
    shown = render_input(
        trials, config.rules, n_steps, dt_ms=dt_ms, sigma_x=config.sigma_x, noise=inputs
    )
    return shown, units


def noise_numbers(
    config: NetworkConfig, trials: TrialDescription, *, noise: FreshNoise, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give normal numbers for the inputs and for the units of trials, each by time and trial.

    See `final_output` for the parameters.
    """
    n_steps, n_trials = int(trials.n_steps.max()), trials.n_trials
    inputs, units = (
        noise.shard(step, half, 2, n_steps * n_trials * width).view(n_steps, n_trials, width)
        for half, width in enumerate((config.n_inputs, config.n_units))
    )
    return inputs, units
