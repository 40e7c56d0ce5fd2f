"""Sources of an analysis: a network, or a recording."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.core.activity import blocks, tasks_of
from nwbcompare.core.files import sha256_of_file
from nwbcompare.model.checkpoint import WEIGHTS
from nwbcompare.workflows.sources import (
    find_network,
    is_network,
    record_test_trials,
    resolve,
    run_folder,
    tasks_of as tasks_of_run,
)


class NetworkSource:
    """A network, and its activity on the published test trials, without noise.

    Parameters
    ----------
    source
        A run folder or ``pretrained:NAME``.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.network = find_network(source)
        self.name = self.network.name
        self.tasks = tasks_of_run(run_folder(source))

    @property
    def kind(self) -> str:
        """Return "network", or "control" for a network whose rules enter mixed."""
        return "network" if self.network.config.rule_mixing_seed is None else "control"

    @cached_property
    def activity(self) -> xr.DataTree:
        """Its activity, which fills half a gigabyte for 20 tasks; `forget` lets it go."""
        return record_test_trials(self.network, self.tasks)

    def forget(self) -> None:
        """Let go of the activity; it is made again when it is asked for again."""
        self.__dict__.pop("activity", None)

    def identity(self) -> dict[str, Any]:
        """Return what is analysed, so that results of something else are not taken for its own."""
        return {"weights_sha256": sha256_of_file(run_folder(self.source) / WEIGHTS)}


class RecordingSource:
    """Recorded activity: sections that need a network are left out for it.

    Parameters
    ----------
    source
        A SOURCE of the command line (see `nwbcompare.workflows.sources.resolve`).
    """

    kind = "recording"
    network = None

    def __init__(self, source: str) -> None:
        self.source = source
        self.activity = resolve(source)
        self.name = str(next(iter(blocks(self.activity).values())).attrs["name"])
        self.tasks = tuple(tasks_of(self.activity))

    def forget(self) -> None:
        """Keep the activity, which is read when it is looked at."""

    def identity(self) -> dict[str, Any]:
        """Return what is analysed, so that results of something else are not taken for its own."""
        path = Path(self.source)
        known = {"sha256": sha256_of_file(path)} if path.is_file() else {}
        return {"source": self.source, **known}


AnalysisSource = NetworkSource | RecordingSource


def analysis_source(source: str) -> AnalysisSource:
    """Return the network or the recording that a SOURCE names."""
    return NetworkSource(source) if is_network(source) else RecordingSource(source)
