"""Epochs from every way of reading: the same session has the same epochs."""

from __future__ import annotations

import numpy as np
import pytest
from lab_sessions import BIN_S, WAYS, WINDOW, lab_session, write_nwb_file

import nwbcompare as nc
from nwbcompare.core.activity import epoch_names
from nwbcompare.testing import assert_same_activity
from nwbcompare.workflows.sources import resolve

READING = {"align": "cue_on", "window": WINDOW, "bin": BIN_S, "conditions": ["side"]}
EPOCHS = {"stim": (0.0, 0.2), "delay": ("cue_off", "go")}


def only_block(activity):
    return next(iter(nc.blocks(activity).values()))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_takes_epochs(way, tmp_path):
    session = lab_session()
    block = only_block(WAYS[way](session, tmp_path, **READING, epochs=EPOCHS))
    nc.check_activity(block)
    assert epoch_names(block) == ["stim", "delay"]
    trials = session.trials
    np.testing.assert_array_equal(block["epoch_start_time"].values[:, 0], 0.0)
    np.testing.assert_array_equal(block["epoch_stop_time"].values[:, 0], 0.2)
    for name, column in {"start": "cue_off", "stop": "go"}.items():
        expected = trials[column] - trials["cue_on"]
        np.testing.assert_allclose(block[f"epoch_{name}_time"].values[:, 1], expected, atol=1e-9)
    # the delay starts at the edge of a bin, and is cut to the shortest
    aligned = nc.align(block, "delay")
    assert aligned.sizes["time"] == 4


@pytest.mark.parametrize("way", WAYS)
def test_epochs_are_checked_in_every_way_of_reading(way, tmp_path):
    for epochs, words in {
        (0.1, 2.0): r"times in the window, -0.2 to 1 s.*Widen window",
        ("cue_of", "go"): "Did you mean 'cue_off'",
    }.items():
        with pytest.raises(nc.InputError, match=words):
            WAYS[way](lab_session(), tmp_path, **READING, epochs={"delay": epochs})


@pytest.mark.parametrize("way", WAYS)
def test_without_epochs_every_way_of_reading_has_the_window(way, tmp_path):
    block = only_block(WAYS[way](lab_session(), tmp_path, **READING))
    assert epoch_names(block) == ["window"]
    assert nc.task_variance(block, epochs=["window"]).equals(nc.task_variance(block))


def test_epochs_on_the_command_line_are_those_of_python(tmp_path):
    path = write_nwb_file(lab_session(), tmp_path)
    source = (
        f"{path}?align=cue_on&window=-0.2,1&bin=0.1&conditions=side"
        "&epoch.stim=0,0.2&epoch.delay=cue_off,go"
    )
    assert_same_activity(resolve(source), nc.open(path, **READING, epochs=EPOCHS))
    for text, words in {
        "epoch.stim=0.1": "a start and a stop",
        "epoch=0.1,0.2": "Did you mean 'epoch.NAME'",
        "epoch.stim=0.1,9": "Widen window",
    }.items():
        with pytest.raises(nc.InputError, match=words):
            resolve(f"{path}?align=cue_on&window=-0.2,1&{text}")


def test_epochs_can_be_added_to_a_netcdf_file_of_activity(tmp_path):
    activity = WAYS["arrays"](lab_session(), tmp_path, **READING)
    activity.load().to_netcdf(tmp_path / "lab.nc", engine="h5netcdf")
    with nc.open(tmp_path / "lab.nc", epochs=EPOCHS) as opened:
        block = only_block(opened)
        # the time axis is aligned to a column, whose clock the others are on
        np.testing.assert_allclose(
            block["epoch_stop_time"].values[:, 1],
            (block["go"] - block["cue_on"]).values,
        )
    with pytest.raises(nc.InputError, match="no options for this kind of file"):
        nc.open(tmp_path / "lab.nc", bin=0.1, epochs=EPOCHS)


def test_a_native_file_keeps_its_epochs_and_takes_further_ones(tmp_path):
    activity = WAYS["arrays"](lab_session(), tmp_path, **READING, epochs=EPOCHS)
    path = nc.write_nwb(activity, tmp_path / "native.nwb", metadata=METADATA)
    assert epoch_names(only_block(nc.open(path))) == ["stim", "delay"]
    more = only_block(nc.open(path, epochs={"late": (0.5, 1.0)}))
    assert epoch_names(more) == ["stim", "delay", "late"]


METADATA = {
    "NWBFile": {"session_start_time": "2020-01-01T00:00:00+00:00"},
    "Subject": {"species": "Macaca mulatta", "age": "P6Y", "sex": "M"},
}
