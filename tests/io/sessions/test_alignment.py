"""Sessions on one clock: windows, bins, what was observed and what is left out."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from simulated_sessions import block_of, samples_of, spikes_of

import nwbcompare as nc
from nwbcompare.io.sessions import Reading, SpikeTrains, lay_on_one_clock
from nwbcompare.kernels.spikes import complement_of
from nwbcompare.testing import example_block

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
    session = spikes_of(stop_time=np.array([2.0, 2.5, 3.6, 4.9]))
    block = block_of(session, bin=0.25)
    assert block.sizes["time"] == 4
    seen = np.isfinite(block["rate"].values).sum(axis=1)
    np.testing.assert_array_equal(seen, [[4] * 3, [2] * 3, [2] * 3, [3] * 3])


def test_a_trial_shorter_than_a_bin_is_kept_as_nan_and_said():
    session = spikes_of(stop_time=np.array([2.0, 2.1, 4.0, 5.0]))
    with pytest.warns(UserWarning, match=r"1 of 4 trials were recorded in no bin: row 1 of 's1'"):
        block = block_of(session, bin=0.25)
    assert np.isnan(block["rate"].values[1]).all()
    assert np.isfinite(block["rate"].values[[0, 2, 3]]).all()


@pytest.mark.parametrize("stop", [np.nan, np.inf, 2.0, 1.5])
def test_a_trial_without_a_stop_after_its_start_needs_a_window(stop):
    session = spikes_of(stop_time=np.array([2.0, stop, 4.0, 5.0]))
    with pytest.raises(
        nc.InputError,
        match=r"window: .* got 1 of 4 trials with a stop_time .*: row 1 of 's1'\. Pass",
    ):
        block_of(session)
    kept = block_of(session, window=(0, 1))
    np.testing.assert_array_equal(kept["rate"], block_of(spikes_of(), window=(0, 1))["rate"])


# --- what was not recorded --------------------------------------------------------------------


@pytest.mark.parametrize("make", [spikes_of, samples_of])
def test_bins_that_overlap_what_is_not_valid_are_nan_and_others_as_before(make):
    options = {"window": (0, 1), "bin": 0.25}
    gaps = np.array([[1.3, 1.3], [1.9, 2.25], [3.0, 4.0]])
    session = replace(make(), valid=complement_of(gaps))
    with pytest.warns(UserWarning, match=r"1 of 4 trials were recorded in no bin: row 2 of "):
        rate = block_of(session, **options)["rate"].values
    whole = block_of(make(), **options)["rate"].values
    left = np.arange(1, 5)[:, None] + np.arange(4) * 0.25
    # brute force: a bin and a gap have a point inside both
    overlaps = (left[..., None] < gaps[:, 1]) & (left[..., None] + 0.25 > gaps[:, 0])
    missing = overlaps.any(axis=-1)
    assert missing.sum() == 7
    np.testing.assert_array_equal(np.isnan(rate), np.repeat(missing[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(rate[~missing], whole[~missing])


def test_what_is_not_valid_and_what_a_unit_lacks_are_both_missing():
    intervals = [np.array([[0.0, 9.0]]), np.array([[1.5, 9.0]]), np.array([[0.0, 9.0]])]
    session = replace(spikes_of(intervals=intervals), valid=complement_of(np.array([[2.0, 2.25]])))
    rate = block_of(session, window=(0, 1), bin=0.25)["rate"].values
    missing = np.zeros((4, 4, 3), dtype=bool)
    missing[1, 0] = True
    missing[0, :2, 1] = True
    np.testing.assert_array_equal(np.isnan(rate), missing)


def test_smoothing_takes_nothing_from_what_is_not_valid():
    session = spikes_of()
    burst = np.linspace(2.3, 2.45, 500)
    trains = SpikeTrains(lambda unit: np.sort(np.append(session.signal.times(unit), burst)))
    noisy = replace(session, signal=trains, valid=complement_of(np.array([[2.25, 2.5]])))
    clean = replace(session, valid=noisy.valid)
    options = {"window": (0, 1), "bin": 0.05, "smooth": 0.1}
    rate = block_of(noisy, **options)["rate"]
    np.testing.assert_array_equal(rate, block_of(clean, **options)["rate"])
    assert np.isnan(rate.values[1, 5:10]).all()


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
    with pytest.warns(UserWarning, match="no unit has a spike"):
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


def test_no_more_cells_are_looked_at_than_needed(monkeypatch):
    monkeypatch.setattr("nwbcompare.io.sessions.recorded_signals.CELLS_AT_ONCE", 3)
    options = {"window": (0, 1), "bin": 0.25, "smooth": 0.3}
    late = [np.array([[3.4, 9.0]])] * 3
    with pytest.warns(UserWarning, match="2 of 4 trials were recorded in no bin"):
        small = block_of(spikes_of(intervals=late), **options)
    continuous = block_of(samples_of(), **options)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="recorded in no bin"):
        assert small.identical(block_of(spikes_of(intervals=late), **options))
    np.testing.assert_allclose(
        continuous["rate"], block_of(samples_of(), **options)["rate"], rtol=1e-6
    )


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


def test_each_session_gives_the_rows_that_it_gives_alone():
    sessions = [spikes_of(seed=k, n_trials=k + 2, n_units=k + 1, name=f"d{k}") for k in range(3)]
    options = {"window": (-0.2, 0.8), "bin": 0.1, "smooth": 0.1}
    together = block_of(sessions, **options)
    day = nc.labels(together["session"])
    for session in sessions:
        alone = block_of(session, **options)["rate"].transpose("unit", "trial", "time")
        rows = together["rate"].values[day == session.name]
        np.testing.assert_array_equal(rows, alone.values.reshape(rows.shape))


# --- tasks and conditions ---------------------------------------------------------------------


def test_a_name_with_a_slash_is_one_leaf():
    activity = lay_on_one_clock([spikes_of()], Reading(), name="sub-1/ses-2")
    assert list(activity.children) == ["sub-1_ses-2"]
    assert activity["sub-1_ses-2"].attrs["name"] == "sub-1/ses-2"


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
