"""Training of a network on any tasks by any schedule; runs can be interrupted and resumed."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import (
    DivergedError as DivergedError,  # noqa: PLC0414 - a public name of nwbcompare.model
    InputError,
    StalledError as StalledError,  # noqa: PLC0414
    unknown_name,
)
from nwbcompare.core.files import folder_in_progress
from nwbcompare.model.adam import Adam, clip_by_norm, clip_by_value
from nwbcompare.model.batch import Batch, make_batch
from nwbcompare.model.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    check_run_output,
    digest,
    finish_run,
    is_finished,
    is_run,
    keep_milestone,
    load,
    read_checkpoint,
    start_run,
    write_checkpoint,
    write_importances,
)
from nwbcompare.model.config import NetworkConfig, Stage, TrainingConfig
from nwbcompare.model.consolidation_methods import consolidator
from nwbcompare.model.device import check_device
from nwbcompare.model.evaluation import evaluate
from nwbcompare.model.memory import check_memory
from nwbcompare.model.network import Network
from nwbcompare.model.progress import Progress, check_tensors, read_progress
from nwbcompare.model.rate_stability import Stability, measure_stability
from nwbcompare.model.shards import FastCore
from nwbcompare.model.stage_trials import StageExamples
from nwbcompare.model.step_trials import mixed_batches, single_batch, task_probabilities
from nwbcompare.model.threads import one_thread_each
from nwbcompare.model.training_noise import FreshNoise, NoisePool, NoiseSource
from nwbcompare.tasks.description import TrialDescription

FINAL_EVALUATION_SEED = 2**31
"""Seed of the final evaluation; the seeds of evaluations during training are below it."""
FINAL_TRIALS = 512
TYPICAL_TRIAL_MS = 2000
N_LOSSES, JUDGED_AFTER = 20, 100
"""Steps over which the first and the last loss of a stage are averaged; a stage with fewer than
``JUDGED_AFTER`` steps is never called stalled."""
STALLED_LOSS, STALLED_PERFORMANCE = 0.9, 0.8
"""A stage is stalled above this share of its first loss and below this performance."""
Watcher = Callable[[list[dict[str, Any]]], None]


def train(
    network_config: NetworkConfig,
    training_config: TrainingConfig,
    *,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    resume: bool = False,
    device: str = "cpu",
    start: Network | None = None,
    importances: torch.Tensor | None = None,
    watch: Watcher | None = None,
) -> Network:
    """Train a network and write its run folder.

    Parameters
    ----------
    network_config, training_config
        See `nwbcompare.model.training_config`.
    out
        The run folder. At every evaluation a checkpoint, the weights and the log are written,
        each file aside first, so that an interruption leaves no partial file.
    overwrite
        Whether an existing run may be replaced. It is kept until the new run has finished, which
        until then has the hidden name ``.NAME.replacement`` beside it.
    resume
        Whether to continue the run in ``out``, if there is one, from its last checkpoint; with
        ``overwrite``, an interrupted replacement of it. The result equals that of an uninterrupted
        run, bit for bit on the same kind of processor. A finished run is loaded.
    device
        "cpu", or "cuda" for a GPU. No test has run on a GPU (see ``docs/training.md``).
    start
        Network of the same configuration with the initial weights, for a new optimiser; by
        default the weights of the configuration's seed. It is not changed.
    importances
        For the controls of consolidation: importances after each stage of another run ``(stage,
        weight)``, from `nwbcompare.model.checkpoint.read_importances`.
    watch
        Function that is called after every evaluation with the log, one row per evaluation.

    Returns
    -------
    Network
        The trained network. Equal configurations give equal weights, bit for bit, on the same
        kind of processor.

    Raises
    ------
    InputError
        For a folder that exists, cannot be written, is no run, is of other configurations, or is
        in use by another process; for a task without a rule channel in the network, a device that
        is not available or has too little memory, a ``start`` of another configuration, and a
        control of consolidation without importances.
    DamagedCacheError
        For a damaged checkpoint.
    DivergedError
        When the loss or its gradient is not finite, or rates have exploded (see
        `nwbcompare.model.rate_stability`); the folder keeps the last checkpoint, if any.
    StalledError
        When a stage with tasks of its own ends with more than 0.9 of its first loss and a task
        below 0.8: rates have exploded, or consolidation prevents changes. The folder keeps the
        log and the weights.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> config = TrainingConfig(
    ...     tasks=("fdgo",), stages=(Stage(dt_ms=100, max_steps=2),), batch_size=4,
    ...     evaluation_trials=32)
    >>> with TemporaryDirectory() as folder:
    ...     network = train(NetworkConfig(n_units=4, dt_ms=100), config, out=Path(folder) / "small")
    >>> network.name
    'small'
    """
    for task in training_config.tasks:
        if task not in network_config.rules:
            raise unknown_name("tasks", task, network_config.rules)
    check_device(device)
    check_memory(network_config, training_config, device)
    out = Path(out)
    network = Network(network_config, name=out.name)
    if start is not None:
        _start_from(network, start)
        # part of the configuration: a run from other weights is not resumed
        training_config = replace(training_config, start=digest(start.state_dict()))
    if importances is not None:
        donor = digest({"importance": importances})
        consolidation = replace(training_config.consolidation, donor=donor)
        training_config = replace(training_config, consolidation=consolidation)
    if overwrite or not (resume and is_run(out)):
        check_run_output(out, overwrite=overwrite)
    with claimed(out), folder_in_progress(out, resume=resume, overwrite=overwrite) as folder:
        run = _Run(network, training_config, folder, device, watch, importances)
        if resume and is_run(folder):
            checkpoint = read_checkpoint(folder, network_config, training_config)
            # after the comparison of configurations, so that no other run is returned
            if is_finished(folder):
                return load(folder)
            run.load(checkpoint)
        else:
            start_run(folder, network_config, training_config, name=out.name, overwrite=overwrite)
        # rounding must not depend on the number of cores
        with one_thread_each():
            while run.progress.stage < len(training_config.stages):
                run.train_stage()
            return run.finish()


def _start_from(network: Network, start: Network) -> None:
    """Copy the weights of another network of the same configuration."""
    if replace(start.config, seed=network.config.seed) != network.config:
        raise InputError(
            "start",
            f"a network of the configuration {network.config}",
            f"{start.config}",
            "Train it with the same configuration first.",
        )
    network.load_state_dict(start.state_dict())


class _Run:
    """State of a run: its steps, stages and evaluations, and its checkpoints."""

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        out: Path,
        device: str,
        watch: Watcher | None,
        importances: torch.Tensor | None = None,
    ) -> None:
        self.config, self.out, self.watch = config, out, watch
        self.network = network.to(device)
        # no shard may be empty
        n_shards = min(config.n_shards, config.batch_size)
        self.core = FastCore(self.network, n_shards=n_shards, regularisation=config.regularisation)
        self._n_shards = n_shards
        # a copy, since the average is evaluated and training goes on from the weights
        self.evaluated = copy.deepcopy(network)
        self.noise: NoiseSource = FreshNoise(config.seed, device)
        self.adam = Adam(self.core.parameters)
        shapes = {name: part.shape for name, part in self.core.gradient_by_weight.items()}
        self.consolidator = consolidator(
            config.consolidation, self.core.parameters, shapes, importances
        )
        self._frozen = [
            part
            for name, part in self.core.gradient_by_weight.items()
            if config.trainable and name not in config.trainable
        ]
        for name in config.trainable:
            if name not in shapes:
                raise unknown_name("trainable", name, shapes)
        self._importances: list[torch.Tensor] = []
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
        # anew in every stage, since the size of a step depends on its dt
        if self.config.noise == "pool":
            self.noise = NoisePool(self.config.seed, self._step_size(), self.network.device)
        tasks = f" ({', '.join(stage.tasks)})" if stage.tasks else ""
        label = (
            f"stage {progress.stage + 1}/{len(self.config.stages)}{tasks}, dt {stage.dt_ms:g} ms"
        )
        with tqdm(
            total=stage.max_steps, initial=progress.stage_step, desc=label, disable=None
        ) as bar:
            self._check_exploded()
            done = self._is_mastered()
            while not done and progress.stage_step < stage.max_steps:
                loss = self._step()
                bar.update()
                if self._is_time_to_evaluate():
                    done = self._is_reached(loss)
                    bar.set_postfix_str(_worst_of(progress.log))
                    self.save()
                    self._check_exploded()
        if self.config.is_curriculum:
            self._check_stalled()
        self._end_stage()
        self.save()

    def _is_mastered(self) -> bool:
        """Evaluate before the first step of a stage; return whether its target is reached."""
        # learning one task after another is measured from an evaluation of the untrained network
        first = self.config.is_curriculum and not self.progress.log
        due = self.stage.target is not None or first
        return not self.progress.stage_step and due and self._is_reached(None)

    def _check_exploded(self) -> None:
        """Check that rates have not exploded at the last evaluation."""
        if not self.progress.log or not self.config.stop_exploded:
            return
        row = self.progress.log[-1]
        signs = Stability(**{part.name: row[part.name] for part in fields(Stability)})
        if signs.has_exploded:
            raise DivergedError(
                f"{self.out}: rates have exploded by step {row['step']}: the largest is "
                f"{signs.largest_rate:.3g}, {signs.saturated_outputs:.0%} of the outputs are "
                f"saturated, the weights among active units have a spectral radius of "
                f"{signs.active_spectral_radius:.3g} (all: {signs.spectral_radius:.3g}). "
                f"Raise warm_up_steps (--warm-up; here {self.config.warm_up_steps}), or lower "
                "learning_rates."
            )

    def _check_stalled(self) -> None:
        """Check that the loss has decreased over the stage."""
        progress, tasks = self.progress, self.config.tasks_of(self.stage)
        if progress.stage_step < JUDGED_AFTER:
            return
        first, last = float(np.mean(progress.first_losses)), float(np.mean(progress.last_losses))
        performance = progress.log[-1]["performance"]
        worst = min(tasks, key=lambda task: performance[task])
        if last <= STALLED_LOSS * first or performance[worst] >= STALLED_PERFORMANCE:
            return
        self.save()
        method, penalty = self.config.consolidation, ""
        remedy = "Take another seed, raise warm_up_steps (--warm-up), or lower learning_rates."
        if method.method != "none" and progress.stage > 0:
            remedy = f"Lower the consolidation's strength ({method.strength:g})."
            if self.consolidator.importance is not None:
                penalty = f", beside a penalty of {self.consolidator.penalty():.4g}"
        raise StalledError(
            f"{self.out}: stage {progress.stage + 1} ({', '.join(tasks)}) stalled: its loss was "
            f"{first:.4g} at the start and is {last:.4g} after {progress.stage_step} steps"
            f"{penalty}; {worst} is at {performance[worst]:.3f}. {remedy}"
        )

    def _step_size(self) -> int:
        """Return about how many normal numbers a step needs."""
        config = self.network.config
        n_steps = int(TYPICAL_TRIAL_MS / self.stage.dt_ms)
        return n_steps * self.config.batch_size * (config.n_inputs + config.n_units)

    def _is_time_to_evaluate(self) -> bool:
        done = self.progress.stage_step
        return done % self.config.evaluate_every == 0 or done == self.stage.max_steps

    def _step(self) -> float:
        """Take one step of training; return the loss before it."""
        progress = self.progress
        # before the shards, whose threads read the noise
        self.noise.prepare(progress.step)
        shards = self._shards()
        n_steps = max(int(shard.n_steps.max()) for shard in shards)
        # of all shards together: the loss is a mean over the batch
        n_counted = sum(int(shard.n_steps.sum()) for shard in shards)
        loss = sum(
            self.core.loss_and_gradients(
                lambda place: self._make_shard(shards, place, n_steps), n_counted
            )
        )
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        if progress.stage_step < N_LOSSES:
            progress.first_losses.append(loss)
        progress.last_losses = [*progress.last_losses[-N_LOSSES + 1 :], loss]
        self._update_weights()
        progress.step += 1
        progress.stage_step += 1
        if self.config.weight_average:
            # a shorter memory at first: else the initial weights would dominate the average
            decay = min(self.config.weight_average, progress.step / (progress.step + 10))
            self.average.lerp_(self.core.parameters, 1 - decay)
        return loss

    def _update_weights(self) -> None:
        """Change the weights by a step of Adam, restricted by the consolidation."""
        gradient, weights = self.core.gradients, self.core.parameters
        for part in self._frozen:
            part.zero_()
        # of the task alone, without penalty and clipping, as published
        task_gradient = gradient.clone() if self.config.is_curriculum else gradient
        before = weights.clone() if self.config.is_curriculum else weights
        self.consolidator.add_slope(gradient)
        clip = clip_by_norm if self.config.clip_by == "norm" else clip_by_value
        # clipping bounds infinite entries but leaves NaN, which would spread to every weight
        if not clip(gradient, self.config.clip):
            raise self._diverged("the gradient is not finite")
        self.adam.step(gradient, self._learning_rate())
        if self.config.is_curriculum:
            change = weights - before
            if self.consolidator.restrict(change):
                torch.add(before, change, out=weights)
            self.consolidator.after_step(task_gradient, change)

    def _shards(self) -> list[TrialDescription]:
        """Draw the trials of the step, and split them into shards."""
        config, progress = self.config, self.progress
        last = progress.log[-1]["performance"] if progress.log else None
        weights = task_probabilities(config.tasks_of(self.stage), config.task_weights, last)
        if config.batches == "single":
            trials = single_batch(config, self.stage, progress.step, weights)
            places = np.arange(config.batch_size)
        else:
            n_since = progress.stage_step % config.evaluate_every
            first = progress.step - n_since
            trials, all_places = mixed_batches(config, self.stage, first, tuple(weights))
            places = all_places[n_since]
        return [trials.take(places[shard :: self._n_shards]) for shard in range(self._n_shards)]

    def _make_shard(
        self, shards: list[TrialDescription], place: int, n_steps: int
    ) -> tuple[Batch, torch.Tensor]:
        """Return the batch of a shard, and its recurrent noise ``(time, trial, unit)``."""
        trials, network, dt_ms = shards[place], self.network, self.stage.dt_ms
        n_trials, n_units = trials.n_trials, network.config.n_units
        # as wide as the largest shard, so that no two share numbers
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
        rate = stop + (start - stop) * (1 + math.cos(math.pi * done)) / 2
        warm_up = self.config.warm_up_steps
        return rate * min(1.0, (self.progress.stage_step + 1) / warm_up) if warm_up else rate

    def _is_reached(self, loss: float | None) -> bool:
        """Evaluate, keep the best weights of the stage; return whether the target is reached."""
        progress, target = self.progress, self.stage.target
        weights = self.average if self.config.weight_average else self.core.parameters
        self.core.fill(self.evaluated, weights)
        performance = self._evaluate()
        worst = min(performance[task] for task in self.config.tasks_of(self.stage))
        if target is None or worst > progress.best:
            progress.best = max(worst, progress.best)
            self.best_weights.copy_(weights)
        self._add_to_log(loss, performance)
        self._keep_milestones(performance)
        return target is not None and worst >= target

    def _keep_milestones(self, performance: dict[str, float]) -> None:
        """Write the weights at the first evaluation that reaches a milestone."""
        if not self.config.milestones:
            return
        worst = min(performance[t] for t in self.config.milestone_tasks or self.config.tasks)
        for level in self.config.milestones:
            if worst >= level and level not in self.progress.reached:
                keep_milestone(self.out, level, self.evaluated)
                self.progress.reached.append(level)

    def _evaluation_seed(self) -> int:
        rng = np.random.default_rng((self.config.seed, 2, self.progress.step))
        return int(rng.integers(FINAL_EVALUATION_SEED))

    def _evaluate(self) -> dict[str, float]:
        """Evaluate the present weights on all tasks, on trials like those of the stage."""
        # the evaluation at the end of a stage is a result of its own, so it has more trials
        at_end = self.config.is_curriculum and self.progress.stage_step == self.stage.max_steps
        return evaluate(
            self.evaluated,
            self.config.tasks,
            seed=self._evaluation_seed(),
            n_trials=FINAL_TRIALS if at_end else self.config.evaluation_trials,
            dt_ms=self.stage.dt_ms,
            coherence_scale=self.stage.coherence_scale,
            easy=self.stage.easy,
        )

    def _add_to_log(self, loss: float | None, performance: dict[str, float]) -> None:
        progress, stage = self.progress, self.stage
        stability = measure_stability(
            self.evaluated,
            self.config.tasks_of(stage),
            seed=self._evaluation_seed(),
            dt_ms=stage.dt_ms,
            coherence_scale=stage.coherence_scale,
            easy=stage.easy,
        )
        now = time.monotonic()
        progress.seconds += now - self._clock
        self._clock = now
        progress.log.append(
            {
                "step": progress.step,
                "stage": progress.stage,
                "dt_ms": stage.dt_ms,
                "coherence_scale": stage.coherence_scale,
                "loss": loss,
                "seconds": round(progress.seconds, 1),
                **asdict(stability),
                "performance": performance,
            }
        )
        if self.watch is not None:
            self.watch(progress.log)

    def _end_stage(self) -> None:
        """End the stage with its best or its last weights, and consolidate."""
        if self.config.keep == "best":
            self.core.parameters.copy_(self.best_weights)
            self.average.copy_(self.best_weights)
        else:
            self.best_weights.copy_(self.core.parameters)
        progress = self.progress
        if self.config.is_curriculum:
            self.consolidator.end_stage(
                StageExamples(self.network, self.config, self.stage, progress.step)
            )
            if self.consolidator.importance is not None:
                self._importances.append(self.consolidator.importance.cpu().clone())
        progress.stage, progress.stage_step, progress.best = progress.stage + 1, 0, -1.0
        progress.first_losses, progress.last_losses = [], []

    def _diverged(self, what: str) -> DivergedError:
        state = "keeps the last checkpoint" if self.progress.log else "has no checkpoint yet"
        return DivergedError(
            f"{what} at step {self.progress.step}; {self.out} {state}: lower learning_rates"
        )

    def save(self) -> None:
        """Write the checkpoint, the best weights and the log."""
        self.core.fill(self.evaluated, self.best_weights)
        write_checkpoint(self.out, self._tensors(), asdict(self.progress), self.evaluated)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of a checkpoint."""
        return {
            "weights": self.core.parameters,
            "average": self.average,
            "best_weights": self.best_weights,
            **self.adam.state(),
            **{f"consolidation.{k}": v for k, v in self.consolidator.state().items()},
            **{f"importances.{place}": one for place, one in enumerate(self._importances)},
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint, after checks that this run can have written it."""
        if checkpoint.progress is None:
            return
        file = self.out / CHECKPOINT
        progress = read_progress(checkpoint.progress, self.config, file)
        has_importances = self.config.is_curriculum and self.consolidator.importance is not None
        n_importances = progress.stage if has_importances else 0
        names = [f"importances.{place}" for place in range(n_importances)]
        # importances have the shape of the weights
        expected = self._tensors() | dict.fromkeys(names, self.core.parameters)
        check_tensors(checkpoint.tensors, expected, file)
        self.core.parameters.copy_(checkpoint.tensors["weights"])
        self.average.copy_(checkpoint.tensors["average"])
        self.best_weights.copy_(checkpoint.tensors["best_weights"])
        self.adam.load_state(checkpoint.tensors)
        prefix, tensors = "consolidation.", checkpoint.tensors
        self.consolidator.load_state(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
        self._importances = [tensors[name] for name in names]
        self.progress = progress

    def finish(self) -> Network:
        """Evaluate the trained network and finish its folder."""
        tasks = self.config.tasks
        easy = self.config.stages[-1].easy
        performance = evaluate(
            self.network, tasks, seed=FINAL_EVALUATION_SEED, n_trials=FINAL_TRIALS, easy=easy
        )
        evaluation = {
            "performance": performance,
            "worst": min(performance.values()),
            "n_trials": FINAL_TRIALS,
            "noise": "input and recurrent",
            "easy": easy,
            "seed": FINAL_EVALUATION_SEED,
            "steps": self.progress.step,
            "seconds": round(self.progress.seconds, 1),
        }
        if self._importances:
            write_importances(self.out, torch.stack(self._importances))
        finish_run(self.out, self.network, evaluation)
        return self.network.cpu()


def _worst_of(log: list[dict[str, Any]]) -> str:
    performance = log[-1]["performance"]
    worst = min(performance, key=lambda task: performance[task])
    return f"worst {worst} {performance[worst]:.3f}"
