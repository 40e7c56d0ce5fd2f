"""No spike in any window: one warning with the likely mistake in the times."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from simulated_sessions import block_of, samples_of, spikes_of

import nwbcompare as nc
from nwbcompare.io.sessions import SpikeTrains

TRAINS = [np.sort(np.random.default_rng(seed).uniform(1, 5, 30)) for seed in range(3)]


def with_times(factor=1.0, trains=TRAINS):
    times = [factor * train for train in trains]
    return replace(spikes_of(), signal=SpikeTrains(times.__getitem__))


@pytest.mark.parametrize(
    ("session", "cause"),
    [
        (with_times(1000), "spike times seem to be in ms, not in s"),
        (with_times(trains=[train / 10 for train in TRAINS]), "counted from the start of each"),
        (with_times(trains=[train + 100 for train in TRAINS]), "run from 10.* s, windows from 1 t"),
        (with_times(trains=[np.empty(0)] * 3), "no unit has a spike"),
    ],
)
@pytest.mark.parametrize("window", [None, (0, 1)])
def test_the_likely_cause_is_named_once(session, cause, window):
    block = block_of(session, window=window)
    with pytest.warns(UserWarning, match=f"no spike of any unit of 's1' .*: .*{cause}"):
        rate = block["rate"].values
    assert (rate == 0).all()
    # later readings know
    with warnings.catch_warnings(action="error"):
        block["rate"].isel(unit=0).values  # noqa: B018


def test_trials_in_ms_are_told_from_spikes_in_ms():
    session = with_times()
    trials = dict(session.trials)
    for name in ("start_time", "stop_time"):
        trials[name] = 1000 * trials[name]
    block = block_of(replace(session, trials=trials), window=(0, 1000), bin=100)
    with pytest.warns(UserWarning, match="times of trials seem to be in ms"):
        block["rate"].load()


def test_silence_of_some_units_or_trials_is_no_mistake():
    trains = [np.empty(0), np.empty(0), np.array([2.5])]
    with warnings.catch_warnings(action="error"):
        block = block_of(with_times(trains=trains), window=(0, 1))
        block["rate"].isel(unit=0).load()
        block["rate"].isel(trial=0).load()
        assert block_of(with_times(trains=trains), window=(0, 1))["rate"].sum() == 20
        block_of(samples_of(np.zeros((200, 3))), window=(0, 1))["rate"].load()


def test_each_silent_session_is_named():
    other = replace(with_times(1000), name="late")
    block = block_of([with_times(), other], window=(0, 1))
    with pytest.warns(UserWarning, match="of any unit of 'late' lies") as caught:
        block["rate"].load()
    assert len(caught) == 1


def test_spikes_from_an_event_in_ms_are_noticed_too():
    spikes = [[[10.0, 120.0], [50.0]], [[], [150.0, 160.0]]]
    trials = {"task": ["go", "stop"]}
    with pytest.warns(
        UserWarning, match="of 'arrays' lies in any window: spike times seem to be in"
    ):
        nc.from_arrays(spikes=spikes, trials=trials, window=(0, 0.2), bin=0.1)
    with pytest.warns(UserWarning, match="spike times run from 10 to 160 s, windows from 0.3 to"):
        nc.from_arrays(spikes=spikes, trials=trials, window=(0.3, 0.5), bin=0.1)
