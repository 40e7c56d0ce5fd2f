"""Learning a new task by its rule input alone, after others (Yang et al. 2019, Fig. 7e)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from nwbcompare.core.checks import check_above_zero, check_whole
from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.process_pool import ends_with_parent
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
"""The tasks that networks learn first, by the name of the set."""
TARGETS = ("contextdelaydm1", "delayanti")
"""The tasks learned afterwards: the first is made of what set A has, the second of set B's."""
RULE_WEIGHT = "rule_weight"
LEARNED: dict[str, tuple[str, ...]] = {"rules": (RULE_WEIGHT,), "all": ()}
"""The weights that learn them, by the name of the experiment; none means all."""

Curve = tuple[str, str, str]
"""Set of pretraining, target, and what is learned."""


@dataclass(frozen=True, kw_only=True)
class RuleLearning:
    """How long networks learn, and how large they are; the defaults are the published ones.

    Attributes
    ----------
    n_units
        Hidden units.
    pretraining_steps, learning_steps
        Most steps of 64 trials, before (2e6 trials) and on the new task (1e6 trials).
    pretraining_target, learning_target
        Performance of the worst task at which they end early.
    evaluation_trials
        Random trials of each task at an evaluation, a multiple of 32; every 500 steps of
        pretraining, and every 50 of learning.
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
    """The configurations of one network: learning has one for each target and what is learned."""

    network: NetworkConfig
    pretraining: TrainingConfig
    learning: dict[tuple[str, str], TrainingConfig]


def rule_learning_configs(
    pretraining: str, *, seed: int = 0, settings: RuleLearning | None = None
) -> Configs:
    """Give the configurations by which a network learns a set of tasks, and then a new one.

    Parameters
    ----------
    pretraining
        The set of tasks it learns first, "A" or "B".
    seed
        Seed of weights, trials and noise. Networks of one seed begin with the same weights.
    settings
        Lengths and sizes; by default the published ones.

    Returns
    -------
    Configs
        The network, its pretraining, and its learning by ``(target, what)``: which task of
        `TARGETS`, and whether "rules" or "all" weights learn it. For `train`; learning starts
        from the pretrained network.

    Raises
    ------
    InputError
        For an unknown set and settings that are no numbers of steps, trials or units.

    Notes
    -----
    As in Yang et al. 2019 and its reference implementation: relu units whose recurrent weights
    start as a scaled identity, rules with an input map of their own, a loss of 1e-8 on rates,
    the standard variants of the tasks, drawn equally. Trained weights are the last ones. All
    rows of the rule map learn, and since all rule channels carry noise, all of them move (see
    `moved_rows`). The noise comes from a pool that is renewed bit by bit (see
    `nwbcompare.model.training_noise`), which is not so in the reference.

    Examples
    --------
    >>> network, pretraining, learning = rule_learning_configs("A", seed=3)
    >>> pretraining.tasks, pretraining.stages[0].max_steps
    (('contextdm1', 'contextdm2', 'contextdelaydm2'), 31250)
    >>> learning["delayanti", "rules"].trainable
    ('rule_weight',)
    """
    if pretraining not in PRETRAINING:
        raise unknown_name("pretraining", pretraining, PRETRAINING)
    asked = settings or RuleLearning()
    network = NetworkConfig(
        n_units=asked.n_units, nonlinearity="relu", separate_rule_input=True, seed=seed
    )
    first = TrainingConfig(
        tasks=PRETRAINING[pretraining],
        stages=(
            Stage(dt_ms=20, max_steps=asked.pretraining_steps, target=asked.pretraining_target),
        ),
        schedule="rule learning",
        noise="pool",
        regularisation=Regularisation(l1_rate=1e-8),
        evaluate_every=500,
        evaluation_trials=asked.evaluation_trials,
        n_shards=1,
        keep="last",
        seed=seed,
    )
    then = Stage(dt_ms=20, max_steps=asked.learning_steps, target=asked.learning_target)
    learning = {
        (target, what): replace(
            first, tasks=(target,), stages=(then,), trainable=weights, evaluate_every=50
        )
        for target in TARGETS
        for what, weights in LEARNED.items()
    }
    return Configs(network, first, learning)


def learn_rules(
    out: str | os.PathLike[str],
    *,
    n_networks: int = 4,
    settings: RuleLearning | None = None,
    n_jobs: int = 1,
) -> dict[str, str]:
    """Pretrain networks on both sets, and let each learn both targets, by rules and by all.

    What is finished under ``out`` is not trained again, and what was stopped goes on where it
    was: the weights are those of an unbroken run, bit for bit on the same kind of processor.

    Parameters
    ----------
    out
        The folder of run folders: ``SET-SEED`` after pretraining, ``SET-SEED-TARGET-WHAT`` after
        learning.
    n_networks
        Networks of each set, of the seeds from 0 on.
    settings
        Lengths and sizes; by default the published ones.
    n_jobs
        Processes; each trains with one thread.

    Returns
    -------
    dict of str to str
        What is left out, and why; see `left_out`.

    Raises
    ------
    InputError
        Where a run under ``out`` has other settings, or ``out`` cannot be written or is written
        to by another process.

    Notes
    -----
    A network whose pretraining ends below its target learns no new task: what it could learn by
    its rules would say nothing about what it had learned.
    """
    check_whole("n_networks", n_networks, 1, "Use n_networks=4.")
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    chains = [(name, seed) for seed in range(n_networks) for name in PRETRAINING]
    asked, folder = settings or RuleLearning(), Path(out)
    with claimed(folder), tqdm(total=len(chains), desc="networks", disable=None) as bar:
        for _ in _side_by_side(folder, chains, asked, n_jobs):
            bar.update()
    return left_out(out)


def _side_by_side(
    out: Path, chains: list[tuple[str, int]], settings: RuleLearning, n_jobs: int
) -> Iterator[None]:
    if n_jobs == 1:
        for name, seed in chains:
            _train_chain(out, name, seed, settings, quiet=False)
            yield
        return
    from joblib import Parallel, delayed  # noqa: PLC0415 - only where there is much to do

    pool = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from pool(
        delayed(ends_with_parent(_train_chain))(out, name, seed, settings, quiet=True)
        for name, seed in chains
    )


def _train_chain(out: Path, name: str, seed: int, settings: RuleLearning, *, quiet: bool) -> None:
    """Pretrain one network, and let it learn the targets."""
    network, pretraining, learning = rule_learning_configs(name, seed=seed, settings=settings)
    # the bars of several processes would write over each other
    with redirect_stderr(io.StringIO()) if quiet else nullcontext():
        start = _trained(run_folder(out, name, seed), network, pretraining)
        if _shortfall(run_folder(out, name, seed)):
            return
        for (target, what), config in learning.items():
            _trained(run_folder(out, name, seed, target, what), network, config, start)


def run_folder(out: str | os.PathLike[str], *parts: object) -> Path:
    """Give the folder of a run: the set, the seed, and of learning the target and what learns."""
    return Path(out) / "-".join(map(str, parts))


def _trained(
    out: Path, network: NetworkConfig, training: TrainingConfig, start: Network | None = None
) -> Network:
    """Load a finished run, or train what it lacks."""
    if not (is_run(out) and read_evaluation(out)):
        return train(network, training, out=out, resume=True, start=start)
    if start is not None:
        training = replace(training, start=digest(start.state_dict()))
    found, asked = as_json(*read_configs(out)), as_json(network, training)
    differing = [
        setting
        for part in asked
        for setting, value in asked[part].items()
        if found[part][setting] != value
    ]
    if differing:
        raise InputError(
            str(out),
            "a run of the same settings",
            f"another one, which differs in {listing(differing)}",
            "Repeat the settings of its campaign, or train to another folder.",
        )
    return load(out)


def _shortfall(pretrained: Path) -> str:
    """Say by how much a pretraining has missed its target; empty where it has not."""
    training, last = read_configs(pretrained)[1], read_log(pretrained)[-1]
    worst = min(last["performance"], key=last["performance"].__getitem__)
    reached, target = last["performance"][worst], training.stages[-1].target or 0.0
    if reached >= target:
        return ""
    return f"pretraining ended with {worst} at {reached:.3f}, below {target:g}"


def left_out(out: str | os.PathLike[str]) -> dict[str, str]:
    """Say which runs of `learn_rules` do not count, and why.

    Parameters
    ----------
    out
        Its folder.

    Returns
    -------
    dict of str to str
        By the name of the run folder: pretrainings that ended below their target, and runs that
        have not ended. Empty where all count.

    Raises
    ------
    InputError
        Where there are no such runs.
    """
    reasons = {
        folder.name: "not finished" if not read_evaluation(folder) else _shortfall(folder)
        for folder, parts in _runs(out).items()
        if len(parts) == 2 or not read_evaluation(folder)
    }
    return {name: reason for name, reason in reasons.items() if reason}


def finished_runs(out: str | os.PathLike[str]) -> dict[Curve, dict[str, Path]]:
    """Give the folders of all learning that has ended.

    Parameters
    ----------
    out
        The folder of `learn_rules`.

    Returns
    -------
    dict
        By ``(set, target, what)``, the run folder of each network by its seed.

    Raises
    ------
    InputError
        Where there are no such runs.
    """
    found: dict[Curve, dict[str, Path]] = {}
    for folder, parts in _runs(out).items():
        if len(parts) == 4 and read_evaluation(folder):
            name, seed, target, what = parts
            found.setdefault((name, target, what), {})[seed] = folder
    return found


def _runs(out: str | os.PathLike[str]) -> dict[Path, list[str]]:
    """Give the run folders of a campaign with the parts of their names, in order of seeds."""
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
    order = sorted(parts_of.items(), key=lambda item: (item[1][0], int(item[1][1]), item[1][2:]))
    return dict(order)


def _is_ours(parts: list[str]) -> bool:
    name, seed, *rest = parts
    if name not in PRETRAINING or not seed.isdigit():
        return False
    return not rest or (len(rest) == 2 and rest[0] in TARGETS and rest[1] in LEARNED)
