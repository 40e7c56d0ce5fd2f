"""The recording of a comparison, or what stands in for one."""

from __future__ import annotations

import os
from typing import cast

import xarray as xr

from nwbcompare.activity import blocks, make_activity, select, tasks_of
from nwbcompare.datasets import DatasetNotFoundError, get_loader, how_to_get
from nwbcompare.datasets.location import ENVIRONMENT_VARIABLE
from nwbcompare.errors import InputError, listing
from nwbcompare.protocol import simulate_recording
from nwbcompare.sources import find_network, load, resolve

DATASET = "mante2013"
SIMULATED_FROM = "pretrained:all20-fast-3"


def find_recording(source: str | None, pair: tuple[str, str], seed: int) -> tuple[xr.DataTree, str]:
    """Give the two tasks of a recording and, where it had to be simulated, how to get the real one.

    Parameters
    ----------
    source
        A SOURCE (see `nwbcompare.sources.resolve`); None for Mante et al. 2013 where it is found,
        else a recording simulated from another network.
    pair
        The two tasks.
    seed
        Seed of the simulation.

    Raises
    ------
    InputError
        Where it is not there, is a model, or lacks a task of the pair.
    """
    activity, guidance = _find(source, seed)
    known = tasks_of(activity)
    if not set(pair) <= set(known):
        raise InputError(
            "recording",
            f"trials of {listing(pair)}",
            listing(known),
            "Name a pair of tasks that both sides have (--pair A:B).",
        )
    # a selection is of the type that was given
    kept = cast("xr.DataTree", select(activity, task=list(pair)))
    # every analysis looks at all rates, and files would be read for each
    return make_activity({leaf: block.load() for leaf, block in blocks(kept).items()}), guidance


def _find(source: str | None, seed: int) -> tuple[xr.DataTree, str]:
    if source is not None:
        activity = resolve(source)
        first = next(iter(blocks(activity).values()))
        if first.attrs["source"] != "recording" or first.attrs["deterministic"]:
            raise InputError(
                "recording",
                "a recording with noisy trials",
                f"{first.attrs['name']!r}, a {first.attrs['source']}",
                "Name networks with models (--model) and a recording here.",
            )
        return activity, ""
    try:
        return load(DATASET), ""
    except DatasetNotFoundError:
        if os.environ.get(ENVIRONMENT_VARIABLE):
            raise
        return simulate_recording(find_network(SIMULATED_FROM), seed=seed), how_to_get(
            get_loader(DATASET)
        )
