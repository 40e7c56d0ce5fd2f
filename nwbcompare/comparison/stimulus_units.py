"""Units that know the stimulus alone, in the conditions of a recording: a reference of models."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.comparison.recorded_trials import RecordedTrials
from nwbcompare.core.activity import labels, make_activity, make_block, tasks_of
from nwbcompare.core.errors import NotApplicableError


def stimulus_units(recorded: RecordedTrials, *, n_units: int = 256, seed: int = 0) -> xr.DataTree:
    """Make the activity of units that respond to the recorded conditions, alike in all tasks.

    Parameters
    ----------
    recorded
        The recorded trials, whose condition variables are the stimulus.
    n_units
        Number of units.
    seed
        Seed of the units' preferences.

    Returns
    -------
    xarray.DataTree
        One block, "stimulus alone", with a trial for each recorded condition and the recording's
        epoch. The rate of a unit is a sum of random numbers, one for each value of the condition
        variables that all tasks have, and constant in time: FTV is 0 where tasks have the same
        stimuli.

    Raises
    ------
    NotApplicableError
        For tasks without a condition variable in common.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> recording = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=2)
    >>> recorded = RecordedTrials.of(recording, nc.comparison.read_mapping("mante2013"))
    >>> variance = nc.task_variance(stimulus_units(recorded))
    >>> ftv = nc.fractional_task_variance(variance, "contextdm1", "contextdm2")
    >>> bool(abs(ftv["fractional_task_variance"]).max() < 1e-5)
    True
    """
    table, block = recorded.table, recorded.block
    by_task = {
        task: list(recorded.correspondence.columns_of(task).values()) for task in tasks_of(block)
    }
    common = [name for name in table.coords if all(name in names for names in by_task.values())]
    if not common:
        raise NotApplicableError(
            "recording", "a condition variable that all tasks have", "none", "Name one."
        )
    rng = np.random.default_rng(seed)
    drive = np.zeros((table.sizes["condition"], n_units))
    for name in common:
        _, level = np.unique(labels(table[name]), return_inverse=True)
        drive += rng.standard_normal((level.max() + 1, n_units))[level]
    rates = np.repeat((drive - drive.min(axis=0))[:, None], block.sizes["time"], axis=1)
    start, stop = recorded.epoch
    columns = {name for names in by_task.values() for name in names}
    units = make_block(
        rates,
        time_s=block["time"].values,
        bin_width_s=recorded.bin_width_s,
        aligned_to=block["time"].attrs["aligned_to"],
        trials={"task": labels(table["task"]), **{name: labels(table[name]) for name in columns}},
        units={"unit": [f"s{unit:03d}" for unit in range(n_units)]},
        epochs={recorded.correspondence.epoch: (start, stop)},
        condition_variables=by_task,
        source="model",
        name="stimulus alone",
        deterministic=True,
    )
    return make_activity({"stimulus alone": units})
