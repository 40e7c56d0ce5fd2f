"""Training: interleaved tasks, from easy to hard and from coarse to fine."""

from __future__ import annotations

import copy
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from nwbcompare.model.checkpoint import check_run_output, save_run
from nwbcompare.model.config import NetworkConfig, Stage, TrainingConfig
from nwbcompare.model.network import Network, input_of, task_cost
from nwbcompare.tasks import make_trials

EVALUATION_BATCHES, EVALUATION_BATCH_SIZE = 16, 32
FINAL_EVALUATION_SEED = 2**31
"""The root of the final evaluation's seeds; training draws its roots below it."""


class DivergedError(RuntimeError):
    """Training stopped since the cost or its gradient was no longer a number."""


def evaluate(
    network: Network,
    task: str,
    *,
    seed: int,
    dt_ms: float | None = None,
    coherence_scale: float = 1.0,
) -> float:
    """Give a network's performance on 512 random trials of a task, with both noises.

    Timing is drawn for each batch, so the trials come as 16 batches of 32: one batch would
    test one timing.

    Parameters
    ----------
    network
        The network.
    task
        The task.
    seed
        Seed of trials and noise.
    dt_ms
        Time step (ms); by default the network's.
    coherence_scale
        Factor on the coherences; 1 as published.
    """
    seeds = np.random.SeedSequence(seed).generate_state(EVALUATION_BATCHES)
    shares = []
    for batch_seed in seeds:
        trials = make_trials(
            task,
            "random",
            dt_ms=dt_ms or network.config.dt_ms,
            n_trials=EVALUATION_BATCH_SIZE,
            seed=int(batch_seed),
            coherence_scale=coherence_scale,
            sigma_x=network.config.sigma_x,
        )
        shares.append(network.performance(trials, seed=int(batch_seed)))
    return float(np.mean(shares))


def train(
    network_config: NetworkConfig,
    training_config: TrainingConfig,
    *,
    out: str | os.PathLike[str],
    overwrite: bool = False,
) -> Network:
    """Train a network and write its run folder.

    Parameters
    ----------
    network_config, training_config
        See `nwbcompare.model.default_configs`.
    out
        The run folder; written, each time whole, at every evaluation that is the best of its
        stage.
    overwrite
        Whether an existing folder may be replaced.

    Returns
    -------
    Network
        The trained network. The same configurations give the same weights, bit for bit, on
        the same kind of processor.

    Raises
    ------
    InputError
        Where ``out`` exists or cannot be written, or is a folder that holds no run.
    DivergedError
        Where the cost or its gradient is no longer finite; the folder keeps the last good
        checkpoint, if there was one.
    """
    check_run_output(out, overwrite=overwrite)
    run = _Run(Network(network_config, name=Path(out).name), training_config, Path(out))
    started = time.monotonic()
    for number, stage in enumerate(training_config.stages):
        _train_stage(run, stage, number, started)
    final = {
        task: evaluate(run.network, task, seed=FINAL_EVALUATION_SEED)
        for task in training_config.tasks
    }
    run.save(
        evaluation={
            "performance": final,
            "n_trials": EVALUATION_BATCHES * EVALUATION_BATCH_SIZE,
            "noise": "input and recurrent",
            "seed": FINAL_EVALUATION_SEED,
            "steps": run.step,
            "seconds": round(time.monotonic() - started, 1),
        }
    )
    return run.network


@dataclass
class _Run:
    """What moves during training."""

    network: Network
    config: TrainingConfig
    out: Path
    step: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.config.seed)
        self.generator = torch.Generator().manual_seed(self.config.seed)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=self.config.learning_rate)

    def save(self, evaluation: dict[str, Any] | None = None) -> None:
        save_run(
            self.network,
            self.out,
            training=self.config,
            log=self.log,
            evaluation=evaluation,
            overwrite=True,
        )


def _train_stage(run: _Run, stage: Stage, number: int, started: float) -> None:
    label = f"stage {number + 1}: dt {stage.dt_ms:g} ms, coherence x {stage.coherence_scale:g}"
    best, best_weights = -1.0, None
    for _ in tqdm(range(stage.max_steps), desc=label, disable=None):
        cost = _train_step(run, stage)
        if run.step % run.config.evaluate_every:
            continue
        performance = _evaluate_all(run, stage)
        run.log.append(
            {
                "step": run.step,
                "stage": number,
                "dt_ms": stage.dt_ms,
                "coherence_scale": stage.coherence_scale,
                "cost": cost,
                **performance,
                "seconds": round(time.monotonic() - started, 1),
            }
        )
        worst = min(performance.values())
        if worst > best:
            best, best_weights = worst, copy.deepcopy(run.network.state_dict())
            run.save()
        if best >= stage.target:
            return
    # performance goes up and down: a stage that misses its target ends with its best weights
    if best_weights is not None:
        run.network.load_state_dict(best_weights)


def _train_step(run: _Run, stage: Stage) -> float:
    network, config = run.network, run.config
    trials = make_trials(
        str(run.rng.choice(config.tasks)),
        "random",
        dt_ms=stage.dt_ms,
        n_trials=config.batch_size,
        seed=int(run.rng.integers(FINAL_EVALUATION_SEED)),
        coherence_scale=stage.coherence_scale,
        sigma_x=network.config.sigma_x,
    )
    cost = _cost(network, trials, run.generator)
    value = float(cost.detach())
    if not np.isfinite(value):
        raise _diverged(run, f"the cost is {value}")
    run.optimiser.zero_grad()
    cost.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_value_(network.parameters(), config.clip)
    # clipping bounds infinite entries, but leaves NaN, which would spoil every weight
    if not all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None):
        raise _diverged(run, "the gradient is not finite")
    run.optimiser.step()
    run.step += 1
    return value


def _diverged(run: _Run, what: str) -> DivergedError:
    kept = f"{run.out} keeps the last checkpoint" if run.log else "no checkpoint was written yet"
    return DivergedError(f"{what} at step {run.step}; {kept}: lower learning_rate")


def _cost(network: Network, trials: xr.Dataset, generator: torch.Generator) -> torch.Tensor:
    _, outputs = network(input_of(trials), dt_ms=trials.attrs["dt_ms"], generator=generator)
    return task_cost(
        outputs,
        torch.from_numpy(trials["target"].values),
        torch.from_numpy(trials["cost_mask"].values),
    )


def _evaluate_all(run: _Run, stage: Stage) -> dict[str, float]:
    seed = int(run.rng.integers(FINAL_EVALUATION_SEED))
    return {
        task: evaluate(
            run.network,
            task,
            seed=seed,
            dt_ms=stage.dt_ms,
            coherence_scale=stage.coherence_scale,
        )
        for task in run.config.tasks
    }
