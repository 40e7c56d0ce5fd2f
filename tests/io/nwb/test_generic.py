"""NWB files as other labs make them, with pynwb itself: units, series, tables, many sessions."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pynapple as nap
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from lab_nwb import (
    add_trials,
    add_units,
    change,
    lone_block,
    new_file,
    quiet,
    spiking,
    trains,
    written,
)
from pynwb import H5DataIO, TimeSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.misc import Units
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, RoiResponseSeries

import nwbcompare as nc
from nwbcompare.core.activity import tasks_of
from nwbcompare.io.nwb import generic as foreign
from nwbcompare.io.nwb.format_names import SCHEMA
from nwbcompare.io.nwb.generic import SpikeTimes, StampsInFile
from nwbcompare.io.nwb.table_columns import decoded
from nwbcompare.model import Network, NetworkConfig, record
from nwbcompare.tasks import make_trials
from nwbcompare.testing import example_block
from nwbcompare.workflows.sources import resolve

RECORDED = {
    "Subject": {"species": "Macaca mulatta", "age": "P6Y"},
    "NWBFile": {"session_start_time": "2009-03-13T00:00:00+00:00"},
}


# --- units -----------------------------------------------------------------------------------


def test_spikes_at_the_root_become_rates(tmp_path):
    path = spiking(tmp_path / "a.nwb")
    block = lone_block(path, window=(-0.2, 0.8), bin=0.1)
    assert block["rate"].dims == ("trial", "time", "unit")
    edges = np.arange(6)[:, None] + 1 - 0.2 + np.arange(11) * 0.1
    for unit, times in enumerate(trains()):
        counts = np.diff(np.searchsorted(times, edges), axis=1)
        np.testing.assert_allclose(block["rate"][:, :, unit], counts / 0.1)
    assert block["unit"].values.tolist() == ["0", "1", "2"]
    assert set(block["subject"].values) == {"m1"}
    assert block.attrs["source"] == "recording"
    assert block.attrs["name"] == "day1"
    assert set(nc.labels(block["session"])) == {"day1"}
    provenance = json.loads(block.attrs["provenance"])
    assert provenance["n_files"] == 1
    assert provenance["files"] == [
        {
            "file": "a.nwb",
            "identifier": "m1-day1",
            "session": "day1",
            "description": "a session",
        }
    ]


@settings(max_examples=10)
@given(seed=st.integers(0, 99), bin_ms=st.sampled_from([10, 20, 50, 100]))
def test_pynapple_counts_the_same_spikes(tmp_path_factory, seed, bin_ms):
    path = tmp_path_factory.mktemp("nwb") / "a.nwb"
    spiking(path, seed=seed)
    block = lone_block(path, window=(0, 0.8), bin=bin_ms / 1000)
    group = nap.TsGroup({k: nap.Ts(times) for k, times in enumerate(trains(seed=seed))})
    trials = nap.IntervalSet(np.arange(6) + 1.0, np.arange(6) + 1.8)
    theirs = nap.build_tensor(group, trials, bin_size=bin_ms / 1000)
    counts = (block["rate"] * bin_ms / 1000).transpose("unit", "trial", "time")
    np.testing.assert_allclose(counts, theirs[:, :, : counts.sizes["time"]], atol=1e-4)


def module_units(nwb, name="units", seed=0, module="ecephys"):
    if module not in nwb.processing:
        nwb.create_processing_module(module, "sorted")
    table = Units(name=name, description="sorted")
    for times in trains(seed=seed):
        table.add_unit(spike_times=times)
    nwb.processing[module].add(table)
    return nwb


def test_units_in_a_processing_module_are_the_same_units(tmp_path):
    moved = written(module_units(add_trials(new_file())), tmp_path / "b.nwb")
    root = spiking(tmp_path / "a.nwb")
    for path in (moved, root):
        assert nc.labels(lone_block(path)["task"]).tolist() == ["go"] * 6
    np.testing.assert_array_equal(lone_block(moved)["rate"], lone_block(root)["rate"])


def test_several_tables_of_units_are_told_apart_by_path(tmp_path):
    nwb = module_units(module_units(add_trials(new_file())), "other", seed=5)
    path = written(nwb, tmp_path / "a.nwb")
    both = r"processing/ecephys/other, processing/ecephys/units\. Name one of them with series="
    with pytest.raises(nc.InputError, match=both):
        nc.open(path)
    other = lone_block(path, series="processing/ecephys/other")
    spikes = spiking(tmp_path / "b.nwb", seed=5)
    np.testing.assert_array_equal(other["rate"], lone_block(spikes)["rate"])
    # at the root is where the format has them
    rooted = written(
        add_units(module_units(add_trials(new_file()), seed=5), trains()), tmp_path / "c.nwb"
    )
    np.testing.assert_array_equal(
        lone_block(rooted)["rate"], lone_block(spiking(tmp_path / "d.nwb"))["rate"]
    )


@pytest.mark.filterwarnings("ignore:no spike of any unit")
def test_outside_the_observed_intervals_is_nan_and_not_silence(tmp_path):
    intervals = [[[0.0, 9.0]], [[0.0, 2.4], [3.0, 3.8]], [[5.0, 9.0]]]
    nwb = add_units(add_trials(new_file()), [np.empty(0)] * 3, obs_intervals=intervals)
    block = lone_block(written(nwb, tmp_path / "a.nwb"), window=(0, 0.8), bin=0.4)
    unit, trial = block["observation_unit"].values, block["observation_trial"].values
    assert [trial[unit == k].tolist() for k in range(3)] == [[*range(6)], [0, 1, 2], [4, 5]]
    np.testing.assert_array_equal(block["rate"].values[unit == 1], [[0, 0], [0, np.nan], [0, 0]])
    assert (block["rate"].values[unit != 1] == 0).all()


@pytest.mark.filterwarnings("ignore:no spike of any unit")
@pytest.mark.parametrize("kind", ["spikes", "series"])
def test_inside_invalid_times_is_nan_and_not_silence(tmp_path, kind):
    def made(name, gaps):
        nwb = add_trials(new_file())
        if kind == "spikes":
            add_units(nwb, [np.empty(0)] * 3, obs_intervals=[[[0.0, 9.0]]] * 3)
        else:
            nwb.add_acquisition(TimeSeries(name="x", data=np.zeros((800, 3)), unit="V", rate=100.0))
        for start, stop in gaps:
            nwb.add_invalid_time_interval(start_time=start, stop_time=stop)
        return written(nwb, tmp_path / name)

    path = made("a.nwb", [(2.0, 2.8), (4.3, 4.35), (5.4, 5.5), (5.45, 5.8)])
    with pytest.warns(UserWarning, match="1 of 6 trials were recorded in no bin: row 1 of 'day1'"):
        rate = lone_block(path, window=(0, 0.8), bin=0.4)["rate"]
    expected = np.zeros((6, 2))
    # a trial inside, an interval inside a bin, and two that overlap a bin
    expected[1] = expected[3, 0] = expected[4, 1] = np.nan
    np.testing.assert_array_equal(rate, np.repeat(expected[..., None], 3, axis=2))
    for wrong in ((3.0, np.nan), (3.0, 2.5)):
        with pytest.raises(nc.InputError, match="invalid_times: expected .* others in rows 0"):
            nc.open(made(f"{wrong}.nwb", [wrong]), window=(0, 0.8))


def test_damaged_intervals_hold_nothing(tmp_path):
    intervals = [[[0.0, 9.0]], [[1.0, np.nan], [9.0, 0.0], [3.0, 4.0]]]
    nwb = add_units(add_trials(new_file()), [np.empty(0)] * 2, obs_intervals=intervals)
    block = lone_block(written(nwb, tmp_path / "a.nwb"), window=(0, 0.8), bin=0.4)
    assert block["observation_trial"].values[block["observation_unit"].values == 1].tolist() == [2]


def test_spikes_out_of_order_and_missing_ones_are_sorted_out(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "STRIDE", 4)
    times = trains(2)
    shuffled = np.random.default_rng(0).permutation(times[0])
    nwb = add_units(add_trials(new_file()), [shuffled, np.append(times[1], np.nan)])
    rate = lone_block(written(nwb, tmp_path / "a.nwb"), window=(0, 0.8))["rate"]
    right = written(add_units(add_trials(new_file()), times), tmp_path / "b.nwb")
    expected = lone_block(right, window=(0, 0.8))["rate"].values
    # the first look tells that they are out of order, later ones have to know it
    for trial in (4, 0, 2):
        np.testing.assert_array_equal(rate.isel(trial=trial), expected[trial])


@pytest.mark.parametrize("stored", [np.float64, np.float32])
@pytest.mark.parametrize("resolution", [None, 1 / 30_000, -1.0, np.nan])
def test_spikes_on_the_ticks_of_a_clock_are_one_a_bin(tmp_path, stored, resolution):
    ticks = 30 * np.arange(3000) + 30_000
    nwb = add_units(add_trials(new_file(), 3), [ticks / 30_000])
    path = written(nwb, tmp_path / "a.nwb")

    def store(file):
        times, attrs = file["units/spike_times"][()], dict(file["units/spike_times"].attrs)
        del file["units/spike_times"]
        file["units/spike_times"] = times.astype(stored)
        file["units/spike_times"].attrs.update(attrs)
        if resolution is not None:
            file["units/spike_times"].attrs["resolution"] = resolution

    block = lone_block(change(path, store), window=(0, 0.8), bin=0.001)
    np.testing.assert_allclose(block["rate"], 1000.0)
    # of a part as of the whole
    np.testing.assert_allclose(block["rate"].isel(trial=1, time=slice(3, 9)), 1000.0)


def add_electrodes(nwb, places=("V4", "PFC", "PFC")):
    device = nwb.create_device(name="array")
    for number, place in enumerate(places):
        group = nwb.create_electrode_group(
            f"shank{number}", description="x", location=f"{place}-group", device=device
        )
        nwb.add_electrode(group=group, location=place)
    return nwb


def test_areas_come_from_electrodes_or_their_groups_or_a_column(tmp_path):
    nwb = add_electrodes(add_trials(new_file()))
    add_units(nwb, trains(), electrodes=[[1, 0], [0], [2]])
    path = written(nwb, tmp_path / "a.nwb")
    assert lone_block(path)["area"].values.tolist() == ["PFC/V4", "V4", "PFC"]

    nwb = add_electrodes(add_trials(new_file()))
    groups = [nwb.electrode_groups[f"shank{k}"] for k in (2, 0, 1)]
    path = written(add_units(nwb, trains(), electrode_group=groups), tmp_path / "b.nwb")
    assert lone_block(path)["area"].values.tolist() == ["PFC-group", "V4-group", "PFC-group"]

    nwb = add_trials(new_file())
    nwb.add_unit_column("area", "where")
    path = written(add_units(nwb, trains(), area=["A", "B", "A"]), tmp_path / "c.nwb")
    assert lone_block(path)["area"].values.tolist() == ["A", "B", "A"]
    assert "area" not in lone_block(spiking(tmp_path / "d.nwb")).coords


def test_a_unit_on_electrodes_of_several_areas_has_them_all(tmp_path):
    nwb = add_trials(new_file())
    add_electrodes(nwb, ["V4", "PFC", "PFC", "A"])
    add_units(nwb, trains(4), electrodes=[[1, 0, 2], [2, 1], [3, 0], [3]])
    path = written(nwb, tmp_path / "a.nwb")

    def unnamed(file):
        file["general/extracellular_ephys/electrodes/location"][3] = ""

    assert lone_block(path)["area"].values.tolist() == ["PFC/V4", "PFC", "A/V4", "A"]
    assert lone_block(change(path, unnamed))["area"].values.tolist() == ["PFC/V4", "PFC", "V4", ""]


@pytest.mark.parametrize(
    "name",
    [
        *(f"intervals/trials/{column}" for column in ("id", "start_time", "cue_time", "word")),
        *(f"units/{column}" for column in ("id", "spike_times", "spike_times_index", "depth")),
        *(f"units/{column}" for column in ("unit_name", "electrodes", "electrodes_index")),
        "general/extracellular_ephys/electrodes/location",
    ],
)
def test_columns_of_one_value_a_row_may_be_matrices(tmp_path, name):
    nwb = add_trials(new_file(), cue_time=np.arange(6) + 1.1, word=[*"abcdef"])
    add_electrodes(nwb)
    nwb.add_unit_column("depth", "x")
    nwb.add_unit_column("unit_name", "x")
    names = ["u1", "u2", "u3"]
    add_units(nwb, trains(), depth=[1.5, 2.5, 3.5], unit_name=names, electrodes=[[0], [1], [2]])
    path = written(nwb, tmp_path / "a.nwb")
    options = {"align": "cue_time", "window": (0, 0.5), "bin": 0.1}
    plain = lone_block(path, **options).load()

    def as_matrix(file):
        data = file[name]
        values, attrs, kind = data[()], dict(data.attrs), data.dtype
        del file[name]
        matrix = file.create_dataset(name, data=values.reshape(-1, 1), dtype=kind)
        matrix.attrs.update(attrs)

    assert lone_block(change(path, as_matrix), **options).identical(plain)


def test_a_unit_without_electrodes_has_no_area(tmp_path):
    nwb = add_electrodes(add_trials(new_file()))
    add_units(nwb, trains(), electrodes=[[1], [], [0]])
    path = written(nwb, tmp_path / "a.nwb")
    assert lone_block(path)["area"].values.tolist() == ["PFC", "", "V4"]


def test_units_keep_their_plain_columns_and_names(tmp_path):
    nwb = add_trials(new_file())
    for name in ("unit_name", "quality", "heldout", "snr", "rate", "task", "waveform"):
        nwb.add_unit_column(name, f"the {name}")
    add_units(
        nwb,
        trains(),
        unit_name=["007", "1.10", "1.1"],
        quality=["good", "mua", "good"],
        heldout=[True, False, True],
        snr=[1.5, np.nan, 3.0],
        rate=[1.0, 2.0, 3.0],
        task=["a", "b", "c"],
        waveform=[np.zeros(4)] * 3,
    )
    block = lone_block(written(nwb, tmp_path / "a.nwb"))
    # names are text, whatever they look like
    assert block["unit"].values.tolist() == ["007", "1.10", "1.1"]
    assert block["quality"].values.tolist() == ["good", "mua", "good"]
    assert block["heldout"].values.tolist() == [True, False, True]
    np.testing.assert_array_equal(block["snr"], [1.5, np.nan, 3.0])
    assert block["unit_rate"].values.tolist() == [1, 2, 3]
    assert block["unit_task"].values.tolist() == ["a", "b", "c"]
    assert "waveform" not in block.coords
    assert dict(nc.select(block, units=["1.10"]).sizes)["unit"] == 1


def test_names_that_repeat_give_way_to_the_ids(tmp_path):
    nwb = add_trials(new_file())
    nwb.add_unit_column("unit_name", "x")
    path = written(add_units(nwb, trains(), unit_name=["a", "b", "a"]), tmp_path / "a.nwb")
    assert lone_block(path)["unit"].values.tolist() == ["0", "1", "2"]


# --- trial columns ---------------------------------------------------------------------------


def test_every_kind_of_trial_column_is_read(tmp_path):
    nwb = add_trials(
        new_file(),
        side=["left", "right"] * 3,
        correct=[True, False, True] * 2,
        coherence=[0.1, 0.2, np.nan] * 2,
        number=np.arange(6, dtype="int16"),
        cue_time=np.arange(6) + 1.25,
    )
    with quiet():
        nwb.trials.add_column("colour", "shown", enum=["red", "green"], data=[0, 1, 0, 0, 1, 1])
    block = lone_block(written(add_units(nwb, trains()), tmp_path / "a.nwb"))
    assert nc.labels(block["side"]).tolist() == ["left", "right"] * 3
    assert nc.labels(block["colour"]).tolist() == ["red", "green", "red", "red", "green", "green"]
    assert block["correct"].dtype == bool
    assert block["correct"].values.tolist() == [True, False, True] * 2
    np.testing.assert_array_equal(block["coherence"], [0.1, 0.2, np.nan] * 2)
    assert block["number"].dtype == np.int16
    assert block["side"].attrs["long_name"] == "about side"
    assert "colour_elements" not in block.coords
    assert "id" not in block.coords


def test_json_in_text_is_decoded(tmp_path):
    path = spiking(
        tmp_path / "a.nwb",
        parameters=[json.dumps({"angle": 30 * k, "shape": "disc", "on": k > 2}) for k in range(6)],
        some=['{"a": 1.5}', "", '{"b": "x"}', "null", '{"a": 2}', "{}"],
        points=[json.dumps([k, k + 1]) for k in range(6)],
        count=[str(k) for k in range(6)],
        word=['"left"', '"right"'] * 3,
        flag=["true", "false", "true"] * 2,
        gaps=["1", "", "2.5", "null", "3", "4"],
        text=["go", "1", "2", "3", "4", "5"],
        nested=[json.dumps({"x": {"y": k}, "a/b": k}) for k in range(6)],
    )
    block = lone_block(path)
    assert block["parameters_angle"].values.tolist() == [0, 30, 60, 90, 120, 150]
    assert set(nc.labels(block["parameters_shape"])) == {"disc"}
    assert block["parameters_on"].values.tolist() == [False] * 3 + [True] * 3
    np.testing.assert_array_equal(block["some_a"], [1.5, np.nan, np.nan, np.nan, 2, np.nan])
    assert nc.labels(block["some_b"]).tolist() == ["", "", "x", "", "", ""]
    assert nc.labels(block["points"])[2] == "[2, 3]"
    assert block["count"].values.tolist() == [0, 1, 2, 3, 4, 5]
    assert nc.labels(block["word"]).tolist() == ["left", "right"] * 3
    assert block["flag"].values.tolist() == [True, False, True] * 2
    np.testing.assert_array_equal(block["gaps"], [1, np.nan, 2.5, np.nan, 3, 4])
    assert nc.labels(block["text"]).tolist() == ["go", "1", "2", "3", "4", "5"]
    assert nc.labels(block["nested_x"])[1] == '{"y": 1}'
    assert block["nested_a_b"].values.tolist() == [0, 1, 2, 3, 4, 5]
    assert "parameters" not in block.coords


@pytest.mark.parametrize(
    "texts",
    [
        ["left", "right"],
        ["", ""],
        ["null", "null"],
        ['{"a": 1}', "3"],
        ["true", "1"],
        ["[1]", "[2, 3]"],
        ["[" * 100_000, "1"],
        [json.dumps({f"k{i}": i for i in range(101)})] * 2,
    ],
)
def test_text_that_makes_no_columns_stays_text(texts):
    assert decoded("c", np.array(texts))["c"].tolist() == texts


def test_numbers_too_large_for_a_column_become_infinite_and_no_error():
    large = "1" + "0" * 400
    assert decoded("c", np.array([large, "-" + large]))["c"].tolist() == [np.inf, -np.inf]


def test_a_key_does_not_hide_a_column_of_the_table(tmp_path):
    path = spiking(tmp_path / "a.nwb", p=['{"x": 1}'] * 6, p_x=[7] * 6)
    block = lone_block(path)
    assert block["p_x"].values.tolist() == [7] * 6
    assert set(nc.labels(block["p"])) == {'{"x": 1}'}


def test_columns_of_several_values_are_left_out_and_the_provenance_says_so(tmp_path):
    nwb = add_trials(new_file())
    nwb.trials.add_column("licks", "x", data=[[0.1], [], [0.2, 0.3], [], [], []], index=True)
    nwb.trials.add_column("position", "x", data=np.zeros((6, 2)))
    block = lone_block(written(add_units(nwb, trains()), tmp_path / "a.nwb"))
    assert not {"licks", "licks_index", "position"} & set(block.coords)
    (about,) = json.loads(block.attrs["provenance"])["files"]
    assert about["columns_left_out"] == ["licks", "position"]


def test_names_with_a_meaning_of_their_own_are_changed(tmp_path):
    path = spiking(
        tmp_path / "a.nwb",
        time=np.arange(6) + 1.5,
        trial=np.arange(6),
        rate=np.arange(6) * 2.0,
        unit=["x"] * 6,
        session=["morning"] * 6,
        observation=np.arange(6) + 10,
        trial_observation=np.arange(6) + 20,
        subject=["human"] * 6,
        epoch=["e"] * 6,
    )
    block = lone_block(path, align="trial_time", window=(0, 0.5))
    assert block["trial_trial"].values.tolist() == [0, 1, 2, 3, 4, 5]
    assert block["trial_rate"].values.tolist() == [0, 2, 4, 6, 8, 10]
    assert set(nc.labels(block["trial_unit"])) == {"x"}
    assert set(nc.labels(block["trial_session"])) == {"morning"}
    assert set(nc.labels(block["session"])) == {"day1"}
    assert set(nc.labels(block["trial_epoch"])) == {"e"}
    assert block["trial_observation"].values[0] == 20
    assert block["trial_observation_"].values[0] == 10
    assert set(nc.labels(block["subject"])) == {"human"}
    assert set(block["unit_subject"].values) == {"m1"}


def test_trials_without_the_event_are_left_out(tmp_path):
    path = spiking(tmp_path / "a.nwb", go_time=[1.5, np.nan, 3.5, np.nan, 5.5, 6.5])
    with pytest.warns(UserWarning, match="2 trials were left out"):
        block = lone_block(path, align="go_time", window=(-0.2, 0.2))
    assert block["start_time"].values.tolist() == [1, 3, 5, 6]


def test_without_a_task_there_is_one_named_after_the_session(tmp_path):
    nwb = new_file(session="sub/day 1")
    for k in range(3):
        nwb.add_trial(start_time=k + 1.0, stop_time=k + 1.8)
    path = written(add_units(nwb, trains()), tmp_path / "a.nwb")
    with pytest.warns(UserWarning, match="no column names the task"):
        activity = nc.open(path)
    assert list(activity.children) == ["sub_day 1"]
    assert tasks_of(activity) == ["sub/day 1"]


def ready_set_go(path, n_trials=40, n_units=8):
    """A file laid out as DANDI:000130: Ready-Set-Go, some units held out, two splits."""
    rng = np.random.default_rng(0)
    nwb = new_file("ses-full", "Haydn")
    start = np.arange(n_trials) * 3.0
    ready, ts = start + 0.8, rng.choice([0.48, 0.64, 0.8, 1.0, 1.2], n_trials)
    tp = ts + rng.normal(0, 0.05, n_trials)
    columns = {
        "ready_time": ready,
        "set_time": ready + ts,
        "go_time": ready + ts + tp,
        "ts": ts,
        "tp": tp,
        "theta": rng.choice([0.0, 180.0], n_trials),
        "is_short": ts < 0.9,
        "is_eye": rng.random(n_trials) < 0.5,
        "split": np.where(np.arange(n_trials) % 4 == 3, "test", "train"),
    }
    for name in columns:
        nwb.add_trial_column(name, f"about {name}")
    for k in range(n_trials):
        own = {name: values[k] for name, values in columns.items()}
        nwb.add_trial(start_time=start[k], stop_time=start[k] + 2.9, **own)
    nwb.add_unit_column("heldout", "whether held out")
    seen = np.column_stack([start, start + 2.95])
    for unit in range(n_units):
        heldout = unit >= n_units - 2
        # what is held out was not recorded in the trials of the test
        own = seen[columns["split"] == "train"] if heldout else seen
        times = np.sort(rng.uniform(0, n_trials * 3, 1500))
        inside = np.any((times[:, None] >= own[:, 0]) & (times[:, None] < own[:, 1]), axis=1)
        nwb.add_unit(spike_times=times[inside], obs_intervals=own, heldout=heldout)
    return written(nwb, path)


def test_a_file_like_dandi_000130_is_read_and_analysed(tmp_path):
    path = ready_set_go(tmp_path / "sub-Haydn_ses-full.nwb")
    activity = nc.open(
        path,
        align="set_time",
        window=(-0.4, 0.4),
        bin=0.02,
        smooth=0.04,
        task="is_eye",
        conditions=["is_short", "theta"],
    )
    block = nc.check_activity(activity)["ses-full"].to_dataset()
    assert sorted(tasks_of(activity)) == ["False", "True"]
    held = block["heldout"].values
    assert held.tolist() == [False] * 6 + [True] * 2
    number = np.bincount(block["observation_unit"].values)
    assert number.tolist() == [40] * 6 + [30] * 2
    assert np.isfinite(block["rate"]).all()
    of_held = np.isin(block["observation_unit"], np.flatnonzero(held))
    assert set(nc.labels(block["split"])[of_held]) == {"train"}
    with pytest.warns(nc.UnitWarning) as record:
        variance = nc.task_variance(activity)
    # no unit lacks a condition
    (warning,) = map(str, (one.message for one in record))
    assert "3 trials a condition in task 'True', 6 in 'False'" in warning
    assert variance["task_variance"].sizes == {"unit": 8, "task": 2}
    assert np.isfinite(variance["task_variance"]).all()


# --- time series -----------------------------------------------------------------------------


def fluorescence(path, stamps, values, n_trials=6):
    nwb = add_trials(new_file(), n_trials)
    device = nwb.create_device("microscope")
    plane = nwb.create_imaging_plane(
        name="plane",
        optical_channel=OpticalChannel(name="green", description="x", emission_lambda=520.0),
        description="x",
        device=device,
        excitation_lambda=900.0,
        indicator="GCaMP",
        location="ACC",
    )
    ophys = nwb.create_processing_module("ophys", "imaging")
    cells = ImageSegmentation().create_plane_segmentation("cells", plane, "PlaneSegmentation")
    cells.add_column("accepted", "by hand")
    for cell in range(values.shape[1] + 1):
        cells.add_roi(pixel_mask=[(cell, 0, 1.0)], accepted=cell != 1)
    ophys.add(cells.parent)
    # the first region of interest has no trace
    rows = list(range(1, values.shape[1] + 1))
    with quiet():
        region = cells.create_roi_table_region("traced", region=rows)
        response = DfOverF(
            roi_response_series=RoiResponseSeries(
                name="dff", data=values, rois=region, unit="n.a.", timestamps=stamps
            )
        )
    ophys.add(response)
    return written(nwb, path)


def test_fluorescence_with_uneven_times_is_binned(tmp_path):
    rng = np.random.default_rng(0)
    stamps = np.sort(np.arange(240) / 30 + rng.uniform(0, 0.005, 240))
    values = rng.random((240, 4))
    path = fluorescence(tmp_path / "a.nwb", stamps, values)
    block = lone_block(path, window=(-0.5, 0.8), bin=0.1)
    assert block["rate"].attrs["units"] == "1"
    assert block["unit"].values.tolist() == ["1", "2", "3", "4"]
    assert block["accepted"].values.tolist() == [False, True, True, True]
    assert set(block["area"].values) == {"ACC"}
    for trial in range(6):
        for place in range(13):
            left = trial + 1 - 0.5 + place * 0.1 - 1e-4
            inside = (stamps >= left) & (stamps < left + 0.1)
            np.testing.assert_allclose(
                block["rate"][trial, place], values[inside].mean(axis=0), rtol=1e-5
            )
    frames = lone_block(path, window=(0, 0.8))
    assert frames["time"].attrs["bin_width_s"] == pytest.approx(1 / 30, rel=0.05)
    assert np.isfinite(frames["rate"]).all()


@pytest.mark.parametrize("n_stamps", [None, 240])
def test_a_series_stored_channels_x_samples_is_refused_and_read_if_told(tmp_path, n_stamps):
    values = np.random.default_rng(0).random((240, 4))
    right = fluorescence(tmp_path / "a.nwb", np.arange(240) / 30, values)
    wrong = fluorescence(tmp_path / "b.nwb", np.arange(240) / 30, values)
    series = "processing/ophys/DfOverF/dff"

    def exchange(file):
        attrs = dict(file[f"{series}/data"].attrs)
        del file[f"{series}/data"]
        file[f"{series}/data"] = values.T
        file[f"{series}/data"].attrs.update(attrs)
        if n_stamps is None:
            # where only the times tell
            del file[f"{series}/rois"]

    change(wrong, exchange)
    counts = "240 .* got 4 there, and 240" if n_stamps is None else "4 .* got 240 there, and 4"
    with pytest.raises(nc.InputError, match=rf"dff/data: expected {counts}.* pass transpose=True"):
        nc.open(wrong)
    options = {"window": (-0.5, 0.8), "bin": 0.1}
    block = lone_block(wrong, transpose=True, **options)
    expected = lone_block(right, **options)
    np.testing.assert_array_equal(block["rate"], expected["rate"])
    np.testing.assert_array_equal(block["rate"][2, 3:5, [3, 1]], expected["rate"][2, 3:5, [3, 1]])
    source = f"{wrong}?transpose=true&window=-0.5,0.8&bin=0.1"
    assert resolve(source)["day1"].to_dataset().identical(block.load())
    if n_stamps is not None:
        assert block["accepted"].values.tolist() == [False, True, True, True]
    with pytest.raises(nc.InputError, match=r"dff/data: expected .* Leave transpose= out"):
        nc.open(right, transpose=True)
    with pytest.raises(nc.InputError, match=r"option 'transpose': .* type flag, got 'yes'"):
        resolve(f"{wrong}?transpose=yes")


def test_channels_of_another_number_than_their_table_are_numbered_and_said(tmp_path):
    path = lfp(tmp_path / "a.nwb", np.ones((800, 3)))

    def cut(file):
        electrodes = file["processing/ecephys/LFP/lfp/electrodes"]
        attrs = dict(electrodes.attrs)
        del file["processing/ecephys/LFP/lfp/electrodes"]
        file["processing/ecephys/LFP/lfp/electrodes"] = [0, 1]
        file["processing/ecephys/LFP/lfp/electrodes"].attrs.update(attrs)

    with pytest.warns(nc.UnitWarning, match=r"data has 3 channels and .*/electrodes 2 rows"):
        block = lone_block(change(path, cut), window=(0, 0.8))
    assert block["unit"].values.tolist() == ["lfp_000", "lfp_001", "lfp_002"]


@pytest.mark.parametrize("region", ["electrodes", "fibers"])
def test_channels_of_any_table_tell_how_a_series_is_stored(tmp_path, region):
    values = np.random.default_rng(0).random((800, 3))
    right, wrong = lfp(tmp_path / "a.nwb", values), lfp(tmp_path / "b.nwb", values.T)
    series = "processing/ecephys/LFP/lfp"
    for path in (right, wrong):
        change(path, lambda file: file.move(f"{series}/electrodes", f"{series}/{region}"))
    with pytest.raises(nc.InputError, match=rf"expected 3 .*lfp/{region} has, got 800 .* and 3 in"):
        nc.open(wrong)
    block = lone_block(wrong, transpose=True, window=(0, 0.8))
    assert block["area"].values.tolist() == ["PFC", "V4", "PFC"]
    np.testing.assert_array_equal(block["rate"], lone_block(right, window=(0, 0.8))["rate"])


def test_only_a_series_of_channels_can_be_transposed(tmp_path):
    with pytest.raises(nc.InputError, match="transpose: expected a time series, got units"):
        nc.open(spiking(tmp_path / "a.nwb"), transpose=True)
    nwb = add_trials(new_file())
    nwb.add_acquisition(TimeSeries(name="x", data=np.ones(800), unit="V", rate=100.0))
    path = written(nwb, tmp_path / "b.nwb")
    with pytest.raises(nc.InputError, match="transpose: expected a series of channels, got one"):
        nc.open(path, transpose=True)
    with pytest.raises(nc.InputError, match="transpose: expected True or False, got 'yes'"):
        nc.open(path, transpose="yes")


def test_times_far_into_a_file_are_found_without_reading_them_all(tmp_path, monkeypatch):
    stamps = np.sort(np.random.default_rng(0).uniform(0, 8, 3000))
    path = fluorescence(tmp_path / "a.nwb", stamps, np.arange(3000.0)[:, None])
    whole = lone_block(path, window=(0, 0.8), bin=0.1)["rate"].values
    monkeypatch.setattr(foreign, "STAMPS_AT_ONCE", 16)
    reads = []
    monkeypatch.setattr(
        StampsInFile,
        "_read",
        lambda self, a, b, old=StampsInFile._read: reads.append(b - a) or old(self, a, b),
    )
    part = lone_block(path, window=(0, 0.8), bin=0.1)["rate"][2].values
    np.testing.assert_array_equal(part, whole[2])
    assert sum(reads) < 1000


def lfp(path, data, *, rate=100.0, n_trials=6, conversion=1.0, start=0.0, channel_conversion=None):
    nwb = add_electrodes(add_trials(new_file(), n_trials))
    region = nwb.create_electrode_table_region([2, 0, 1], "all")
    with quiet():
        series = ElectricalSeries(
            name="lfp",
            data=data,
            electrodes=region,
            rate=rate,
            starting_time=start,
            conversion=conversion,
            channel_conversion=channel_conversion,
        )
        nwb.create_processing_module("ecephys", "x").add(LFP(electrical_series=series))
    return written(nwb, path)


def test_voltages_are_scaled_and_know_their_electrodes(tmp_path):
    counts = np.random.default_rng(0).integers(-500, 500, (800, 3)).astype(np.int16)
    path = lfp(tmp_path / "a.nwb", counts, conversion=1e-6, channel_conversion=[1.0, 2.0, 0.5])
    block = lone_block(path, window=(0, 0.8), bin=0.05)
    volts = counts * 1e-6 * [1.0, 2.0, 0.5]
    for trial in range(6):
        own = volts[100 * (trial + 1) :][:80].reshape(16, 5, 3).mean(axis=1)
        np.testing.assert_allclose(block["rate"][trial], own, rtol=1e-5, atol=1e-12)
    assert block["unit"].values.tolist() == ["2", "0", "1"]
    assert block["area"].values.tolist() == ["PFC", "V4", "PFC"]
    assert block["group_name"].values.tolist() == ["shank2", "shank0", "shank1"]


def test_whole_numbers_without_a_scale_stay_what_they_are(tmp_path):
    counts = np.random.default_rng(0).integers(-500, 500, (800, 3)).astype(np.int16)
    block = lone_block(lfp(tmp_path / "a.nwb", counts), window=(0, 0.8))
    np.testing.assert_array_equal(block["rate"][2], counts[300:380])
    picked = lone_block(tmp_path / "a.nwb", window=(0, 0.8))["rate"]
    np.testing.assert_array_equal(picked.isel(unit=[2, 0]), block["rate"][:, :, [2, 0]])


def test_an_offset_is_added_and_one_channel_is_one_unit(tmp_path):
    nwb = add_trials(new_file())
    nwb.add_acquisition(
        TimeSeries(
            name="speed", data=np.arange(800), unit="m/s", rate=100.0, conversion=0.5, offset=-3.0
        )
    )
    block = lone_block(written(nwb, tmp_path / "a.nwb"), window=(0, 0.8))
    assert block["unit"].values.tolist() == ["speed_000"]
    np.testing.assert_allclose(block["rate"][1, :, 0], np.arange(200, 280) * 0.5 - 3)


def test_recordings_that_start_late_and_stop_early_are_missing_there(tmp_path):
    values = np.ones((250, 3))
    path = lfp(tmp_path / "a.nwb", values, start=2.5)
    with pytest.warns(UserWarning, match="3 of 6 trials were recorded in no bin"):
        block = lone_block(path, window=(0, 0.8), bin=0.1)
    assert sorted(set(block["observation_trial"].values)) == [1, 2, 3]
    first = block["rate"].values[block["observation_trial"].values == 1]
    np.testing.assert_array_equal(first, [[np.nan] * 5 + [1] * 3] * 3)


def test_many_scattered_channels_are_picked(tmp_path):
    nwb = add_trials(new_file())
    values = np.random.default_rng(0).random((800, 40))
    nwb.add_acquisition(TimeSeries(name="x", data=values, unit="V", rate=100.0))
    rate = lone_block(written(nwb, tmp_path / "a.nwb"), window=(0, 0.8))["rate"]
    for channels in ([3], [3, 4, 5], [1, 3, 9], list(range(0, 40, 3)), [7, 2, 2]):
        expected = values[100:180, channels].astype(np.float32)
        np.testing.assert_array_equal(rate.isel(trial=0, unit=channels), expected)


def several_series(path):
    nwb = add_trials(new_file())
    nwb.add_acquisition(TimeSeries(name="eye", data=np.zeros((800, 2)), unit="deg", rate=100.0))
    nwb.add_acquisition(TimeSeries(name="video", data=np.zeros((80, 2, 2)), unit="x", rate=10.0))
    module = nwb.create_processing_module("behavior", "x")
    module.add(TimeSeries(name="speed", data=np.ones(800), unit="m/s", rate=100.0))
    module.add(TimeSeries(name="eye", data=np.full((800, 2), 2.0), unit="deg", rate=100.0))
    return written(nwb, path)


def test_of_several_series_one_has_to_be_named(tmp_path):
    path = several_series(tmp_path / "a.nwb")
    listed = "the series acquisition/eye, processing/behavior/eye, processing/behavior/speed"
    with pytest.raises(nc.InputError, match=f"{listed}. Name one of them with series="):
        nc.open(path)
    with pytest.raises(nc.InputError, match=r"series 'eye': expected one time series of this name"):
        nc.open(path, series="eye")
    with pytest.raises(nc.InputError, match=r"series 'nose': .* got the series acquisition/eye"):
        nc.open(path, series="nose")
    with pytest.raises(nc.InputError, match="expected units with spike times, got none"):
        nc.open(path, series="units")
    assert (lone_block(path, series="speed")["rate"] == 1).all()
    assert (lone_block(path, series="processing/behavior/eye")["rate"] == 2).all()
    assert (lone_block(path, series="/acquisition/eye")["rate"] == 0).all()


def test_spikes_come_before_series_unless_one_is_named(tmp_path):
    nwb = add_units(add_trials(new_file()), trains())
    nwb.add_acquisition(TimeSeries(name="eye", data=np.zeros((800, 2)), unit="deg", rate=100.0))
    path = written(nwb, tmp_path / "a.nwb")
    assert lone_block(path).sizes["unit"] == 3
    assert lone_block(path, series="units").sizes["unit"] == 3
    assert lone_block(path, series="eye").sizes["unit"] == 2


def test_a_series_that_shares_times_and_data_with_another_is_read(tmp_path):
    nwb = add_trials(new_file())
    stamps = np.arange(800) / 100
    first = TimeSeries(name="first", data=np.arange(800.0), unit="x", timestamps=stamps)
    nwb.add_acquisition(first)
    nwb.add_acquisition(TimeSeries(name="second", data=first, unit="x", timestamps=first))
    path = written(nwb, tmp_path / "a.nwb")
    for name in ("first", "second"):
        block = lone_block(path, series=name, window=(0, 0.8))
        np.testing.assert_array_equal(block["rate"][0, :, 0], np.arange(100, 180))


def test_data_in_a_file_beside_it_are_read_from_there(tmp_path):
    raw = tmp_path / "raw.h5"
    with h5py.File(raw, "w") as file:
        file["deep/data"] = np.arange(1600.0).reshape(800, 2)
    with h5py.File(raw, "r") as file:
        nwb = add_trials(new_file())
        data = H5DataIO(file["deep/data"], link_data=True)
        nwb.add_acquisition(TimeSeries(name="x", data=data, unit="V", rate=100.0))
        path = written(nwb, tmp_path / "a.nwb")
    block = lone_block(path, window=(0, 0.8))
    np.testing.assert_array_equal(block["rate"][0, :, 1], np.arange(201, 361, 2))


# --- several sessions ------------------------------------------------------------------------


def two_days(folder):
    deep = folder / "sub-m1" / "ses"
    deep.mkdir(parents=True)
    first = spiking(folder / "sub-m1" / "a.nwb", n_units=2, depth=[1.0] * 6)
    second = spiking(deep / "b.nwb", day="day2", seed=7, side=["l", "r"] * 3)
    return first, second


def test_files_and_folders_are_one_activity(tmp_path):
    first, second = two_days(tmp_path)
    (tmp_path / "notes.txt").write_text("not a recording")
    activity = nc.open([first, second], window=(0, 0.8), bin=0.1)
    of_folder = nc.open(tmp_path, window=(0, 0.8), bin=0.1)
    block = next(iter(activity.children.values())).to_dataset()
    xr.testing.assert_identical(
        block.drop_attrs(), next(iter(of_folder.children.values())).to_dataset().drop_attrs()
    )
    assert block["unit"].values.tolist() == ["day1/0", "day1/1", "day2/0", "day2/1", "day2/2"]
    assert block["rate"].dims == ("observation", "time")
    day = nc.labels(block["session"])
    for path, name in ((first, "day1"), (second, "day2")):
        alone = lone_block(path, window=(0, 0.8), bin=0.1)["rate"].transpose("unit", ...)
        np.testing.assert_array_equal(
            block["rate"].values[day == name], alone.values.reshape(-1, 8)
        )
    assert np.isnan(block["depth"].values[day == "day2"]).all()
    assert set(nc.labels(block["side"])[day == "day1"]) == {""}
    files = json.loads(block.attrs["provenance"])["files"]
    assert [about["identifier"] for about in files] == ["m1-day1", "m1-day2"]
    # the activity is named after the folder
    assert list(of_folder.children) == ["sub-m1"]


def test_sessions_without_ids_are_named_after_their_files(tmp_path):
    paths = []
    for name in ("x", "y"):
        nwb = add_units(add_trials(new_file(" ")), trains())
        paths.append(written(nwb, tmp_path / f"{name}.nwb"))
    block = lone_block(paths)
    assert json.loads(block["session"].attrs["categories"]) == ["x", "y"]


def test_sessions_that_share_an_id_are_numbered(tmp_path):
    paths = [spiking(tmp_path / f"{k}.nwb", seed=k) for k in range(2)]
    block = lone_block(paths)
    assert block["unit"].values.tolist()[::3] == ["day1_1/0", "day1_2/0"]


def test_many_sessions_name_the_first_files(tmp_path):
    first = spiking(tmp_path / "000.nwb", n_units=1)
    for k in range(1, 25):
        shutil.copyfile(first, tmp_path / f"{k:03d}.nwb")
    block = lone_block(tmp_path)
    provenance = json.loads(block.attrs["provenance"])
    assert provenance["n_files"] == 25
    assert len(provenance["files"]) == 20
    assert block.sizes == {"observation": 150, "time": 16, "unit": 25}


def test_files_of_different_kinds_are_not_joined(tmp_path):
    own = nc.write_nwb(example_block(), tmp_path / "own.nwb")
    other = spiking(tmp_path / "other.nwb")
    with pytest.raises(nc.InputError, match="expected files of one kind, got rates that nwbcomp"):
        nc.open([own, other])
    with pytest.raises(nc.InputError, match="expected each file once, got the same file again"):
        nc.open([other, tmp_path / "." / "other.nwb"])
    with pytest.raises(nc.InputError, match="path: expected at least one NWB file, got none"):
        nc.io.open_nwb([])
    eye = add_trials(new_file("day2"))
    eye.add_acquisition(TimeSeries(name="eye", data=np.zeros((800, 2)), unit="deg", rate=100.0))
    with pytest.raises(nc.InputError, match="expected all of spikes, or all of samples"):
        nc.open([other, written(eye, tmp_path / "eye.nwb")])


# --- our own files, read anew ----------------------------------------------------------------


def shifted():
    """Two blocks, of which one starts before its event, with epochs and odd types."""
    second = nc.make_block(
        np.random.default_rng(0).random((3, 6, 3)),
        time_s=np.arange(6) * 0.1 - 0.15,
        bin_width_s=0.1,
        aligned_to="cue",
        trials={"task": ["stop", "wait", "stop"], "count": np.array([3, 1, 2], "i2")},
        units={name: example_block()[name].values for name in ("unit", "area")},
        epochs={"delay1": ([-0.1, np.nan, 0.0], [0.1, np.nan, 0.2])},
        condition_variables={"stop": ["count"], "wait": []},
        source="model",
        deterministic=True,
        name="example",
    )
    return nc.make_activity({"go": example_block(), "stop": second})


def test_rates_of_ours_read_in_other_bins_are_rebinned(tmp_path):
    activity = shifted()
    path = nc.write_nwb(activity, tmp_path / "a.nwb")
    anew, rebinned = nc.open(path, bin=0.2), nc.rebin(activity, 0.2)
    assert list(anew.children) == ["go", "stop"]
    for leaf in anew.children:
        ours, expected = anew[leaf].to_dataset(), rebinned[leaf].to_dataset()
        np.testing.assert_allclose(ours["rate"], expected["rate"], rtol=1e-6)
        np.testing.assert_allclose(ours["time"], expected["time"], atol=1e-9)
        for name in ("source", "deterministic", "name", "condition_variables"):
            assert ours.attrs[name] == expected.attrs[name]
        for name in ("aligned_to", "bin_width_s", "units"):
            assert ours["time"].attrs[name] == expected["time"].attrs[name]
        for name in expected.coords:
            if name not in {"time", "task"}:
                np.testing.assert_array_equal(ours[name], expected[name])
                assert ours[name].dtype == expected[name].dtype
        assert nc.labels(ours["task"]).tolist() == nc.labels(expected["task"]).tolist()
    variance = nc.task_variance(nc.make_activity({"go": anew["go"].to_dataset()}))
    expected = nc.task_variance(rebinned["go"].to_dataset())
    np.testing.assert_allclose(variance["task_variance"], expected["task_variance"], rtol=1e-5)


def test_rates_of_ours_take_nothing_from_the_trial_before(tmp_path):
    block = example_block()
    path = nc.write_nwb(block, tmp_path / "a.nwb")
    wide = lone_block(path, window=(-0.2, 0.7), bin=0.1)
    assert np.isnan(wide["rate"][:, [0, 1, 7, 8]]).all()
    np.testing.assert_array_equal(wide["rate"][:, 2:7], block["rate"])
    smooth = lone_block(path, smooth=0.1)
    np.testing.assert_allclose(smooth["rate"], nc.smooth(block, 0.1)["rate"], rtol=1e-6)
    read_with = json.loads(smooth.attrs["provenance"])["read_with"]
    assert read_with == {"smooth": 0.1}


def network_file(path, **options):
    network = Network(NetworkConfig(n_units=5), name="net")
    activity = nc.make_activity(
        {
            task: record(network, make_trials(task).isel(trial=slice(4)), inputs_and_outputs=True)
            for task in ("contextdm1", "fdgo")
        }
    )
    return activity, nc.write_nwb(activity, path, **options)


def test_a_network_with_inputs_is_read_anew_as_a_model(tmp_path):
    activity, path = network_file(tmp_path / "net.nwb")
    anew = nc.open(path, bin=0.1)
    assert list(anew.children) == ["contextdm1", "fdgo"]
    for leaf, block in nc.blocks(anew).items():
        expected = nc.rebin(activity[leaf].to_dataset(), 0.1)
        assert block.attrs["source"] == "model"
        assert block["rate"].attrs["units"] == "1"
        n_bins = block.sizes["time"]
        np.testing.assert_allclose(block["rate"], expected["rate"][:, :n_bins], rtol=1e-5)
        np.testing.assert_array_equal(block["unit"], expected["unit"])
    # channels of another series are not the units, even where there are as many
    inputs = nc.open(path, series="output")
    assert inputs["fdgo"]["unit"].values[0] == "output_000"
    np.testing.assert_allclose(
        inputs["fdgo"]["rate"],
        activity["fdgo"]["output"].transpose("trial", "time", ...),
        rtol=1e-6,
    )


def test_poisson_spikes_of_ours_are_units_like_any_others(tmp_path):
    activity, path = network_file(tmp_path / "net.nwb", spikes=nc.io.PoissonSpikes(gain=20, seed=0))
    rates = nc.open(path, bin=0.1)
    spikes = nc.open(path, series="units", bin=0.1)
    for leaf, block in nc.blocks(spikes).items():
        assert block["rate"].attrs["units"] == "spikes/s"
        assert block.attrs["deterministic"] == 0
        assert block.attrs["source"] == "model"
        np.testing.assert_array_equal(block["unit"], activity[leaf]["unit"])
        expected = 20 * rates[leaf]["rate"].values.astype(float)
        n_spikes = block["rate"].values.sum() * 0.1
        assert n_spikes == pytest.approx(
            expected.sum() * 0.1, abs=5 * np.sqrt(expected.sum() * 0.1)
        )
    with h5py.File(path) as file:
        stops = file["units/spike_times_index"][()]
        first = file["units/spike_times"][: stops[0]]
    start = spikes["contextdm1"]["start_time"].values
    width = spikes["contextdm1"]["time"].attrs["bin_width_s"]
    edges = start[:, None] + np.arange(spikes["contextdm1"].sizes["time"] + 1) * width
    counts = np.diff(np.searchsorted(first, edges), axis=1)
    np.testing.assert_allclose(spikes["contextdm1"]["rate"][:, :, 0], counts / width, rtol=1e-5)


def test_rates_of_units_with_their_own_trials_are_not_read_anew(tmp_path):
    block = example_block()
    ragged = nc.make_block(
        block["rate"].values[:, :, 0],
        time_s=block["time"].values,
        bin_width_s=0.1,
        aligned_to="go",
        trials={"task": ["go"] * 8},
        units={"unit": ["a", "b"]},
        observation_unit=[0, 1] * 4,
        condition_variables={"go": []},
        source="model",
        name="ragged",
    )
    path = nc.write_nwb(ragged, tmp_path / "a.nwb")
    with pytest.raises(nc.InputError, match=r"units with trials of their own.*nwbcompare\.rebin"):
        nc.open(path, bin=0.2)


def counts_file(path, *, name="cells", seed=0, start=0.0, **options):
    """Whole counts in bins that fill the trials to their ends."""
    rng = np.random.default_rng(seed)
    block = nc.make_block(
        rng.poisson(3, (8, 10, 2)) / 0.05,
        time_s=start + (np.arange(10) + 0.5) * 0.05,
        bin_width_s=0.05,
        aligned_to="dots onset",
        trials={"task": ["go"] * 8, "direction": np.arange(8) % 4 * 1.0, "hit": np.arange(8) > 3},
        units={"unit": [f"{name}{k}" for k in range(2)]},
        epochs={"stim1": (0.1, 0.3)},
        condition_variables={"go": ["direction"]},
        source="recording",
        name=name,
        provenance={"dataset": "made", "files": {"count": 1, "sha256": name}},
    )
    metadata = RECORDED | {"NWBFile": RECORDED["NWBFile"] | {"session_id": name}}
    with quiet():
        nc.write_nwb(block, path, spikes="counts", metadata=metadata, **options)
    return block, path


def test_counts_of_ours_smoothed_take_nothing_from_the_trial_before(tmp_path):
    block, path = counts_file(tmp_path / "a.nwb")
    np.testing.assert_array_equal(lone_block(path)["rate"], block["rate"])
    smooth = lone_block(path, smooth=0.04)
    np.testing.assert_allclose(smooth["rate"], nc.smooth(block, 0.04)["rate"], rtol=1e-6)
    assert smooth["hit"].dtype == bool
    assert smooth["time"].attrs["aligned_to"] == "dots onset"


@pytest.mark.parametrize("spikes", [None, "counts"])
def test_columns_that_a_trials_table_has_taken_come_back_from_reading_anew(tmp_path, spikes):
    source = lone_block(spiking(tmp_path / "a.nwb"), window=(0, 0.8), bin=0.1)
    # clocks that overlap: the trials are laid end to end
    started = np.array([5, 5, 5, 6, 6, 6], dtype="i2")
    block = source.assign_coords(start_time=("trial", started, {"long_name": "day"}))
    with quiet():
        path = nc.write_nwb(block, tmp_path / "b.nwb", spikes=spikes, metadata=RECORDED)
    anew = lone_block(path, bin=0.2)
    assert anew["start_time"].values.tolist() == started.tolist()
    assert anew["start_time"].dtype == np.int16
    assert anew["start_time"].attrs["long_name"] == "day"
    np.testing.assert_allclose(anew["rate"], nc.rebin(block, 0.2)["rate"], rtol=1e-5)


def test_epochs_of_ours_move_with_the_event(tmp_path):
    _, path = counts_file(tmp_path / "a.nwb", start=0.1)
    at_event = lone_block(path)
    np.testing.assert_allclose(at_event["epoch_start_time"], 0.1)
    at_stop = lone_block(path, align="stop_time", window=(-0.5, 0.0))
    np.testing.assert_allclose(at_stop["epoch_start_time"], 0.1 - 0.6)
    assert at_stop["time"].attrs["aligned_to"] == "stop_time"


def test_converted_sessions_are_joined_with_what_they_say_of_themselves(tmp_path):
    paths = [counts_file(tmp_path / f"{n}.nwb", name=n, seed=k)[1] for k, n in enumerate("ab")]
    block = lone_block(paths)
    provenance = json.loads(block.attrs["provenance"])
    files = {"count": 1, "sha256": ["a", "b"]}
    assert provenance == {"dataset": "made", "files": files, "smooth_s": 0.0}
    assert block["unit"].values.tolist() == ["a0", "a1", "b0", "b1"]
    assert json.loads(block.attrs["condition_variables"]) == {"go": ["direction"]}
    other = counts_file(tmp_path / "c.nwb", name="c", start=0.2)[1]
    with pytest.raises(nc.InputError, match=r"c\.nwb: expected the reading of a\.nwb"):
        nc.open([paths[0], other])
    # a window that is asked for needs not be agreed on
    assert lone_block([paths[0], other], window=(0.2, 0.4)).sizes["unit"] == 4


def test_blocks_of_one_name_in_several_files_are_told_apart_or_refused(tmp_path):
    paths = []
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        task = (
            example_block()
            .assign_coords(task=("trial", [name] * 8))
            .assign_attrs(condition_variables=json.dumps({name: ["direction"]}))
        )
        paths.append(nc.write_nwb(task, tmp_path / name / "a.nwb"))
    assert list(nc.open(paths).children) == ["example", "a-example"]
    (tmp_path / "z").mkdir()
    paths.append(shutil.copyfile(paths[0], tmp_path / "z" / "a.nwb"))
    with pytest.raises(nc.InputError, match="expected blocks of other names, got 'example' again"):
        nc.open(paths)


def test_a_trials_table_that_was_cut_is_refused_also_when_read_anew(tmp_path):
    path = nc.write_nwb(shifted(), tmp_path / "a.nwb")

    def cut(file):
        trials = file["intervals/trials"]
        for name in trials:
            values = trials[name][:9]
            attrs = dict(trials[name].attrs)
            del trials[name]
            trials[name] = values
            trials[name].attrs.update(attrs)

    with pytest.raises(nc.InputError, match=r"expected 11 rows, got 9"):
        nc.open(change(path, cut), bin=0.2)


def test_a_description_with_words_of_its_own_is_refused(tmp_path):
    _, path = counts_file(tmp_path / "a.nwb")

    def edit(file):
        schema = json.loads(file[f"scratch/{SCHEMA}"].asstr()[()])
        schema["leaves"][0]["reading"]["evil"] = 1
        del file[f"scratch/{SCHEMA}"]
        file[f"scratch/{SCHEMA}"] = json.dumps(schema)

    with pytest.raises(nc.InputError, match=r"a\.nwb: .*cannot be read .*evil"):
        nc.open(change(path, edit))


# --- what is refused -------------------------------------------------------------------------


def replace_data(name, values):
    def edit(file):
        attrs = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        file[name] = values
        file[name].attrs.update(attrs)

    return edit


def remove(*names):
    return lambda file: [file.__delitem__(name) for name in names]


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (remove("intervals"), "expected a trials table (/intervals/trials), or one other table"),
        (remove("intervals/trials/stop_time"), "expected a column of times (s), got none"),
        (
            replace_data("intervals/trials/start_time", ["a"] * 6),
            "trials/start_time: expected a column of times (s), got text",
        ),
        (
            replace_data("intervals/trials/task", ["go"] * 5),
            "trials/task: expected 6 values, one for each row, got 5",
        ),
        (
            remove("intervals/trials/id", "intervals/trials/start_time"),
            "expected a table with a column 'id', got none",
        ),
        (remove("units/spike_times_index"), "expected spike_times with its index"),
        (
            replace_data("units/spike_times_index", np.array([60, 180])),
            "expected spike times of 3 units, got ",
        ),
        (
            replace_data("units/spike_times_index", np.array([60, 20, 180])),
            "expected ascending whole numbers up to 180",
        ),
        (
            replace_data("units/spike_times_index", np.array([60, 120, 999])),
            "expected ascending whole numbers up to 180",
        ),
        (
            replace_data("units/spike_times_index", np.array([60.0, 120.0, 180.0])),
            "expected ascending whole numbers up to 180",
        ),
        (
            replace_data("units/obs_intervals", np.zeros((3, 3))),
            "obs_intervals: expected (interval, 2) for 3 units, got (3, 3) for 3",
        ),
        (
            replace_data("intervals/trials/colour", np.array([0, 1, 2, 0, 0, 0])),
            "colour: expected indices from 0 to 1 of its elements, got 0 to 2",
        ),
        (
            replace_data("intervals/trials/colour", np.zeros(6)),
            "colour: expected whole numbers, indices of its elements, got float64",
        ),
    ],
)
def test_damaged_tables_are_refused_by_name(tmp_path, edit, match):
    import re

    nwb = add_trials(new_file())
    with quiet():
        nwb.trials.add_column("colour", "shown", enum=["red", "green"], data=[0, 1] * 3)
    add_units(nwb, trains(), obs_intervals=[[[0.0, 9.0]]] * 3)
    path = change(written(nwb, tmp_path / "a.nwb"), edit)
    with pytest.raises(nc.InputError, match=re.escape(match)) as caught:
        nc.open(path)
    assert "a.nwb" in str(caught.value)


def test_a_file_without_units_or_series_is_refused(tmp_path):
    path = written(add_trials(new_file()), tmp_path / "a.nwb")
    with pytest.raises(nc.InputError, match=r"series: .* got none\. There is nothing to bin here"):
        nc.open(path)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda d: d["starting_time"].attrs.__setitem__("rate", 0.0), "sampling rate above 0 Hz"),
        (lambda d: d["starting_time"].attrs.__delitem__("rate"), "sampling rate above 0 Hz"),
        (lambda d: d["starting_time"].__setitem__((), np.nan), r"expected a time \(s\), got nan"),
        (
            lambda d: d["electrodes"].__setitem__(0, 7),
            r"electrodes: expected rows from 0 to 2 of .*electrodes, got others",
        ),
    ],
)
def test_damaged_series_are_refused_by_name(tmp_path, edit, match):
    path = lfp(tmp_path / "a.nwb", np.zeros((800, 3)))
    change(path, lambda file: edit(file["processing/ecephys/LFP/lfp"]))
    with pytest.raises(nc.InputError, match=match):
        nc.open(path)


@pytest.mark.parametrize(
    ("stamps", "match"),
    [
        (np.arange(239) / 30, "expected 240 times, one for each sample, got "),
        (np.zeros(240), "expected ascending times of at least two samples"),
        (np.full(240, np.nan), "expected ascending times of at least two samples"),
    ],
)
def test_damaged_times_are_refused_by_name(tmp_path, stamps, match):
    path = fluorescence(tmp_path / "a.nwb", np.arange(240) / 30, np.zeros((240, 2)))
    change(path, replace_data("processing/ophys/DfOverF/dff/timestamps", stamps))
    with pytest.raises(nc.InputError, match=match):
        nc.open(path)


def test_times_out_of_order_are_refused_where_they_are_looked_at(tmp_path):
    stamps = np.arange(240) / 30
    stamps[100] = 0.5
    path = fluorescence(tmp_path / "a.nwb", stamps, np.zeros((240, 2)))
    with pytest.raises(nc.InputError, match="expected ascending times, got others. Sort the sam"):
        nc.open(path)


def test_options_that_cannot_be_are_refused_before_the_file_is_blamed(tmp_path):
    path = spiking(tmp_path / "a.nwb")
    for options in ({"bin": np.nan}, {"smooth": np.nan}, {"window": (np.nan, 1)}, {"bin": 0}):
        with pytest.raises(nc.InputError, match=f"^{next(iter(options))}: expected"):
            nc.open(path, **options)
    with pytest.raises(nc.InputError, match=r"task: expected one of .*got 'taks'.*'task'"):
        nc.open(path, task="taks")
    assert lone_block(path, window=[0, 0.5]).sizes["time"] == 10


# --- the xarray engine -----------------------------------------------------------------------


def test_xarray_finds_the_engine_and_it_knows_its_files(tmp_path):
    engine = xr.backends.list_engines()["nwbcompare"]
    assert engine.guess_can_open("a.nwb")
    assert engine.guess_can_open(Path("a.nwb"))
    assert not engine.guess_can_open("a.nc")
    assert not engine.guess_can_open(3)


@pytest.mark.filterwarnings("ignore:.*one condition only")
def test_xarray_opens_what_nwbcompare_opens(tmp_path):
    path = spiking(tmp_path / "a.nwb", cue_time=np.arange(6) + 1.25)
    options = {"align": "cue_time", "window": (-0.2, 0.4), "bin": 0.1, "smooth": 0.05}
    expected = lone_block(path, **options)
    with xr.open_dataset(path, engine="nwbcompare", **options) as block:
        xr.testing.assert_identical(block.load(), expected)
        nc.check_activity(block)
    with xr.open_datatree(path, engine="nwbcompare", **options) as tree:
        xr.testing.assert_identical(tree["day1"].to_dataset(), expected)
        xr.testing.assert_identical(
            nc.task_variance(tree), nc.task_variance(nc.open(path, **options))
        )


def test_blocks_are_chosen_by_group(tmp_path):
    path = nc.write_nwb(shifted(), tmp_path / "a.nwb")
    for group in ("stop", "/stop", "stop/"):
        with xr.open_dataset(path, engine="nwbcompare", group=group) as block:
            assert block.identical(nc.open(path)["stop"].to_dataset())
    for group in (None, "nothing", "/"):
        with pytest.raises(nc.InputError, match=r"group: expected one of go, stop.*open_datatree"):
            xr.open_dataset(path, engine="nwbcompare", group=group)
    groups = xr.open_groups(path, engine="nwbcompare")
    assert sorted(groups) == ["/go", "/stop"]


def test_variables_can_be_dropped(tmp_path):
    path = nc.write_nwb(shifted(), tmp_path / "a.nwb")
    dropped = xr.open_dataset(path, engine="nwbcompare", group="go", drop_variables="correct")
    assert "correct" not in dropped.variables
    tree = xr.open_datatree(path, engine="nwbcompare", drop_variables=["correct", "rate"])
    assert not {"correct", "rate"} & set(tree["go"].variables)
    assert "rate" not in tree["stop"].variables


@pytest.mark.filterwarnings("ignore:.*one condition only")
@pytest.mark.parametrize("chunks", [{}, {"trial": 2}, "auto", {"trial": 3, "unit": 1}])
def test_dask_chunks_rates_and_leaves_the_tables_in_memory(tmp_path, chunks):
    path = spiking(tmp_path / "a.nwb", task=["stop", "go"] * 3)
    block = xr.open_dataset(path, engine="nwbcompare", chunks=chunks, window=(0, 0.8))
    assert block["rate"].chunks is not None
    assert all(column.chunks is None for column in block.coords.values())
    by_task = block["rate"].groupby("task").mean()
    assert by_task.chunks is not None
    expected = lone_block(path, window=(0, 0.8))
    np.testing.assert_allclose(by_task, expected["rate"].groupby("task").mean(), rtol=1e-6)
    np.testing.assert_array_equal(block["rate"], expected["rate"])
    if "trial" in chunks:
        assert block["rate"].chunksizes["trial"][0] == chunks["trial"]
    tree = xr.open_datatree(path, engine="nwbcompare", chunks=chunks, window=(0, 0.8))
    np.testing.assert_array_equal(tree["day1"]["rate"], expected["rate"])
    np.testing.assert_allclose(
        nc.task_variance(block)["task_variance"], nc.task_variance(expected)["task_variance"]
    )


def test_large_rates_are_cut_into_chunks_of_whole_trials(tmp_path, monkeypatch):
    path = spiking(tmp_path / "a.nwb")
    whole = xr.open_dataset(path, engine="nwbcompare", chunks={})
    assert whole["rate"].chunksizes["trial"] == (6,)
    monkeypatch.setattr("nwbcompare.io.nwb.backend.CHUNK_BYTES", 2 * 16 * 3 * 4)
    cut = xr.open_dataset(path, engine="nwbcompare", chunks={})
    assert cut["rate"].chunksizes == {"trial": (2, 2, 2), "time": (16,), "unit": (3,)}
    np.testing.assert_array_equal(cut["rate"], whole["rate"])


def test_chunks_of_many_trials_read_each_spike_about_once(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "STRIDE", 8)
    nwb = add_trials(new_file(), 20)
    path = written(add_units(nwb, [np.arange(0, 22, 0.005)]), tmp_path / "a.nwb")
    reads = []
    monkeypatch.setattr(
        SpikeTimes,
        "_read",
        lambda self, unit, a, b, old=SpikeTimes._read: reads.append(b - a) or old(self, unit, a, b),
    )
    block = xr.open_dataset(path, engine="nwbcompare", chunks={"trial": 1}, window=(0, 0.8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate = block["rate"].compute(scheduler="synchronous")
    assert sum(reads) < 2.2 * 4400
    np.testing.assert_array_equal(rate, lone_block(path, window=(0, 0.8))["rate"])


@given(data=st.data())
def test_some_of_a_units_spikes_are_those_of_all(tmp_path_factory, data):
    stride = foreign.STRIDE
    times = np.sort(data.draw(st.lists(st.integers(0, 40), max_size=60).map(np.array)) * 0.25)
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    with h5py.File(path, "w") as file:
        file["times"] = np.concatenate([[99.0, 98.0], times, [1.0]])
    train = SpikeTimes(path, "times", np.array([2, 2 + times.size, 3 + times.size]))
    foreign.STRIDE = 4
    try:
        np.testing.assert_array_equal(train(1), times)
        first, last = sorted(data.draw(st.tuples(st.floats(-1, 11), st.floats(-1, 11))))
        some = train.between(1, first, last)
        inside = (times >= first) & (times <= last)
        np.testing.assert_array_equal(some[(some >= first) & (some <= last)], times[inside])
        assert set(some) <= set(times)
    finally:
        foreign.STRIDE = stride


def test_lazy_rates_go_to_other_processes(tmp_path):
    spikes = lone_block(spiking(tmp_path / "a.nwb"), window=(0, 0.8))
    frames = fluorescence(tmp_path / "b.nwb", np.arange(240) / 30, np.ones((240, 2)))
    for block in (spikes, lone_block(frames, window=(0, 0.8))):
        sent = pickle.loads(pickle.dumps(block))
        np.testing.assert_array_equal(sent["rate"], block["rate"])


WITHOUT_DASK = """
import sys
sys.modules["dask"] = sys.modules["dask.array"] = None
import xarray as xr
block = xr.open_dataset(sys.argv[1], engine="nwbcompare", window=(0, 0.8))
assert block["rate"].groupby("task").mean().sizes["task"] == 1
try:
    xr.open_dataset(sys.argv[1], engine="nwbcompare", chunks={})
except ImportError as error:
    print("dask" in str(error))
assert "torch" not in sys.modules
assert "pynwb" not in sys.modules
"""


def test_dask_and_pynwb_are_not_needed_to_read(tmp_path):
    path = spiking(tmp_path / "a.nwb")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DASK, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


# --- only what is asked for is read ----------------------------------------------------------


def bytes_read():
    """Bytes that this process has asked the system for."""
    if not Path("/proc/self/io").is_file():
        pytest.skip("/proc/self/io not found: it is Linux's")
    return int(Path("/proc/self/io").read_text().split()[1])


def large_file(path, *, n_spikes=20_000, n_units=100, n_channels=64):
    """About 30 MB: spikes of many units, and a series of many channels."""
    rng = np.random.default_rng(0)
    nwb = add_trials(new_file(), 50)
    for _ in range(n_units):
        nwb.add_unit(spike_times=np.sort(rng.uniform(0, 52, n_spikes)))
    data = H5DataIO(rng.random((52_000, n_channels), dtype=np.float32), chunks=(1000, 4))
    nwb.add_acquisition(TimeSeries(name="lfp", data=data, unit="V", rate=1000.0))
    stamps = np.arange(500_000) / 9000
    nwb.add_acquisition(TimeSeries(name="eye", data=np.zeros(500_000), unit="V", timestamps=stamps))
    return written(nwb, path)


def test_only_what_is_asked_for_is_read(tmp_path):
    path = large_file(tmp_path / "a.nwb")
    size = path.stat().st_size
    assert size > 30e6

    def share(look):
        before = bytes_read()
        look()
        return (bytes_read() - before) / size

    opened = {}
    assert share(lambda: opened.update(spikes=lone_block(path, window=(0, 0.8)))) < 0.02
    assert share(lambda: opened["spikes"]["rate"].isel(unit=3, trial=5).load()) < 0.02
    assert share(lambda: opened["spikes"]["rate"].isel(unit=slice(10, 20)).load()) < 0.1
    # once a unit was looked at, a trial needs its own spikes only
    assert share(lambda: opened["spikes"]["rate"].isel(unit=3, trial=6).load()) < 0.005
    assert share(lambda: opened.update(lfp=lone_block(path, series="lfp", window=(0, 0.8)))) < 0.02
    assert share(lambda: opened["lfp"]["rate"].isel(unit=3, trial=5).load()) < 0.02
    assert share(lambda: opened["lfp"]["rate"].isel(trial=5).load()) < 0.05
    assert share(lambda: opened.update(eye=lone_block(path, series="eye", window=(0, 0.8)))) < 0.03
    assert share(lambda: opened["eye"]["rate"].isel(trial=5).load()) < 0.1
    assert share(opened["spikes"]["rate"].load) > 0.4
