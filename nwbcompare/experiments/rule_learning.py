"""Learning of a new task by changing its rule input only (Yang et al. 2019, Fig. 7e)."""

from __future__ import annotations

import io
import os
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nwbcompare.core.checks import check_above_zero, check_known, check_whole
from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.model.checkpoint import (
    digest,
    is_run,
    load,
    read_configs,
    read_evaluation,
    read_log,
)
from nwbcompare.model.config import NetworkConfig, Regularisation, Stage, TrainingConfig, as_json
from nwbcompare.model.network import Network
from nwbcompare.model.training import train

PRETRAINING: dict[str, tuple[str, ...]] = {
    "A": ("contextdm1", "contextdm2", "contextdelaydm2"),
    "B": ("fdgo", "fdanti", "delaygo"),
}
"""Tasks of pretraining, by the name of the set."""
TARGETS = ("contextdelaydm1", "delayanti")
"""Tasks learned after pretraining: the first is composed of tasks of set A, the second of set B."""
RULE_WEIGHT = "rule_weight"
LEARNED: dict[str, tuple[str, ...]] = {"rules": (RULE_WEIGHT,), "all": ()}
"""Trainable weights while learning, by the name of the experiment; empty for all weights."""

Curve = tuple[str, str, str]
"""Set of pretraining, target task, and trainable weights ("rules" or "all")."""


@dataclass(frozen=True, kw_only=True)
class RuleLearning:
    """Sizes of networks and lengths of training; the defaults are the published ones.

    Attributes
    ----------
    n_units
        Number of hidden units.
    pretraining_steps, learning_steps
        Maximal number of steps of 64 trials in pretraining (2e6 trials) and on the new task
        (1e6 trials).
    pretraining_target, learning_target
        Performance of the worst task at which training ends early.
    evaluation_trials
        Random trials of each task in an evaluation, a multiple of 32; evaluations are every 500
        steps of pretraining and every 50 steps of learning.
    """

    n_units: int = 128
    pretraining_steps: int = 31_250
    learning_steps: int = 15_625
    pretraining_target: float = 0.97
    learning_target: float = 0.97
    evaluation_trials: int = 512

    def __post_init__(self) -> None:
        check_whole("pretraining_steps", self.pretraining_steps, 1, "Use pretraining_steps=31250.")
        check_whole("learning_steps", self.learning_steps, 1, "Use learning_steps=15625.")
        for name in ("pretraining_target", "learning_target"):
            check_above_zero(name, getattr(self, name), f"Use {name}=0.97.")


class Configs(NamedTuple):
    """Configurations of one network; learning has one for each target and set of weights."""

    network: NetworkConfig
    pretraining: TrainingConfig
    learning: dict[tuple[str, str], TrainingConfig]


def rule_learning_configs(
    pretraining: str, *, seed: int = 0, settings: RuleLearning | None = None
) -> Configs:
    """Make the configurations for pretraining a network and for learning new tasks.

    Parameters
    ----------
    pretraining
        The set of tasks of pretraining, "A" or "B".
    seed
        Seed of weights, trials and noise. Networks of one seed have the same initial weights.
    settings
        Lengths and sizes; by default the published ones.

    Returns
    -------
    Configs
        For `nwbcompare.model.train`: the network, its pretraining, and its learning by ``(target,
        weights)``, where the target is one of `TARGETS` and the trainable weights are "rules" or
        "all". Learning starts from the pretrained network.

    Raises
    ------
    InputError
        For an unknown set, and invalid numbers of steps, trials or units.

    Notes
    -----
    As in Yang et al. 2019 and its reference implementation: relu units, recurrent weights
    initialised as a scaled identity, separate input weights of rules, L1 regularisation of rates
    of 1e-8, and standard task variants with equal probability. The trained weights are those of
    the last step. All rows of the rule weights are trained; since all rule channels have noise,
    all change (see `nwbcompare.experiments.moved_rows`). Unlike in the reference, noise comes from
    a pool that is partly renewed in each step (see `nwbcompare.model.training_noise`).

    Examples
    --------
    >>> network, pretraining, learning = rule_learning_configs("A", seed=3)
    >>> pretraining.tasks, pretraining.stages[0].max_steps
    (('contextdm1', 'contextdm2', 'contextdelaydm2'), 31250)
    >>> learning["delayanti", "rules"].trainable
    ('rule_weight',)
    """
    check_known("pretraining", [pretraining], PRETRAINING)
    settings = settings or RuleLearning()
    network = NetworkConfig(
        n_units=settings.n_units, nonlinearity="relu", separate_rule_input=True, seed=seed
    )
    first = TrainingConfig(
        tasks=PRETRAINING[pretraining],
        stages=(
            Stage(
                dt_ms=20, max_steps=settings.pretraining_steps, target=settings.pretraining_target
            ),
        ),
        schedule="rule learning",
        noise="pool",
        regularisation=Regularisation(l1_rate=1e-8),
        evaluate_every=500,
        evaluation_trials=settings.evaluation_trials,
        # one thread a network, since networks are trained side by side
        n_shards=1,
        # the weights of the last step, as published, not the best ones
        keep="last",
        seed=seed,
    )
    then = Stage(dt_ms=20, max_steps=settings.learning_steps, target=settings.learning_target)
    learning = {
        (target, name): replace(
            first, tasks=(target,), stages=(then,), trainable=weights, evaluate_every=50
        )
        for target in TARGETS
        for name, weights in LEARNED.items()
    }
    return Configs(network, first, learning)


def learn_rules(
    out: str | os.PathLike[str],
    *,
    n_networks: int = 4,
    settings: RuleLearning | None = None,
    n_jobs: int = 1,
) -> dict[str, str]:
    """Pretrain networks on both sets, then train each on both targets, by rules and by all weights.

    Finished runs under ``out`` are not repeated, and interrupted ones continue from their last
    checkpoint; on the same kind of processor, weights equal those of an uninterrupted run.

    Parameters
    ----------
    out
        Parent of the run folders: ``SET-SEED`` of pretraining, ``SET-SEED-TARGET-WEIGHTS`` of
        learning.
    n_networks
        Number of networks of each set, with seeds from 0.
    settings
        Lengths and sizes; by default the published ones.
    n_jobs
        Number of processes; each trains with one thread.

    Returns
    -------
    dict of str to str
        Excluded runs with the reason; see `left_out`.

    Raises
    ------
    InputError
        If a run under ``out`` has other settings, and if ``out`` cannot be written or is in use by
        another process.

    Notes
    -----
    A network whose pretraining ends below its target is not trained on new tasks, since these
    would not be composed of learned tasks.
    """
    check_whole("n_networks", n_networks, 1, "Use n_networks=4.")
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    chains = [(name, seed) for seed in range(n_networks) for name in PRETRAINING]
    settings, folder = settings or RuleLearning(), Path(out)
    with claimed(folder):
        # progress bars of several processes would overwrite each other
        jobs: list[Job] = [
            (f"{name}, seed {seed}", _train_chain, (folder, name, seed, settings, n_jobs > 1))
            for name, seed in chains
        ]
        run_all(jobs, n_jobs, "networks")
    return left_out(out)


def _train_chain(
    out: Path,
    name: str,
    seed: int,
    settings: RuleLearning,
    quiet: bool,  # noqa: FBT001 - arguments of a job are positional
) -> None:
    """Pretrain one network, then train it on the targets."""
    network, pretraining, learning = rule_learning_configs(name, seed=seed, settings=settings)
    with redirect_stderr(io.StringIO()) if quiet else nullcontext():
        start = _trained(run_folder(out, name, seed), network, pretraining)
        # new tasks would not be composed of learned ones
        if _shortfall(run_folder(out, name, seed)):
            return
        for (target, weights), config in learning.items():
            _trained(run_folder(out, name, seed, target, weights), network, config, start)


def run_folder(out: str | os.PathLike[str], *parts: object) -> Path:
    """Return the folder of a run, from its set, seed and, of learning, target and weights.

    Examples
    --------
    >>> run_folder("out", "A", 0, "delayanti", "rules").name
    'A-0-delayanti-rules'
    """
    return Path(out) / "-".join(map(str, parts))


def _trained(
    out: Path, network: NetworkConfig, training: TrainingConfig, start: Network | None = None
) -> Network:
    """Load a finished run, or train the rest of it."""
    if not (is_run(out) and read_evaluation(out)):
        return train(network, training, out=out, resume=True, start=start)
    if start is not None:
        # a run that began with other weights is another run
        training = replace(training, start=digest(start.state_dict()))
    trained, expected = as_json(*read_configs(out)), as_json(network, training)
    differing = [
        setting
        for part in expected
        for setting, value in expected[part].items()
        if trained[part][setting] != value
    ]
    if differing:
        raise InputError(
            str(out),
            "a run of the same settings",
            f"another one, which differs in {listing(differing)}",
            "Use the settings of that run, or another folder.",
        )
    return load(out)


def _shortfall(pretrained: Path) -> str:
    """Return the reason why a pretraining failed: performance below its target; else no text."""
    training, last = read_configs(pretrained)[1], read_log(pretrained)[-1]
    worst = min(last["performance"], key=last["performance"].__getitem__)
    performance, target = last["performance"][worst], training.stages[-1].target or 0.0
    if performance >= target:
        return ""
    return f"pretraining ended with {worst} at {performance:.3f}, below {target:g}"


def left_out(out: str | os.PathLike[str]) -> dict[str, str]:
    """Return the runs of `learn_rules` that are excluded, with the reason.

    Parameters
    ----------
    out
        The folder of `learn_rules`.

    Returns
    -------
    dict of str to str
        Reason by name of the run folder, for pretraining that ended below its target and for
        unfinished runs.

    Raises
    ------
    InputError
        For a folder without such runs.
    """
    reasons = {
        folder.name: "not finished" if not read_evaluation(folder) else _shortfall(folder)
        for folder, parts in _runs(out).items()
        if len(parts) == 2 or not read_evaluation(folder)
    }
    return {name: reason for name, reason in reasons.items() if reason}


def finished_runs(out: str | os.PathLike[str]) -> dict[Curve, dict[str, Path]]:
    """Return the folders of finished learning.

    Parameters
    ----------
    out
        The folder of `learn_rules`.

    Returns
    -------
    dict
        Run folder of each network by its seed, by ``(set, target, weights)``.

    Raises
    ------
    InputError
        For a folder without such runs.
    """
    folders: dict[Curve, dict[str, Path]] = {}
    for folder, parts in _runs(out).items():
        if len(parts) == 4 and read_evaluation(folder):
            name, seed, target, weights = parts
            folders.setdefault((name, target, weights), {})[seed] = folder
    return folders


def _runs(out: str | os.PathLike[str]) -> dict[Path, list[str]]:
    """Return the run folders with the parts of their names, by set and seed."""
    parts_of = {
        folder: folder.name.split("-")
        for folder in Path(out).glob("*-*")
        if is_run(folder) and _is_ours(folder.name.split("-"))
    }
    if not parts_of:
        raise InputError(
            str(out),
            "a folder with runs such as A-0 and A-0-delayanti-rules",
            "none",
            "Train them with nwbcompare.experiments.rule_learning.learn_rules.",
        )
    # seeds by number: as text 10 comes before 2
    order = sorted(parts_of.items(), key=lambda item: (item[1][0], int(item[1][1]), item[1][2:]))
    return dict(order)


def _is_ours(parts: list[str]) -> bool:
    name, seed, *rest = parts
    if name not in PRETRAINING or not seed.isdigit():
        return False
    return not rest or (len(rest) == 2 and rest[0] in TARGETS and rest[1] in LEARNED)
