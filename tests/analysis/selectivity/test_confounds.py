"""Equal trials, stabilised and matched rates, FTV in time, and the table of confounds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.selectivity.confounds import confound_table, ftv_in_time
from nwbcompare.analysis.selectivity.noise_correction import (
    corrected_ftv,
    corrected_task_variance,
)
from nwbcompare.analysis.selectivity.rate_transforms import match_rates, stabilise_variance
from nwbcompare.analysis.selectivity.trial_subsampling import subsample_trials
from nwbcompare.core.activity import tasks_of
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.confounds import plot_confounds, plot_ftv_in_time
from nwbcompare.testing import assert_same_activity

BIN_S = 0.1


def recording(
    seed=0,
    *,
    ragged=True,
    n_units=6,
    n_trials=(120, 60),
    gain=(1.0, 1.0),
    tuning=0.5,
    spikes=True,
    task_tuning=False,
):
    """Poisson counts of two tasks with 2 x 2 conditions; choice follows c with errors."""
    rng = np.random.default_rng(seed)
    task = np.repeat([0, 1], n_trials)
    n = task.size
    c, d = rng.choice([-1, 1], n, p=[0.3, 0.7]), rng.choice([-1, 1], n)
    choice = np.where(rng.random(n) < 0.2, -c, c)
    slope = tuning * rng.random(n_units)
    sign = np.where(task[:, None] == 1, -1.0, 1.0) if task_tuning else 1.0
    mean = 40 * (1 + slope * (0.7 * choice[:, None] * sign + 0.3 * d[:, None]))
    mean = np.repeat((mean * np.array(gain)[task][:, None])[:, None], 4, axis=1)
    rate = rng.poisson(mean * BIN_S) / BIN_S if spikes else mean
    columns = {"task": np.array(["a", "b"])[task], "c": c, "d": d, "choice": choice}
    columns["correct"] = choice == c
    common = {
        "time_s": (np.arange(4) + 0.5) * BIN_S,
        "bin_width_s": BIN_S,
        "aligned_to": "stimulus",
        "condition_variables": {"a": ["c", "d"], "b": ["c", "d"]},
        "source": "recording",
        "name": "toy",
        "deterministic": not spikes,
    }
    units = {"unit": [f"u{i}" for i in range(n_units)]}
    if not ragged:
        units["session"] = [f"s{i // 2}" for i in range(n_units)]
        return nc.make_block(rate, trials=columns, units=units, **common)
    rows = np.concatenate([rate[:, :, i] for i in range(n_units)])
    tiled = {name: np.tile(values, n_units) for name, values in columns.items()}
    unit = np.repeat(np.arange(n_units), n)
    tiled["session"] = np.array([f"s{i // 2}" for i in unit])
    # units see trials of their own
    kept = np.flatnonzero(rng.random(unit.size) < 0.8)
    return nc.make_block(
        rows[kept],
        trials={name: values[kept] for name, values in tiled.items()},
        units=units,
        observation_unit=unit[kept],
        **common,
    )


def counts(block):
    return nc.selectivity.condition_means(block)["n_trials"].isel(time=0)


def by_condition(block):
    """Trials (unit, c, d, task) of each condition."""
    table = counts(block).set_index(condition=["c", "d", "task"])
    return table.unstack("condition").transpose("unit", "c", "d", "task")


# --- equal trials


@pytest.mark.parametrize("ragged", [False, True])
def test_every_condition_has_the_least_of_its_numbers_of_trials(ragged):
    block = recording(ragged=ragged)
    before, after = by_condition(block), by_condition(nc.check_activity(subsample_trials(block)))
    assert (before.sel(task="a") != before.sel(task="b")).any()
    for task in "ab":
        np.testing.assert_array_equal(after.sel(task=task), before.min("task"))


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
    kept = np.concatenate([subsample_trials(marked, seed=s)["number"].values for s in range(400)])
    share = np.bincount(kept, minlength=90) / 400
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
    with pytest.raises(nc.InputError, match="within: expected one of condition, task"):
        subsample_trials(block, within="trial")
    variables = json.dumps({"a": ["c"], "b": ["d"]})
    with pytest.raises(nc.InputError, match="none that a, b share"):
        subsample_trials(block.assign_attrs(condition_variables=variables))
    mixed = nc.make_activity(
        {"a": nc.select(block, task="a"), "b": nc.select(recording(), task="b")}
    )
    with pytest.raises(nc.InputError, match="blocks of one layout"):
        subsample_trials(mixed)


def test_unequal_trials_push_raw_ftv_and_equal_ones_do_not():
    block = recording(1, n_units=60, n_trials=(400, 40), tuning=0.0)
    raw = nc.fractional_task_variance(nc.task_variance(block), "a", "b")
    equal = nc.fractional_task_variance(nc.task_variance(subsample_trials(block)), "a", "b")
    assert raw["fractional_task_variance"].mean() < -0.7
    assert abs(equal["fractional_task_variance"].mean()) < 0.15


# --- rates


def poisson_block(method_units="spikes/s", means=(2.0, 5.0, 10.0, 30.0), *, smooth=False):
    rng = np.random.default_rng(0)
    count = rng.poisson(np.array(means), (3000, 6, len(means)))
    block = nc.make_block(
        count / BIN_S,
        time_s=(np.arange(6) + 0.5) * BIN_S,
        bin_width_s=BIN_S,
        aligned_to="stimulus",
        trials={"task": ["a"] * 3000},
        units={"unit": [f"m{mean:g}" for mean in means]},
        condition_variables={"a": []},
        source="recording",
        name="poisson",
        rate_units=method_units,
    )
    return nc.smooth(block, 0.06) if smooth else block


@pytest.mark.parametrize("method", ["anscombe", "freeman_tukey", "square_root"])
def test_noise_of_stabilised_counts_hardly_depends_on_their_mean(method):
    block = poisson_block()
    before = block["rate"].var(("trial", "time"))
    assert before[-1] > 10 * before[0]
    stable = nc.check_activity(stabilise_variance(block, method=method))
    after = stable["rate"].var(("trial", "time"))
    # at 2 spikes a bin the plain root is far off: what the other two are for
    tolerance = {"anscombe": 0.12, "freeman_tukey": 0.12, "square_root": 0.7}[method]
    np.testing.assert_allclose(after, 0.25, rtol=tolerance)
    np.testing.assert_allclose(after[2:], 0.25, rtol=0.05)
    assert stable["rate"].attrs == {"units": "1", "transform": "sqrt(spikes)"}


def test_noise_of_stabilised_smoothed_rates_hardly_depends_on_their_mean():
    block = poisson_block(smooth=True)
    after = stabilise_variance(block)["rate"].isel(time=slice(2, 4)).var(("trial", "time"))
    assert after.max() / after.min() < 1.25
    before = block["rate"].isel(time=slice(2, 4)).var(("trial", "time"))
    assert before.max() / before.min() > 10


def test_stabilised_values_are_those_of_the_formulas():
    count = np.array([0.0, 1.0, 4.0, 9.0])
    block = poisson_block().isel(trial=slice(4), unit=[0], time=[0])
    block = block.copy(data={"rate": (count / BIN_S).astype(np.float32)[:, None, None]})
    expected = {
        "anscombe": np.sqrt(count + 3 / 8),
        "freeman_tukey": (np.sqrt(count) + np.sqrt(count + 1)) / 2,
        "square_root": np.sqrt(count),
    }
    for method, values in expected.items():
        found = stabilise_variance(block, method=method)["rate"].values.ravel()
        np.testing.assert_allclose(found, values, rtol=1e-6)


def test_a_networks_rates_have_no_scale_of_spikes():
    block = recording(ragged=False, spikes=False)
    block["rate"].attrs["units"] = "1"
    stable = stabilise_variance(block)
    np.testing.assert_allclose(stable["rate"], np.sqrt(block["rate"]), rtol=1e-6)
    assert stable["rate"].attrs["transform"] == "sqrt(rate)"
    louder = block.assign(rate=(block["rate"] * 9).assign_attrs(block["rate"].attrs))
    np.testing.assert_allclose(
        nc.task_variance(stabilise_variance(louder))["task_variance"],
        9 * nc.task_variance(stable)["task_variance"],
        rtol=1e-4,
    )


def test_rates_that_cannot_be_stabilised_are_refused():
    block = poisson_block()
    with pytest.raises(nc.InputError, match="method: expected one of anscombe"):
        stabilise_variance(block, method="log")
    with pytest.raises(nc.InputError, match="whole counts of spikes in each bin"):
        stabilise_variance(poisson_block(smooth=True), method="freeman_tukey")
    below = block.assign(rate=(block["rate"] - 30).assign_attrs(block["rate"].attrs))
    for change in (stabilise_variance, match_rates):
        with pytest.raises(nc.InputError, match=r"rates of 0 or more, got \d+ negative ones"):
            change(below)


@pytest.mark.parametrize("ragged", [False, True])
def test_a_difference_in_gain_makes_ftv_unless_rates_are_matched(ragged):
    block = recording(ragged=ragged, gain=(2.0, 1.0), spikes=False)
    gained = ftv_of(block)
    matched = nc.check_activity(match_rates(block))
    # cells' means differ in their shares of errors, no more
    same = ftv_of(match_rates(recording(ragged=ragged, spikes=False)))
    np.testing.assert_allclose(ftv_of(matched), same, atol=1e-4)
    assert abs(same.mean()) < 0.25
    assert ((gained - same) > 0.4).all()
    # negative control: tuning that differs is not taken out
    tuned = recording(ragged=ragged, spikes=False)
    louder = np.where(nc.labels(tuned["task"]) == "a", 3.0, 1.0)
    spread = tuned["rate"].values
    centre = spread.mean()
    shape = (-1,) + (1,) * (spread.ndim - 1)
    tuned = tuned.copy(data={"rate": (centre + (spread - centre) / 3 * louder.reshape(shape))})
    assert (ftv_of(match_rates(tuned)) > 0.5).all()


def ftv_of(activity):
    variance = nc.task_variance(activity)
    ftv = nc.fractional_task_variance(variance, "a", "b", threshold=0.0)
    return ftv["fractional_task_variance"]


def test_matched_rates_have_mean_one_and_variance_a_squared_coefficient_of_variation():
    block = recording()
    matched = match_rates(block)
    assert matched["rate"].attrs == {"units": "1", "transform": "rate / task mean"}
    means = (
        nc.selectivity.condition_means(matched)["rate_mean"]
        .groupby("task")
        .mean(("condition", "time"))
    )
    np.testing.assert_allclose(means, 1, rtol=1e-5)
    before = (
        nc.selectivity.condition_means(block)["rate_mean"]
        .groupby("task")
        .mean(("condition", "time"))
    )
    np.testing.assert_allclose(
        nc.task_variance(matched)["task_variance"],
        nc.task_variance(block)["task_variance"] / before.values**2,
        rtol=1e-4,
    )


@pytest.mark.parametrize("split", [False, True])
def test_units_silent_in_a_task_are_named_and_left_out(split):
    block = recording(ragged=False)
    block["rate"].values[block["task"].values == 1, :, 3] = 0
    given = (
        nc.make_activity({task: nc.select(block, task=task) for task in "ab"}) if split else block
    )
    with pytest.warns(nc.UnitWarning, match="1 units are silent in a task.*: u3"):
        matched = nc.check_activity(match_rates(given))
    left = next(iter(nc.blocks(matched).values()))["unit"].values.tolist()
    assert left == ["u0", "u1", "u2", "u4", "u5"]
    only = match_rates(block, ["a"])
    assert (tasks_of(only), only.sizes["unit"]) == (["a"], 6)
    with pytest.raises(nc.InputError, match="tasks: expected one of a, b"):
        match_rates(block, ["c"])
    silent = block.assign(rate=(block["rate"] * 0).assign_attrs(block["rate"].attrs))
    with pytest.raises(nc.InputError, match="units that fire in all tasks, got none"):
        match_rates(silent)


# --- in time


def test_variance_in_time_averages_to_the_corrected_task_variance():
    block = recording()
    found = ftv_in_time(block, "a", "b", n_draws=50)
    xr.testing.assert_allclose(
        found["task_variance"].mean("time"), corrected_task_variance(block)["task_variance"]
    )
    raw = ftv_in_time(block, "a", "b", corrected=False, n_draws=50)
    xr.testing.assert_allclose(
        raw["task_variance"].mean("time"), nc.task_variance(block)["task_variance"]
    )
    assert (raw["task_variance"] > found["task_variance"]).all()
    a, b = raw["task_variance"].transpose("task", "unit", "time").values
    np.testing.assert_allclose(raw["fractional_task_variance"], (a - b) / (a + b))
    np.testing.assert_allclose(raw["standard_deviation"], ((a - b) / (a + b)).std(axis=0))
    np.testing.assert_allclose(raw["pooled"], (a - b).sum(axis=0) / (a + b).sum(axis=0))
    assert abs(found["fractional_task_variance"]).max() <= 1
    assert (found["standard_deviation_low"] <= found["standard_deviation_high"]).all()


def test_ftv_arises_when_the_signal_does(tmp_path):
    quiet = recording(2, ragged=False, n_units=40, n_trials=(200, 200), tuning=0.0)
    loud = recording(2, ragged=False, n_units=40, n_trials=(200, 200), tuning=0.9)
    late = quiet["rate"].values.copy()
    in_a = nc.labels(quiet["task"]) == "a"
    late[in_a, 2:] = loud["rate"].values[in_a, 2:]
    found = ftv_in_time(quiet.copy(data={"rate": late}), "a", "b", n_draws=200)
    assert (found["pooled_low"][2:] > 0.5).all()
    assert found.attrs["bootstrapped"] == "session"
    assert (found["mean"][2:] > found["mean"][:2].max() + 0.3).all()
    found.to_netcdf(tmp_path / "time.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "time.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), found)


def test_tasks_on_different_times_share_what_both_have():
    block = recording(ragged=False)
    short = nc.select(block, task="b").isel(time=slice(0, 2))
    split = nc.make_activity({"a": nc.select(block, task="a"), "b": short})
    found = ftv_in_time(split, "a", "b", n_draws=20)
    assert found["standard_deviation"].isnull().values.tolist() == [False, False, True, True]
    whole = ftv_in_time(block, "a", "b", n_draws=20)
    xr.testing.assert_allclose(
        found["fractional_task_variance"][:, :2], whole["fractional_task_variance"][:, :2]
    )
    assert found["pooled"].isnull().values.tolist() == [False, False, True, True]


def test_a_noise_free_network_is_the_same_raw_and_corrected():
    block = recording(ragged=False, spikes=False)
    clean, raw = (ftv_in_time(block, "a", "b", corrected=c, n_draws=20) for c in (True, False))
    xr.testing.assert_allclose(clean["task_variance"], raw["task_variance"])
    with pytest.raises(nc.InputError, match="at least one unit and one trial"):
        ftv_in_time(block, "c", "d")


# --- the table


@pytest.fixture(scope="module")
def table():
    return confound_table(recording(n_units=12), "a", "b", n_draws=200)


def test_the_table_holds_every_variant(table, tmp_path):
    assert table["variant"].values.tolist() == [
        "as published",
        "correct trials",
        "equal trials",
        "rates matched",
        "rates stabilised",
        "choice taken out",
    ]
    values = table["fractional_task_variance"]
    np.testing.assert_allclose(table["mean"], values.mean("unit"))
    np.testing.assert_allclose(table["standard_deviation"], values.std("unit"))
    np.testing.assert_array_equal(table["n_units"], values.notnull().sum("unit"))
    assert (table["standard_deviation_low"] <= table["standard_deviation"]).all()
    assert (table["standard_deviation"] <= table["standard_deviation_high"]).mean() > 0.8
    assert (table["change"].sel(variant="as published") == 0).all()
    assert table.attrs["bootstrapped"] == "session"
    table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "table.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), table)


def test_rows_of_the_table_are_the_analyses_that_they_name(table):
    block = recording(n_units=12)
    raw = table["fractional_task_variance"].sel(estimate="raw")
    clean = table["fractional_task_variance"].sel(estimate="corrected")
    np.testing.assert_allclose(raw.sel(variant="as published"), ftv_of(block))
    np.testing.assert_allclose(
        raw.sel(variant="correct trials"), ftv_of(nc.select(block, correct=True))
    )
    np.testing.assert_allclose(raw.sel(variant="equal trials"), ftv_of(subsample_trials(block)))
    np.testing.assert_allclose(raw.sel(variant="rates matched"), ftv_of(match_rates(block)))
    np.testing.assert_allclose(
        clean.sel(variant="as published"),
        corrected_ftv(corrected_task_variance(block), "a", "b")["fractional_task_variance"],
    )


def test_the_bootstrap_draws_sessions_and_its_interval_is_that_of_a_loop(table):
    values = table["fractional_task_variance"].sel(variant="as published", estimate="raw").values
    session = np.arange(12) // 2
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(4000):
        taken = rng.integers(6, size=6)
        draws.append(np.concatenate([values[session == s] for s in taken]).std())
    low, high = np.percentile(draws, [2.5, 97.5])
    own = table.sel(variant="as published", estimate="raw")
    assert own["standard_deviation_low"].item() == pytest.approx(low, abs=0.05)
    assert own["standard_deviation_high"].item() == pytest.approx(high, abs=0.05)


def test_the_table_is_seeded(table):
    again = confound_table(recording(n_units=12), "a", "b", n_draws=200)
    xr.testing.assert_identical(again, table)
    other = confound_table(recording(n_units=12), "a", "b", n_draws=200, seed=1)
    assert not np.allclose(other["standard_deviation_low"], table["standard_deviation_low"])


def test_variants_that_a_source_has_no_columns_for_are_left_out():
    block = recording(ragged=False).drop_vars(["choice", "correct", "session"])
    found = confound_table(block, "a", "b", n_draws=50)
    left_out = json.loads(found.attrs["left_out"])
    assert set(left_out) == {"correct trials", "choice taken out"}
    assert "choice" in left_out["choice taken out"]
    assert found.attrs["bootstrapped"] == "unit"
    with pytest.raises(nc.InputError, match="task: expected one of"):
        confound_table(block, "a", "z", n_draws=50)


def test_units_inactive_as_published_do_not_enter_by_another_scale():
    block = recording(ragged=False, spikes=False)
    block["rate"].values[:, :, 2] *= 1e-6
    found = confound_table(block, "a", "b", n_draws=50)
    values = found["fractional_task_variance"].sel(unit="u2")
    assert values.sel(variant=["as published", "rates matched", "rates stabilised"]).isnull().all()
    assert (found["n_units"].sel(variant="rates matched") == 5).all()
    assert (found["n_censored"] == 0).all()


def test_choice_taken_out_tells_choice_from_tuning():
    # choice alone differs between the tasks' stimuli: raw FTV sees tuning, the parts do not
    block = recording(3, ragged=False, n_units=30, n_trials=(400, 400), tuning=0.9)
    found = confound_table(block, "a", "b", n_draws=50)
    means = found["mean"].sel(estimate="corrected")
    assert abs(means.sel(variant="choice taken out")) < 0.35
    assert found["n_units"].min() > 15


# --- figures and the recording


def test_the_figures_show_every_variant_and_the_band(table):
    _, axes = new_figure(1, 2, (9, 3))
    ax = plot_confounds(axes[0, 0], table)
    assert [label.get_text() for label in ax.get_yticklabels()] == table["variant"].values.tolist()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == 2 * 6 + 1
    assert "n (censored)" in texts
    found = ftv_in_time(recording(), "a", "b", n_draws=50)
    ax = plot_ftv_in_time(axes[0, 1], found)
    plot_ftv_in_time(ax, found, label="again", colour="k")
    assert len(ax.lines) == len(ax.collections) == 2
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["toy, noise taken out", "again"]
    assert ax.get_xlabel() == "time from stimulus (s)"


def test_correct_trials_of_monkey_a_can_be_selected(mante2013_path):
    brain = nc.load("mante2013", path=mante2013_path, animal="ar")
    right = nc.select(brain, correct=True)
    block = next(iter(nc.blocks(right).values()))
    relevant = np.where(
        nc.labels(block["task"]) == "contextdm1",
        block["coherence_1_sign"].values,
        block["coherence_2_sign"].values,
    )
    np.testing.assert_array_equal(block["choice"].values, relevant)
    table = confound_table(brain, "contextdm1", "contextdm2", n_draws=100)
    sd = table["standard_deviation"].sel(estimate="raw")
    assert sd.sel(variant="as published").item() == pytest.approx(0.3320, abs=5e-5)
    assert sd.sel(variant="correct trials").item() == pytest.approx(0.354, abs=1e-3)
    assert json.loads(table.attrs["left_out"]) == {}
    assert table.attrs["bootstrapped"] == "session"
