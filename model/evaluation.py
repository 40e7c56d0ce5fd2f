"""Performance of a network on random trials, with noise."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch

from nwbcompare.errors import InputError
from nwbcompare.model.network import Network, is_correct
from nwbcompare.model.noise import FreshNoise
from nwbcompare.model.parallel import one_thread_each, threads
from nwbcompare.model.rendering import render_input
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
    if n_trials < BATCH_SIZE or n_trials % BATCH_SIZE:
        raise InputError("n_trials", f"a multiple of {BATCH_SIZE}", repr(n_trials), "Use 512.")
    dt_ms = dt_ms or network.config.dt_ms
    rng = np.random.default_rng((seed, 0))
    trials = concatenate(
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
    correct = _correct(network, trials, dt_ms, FreshNoise(seed, network.device))
    return {task: float(correct[trials.task == place].mean()) for place, task in enumerate(tasks)}


def _correct(
    network: Network, trials: TrialDescription, dt_ms: float, noise: FreshNoise
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which trials end as they should, running trials of like length together."""
    order = np.argsort(trials.n_steps, kind="stable")
    parts = [order[at : at + TRIALS_AT_ONCE] for at in range(0, order.size, TRIALS_AT_ONCE)]

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
    n_steps, rules = int(trials.n_steps.max()), network.config.rules
    inputs, units = (
        noise.shard(step, half, 2, n_steps * trials.n_trials * width).view(
            n_steps, trials.n_trials, width
        )
        for half, width in enumerate((network.config.n_inputs, network.config.n_units))
    )
    shown = render_input(
        trials, rules, n_steps, dt_ms=dt_ms, sigma_x=network.config.sigma_x, noise=inputs
    )
    _, outputs = network(shown, dt_ms=dt_ms, noise=units)
    last = torch.from_numpy(trials.n_steps - 1)
    final: torch.Tensor = outputs.cpu()[last, torch.arange(trials.n_trials)]
    return final
