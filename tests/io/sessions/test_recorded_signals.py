"""Recorded signals: means of samples in bins, gaps, and parts that are read on demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.ndimage import gaussian_filter1d
from simulated_sessions import block_of, samples_of, spikes_of

import nwbcompare as nc
from nwbcompare.io.sessions import SpikeTrains

# --- samples ----------------------------------------------------------------------------------


def means_by_loop(values, stamps, origins, edges):
    """The mean of the samples in each bin; a time a thousandth of a bin before an edge is on it."""
    rates = np.full((len(origins), len(edges) - 1, values.shape[1]), np.nan)
    for trial, origin in enumerate(origins):
        for place in range(len(edges) - 1):
            left, right = origin + edges[place : place + 2] - 1e-3 * (edges[1] - edges[0])
            inside = (stamps >= left) & (stamps < right)
            if inside.any():
                rates[trial, place] = values[inside].mean(axis=0)
    return rates


@pytest.mark.parametrize("width", [None, 0.05, 0.1, 0.25, 0.07, 0.12])
@pytest.mark.parametrize("uneven", [False, True])
def test_samples_become_means_in_bins(width, uneven):
    rng = np.random.default_rng(3)
    values, stamps = rng.random((200, 3)), np.arange(200) / 20
    if uneven:
        stamps = np.sort(stamps + rng.random(200) * 0.004)
    session = samples_of(values, times=stamps if uneven else None, origin=1.013)
    block = block_of(session, window=(-0.3, 0.9), bin=width)
    width = block["time"].attrs["bin_width_s"]
    edges = -0.3 + np.arange(block.sizes["time"] + 1) * width
    expected = means_by_loop(values, stamps, np.arange(4) + 1.013, edges)
    there = np.isfinite(expected)
    np.testing.assert_allclose(block["rate"].values[there], expected[there], rtol=1e-6)
    # where times are uneven, a bin of one sample may fall between two: it has the nearest
    assert there.mean() > 0.9
    assert there.all() or uneven
    assert np.isfinite(block["rate"]).all()


def test_bins_of_one_sample_are_the_samples_whatever_the_rounding():
    values = np.arange(300.0)[:, None] % 97
    session = samples_of(values, rate=30.0, start=0.1, origin=0.1 + 0.7)
    block = block_of(session, window=(0, 1))
    assert block.sizes["time"] == 30
    for trial in range(4):
        first = 21 + 30 * trial
        np.testing.assert_array_equal(
            block["rate"].values[trial, :, 0], values[first : first + 30, 0]
        )


def test_bins_without_a_sample_are_nan_in_a_gap_and_the_nearest_otherwise():
    stamps = np.array([1.0, 1.1, 1.21, 1.299, 1.4, 1.9, 2.0])
    session = samples_of(np.arange(7.0)[:, None], rate=10, times=stamps, n_trials=1)
    rate = block_of(session, window=(0, 1), bin=0.1)["rate"].values[0, :, 0]
    np.testing.assert_array_equal(rate, [0, 1, 2.5, 4, 4, np.nan, np.nan, np.nan, 5, 5])


@pytest.mark.parametrize("uneven", [False, True])
def test_before_and_after_the_samples_is_nan_and_not_zero(uneven):
    values = np.ones((30, 2))
    stamps = 1.32 + np.arange(30) / 10
    session = samples_of(values, rate=10, start=1.32, times=stamps if uneven else None)
    block = block_of(session, window=(0, 1), bin=0.2, smooth=0.2)
    rate = block["rate"].values
    # the first sample lies within the second bin, the last within the second of trial 3
    np.testing.assert_array_equal(np.isfinite(rate[0, :, 0]), [False, False, True, True, True])
    assert np.isfinite(rate[1:3]).all()
    np.testing.assert_array_equal(np.isfinite(rate[3, :, 0]), [True, False, False, False, False])
    np.testing.assert_allclose(rate[np.isfinite(rate)], 1, rtol=1e-6)


@pytest.mark.parametrize("uneven", [False, True])
def test_trials_outside_the_samples_are_no_observations(uneven):
    stamps = 2.0 + np.arange(20) / 10
    session = samples_of(
        np.ones((20, 2)), rate=10, start=2.0, times=stamps if uneven else None, n_trials=5
    )
    with pytest.warns(UserWarning, match="3 of 5 trials were recorded in no bin: row 0 of"):
        block = block_of(session, window=(0, 1))
    assert block["rate"].dims == ("observation", "time")
    assert sorted(set(block["observation_trial"].values)) == [1, 2]
    assert np.isfinite(block["rate"]).all()


def test_a_missing_sample_makes_its_bin_missing_and_leaks_nowhere():
    values = np.ones((200, 2))
    values[27, 1] = np.nan
    rate = block_of(samples_of(values), window=(0, 1), bin=0.1, smooth=0.2)["rate"].values
    assert np.isnan(rate[0, 3, 1])
    assert np.isnan(rate).sum() == 1
    np.testing.assert_allclose(rate[np.isfinite(rate)], 1, rtol=1e-6)
    values[27, 1] = np.inf
    block = block_of(samples_of(values), window=(0, 1))
    with pytest.raises(nc.InputError, match="samples: expected finite numbers"):
        block["rate"].load()


def test_samples_are_aligned_wider_smoothed_and_then_cut():
    values = np.random.default_rng(4).random((200, 3))
    block = block_of(samples_of(values), window=(0, 1), bin=0.1, smooth=0.15)
    wide = values.reshape(100, 2, 3).mean(axis=1)
    smooth = gaussian_filter1d(wide, 1.5, axis=0)
    np.testing.assert_allclose(block["rate"].values, smooth[10:50].reshape(4, 10, 3), rtol=1e-5)
    cut_first = gaussian_filter1d(wide[10:20], 1.5, axis=0, mode="nearest")
    assert np.abs(cut_first[0] - smooth[10]).min() > 1e-3


def test_bins_narrower_than_a_sample_are_refused():
    with pytest.raises(nc.InputError, match="bin: expected at least the sampling interval, 0.05 s"):
        block_of(samples_of(), window=(0, 1), bin=0.01)


# --- reading in parts -------------------------------------------------------------------------


def indexers(size):
    """What selects along a dimension: a place, a slice of either direction, places at will."""
    # a start before the first with a step back is more than xarray itself can take
    bound = st.none() | st.integers(-size, size)
    steps = st.sampled_from([None, 1, 2, -1, -3])
    return st.one_of(
        st.integers(-size, size - 1),
        st.builds(slice, bound, bound, steps),
        st.lists(st.integers(-size, size - 1), max_size=6).map(lambda x: np.array(x, dtype=int)),
    )


KINDS = {
    "dense spikes": lambda: spikes_of(n_units=12),
    "dense samples": samples_of,
    "ragged spikes": lambda: spikes_of(
        intervals=[np.array([[0.0, 9.0]]), np.array([[2.0, 9.0]]), np.array([[0.0, 3.2]])]
    ),
    "sessions": lambda: [spikes_of(n_trials=3), spikes_of(name="s2", seed=5)],
    "ragged samples": lambda: samples_of(np.random.default_rng(0).random((70, 3))),
}


@pytest.mark.filterwarnings("ignore:.*were recorded in no bin")
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_parts_that_are_read_are_slices_of_the_whole(kind, data):
    options = {"window": (-0.3, 0.8), "bin": 0.1, "smooth": 0.1}
    lazy = block_of(KINDS[kind](), **options)["rate"].variable
    whole = block_of(KINDS[kind](), **options)["rate"].values
    key = tuple(data.draw(indexers(size)) for size in lazy.shape)
    expected = whole
    for axis in reversed(range(whole.ndim)):
        expected = expected[(slice(None),) * axis + (key[axis],)]
    part = lazy[key]
    assert part.shape == expected.shape
    np.testing.assert_allclose(part.values, expected, rtol=1e-6, atol=1e-6)


def test_only_the_units_and_trials_that_are_looked_at_are_read():
    looked = []
    session = spikes_of()
    trains = SpikeTrains(lambda unit: looked.append(unit) or session.signal.times(unit))
    block = block_of(replace(session, signal=trains), window=(0, 1))
    assert looked == []
    block["rate"].isel(unit=[2, 0], trial=1).load()
    assert sorted(looked) == [0, 2]
