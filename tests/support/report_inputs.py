"""Small recordings and networks for reports that take a few seconds."""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.schedules import training_config
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.section import Refusal
from nwbcompare.workflows.settings import Settings

CONTEXTS = ("contextdm1", "contextdm2")
SMALL = {"n_permutations": 5, "n_bootstrap": 20, "n_draws": 1, "include_untrained": True}
"""Few random draws, and findings about networks as they start out."""
WITHOUT_DECODING = [
    name
    for name, section in sections_of("compare").items()
    if name != "population" and not section.is_long
]
"""Sections of a comparison but that on populations, which takes the longest."""


def not_applicable(*_):
    """Return a refusal in place of results; other processes can import it."""
    return Refusal("Needed: time; here: none.")


def check_tidy_tables(folder):
    """Check that each table of a report has rows of one kind.

    Where rows of two kinds are stacked, a column of one and a column of the other never have a
    value in the same row.
    """
    files = sorted(folder.glob("tables/*.csv")) + sorted(folder.glob("figures/*.csv"))
    assert files
    for file in files:
        known = pd.read_csv(file).dropna(axis="columns", how="all").notna()
        for a, b in combinations(known, 2):
            assert (known[a] & known[b]).any(), f"{file.name}: {a}, {b}"


def recording_of(values):
    """What a report with one recording says of its provenance."""
    (one,) = values["provenance"]["recordings"].values()
    return one


def settings(**changes):
    return Settings(**SMALL | changes)


@cache
def _simulated(**options):
    """A recording made from a network of the package; callers copy it before they change it."""
    return nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-3"), **options)


def brain(
    n_units=16,
    trials=4,
    *,
    variables=("coherence_1_sign",),
    tasks=CONTEXTS,
    mapped=True,
    network=None,
    seed=0,
):
    """A simulated recording; by default with two conditions a task, so that decoding is fast.

    Without a mapping it passes for a recording of animals.
    """
    options = {"n_units": n_units, "trials_per_condition": trials, "seed": seed}
    simulated = (
        nc.comparison.simulate_recording(network, **options) if network else _simulated(**options)
    )
    block = simulated["simulated"].to_dataset().copy(deep=True)
    # enough sessions for tests over them
    block = block.assign_coords(session=("unit", [f"day {place // 2}" for place in range(n_units)]))
    provenance = json.loads(block.attrs["provenance"])
    if not mapped:
        del provenance["mapping"], provenance["simulated"]
    return renamed(block, tasks).assign_attrs(
        condition_variables=json.dumps({task: list(variables) for task in tasks}),
        provenance=json.dumps(provenance),
    )


def renamed(block, tasks):
    """A block whose two context tasks go by other names."""
    first = nc.labels(block["task"]) == CONTEXTS[0]
    return block.assign_coords(task=(block["task"].dims[0], np.where(first, *tasks)))


def in_two_blocks(block, n_bins):
    """A block taken apart by task, the second task cut to fewer bins."""
    parts = {}
    for task, own in json.loads(block.attrs["condition_variables"]).items():
        part = block.isel(observation=np.flatnonzero(nc.labels(block["task"]) == task))
        parts[task] = part.assign_attrs(condition_variables=json.dumps({task: own}))
    parts[task] = parts[task].isel(time=slice(0, n_bins))
    return parts


def written(path, activity):
    """Write a block or blocks as netCDF."""
    parts = activity if isinstance(activity, dict) else {"a": activity}
    nc.make_activity(parts).to_netcdf(path, engine="h5netcdf")
    return str(path)


def network_in(folder, name, seed=0):
    """A small network as it starts out, in a run folder."""
    network = Network(NetworkConfig(n_units=16, rules=CONTEXTS, seed=seed), name=name)
    return str(save_run(network, folder / name, training=training_config(CONTEXTS)))
