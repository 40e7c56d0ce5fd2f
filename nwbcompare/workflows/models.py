"""Models of a comparison, by SOURCE and family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import xarray as xr

from nwbcompare.comparison.condition_match import match_conditions
from nwbcompare.core.activity import blocks, select, tasks_of
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError, listing
from nwbcompare.workflows.analysis_sources import FAMILY, FileSource, NetworkSource
from nwbcompare.workflows.sources import is_activity_model, resolve, split_name

Model = NetworkSource | FileSource
AS_RECORDED = "as-recorded"
"""Match of activity that is compared in its own conditions."""


def load_models(
    sources: Sequence[str],
    pair: tuple[str, str],
    network_pair: tuple[str, str],
    recording: xr.DataTree | None = None,
    match: Any = None,
) -> list[Model]:
    """Load the models of a comparison.

    Parameters
    ----------
    sources
        Each a run folder, ``pretrained:NAME``, a registered model, or an NWB or netCDF file of a
        model's activity; ``FAMILY=`` before it names its family.
    pair, network_pair
        The two tasks by their names in the recording, and in networks.
    recording
        The recording, whose conditions those of activity in files are matched with; None if it is
        not there yet.
    match
        Their match (see `nwbcompare.comparison.match_conditions`), or "as-recorded" for activity
        that is compared in its own conditions. By default files of the published and of the
        matched protocol are compared so, and all others matched.

    Raises
    ------
    InputError
        Where a model does not exist, lacks a task, is a recording, or comes twice, and where its
        conditions do not match.
    """
    if not sources:
        raise InputError("models", "at least one network", "none", "Use pretrained:all20-fast-0.")
    models = [_load(text, pair, network_pair, recording, match) for text in sources]
    in_files = any(isinstance(one, FileSource) for one in models)
    if match is not None and not in_files:
        raise InputError(
            "--match",
            "a model in a file, whose conditions it is about",
            "networks alone, which are run on the recording's conditions",
            "Use --mapping for networks, or leave it out.",
        )
    _check_names(models)
    return models


def _load(
    text: str,
    pair: tuple[str, str],
    network_pair: tuple[str, str],
    recording: xr.DataTree | None,
    match: Any,
) -> Model:
    """Load one model of SOURCE or FAMILY=SOURCE."""
    name, source = split_name(text)
    family = FAMILY if name is None else name
    if not family or not source:
        raise InputError(
            "models", "SOURCE, or FAMILY=SOURCE", repr(text), "Use fast=pretrained:all20-fast-0."
        )
    path = Path(source)
    # a missing file is reported as a file, not as a network
    is_file = not path.is_dir() and (path.is_file() or path.suffix in {".nwb", ".nc"})
    if is_file or is_activity_model(source):
        activity = _activity(source)
        model = FileSource(source, activity, family)
        own = match is None and model.protocol in {"matched", "published"}
        if recording is not None and match != AS_RECORDED and not own:
            conditions = match_conditions(activity, recording, match)
            check_known(f"tasks of the match of {source!r}", pair, conditions.tasks)
            tasks = conditions.tasks[pair[0]], conditions.tasks[pair[1]]
            return replace(model, activity=_of_tasks(source, activity, tasks), match=conditions)
        return replace(model, activity=_of_tasks(source, activity, pair))
    network = NetworkSource(source, family)
    if not set(network_pair) <= set(network.tasks):
        raise InputError(
            f"model {source!r}",
            f"a network trained on {listing(network_pair)}",
            f"one trained on {listing(network.tasks)}",
            "Name tasks that it was trained on (--pair A:B), or write the network's tasks "
            "for the recorded ones in a mapping (nwbcompare mapping new; --mapping).",
        )
    return network


def _activity(source: str) -> xr.DataTree:
    """Return the activity of a model."""
    activity = resolve(source)
    first = next(iter(blocks(activity).values()))
    if first.attrs["source"] != "model":
        raise InputError(
            f"model {source!r}",
            "the activity of a model",
            f"{first.attrs['name']!r}, a {first.attrs['source']}",
            "Pass it as the recording (--recording).",
        )
    return activity


def _of_tasks(source: str, activity: xr.DataTree, tasks: tuple[str, str]) -> xr.DataTree:
    """Return the trials of two tasks."""
    if not set(tasks) <= set(tasks_of(activity)):
        raise _lacking_tasks(f"model {source!r}", tasks, tasks_of(activity))
    # a selection has the type of what it is taken from
    return cast("xr.DataTree", select(activity, task=list(tasks)))


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
            (model.protocol if model.match is None else "matched",)
            if isinstance(model, FileSource)
            else ("matched", "published")
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
