"""The recording of a comparison, or a simulated one in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import xarray as xr

from nwbcompare.comparison.protocols import simulate_recording
from nwbcompare.core.activity import blocks, make_activity, select, tasks_of
from nwbcompare.core.errors import InputError, listing
from nwbcompare.datasets.location import (
    DatasetNotFoundError,
    find_dataset,
    how_to_get,
    named_folder,
)
from nwbcompare.datasets.mante2013 import SUBJECTS, animals
from nwbcompare.datasets.registry import get_loader
from nwbcompare.workflows.sources import find_network, load, resolve

DATASET = "mante2013"
# none of the default models, which it would resemble too much
SIMULATED_FROM = "pretrained:all20-fast-3"


@dataclass(frozen=True, kw_only=True)
class RecordingChoice:
    """The recording of a comparison.

    Attributes
    ----------
    activity
        Its trials of the two tasks.
    guidance
        Where it is simulated, how to get the real one; else empty.
    left_out
        Other animals of the archive, which are not compared; else empty.
    """

    activity: xr.DataTree
    guidance: str = ""
    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordingRequest:
    """A recording of a comparison with its tasks and conditions.

    Attributes
    ----------
    source
        A SOURCE (see `nwbcompare.workflows.sources.resolve`); None as for `choose_recording`.
    name
        Its name on the page; by default that in its data.
    pair
        The two tasks; None for those of the comparison's settings.
    mapping, match
        Its conditions as those of a network, and as those of models in files; None as for
        `nwbcompare.compare`.

    Examples
    --------
    >>> RecordingRequest(source="saccades.nwb", pair=("visual", "memory")).pair
    ('visual', 'memory')
    """

    source: str | None
    name: str | None = None
    pair: tuple[str, str] | None = None
    mapping: Any = None
    match: Any = None


def requests_of(
    recording: str | Sequence[str | RecordingRequest] | None, mapping: Any, match: Any
) -> list[RecordingRequest]:
    """Return requests for one recording or several, with the mapping and match of all if unstated.

    Raises
    ------
    InputError
        For an empty sequence.
    """
    if recording is None or isinstance(recording, str):
        recording = [RecordingRequest(source=recording)]
    if not recording:
        raise InputError("recording", "at least one", "none", 'Use "mante2013?animal=ar".')
    requests = [
        one if isinstance(one, RecordingRequest) else RecordingRequest(source=str(one))
        for one in recording
    ]
    return [
        replace(
            one,
            mapping=mapping if one.mapping is None else one.mapping,
            match=match if one.match is None else one.match,
        )
        for one in requests
    ]


def choose_recording(
    source: str | None,
    pair: tuple[str, str],
    seed: int,
    *,
    name: str | None = None,
    every_animal: bool = False,
) -> RecordingChoice:
    """Load a recording's trials of two tasks.

    Parameters
    ----------
    source
        A SOURCE (see `nwbcompare.workflows.sources.resolve`). None for the first animal of Mante et
        al. 2013 on this machine (monkey A, if present), else a recording simulated from another
        network.
    pair
        The two tasks.
    seed
        Seed of the simulation.
    name
        Its name; by default that in its data.
    every_animal
        Whether to load all animals of Mante et al. 2013 where none is named, not the first alone.

    Raises
    ------
    InputError
        Where it does not exist, is a model, or lacks a task of the pair.
    """
    choice = _choose(source, seed, every_animal=every_animal)
    tasks = tasks_of(choice.activity)
    if not set(pair) <= set(tasks):
        raise InputError(
            "recording",
            f"trials of {listing(pair)}",
            listing(tasks),
            "Name a pair of tasks that both sides have (--pair A:B).",
        )
    # a selection has the type of what it is taken from
    trials = cast("xr.DataTree", select(choice.activity, task=list(pair)))
    # every analysis takes all rates, which would be read from files each time
    named = {} if name is None else {"name": name}
    activity = make_activity(
        {leaf: block.load().assign_attrs(named) for leaf, block in blocks(trials).items()}
    )
    return replace(choice, activity=activity)


def _choose(source: str | None, seed: int, *, every_animal: bool) -> RecordingChoice:
    """Return the recording that is named, or the one on this machine, or a simulated one."""
    if source is not None:
        activity = resolve(source)
        first = next(iter(blocks(activity).values()))
        # without noise there is nothing to permute, nor to correct for
        if first.attrs["source"] != "recording" or first.attrs["deterministic"]:
            raise InputError(
                "recording",
                "a recording with noisy trials",
                f"{first.attrs['name']!r}, a {first.attrs['source']}",
                "Name networks with models (--model) and a recording here.",
            )
        return RecordingChoice(activity=activity)
    try:
        present = animals(find_dataset(DATASET))
    except DatasetNotFoundError:
        # a folder that was named has to exist: no simulation in its place
        if named_folder():
            raise
        return RecordingChoice(
            activity=simulate_recording(find_network(SIMULATED_FROM), seed=seed),
            guidance=how_to_get(get_loader(DATASET)),
        )
    if every_animal:
        return RecordingChoice(activity=load(DATASET))
    first_animal, *others = present
    sentences = [
        f"{SUBJECTS.get(animal, animal)} was found too and is not compared here: "
        f'name it with --recording "{DATASET}?animal={animal}".'
        for animal in others
    ]
    return RecordingChoice(
        activity=load(DATASET, animal=first_animal),
        left_out=" ".join(sentence[0].upper() + sentence[1:] for sentence in sentences),
    )
