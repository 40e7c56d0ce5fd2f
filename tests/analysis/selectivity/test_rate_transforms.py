"""Stabilised and matched rates: formulas, simulated truth, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from confounded_recordings import BIN_S, ftv_of, recording

import nwbcompare as nc
from nwbcompare.analysis.selectivity.rate_transforms import match_rates, stabilise_variance
from nwbcompare.core.activity import tasks_of


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
    with pytest.raises(nc.NotApplicableError, match="whole counts of spikes in each bin"):
        stabilise_variance(poisson_block(smooth=True), method="freeman_tukey")
    below = block.assign(rate=(block["rate"] - 30).assign_attrs(block["rate"].attrs))
    for change in (stabilise_variance, match_rates):
        with pytest.raises(
            nc.NotApplicableError, match=r"rates of 0 or more, got \d+ negative ones"
        ):
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


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
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
    with pytest.raises(nc.NotApplicableError, match="units that fire in all tasks, got none"):
        match_rates(silent)
