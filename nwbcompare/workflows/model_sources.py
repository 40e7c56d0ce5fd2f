"""The models of a comparison: networks that are recorded for it, and activity in files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from nwbcompare.comparison.protocols import MatchedProtocol, parameters_of
from nwbcompare.core.activity import blocks, select, tasks_of
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.files import sha256_of_file
from nwbcompare.model.checkpoint import WEIGHTS, read_training
from nwbcompare.model.network import Network
from nwbcompare.tasks.channels import RULES
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.sources import find_network, open as open_source, run_folder

FAMILY = "networks"
"""The family of models that are not said to be of one."""


@dataclass(frozen=True)
class Run:
    """A network that is recorded for the comparison."""

    family: str
    source: str
    network: Network

    @property
    def name(self) -> str:
        """What figures and tables call it."""
        return self.network.name

    @property
    def n_hidden(self) -> int:
        """Its number of units."""
        return self.network.config.n_units

    def provenance(self) -> dict[str, Any]:
        """Say which weights were used."""
        return {"weights_sha256": sha256_of_file(run_folder(self.source) / WEIGHTS)}

    def method(self) -> str:
        """Say what the network is and how it came about."""
        config, training = self.network.config, read_training(run_folder(self.source))
        cell = config.cell.replace("_", " ")
        made = f"a {cell} of {config.n_units} {config.nonlinearity} units"
        if training is None:
            return f"{made}, whose training is not known"
        names = ", ".join(display_name(task) for task in training.tasks)
        tasks = "all 20 tasks" if set(training.tasks) == set(RULES) else names
        return f"{made} trained on {tasks} (schedule {training.schedule!r})"


@dataclass(frozen=True)
class File:
    """A model's activity in a file, of which nothing is known but what the file says."""

    family: str
    source: str
    activity: xr.DataTree

    @cached_property
    def first(self) -> xr.Dataset:
        """The first block."""
        return next(iter(blocks(self.activity).values()))

    @property
    def name(self) -> str:
        """What figures and tables call it."""
        return str(self.first.attrs["name"])

    @property
    def protocol(self) -> str:
        """Which protocol it was recorded on."""
        labels = {_protocol_of(block) for block in blocks(self.activity).values()}
        return labels.pop() if len(labels) == 1 else "as recorded"

    @property
    def n_hidden(self) -> int:
        """Its number of units; on the matched protocol each gives several samples."""
        column = "network_unit" if "network_unit" in self.first.coords else "unit"
        return int(np.unique(self.first[column].values).size)

    def provenance(self) -> dict[str, Any]:
        """Give the file's checksum and what it says of itself."""
        return {
            "file_sha256": sha256_of_file(self.source),
            "protocol": self.protocol,
            "activity": json.loads(self.first.attrs["provenance"]),
        }

    def method(self) -> str:
        """Say what the file says."""
        noise = "without noise" if self.first.attrs["deterministic"] else "with noise"
        return (
            f"{self.name}, {self.n_hidden} units whose training is not known, from the "
            f"file {Path(self.source).name} (protocol {self.protocol!r}, {noise})"
        )


Model = Run | File


def find_models(
    sources: Sequence[str], pair: tuple[str, str], network_pair: tuple[str, str]
) -> list[Model]:
    """Find the models that SOURCEs name.

    Parameters
    ----------
    sources
        Each a run folder, ``pretrained:NAME``, or an NWB or netCDF file of a model's activity;
        with ``FAMILY=`` before it, it belongs to a family of models.
    pair, network_pair
        The two tasks, and what they are to a network.

    Raises
    ------
    InputError
        Where one is not there, does not know a task, is no model, or comes twice.
    """
    if not sources:
        raise InputError("models", "at least one network", "none", "Use pretrained:all20-fast-0.")
    models = [_find(source, pair, network_pair) for source in sources]
    _check_names(models)
    return models


def families(models: Sequence[Model]) -> dict[str, list[Model]]:
    """Give the models by family, in the order in which they were named."""
    found: dict[str, list[Model]] = {}
    for model in models:
        found.setdefault(model.family, []).append(model)
    return found


def _find(named: str, pair: tuple[str, str], network_pair: tuple[str, str]) -> Model:
    head, equals, rest = named.partition("=")
    # a path may hold "=": what is there is meant
    family, source = (head, rest) if equals and not Path(named).exists() else (FAMILY, named)
    if not family or not source:
        raise InputError(
            "models", "SOURCE, or FAMILY=SOURCE", repr(named), "Use fast=pretrained:all20-fast-0."
        )
    path = Path(source)
    if not path.is_dir() and (path.is_file() or path.suffix in {".nwb", ".nc"}):
        return File(family, source, _open(path, pair))
    network = find_network(source)
    if not set(network_pair) <= set(network.config.rules):
        raise _lacking(f"model {source!r}", network_pair, network.config.rules)
    return Run(family, source, network)


def _open(path: Path, pair: tuple[str, str]) -> xr.DataTree:
    """Open a file and give what it holds of the two tasks."""
    activity = open_source(path)
    first = next(iter(blocks(activity).values()))
    if first.attrs["source"] != "model":
        raise InputError(
            f"model {str(path)!r}",
            "the activity of a model",
            f"{first.attrs['name']!r}, a {first.attrs['source']}",
            "Give it as the recording (--recording).",
        )
    known = tasks_of(activity)
    if not set(pair) <= set(known):
        raise _lacking(f"model {str(path)!r}", pair, known)
    # a selection is of the type that was given
    return cast("xr.DataTree", select(activity, task=list(pair)))


def _lacking(subject: str, pair: tuple[str, str], known: Sequence[str]) -> InputError:
    return InputError(
        subject,
        f"trials of {listing(pair)}",
        listing(known),
        "Name a pair of tasks that both sides have (--pair A:B), or record the model on both, "
        "e.g. with nwbcompare.record_matched.",
    )


def _protocol_of(block: xr.Dataset) -> str:
    """Tell from its provenance which of the protocols an activity was recorded on."""
    made = json.loads(block.attrs["provenance"])
    usual = parameters_of(MatchedProtocol(), smoothed=True)
    if made.get("protocol") == "matched" and made.get("matched_protocol", usual) == usual:
        return "matched"
    whole = block["time"].attrs["aligned_to"] == "trial start"
    return "published" if made.get("kind") == "test" and whole else "as recorded"


def _check_names(models: Sequence[Model]) -> None:
    """Refuse what the tables could not tell apart."""
    labels = Counter(
        (model.name, model.protocol if isinstance(model, File) else shown)
        for model in models
        for shown in (("",) if isinstance(model, File) else ("matched", "published"))
    )
    (name, protocol), number = labels.most_common(1)[0]
    if number > 1:
        raise InputError(
            "models",
            "each name once on each protocol",
            f"{name!r} {number} times on protocol {protocol!r}",
            "Leave one out, or record it under another name: nwbcompare.record(..., name=...).",
        )
