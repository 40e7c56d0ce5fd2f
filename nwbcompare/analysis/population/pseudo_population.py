"""A pseudo-population: trials drawn unit by unit, as if all units were recorded together."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.decoding import shuffled_groups
from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.core.activity import (
    Activity,
    blocks,
    condition_variables_of,
    epoch_bounds,
    epoch_names,
    is_of_task,
    labels,
    make_activity,
    make_block,
    tasks_of,
    unit_columns,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.core.observations import observations
from nwbcompare.core.schema import check_activity

Column = npt.NDArray[Any]


def pseudo_population(activity: Activity, n_trials: int, *, seed: int = 0) -> xr.DataTree:
    """Draw trials of each unit by itself, as if all units had been recorded together.

    Parameters
    ----------
    activity
        An activity of one block, or a block; of a recording whose units have trials of their own,
        or of units recorded together, whose noise correlations this removes.
    n_trials
        Number of trials of each condition, drawn without replacement.
    seed
        Seed of the draw.

    Returns
    -------
    xarray.DataTree
        One dense block, ``(trial, time, unit)``: ``n_trials`` trials of each condition, task by
        task, with the condition variables as columns. The provenance has the number and the seed.

    Raises
    ------
    InputError
        For several blocks, fewer than one trial, and an activity that breaks the data model.
    NotApplicableError
        For units that have fewer trials in some condition, and epochs that differ between trials.

    Notes
    -----
    Units of one trial were not recorded together: variances and covariances over units within a
    trial say nothing about a brain. Analyses of single units are those of a subsample of trials.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> drawn = pseudo_population(example_block(), 2)["example"]
    >>> drawn["rate"].dims, drawn.sizes["trial"]
    (('trial', 'time', 'unit'), 8)
    """
    check_whole("n_trials", n_trials, 1, "Use n_trials=10.")
    block = _lone_block(activity)
    table, condition = condition_table(block)
    rates, unit_of_row, trial_of_row = observations(block)
    n_units, n_conditions = block.sizes["unit"], table.sizes["condition"]
    cell = unit_of_row * n_conditions + condition[trial_of_row]
    _check_numbers(block, np.bincount(cell, minlength=n_units * n_conditions), n_trials)
    rng = np.random.default_rng(seed)
    order, first = shuffled_groups(cell, n_units * n_conditions, rng)
    rows = order[first[:, None] + np.arange(n_trials)].reshape(n_units, -1)
    variables = condition_variables_of(block)
    names = dict.fromkeys(name for task in tasks_of(block) for name in variables[task])
    provenance = json.loads(block.attrs["provenance"])
    return make_activity(
        {
            str(block.attrs["name"]).replace("/", "_"): make_block(
                rates[rows].transpose(1, 2, 0),
                time_s=block["time"].values,
                bin_width_s=float(block["time"].attrs["bin_width_s"]),
                aligned_to=str(block["time"].attrs["aligned_to"]),
                trials={
                    name: np.repeat(labels(table[name]), n_trials) for name in ("task", *names)
                },
                units=unit_columns(block),
                epochs=_epochs(block, np.repeat(labels(table["task"]), n_trials)),
                condition_variables={task: list(variables[task]) for task in tasks_of(block)},
                source=block.attrs["source"],
                name=str(block.attrs["name"]),
                provenance=provenance | {"pseudo_population": {"n_trials": n_trials, "seed": seed}},
            )
        }
    )


def _lone_block(activity: Activity) -> xr.Dataset:
    parts = blocks(check_activity(activity))
    if len(parts) > 1:
        raise InputError(
            "activity",
            "one block, so that all trials have the same bins",
            f"{len(parts)}: {listing(parts)}",
            "Load the tasks in the same bins, or pass one block.",
        )
    return next(iter(parts.values()))


def _check_numbers(block: xr.Dataset, number: Column, n_trials: int) -> None:
    """Check that every unit has enough trials in each condition."""
    least = number.reshape(block.sizes["unit"], -1).min(axis=1)
    few = block["unit"].values[least < n_trials]
    if few.size:
        raise NotApplicableError(
            "activity",
            f"{n_trials} trials of each condition for every unit",
            f"{int(least.min())} for the unit with the fewest; fewer than {n_trials} for "
            f"{few.size} units: {listing(few, most=5)}",
            f"Leave them out: nwbcompare.datasets.select_units(activity, min_trials={n_trials}).",
        )


def _epochs(block: xr.Dataset, task: Column) -> dict[str, tuple[Column, Column]] | None:
    """Return start and stop of each epoch by trial, NaN in trials of tasks without it."""
    if "epoch" not in block.coords:
        return None
    epochs = {}
    for name in epoch_names(block):
        start, stop = np.full((2, task.size), np.nan)
        for one in tasks_of(block):
            if (bounds := epoch_bounds(block, name, is_of_task(block, one))) is not None:
                start[task == one], stop[task == one] = bounds
        epochs[name] = (start, stop)
    return epochs
