"""What lies under a numpy mask never becomes data, and no number is truncated."""

from __future__ import annotations

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.core.activity import make_block
from nwbcompare.io import from_arrays

RATES = np.ma.masked_array(np.ones((2, 3, 1)), mask=False)
RATES.data[0, 0, 0] = 999
RATES.mask = RATES.data == 999
ARGUMENTS = {
    "time_s": [0.05, 0.15, 0.25],
    "bin_width_s": 0.1,
    "aligned_to": "x",
    "trials": {"task": ["a", "a"], "c": [1.0, 2.0]},
    "units": {"unit": ["u"], "depth": [1.5]},
    "condition_variables": {"a": ["c"]},
    "source": "recording",
    "name": "n",
}


def masked(values):
    """The first value masked."""
    return np.ma.masked_array(values, mask=[True] + [False] * (len(values) - 1))


@pytest.mark.parametrize("rate", [RATES, RATES.astype(int), list(RATES)])
def test_a_masked_rate_was_not_observed(rate):
    block = make_block(rate, **ARGUMENTS)
    assert np.isnan(block["rate"].values[0, 0, 0])
    assert np.nansum(block["rate"]) == 5


@pytest.mark.parametrize("rates", [RATES, list(np.moveaxis(RATES, 2, 0))])
def test_a_masked_rate_of_plain_arrays_was_not_observed(rates):
    block = from_arrays(rates, bin=0.1, trials={"task": ["a", "a"]})["arrays"]
    assert np.isnan(block["rate"].values[0, 0, 0])
    assert np.nansum(block["rate"]) == 5


def test_masked_spikes_did_not_occur():
    spikes = [[np.ma.masked_array([0.1, 0.2], mask=[True, False])]]
    block = from_arrays(spikes=spikes, window=(0, 0.4), bin=0.2, trials={"task": ["a"]})["arrays"]
    assert block["rate"].values.tolist() == [[[0.0], [5.0]]]


def test_a_mask_without_masked_values_changes_nothing():
    counts = np.ma.masked_array(np.arange(6).reshape(2, 3), mask=False)
    block = from_arrays(counts, counts=True, bin=1.0, trials={"task": ["a", "a"]})["arrays"]
    assert block["rate"].values[:, :, 0].tolist() == counts.data.tolist()


@pytest.mark.parametrize(
    ("key", "values", "missing"),
    [
        ("trials", {"task": ["a", "a"], "c": masked([1, 2])}, None),
        ("trials", {"task": masked(["b", "a"]), "c": [1.0, 2.0]}, None),
        ("units", {"unit": ["u"], "depth": masked([7])}, None),
        ("units", {"unit": ["u"], "depth": masked([7.0])}, "depth"),
        ("trials", {"task": ["a", "a"], "c": [1.0, 2.0], "x": masked([9.0, 2.0])}, "x"),
    ],
)
def test_masked_values_of_columns_are_nan_or_refused(key, values, missing):
    if missing:
        block = make_block(np.ones((2, 3, 1)), **ARGUMENTS | {key: values})
        assert np.isnan(block[missing].values[0])
        return
    with pytest.raises(nc.InputError, match="expected values that are all there, got 1 masked"):
        make_block(np.ones((2, 3, 1)), **ARGUMENTS | {key: values})
    trials = values if key == "trials" else {"task": ["a", "a"]}
    units = values if key == "units" else None
    with pytest.raises(nc.InputError, match=rf"{key}\['\w+'\]: expected values that are all"):
        from_arrays(np.ones((2, 3, 1)), bin=0.1, trials=trials, units=units)


def test_masked_counts_and_times_are_refused():
    counts = np.ma.masked_array(np.ones((1, 2, 1), dtype=int), mask=[[[True], [False]]])
    with pytest.raises(nc.InputError, match="rates: expected values that are all there"):
        from_arrays(counts, counts=True, bin=0.1, trials={"task": ["a"]})
    with pytest.raises(nc.InputError, match="time"):
        from_arrays(np.ones((1, 3, 1)), time_s=masked([0.1, 0.2, 0.3]), trials={"task": ["a"]})


@pytest.mark.parametrize(
    ("keys", "fits"),
    [([0, 1], True), ([0.0, 1.0], True), ([0.0, 0.7], False), (["0", "1"], False), ([0, np.nan], False)],
)  # fmt: skip
def test_a_key_of_a_unit_with_a_fraction_is_refused(keys, fits):
    arguments = ARGUMENTS | {"units": {"unit": ["u", "v"]}, "observation_unit": keys}
    if fits:
        block = make_block(np.ones((2, 3)), **arguments)
        assert block["observation_unit"].values.tolist() == [0, 1]
        return
    with pytest.raises(nc.InputError, match="observation_unit: expected whole numbers"):
        make_block(np.ones((2, 3)), **arguments)
