"""Sessions on one clock: counts, means and smoothing against brute force, and what is left out."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter1d

import nwbcompare as nc
from nwbcompare.core.activity import is_ragged
from nwbcompare.io.sessions import (
    Reading,
    Samples,
    Session,
    SpikeTrains,
    joined_columns,
    lay_on_one_clock,
)
from nwbcompare.kernels import spikes as kernels
from nwbcompare.kernels.spikes import (
    bins_inside,
    count_in_windows,
    mean_in_bins,
    merge_intervals,
    nearest_place,
    smooth_observed,
)
from nwbcompare.testing import example_block

# --- the numbers -----------------------------------------------------------------------------


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


# --- how to read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"window": (1, 0)}, r"window: expected \(start, stop\) in s, ascending, got \(1, 0\)"),
        ({"window": (0, 0)}, "window"),
        ({"window": (0, np.nan)}, "window"),
        ({"window": (np.inf, np.inf)}, "window"),
        ({"window": (0, 1, 2)}, "window"),
        ({"window": 3.0}, "window"),
        ({"window": "01"}, "window"),
        ({"window": ("a", "b")}, "window"),
        ({"bin": 0.0}, "bin: expected a width above 0 s, got 0.0"),
        ({"bin": np.nan}, "bin"),
        ({"bin": np.inf}, "bin"),
        ({"bin": "0.1"}, "bin"),
        ({"bin": True}, "bin"),
        ({"smooth": -0.1}, "smooth: expected 0 s or more, got -0.1"),
        ({"smooth": np.nan}, "smooth"),
        ({"smooth": None}, "smooth"),
        ({"conditions": "side"}, r"conditions: expected a list .* Use \['side'\]"),
    ],
)
def test_what_cannot_be_read_so_is_refused(options, match):
    with pytest.raises(nc.InputError, match=match):
        Reading(**options)


def spikes_of(n_units=3, n_trials=4, *, seed=0, name="s1", times=None, intervals=None, **columns):
    """A session of spikes: trials of 1 s each second, of task "go" unless told otherwise."""
    rng = np.random.default_rng(seed)
    if times is None:
        times = [np.sort(rng.random(40) * (n_trials + 2)) for _ in range(n_units)]
    start = np.arange(n_trials) + 1.0
    trials = {"start_time": start, "stop_time": start + 1, "task": np.array(["go"] * n_trials)}
    return Session(
        name=name,
        trials=trials | columns,
        units={"unit": np.array([f"u{k}" for k in range(n_units)])},
        signal=SpikeTrains(times.__getitem__, intervals),
    )


def block_of(sessions, name="data", **reading):
    activity = lay_on_one_clock(
        sessions if isinstance(sessions, list) else [sessions], Reading(**reading), name=name
    )
    return next(iter(nc.check_activity(activity).children.values())).to_dataset()


def test_windows_may_be_lists_and_arrays_and_the_incomplete_last_bin_is_dropped():
    one = block_of(spikes_of(), window=(0.0, 1.0), bin=0.3)
    assert one.sizes["time"] == 3
    assert one.identical(block_of(spikes_of(), window=[0.0, 1.0], bin=0.3))
    assert one.identical(block_of(spikes_of(), window=np.array([0.0, 0.9]), bin=0.3))
    np.testing.assert_allclose(one["time"], [0.15, 0.45, 0.75])


def test_spikes_become_rates_about_the_event():
    cue = np.array([1.25, 2.5, 3.0, 4.0])
    session = spikes_of(cue_time=cue)
    block = block_of(session, align="cue_time", window=(-0.5, 0.5), bin=0.25)
    edges = cue[:, None] + np.arange(-2, 3) * 0.25
    for unit in range(3):
        counts = np.diff(np.searchsorted(session.signal.times(unit), edges), axis=1)
        np.testing.assert_allclose(block["rate"][:, :, unit], counts / 0.25)
    assert block["rate"].dtype == np.float32
    assert block["rate"].attrs["units"] == "spikes/s"
    assert block["time"].attrs["aligned_to"] == "cue_time"


def test_without_a_window_bins_beyond_a_trials_own_stop_are_nan():
    session = spikes_of(stop_time=np.array([2.0, 2.5, 3.6, np.nan]))
    block = block_of(session, bin=0.25)
    seen = np.isfinite(block["rate"].sel(unit_key=0) if "unit_key" in block.dims else block["rate"])
    assert block.sizes["time"] == 4
    # the last trial has no stop: nothing is known to belong to it, and the block is ragged
    assert is_ragged(block)
    assert block.sizes["observation"] == 9
    by_trial = seen.values.sum(axis=1).reshape(3, 3)
    np.testing.assert_array_equal(by_trial, [[4, 2, 2]] * 3)


def test_a_stop_cuts_after_smoothing_so_that_it_biases_nothing():
    options = {"bin": 0.1, "smooth": 0.2}
    free = block_of(spikes_of(), window=(0, 1), **options)["rate"]
    np.testing.assert_array_equal(block_of(spikes_of(), **options)["rate"], free)
    early = spikes_of(stop_time=np.array([2.0, 3.0, 4.0, 4.5]))
    cut = block_of(early, **options)["rate"].values
    np.testing.assert_array_equal(cut[:3], free[:3])
    np.testing.assert_array_equal(cut[3, :5], free[3, :5])
    assert np.isnan(cut[3, 5:]).all()


def test_trials_recorded_apart_take_nothing_from_their_neighbours():
    joined = spikes_of(times=[np.array([1.95, 2.5, 3.05])] * 3)
    apart = replace(joined, apart=True)
    options = {"window": (-0.5, 1.5), "bin": 0.1, "smooth": 0.1}
    assert np.isfinite(block_of(joined, **options)["rate"]).all()
    block = block_of(apart, **options)
    seen = np.isfinite(block["rate"].values)
    np.testing.assert_array_equal(seen.all(axis=(0, 2)), [False] * 5 + [True] * 10 + [False] * 5)
    assert not seen[:, :5].any()
    # the spike just before trial 1 starts is in trial 0 alone
    assert block["rate"].values[1, 5, 0] == 0 < block["rate"].values[0, 14, 0]
    assert block_of(joined, **options)["rate"].values[1, 5, 0] > 0


# --- what is left out -------------------------------------------------------------------------


def test_unobserved_bins_are_nan_and_silence_is_zero():
    intervals = [np.array([[0.0, 6.0]]), np.array([[0.0, 2.5]]), np.array([[3.0, 3.5], [4.0, 5.0]])]
    silent = [np.empty(0)] * 3
    block = block_of(spikes_of(times=silent, intervals=intervals), window=(0, 1), bin=0.5)
    rate = block["rate"].values
    rows = list(
        zip(block["observation_unit"].values, block["observation_trial"].values, strict=True)
    )
    assert rows == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 2), (2, 3)]
    np.testing.assert_array_equal(rate[:5], 0)
    np.testing.assert_array_equal(rate[5:], [[0, np.nan], [0, np.nan], [0, 0]])


def test_a_block_is_dense_only_where_every_unit_was_recorded_in_every_trial():
    always = np.array([[0.0, 9.0]])
    assert block_of(spikes_of(intervals=[always] * 3), window=(0, 1))["rate"].dims[0] == "trial"
    late = np.array([[1.5, 9.0]])
    half = block_of(spikes_of(intervals=[always, late, always]), window=(0, 1), bin=0.5)
    assert half["rate"].dims == ("trial", "time", "unit")
    lacking = np.array([[2.0, 9.0]])
    ragged = block_of(spikes_of(intervals=[always, lacking, always]), window=(0, 1), bin=0.5)
    assert ragged["rate"].dims == ("observation", "time")
    two = block_of([spikes_of(), spikes_of(seed=1, name="s2")], window=(0, 1))
    assert two["rate"].dims == ("observation", "time")


def test_units_that_were_never_recorded_are_left_out_with_a_warning():
    never = np.empty((0, 2))
    session = spikes_of(intervals=[np.array([[0.0, 9.0]]), never, np.array([[0.0, 9.0]])])
    with pytest.warns(nc.UnitWarning, match="1 units were left out, recorded in no trial: u1"):
        block = block_of(session, window=(0, 1), bin=0.5)
    assert block["unit"].values.tolist() == ["u0", "u2"]
    whole = block_of(spikes_of(), window=(0, 1), bin=0.5)
    np.testing.assert_array_equal(block["rate"], whole["rate"].isel(unit=[0, 2]))
    with pytest.raises(nc.InputError, match=r"units: expected at least one .* got none of 3"):
        block_of(spikes_of(intervals=[never] * 3), window=(0, 1))


def test_what_is_left_of_several_sessions_keeps_its_rates():
    never, always = np.empty((0, 2)), np.array([[0.0, 9.0]])
    first = spikes_of(name="s1", intervals=[never, always, always])
    second = spikes_of(name="s2", seed=1)
    with pytest.warns(nc.UnitWarning, match="u0"):
        block = block_of([first, second], window=(0, 1))
    whole = block_of([spikes_of(name="s1"), second], window=(0, 1))
    np.testing.assert_array_equal(block["rate"], whole["rate"][4:])
    assert block["unit"].values.tolist() == ["s1/u1", "s1/u2", "s2/u0", "s2/u1", "s2/u2"]


def test_a_session_without_a_recorded_unit_leaves_the_others_as_they_are():
    never = spikes_of(name="s0", intervals=[np.empty((0, 2))] * 3)
    good = spikes_of(name="s1", n_trials=3)
    with pytest.warns(nc.UnitWarning, match="3 units"):
        block = block_of([never, good], window=(0, 1), bin=0.5)
    np.testing.assert_array_equal(block["rate"], block_of(good, window=(0, 1), bin=0.5)["rate"])
    assert set(nc.labels(block["session"])) == {"s1"}


def test_a_session_without_units_is_refused():
    with pytest.raises(nc.InputError, match="got none of 0"):
        block_of(spikes_of(n_units=0), window=(0, 1))


def test_trials_without_the_event_are_left_out_with_a_warning():
    cue = np.array([1.5, np.nan, 3.5, np.nan])
    with pytest.warns(UserWarning, match="2 trials were left out: they have no time in 'cue_time'"):
        block = block_of(spikes_of(cue_time=cue), align="cue_time", window=(0, 1))
    assert block["start_time"].values.tolist() == [1.0, 3.0]
    both = [spikes_of(cue_time=cue * np.nan), spikes_of(name="s2", cue_time=cue + 0.1)]
    with pytest.warns(UserWarning, match="6 trials were left out"):
        assert set(nc.labels(block_of(both, align="cue_time")["session"])) == {"s2"}
    with pytest.raises(nc.InputError, match=r"align: expected trials with a time in 'cue_time'"):
        block_of(spikes_of(cue_time=cue * np.nan), align="cue_time")


def test_events_have_to_be_columns_of_numbers():
    sided = spikes_of(side=np.array(list("lrlr")), right=np.array([True, False] * 2))
    for align in ("side", "right", "start"):
        with pytest.raises(nc.InputError, match=r"align \(session 's1'\): expected one of start_t"):
            block_of(sided, align=align)
    with pytest.raises(nc.InputError, match=r"align \(session 's2'\)"):
        block_of([spikes_of(cue_time=np.arange(4.0)), spikes_of(name="s2")], align="cue_time")


def test_windows_and_bins_that_do_not_fit_are_refused():
    with pytest.raises(nc.InputError, match=r"bin: expected between one bin and .* got 0, 2 s"):
        block_of(spikes_of(), window=(0, 1), bin=2)
    with pytest.raises(nc.InputError, match=r"bin: expected between one bin and 10,000,000"):
        block_of(spikes_of(), window=(0, 1), bin=1e-300)
    with pytest.raises(nc.InputError, match=r"smooth: expected at most 10,000,000 bins"):
        block_of(spikes_of(), window=(0, 1), smooth=1e9)
    with pytest.raises(nc.InputError, match=r"window: expected trials that stop after 'stop_time'"):
        block_of(spikes_of(), align="stop_time")
    unknown = np.full(4, np.nan)
    with pytest.raises(nc.InputError, match=r"window: .* got none with a stop_time"):
        block_of(spikes_of(stop_time=unknown))


def test_no_more_cells_are_looked_at_than_needed(monkeypatch):
    monkeypatch.setattr("nwbcompare.io.sessions.recorded_signals.CELLS_AT_ONCE", 3)
    options = {"window": (0, 1), "bin": 0.25, "smooth": 0.3}
    late = [np.array([[3.4, 9.0]])] * 3
    small = block_of(spikes_of(intervals=late), **options)
    continuous = block_of(samples_of(), **options)
    monkeypatch.undo()
    assert small.identical(block_of(spikes_of(intervals=late), **options))
    np.testing.assert_allclose(
        continuous["rate"], block_of(samples_of(), **options)["rate"], rtol=1e-6
    )


# --- samples ----------------------------------------------------------------------------------


def samples_of(values=None, *, rate=20.0, start=0.0, times=None, n_trials=4, origin=1.0):
    """A session of samples; with ``times`` at uneven ones."""
    if values is None:
        values = np.random.default_rng(0).random((200, 3))
    starts = np.arange(n_trials) + origin
    trials = {"start_time": starts, "stop_time": starts + 1, "task": np.array(["go"] * n_trials)}
    signal = Samples(
        read=lambda a, b, units: values[a:b, units],
        n_samples=len(values),
        start_s=start if times is None else float(times[0]),
        sampling_s=1 / rate,
        times=None if times is None else lambda: times,
    )
    units = {"unit": np.array([f"c{k}" for k in range(values.shape[1])])}
    return Session(name="s1", trials=trials, units=units, signal=signal)


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


# --- several sessions -------------------------------------------------------------------------


def test_sessions_of_spikes_and_of_samples_do_not_mix():
    with pytest.raises(
        nc.InputError, match=r"spikes \(spikes/s\) in 's1_1', samples \(1\) in 's1_2"
    ):
        block_of([spikes_of(), samples_of()], window=(0, 1))


def test_samples_at_two_rates_are_binned_at_the_slower_one():
    slow = replace(samples_of(rate=20.0), name="slow")
    fast = replace(samples_of(rate=40.0), name="fast")
    for sessions in ([slow, fast], [fast, slow]):
        assert block_of(sessions, window=(0, 1))["time"].attrs["bin_width_s"] == 0.05


def test_ids_that_clash_get_their_session_in_front_and_others_stay():
    first, second = spikes_of(name="monday"), spikes_of(name="tuesday", seed=1)
    block = block_of([first, second], window=(0, 1))
    expected = [f"{day}/u{k}" for day in ("monday", "tuesday") for k in range(3)]
    assert block["unit"].values.tolist() == expected
    second.units["unit"][:] = ["v0", "v1", "v2"]
    assert block_of([first, second])["unit"].values.tolist() == ["u0", "u1", "u2", "v0", "v1", "v2"]


def test_sessions_of_one_name_are_numbered():
    block = block_of([spikes_of(), spikes_of(seed=1), spikes_of(name="t", seed=2)])
    assert json.loads(block["session"].attrs["categories"]) == ["s1_1", "s1_2", "t"]
    assert block["unit"].values[3] == "s1_2/u0"


def test_each_session_gives_the_rows_that_it_gives_alone():
    sessions = [spikes_of(seed=k, n_trials=k + 2, n_units=k + 1, name=f"d{k}") for k in range(3)]
    options = {"window": (-0.2, 0.8), "bin": 0.1, "smooth": 0.1}
    together = block_of(sessions, **options)
    day = nc.labels(together["session"])
    for session in sessions:
        alone = block_of(session, **options)["rate"].transpose("unit", "trial", "time")
        rows = together["rate"].values[day == session.name]
        np.testing.assert_array_equal(rows, alone.values.reshape(rows.shape))


def test_a_column_that_a_session_lacks_is_missing_there():
    bare = spikes_of(name="s1")
    full = spikes_of(
        name="s2",
        depth=np.arange(4),
        good=np.array([True, False, True, True]),
        side=np.array(["l", "r", "l", "l"]),
    )
    block = block_of([bare, full], window=(0, 1))
    first = nc.labels(block["session"]) == "s1"
    assert np.isnan(block["depth"].values[first]).all()
    assert np.isnan(block["good"].values[first]).all()
    assert set(nc.labels(block["side"])[first]) == {""}
    assert block["depth"].values[~first].tolist() == [0, 1, 2, 3] * 3
    assert nc.labels(block["side"])[~first].tolist() == ["l", "r", "l", "l"] * 3


def test_columns_of_several_kinds_become_one():
    assert joined_columns([np.array([1]), np.array(["a"])], [1, 1]).tolist() == ["1", "a"]
    assert joined_columns([np.array([True]), None], [1, 2]).tolist()[0] == 1.0
    assert joined_columns([None, np.array(["a"])], [2, 1]).tolist() == ["", "", "a"]
    assert joined_columns([np.array([1]), np.array([2])], [1, 1]).dtype.kind == "i"


def test_a_column_of_units_that_trials_have_too_keeps_both():
    session = spikes_of(depth=np.arange(4.0))
    session.units["depth"] = np.array([10.0, 20.0, 30.0])
    block = block_of(session, window=(0, 1))
    assert block["depth"].dims == ("trial",)
    assert block["unit_depth"].values.tolist() == [10, 20, 30]


# --- tasks and conditions ---------------------------------------------------------------------


def test_without_a_task_there_is_one_named_after_the_source_and_a_warning():
    session = spikes_of()
    del session.trials["task"]
    with pytest.warns(UserWarning, match=r"of one task, 'data'; pass task= to name a column"):
        block = block_of(session)
    assert set(nc.labels(block["task"])) == {"data"}
    assert json.loads(block.attrs["condition_variables"]) == {"data": []}


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (np.array(["b", "a", "b", "b"]), ["b", "a", "b", "b"]),
        (np.array([2, 1, 2, 2]), ["2", "1", "2", "2"]),
        (np.array([True, False, True, True]), ["True", "False", "True", "True"]),
    ],
)
def test_any_column_can_name_the_task(column, names):
    session = spikes_of(context=column, side=np.arange(4) % 2)
    block = block_of(session, task="context", conditions=["side"])
    assert nc.labels(block["task"]).tolist() == names
    assert json.loads(block.attrs["condition_variables"]) == {
        n: ["side"] for n in sorted(set(names))
    }


def test_columns_that_are_not_there_are_refused_by_name():
    with pytest.raises(nc.InputError, match=r"task: expected one of .* Did you mean 'side'"):
        block_of(spikes_of(side=np.arange(4)), task="sides")
    with pytest.raises(nc.InputError, match=r"conditions: .* Did you mean 'side'"):
        block_of(spikes_of(side=np.arange(4)), conditions=["sides"])


def test_a_name_with_a_slash_is_one_leaf():
    activity = lay_on_one_clock([spikes_of()], Reading(), name="sub-1/ses-2")
    assert list(activity.children) == ["sub-1_ses-2"]
    assert activity["sub-1_ses-2"].attrs["name"] == "sub-1/ses-2"


def test_epochs_are_told_from_the_event_that_trials_are_aligned_to():
    cue = np.array([1.25, 2.5, 3.0, 4.0])
    session = replace(
        spikes_of(cue_time=cue),
        epochs={"fix1": (np.zeros(4), np.full(4, 0.5)), "late": (np.full(4, np.nan),) * 2},
    )
    at_start = block_of(session, window=(0, 1))
    np.testing.assert_array_equal(at_start["epoch_start_time"], [[0, np.nan]] * 4)
    at_cue = block_of(session, align="cue_time", window=(0, 1))
    np.testing.assert_allclose(at_cue["epoch_start_time"][:, 0], np.arange(4) + 1 - cue)
    np.testing.assert_allclose(at_cue["epoch_stop_time"][:, 0], np.arange(4) + 1.5 - cue)


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


def test_the_activity_of_a_session_goes_through_the_analyses():
    block = example_block()
    session = spikes_of(
        n_trials=8, seed=1, direction=block["direction"].values, correct=np.arange(8) % 2 == 0
    )
    activity = lay_on_one_clock([session], Reading(conditions=["direction"]), name="cells")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        variance = nc.task_variance(activity)
    assert variance["task_variance"].dims == ("unit", "task")
    assert (variance["task_variance"] > 0).all()
