"""Spikes and samples in windows: brute force, edges, gaps, smoothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter1d

from nwbcompare.kernels import spikes as kernels
from nwbcompare.kernels.spikes import (
    bins_inside,
    count_in_windows,
    mean_in_bins,
    merge_intervals,
    nearest_place,
    onto_edges,
    smooth_observed,
)


@st.composite
def spikes_and_windows(draw):
    """Spikes on edges, twice, far from 0 or none at all; windows that overlap."""
    offset = draw(st.sampled_from([0.0, -3.0, 12_345.6789, 1e9]))
    width = draw(st.sampled_from([0.1, 0.05, 1 / 3, 1.0, 0.25]))
    edges = draw(st.sampled_from([0.0, -0.7, 0.1])) + np.arange(draw(st.integers(2, 9))) * width
    origins = offset + np.array(draw(st.lists(st.floats(0, 3), min_size=1, max_size=5)))
    anywhere = [offset + t for t in draw(st.lists(st.floats(-1, 5), max_size=10))]
    on_edges = (origins[:, None] + edges).ravel()
    near = on_edges[draw(st.lists(st.integers(0, on_edges.size - 1), max_size=10))]
    beside = [np.nextafter(near, side) for side in (-np.inf, np.inf)]
    return np.sort(np.concatenate([anywhere, near, *beside])), origins, edges


@given(spikes_and_windows())
def test_counts_are_those_of_a_binary_search_for_every_edge(drawn):
    spike_times, origins, edges = drawn
    expected = np.diff(np.searchsorted(spike_times, origins[:, None] + edges), axis=1)
    np.testing.assert_array_equal(count_in_windows(spike_times, origins, edges), expected)


@pytest.mark.parametrize("width", [0.1, 0.05, 1 / 3, 0.007])
def test_spikes_a_last_bit_beside_an_edge_are_counted_on_their_side(width):
    rng = np.random.default_rng(0)
    origins, edges = rng.uniform(0, 1000, 300), -0.3 + np.arange(40) * width
    on_edges = (origins[:, None] + edges).ravel()
    beside = [np.nextafter(on_edges, side) for side in (-np.inf, np.inf)]
    spike_times = np.sort(np.concatenate([on_edges, *beside]))
    expected = np.diff(np.searchsorted(spike_times, origins[:, None] + edges), axis=1)
    np.testing.assert_array_equal(count_in_windows(spike_times, origins, edges), expected)


@given(
    spikes=hnp.arrays(np.float64, st.integers(0, 200), elements=st.floats(0, 1)),
    start=st.floats(0, 1e4),
    width=st.sampled_from([0.001, 0.01, 0.05, 0.1]),
)
def test_counts_away_from_edges_are_those_of_a_histogram(spikes, start, width):
    edges = np.arange(round(0.8 / width) + 1) * width
    times = np.sort(start + spikes)
    near = np.abs((times - start) / width - np.round((times - start) / width)) < 1e-6
    times = times[~near]
    expected, _ = np.histogram(times, start + edges)
    counts = count_in_windows(onto_edges(times, width), np.array([start]), edges)[0]
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("rate", [30_000, 24_414.0625, 20_000, 32_552])
@pytest.mark.parametrize("start", [0, 2, 3_600, 1e6])
def test_ticks_of_a_clock_on_edges_are_in_the_bin_they_start(rate, start):
    ticks_per_bin = 30
    first = round(start * rate)
    # a spike in each bin of a whole number of ticks, on its first edge
    times = (first + np.arange(0, 300 * ticks_per_bin, ticks_per_bin)) / rate
    edges = np.arange(301) * (ticks_per_bin / rate)
    moved = onto_edges(times, ticks_per_bin / rate)
    counts = count_in_windows(moved, np.array([first / rate]), edges)
    np.testing.assert_array_equal(counts, 1)
    if rate == 30_000 and start == 2:
        # without the tolerance some are in the neighbour
        assert (count_in_windows(times, np.array([first / rate]), edges) != 1).any()


def test_the_tolerance_is_that_of_the_clock_or_of_single_precision():
    edges, origins = np.array([0.0, 0.1, 0.2]), np.array([100.0])
    # before the second edge by so much
    for before, options, in_second in (
        (1e-7, {}, False),
        (1e-10, {}, True),
        (1e-7, {"rounding_s": 2e-7}, True),
        (2e-4, {"rounding_s": 1.0}, False),
        (5e-6, {"single": True}, True),
        (5e-5, {"single": True}, False),
    ):
        times = onto_edges(np.array([100.1 - before]), 0.1, **options)
        expected = [[0, 1]] if in_second else [[1, 0]]
        np.testing.assert_array_equal(count_in_windows(times, origins, edges), expected)


def test_counting_each_spike_on_its_own_gives_the_same():
    rng = np.random.default_rng(0)
    times, origins = np.sort(rng.random(500) * 20), rng.random(7) * 20
    edges = np.arange(21) * 0.1 - 1
    expected = [
        [sum(o + a <= t < o + b for t in times) for a, b in pairwise(edges)] for o in origins
    ]
    np.testing.assert_array_equal(count_in_windows(times, origins, edges), expected)


intervals_drawn = hnp.arrays(
    np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.integers(0, 40)
).map(lambda bounds: np.sort(bounds * 0.25, axis=1))


@given(intervals_drawn, st.lists(st.floats(0, 10), min_size=1, max_size=4), st.floats(0.1, 1.0))
def test_bins_inside_an_interval_are_found_as_by_a_loop(intervals, origins, width):
    merged = merge_intervals(intervals)
    origins, edges, slack = np.array(origins), np.arange(6) * width - 0.5, 1e-3 * width
    inside = bins_inside(origins, edges, merged, slack)
    for origin, row in zip(origins, inside, strict=True):
        for place, is_inside in enumerate(row):
            left, right = origin + edges[place], origin + edges[place + 1]
            held = any(a <= left + slack and b >= right - slack for a, b in merged)
            assert is_inside == held


@given(intervals_drawn)
def test_merged_intervals_hold_the_same_times_and_lie_apart(intervals):
    merged = merge_intervals(intervals)
    times = np.arange(-1, 11, 0.0625)

    def held(bounds):
        return np.any([(times >= a) & (times <= b) for a, b in bounds] or [times < -9], axis=0)

    np.testing.assert_array_equal(held(merged), held(intervals))
    assert (merged[1:, 0] > merged[:-1, 1]).all()


def test_what_lies_a_rounding_apart_is_one_interval():
    touching = np.array([[0.0, 0.1 + 0.2], [0.3 - 1e-9, 1.0]])
    assert merge_intervals(touching[::-1], 1e-6).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("sd", [0.0, 0.8, 3.0])
def test_smoothing_wide_and_then_cutting_is_the_filter_on_the_wide_data(sd):
    rng = np.random.default_rng(1)
    values, kept = rng.random((4, 60)), slice(20, 40)
    everywhere = np.ones(values.shape, dtype=bool)
    wide = gaussian_filter1d(values, sd, axis=1) if sd else values
    ours = smooth_observed(values, everywhere, sd, 10.0, kept)
    np.testing.assert_allclose(ours, 10 * wide[:, kept], rtol=1e-6)
    if sd:
        # the control: data that are cut first are biased at the edges, and there only
        cut = gaussian_filter1d(values[:, kept], sd, axis=1, mode="nearest")
        radius = int(4 * sd + 0.5)
        assert np.abs(cut - wide[:, kept])[:, [0, -1]].min() > 1e-3
        middle = slice(radius, 20 - radius)
        np.testing.assert_allclose(cut[:, middle], wide[:, kept][:, middle])


def test_long_runs_are_smoothed_in_parts_that_leave_no_trace(monkeypatch):
    values = np.random.default_rng(2).random((2, 300))
    observed = np.ones(values.shape, dtype=bool)
    whole = gaussian_filter1d(values, 5.0, axis=1, mode="nearest")
    monkeypatch.setattr(kernels, "BINS_AT_ONCE", 16)
    ours = smooth_observed(values, observed, 5.0, 1.0, slice(0, 300))
    np.testing.assert_allclose(ours, whole, rtol=1e-6)


def test_smoothing_does_not_leak_over_what_was_not_observed():
    values, observed = np.zeros((1, 30)), np.ones((1, 30), dtype=bool)
    observed[0, 10:13] = False
    values[0, :10], values[0, 10:13] = 5.0, 1e6
    smooth = smooth_observed(values, observed, 2.0, 1.0, slice(0, 30))[0]
    np.testing.assert_allclose(smooth, [5] * 10 + [np.nan] * 3 + [0] * 17, rtol=1e-6)


@given(
    hnp.arrays(np.float64, (12, 2), elements=st.one_of(st.floats(-9, 9), st.just(np.nan))),
    st.lists(st.integers(0, 12), min_size=2, max_size=8),
)
def test_means_in_bins_are_those_of_a_loop(samples, bounds):
    bounds = np.sort(bounds)
    expected = np.full((bounds.size - 1, 2), np.nan)
    for place, (a, b) in enumerate(pairwise(bounds)):
        if b > a:
            expected[place] = sum(samples[a:b]) / (b - a)
    np.testing.assert_allclose(mean_in_bins(samples, bounds), expected, atol=1e-12)


@given(
    st.lists(st.floats(0, 9), min_size=1, max_size=6).map(np.sort),
    st.lists(st.floats(-1, 10), min_size=1, max_size=6),
)
def test_the_nearest_place_is_the_nearest(times, wanted):
    wanted = np.array(wanted)
    nearest = np.abs(times - wanted[:, None]).min(axis=1)
    np.testing.assert_array_equal(np.abs(times[nearest_place(times, wanted)] - wanted), nearest)
