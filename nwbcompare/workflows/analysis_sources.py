"""Sources of reports: a network, a model's activity in a file, a recording."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.condition_match import ConditionMatch
from nwbcompare.comparison.protocols import MatchedProtocol, parameters_of
from nwbcompare.core.activity import blocks, tasks_of
from nwbcompare.core.files import sha256_of_file
from nwbcompare.model.checkpoint import WEIGHTS
from nwbcompare.tasks.channels import RULES
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.sources import (
    find_network,
    is_activity_model,
    is_network,
    record_test_trials,
    resolve,
    run_folder,
    tasks_of_network,
    training_of,
)

FAMILY = "networks"
"""Family of models whose family is not named."""


@dataclass(eq=False)
class NetworkSource:
    """A network, with its activity on the published test trials without noise.

    Parameters
    ----------
    source
        A run folder, ``pretrained:NAME``, or a registered model that is a network.
    family
        Family of networks that it belongs to in a comparison.
    """

    source: str
    family: str = FAMILY
    match: ClassVar[None] = None
    """Networks are run on the recording's conditions."""

    def __post_init__(self) -> None:
        """Load the network."""
        self.network = find_network(self.source)
        self.tasks = tasks_of_network(self.source, self.network)

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.network.name

    @property
    def kind(self) -> str:
        """Kind of source: "network", or "control" where the rule inputs are mixed."""
        return "network" if self.network.config.rule_mixing_seed is None else "control"

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.network.config.n_units

    @cached_property
    def activity(self) -> xr.DataTree:
        """Activity on the test trials of its tasks: half a gigabyte for 20 tasks."""
        return record_test_trials(self.network, self.tasks)

    def forget(self) -> None:
        """Free the activity, which is recorded again on the next access."""
        # where cached_property keeps its value
        self.__dict__.pop("activity", None)

    def identity(self) -> dict[str, Any]:
        """Return the checksum of the weights."""
        weights = run_folder(self.source) / WEIGHTS
        if weights.is_file():
            return {"weights_sha256": sha256_of_file(weights)}
        # a registered model has no file of weights
        digest = hashlib.sha256()
        for name, values in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + values.cpu().numpy().tobytes())
        return {"weights_sha256": digest.hexdigest()}

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the weights."""
        return self.identity()

    def method(self) -> str:
        """Describe the network and its training in a clause."""
        config, training = self.network.config, training_of(self.source)
        cell = config.cell.replace("_", " ")
        network = f"a {cell} of {config.n_units} {config.nonlinearity} units"
        if training is None:
            return f"{network}, whose training is not known"
        names = ", ".join(display_name(task) for task in training.tasks)
        tasks = "all 20 tasks" if set(training.tasks) == set(RULES) else names
        return f"{network} trained on {tasks} (schedule {training.schedule!r})"


@dataclass(eq=False)
class FileSource:
    """A model's activity in a file, of which only what the file says is known.

    Attributes
    ----------
    source, family
        As of a network.
    activity
        The activity.
    match
        Conditions of the recording as conditions of the activity; None where it is compared as it
        was recorded.
    """

    source: str
    activity: xr.DataTree
    family: str = FAMILY
    match: ConditionMatch | None = None

    @cached_property
    def first(self) -> xr.Dataset:
        """The first block."""
        return next(iter(blocks(self.activity).values()))

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.first.attrs["name"])

    @property
    def protocol(self) -> str:
        """Name of the protocol on which the activity was recorded."""
        protocols = {_protocol_of(block) for block in blocks(self.activity).values()}
        # blocks on different protocols have none in common
        return protocols.pop() if len(protocols) == 1 else "as recorded"

    @property
    def n_hidden(self) -> int:
        """Number of hidden units; on the matched protocol each gives several samples."""
        # there a hidden unit is a sample on each of six axes of targets
        column = "network_unit" if "network_unit" in self.first.coords else "unit"
        return int(np.unique(self.first[column].values).size)

    def identity(self) -> dict[str, Any]:
        """Return the checksum of the file, or of the activity of a registered model."""
        path = Path(self.source)
        if path.is_file():
            return {"file_sha256": sha256_of_file(path)}
        return {"activity_sha256": activity_digest(self.activity)}

    def provenance(self) -> dict[str, Any]:
        """Return the checksum and the provenance in the file."""
        return self.identity() | {
            "protocol": self.protocol,
            "activity": json.loads(self.first.attrs["provenance"]),
        }

    def method(self) -> str:
        """Describe the model in a clause."""
        noise = "without noise" if self.first.attrs["deterministic"] else "with noise"
        return (
            f"{self.name}, {self.n_hidden} units whose training is not known, from the "
            f"file {Path(self.source).name} (protocol {self.protocol!r}, {noise})"
        )


class RecordingSource:
    """The activity of a recording, or of a model that is no network of this package.

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
        """Keep the activity: its rates are read from the file on access."""

    def identity(self) -> dict[str, Any]:
        """Return the source, with the checksum of its file or of a registered model's activity."""
        path = Path(self.source)
        checksum = {"sha256": sha256_of_file(path)} if path.is_file() else {}
        if is_activity_model(self.source):
            checksum = {"activity_sha256": activity_digest(self.activity)}
        return {"source": self.source, **checksum}


AnalysisSource = NetworkSource | RecordingSource
"""Sources with units, which the sections of ``nwbcompare analyze`` take."""


def analysis_source(source: str) -> AnalysisSource:
    """Return the network or the recording of a SOURCE."""
    return NetworkSource(source) if is_network(source) else RecordingSource(source)


def activity_digest(activity: xr.DataTree) -> str:
    """Return the SHA-256 of an activity's rates and tables."""
    digest = hashlib.sha256()
    for block in blocks(activity).values():
        digest.update(block["rate"].values.tobytes())
        # sorted: the order of columns is no part of the data
        for name in sorted(map(str, block.coords)):
            digest.update(name.encode())
            digest.update(_text_of(block[name].values).tobytes())
    return digest.hexdigest()


def _text_of(values: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Return values as text; each number is formatted once, since columns repeat few of them."""
    if values.dtype.kind not in "fiu":
        return values.astype(str)
    # by bits, which tell -0.0 from 0.0 as text does
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    _, first, inverse = np.unique(bits, return_index=True, return_inverse=True)
    return values.ravel()[first].astype(str)[inverse]


def _protocol_of(block: xr.Dataset) -> str:
    """Return the protocol on which an activity was recorded, from its provenance."""
    provenance = json.loads(block.attrs["provenance"])
    # a file that does not state its parameters has the default ones
    default = parameters_of(MatchedProtocol(), smoothed=True)
    is_default = provenance.get("matched_protocol", default) == default
    if provenance.get("protocol") == "matched" and is_default:
        return "matched"
    # test trials on another clock are not the published protocol any more
    from_start = block["time"].attrs["aligned_to"] == "trial start"
    return "published" if provenance.get("kind") == "test" and from_start else "as recorded"
