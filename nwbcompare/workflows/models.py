"""Models of a comparison, by SOURCE and family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import xarray as xr

from nwbcompare.core.activity import blocks, select, tasks_of
from nwbcompare.core.errors import InputError, listing
from nwbcompare.workflows.analysis_sources import FAMILY, FileSource, NetworkSource
from nwbcompare.workflows.sources import is_activity_model, resolve

Model = NetworkSource | FileSource


def load_models(
    sources: Sequence[str], pair: tuple[str, str], network_pair: tuple[str, str]
) -> list[Model]:
    """Load the models of a comparison.

    Parameters
    ----------
    sources
        Each a run folder, ``pretrained:NAME``, a registered model, or an NWB or netCDF file of a
        model's activity; ``FAMILY=`` before it names its family.
    pair, network_pair
        The two tasks by their names in the recording, and in networks.

    Raises
    ------
    InputError
        Where a model does not exist, lacks a task, is a recording, or comes twice.
    """
    if not sources:
        raise InputError("models", "at least one network", "none", "Use pretrained:all20-fast-0.")
    models = [_load(text, pair, network_pair) for text in sources]
    _check_names(models)
    return models


def _load(text: str, pair: tuple[str, str], network_pair: tuple[str, str]) -> Model:
    """Load one model of SOURCE or FAMILY=SOURCE."""
    head, equals, rest = text.partition("=")
    # a path, and the options of a source, may contain "="
    has_family = bool(equals) and "?" not in head and not Path(text).exists()
    family, source = (head, rest) if has_family else (FAMILY, text)
    if not family or not source:
        raise InputError(
            "models", "SOURCE, or FAMILY=SOURCE", repr(text), "Use fast=pretrained:all20-fast-0."
        )
    path = Path(source)
    # a missing file is reported as a file, not as a network
    is_file = not path.is_dir() and (path.is_file() or path.suffix in {".nwb", ".nc"})
    if is_file or is_activity_model(source):
        return FileSource(source, _activity(source, pair), family)
    network = NetworkSource(source, family)
    if not set(network_pair) <= set(network.tasks):
        raise InputError(
            f"model {source!r}",
            f"a network trained on {listing(network_pair)}",
            f"one trained on {listing(network.tasks)}",
            "Name a pair of tasks that it was trained on (--pair A:B), or leave it out.",
        )
    return network


def _activity(source: str, pair: tuple[str, str]) -> xr.DataTree:
    """Return the activity of a model in the two tasks."""
    activity = resolve(source)
    first = next(iter(blocks(activity).values()))
    if first.attrs["source"] != "model":
        raise InputError(
            f"model {source!r}",
            "the activity of a model",
            f"{first.attrs['name']!r}, a {first.attrs['source']}",
            "Pass it as the recording (--recording).",
        )
    tasks = tasks_of(activity)
    if not set(pair) <= set(tasks):
        raise _lacking_tasks(f"model {source!r}", pair, tasks)
    # a selection has the type of what it is taken from
    return cast("xr.DataTree", select(activity, task=list(pair)))


def _lacking_tasks(subject: str, pair: tuple[str, str], tasks: Sequence[str]) -> InputError:
    return InputError(
        subject,
        f"trials of {listing(pair)}",
        listing(tasks),
        "Name a pair of tasks that both sides have (--pair A:B), or record the model on both, "
        "e.g. with nwbcompare.record_matched.",
    )


def _check_names(models: Sequence[Model]) -> None:
    """Check that tables can tell all models apart."""
    rows = Counter(
        (model.name, protocol)
        for model in models
        for protocol in (
            # networks are recorded on both protocols, a file has one
            (model.protocol,) if isinstance(model, FileSource) else ("matched", "published")
        )
    )
    (name, protocol), number = rows.most_common(1)[0]
    if number > 1:
        raise InputError(
            "models",
            "each name once on each protocol",
            f"{name!r} {number} times on protocol {protocol!r}",
            "Leave one out, or record it under another name: nwbcompare.record(..., name=...).",
        )
