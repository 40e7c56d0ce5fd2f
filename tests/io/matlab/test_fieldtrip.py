"""Cells by trial: FieldTrip's raw and timelock data, CellExplorer's spikes, and other cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

import nwbcompare as nc
from nwbcompare.io import from_mat

STEP = 0.01
INFO = np.array([[1, 10], [2, 20], [1, 30], [2, 40], [1, 50]])


def cell(items, shape=None):
    made = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        made[place] = item
    return made.reshape(shape or (1, len(items)))


def value(trial, channel, time):
    """The value of a channel in a trial at a time (s), which tells all three apart."""
    return 100.0 * trial + 10.0 * channel + time


def raw(bins, channels=("A1", "A2", "A3")):
    """FieldTrip's raw data; for each trial its first and last bin."""
    times = [np.arange(first, last) * STEP for first, last in bins]
    trials = [
        np.array([[value(k, c, t) for t in row] for c in range(len(channels))])
        for k, row in enumerate(times)
    ]
    return {
        "trial": cell(trials),
        "time": cell(times),
        "fsample": 100.0,
        "label": cell(channels, (-1, 1)),
        "trialinfo": INFO[: len(bins)],
    }


@pytest.fixture
def saved(tmp_path):
    def save(**variables):
        savemat(tmp_path / "ft.mat", variables)
        return tmp_path / "ft.mat"

    return save


MAPPING = {
    "rates": "data.trial",
    "time_s": "data.time",
    "trials": {"task": "data.trialinfo(:,1)", "latency": "data.trialinfo(:,2)"},
    "units": {"unit": "data.label"},
}


@pytest.mark.parametrize("dims", [None, ("trial", "unit", "time")])
def test_trials_of_raw_data_are_trials(saved, dims):
    block = from_mat(saved(data=raw([(-3, 5)] * 5)), MAPPING, dims=dims)["ft"]
    assert dict(block.sizes) == {"trial": 5, "time": 8, "unit": 3}
    assert block["unit"].values.tolist() == ["A1", "A2", "A3"]
    assert nc.labels(block["task"]).tolist() == ["1", "2", "1", "2", "1"]
    assert block["latency"].values.tolist() == [10, 20, 30, 40, 50]
    k, t, c = np.meshgrid(np.arange(5), block["time"], np.arange(3), indexing="ij")
    np.testing.assert_allclose(block["rate"], value(k, c, t), rtol=1e-6)


def test_trials_of_unequal_length_lie_on_one_axis_with_nan(saved):
    bins = [(-3, 5), (0, 8), (-3, 2), (1, 4), (-1, 8)]
    block = from_mat(saved(data=raw(bins)), MAPPING)["ft"]
    np.testing.assert_allclose(block["time"], np.arange(-3, 8) * STEP, atol=1e-12)
    for trial, (first, last) in enumerate(bins):
        inside = (np.arange(-3, 8) >= first) & (np.arange(-3, 8) < last)
        assert (np.isfinite(block["rate"][trial]).all("unit").values == inside).all()
        expected = [value(trial, 1, t) for t in np.arange(first, last) * STEP]
        np.testing.assert_allclose(block["rate"][trial, inside, 1], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (lambda t, k: t + 0.004 * (k == 1), "the same bins in all trials.*trials of 5, 8 bins"),
        (lambda t, k: t * (1 + (k == 2)), "the same bins in all trials.*trials of 5, 8 bins"),
        (lambda t, k: t[: 7 + 5 * (k < 1)], "bin centres of 3 trials of 5, 8 bins, got those of"),
    ],
)
def test_trials_with_other_bins_are_refused_with_their_lengths(saved, times, message):
    data = raw([(0, 8), (0, 8), (0, 5)])
    data["time"] = cell([times(t, k) for k, t in enumerate(data["time"].ravel())])
    with pytest.raises(nc.InputError, match=message):
        from_mat(saved(data=data), MAPPING)


def test_unequal_trials_without_their_times_are_refused_with_their_lengths(saved):
    path = saved(data=raw([(0, 8), (0, 5)]))
    one = MAPPING | {"time_s": "data.time{1}"}
    with pytest.raises(nc.InputError, match="trials of one length, .* got trials of 5, 8 bins"):
        from_mat(path, one)


def test_timelock_data_have_the_axes_that_they_name(saved):
    trials = raw([(0, 8)] * 5)
    kept = np.stack([np.asarray(trial) for trial in trials["trial"].ravel()])
    data = trials | {"trial": kept, "time": trials["time"][0, 0], "dimord": "rpt_chan_time"}
    data["avg"] = kept.mean(axis=0)
    path = saved(data=data)
    block = from_mat(path, MAPPING)["ft"]
    assert dict(block.sizes) == {"trial": 5, "time": 8, "unit": 3}
    np.testing.assert_allclose(block["rate"], kept.transpose(0, 2, 1), rtol=1e-6)
    mean = {"rates": "data.avg", "time_s": "data.time", "units": {"unit": "data.label"}}
    with pytest.warns(UserWarning, match="no column names the task"):
        block = from_mat(path, mean)["ft"]
    assert dict(block.sizes) == {"trial": 1, "time": 8, "unit": 3}
    np.testing.assert_allclose(block["rate"][0], kept.mean(axis=0).T, rtol=1e-6)
    path = saved(data=data | {"dimord": "rpt_chan_freq"})
    with pytest.raises(nc.InputError, match="dimord: expected axes rpt .*got 'rpt_chan_freq'"):
        from_mat(path, MAPPING)


@pytest.mark.parametrize("dims", [("unit", "time"), ("trial", "time"), ("time", "trial", "unit")])
def test_axes_that_do_not_fit_a_cell_are_refused(saved, dims):
    with pytest.raises(nc.InputError, match="dims: expected the axis of the list first"):
        from_mat(saved(data=raw([(0, 8)] * 5)), MAPPING, dims=dims)


def test_any_cell_by_trial_is_read_by_its_axes_and_never_by_guess(saved):
    trials = [np.array([[value(k, c, t) for c in range(3)] for t in range(4)]) for k in range(5)]
    path = saved(bins=cell(trials), rule=cell(list("abaab"), (-1, 1)))
    mapping = {"rates": "bins", "trials": {"task": "rule"}}
    block = from_mat(path, mapping, dims=("trial", "time", "unit"), bin=0.1)["ft"]
    np.testing.assert_allclose(block["rate"], np.stack(trials))
    for columns in ({}, {"trials": {"task": "rule"}}):
        with pytest.raises(nc.InputError, match=r"dims=\('unit', .*cell of 5 that may be by trial"):
            from_mat(path, {"rates": "bins"} | columns, bin=0.1)


def test_cells_of_spikes_are_by_trial_where_columns_say_so(saved):
    spikes = [
        [np.array([0.1 * unit, 0.5 + 0.1 * trial]) for unit in range(2)] for trial in range(3)
    ]
    path = saved(t=cell([one for trial in spikes for one in trial], (3, 2)), rule=cell(list("aba")))
    options = {"window": (0, 1), "bin": 0.5}
    mapping = {"spikes": "t", "trials": {"task": "rule"}}
    block = from_mat(path, mapping, **options)["ft"]
    named = from_mat(path, mapping, dims=("trial", "unit"), **options)["ft"]
    assert dict(block.sizes) == {"trial": 3, "time": 2, "unit": 2}
    np.testing.assert_array_equal(block["rate"], named["rate"])
    with pytest.raises(nc.InputError, match=r"expected dims=\('unit', 'trial'\) or"):
        from_mat(path, {"spikes": "t"}, **options)


def test_behaviour_may_lie_in_another_file(saved):
    """CellExplorer: spikes.times is a cell by unit, on the session's clock."""
    path = saved(spikes={"times": cell([np.arange(0, 5, 0.1), np.arange(0, 5, 0.25)])}, id=[7, 8])
    trials = {"start_time": [1.0, 3.0], "stop_time": [2.0, 4.0], "task": ["a", "b"]}
    for table in (trials, pd.DataFrame(trials)):
        options = {"trials": table, "window": (0, 1), "bin": 0.5, "units": {"unit": ["u7", "u8"]}}
        block = from_mat(path, {"spikes": "spikes.times"}, **options)["ft"]
        assert block["unit"].values.tolist() == ["u7", "u8"]
        assert block["rate"].mean(("trial", "time")).values.tolist() == [10, 4]
        assert nc.labels(block["task"]).tolist() == ["a", "b"]
    mapping = {"spikes": "spikes.times", "units": {"unit": "id"}}
    options.pop("units")
    assert from_mat(path, mapping, **options)["ft"]["unit"].values.tolist() == ["7", "8"]
    with pytest.raises(nc.InputError, match="units: expected columns in the mapping or as an op"):
        from_mat(path, mapping, units={"unit": ["a", "b"]}, **options)


def test_a_column_that_is_not_there_is_refused(saved):
    path = saved(data=raw([(0, 8)] * 5))
    with pytest.raises(nc.InputError, match="expected a column from 1 to 2, got 3"):
        from_mat(path, MAPPING | {"trials": {"task": "data.trialinfo(:,3)"}})
