"""Training of the networks of a study, side by side, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nwbcompare.core.claim import held_by
from nwbcompare.core.errors import DivergedError, InputError, StalledError
from nwbcompare.core.files import written_aside
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.model.checkpoint import (
    WEIGHTS,
    is_finished,
    is_run,
    read_evaluation,
    read_importances,
)
from nwbcompare.model.training import train
from nwbcompare.workflows.study_plan import StudyPlan
from nwbcompare.workflows.training_regimes import REGIMES, TrainingRegime, chains_of, read_regime

RUNS, FAILURE = "runs", "failure.txt"


@dataclass(frozen=True)
class StudyNetwork:
    """A network of a study.

    Attributes
    ----------
    regime, seed
        Name of its regime, and its seed.
    folder
        Its run folder.
    failure
        Why it was not trained to its end; empty where it was.
    """

    regime: str
    seed: int
    folder: Path
    failure: str = ""

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.regime}-{self.seed}"


def run_folder_of(out: Path, regime: str, seed: int) -> Path:
    """Return the run folder of a network."""
    return out / RUNS / f"{regime.replace(' ', '-')}-{seed}"


def name_of(run: Path) -> tuple[str, int]:
    """Return the name of the regime and the seed of a run folder of a study.

    Raises
    ------
    InputError
        Where `run_folder_of` gives no folder of this name.

    Examples
    --------
    >>> name_of(Path("runs/elastic-200-3"))
    ('elastic 200', 3)
    """
    regime, _, seed = run.name.rpartition("-")
    if regime not in REGIMES:
        regime = read_regime(":".join(regime.rsplit("-", 1))).name
    if not seed.isdecimal():
        raise InputError(
            str(run), "a run folder REGIME-SEED", repr(run.name), "Move it out of the study's runs."
        )
    return regime, int(seed)


def train_networks(out: Path, plan: StudyPlan, *, n_jobs: int = 1) -> list[StudyNetwork]:
    """Train the networks of a plan that are not finished in a folder.

    Parameters
    ----------
    out
        The folder; run folders lie under ``runs``.
    plan
        Networks and training.
    n_jobs
        Processes, each training one network after another on one core. The networks do not
        depend on their number.

    Returns
    -------
    list of StudyNetwork
        By regime, then seed; those whose loss diverged or whose training stalled have a failure.
    """
    (out / RUNS).mkdir(parents=True, exist_ok=True)
    # controls are in the job of the regime whose importances they take
    jobs: list[Job] = [
        (f"{chain[0].name}, seed {seed}", _train_chain, (out, plan, seed, chain))
        for seed in range(plan.n_networks)
        for chain in chains_of(plan.all_regimes)
        if seed in plan.seeds_of(chain[0].name)
    ]
    chains, _ = run_all(jobs, n_jobs, "networks")
    networks = [network for chain in chains for network in chain]
    order = list(plan.all_regimes)
    # jobs are by seed, tables by regime
    return sorted(networks, key=lambda one: (order.index(one.regime), one.seed))


def find_networks(runs: Path, plan: StudyPlan) -> list[StudyNetwork]:
    """Return the networks of a plan that have been trained in a folder.

    Parameters
    ----------
    runs
        The folder of `train_networks`.
    plan
        Networks and training.

    Returns
    -------
    list of StudyNetwork
        By regime, then seed; those that do not exist, are not finished or have no weights have a
        failure.
    """
    return [
        StudyNetwork(regime, seed, folder, _failure(folder))
        for regime in plan.all_regimes
        for seed in plan.seeds_of(regime)
        for folder in [run_folder_of(runs, regime, seed)]
    ]


def _failure(folder: Path) -> str:
    """Return why a network cannot be measured; empty where it can."""
    if (folder / FAILURE).is_file():
        return (folder / FAILURE).read_text().strip()
    if not is_run(folder):
        return "not trained"
    if not is_finished(folder):
        # the holder tells a run in progress from an interrupted one
        return f"not finished: {holder}" if (holder := held_by(folder)) else "not finished"
    if not (folder / WEIGHTS).is_file():
        return "its weights were not kept"
    return ""


def _train_chain(
    out: Path, plan: StudyPlan, seed: int, chain: Sequence[TrainingRegime]
) -> list[StudyNetwork]:
    """Train a regime, then the controls that take its importances; these fail where it fails."""
    first, controls = chain[0], chain[1:]
    network = _train_one(out, plan, first, seed)
    if not network.failure:
        return [network, *(_train_one(out, plan, regime, seed) for regime in controls)]
    why = f"the {first.title} network of seed {seed}, whose importances it takes, failed"
    return [
        network,
        *(StudyNetwork(r.name, seed, run_folder_of(out, r.name, seed), why) for r in controls),
    ]


def _train_one(out: Path, plan: StudyPlan, regime: TrainingRegime, seed: int) -> StudyNetwork:
    """Train one network, or return it as it is where it is finished or has failed before."""
    folder = run_folder_of(out, regime.name, seed)
    # a run without a final evaluation was interrupted, and is continued
    if is_run(folder) and read_evaluation(folder):
        return StudyNetwork(regime.name, seed, folder)
    if (folder / FAILURE).is_file():
        # training is deterministic: it would fail again
        return StudyNetwork(regime.name, seed, folder, (folder / FAILURE).read_text().strip())
    donor = regime.donor
    try:
        train(
            *plan.configs_of(regime, seed),
            out=folder,
            resume=True,
            importances=read_importances(run_folder_of(out, donor, seed)) if donor else None,
        )
    except (DivergedError, StalledError) as error:
        # the file is published: paths of this machine stay out of it
        failure = str(error).removeprefix(f"{folder}: ").replace(str(folder), folder.name)
        with written_aside(folder / FAILURE) as aside:
            aside.write_text(failure + "\n")
        return StudyNetwork(regime.name, seed, folder, failure)
    return StudyNetwork(regime.name, seed, folder)
