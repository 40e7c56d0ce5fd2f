"""The data model: making, checking, selecting and saving blocks."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import nwbcompare as nc
from nwbcompare.core.activity import bins_in, blocks, epoch_bounds, is_of_task, unit_positions
from nwbcompare.core.errors import listing, unknown_name
from nwbcompare.core.schema import InvalidActivityError, find_problems
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.testing import broken_blocks, dense_blocks, example_block, ragged_blocks


@given(dense_blocks())
def test_drawn_dense_blocks_keep_the_data_model(block):
    assert find_problems(block) == []


@given(ragged_blocks())
def test_drawn_ragged_blocks_keep_the_data_model(block):
    assert find_problems(block) == []


@given(ragged_blocks())
def test_trials_of_a_task_are_those_with_its_label(block):
    text = block.assign_coords(task=("observation", nc.labels(block["task"])))
    for task in [*np.unique(nc.labels(block["task"])), "no task"]:
        expected = nc.labels(block["task"]) == task
        for same in (block, text):
            np.testing.assert_array_equal(is_of_task(same, task), expected)


@given(broken_blocks())
def test_every_fault_is_found_and_named(drawn):
    block, words = drawn
    with pytest.raises(InvalidActivityError, match=re.escape(words)):
        nc.check_activity(block)


@given(ragged_blocks())
def test_a_netcdf_round_trip_keeps_everything(block):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activity.nc"
        nc.make_activity({"leaf": block}).to_netcdf(path, engine="h5netcdf")
        opened = nc.open(path)["leaf"].to_dataset()
    xr.testing.assert_identical(opened, block)
    assert opened["rate"].dtype == np.float32


def test_the_error_of_a_broken_activity_lists_every_problem():
    block = example_block().assign_attrs(source="brain", name="")
    with pytest.raises(InvalidActivityError, match=r"2 problems") as caught:
        nc.check_activity(block)
    assert len(caught.value.problems) == 2


def _time(values):
    return lambda b: b.assign_coords(time=("time", values, b["time"].attrs))


DENSE_FAULTS = {
    "rate: expected a variable of this name": lambda b: b.rename(rate="rates"),
    "time: expected a coordinate": lambda b: b.drop_vars("time"),
    "time: expected finite, ascending": _time([0.1, 0.2, 0.2, 0.4, 0.5]),
    "check that bin_width_s is in s, not ms": _time([50.0, 49.0, 48.0, 47.0, 46.0]),
    "unit: expected a coordinate": lambda b: b.drop_vars("unit"),
    "unit: expected unique values, got repeated: u0": lambda b: b.assign_coords(
        unit=["u0", "u0", "u1"]
    ),
    "epoch_start_time: expected a coordinate": lambda b: b.drop_vars("epoch_start_time"),
    "epoch: expected a coordinate": lambda b: b.drop_vars("epoch"),
    "epoch: expected unique values": lambda b: b.assign_coords(epoch=["x", "x"]),
    "stop times at or after start": lambda b: b.assign_coords(
        epoch_stop_time=b["epoch_stop_time"] - 9
    ),
    "categories'\\]: expected a JSON list": lambda b: b.assign_coords(
        task=b["task"].assign_attrs(categories="go")
    ),
    "an entry for task 'go'": lambda b: b.assign_attrs(condition_variables="{}"),
    "provenance'\\]: expected a JSON object": lambda b: b.assign_attrs(provenance="[]"),
    "deterministic'\\]: expected one of 0, 1": lambda b: b.assign_attrs(deterministic=2),
    "attrs\\['name'\\]: expected texts .* the character NUL": lambda b: b.assign_attrs(name="a\0b"),
    "attrs\\['name'\\]: expected texts .* not Unicode": lambda b: b.assign_attrs(name="\ud800"),
    "area: expected texts that a file can hold": lambda b: b.assign_coords(
        area=("unit", ["A", "A\0B", "B"])
    ),
    "provenance'\\]: expected a JSON object as": lambda b: b.assign_attrs(provenance="[" * 10**5),
}


@pytest.mark.parametrize("match", DENSE_FAULTS)
def test_each_rule_names_what_is_wrong(match):
    with pytest.raises(InvalidActivityError, match=match):
        nc.check_activity(DENSE_FAULTS[match](example_block()))


@pytest.mark.parametrize("name", ["unit_key", "observation_unit"])
def test_a_ragged_block_needs_its_keys(name):
    with pytest.raises(InvalidActivityError, match=f"{name}: expected a coordinate"):
        nc.check_activity(_ragged().drop_vars(name))
    twice = _ragged().assign_coords(unit_key=("unit", [1, 1]))
    with pytest.raises(InvalidActivityError, match="unit_key: expected unique values"):
        nc.check_activity(twice)


def test_a_dangling_key_is_refused():
    block = _ragged().isel(unit=[0])
    with pytest.raises(InvalidActivityError, match="dangling keys 1"):
        nc.check_activity(block)
    with pytest.raises(nc.InputError, match=r"nwbcompare.select"):
        unit_positions(block)


def test_a_task_in_two_blocks_is_refused():
    activity = nc.make_activity({"a": example_block(), "b": example_block(1)})
    with pytest.raises(InvalidActivityError, match="each task in one block"):
        nc.check_activity(activity)


def test_blocks_with_other_units_are_refused():
    other = _renamed_task(example_block(), "stop").assign_coords(unit=["x0", "x1", "x2"])
    with pytest.raises(InvalidActivityError, match="the same units"):
        nc.check_activity(nc.make_activity({"a": example_block(), "b": other}))


NOT_ACTIVITIES = [
    (None, "got None. Make one with"),
    (3, "got a int. Make one with"),
    (xr.DataTree(), "got an empty DataTree"),
    ({}, "got an empty dict"),
    ({"rate": np.zeros((2, 3, 1))}, r"got a dict of 1 .ndarray.*from_arrays\(rates"),
    (np.zeros((2, 3, 1)), "got a ndarray.*from_arrays"),
    (example_block()["rate"], "got a DataArray.*from_arrays"),
    (
        [example_block()] * 2,
        r"got a list of 2 \(Dataset\). Take sources one by one; .*make_activity",
    ),
    ("a.nwb", r"the text or path 'a.nwb'. Open it first: nwbcompare.open\('a.nwb'\)"),
    (Path("a.nwb"), "Open it first"),
    (
        xr.Dataset({"task_variance": ("unit", [1.0])}),
        "without rates, of task_variance.*computed from",
    ),
    (Network(NetworkConfig(n_units=2)), r"got a Network. Record it first: nwbcompare.record\("),
]


@pytest.mark.parametrize(("wrong", "words"), NOT_ACTIVITIES)
def test_what_is_no_activity_is_refused_by_its_name(wrong, words):
    calls = (
        blocks,
        nc.task_variance,
        nc.describe,
        lambda it: nc.select(it, units=["u0"]),
        lambda it: nc.align(it, "stim1"),
        nc.selectivity.corrected_task_variance,
        nc.population.task_vectors,
    )
    for call in calls:
        with pytest.raises(nc.InputError, match=f"activity: expected an xarray.DataTree.*{words}"):
            call(wrong)


def test_a_dict_of_blocks_is_an_activity():
    parts = {"a": example_block(), "b": _renamed_task(example_block(1), "stop")}
    whole = nc.make_activity(parts)
    assert list(blocks(parts)) == ["a", "b"]
    xr.testing.assert_identical(nc.task_variance(parts), nc.task_variance(whole))
    assert nc.check_activity(parts) is parts
    xr.testing.assert_identical(nc.select(parts, units=["u1"]), nc.select(whole, units=["u1"]))
    xr.testing.assert_identical(nc.align(parts, "stim1"), nc.align(whole, "stim1"))
    assert str(nc.describe(parts)) == str(nc.describe(whole))
    with pytest.raises(InvalidActivityError, match="the same units"):
        nc.check_activity({"a": parts["a"], "b": parts["b"].assign_coords(unit=["x", "y", "z"])})


def test_what_is_no_dict_of_blocks_makes_no_activity():
    for wrong in ([example_block()], {"rate": np.zeros(3)}, example_block()):
        with pytest.raises(nc.InputError, match='blocks: expected a dict of blocks.*Pass {"name"'):
            nc.make_activity(wrong)


def test_an_activity_in_place_of_a_table_is_refused_by_its_name():
    block = example_block()
    for call in (
        lambda it: nc.fractional_task_variance(it, "a", "b"),
        nc.selectivity.pairwise_ftv,
    ):
        for wrong, words in (
            (block, "got a block"),
            (nc.make_activity({"a": block}), "got an activity"),
            ([block], "got a list of 1"),
        ):
            with pytest.raises(nc.InputError, match=f"table of nwbcompare.task_variance, {words}"):
                call(wrong)
    table = xr.Dataset({"fractional_task_variance": ("unit", [0.1, 0.2])})
    with pytest.raises(nc.InputError, match="model 0: expected a table .* got an activity"):
        nc.compare_samples([nc.make_activity({"a": block})], table)
    with pytest.raises(nc.InputError, match=r"models: expected a list of tables.*Pass \[table\]"):
        nc.compare_samples(table, table)


def test_rates_of_wrong_dimensions_are_refused():
    with pytest.raises(nc.InputError, match="rate: expected 3 dimensions"):
        _make(np.zeros((2, 3)))


def test_columns_of_wrong_length_are_refused():
    with pytest.raises(nc.InputError, match="Pass one value for each trial"):
        _make(np.zeros((3, 3, 1)))


def test_text_columns_are_codes_with_labels():
    task = example_block()["task"]
    assert task.dtype.kind == "i"
    assert set(nc.labels(task)) == {"go"}


def test_selecting_units_takes_their_observations_along():
    block = _ragged()
    chosen = nc.select(block, units=["u1"])
    nc.check_activity(chosen)
    assert chosen.sizes["unit"] == 1
    np.testing.assert_array_equal(chosen["rate"], block["rate"][block["observation_unit"] == 1])


def test_selecting_by_columns_keeps_matching_units_and_trials():
    chosen = nc.select(example_block(), area="A", correct=True)
    assert dict(chosen.sizes) == {"trial": 4, "time": 5, "unit": 2, "epoch": 2}
    assert chosen["correct"].all()


def test_selecting_nothing_is_refused():
    with pytest.raises(nc.InputError, match="at least one unit and one trial"):
        nc.select(example_block(), area="C")


def test_selecting_by_an_unknown_column_names_the_nearest():
    with pytest.raises(nc.InputError, match="Did you mean 'area'"):
        nc.select(example_block(), aera="A")
    with pytest.raises(nc.InputError, match="units: expected one of u0"):
        nc.select(example_block(), units=["u9"])


def test_bins_on_the_bounds_of_epochs_count_as_on_them():
    time = (np.arange(50) + 0.5) * 0.02
    # 35 * 0.02 > 0.7 in floating point
    assert bins_in(time, 35 * 0.02, 1.0, 0.02).sum() == 15
    assert bins_in(time, time[3], time[5], 0.02).nonzero()[0].tolist() == [3, 4]


def test_epochs_that_differ_between_trials_are_refused_with_the_remedy():
    block = _shifted()
    with pytest.raises(nc.NotApplicableError, match=r"nwbcompare.align\(activity, 'stim1'\)"):
        epoch_bounds(block, "stim1")
    assert epoch_bounds(block, "stim2") is None


def test_aligning_makes_equal_epochs_of_shifted_ones():
    block = _shifted()
    aligned = nc.align(block, "stim1")
    assert epoch_bounds(aligned, "stim1") == pytest.approx((0.0, 0.3))
    for trial, first in enumerate([1, 2] * 4):
        np.testing.assert_array_equal(
            aligned["rate"][trial], block["rate"][trial, first : first + 3]
        )
    nc.check_activity(aligned)


def test_aligning_to_what_is_not_there_is_refused():
    with pytest.raises(nc.InputError, match="epoch: expected one of fix1, stim1"):
        nc.align(example_block(), "delay1")
    off = example_block()
    off["epoch_start_time"] = off["epoch_start_time"] + 0.03
    with pytest.raises(nc.InputError, match="starts on the edges of bins"):
        nc.align(off, "stim1")


def test_rebinning_averages_the_bins_whose_centres_lie_inside():
    block = example_block()
    wide = nc.rebin(block, 0.25)
    expected = [block["rate"][:, :2].mean("time"), block["rate"][:, 2:].mean("time")]
    # centres 0.05, 0.15 | 0.25, 0.35, 0.45
    np.testing.assert_allclose(wide["rate"].transpose("time", "trial", "unit"), expected, rtol=1e-6)
    nc.check_activity(wide)


@pytest.mark.parametrize("width", [0.05, 0.0, -1.0, 9.0])
def test_rebinning_to_impossible_widths_is_refused(width):
    with pytest.raises(nc.InputError, match="width_s: expected a width"):
        nc.rebin(example_block(), width)


def test_smoothing_keeps_constants_and_means_nothing_at_zero():
    block = example_block()
    xr.testing.assert_allclose(nc.smooth(block, 0.0)["rate"], block["rate"])
    flat = block.assign(rate=xr.full_like(block["rate"], 2.0))
    np.testing.assert_allclose(nc.smooth(flat, 0.2)["rate"], 2.0, rtol=1e-6)
    with pytest.raises(nc.InputError, match="sd_s: expected 0 s or more"):
        nc.smooth(block, -1)


def test_errors_name_the_nearest_names():
    assert "Did you mean 'fdgo'" in str(unknown_name("task", "fdog", ["fdgo", "reactgo"]))
    assert listing(range(30), most=2) == "0, 1 and 28 more"
    assert listing([]) == "nothing"


def _make(rate, **changes):
    return nc.make_block(
        rate,
        time_s=[0.1, 0.2, 0.3],
        bin_width_s=0.1,
        aligned_to="start",
        trials={"task": ["go"] * 2},
        units={"unit": ["u0"]},
        condition_variables={"go": []},
        source="model",
        name="toy",
        **changes,
    )


def _ragged():
    return nc.make_block(
        np.arange(12.0).reshape(6, 2),
        time_s=[0.1, 0.2],
        bin_width_s=0.1,
        aligned_to="start",
        trials={"task": ["go", "stop"] * 3},
        units={"unit": ["u0", "u1"]},
        observation_unit=[0, 1, 1, 0, 1, 1],
        condition_variables={"go": [], "stop": []},
        source="recording",
        name="toy",
    )


def _renamed_task(block, name):
    import json

    return block.assign_coords(
        task=block["task"].assign_attrs(categories=json.dumps([name]))
    ).assign_attrs(condition_variables=json.dumps({name: ["direction"]}))


def _shifted():
    block = example_block()
    start = np.tile([0.1, 0.2], 4)
    block["epoch_start_time"][:, 1] = start
    block["epoch_stop_time"][:, 1] = start + 0.3
    return block


def test_aligning_without_bounds_or_bins_is_refused():
    block = example_block()
    block["epoch_start_time"][0, 1] = np.nan
    with pytest.raises(nc.InputError, match="none in 1 trials"):
        nc.align(block, "stim1")
    with pytest.raises(nc.InputError, match="inside the time axis in every trial"):
        nc.align(example_block().isel(time=slice(2)), "stim1")


def test_activities_that_differ_in_a_type_a_value_or_a_name_are_told_apart():
    from nwbcompare.testing import assert_same_activity

    one = example_block()
    assert_same_activity(one, one.copy(deep=True))
    other = one.assign_coords(direction=one["direction"].astype("f4"))
    other["direction"].attrs.update(one["direction"].attrs)
    same_values = one.assign_coords(direction=other["direction"].astype("f8"))
    with pytest.raises(AssertionError, match="direction is float64 against float32"):
        assert_same_activity(same_values, other)
    with pytest.raises(AssertionError, match="not identical"):
        assert_same_activity(one, one.assign(rate=one["rate"] + 1))
    with pytest.raises(AssertionError, match="leaves"):
        assert_same_activity(nc.make_activity({"a": one}), nc.make_activity({"b": one}))


def test_an_invalid_activity_is_reported_by_worker_processes_too():
    with pytest.raises(InvalidActivityError) as caught:
        nc.check_activity(example_block().drop_vars("task"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert [str(one) for one in copy.problems] == [str(one) for one in caught.value.problems]


def test_a_block_without_units_is_refused_by_checks_and_analyses():
    block = example_block().isel(unit=[])
    with pytest.raises(InvalidActivityError, match="unit: expected at least one unit, got none"):
        nc.check_activity(block)
    with pytest.raises(nc.InputError, match="example: expected at least one unit, got none"):
        nc.task_variance(block)


@pytest.mark.parametrize("name", ["..", "a/../../b", "./a", "a\0b", "\ud800"])
def test_a_block_is_not_put_outside_of_its_activity(name):
    with pytest.raises(nc.InputError, match="blocks: expected names without"):
        nc.make_activity({name: example_block()})
