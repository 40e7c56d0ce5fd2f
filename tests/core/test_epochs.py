"""Epochs: what a user names is what every trial has; without any, the window is the epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.core.activity import epoch_bounds, epoch_names, window_bounds
from nwbcompare.core.epochs import with_epochs, with_window_epoch
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks

BLOCK = example_block().assign_coords(
    off=("trial", np.linspace(0.1, 0.2, 8)),
    go=("trial", np.linspace(0.3, 0.5, 8)),
    aborted=("trial", [np.nan, *[0.4] * 7]),
    side=("trial", ["l", "r"] * 4),
)
BARE = BLOCK.drop_dims("epoch")


def bounds_of(block, name):
    place = block["epoch"].values.tolist().index(name)
    return block["epoch_start_time"].values[:, place], block["epoch_stop_time"].values[:, place]


@given(st.one_of(dense_blocks(missing=False), ragged_blocks(missing=False)), st.data())
def test_epochs_of_whole_bins_are_kept_as_named(block, data):
    width = block["time"].attrs["bin_width_s"]
    first = data.draw(st.integers(0, block.sizes["time"] - 1))
    last = data.draw(st.integers(first + 1, block.sizes["time"]))
    added = with_epochs(block, {"mine": (first * width, last * width)})
    nc.check_activity(added)
    assert epoch_bounds(added, "mine") == (first * width, last * width)
    before = epoch_names(block) if "epoch" in block.coords else []
    assert epoch_names(added) == [*before, "mine"]
    # all else is as before
    assert added.drop_dims("epoch").identical(block.drop_dims("epoch", errors="ignore"))


def test_columns_give_each_trial_bounds_of_its_own():
    start, stop = bounds_of(with_epochs(BARE, {"delay": ("off", "go")}), "delay")
    np.testing.assert_array_equal(start, BLOCK["off"])
    np.testing.assert_array_equal(stop, BLOCK["go"])
    # a number and a column
    start, _ = bounds_of(with_epochs(BARE, {"delay": (0, "go")}), "delay")
    assert set(start) == {0.0}


def test_columns_on_the_clock_of_the_event_are_shifted_to_it():
    clock = np.arange(8) * 100.0
    shifted = BARE.assign_coords(
        cue=("trial", clock), off=("trial", clock + 0.1), go=("trial", clock + 0.3)
    )
    delay = {"delay": ("off", "go")}
    start, stop = bounds_of(with_epochs(shifted, delay, event="cue"), "delay")
    np.testing.assert_allclose(start, 0.1)
    np.testing.assert_allclose(stop, 0.3)
    # the column that the time axis is named after is the event, too
    shifted["time"].attrs["aligned_to"] = "cue"
    np.testing.assert_array_equal(bounds_of(with_epochs(shifted, delay), "delay")[0], start)


def test_a_trial_without_a_time_lacks_the_epoch():
    block = with_epochs(BARE, {"delay": ("off", "aborted")})
    start, stop = bounds_of(block, "delay")
    assert np.isnan([start[0], stop[0]]).all()
    assert np.isfinite(start[1:]).all()
    nc.check_activity(block)


def test_an_epoch_replaces_one_of_its_name_and_keeps_the_others():
    block = with_epochs(BLOCK, {"stim1": (0.2, 0.4)})
    assert epoch_names(block) == epoch_names(BLOCK)
    assert epoch_bounds(block, "stim1") == (0.2, 0.4)
    assert epoch_bounds(block, "fix1") == epoch_bounds(BLOCK, "fix1")


def test_without_epochs_the_window_is_the_epoch_everywhere():
    assert epoch_names(BARE) == ["window"]
    assert epoch_bounds(BARE, "window") == window_bounds(BARE) == (0.0, 0.5)
    whole = nc.task_variance(BARE)["task_variance"]
    by_name = nc.task_variance(BARE, epochs=["window"])["task_variance"]
    np.testing.assert_array_equal(by_name, whole)
    by_epoch = nc.selectivity.epoch_variance(BARE)
    assert by_epoch["task_epoch"].values.tolist() == ["go/window"]
    np.testing.assert_array_equal(by_epoch["task_variance"].values, whole.values)
    assert nc.align(BARE, "window")["rate"].equals(BARE["rate"])
    vectors = nc.population.task_vectors(BARE, epoch="window", at="mean")
    assert vectors.sizes["task"] == 1
    # a block with epochs has no other
    with pytest.raises(nc.InputError, match="epochs: expected one of fix1, stim1, got 'window'"):
        nc.task_variance(BLOCK, epochs=["window"])
    assert with_window_epoch(BLOCK) is BLOCK
    assert epoch_bounds(with_window_epoch(BARE), "window") == (0.0, 0.5)


def test_unequal_bounds_matter_only_to_those_who_use_the_epoch():
    block = with_epochs(BARE, {"delay": ("off", "go")})
    np.testing.assert_array_equal(
        nc.task_variance(block)["task_variance"], nc.task_variance(BARE)["task_variance"]
    )
    with pytest.raises(
        nc.NotApplicableError, match=r"same bounds in every trial.*nwbcompare.align"
    ):
        nc.task_variance(block, epochs=["delay"])


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ({"d": (100, 850)}, r"window, 0 to 0.5 s from 'trial start', got 100 .*in s"),
        ({"d": (-0.1, 0.2)}, r"outside it in 8 of 8 trials.*Widen window"),
        ({"d": (0.3, 0.1)}, "a stop after the start.*Exchange the two times"),
        ({"d": (0.2, 0.2)}, "a stop after the start"),
        ({"d": ("go", "off")}, r"none in 8 of 8 trials.*Exchange the two columns"),
        ({"d": ("of", "go")}, "got 'of'. Did you mean 'off'"),
        ({"d": ("side", "go")}, "expected one of direction, off, go, aborted, got 'side'"),
        ({"d": ("correct", "go")}, "got 'correct'"),
        ({"d": (0.12, 0.13)}, "the centre of at least one bin.*bin="),
        ({"d": 0.3}, r"epochs\['d'\]: expected a start and a stop, got 0.3. Write"),
        ({"d": "go"}, "expected a start and a stop, got 'go'"),
        ({"d": (0.1, None)}, "times in s, or names of trial columns, got None"),
        ({"d": (0.1, float("nan"))}, "times in s, or names of trial columns, got nan"),
        ({3: (0.1, 0.3)}, r"epochs\[3\]: expected a name"),
        ({}, "a start and a stop for each name, got {}"),
        ([("d", 0.1, 0.3)], "a start and a stop for each name"),
    ],
)
def test_impossible_epochs_are_refused_with_the_remedy(epochs, words):
    with pytest.raises(nc.InputError, match=words):
        with_epochs(BARE, epochs)


def test_an_epoch_over_a_pause_is_refused():
    time = np.r_[np.arange(5) * 0.1 + 0.05, np.arange(5) * 0.1 + 1.05]
    rates = np.random.default_rng(0).random((4, 10, 2))
    trials = {"task": ["a"] * 4}
    with pytest.raises(nc.InputError, match="overlaps the pause from 0.5 to 1 s. Name an epoch on"):
        nc.from_arrays(rates, trials=trials, time_s=time, epochs={"d": (0.2, 1.2)})
    kept = nc.from_arrays(rates, trials=trials, time_s=time, epochs={"d": (1.0, 1.2)})
    assert epoch_bounds(kept["arrays"].to_dataset(), "d") == (1.0, 1.2)
    # bins at which no unit was observed in any trial
    rates[:, 2:4] = np.nan
    with pytest.raises(nc.InputError, match=r"overlaps the pause from 0.2 to 0.4 s"):
        nc.from_arrays(rates, trials=trials, time_s=time, epochs={"d": (0.1, 0.3)})
    # one that was observed once is no pause
    rates[0, 2:4, 1] = 1.0
    nc.from_arrays(rates, trials=trials, time_s=time, epochs={"d": (0.1, 0.3)})
