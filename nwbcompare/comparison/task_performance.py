"""Performance of networks in the conditions of a recording, and what permuted targets give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.comparison.protocol_mapping import mapping_name, read_mapping
from nwbcompare.comparison.recorded_trials import cut_to_correspondence
from nwbcompare.comparison.spike_variability import recorded_block
from nwbcompare.core.activity import Activity
from nwbcompare.model.network import Network, at_last_step, input_of, is_correct
from nwbcompare.tasks.trials import make_trials

Floats = npt.NDArray[np.float64]
CRITERION = 0.6
"""Least share of what lies between chance and 1: a performance of 0.8 where chance is 0.5."""


def task_performance(network: Network, recording: Activity, mapping: Any = None) -> xr.Dataset:
    """Compute a network's performance in the conditions of a recording, without noise.

    Parameters
    ----------
    network
        The network.
    recording
        The recording, of one block.
    mapping
        See `nwbcompare.comparison.read_mapping`; by default that of the recording's archive.

    Returns
    -------
    xarray.Dataset
        On ``task`` (the recorded ones that the mapping names): ``performance``, the share of
        recorded trials in whose condition the network's response is correct (see
        `nwbcompare.model.network.is_correct`), the mean over the mapping's axes; ``chance``, that
        share if targets are permuted over the trials of a task (the mean over all permutations,
        which is exact); ``score``, (performance - chance) / (1 - chance), which is 1 for all
        trials correct and 0 for responses that do not depend on the target; and ``n_conditions``.

    Raises
    ------
    InputError, NotApplicableError
        As `nwbcompare.comparison.check_mapping`, and for a network without the tasks' rules.

    Notes
    -----
    Where every trial has one target (chance 1) the score is NaN, since no response tells whether
    the task was learned.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = nc.model.pretrained("ctxdm-0")
    >>> recording = nc.comparison.simulate_recording(network, n_units=2)
    >>> task_performance(network, recording)["performance"].values.round(1).tolist()
    [1.0, 1.0]
    """
    whole = recorded_block(recording)
    mapping = read_mapping(mapping, mapping_name(whole))
    table, condition = condition_table(cut_to_correspondence(whole, mapping), mapping.columns)
    n_trials = np.bincount(condition, minlength=table.sizes["condition"])
    timing = {"stimulus_ms": mapping.stimulus_ms, "delay_ms": mapping.delay_ms}
    tasks = list(dict.fromkeys(table["task"].values))
    shares, numbers = [], []
    for task in tasks:
        rows = np.flatnonzero(table["task"].values == task)
        by_axis = []
        for axis in mapping.axes_degrees:
            name = mapping.tasks[task]
            given = mapping.numbers(name, table.isel(condition=rows), axis)
            by_axis.append(
                _shares(
                    network, name, n_trials[rows], kind="psychometric", conditions=given, **timing
                )
            )
        shares.append(np.mean(by_axis, axis=0))
        numbers.append(rows.size)
    return _as_dataset(tasks, shares, numbers)


def published_performance(network: Network, tasks: list[str]) -> xr.Dataset:
    """Compute a network's performance in the published test trials; see `task_performance`.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = nc.model.pretrained("ctxdm-0")
    >>> published_performance(network, ["contextdm1"])["score"].values.round(1).tolist()
    [1.0]
    """
    shares = [_shares(network, task, None, kind="test") for task in tasks]
    numbers = [make_trials(task, "test").sizes["trial"] for task in tasks]
    return _as_dataset(tasks, shares, numbers)


def score_of(performance: npt.ArrayLike, chance: npt.ArrayLike) -> Floats:
    """Compute (performance - chance) / (1 - chance); NaN where chance is 1.

    Examples
    --------
    >>> score_of([0.8, 0.5, 1.0], [0.5, 0.5, 1.0]).round(3).tolist()
    [0.6, 0.0, nan]
    """
    share, guessed = np.asarray(performance, np.float64), np.asarray(chance, np.float64)
    between = np.where(guessed < 1, 1 - guessed, np.nan)
    score: Floats = (share - guessed) / between
    return score


@torch.no_grad()
def _shares(
    network: Network, task: str, weights: npt.NDArray[Any] | None, **trials_of: Any
) -> tuple[float, float]:
    """Return the shares of correct trials, and of trials correct for permuted targets."""
    config = network.config
    trials = make_trials(task, dt_ms=config.dt_ms, rules=config.rules, **trials_of)
    _, outputs = network(input_of(trials, config).to(network.device), dt_ms=config.dt_ms)
    last = at_last_step(outputs.cpu().numpy(), trials)
    target = trials["response_direction"].values
    weight = np.ones(target.size) if weights is None else weights.astype(np.float64)
    weight /= weight.sum()
    # NaN, continued fixation, is one target
    unique, which = np.unique(target, return_inverse=True, equal_nan=True)
    share = np.bincount(which, weight, minlength=unique.size)
    correct_for = [weight @ is_correct(last, np.full(target.size, one)) for one in unique]
    return float(weight @ is_correct(last, target)), float(share @ np.array(correct_for))


def _as_dataset(tasks: list[str], shares: list[Any], n_conditions: list[int]) -> xr.Dataset:
    performance, chance = np.array(shares).reshape(-1, 2).T
    return xr.Dataset(
        {
            "performance": ("task", performance),
            "chance": ("task", chance),
            "score": ("task", score_of(performance, chance)),
            "n_conditions": ("task", n_conditions),
        },
        coords={"task": tasks},
    )
