"""pynapple: what goes there comes back, and binning agrees with its own."""

from __future__ import annotations

import warnings

import numpy as np
import pynapple as nap
import pytest
from hypothesis import given

import nwbcompare as nc
from nwbcompare.io import PynappleTrials, from_pynapple, to_pynapple
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks


def read_back(it, block, **options):
    """Read pynapple's objects on the clock of the block that they came from."""
    width = block["time"].attrs["bin_width_s"]
    left = float(block["time"][0]) - width / 2
    window = (left, left + block.sizes["time"] * width)
    return from_pynapple(
        it.rates, it.trials, align="event_time", window=window, bin=width, **options
    )["pynapple"].to_dataset()


def assert_same_columns(one, two, row="trial"):
    for name in ("direction", "correct"):
        assert two[name].dtype == one[name].dtype
        np.testing.assert_array_equal(two[name], one[name])
    np.testing.assert_array_equal(nc.labels(two["task"]), nc.labels(one["task"]))


@given(dense_blocks())
def test_dense_rates_and_columns_go_round(block):
    it = to_pynapple(block)
    back = read_back(it, block, conditions=["direction"])
    assert back["rate"].dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(back["rate"], block["rate"])
    np.testing.assert_allclose(back["time"], block["time"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(back["unit"], block["unit"])
    area = "unit_area" if "area" in block["unit"].values else "area"
    np.testing.assert_array_equal(back[area], block["area"])
    assert_same_columns(block, back)
    nc.check_activity(back)


@given(ragged_blocks())
def test_ragged_rates_and_columns_go_round(block):
    it = to_pynapple(block)
    assert list(it) == [str(unit) for unit in block["unit"].values]
    for name, own in it.items():
        expected = nc.select(block, units=[name])
        back = read_back(own, block)
        np.testing.assert_array_equal(back["rate"][:, :, 0], expected["rate"])
        assert_same_columns(expected, back)
    # all units at once, as sessions of their own
    width = block["time"].attrs["bin_width_s"]
    both = from_pynapple(
        {name: own.rates for name, own in it.items()},
        {name: own.trials for name, own in it.items()},
        align="event_time",
        window=(0, block.sizes["time"] * width),
        bin=width,
    )["pynapple"].to_dataset()
    order = np.argsort(block["observation_unit"].values, kind="stable")
    rate = both["rate"] if "observation" in both.dims else both["rate"][:, :, 0]
    np.testing.assert_array_equal(rate, block["rate"][order])


def test_trials_are_end_to_end_with_their_columns():
    block = example_block()
    it = to_pynapple(block)
    assert isinstance(it, PynappleTrials)
    assert list(it.rates.columns) == ["u0", "u1", "u2"]
    assert it.rates.metadata["area"].tolist() == ["A", "A", "B"]
    assert it.trials["task"].tolist() == ["go"] * 8
    assert it.trials["event_time"].tolist() == pytest.approx(np.arange(8) * 0.5)
    np.testing.assert_array_equal(it.rates.restrict(it.trials[3]).values, block["rate"][3])
    np.testing.assert_array_equal(
        nap.build_tensor(it.rates, it.trials).transpose(1, 2, 0), block["rate"]
    )


def test_smoothing_does_not_leak_from_trial_to_trial():
    block = example_block()
    it = to_pynapple(block)
    back = read_back(it, block, smooth=0.1)
    np.testing.assert_array_equal(back["rate"], nc.smooth(block, 0.1)["rate"])


def test_times_of_the_recordings_clock_give_way_to_the_intervals():
    block = example_block().assign_coords(start_time=("trial", np.arange(8) * 10.0))
    it = to_pynapple(block)
    assert "start_time" not in it.trials.metadata_columns
    np.testing.assert_allclose(read_back(it, block)["start_time"], np.arange(8) * 0.5)


def test_a_unit_may_be_called_as_a_column():
    block = example_block().assign_coords(unit=["area", "u1", "u2"])
    assert to_pynapple(block).rates.metadata["unit_area"].tolist() == ["A", "A", "B"]


def spikes_and_trials(seed=0, **metadata):
    rng = np.random.default_rng(seed)
    support = nap.IntervalSet(0, 100)
    group = nap.TsGroup(
        {key: nap.Ts(np.sort(rng.uniform(0, 100, 2000))) for key in (3, 7, 8)},
        time_support=support,
        metadata={"area": ["LIP", "LIP", "PFC"], "depth": [0.5, 1.0, 1.5]},
    )
    start = np.arange(20) * 5.0 + rng.uniform(0, 1, 20)
    return group, nap.IntervalSet(start, start + 2.0, metadata=metadata)


def test_counts_are_those_of_build_tensor():
    group, trials = spikes_and_trials(task=["go", "stop"] * 10)
    block = from_pynapple(group, trials, bin=0.1)["pynapple"].to_dataset()
    tensor = nap.build_tensor(group, trials, bin_size=0.1)
    np.testing.assert_allclose(block["rate"], tensor.transpose(1, 2, 0) / 0.1, rtol=1e-6)
    assert block["unit"].values.tolist() == ["3", "7", "8"]
    assert block["area"].values.tolist() == ["LIP", "LIP", "PFC"]
    assert block["depth"].values.tolist() == [0.5, 1.0, 1.5]
    assert nc.labels(block["task"]).tolist() == ["go", "stop"] * 10
    assert "rate" in block.data_vars
    np.testing.assert_array_equal(block["stop_time"], trials.end)


def test_what_the_time_support_leaves_out_was_not_observed():
    group, trials = spikes_and_trials(cue_time=np.arange(20) * 5.0 + 1.5)
    held = nap.IntervalSet([0.0, 42.0], [41.0, 100.0])
    with pytest.warns(UserWarning, match="no column names the task"):
        activity = from_pynapple(
            group.restrict(held), trials, align="cue_time", window=(-1, 1), bin=0.5
        )
    rate = activity["pynapple"]["rate"].values
    # the ninth trial's bins from 40.5 s
    np.testing.assert_array_equal(np.isnan(rate[8, :, 0]), [False, True, True, False])
    assert np.isfinite(np.delete(rate, 8, axis=0)).all()


def test_samples_are_averaged_and_cut_by_their_time_support():
    times = np.arange(100) * 0.1
    values = np.arange(200, dtype=float).reshape(100, 2)
    frame = nap.TsdFrame(t=times, d=values, columns=["a", "b"]).restrict(
        nap.IntervalSet([0.0, 5.0], [3.95, 9.95])
    )
    trials = nap.IntervalSet([0.95, 2.95, 4.0], [1.95, 3.9, 5.95], metadata={"task": ["x"] * 3})
    rate = from_pynapple(frame, trials, window=(0, 2), bin=0.5)["pynapple"]["rate"].values
    assert rate[0, 0].tolist() == [24, 25]
    np.testing.assert_array_equal(np.isnan(rate[1, :, 0]), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(rate[2, :, 0]), [True, True, False, False])
    assert rate[2, 2].tolist() == [104, 105]
    lone = from_pynapple(frame["b"], trials, window=(0, 2), bin=0.5)["pynapple"]
    np.testing.assert_array_equal(lone["rate"][:, :, 0], rate[:, :, 1])
    assert lone["unit"].values.tolist() == ["0"]


def test_samples_at_uneven_times():
    times = np.cumsum(np.tile([0.1, 0.2], 30))
    tsd = nap.Tsd(t=times, d=np.arange(60.0))
    trials = nap.IntervalSet([0.05, 3.05], [0.95, 3.95], metadata={"task": ["x", "y"]})
    rate = from_pynapple(tsd, trials, bin=0.3, window=(0, 0.9))["pynapple"]["rate"].values[..., 0]
    expected = [
        [
            np.mean(
                np.arange(60.0)[(times >= a + k * 0.3 - 1e-6) & (times < a + (k + 1) * 0.3 - 1e-6)]
            )
            for k in range(3)
        ]
        for a in (0.05, 3.05)
    ]
    np.testing.assert_allclose(rate, expected, rtol=1e-6)


def test_a_long_recording_at_an_odd_rate_is_even():
    times = np.arange(200_000) / 30
    tsd = nap.Tsd(t=times, d=np.arange(200_000.0))
    trials = nap.IntervalSet([6000 - 0.01], [6001], metadata={"task": ["x"]})
    rate = from_pynapple(tsd, trials, window=(0, 1))["pynapple"]["rate"].values[0, :, 0]
    np.testing.assert_array_equal(rate, np.arange(180_000, 180_030))


def test_several_sessions_keep_their_names():
    one, two = spikes_and_trials(0, task=["go"] * 20), spikes_and_trials(1, task=["go"] * 20)
    block = from_pynapple({"a": one[0], "b": two[0]}, {"a": one[1], "b": two[1]}, name="x")["x"]
    assert block["rate"].dims == ("observation", "time")
    assert block["unit"].values.tolist() == ["a/3", "a/7", "a/8", "b/3", "b/7", "b/8"]


def test_what_is_no_such_object_is_refused():
    group, trials = spikes_and_trials(task=["go"] * 20)
    with pytest.raises(nc.InputError, match=r"spikes: expected a pynapple.TsGroup.*got Ts\."):
        from_pynapple(group[3], trials)
    with pytest.raises(nc.InputError, match=r"trials: expected a pynapple.IntervalSet, got ndarr"):
        from_pynapple(group, trials.values)
    with pytest.raises(nc.InputError, match="expected a mapping of sessions as spikes, a, got b"):
        from_pynapple({"a": group}, {"b": trials})
    with pytest.raises(nc.InputError, match="expected a mapping of sessions as spikes, a, got Int"):
        from_pynapple({"a": group}, trials)
    with pytest.raises(nc.InputError, match="align.*expected one of start_time, stop_time"):
        from_pynapple(group, trials, align="cue")
    with warnings.catch_warnings():
        # pynapple warns of a time support without duration
        warnings.simplefilter("ignore")
        lone = nap.Tsd(t=np.array([1.0]), d=np.array([2.0]), time_support=nap.IntervalSet(0.5, 1.5))
        with pytest.raises(nc.InputError, match="at least two samples.*got 1"):
            from_pynapple(lone, nap.IntervalSet(0.9, 1.1, metadata={"task": ["x"]}))


def test_blocks_that_have_no_even_clock_of_their_own_are_refused():
    block = example_block()
    with pytest.raises(nc.InputError, match="to_pynapple: expected one block, got 2 blocks: a, b"):
        to_pynapple(
            nc.make_activity(
                {
                    "a": block,
                    "b": block.assign_coords(
                        task=block["task"].assign_attrs(categories='["x"]')
                    ).assign_attrs(condition_variables='{"x": []}'),
                }
            )
        )
    with pytest.raises(nc.InputError, match="expected even steps of 0.1 s, got uneven ones"):
        to_pynapple(block.isel(time=[0, 1, 3]))


def test_pynapple_is_optional(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pynapple", None)
    with pytest.raises(ImportError, match=r"pip install 'nwbcompare\[pynapple\]'"):
        to_pynapple(example_block())
