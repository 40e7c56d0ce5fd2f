"""What the programme is asked about: a network or a recording, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from nwbcompare.core.activity import blocks, tasks_of
from nwbcompare.core.checks import check_whole
from nwbcompare.core.files import sha256_of_file
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.sources import (
    find_network,
    is_network,
    record_test_trials,
    resolve,
    run_folder,
    tasks_of as tasks_of_run,
)

if TYPE_CHECKING:
    from nwbcompare.model.network import Network

LEAST_TRIALS = 64
"""Two batches of the lesions' trials."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the programme is run.

    Attributes
    ----------
    seed
        Seed of everything random.
    n_surrogates
        Surrogates of the null for clusters, and of ePAIRS.
    n_rotations
        Random rotations of the units.
    n_permutations
        Permutations of group labels.
    n_trials
        Random trials of each task for each lesion.

    Raises
    ------
    InputError
        For numbers that are too small or not whole.
    """

    seed: int = 0
    n_surrogates: int = 999
    n_rotations: int = 1000
    n_permutations: int = 9999
    n_trials: int = 512

    def __post_init__(self) -> None:
        """Refuse numbers that no part can work with, before any part has begun."""
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_whole("n_surrogates", self.n_surrogates, 1, "Use n_surrogates=999.")
        check_whole("n_rotations", self.n_rotations, 1, "Use n_rotations=1000.")
        check_whole("n_permutations", self.n_permutations, 1, "Use n_permutations=9999.")
        check_whole("n_trials", self.n_trials, LEAST_TRIALS, "Intervals need two batches: 512.")


class Subject:
    """One source: its activity, and its network where it has one.

    Parameters
    ----------
    source
        A SOURCE of the command line (see `nwbcompare.workflows.sources.resolve`).
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.network: Network | None = find_network(source) if is_network(source) else None

    @cached_property
    def activity(self) -> xr.DataTree:
        """Its activity: of a network on the published test trials, without noise.

        It fills half a gigabyte for 20 tasks; `forget` lets it go.
        """
        if self.network is not None:
            return record_test_trials(self.network, self.tasks)
        return resolve(self.source)

    def forget(self) -> None:
        """Let go of the activity; it is made again when it is asked for again."""
        if self.network is not None:
            self.__dict__.pop("activity", None)

    @cached_property
    def name(self) -> str:
        """What figures and tables call it."""
        if self.network is not None:
            return self.network.name
        return str(next(iter(blocks(self.activity).values())).attrs["name"])

    @property
    def kind(self) -> str:
        """Give "network", "control" (a network whose rules enter mixed) or "recording"."""
        if self.network is None:
            return "recording"
        return "network" if self.network.config.rule_mixing_seed is None else "control"

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Its tasks."""
        if self.network is not None:
            return tasks_of_run(run_folder(self.source))
        return tuple(tasks_of(self.activity))

    @property
    def shown(self) -> dict[str, str]:
        """Names of its tasks as papers write them."""
        return {task: display_name(task) for task in self.tasks}

    def identity(self) -> dict[str, Any]:
        """Say what is analysed, so that results of something else are not taken for its own."""
        if self.network is not None:
            from nwbcompare.model.checkpoint import WEIGHTS  # noqa: PLC0415 - imports torch

            folder = run_folder(self.source)
            return {"weights_sha256": sha256_of_file(folder / WEIGHTS)}
        path = Path(self.source)
        known = {"sha256": sha256_of_file(path)} if path.is_file() else {}
        return {"source": self.source, **known}
