"""A lab's own matrices: axes, counts, spike times, tables, and every way to get them wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.io import from_arrays, to_numpy
from nwbcompare.testing import dense_blocks, ragged_blocks

RNG = np.random.default_rng(0)
TASK = {"task": ["go", "stop", "go"]}


@given(dense_blocks())
def test_a_dense_block_goes_round(block):
    arrays = to_numpy(block)
    back = from_arrays(
        arrays.rate, time_s=arrays.time_s, bin=block["time"].attrs["bin_width_s"],
        trials=arrays.trials, units=arrays.units, conditions=["direction"], source="model",
        aligned_to="trial start", name=block.attrs["name"],
    )  # fmt: skip
    back = back[block.attrs["name"]].to_dataset()
    for name in ("rate", "time", "unit", "area", "direction", "correct", "task"):
        np.testing.assert_array_equal(nc.labels(back[name]), nc.labels(block[name]))
        assert nc.labels(back[name]).dtype == nc.labels(block[name]).dtype
    assert back["rate"].attrs == block["rate"].attrs
    assert back["time"].attrs == block["time"].attrs


@given(ragged_blocks())
def test_a_ragged_block_goes_round(block):
    arrays = to_numpy(block)
    rows = [np.flatnonzero(arrays.observation_unit == unit) for unit in range(block.sizes["unit"])]
    back = from_arrays(
        [arrays.rate[own] for own in rows], time_s=arrays.time_s,
        bin=block["time"].attrs["bin_width_s"],
        trials=[{name: column[own] for name, column in arrays.trials.items()} for own in rows],
        units=pd.DataFrame(arrays.units),
    )["arrays"].to_dataset()  # fmt: skip
    order = np.concatenate(rows)
    assert back["rate"].dims == ("observation", "time")
    np.testing.assert_array_equal(back["rate"], block["rate"][order])
    np.testing.assert_array_equal(back["observation_unit"], block["observation_unit"][order])
    np.testing.assert_array_equal(nc.labels(back["task"]), nc.labels(block["task"])[order])
    assert back["correct"].dtype == bool
    np.testing.assert_array_equal(back["unit"], block["unit"])


@given(st.permutations(["trial", "time", "unit"]))
def test_axes_may_be_in_any_order(dims):
    rates = RNG.random((3, 4, 2)).astype("f4")
    shuffled = rates.transpose([["trial", "time", "unit"].index(dim) for dim in dims])
    block = from_arrays(shuffled, dims=dims, bin=0.1, trials=TASK)["arrays"]
    np.testing.assert_array_equal(block["rate"], rates)
    np.testing.assert_allclose(block["time"], [0.05, 0.15, 0.25, 0.35])


def test_counts_become_rates_and_the_step_of_the_times_the_bin():
    counts = RNG.poisson(2, (3, 4, 2))
    block = from_arrays(counts, counts=True, time_s=[-15e-3, -5e-3, 5e-3, 15e-3], trials=TASK)
    block = block["arrays"]
    np.testing.assert_allclose(block["rate"], counts / 0.01, rtol=1e-6)
    assert block["time"].attrs["bin_width_s"] == pytest.approx(0.01)
    assert block["rate"].attrs["units"] == "spikes/s"
    assert block["unit"].values.tolist() == ["unit 0", "unit 1"]
    assert block["time"].attrs["aligned_to"] == "event"


def test_a_matrix_is_one_unit_and_nested_lists_one_array():
    one = from_arrays(np.ones((3, 4)), bin=0.1, trials=TASK)["arrays"]
    assert dict(one.sizes) == {"trial": 3, "time": 4, "unit": 1}
    turned = from_arrays(np.ones((4, 3)), dims=["time", "trial"], bin=0.1, trials=TASK)["arrays"]
    assert dict(turned.sizes) == dict(one.sizes)
    nested = from_arrays([[[1, 2], [3, 4]]] * 3, bin=0.1, trials=TASK)["arrays"]
    assert dict(nested.sizes) == {"trial": 3, "time": 2, "unit": 2}


def test_a_list_by_unit_is_dense_only_with_a_common_table():
    rates = [RNG.random((3, 4)), RNG.random((3, 4))]
    assert from_arrays(rates, bin=0.1, trials=TASK)["arrays"]["rate"].ndim == 3
    with pytest.warns(
        UserWarning, match="no column names the task: all trials are of one task, 'x'"
    ):
        block = from_arrays(rates, bin=0.1, name="x")["x"]
    assert block["rate"].dims == ("observation", "time")
    assert nc.labels(block["task"]).tolist() == ["x"] * 6
    cells = np.empty(2, dtype=object)
    cells[:] = rates
    turned = from_arrays(
        [unit.T for unit in cells], dims=("unit", "time", "trial"), bin=0.1, trials=TASK
    )
    np.testing.assert_allclose(turned["arrays"]["rate"], np.stack(rates, -1), rtol=1e-6)


def test_tables_of_units_may_differ_in_their_columns():
    block = from_arrays(
        [np.ones((1, 2)), np.ones((2, 2))], bin=0.1,
        trials=[{"task": ["a"], "n": [1]}, {"task": ["a", "b"]}], conditions=["n"],
    )["arrays"]  # fmt: skip
    np.testing.assert_array_equal(block["n"], [1, np.nan, np.nan])
    assert json.loads(block.attrs["condition_variables"]) == {"a": ["n"], "b": ["n"]}


def spikes_from_events(n_units=2, n_trials=3):
    return [
        [np.sort(RNG.uniform(-0.6, 1.2, RNG.integers(0, 40))) for _ in range(n_trials)]
        for _ in range(n_units)
    ]


def test_spikes_from_an_event_are_counted():
    spikes = spikes_from_events()
    options = {"window": (-0.5, 1.0), "bin": 0.1, "trials": TASK}
    block = from_arrays(spikes=spikes, **options)["arrays"]
    edges = -0.5 + np.arange(16) * 0.1
    for unit in range(2):
        for trial in range(3):
            expected = np.histogram(spikes[unit][trial], edges)[0] / 0.1
            np.testing.assert_allclose(block["rate"][trial, :, unit], expected, rtol=1e-6)
    turned = [list(units) for units in zip(*spikes, strict=True)]
    by_trial = from_arrays(spikes=turned, dims=("trial", "unit"), **options)["arrays"]
    np.testing.assert_array_equal(by_trial["rate"], block["rate"])
    # matrices are padded with NaN
    padded = np.full((2, 3, 40), np.nan)
    for unit, own in enumerate(spikes):
        for trial, times in enumerate(own):
            padded[unit, trial, : times.size] = times[::-1]
    as_matrix = from_arrays(spikes=padded, **options)["arrays"]
    np.testing.assert_array_equal(as_matrix["rate"], block["rate"])
    smoothed = from_arrays(spikes=spikes, smooth=0.1, **options)["arrays"].to_dataset()
    np.testing.assert_allclose(
        smoothed["rate"], nc.smooth(block.to_dataset(), 0.1)["rate"], rtol=1e-5
    )


def test_spikes_from_an_event_with_trials_of_their_own():
    spikes = [spikes_from_events(1, 2)[0], spikes_from_events(1, 3)[0]]
    block = from_arrays(
        spikes=spikes, window=(0, 1), trials=[{"task": ["a", "b"]}, {"task": ["b", "b", "a"]}]
    )["arrays"]
    assert block["rate"].shape == (5, 20)
    assert nc.labels(block["task"]).tolist() == ["a", "b", "b", "b", "a"]
    with pytest.warns(UserWarning, match="no unit has a spike"):
        silent = from_arrays(
            spikes=[[[], []], [[]]], window=(0, 1), trials=[{"task": ["a", "b"]}, {"task": ["a"]}]
        )
    assert not silent["arrays"]["rate"].values.any()


def test_columns_may_be_matrices_of_one_column():
    start = np.array([1.0, 4.0, 8.0])
    columns = {"start_time": start, "stop_time": start + 2, "task": np.array(["a", "b", "a"])}
    spikes, depth = [RNG.uniform(0, 12, 300), RNG.uniform(0, 12, 100)], np.array([0.5, 1.5])
    plain = from_arrays(spikes=spikes, trials=columns, units={"depth": depth}, window=(0, 1))
    matrices = {name: values[:, None] for name, values in columns.items()}
    tall = from_arrays(
        spikes=spikes, trials=matrices, units={"depth": depth[:, None]}, window=(0, 1)
    )
    assert tall["arrays"].to_dataset().identical(plain["arrays"].to_dataset())
    with pytest.raises(nc.InputError, match=r"trials\['x'\]: expected 3 values, .* shape \(3, 2\)"):
        from_arrays(spikes=spikes, trials=columns | {"x": np.ones((3, 2))}, window=(0, 1))


def test_spikes_on_the_clock_of_a_session():
    start = np.array([1.0, 4.0, 8.0])
    trials = pd.DataFrame(
        {"start_time": start, "stop_time": start + 2, "cue": start + 0.3, "task": ["a", "b", "a"]}
    )
    spikes = [RNG.uniform(0, 12, 300), np.array([]), RNG.uniform(0, 12, 100)]
    block = from_arrays(
        spikes=spikes, trials=trials, align="cue", window=(-0.3, 0.7), bin=0.1, conditions=["task"],
        units={"unit": [4, 5, 6], "area": ["A", "A", "B"]},
    )["arrays"]  # fmt: skip
    assert block["time"].attrs["aligned_to"] == "cue"
    assert block["unit"].values.tolist() == ["4", "5", "6"]
    for unit, times in enumerate(spikes):
        for trial, origin in enumerate(start + 0.3):
            edges = origin + (-0.3 + np.arange(11) * 0.1)
            expected = np.histogram(times, edges)[0] / 0.1
            np.testing.assert_allclose(block["rate"][trial, :, unit], expected, rtol=1e-5)
    relative = [
        [times[(times >= o - 0.5) & (times < o + 1)] - o for o in start + 0.3] for times in spikes
    ]
    by_event = from_arrays(spikes=relative, trials=TASK, window=(-0.3, 0.7), bin=0.1)["arrays"]
    np.testing.assert_array_equal(by_event["rate"], block["rate"])


ONES = np.ones((3, 4, 2))
NESTED = [[[0.1], [0.2], []]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected rates or spikes, got neither"),
        ({"rates": ONES, "spikes": NESTED}, "expected rates or spikes, got both"),
        ({"rates": ONES}, "time_s: expected bin centres in s, or bin=, got neither"),
        ({"rates": ONES, "time_s": [1, 2]}, "time_s: expected 4 bin centres, got 2"),
        ({"rates": ONES[:, :1], "time_s": [1]}, "bin: expected the width of the only bin"),
        ({"rates": ONES, "bin": -1}, "bin: expected a width above 0 s, got -1"),
        ({"rates": ONES, "bin": 1, "window": (0, 1)}, "window: expected nothing for rates"),
        ({"rates": ONES, "bin": 1, "smooth": 0.1}, "smooth: expected nothing for rates, got 0.1"),
        ({"rates": ONES, "bin": 1, "align": "cue"}, "align: expected nothing for rates, got 'cue'"),
        ({"rates": ONES, "bin": 1, "dims": ["trial", "time"]}, r"dims trial, time of an array \(3,"),
        ({"rates": ONES[0, 0], "bin": 1}, r"rates: expected dims trial, time, unit in some order"),
        ({"rates": ONES.astype(str), "bin": 1}, "rates: expected an array of numbers, got <U"),
        ({"rates": [np.ones((3, 4)), np.ones((3, 5))], "bin": 1}, "as many bins for each unit, got 4, 5"),
        ({"rates": [[[1], [1, 2]]], "bin": 1}, "rates: expected an array, got values that make none"),
        ({"rates": ONES, "time_s": list("abcd")}, "time_s: expected an array, got values that make none"),
        ({"spikes": [[["a"]]], "window": (0, 1)}, "spikes: expected an array, got values that make none"),
        ({"rates": ONES, "bin": 1, "trials": {"x": [[1], [2, 3]]}}, r"trials\['x'\]: expected an array"),
        ({"rates": [], "bin": 1}, "expected as many bins for each unit, got no unit"),
        ({"rates": [np.ones((3, 4)), np.ones((2, 4))], "bin": 1}, "got one table, and 2 to 3 trials"),
        ({"rates": [np.ones((3, 4))], "bin": 1, "trials": [TASK] * 2}, "expected 1 tables, one for each"),
        ({"rates": ONES, "bin": 1, "trials": {"task": ["go"]}}, r"trials\['task'\]: expected 3 values"),
        ({"rates": ONES, "bin": 1, "trials": "task"}, "trials: expected columns by name"),
        ({"rates": ONES, "bin": 1, "units": {"area": ["A"]}}, r"units\['area'\]: expected 2 values"),
        ({"rates": ONES, "bin": 1, "units": {"unit": [1, 1]}}, "unit: expected unique values"),
        ({"rates": ONES, "bin": 1, "task": "rule"}, "task: expected one of task, got 'rule'"),
        ({"rates": ONES, "bin": 1, "conditions": ["x"]}, "conditions: expected one of task, got 'x'"),
        ({"rates": ONES * np.inf, "bin": 1}, "infinite values"),
        ({"spikes": NESTED}, r"window: expected \(start, stop\) in s about the event, got none"),
        ({"spikes": NESTED, "window": (1, 0)}, "window: expected"),
        ({"spikes": NESTED, "window": (0, 1), "bin": 2}, "between one bin and 10,000,000 in the window"),
        ({"spikes": NESTED, "window": (0, 1), "align": "cue"}, "align: expected nothing for spikes from"),
        ({"spikes": NESTED, "window": (0, 1), "dims": ["a"]}, "dims: expected"),
        ({"spikes": [*NESTED, [[]]], "window": (0, 1), "dims": ["trial", "unit"]}, "as many units in each trial, got 1, 3"),
        ({"spikes": NESTED, "window": (0, 1), "counts": True}, "counts: expected nothing for spikes"),
        ({"spikes": NESTED, "window": (0, 1), "time_s": ONES}, r"time_s: .* got an array \(3, 4, 2\)"),
        ({"spikes": [[0.1]], "dims": ["unit"]}, "dims: expected nothing for spikes on a session's clock"),
        ({"spikes": [[0.1]], "trials": None}, "trials: expected a table with the times of trials.*got none"),
        ({"spikes": [[0.1]], "trials": [TASK]}, "trials: expected a table.*got several"),
        ({"spikes": [[0.1]]}, "align.*expected one of nothing, got 'start_time'"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(options, message):
    with pytest.raises(nc.InputError, match=message):
        from_arrays(options.pop("rates", None), **({"trials": TASK} | options))


def test_the_smoothing_is_kept_where_it_is_known():
    rates = np.random.default_rng(0).poisson(1.0, (3, 6, 2))
    spikes = [[[0.1], [0.2], []], [[0.3], [], [0.15]]]

    def provenance(*arrays, **options):
        block = from_arrays(*arrays, trials=TASK, bin=0.1, **options)["arrays"]
        return json.loads(block.attrs["provenance"])

    assert provenance(rates, counts=True)["smooth_s"] == 0
    assert provenance(spikes=spikes, window=(0, 0.5), smooth=0.04)["smooth_s"] == 0.04
    assert "smooth_s" not in provenance(rates)
    assert provenance(rates, provenance={"smooth_s": 0.05})["smooth_s"] == 0.05


def test_counts_without_epochs_are_sampled_by_the_window():
    rng = np.random.default_rng(0)
    task, side = np.repeat(["motion", "colour"], 40), np.tile(["l", "r"], 40)
    brain = from_arrays(
        rng.poisson(1.0, (80, 10, 4)), counts=True, bin=0.05, conditions=["side"],
        trials={"task": task, "side": side},
    )  # fmt: skip
    mapping = {
        "tasks": {"motion": "contextdm1", "colour": "contextdm2"},
        "conditions": {
            "direction": {"value": 0},
            "coherence_1": {"column": "side", "values": {"l": -0.1, "r": 0.1}},
            "coherence_2": {"value": 0.1},
        },
        "epoch": {"recording": "window", "network": "stim1"},
        "stimulus_ms": 500,
    }
    network = nc.model.pretrained("all20-small-0")
    (sample,) = nc.blocks(nc.sample_like(network, brain, mapping=mapping, seed=0)).values()
    assert sample["epoch"].values.tolist() == ["window"]
    assert sample.sizes["time"] == 10
    with pytest.raises(
        nc.InputError, match=r"epoch.recording.*expected one of window, got 'stim1'"
    ):
        epoch = {"recording": "stim1", "network": "stim1"}
        nc.sample_like(network, brain, mapping=mapping | {"epoch": epoch})
