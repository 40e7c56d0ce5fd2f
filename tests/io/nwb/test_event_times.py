"""Times in exported trials: events on the clock of the file, and nothing else under ``*_time``."""

from __future__ import annotations

import json
from functools import cache

import h5py
import numpy as np
import pytest
from lab_nwb import change

import nwbcompare as nc
from nwbcompare.core.epochs import with_epochs
from nwbcompare.io import inspect_nwb, write_nwb
from nwbcompare.io.nwb.format_names import SCHEMA
from nwbcompare.io.sessions import Reading, Session, SpikeTrains, lay_on_one_clock
from nwbcompare.model import Network, NetworkConfig, record
from nwbcompare.tasks import make_trials
from nwbcompare.testing import assert_same_activity, example_block

TASKS = ("contextdm1", "fdgo")
ANIMAL = {
    "Subject": {"species": "Macaca mulatta", "age": "P6Y", "description": "monkey A"},
    "NWBFile": {
        "session_start_time": "2009-03-13T00:00:00+00:00",
        "experimenter": ["Doe, Jane"],
        "institution": "a university",
    },
}


@cache
def network():
    net = Network(NetworkConfig(rules=TASKS, n_units=4, dt_ms=100.0))
    trials = {
        task: make_trials(task, "random", n_trials=6, dt_ms=100.0, rules=TASKS, seed=0)
        for task in TASKS
    }
    return nc.make_activity({task: record(net, some) for task, some in trials.items()})


def counts(*, on_session_clock):
    """Whole counts of trials that stop early, with epochs; their windows overlap or do not."""
    start = 1.0 + np.arange(5) * (2.0 if on_session_clock else 0.5)
    rng = np.random.default_rng(0)
    activity = nc.from_arrays(
        spikes=[np.sort(rng.uniform(0, 12, 200)) for _ in range(2)],
        trials={
            "start_time": start,
            "stop_time": start + 0.9,
            "cue_time": start + 0.3,
            "go_time": start + np.linspace(0.4, 0.6, 5),
            "task": ["go"] * 5,
        },
        align="cue_time",
        window=(-0.3, 0.5),
        bin=0.01,
        name="mine",
    )
    epochs = {"delay": (0.0, 0.2), "late": (0.2, 0.5)}
    return nc.make_activity({"mine": with_epochs(activity["mine"].to_dataset(), epochs)})


def trials_of(path):
    with h5py.File(path) as file:
        return {name: column[()] for name, column in file["intervals/trials"].items()}


def test_starts_of_epochs_are_columns_on_the_clock_of_the_file(tmp_path):
    activity = network()
    path = write_nwb(activity, tmp_path / "a.nwb")
    trials = trials_of(path)
    first = 0
    for block in map(nc.blocks(activity).get, TASKS):
        rows = slice(first, first := first + block.sizes["trial"])
        event = trials.get("event_time", trials["start_time"])[rows]
        for place, epoch in enumerate(block["epoch"].values):
            starts = event + block["epoch_start_time"].values[:, place]
            np.testing.assert_array_equal(trials[f"{epoch}_time"][rows], starts)
    names = {name for block in nc.blocks(activity).values() for name in block["epoch"].values}
    assert {"stim1", "go1"} <= names
    # an epoch of one task alone is missing in the trials of the other
    alone = set(activity["fdgo"]["epoch"].values) - set(activity["contextdm1"]["epoch"].values)
    for name in alone:
        assert np.isnan(trials[f"{name}_time"][:6]).all()
    assert_same_activity(activity, nc.open(path))


def test_a_column_of_a_time_lies_in_its_trial(tmp_path):
    activities = {
        "network": network(),
        "session": counts(on_session_clock=True),
        "laid": counts(on_session_clock=False),
    }
    for name, activity in activities.items():
        for spikes in (None,) if name == "network" else (None, "counts"):
            options = {} if name == "network" else {"metadata": ANIMAL}
            path = write_nwb(activity, tmp_path / f"{name}{spikes}.nwb", spikes=spikes, **options)
            trials = trials_of(path)
            for column in (one for one in trials if one.endswith("_time")):
                present = np.isfinite(trials[column])
                inside = (trials[column] >= trials["start_time"] - 1e-9) & (
                    trials[column] <= trials["stop_time"] + 1e-9
                )
                assert inside[present].all(), (name, column)
            assert "delay_time" in trials or name == "network"


def test_the_duration_of_a_trial_is_called_so_and_comes_back(tmp_path):
    path = write_nwb(network(), tmp_path / "a.nwb")
    trials = trials_of(path)
    assert "trial_stop_time" not in trials
    stops = [block["trial_stop_time"].values for block in nc.blocks(network()).values()]
    np.testing.assert_array_equal(trials["trial_duration"], np.concatenate(stops))
    for block in (nc.open(path)["fdgo"], nc.open(path, bin=0.2)["fdgo"]):
        np.testing.assert_array_equal(
            block["trial_stop_time"], network()["fdgo"]["trial_stop_time"]
        )


@pytest.mark.parametrize("on_session_clock", [True, False])
@pytest.mark.parametrize("spikes", ["counts", None])
def test_blocks_come_back_without_the_event_columns_but_can_be_aligned_to_them(
    tmp_path, on_session_clock, spikes
):
    activity = counts(on_session_clock=on_session_clock)
    path = write_nwb(activity, tmp_path / "a.nwb", spikes=spikes, metadata=ANIMAL)
    again = nc.open(path)["mine"].to_dataset()
    np.testing.assert_array_equal(again["rate"], activity["mine"]["rate"])
    assert set(again.coords) == set(activity["mine"].coords)
    late = nc.open(path, align="late_time", window=(0, 0.3))["mine"]
    assert "late_time" not in late.coords
    np.testing.assert_array_equal(late["rate"], activity["mine"]["rate"][:, 50:80])


def test_other_programs_find_the_events(tmp_path):
    path = write_nwb(
        counts(on_session_clock=True), tmp_path / "a.nwb", spikes="counts", metadata=ANIMAL
    )
    mine = nc.open(path, align="late_time", window=(0, 0.3))["mine"]

    def forget(file):
        del file[f"scratch/{SCHEMA}"]

    # without our description it is a file like any other
    other = nc.open(change(path, forget), align="late_time", window=(0, 0.3), bin=0.01, task="task")
    np.testing.assert_array_equal(next(iter(other.children.values()))["rate"], mine["rate"])


def test_the_inspector_has_no_message(tmp_path):
    for name, activity, options in (
        ("network", network(), {}),
        ("spikes", counts(on_session_clock=True), {"metadata": ANIMAL, "spikes": "counts"}),
    ):
        assert inspect_nwb(write_nwb(activity, tmp_path / f"{name}.nwb", **options)) == []


@pytest.mark.parametrize("spikes", ["counts", None])
def test_files_of_earlier_versions_are_read_as_before(tmp_path, spikes):
    activity = counts(on_session_clock=False)
    path = write_nwb(activity, tmp_path / "a.nwb", spikes=spikes, metadata=ANIMAL)
    whole, part = nc.open(path), nc.open(path, window=(-0.1, 0.3)).load()

    def as_before(file):
        text = json.loads(file[f"scratch/{SCHEMA}"][()])
        for leaf in text["leaves"]:
            events = leaf.pop("event_columns")
            leaf["added_columns"] = [
                name for name in leaf.get("added_columns", []) if name not in events
            ]
            for name in list(leaf["renamed"]):
                file["intervals/trials"].move(name, f"source_{leaf['renamed'][name]}")
            leaf["renamed"] = {f"source_{old}": old for old in leaf["renamed"].values()}
            if spikes is None:
                names = {f"{old}_of_source": new for new, old in leaf["renamed"].items()}
                for key in ("trial_columns", "variables"):
                    kind = type(leaf[key])
                    leaf[key] = (
                        [names.get(name, name) for name in leaf[key]]
                        if kind is list
                        else {names.get(name, name): value for name, value in leaf[key].items()}
                    )
            for name in events:
                del file[f"intervals/trials/{name}"]
        file[f"scratch/{SCHEMA}"][()] = json.dumps(text)

    change(path, as_before)
    assert_same_activity(whole, nc.open(path))
    assert_same_activity(part, nc.open(path, window=(-0.1, 0.3)).load())


def test_an_epoch_does_not_take_the_name_of_a_column(tmp_path):
    block = example_block()
    block = block.assign_coords(epoch=["start", "stim/on"])
    trials = trials_of(write_nwb(block, tmp_path / "a.nwb"))
    assert set(trials) >= {"start_time", "stim_on_time"}
    np.testing.assert_array_equal(trials["start_time"], np.arange(8) * 0.5)


def test_recorded_spikes_are_written_as_they_are_though_windows_overlap(tmp_path):
    rng = np.random.default_rng(0)
    times = [np.sort(rng.integers(0, 12_000, 300)) / 1000 for _ in range(2)]
    every = [np.array([[0.0, 12.0]])] * 2
    trains = SpikeTrains(times.__getitem__, every, resolution_s=0.001)
    start = 1.0 + np.arange(5) * 0.5
    session = Session(
        name="day1",
        trials={
            "start_time": start,
            "stop_time": start + 0.9,
            "cue_time": start + 0.3,
            "task": np.array(["go"] * 5),
        },
        units={"unit": np.array(["u0", "u1"])},
        signal=trains,
    )
    reading = Reading(align="cue_time", window=(-0.3, 0.5), bin=0.1)
    activity = lay_on_one_clock([session], reading, name="mine", aligned_to="cue")
    path = write_nwb(activity, tmp_path / "a.nwb", spikes=trains, metadata=ANIMAL)
    back = nc.open(path)["mine"]
    np.testing.assert_array_equal(back["rate"].values, activity["mine"]["rate"].values)
    np.testing.assert_array_equal(back["start_time"].values, start)
    with h5py.File(path) as file:
        stored = np.split(file["units/spike_times"][()], file["units/spike_times_index"][:-1])
    for unit in (0, 1):
        np.testing.assert_array_equal(stored[unit], times[unit])
    without = activity["mine"].to_dataset().drop_vars("start_time")
    options = {"path": tmp_path / "b.nwb", "metadata": ANIMAL}
    with pytest.raises(nc.InputError, match="spikes: expected trials with the columns start_time"):
        write_nwb(without, spikes=trains, **options)
    with pytest.raises(nc.InputError, match="spikes: expected spike times with intervals"):
        write_nwb(activity, spikes=SpikeTrains(times.__getitem__), **options)
