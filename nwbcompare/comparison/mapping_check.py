"""What each condition of a recording becomes by a mapping, before a network is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.comparison.protocol_mapping import (
    ProtocolMapping,
    looked_up,
    mapping_name,
    network_bounds,
    read_mapping,
)
from nwbcompare.comparison.recorded_trials import cut_to_correspondence
from nwbcompare.comparison.spike_variability import recorded_block
from nwbcompare.core.activity import Activity, epoch_bounds, is_of_task, labels, tasks_of
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.observations import observations
from nwbcompare.tasks.trials import make_trials


def check_mapping(recording: Activity, mapping: Any = None) -> xr.Dataset:
    """Return what each recorded condition becomes, and how many trials it has.

    Parameters
    ----------
    recording
        The recording, of one block.
    mapping
        See `read_mapping`; by default that of the recording's archive.

    Returns
    -------
    xarray.Dataset
        On ``condition``: the coordinates ``task``, ``network_task``, and the recorded columns that
        the mapping names; the variables of the network's tasks as ``given_NAME`` (directions in
        degrees; NaN in tasks without the variable), and ``n_trials`` and ``least_trials``, the
        median and the least number of trials over units. ``attrs["notes"]`` are sentences on what
        the mapping leaves out.

    Raises
    ------
    InputError
        As `read_mapping`, and for columns, epochs and values that the recording lacks or the
        mapping does not name, epochs of unequal length, and values that the network's tasks do
        not have. The message names file, line and key.
    NotApplicableError
        For rates without noise, and an epoch with unequal bounds or without a bin.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> recording = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=2)
    >>> conditions = check_mapping(recording)
    >>> conditions.sizes["condition"], conditions["given_coherence_1"].values[:7:6].tolist()
    (72, [-0.25, -0.075])
    """
    whole = recorded_block(recording)
    mapping = read_mapping(mapping, mapping_name(whole))
    with _with_lines(mapping):
        block = cut_to_correspondence(whole, mapping)
        table, condition = condition_table(block, mapping.columns)
        given = _given(mapping, table, block)
    n_conditions = table.sizes["condition"]
    _, unit, trial = observations(block)
    counts = np.bincount(
        unit * n_conditions + condition[trial], minlength=block.sizes["unit"] * n_conditions
    ).reshape(-1, n_conditions)
    counts = counts[counts.any(axis=1)]
    network_task = [mapping.tasks[task] for task in table["task"].values]
    numbers = {
        **given,
        "n_trials": ("condition", np.median(counts, axis=0)),
        "least_trials": ("condition", counts.min(axis=0)),
    }
    conditions = table.assign_coords(network_task=("condition", network_task)).assign(numbers)
    return conditions.assign_attrs(notes=_notes(mapping, whole, table))


def _given(
    mapping: ProtocolMapping, table: xr.Dataset, block: xr.Dataset
) -> dict[str, tuple[str, npt.NDArray[np.float64]]]:
    """Return the network's variables, after a check that it can be shown them in its epoch."""
    columns = {name: np.full(table.sizes["condition"], np.nan) for name in mapping.conditions}
    for task in dict.fromkeys(table["task"].values):
        rows = np.flatnonzero(table["task"].values == task)
        numbers = mapping.numbers(mapping.tasks[task], table.isel(condition=rows), 0.0)
        try:
            trials = make_trials(
                mapping.tasks[task],
                "psychometric",
                conditions=numbers,
                stimulus_ms=mapping.stimulus_ms,
                delay_ms=mapping.delay_ms,
            )
        except InputError as error:
            # it names the argument: a variable, or a duration
            key = error.subject.replace("['", ".").replace("']", "")
            raise InputError(mapping.where(key), error.expected, error.got, error.remedy) from error
        bounds = epoch_bounds(block, mapping.epoch, is_of_task(block, task))
        # cut_to_correspondence has refused recordings without the epoch
        if bounds is not None:
            network_bounds(mapping, trials, bounds, block["time"].attrs["bin_width_s"])
        for name, values in numbers.items():
            is_angle = name.startswith("direction")
            columns[name][rows] = np.degrees(values) if is_angle else values
    return {f"given_{name}": ("condition", values) for name, values in columns.items()}


def _notes(mapping: ProtocolMapping, block: xr.Dataset, table: xr.Dataset) -> list[str]:
    """Return sentences on recorded tasks and written values that the mapping does not use."""
    recorded = tasks_of(block)
    notes = []
    if absent := [task for task in recorded if task not in mapping.tasks]:
        notes.append(f"Recorded tasks that the mapping leaves out: {listing(absent)}.")
    if absent := [task for task in mapping.tasks if task not in recorded]:
        notes.append(f"Tasks of the mapping that were not recorded: {listing(absent)}.")
    for name, parameter in mapping.conditions.items():
        if parameter.column is None or parameter.values is None:
            continue
        found = np.unique(labels(table[parameter.column]))
        absent = [
            key
            for key in parameter.values
            if not any(looked_up({key: 0.0}, value) is not None for value in found)
        ]
        if absent:
            where = mapping.where(f"conditions.{name}.values")
            notes.append(f"{where}: never recorded: {listing(absent)}.")
    return notes


@contextmanager
def _with_lines(mapping: ProtocolMapping) -> Iterator[None]:
    """Add the line of the file to errors that name the file and a key of it."""
    try:
        yield
    except InputError as error:
        start = f"{mapping.origin}, "
        key = error.subject.removeprefix(start)
        if not error.subject.startswith(start) or key.startswith("line "):
            raise
        raise InputError(mapping.where(key), error.expected, error.got, error.remedy) from error
