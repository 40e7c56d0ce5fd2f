"""neo: blocks become activity by what the user calls a trial, and activity becomes blocks."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import neo
import numpy as np
import pytest
import quantities as pq
from hypothesis import given, settings
from neo.io.proxyobjects import SpikeTrainProxy

import nwbcompare as nc
from nwbcompare.io import from_neo, to_neo
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks

RNG = np.random.default_rng(0)
SPIKES = {"a": np.sort(RNG.uniform(0, 20, 400)), "b": np.sort(RNG.uniform(0, 20, 200))}
STARTS = np.array([1.0, 4.0, 9.0, 15.0])
DURATIONS = np.array([2.0, 1.5, 2.0, 1.0])


def train(times, name=None, t_start=0.0, t_stop=20.0, **annotations):
    return neo.SpikeTrain(
        np.asarray(times) * pq.s,
        t_start=t_start * pq.s,
        t_stop=t_stop * pq.s,
        name=name,
        **annotations,
    )


def one_segment():
    """Two units, trials as an Epoch, and the same as events."""
    segment = neo.Segment(name="day 1")
    segment.spiketrains.append(train(SPIKES["a"], "a", area="LIP", depth=1.5))
    segment.spiketrains.append(train(SPIKES["b"], "b", area="PFC", waveform=[1, 2]))
    segment.epochs.append(
        neo.Epoch(
            STARTS * 1000 * pq.ms,
            DURATIONS * pq.s,
            labels=["left", "right", "left", "right"],
            name="trials",
            array_annotations={
                "coherence": np.array([1, 2, 3, 4], "i2"),
                "good": [True, False] * 2,
            },
        )
    )
    times = np.concatenate([STARTS, STARTS + DURATIONS, [1.5, 1.7, 9.25]])
    labels = ["ON"] * 4 + ["OFF"] * 4 + ["CUE"] * 3
    segment.events.append(neo.Event(times * pq.s, labels=labels, name="digital"))
    return segment


def counts(times, origins, window, width):
    edges = window[0] + np.arange(round((window[1] - window[0]) / width) + 1) * width
    return np.array([np.histogram(times, origin + edges)[0] for origin in origins])


def test_an_epoch_names_the_trials():
    block = from_neo(
        one_segment(), trials="trials", bin=0.5, task="label", conditions=["coherence"]
    )
    block = nc.check_activity(block)["day 1"].to_dataset()
    expected = np.stack([counts(SPIKES[unit], STARTS, (0, 2), 0.5) / 0.5 for unit in "ab"], axis=-1)
    ends = np.arange(1, 5) * 0.5 > DURATIONS[:, None]
    expected[ends] = np.nan
    np.testing.assert_allclose(block["rate"], expected, rtol=1e-6)
    assert block["unit"].values.tolist() == ["a", "b"]
    assert block["area"].values.tolist() == ["LIP", "PFC"]
    assert block["depth"].values[0] == 1.5
    assert np.isnan(block["depth"].values[1])
    assert "waveform" not in block.coords
    assert nc.labels(block["task"]).tolist() == ["left", "right", "left", "right"]
    assert block["coherence"].dtype == np.int16
    assert block["good"].dtype == bool
    np.testing.assert_allclose(block["stop_time"], STARTS + DURATIONS)
    assert nc.selectivity.condition_means(block).sizes["condition"] == 4


def test_events_name_the_trials():
    by_epoch = from_neo(one_segment(), trials="trials", bin=0.25, task="label")["day 1"]
    by_event = from_neo(
        one_segment(),
        trials={"start": "ON", "stop": "OFF"},
        events={"cue_time": "CUE"},
        columns={"side": ["left", "right", "left", "right"]},
        bin=0.25,
        task="side",
        name="other",
    )["other"]
    np.testing.assert_array_equal(by_event["rate"], by_epoch["rate"])
    np.testing.assert_array_equal(by_event["cue_time"], [1.5, np.nan, 9.25, np.nan])
    # without a stop a trial lasts until the next one, the last until the segment ends
    alone = from_neo(one_segment(), trials="ON", columns={"task": ["x"] * 4})["day 1"]
    np.testing.assert_array_equal(alone["stop_time"], [4, 9, 15, 20])
    with pytest.warns(UserWarning, match="2 trials were left out: they have no time in 'cue_time'"):
        cut = from_neo(
            one_segment(),
            trials="trials",
            events={"cue_time": "CUE"},
            align="cue_time",
            window=(-0.5, 0.5),
            task="label",
        )["day 1"]
    np.testing.assert_allclose(
        cut["rate"][:, :, 1], counts(SPIKES["b"], [1.5, 9.25], (-0.5, 0.5), 0.05) / 0.05, rtol=1e-5
    )


def test_a_trial_without_its_stop_is_left_out():
    segment = one_segment()
    segment.events.append(neo.Event([18.0] * pq.s, labels=["ON"], name="late"))
    with pytest.warns(UserWarning, match="1 trials were left out: no 'OFF' follows their start"):
        activity = from_neo(
            segment, trials={"start": "ON", "stop": "OFF"}, columns={"task": ["x"] * 4}
        )
    assert activity["day 1"].sizes["trial"] == 4


def test_what_a_spike_train_does_not_cover_was_not_observed():
    segment = one_segment()
    segment.spiketrains[1].t_stop = 20 * pq.s
    late = SPIKES["b"][SPIKES["b"] > 9.5]
    segment.spiketrains.append(train(late, "late", t_start=9.5, t_stop=20))
    block = from_neo(segment, trials="trials", bin=0.5, window=(0, 1), task="label")["day 1"]
    assert block["rate"].dims == ("observation", "time")
    rate = block["rate"].values[block["observation_unit"].values == 2]
    np.testing.assert_array_equal(np.isnan(rate), [[True, False], [False, False]])


def two_segments(t_starts, names=("a", "b"), **annotations):
    block = neo.Block(name="session")
    for t_start in t_starts:
        segment = neo.Segment(index=len(block.segments))
        for name in names:
            times = SPIKES["a"][SPIKES["a"] < 5] + t_start
            segment.spiketrains.append(
                train(times, name, t_start=t_start, t_stop=t_start + 5, **annotations)
            )
        segment.annotate(side=["left", "right"][len(block.segments)], xy=[1, 2])
        segment.events.append(neo.Event([t_start + 1.0] * pq.s, labels=["ON"], name="digital"))
        block.segments.append(segment)
    return block


@pytest.mark.parametrize(
    ("t_starts", "starts"), [((0, 0), [0, 6]), ((0, 7), [0, 7]), ((3, 0), [3, 9])]
)
def test_segments_are_trials_on_one_clock(t_starts, starts):
    """Segments that overlap are laid one after another; others stay where they are."""
    block = from_neo(
        two_segments(t_starts),
        trials="segments",
        events={"on": "ON"},
        align="on",
        window=(-1.5, 1),
        bin=0.5,
        task="side",
    )["session"]
    np.testing.assert_array_equal(block["start_time"], starts)
    assert nc.labels(block["task"]).tolist() == ["left", "right"]
    assert "xy" not in block.coords
    expected = counts(SPIKES["a"], [1.0], (-1.5, 1), 0.5)[0] / 0.5
    expected[0] = np.nan
    np.testing.assert_allclose(block["rate"], np.tile(expected[:, None], (2, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("trials", ["ON", {"start": "ON", "stop": "OFF"}, "trials"])
def test_segments_may_lack_trials(trials):
    block = neo.Block(name="session")
    empty, marks = neo.Segment(), neo.Segment()
    empty.spiketrains.append(train([], "a", t_start=30, t_stop=40))
    # after what was recorded, so that its trial has nothing observed
    marks.events.append(neo.Event([50.0, 51.0] * pq.s, labels=["ON", "OFF"], name="digital"))
    block.segments.extend([one_segment(), empty, marks])
    alone = from_neo(one_segment(), trials=trials, window=(0, 1), columns={"task": ["x"] * 4})
    n_trials = 4 if trials == "trials" else 5
    with (
        nullcontext()
        if trials == "trials"
        else pytest.warns(UserWarning, match="1 of 5 trials were recorded in no bin: row 4 of")
    ):
        block = from_neo(block, trials=trials, window=(0, 1), columns={"task": ["x"] * n_trials})
    block = block["session"].to_dataset()
    if trials == "trials":
        assert block["coherence"].dtype == np.int16
    assert block["start_time"].max() == 15
    assert not {"session", "label"} - set(block.coords)
    observed = block["rate"].values.reshape(-1)
    assert np.nansum(observed) == pytest.approx(float(alone["day 1"]["rate"].sum()))


def test_epochs_need_no_labels():
    segment = one_segment()
    segment.epochs.append(neo.Epoch([2.0] * pq.s, [1.0] * pq.s, name="bare"))
    block = from_neo(segment, trials="bare", columns={"task": ["x"]})["day 1"]
    assert "label" not in block.coords
    np.testing.assert_array_equal(block["stop_time"], [3.0])


def test_trains_are_linked_by_name_then_id_then_place():
    def units(block):
        return from_neo(block, trials="segments", window=(0, 1), task="side")["session"]

    assert units(two_segments((0, 7)))["unit"].values.tolist() == ["a", "b"]
    twice = two_segments((0, 7), names=("sig001", "sig001"))
    assert units(twice)["unit"].values.tolist() == ["unit 0", "unit 1"]
    for segment in twice.segments:
        for place, own in enumerate(segment.spiketrains):
            own.annotate(id=f"ch1#{place}", quality=float(segment.index), area="LIP")
    linked = units(twice)
    assert linked["unit"].values.tolist() == ["ch1#0", "ch1#1"]
    assert linked["area"].values.tolist() == ["LIP", "LIP"]
    assert "quality" not in linked.coords
    # a unit that only one segment has was recorded in that one alone
    some = two_segments((0, 7))
    some.segments[1].spiketrains = [some.segments[1].spiketrains[1]]
    block = units(some)
    assert block["observation_unit"].values.tolist() == [0, 1, 1]
    nameless = two_segments((0, 7), names=(None, None))
    nameless.segments[1].spiketrains = [nameless.segments[1].spiketrains[1]]
    with pytest.raises(nc.InputError, match="got none, and 1 to 2 trains in the segments. Name"):
        units(nameless)


def test_signals_are_units_too():
    segment = one_segment()
    values = RNG.standard_normal((2000, 3)).astype("f4")
    segment.analogsignals.append(
        neo.AnalogSignal(
            values,
            units="mV",
            sampling_rate=100 * pq.Hz,
            t_start=0 * pq.s,
            name="LFP",
            array_annotations={"channel_names": ["c0", "c1", "c2"], "depth": [1, 2, 3]},
        )
    )
    block = from_neo(
        segment, trials="trials", signal="LFP", bin=0.1, window=(-1.5, 1), task="label"
    )
    block = block["day 1"]
    assert block["rate"].attrs["units"] == "1"
    assert block["unit"].values.tolist() == ["c0", "c1", "c2"]
    assert block["depth"].values.tolist() == [1, 2, 3]
    expected = values[400 - 150 : 400 + 100].reshape(25, 10, 3).mean(1)
    np.testing.assert_allclose(block["rate"][1], expected, rtol=1e-4, atol=1e-6)
    # before the recording began nothing was observed, and of a half bin neither
    assert np.isnan(block["rate"][0, :5]).all()
    late = from_neo(segment, trials="trials", signal="LFP", bin=0.2, window=(-1.1, 1), task="label")
    np.testing.assert_array_equal(np.isnan(late["day 1"]["rate"][0, :, 0]), [True] + [False] * 9)
    segment.analogsignals[0].name = "LFP2"
    segment.analogsignals[0].array_annotations.clear()
    block = from_neo(segment, trials="trials", signal="LFP2", task="label")["day 1"]
    assert block["unit"].values.tolist() == ["LFP2_000", "LFP2_001", "LFP2_002"]
    segment.analogsignals.append(segment.analogsignals[0].duplicate_with_new_data(values))
    with pytest.raises(nc.InputError, match="expected one signal 'LFP2' in each segment, got 2"):
        from_neo(segment, trials="trials", signal="LFP2")


def read_back(made, block, **options):
    width = block["time"].attrs["bin_width_s"]
    left = float(block["time"][0]) - width / 2
    return from_neo(
        made,
        trials="segments",
        signal="rates",
        events={"event": block["time"].attrs["aligned_to"]},
        align="event",
        window=(left, left + block.sizes["time"] * width),
        bin=width,
        name="back",
        **options,
    )["back"].to_dataset()


def assert_same_columns(one, two):
    for name in ("direction", "correct"):
        assert two[name].dtype == one[name].dtype
        np.testing.assert_array_equal(two[name], one[name])
    np.testing.assert_array_equal(nc.labels(two["task"]), nc.labels(one["task"]))


@given(dense_blocks())
def test_dense_rates_and_columns_go_round(block):
    back = read_back(to_neo(block), block, conditions=["direction"])
    np.testing.assert_array_equal(back["rate"], block["rate"])
    np.testing.assert_allclose(back["time"], block["time"], rtol=0, atol=1e-12)
    assert_same_columns(block, back)
    for name in ("unit", "area"):
        np.testing.assert_array_equal(back[name], block[name])
    nc.check_activity(back)


@given(ragged_blocks())
def test_ragged_rates_and_columns_go_round(block):
    back = read_back(to_neo(block), block)
    assert back["rate"].attrs["units"] == "spikes/s"
    for unit in block["unit"].values:
        one = nc.select(block, units=[unit])
        two = nc.select(back, units=[unit])
        rate = two["rate"] if "observation" in two.dims else two["rate"][:, :, 0]
        np.testing.assert_array_equal(rate, one["rate"])
        assert_same_columns(one, two)
        assert two["area"].item() == one["area"].item()


def test_a_window_off_the_event_and_epochs_go_round():
    block = example_block()
    block = block.assign_coords(time=block["time"] + 0.3)
    made = to_neo(block)
    np.testing.assert_array_equal(read_back(made, block)["rate"], block["rate"])
    epoch = made.segments[0].epochs[0]
    assert epoch.labels.tolist() == ["fix1", "stim1"]
    np.testing.assert_allclose(epoch.durations.magnitude, [0.1, 0.4])
    assert made.segments[0].events[0].labels.tolist() == ["trial start"]
    assert type(made.segments[0].annotations["task"]) is str


def test_units_recorded_together_share_a_segment():
    segment = one_segment()
    segment.spiketrains.append(train(SPIKES["b"][SPIKES["b"] > 8], "late", t_start=8, t_stop=20))
    block = from_neo(segment, trials="trials", bin=0.5, window=(0, 1), task="label")[
        "day 1"
    ].to_dataset()
    made = to_neo(block)
    shapes = [own.analogsignals[0].shape for own in made.segments]
    assert shapes == [(2, 2), (2, 2), (2, 3), (2, 3)]
    back = read_back(made, block)
    np.testing.assert_array_equal(back["rate"], block["rate"])
    np.testing.assert_array_equal(back["observation_trial"], block["observation_trial"])


class Watched(SpikeTrainProxy):
    """A proxy that counts how often it is loaded."""

    def __init__(self, spikes):
        self.spikes, self.loads = spikes, 0
        self.name, self.annotations, self.file_origin = spikes.name, spikes.annotations, "x.plx"
        self.t_start, self.t_stop, self.segment = spikes.t_start, spikes.t_stop, None

    def load(self):
        self.loads += 1
        if self.spikes is None:
            raise RuntimeError("bytes are missing")
        return self.spikes


def test_proxies_are_loaded_when_they_are_looked_at():
    segment = one_segment()
    proxies = [Watched(spikes) for spikes in segment.spiketrains]
    lazy = neo.Segment(name="day 1")
    lazy.epochs.append(segment.epochs[0])
    lazy.spiketrains.extend(proxies)
    block = from_neo(lazy, trials="trials", task="label")["day 1"].to_dataset()
    assert [proxy.loads for proxy in proxies] == [0, 0]
    one = block["rate"].sel(unit="b").values
    assert [proxy.loads for proxy in proxies] == [0, 1]
    whole = from_neo(segment, trials="trials", task="label")["day 1"]
    np.testing.assert_array_equal(one, whole["rate"].sel(unit="b"))
    proxies[0].spikes = None
    with pytest.raises(
        nc.InputError, match="x.plx: expected a file that neo can read, got Runtime"
    ):
        _ = block["rate"].sel(unit="a").values


NAMES = r"Epoch \('trials'\), of an Event \('digital'\), the label of events \('CUE', 'OFF', 'ON'\)"


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (None, f"trials: expected the name of an {NAMES}, or 'segments', got nothing"),
        ("blocks", f"trials: expected the name of an {NAMES}, or 'segments', got 'blocks'"),
        ({"start": "on"}, "got 'on'. Choose one of these"),
        ({"start": "ON", "stop": "trials"}, "got 'trials'. Choose one of these"),
        ({"epoch": "ON"}, "got 'ON'. Choose one of these"),
        ({"stop": "OFF"}, "expected {.start.*or {.epoch.*got keys stop"),
    ],
)
def test_words_that_are_no_trials_are_refused(trials, message):
    with pytest.raises(nc.InputError, match=message):
        from_neo(one_segment(), trials=trials)


def test_words_with_two_meanings_are_refused():
    segment = one_segment()
    segment.events.append(neo.Event([1.0] * pq.s, labels=["CUE"], name="trials"))
    with pytest.raises(nc.InputError, match="got 'trials', which is both. Pass trials="):
        from_neo(segment, trials="trials")
    by_epoch = from_neo(segment, trials={"epoch": "trials"}, task="label")["day 1"]
    assert by_epoch.sizes["trial"] == 4
    segment.events.append(neo.Event([1.0] * pq.s, labels=["digital"], name="other"))
    with pytest.raises(nc.InputError, match="got both, a name and a label in other. Rename"):
        from_neo(segment, trials="digital")


def test_a_label_in_several_events_means_all_of_them():
    segment = one_segment()
    segment.events.append(
        neo.Event([7.0] * pq.s, labels=["ON"], name="other", array_annotations={"k": [1]})
    )
    block = from_neo(segment, trials="ON", window=(0, 1), columns={"task": ["x"] * 5})["day 1"]
    np.testing.assert_array_equal(block["start_time"], [1, 4, 7, 9, 15])
    np.testing.assert_array_equal(block["k"], [np.nan, np.nan, 1, np.nan, np.nan])


def test_other_things_are_refused():
    with pytest.raises(nc.InputError, match="expected a neo.Block with at least one.*got list"):
        from_neo([], trials="segments")
    with pytest.raises(nc.InputError, match="got a Block without any"):
        from_neo(neo.Block(), trials="segments")
    silent = one_segment()
    silent.spiketrains.clear()
    with pytest.raises(nc.InputError, match="block: expected spike trains, got none. Read a block"):
        from_neo(silent, trials="trials")
    made = to_neo(example_block())
    with pytest.raises(nc.InputError, match="got none, and signals rates. Name a signal"):
        from_neo(made, trials="segments")
    with pytest.raises(nc.InputError, match="signal: expected one of rates, got 'rate'"):
        from_neo(made, trials="segments", signal="rate")
    with pytest.raises(nc.InputError, match="events: expected.*got 'cue'"):
        from_neo(one_segment(), trials="trials", events={"cue_time": "cue"})
    with pytest.raises(nc.InputError, match=r"trials\['side'\]: expected 4 values.*shape \(1,\)"):
        from_neo(one_segment(), trials="trials", columns={"side": ["left"]})
    with pytest.raises(nc.InputError, match="expected even steps of 0.1 s, got uneven ones"):
        to_neo(example_block().isel(time=[0, 1, 3]))
    with pytest.raises(nc.InputError, match="samples: expected one sampling interval throughout"):
        made.segments[1].analogsignals[0].sampling_rate = 5 * pq.Hz
        from_neo(made, trials="segments", signal="rates")


def test_neo_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(ImportError, match=r"pip install 'nwbcompare\[neo\]'"):
        to_neo(example_block())


@settings(max_examples=3)
@given(dense_blocks())
def test_names_and_times_survive_the_name_of_the_block(block):
    assert to_neo(block).name == block.attrs["name"]
