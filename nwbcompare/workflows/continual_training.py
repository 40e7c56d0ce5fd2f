"""Training all networks of a comparison, side by side, stopped and resumed at will."""

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
from nwbcompare.workflows.continual_settings import Settings
from nwbcompare.workflows.training_configs import configs_of
from nwbcompare.workflows.training_regimes import (
    REGIMES,
    chains_of,
    donor_of,
    read_regime,
    shown_name,
)

RUNS, FAILURE = "runs", "failure.txt"


@dataclass(frozen=True)
class Trained:
    """What became of one network.

    Attributes
    ----------
    regime, seed
        Which it is.
    folder
        Its run folder.
    failure
        Why it was not trained to its end; empty where it was.
    """

    regime: str
    seed: int
    folder: Path
    failure: str = ""


def run_folder_of(out: Path, regime: str, seed: int) -> Path:
    """Give the run folder of a network."""
    return out / RUNS / f"{regime.replace(' ', '-')}-{seed}"


def name_of(run: Path) -> tuple[str, int]:
    """Return the regime and the seed of a run folder of a study.

    Raises
    ------
    InputError
        Where its name is none that `run_folder_of` gives.

    Examples
    --------
    >>> name_of(Path("runs/elastic-200-3"))
    ('elastic 200', 3)
    """
    regime, _, seed = run.name.rpartition("-")
    if regime not in REGIMES:
        regime = read_regime(":".join(regime.rsplit("-", 1)))
    if not seed.isdecimal():
        raise InputError(
            str(run), "a run folder REGIME-SEED", repr(run.name), "Move it out of the study's runs."
        )
    return regime, int(seed)


def train_networks(out: Path, settings: Settings, *, n_jobs: int = 1) -> list[Trained]:
    """Train the networks of all regimes and seeds that are not finished in a folder.

    Parameters
    ----------
    out
        The folder; run folders lie under ``runs``.
    settings
        Which, and how.
    n_jobs
        Processes, each training one network after another on one core. The networks do not
        depend on their number.

    Returns
    -------
    list of Trained
        By regime, then seed; those whose loss diverged or whose training stalled say so.
    """
    (out / RUNS).mkdir(parents=True, exist_ok=True)
    jobs: list[Job] = [
        (f"{chain[0]}, seed {seed}", _train_chain, (out, settings, seed, chain))
        for seed in range(settings.n_networks)
        for chain in chains_of(settings.all_regimes)
        if seed in settings.seeds_of(chain[0])
    ]
    found, _ = run_all(jobs, n_jobs, "networks")
    done = [one for chain in found for one in chain]
    order = settings.all_regimes
    return sorted(done, key=lambda one: (order.index(one.regime), one.seed))


def find_networks(runs: Path, settings: Settings) -> list[Trained]:
    """Find the networks of all regimes and seeds that have been trained in a folder.

    Parameters
    ----------
    runs
        The folder of `train_networks`.
    settings
        Which networks.

    Returns
    -------
    list of Trained
        By regime, then seed; those that are not there, not finished or without weights say so.
    """
    return [
        Trained(regime, seed, folder, _why_not(folder))
        for regime in settings.all_regimes
        for seed in settings.seeds_of(regime)
        for folder in [run_folder_of(runs, regime, seed)]
    ]


def _why_not(folder: Path) -> str:
    """Say why a network cannot be measured; empty where it can."""
    if (folder / FAILURE).is_file():
        return (folder / FAILURE).read_text().strip()
    if not is_run(folder):
        return "not trained"
    if not is_finished(folder):
        return f"not finished: {held}" if (held := held_by(folder)) else "not finished"
    if not (folder / WEIGHTS).is_file():
        return "its weights were not kept"
    return ""


def _train_chain(out: Path, settings: Settings, seed: int, chain: Sequence[str]) -> list[Trained]:
    first = _train_one(out, settings, chain[0], seed)
    if not first.failure:
        return [first, *(_train_one(out, settings, regime, seed) for regime in chain[1:])]
    why = f"the {shown_name(chain[0])} network of seed {seed}, whose importances it takes, failed"
    return [
        first,
        *(Trained(regime, seed, run_folder_of(out, regime, seed), why) for regime in chain[1:]),
    ]


def _train_one(out: Path, settings: Settings, regime: str, seed: int) -> Trained:
    folder = run_folder_of(out, regime, seed)
    if is_run(folder) and read_evaluation(folder):
        return Trained(regime, seed, folder)
    if (folder / FAILURE).is_file():
        return Trained(regime, seed, folder, (folder / FAILURE).read_text().strip())
    network, training = configs_of(regime, seed, settings)
    donor = donor_of(regime)
    try:
        train(
            network,
            training,
            out=folder,
            resume=True,
            importances=read_importances(run_folder_of(out, donor, seed)) if donor else None,
        )
    except (DivergedError, StalledError) as error:
        # its path is nobody's business but its own
        failure = str(error).removeprefix(f"{folder}: ").replace(str(folder), folder.name)
        with written_aside(folder / FAILURE) as aside:
            aside.write_text(failure + "\n")
        return Trained(regime, seed, folder, failure)
    return Trained(regime, seed, folder)
