"""NWB: what is written is read back bit for bit, passes the inspector, and faults are refused."""

from __future__ import annotations

import json
import warnings

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from nwb_examples import two_blocks
from pynwb import NWBHDF5IO

import nwbcompare as nc
from nwbcompare.core.schema import InvalidActivityError
from nwbcompare.io import inspect_nwb, open_nwb, write_nwb
from nwbcompare.io.nwb.format_names import SCHEMA
from nwbcompare.io.nwb.validation import _messages, refuse_faults
from nwbcompare.model import Network, NetworkConfig, record
from nwbcompare.tasks import make_trials
from nwbcompare.testing import assert_same_activity, dense_blocks, example_block


def test_the_round_trip_is_identical_and_the_inspector_silent(tmp_path):
    activity = two_blocks()
    path = write_nwb(activity, tmp_path / "two.nwb")
    assert_same_activity(activity, open_nwb(path))
    assert inspect_nwb(path) == []


def test_a_network_with_inputs_and_outputs_goes_round(tmp_path):
    network = Network(NetworkConfig(n_units=5), name="net 1/a")
    activity = nc.make_activity(
        {
            task: record(network, make_trials(task).isel(trial=slice(6)), inputs_and_outputs=True)
            for task in ("contextdm1", "contextdm2")
        }
    )
    path = write_nwb(activity, tmp_path / "net.nwb")
    opened = nc.open(path)
    assert_same_activity(activity, opened)
    xr.testing.assert_identical(nc.task_variance(opened), nc.task_variance(activity))
    assert inspect_nwb(path) == []


def _is_one_trial_with_an_empty_epoch(block):
    """Return whether all intervals of the epochs' table start at once."""
    return (
        block.sizes["trial"] == 1 and "epoch" in block.sizes and block["epoch_stop_time"][0, 0] == 0
    )


@settings(max_examples=5)
@given(dense_blocks())
def test_drawn_blocks_go_round(tmp_path_factory, block):
    assume(not _is_one_trial_with_an_empty_epoch(block))
    path = tmp_path_factory.mktemp("nwb") / "drawn.nwb"
    activity = nc.make_activity({"leaf": block})
    with warnings.catch_warnings():
        # drawn names can earn suggestions from the inspector
        warnings.simplefilter("ignore", UserWarning)
        write_nwb(activity, path)
    assert_same_activity(activity, open_nwb(path))


def test_one_trial_with_an_empty_epoch_is_refused_as_the_inspector_refuses_it(tmp_path):
    block = nc.make_block(
        np.ones((1, 4, 2)),
        time_s=np.arange(4) * 0.01 + 0.005,
        bin_width_s=0.01,
        aligned_to="trial start",
        trials={"task": ["wait"]},
        units={"unit": ["a", "b"]},
        epochs={"fix1": (0.0, 0.0), "stim1": (0.0, 0.04)},
        condition_variables={"wait": []},
        source="model",
        name="one",
    )
    assert _is_one_trial_with_an_empty_epoch(block)
    with pytest.raises(nc.InputError, match=r"start_time_not_constant.*Nothing was written"):
        write_nwb(nc.make_activity({"leaf": block}), tmp_path / "one.nwb")
    assert not list(tmp_path.iterdir())


def test_trials_times_fetch_their_rates_from_the_continuous_series(tmp_path):
    path = write_nwb(two_blocks(), tmp_path / "two.nwb")
    with NWBHDF5IO(str(path), "r") as io:
        nwb = io.read()
        series = nwb.processing["misc"]["hidden_rate"]
        times = series.starting_time + np.arange(series.data.shape[0]) / series.rate
        trial = nwb.trials[9:10].iloc[0]
        inside = (times >= trial.start_time) & (times < trial.stop_time)
        np.testing.assert_array_equal(series.data[inside], two_blocks()["stop"]["rate"][1])
        assert trial["task"] == "wait"
        epochs = nwb.intervals["task_epochs"].to_dataframe()
        first = epochs[epochs["trial"] == 8].iloc[0]
        assert first["start_time"] == pytest.approx(nwb.trials[8:9].iloc[0].start_time + 0.1)


def test_uneven_or_infinite_activity_is_refused(tmp_path):
    path = tmp_path / "x.nwb"
    with pytest.raises(nc.InputError, match="uneven ones"):
        write_nwb(example_block().isel(time=[0, 1, 3]), path)
    with pytest.raises(InvalidActivityError, match="infinite"):
        write_nwb(example_block().assign(rate=example_block()["rate"] * np.inf), path)
    coarse = nc.rebin(two_blocks()["stop"].to_dataset(), 0.2)
    with pytest.raises(nc.InputError, match="the step of the other blocks"):
        write_nwb(nc.make_activity({"go": example_block(), "stop": coarse}), path)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "x.nwb"
    path.write_text("precious")
    with pytest.raises(nc.InputError, match="overwrite=True"):
        write_nwb(example_block(), path)
    assert path.read_text() == "precious"
    write_nwb(example_block(), path, overwrite=True)
    assert open_nwb(path)["example"].to_dataset().identical(example_block())


def test_a_file_that_the_inspector_refuses_is_not_left_behind(tmp_path, monkeypatch):
    messages = ["CRITICAL: check_subject_exists: Subject is missing."]
    monkeypatch.setattr("nwbcompare.io.nwb.validation._messages", lambda _, **__: messages)
    with pytest.raises(nc.InputError, match="Subject is missing"):
        write_nwb(example_block(), tmp_path / "x.nwb")
    assert list(tmp_path.iterdir()) == []
    messages[0] = "BEST_PRACTICE_VIOLATION: check: something"
    with pytest.warns(UserWarning, match="something"):
        write_nwb(example_block(), tmp_path / "x.nwb")
    # what is merely suggested is said by `nwbcompare validate` alone
    messages[0] = "BEST_PRACTICE_SUGGESTION: check: something"
    write_nwb(example_block(), tmp_path / "y.nwb")


@pytest.mark.parametrize("name", ["session_description", "intervals/trials/start_time"])
def test_the_installed_schema_finds_the_faults_that_the_files_own_finds(tmp_path, name):
    path = write_nwb(example_block(), tmp_path / "x.nwb")
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(nc.InputError, match=f"without critical messages.*{name.split('/')[-1]}"):
        refuse_faults(path, path)
    by_installed = _messages(path, cached_schema=False)
    assert by_installed == inspect_nwb(path)


def test_what_is_no_file_of_ours_is_refused(tmp_path):
    with pytest.raises(nc.InputError, match="an NWB file, got nothing there"):
        open_nwb(tmp_path / "gone.nwb")
    with pytest.raises(nc.InputError, match="an NWB file, got a folder"):
        open_nwb(tmp_path)
    (tmp_path / "text.nwb").write_text("hello")
    with pytest.raises(nc.InputError, match="a whole NWB file"):
        open_nwb(tmp_path / "text.nwb")
    h5py.File(tmp_path / "other.nwb", "w").close()
    with pytest.raises(nc.InputError, match="HDF5 file of another kind"):
        open_nwb(tmp_path / "other.nwb")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.__delitem__("intervals/trials"), "a trials table"),
        (lambda f: f.__delitem__("processing/misc/hidden_rate"), "hidden_rate/data: expected a da"),
        (lambda f: f.__delitem__("intervals/trials/task"), "trials/task: expected a dataset"),
        (lambda f: _edit(f, lambda s: s.update(format_version=99)), "Upgrade nwbcompare"),
        (
            lambda f: _edit(f, lambda s: s["leaves"][0].update(n_rows=3)),
            "expected 3 trials, got 8",
        ),
        (lambda f: _write(f, "{"), "cannot be read"),
    ],
)
def test_changed_files_are_refused(tmp_path, change, match):
    path = write_nwb(example_block(), tmp_path / "x.nwb")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(nc.InputError, match=match):
        open_nwb(path)


def test_truncated_files_are_refused_wherever_they_end(tmp_path):
    content = write_nwb(example_block(), tmp_path / "x.nwb").read_bytes()
    for share in np.linspace(0, 0.999, 40):
        cut = tmp_path / "cut.nwb"
        cut.write_bytes(content[: int(share * len(content))])
        with pytest.raises(nc.InputError, match=r"cut.nwb"):
            open_nwb(cut)


def _write(file, text):
    del file[f"scratch/{SCHEMA}"]
    file[f"scratch/{SCHEMA}"] = text


def _edit(file, change):
    schema = json.loads(file[f"scratch/{SCHEMA}"].asstr()[()])
    change(schema)
    _write(file, json.dumps(schema))


@pytest.mark.parametrize("version", ["NWB-1.0.5", b"NWB-1.0.6"])
def test_a_file_of_version_1_is_named_with_the_way_to_version_2(tmp_path, version):
    path = tmp_path / "old.nwb"
    with h5py.File(path, "w") as file:
        file["nwb_version"] = version
        file.create_group("epochs")
    with pytest.raises(
        nc.InputError, match=r"of version 2, got one of version 'NWB-1.0.[56]'. Conv"
    ):
        nc.open(path)
