"""Equal numbers of trials: every condition, seeds, blocks, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from confounded_recordings import recording
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.selectivity.trial_subsampling import subsample_trials
from nwbcompare.core.activity import tasks_of
from nwbcompare.testing import assert_same_activity


def counts(block):
    return nc.selectivity.condition_means(block)["n_trials"].isel(time=0)


def by_condition(block):
    """Trials (unit, c, d, task) of each condition."""
    table = counts(block).set_index(condition=["c", "d", "task"])
    return table.unstack("condition").transpose("unit", "c", "d", "task")


@pytest.mark.parametrize("ragged", [False, True])
def test_every_condition_has_the_least_of_its_numbers_of_trials(ragged):
    block = recording(ragged=ragged)
    before, after = by_condition(block), by_condition(nc.check_activity(subsample_trials(block)))
    assert (before.sel(task="a") != before.sel(task="b")).any()
    for task in "ab":
        np.testing.assert_array_equal(after.sel(task=task), before.min("task"))


def test_trials_in_which_nothing_was_recorded_are_not_drawn():
    block = recording(ragged=False)
    recorded = np.arange(block.sizes["trial"]) % 3 > 0
    block["rate"].values[~recorded] = np.nan
    xr.testing.assert_identical(
        subsample_trials(block), subsample_trials(block.isel(trial=np.flatnonzero(recorded)))
    )


@given(st.integers(0, 50), st.booleans())
def test_equalising_keeps_trials_as_they_are_and_a_second_time_changes_nothing(seed, ragged):
    block = recording(seed, ragged=ragged, n_units=2, n_trials=(160, 100))
    once = subsample_trials(block, seed=seed)
    assert_same_activity(subsample_trials(once, seed=seed + 1), once)
    row = "observation" if ragged else "trial"
    marked = block.assign_coords(number=(row, np.arange(block.sizes[row])))
    kept = subsample_trials(marked, seed=seed)["number"].values
    assert (np.diff(kept) > 0).all()
    assert_same_activity(once, block.isel({row: kept}))


def test_the_draw_is_seeded_and_random():
    block = recording()
    assert_same_activity(subsample_trials(block, seed=3), subsample_trials(block, seed=3))
    one, other = (subsample_trials(block, seed=seed)["rate"].values for seed in (3, 4))
    assert one.shape == other.shape
    assert not np.array_equal(one, other)


def test_each_trial_is_as_likely_to_be_kept():
    block = recording(ragged=False, n_units=1, n_trials=(60, 30))
    marked = block.assign_coords(number=("trial", np.arange(90)))
    kept = np.concatenate([subsample_trials(marked, seed=s)["number"].values for s in range(200)])
    share = np.bincount(kept, minlength=90) / 200
    condition = nc.labels(block["task"]).astype(object) + block["c"].values.astype(str)
    condition = condition + block["d"].values.astype(str)
    for which in np.unique(condition):
        own = share[condition == which]
        assert np.ptp(own) < 0.2
        assert own.mean() == pytest.approx(own.max(), abs=0.1)


@pytest.mark.parametrize("ragged", [False, True])
def test_tasks_alone_can_be_made_equal(ragged):
    block = recording(ragged=ragged)
    total = by_condition(subsample_trials(block, within="task")).sum(("c", "d"))
    np.testing.assert_array_equal(total.sel(task="a"), total.sel(task="b"))
    np.testing.assert_array_equal(
        total.sel(task="a"), by_condition(block).sum(("c", "d")).min("task")
    )


@pytest.mark.parametrize("ragged", [False, True])
def test_tasks_in_blocks_of_their_own_are_equalised_alike(ragged):
    block = recording(ragged=ragged)
    whole = subsample_trials(block, seed=1)
    split = nc.make_activity({task: nc.select(block, task=task) for task in "ab"})
    apart = nc.check_activity(subsample_trials(split, seed=1))
    for task in "ab":
        # the order of a ragged block's rows decides which are drawn, not how many
        one, other = counts(apart[task].to_dataset()), counts(nc.select(whole, task=task))
        np.testing.assert_array_equal(one, other)


def test_other_conditions_and_fewer_tasks_can_be_named():
    block = recording(ragged=False)
    named = subsample_trials(block, conditions=["c"])
    number = counts(named).to_series().groupby(level="unit").count()
    assert (number == 8).all()
    per_c = by_condition(named).sum("d")
    np.testing.assert_array_equal(per_c.sel(task="a"), per_c.sel(task="b"))
    third = xr.concat(
        [block, block.isel(trial=slice(5)).assign_coords(task=("trial", np.full(5, 2)))], "trial"
    )
    third["task"].attrs["categories"] = '["a", "b", "z"]'
    third.attrs["condition_variables"] = json.dumps({t: ["c", "d"] for t in "abz"})
    kept = subsample_trials(third, ["a", "b"])
    np.testing.assert_array_equal(kept["rate"], subsample_trials(block)["rate"])
    assert tasks_of(kept) == ["a", "b"]


def test_a_unit_with_a_condition_missing_is_named():
    block = recording()
    unit, task = block["observation_unit"].values, block["task"].values
    gone = (unit == 1) & (task == 1) & (block["c"].values == 1)
    cut = block.isel(observation=~gone)
    with pytest.warns(nc.UnitWarning, match="1 units lack a condition in one of the tasks.*: u1"):
        equal = subsample_trials(cut)
    left = by_condition(equal).sel(unit="u1")
    assert (left.sel(c=1) == 0).all()
    assert (left.sel(c=-1) > 0).all()
    empty = block.isel(observation=~((unit == 1) & (task == 1)))
    with pytest.warns(nc.UnitWarning, match="u1"):
        without = subsample_trials(empty)
    assert "u1" not in nc.check_activity(without)["unit"].values
    dense = recording(ragged=False)
    lost = (dense["task"].values == 1) & (dense["c"].values == 1)
    with pytest.warns(nc.UnitWarning, match="6 units lack a condition"):
        subsample_trials(dense.isel(trial=~lost))


def test_what_cannot_be_equalised_is_refused():
    block = recording(ragged=False)
    with pytest.raises(nc.InputError, match="tasks: expected one of a, b, got 'c'"):
        subsample_trials(block, ["a", "c"])
    with pytest.raises(nc.InputError, match="two or more tasks, got a"):
        subsample_trials(block, ["a"])
    with pytest.raises(nc.NotApplicableError, match="two or more tasks, got a"):
        subsample_trials(nc.select(block, task="a"))
    with pytest.raises(nc.InputError, match="within: expected one of condition, task"):
        subsample_trials(block, within="trial")
    variables = json.dumps({"a": ["c"], "b": ["d"]})
    with pytest.raises(nc.NotApplicableError, match="none that a, b share"):
        subsample_trials(block.assign_attrs(condition_variables=variables))
    mixed = nc.make_activity(
        {"a": nc.select(block, task="a"), "b": nc.select(recording(), task="b")}
    )
    with pytest.raises(nc.NotApplicableError, match="blocks of one layout"):
        subsample_trials(mixed)


def test_unequal_trials_push_raw_ftv_and_equal_ones_do_not():
    block = recording(1, n_units=60, n_trials=(400, 40), tuning=0.0)
    with pytest.warns(nc.UnitWarning, match="trials a condition in task 'b'"):
        raw = nc.fractional_task_variance(nc.task_variance(block), "a", "b")
    equal = nc.fractional_task_variance(nc.task_variance(subsample_trials(block)), "a", "b")
    assert raw["fractional_task_variance"].mean() < -0.7
    assert abs(equal["fractional_task_variance"].mean()) < 0.15
