"""Trials of a stage that has just ended, for methods of consolidation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from nwbcompare.model.batch import Batch, make_batch
from nwbcompare.model.config import Stage, TrainingConfig
from nwbcompare.model.evaluation import noise_numbers
from nwbcompare.model.initialisation import mixed_rules, rule_mixing
from nwbcompare.model.network import Network
from nwbcompare.model.shards import FastCore
from nwbcompare.model.step_trials import draw_stage_trials
from nwbcompare.model.training_noise import FreshNoise
from nwbcompare.tasks.description import TrialDescription

N_BATCHES, BATCH_SIZE = 8, 32
"""Batches and trials for each task: 256 trials with 8 timings."""


class StageExamples:
    """Random trials of the tasks of a stage, with input and recurrent noise; see `Examples`.

    Parameters
    ----------
    network
        The network.
    config, stage
        Configurations of the training and of the stage.
    step
        Number of steps so far, which with the seeds determines the trials.
    """

    def __init__(self, network: Network, config: TrainingConfig, stage: Stage, step: int) -> None:
        self._network, self._config, self._stage = network, config, stage
        # streams 1 and 2 draw the trials of steps and the seeds of evaluations
        self._seed = (config.consolidation.seed, config.seed, 3, step)

    def gradients(self) -> Iterator[torch.Tensor]:
        """Yield the gradient of the task loss ``(weight,)`` for one trial after another."""
        # FastCore replaces the parameters of its network, so it gets a copy
        copy = Network(self._network.config).to(self._network.device)
        copy.load_state_dict(self._network.state_dict())
        core = FastCore(copy, n_shards=1)
        for place, trials in enumerate(self._batches()):
            for trial in range(trials.n_trials):
                one = trials.take(np.array([trial]))
                batch, noise = self._rendered(one, place * BATCH_SIZE + trial)
                core.loss_and_gradients(partial(_only_shard, batch, noise), batch.n_counted)
                # in memory that the next trial overwrites
                yield core.gradients

    @torch.no_grad()
    def activity(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield inputs, rates at the previous step, and rates; see `Examples`."""
        mixing = rule_mixing(self._network.config, self._network.device)
        for place, trials in enumerate(self._batches()):
            batch, noise = self._rendered(trials, place)
            rates, _ = self._network(batch.input, dt_ms=batch.dt_ms, noise=noise)
            inputs = mixed_rules(batch.input, mixing)
            before = torch.cat([torch.zeros_like(rates[:1]), rates[:-1]])
            inside = batch.inside[:, :, 0] > 0
            yield inputs[inside], before[inside], rates[inside]

    def _batches(self) -> Iterator[TrialDescription]:
        """Draw the batches, each of one task with one timing."""
        rng = np.random.default_rng(self._seed)
        stage = self._stage
        for task in self._config.tasks_of(stage):
            for _ in range(N_BATCHES):
                task_of_trial = np.zeros(BATCH_SIZE, dtype=np.int64)
                yield draw_stage_trials(stage, [task], task_of_trial, rng, shared_timing=True)

    def _rendered(self, trials: TrialDescription, place: int) -> tuple[Batch, torch.Tensor]:
        """Return trials as a batch, and recurrent noise; ``place`` is the index of the noise."""
        config = self._network.config
        seed = int(np.random.SeedSequence(self._seed).generate_state(1)[0])
        noise = FreshNoise(seed, self._network.device)
        inputs, units = noise_numbers(config, trials, noise=noise, step=place)
        batch = make_batch(
            trials,
            config.rules,
            int(trials.n_steps.max()),
            dt_ms=self._stage.dt_ms,
            sigma_x=config.sigma_x,
            noise=inputs,
        )
        return batch, units


def _only_shard(batch: Batch, noise: torch.Tensor, _place: int) -> tuple[Batch, torch.Tensor]:
    return batch, noise
