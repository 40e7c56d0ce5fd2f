"""Training: any tasks by any schedule, stopped and resumed at will."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nwbcompare.errors import DivergedError, unknown_name
from nwbcompare.model.adam import Adam, clip_by_norm, clip_by_value
from nwbcompare.model.batch import Batch
from nwbcompare.model.batches import mixed_batches, single_batch, task_probabilities
from nwbcompare.model.checkpoint import (
    Checkpoint,
    check_run_output,
    finish_run,
    is_run,
    read_checkpoint,
    start_run,
    write_checkpoint,
)
from nwbcompare.model.config import NetworkConfig, Stage, TrainingConfig
from nwbcompare.model.device import check_device
from nwbcompare.model.evaluation import evaluate
from nwbcompare.model.memory import check_memory
from nwbcompare.model.network import Network
from nwbcompare.model.noise import FreshNoise, NoisePool, NoiseSource
from nwbcompare.model.parallel import FastCore, one_thread_each
from nwbcompare.model.rendering import make_batch
from nwbcompare.tasks.description import TrialDescription

FINAL_EVALUATION_SEED = 2**31
"""Seed of the final evaluation; those during training are below it."""
FINAL_TRIALS = 512
TYPICAL_TRIAL_MS = 2000
Watcher = Callable[[list[dict[str, Any]]], None]


def train(
    network_config: NetworkConfig,
    training_config: TrainingConfig,
    *,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    resume: bool = False,
    device: str = "cpu",
    watch: Watcher | None = None,
) -> Network:
    """Train a network and write its run folder.

    Parameters
    ----------
    network_config, training_config
        See `nwbcompare.model.schedule`.
    out
        The run folder. At every evaluation it gets a checkpoint, the kept weights and the log,
        each file whole or not at all.
    overwrite
        Whether an existing run may be replaced.
    resume
        Whether to go on with the run in ``out``, if there is one, from its last checkpoint. The
        result is the one that an unbroken run gives, bit for bit on the same kind of processor.
    device
        "cpu" or "cuda".
    watch
        Called with the log, a row for each evaluation so far, after every evaluation.

    Returns
    -------
    Network
        The trained network. The same configurations give the same weights, bit for bit, on
        the same kind of processor.

    Raises
    ------
    InputError
        Where ``out`` exists or cannot be written, holds no run, or was made by other
        configurations; where a task has no rule channel in the network, the device is not
        there or its memory does not suffice.
    DivergedError
        Where the cost or its gradient is no longer finite; the folder keeps the last good
        checkpoint, if there was one.
    """
    for task in training_config.tasks:
        if task not in network_config.rules:
            raise unknown_name("tasks", task, network_config.rules)
    check_device(device)
    check_memory(network_config, training_config, device)
    out = Path(out)
    network = Network(network_config, name=out.name)
    if resume and is_run(out):
        run = _Run(network, training_config, out, device, watch)
        run.load(read_checkpoint(out, network_config, training_config))
    else:
        check_run_output(out, overwrite=overwrite)
        start_run(out, network_config, training_config, overwrite=overwrite)
        run = _Run(network, training_config, out, device, watch)
    with one_thread_each():
        while run.progress.stage < len(training_config.stages):
            run.train_stage()
        return run.finish()


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    step, stage, stage_step
        Steps in all, the stage, and the steps within it.
    best
        The worst task's performance at the stage's best evaluation so far.
    seconds
        Time spent, evaluations included.
    log
        A row for each evaluation.
    """

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    best: float = -1.0
    seconds: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


class _Run:
    """A run in memory: what moves during training, and the way to and from a checkpoint."""

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        out: Path,
        device: str,
        watch: Watcher | None,
    ) -> None:
        self.config, self.out, self.watch = config, out, watch
        self.network = network.to(device)
        n_shards = min(config.n_shards, config.batch_size)
        self.core = FastCore(self.network, n_shards=n_shards, regularisation=config.regularisation)
        self._n_shards = n_shards
        self.kept = copy.deepcopy(network)
        self.noise: NoiseSource = FreshNoise(config.seed, device)
        self.adam = Adam(self.core.parameters)
        self.average = self.core.parameters.clone()
        self.best_weights = self.core.parameters.clone()
        self.progress = Progress()
        self._clock = time.monotonic()

    @property
    def stage(self) -> Stage:
        return self.config.stages[self.progress.stage]

    def train_stage(self) -> None:
        """Train to the end of the stage."""
        progress, stage = self.progress, self.stage
        if self.config.noise == "pool":
            self.noise = NoisePool(self.config.seed, self._step_size(), self.network.device)
        label = f"stage {progress.stage + 1}/{len(self.config.stages)}, dt {stage.dt_ms:g} ms"
        with tqdm(
            total=stage.max_steps, initial=progress.stage_step, desc=label, disable=None
        ) as bar:
            # what the stage asks for may be there already
            done = stage.target is not None and not progress.stage_step and self._is_reached(None)
            while not done and progress.stage_step < stage.max_steps:
                cost = self._step()
                bar.update()
                if self._is_time_to_evaluate():
                    done = self._is_reached(cost)
                    bar.set_postfix_str(_worst_of(progress.log))
                    self.save()
        self._end_stage()
        self.save()

    def _step_size(self) -> int:
        """Give about how many normal numbers a step takes."""
        config = self.network.config
        n_steps = int(TYPICAL_TRIAL_MS / self.stage.dt_ms)
        return n_steps * self.config.batch_size * (config.n_inputs + config.n_units)

    def _is_time_to_evaluate(self) -> bool:
        done = self.progress.stage_step
        return done % self.config.evaluate_every == 0 or done == self.stage.max_steps

    def _step(self) -> float:
        """Take one step and give its cost before it."""
        progress = self.progress
        self.noise.prepare(progress.step)
        shards = self._shards()
        n_steps = max(int(shard.n_steps.max()) for shard in shards)
        n_counted = sum(int(shard.n_steps.sum()) for shard in shards)
        cost = sum(
            self.core.cost_and_gradients(
                lambda place: self._make_shard(shards, place, n_steps), n_counted
            )
        )
        if not math.isfinite(cost):
            raise self._diverged(f"the cost is {cost}")
        gradient = self.core.gradients
        clip = clip_by_norm if self.config.clip_by == "norm" else clip_by_value
        # clipping bounds infinite entries, but leaves NaN, which would spoil every weight
        if not clip(gradient, self.config.clip):
            raise self._diverged("the gradient is not finite")
        self.adam.step(gradient, self._learning_rate())
        progress.step += 1
        progress.stage_step += 1
        if self.config.weight_average:
            # a running average is no average before it has run for a while
            decay = min(self.config.weight_average, progress.step / (progress.step + 10))
            self.average.lerp_(self.core.parameters, 1 - decay)
        return cost

    def _shards(self) -> list[TrialDescription]:
        """Give the trials of the step, dealt out to the shards."""
        config, progress = self.config, self.progress
        last = progress.log[-1]["performance"] if progress.log else None
        weights = task_probabilities(config.tasks, config.task_weights, last)
        if config.batches == "single":
            trials = single_batch(config, self.stage, progress.step, weights)
            places = np.arange(config.batch_size)
        else:
            since = progress.stage_step % config.evaluate_every
            first = progress.step - since
            trials, all_places = mixed_batches(config, self.stage, first, tuple(weights))
            places = all_places[since]
        return [trials.take(places[shard :: self._n_shards]) for shard in range(self._n_shards)]

    def _make_shard(
        self, shards: list[TrialDescription], place: int, n_steps: int
    ) -> tuple[Batch, torch.Tensor]:
        """Render a shard and give its recurrent noise ``(time, trial, unit)``."""
        trials, network, dt_ms = shards[place], self.network, self.stage.dt_ms
        n_trials, n_units = trials.n_trials, network.config.n_units
        widest = max(shard.n_trials for shard in shards)
        numbers = self.noise.shard(
            self.progress.step,
            place,
            len(shards),
            n_steps * widest * (network.config.n_inputs + n_units),
        )
        n_input = n_steps * n_trials * network.config.n_inputs
        n_unit = n_steps * n_trials * n_units
        batch = make_batch(
            trials,
            network.config.rules,
            n_steps,
            dt_ms=dt_ms,
            sigma_x=network.config.sigma_x,
            noise=numbers[:n_input].view(n_steps, n_trials, network.config.n_inputs),
        )
        units = numbers[n_input : n_input + n_unit].view(n_steps, n_trials, n_units)
        return batch, units

    def _learning_rate(self) -> float:
        start, stop = self.stage.learning_rates
        done = self.progress.stage_step / self.stage.max_steps
        return stop + (start - stop) * (1 + math.cos(math.pi * done)) / 2

    def _is_reached(self, cost: float | None) -> bool:
        """Evaluate, keep the weights of the stage's best evaluation, tell if the stage is done."""
        progress, target = self.progress, self.stage.target
        now = self.average if self.config.weight_average else self.core.parameters
        self.core.fill(self.kept, now)
        performance = self._evaluate()
        worst = min(performance.values())
        if target is None or worst > progress.best:
            progress.best = max(worst, progress.best)
            self.best_weights.copy_(now)
        self._add_to_log(cost, performance)
        return target is not None and worst >= target

    def _evaluate(self) -> dict[str, float]:
        """Measure the kept weights on trials of the stage."""
        seed = np.random.default_rng((self.config.seed, 2, self.progress.step))
        return evaluate(
            self.kept,
            self.config.tasks,
            seed=int(seed.integers(FINAL_EVALUATION_SEED)),
            n_trials=self.config.evaluation_trials,
            dt_ms=self.stage.dt_ms,
            coherence_scale=self.stage.coherence_scale,
            easy=self.stage.easy,
        )

    def _add_to_log(self, cost: float | None, performance: dict[str, float]) -> None:
        progress, stage = self.progress, self.stage
        now = time.monotonic()
        progress.seconds += now - self._clock
        self._clock = now
        progress.log.append(
            {
                "step": progress.step,
                "stage": progress.stage,
                "dt_ms": stage.dt_ms,
                "coherence_scale": stage.coherence_scale,
                "cost": cost,
                "seconds": round(progress.seconds, 1),
                "performance": performance,
            }
        )
        if self.watch is not None:
            self.watch(progress.log)

    def _end_stage(self) -> None:
        """Go on with the kept weights: performance goes up and down between evaluations."""
        self.core.parameters.copy_(self.best_weights)
        self.average.copy_(self.best_weights)
        progress = self.progress
        progress.stage, progress.stage_step, progress.best = progress.stage + 1, 0, -1.0

    def _diverged(self, what: str) -> DivergedError:
        kept = "keeps the last checkpoint" if self.progress.log else "has no checkpoint yet"
        return DivergedError(
            f"{what} at step {self.progress.step}; {self.out} {kept}: lower learning_rates"
        )

    def save(self) -> None:
        """Write the checkpoint, the kept weights and the log, each whole or not at all."""
        self.core.fill(self.kept, self.best_weights)
        tensors = {
            "weights": self.core.parameters,
            "average": self.average,
            "best_weights": self.best_weights,
            **self.adam.state(),
        }
        write_checkpoint(self.out, tensors, asdict(self.progress), self.kept)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint."""
        if checkpoint.progress is None:
            return
        self.core.parameters.copy_(checkpoint.tensors["weights"])
        self.average.copy_(checkpoint.tensors["average"])
        self.best_weights.copy_(checkpoint.tensors["best_weights"])
        self.adam.load_state(checkpoint.tensors)
        self.progress = Progress(**checkpoint.progress)

    def finish(self) -> Network:
        """Evaluate the network for the last time and close its folder."""
        tasks = self.config.tasks
        performance = evaluate(
            self.network, tasks, seed=FINAL_EVALUATION_SEED, n_trials=FINAL_TRIALS
        )
        evaluation = {
            "performance": performance,
            "worst": min(performance.values()),
            "n_trials": FINAL_TRIALS,
            "noise": "input and recurrent",
            "seed": FINAL_EVALUATION_SEED,
            "steps": self.progress.step,
            "seconds": round(self.progress.seconds, 1),
        }
        finish_run(self.out, self.network, evaluation)
        return self.network.cpu()


def _worst_of(log: list[dict[str, Any]]) -> str:
    performance = log[-1]["performance"]
    worst = min(performance, key=lambda task: performance[task])
    return f"worst {worst} {performance[worst]:.3f}"
