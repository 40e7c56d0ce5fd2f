"""Spikes on the edges of bins, by every way in: a tick of the clock is in the bin that it starts."""

from __future__ import annotations

import neo
import numpy as np
import pynapple as nap
import pytest
import quantities as pq
from lab_nwb import lone_block, new_file, written

import nwbcompare as nc

N_BINS = 400


def from_session_clock(times, start, width, path):
    trials = {"start_time": [start], "stop_time": [start + 1], "task": ["go"]}
    return nc.from_arrays(spikes=[times], trials=trials, window=(0, N_BINS * width), bin=width)


def from_events(times, start, width, path):
    spikes, trials = [[times - start]], {"task": ["go"]}
    return nc.from_arrays(spikes=spikes, trials=trials, window=(0, N_BINS * width), bin=width)


def through_neo(times, start, width, path):
    segment = neo.Segment(name="neo")
    segment.spiketrains.append(neo.SpikeTrain(times * 1000, units="ms", t_stop=1e8, name="u"))
    segment.epochs.append(neo.Epoch([start] * pq.s, [1] * pq.s, labels=["go"], name="trials"))
    return nc.from_neo(
        segment, trials="trials", task="label", window=(0, N_BINS * width), bin=width
    )


def through_pynapple(times, start, width, path):
    always = nap.IntervalSet(0, 1e8)
    group = nap.TsGroup({0: nap.Ts(times)}, time_support=always)
    trials = nap.IntervalSet([start], [start + 1], metadata={"task": ["go"]})
    return nc.from_pynapple(group, trials, window=(0, N_BINS * width), bin=width)


def through_nwb(times, start, width, path):
    nwb = new_file()
    nwb.add_trial_column("task", "x")
    nwb.add_trial(start_time=start, stop_time=start + 1, task="go")
    nwb.add_unit(spike_times=times)
    block = lone_block(written(nwb, path / "a.nwb"), window=(0, N_BINS * width), bin=width)
    return nc.make_activity({"day1": block})


@pytest.mark.parametrize("rate", [30_000, 24_414.0625])
@pytest.mark.parametrize(
    "through", [from_session_clock, from_events, through_neo, through_pynapple, through_nwb]
)
@pytest.mark.parametrize("first", [60_001, 90_000_007])
def test_a_spike_on_each_edge_is_one_in_each_bin(tmp_path, rate, through, first):
    times = (first + 30 * np.arange(N_BINS)) / rate
    activity = through(times, first / rate, 30 / rate, tmp_path)
    counts = next(iter(activity.children.values()))["rate"].values[0, :, 0] * 30 / rate
    np.testing.assert_allclose(counts, 1.0, rtol=1e-5)
