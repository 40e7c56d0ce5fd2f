"""Folders of recording systems: real bytes through neo's real readers, by `open` and by command."""

from __future__ import annotations

import json
import logging
import socket
import urllib.request
from pathlib import Path

import neo.io
import numpy as np
import pytest
from click.testing import CliRunner
from vendor_folders import neuralynx, phy

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.io import open_vendor
from nwbcompare.io.neo import vendor_files
from nwbcompare.io.neo.vendor_files import folder_readers

SPIKES = {1: np.array([0.1, 0.2, 1.1, 1.15, 1.3]), 2: np.array([0.3, 1.6])}
EVENTS = [(0.0, "left"), (1.0, "right")]


@pytest.fixture
def folder(tmp_path):
    signals = [np.repeat([10, 20, 30, 40], 512), np.repeat([1, 2, 3, 4], 512)]
    return neuralynx(tmp_path / "2016-11-28_21-50-00", signals, EVENTS, SPIKES)


def test_a_folder_of_neuralynx_has_its_spikes_by_event(folder):
    trials = {"start_time": [0.0, 1.0], "stop_time": [1.0, 2.0], "task": ["a", "b"]}
    activity = nc.open(folder, trials=trials, window=(0, 1), bin=0.5)
    block = activity["2016-11-28_21-50-00"]
    expected = [
        [np.histogram(times, [start, start + 0.5, start + 1])[0] / 0.5 for times in SPIKES.values()]
        for start in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(block["rate"], np.swapaxes(expected, 1, 2))
    assert json.loads(block.attrs["provenance"])["file"]["reader"] == "NeuralynxIO"


def test_a_folder_of_neuralynx_has_its_signals(folder):
    reader = neo.io.NeuralynxIO(dirname=str(folder))
    name = reader.read_block(lazy=True).segments[0].analogsignals[0].name
    options = {"trials": "segments", "signal": name, "window": (0, 2), "bin": 0.5}
    with pytest.warns(UserWarning, match="no column names the task"):
        block = nc.open(folder, reader="NeuralynxIO", **options)[folder.name]
    assert block["rate"].values[0].tolist() == [[10, 1], [20, 2], [30, 3], [40, 4]]


def test_the_command_line_takes_what_its_message_asks_for(folder):
    def run(query):
        return CliRunner().invoke(cli, ["info", f"{folder}{query}", "--json"])

    said = str(run("").exception)
    assert "trials: expected the name of an Epoch" in said
    assert "'left'" in said
    words = (
        "trials.start=left&trials.stop=right&events.cue_time=right&reader=NeuralynxIO&task=label"
    )
    result = run(f"?{words}&window=0,1&bin=0.5&conditions=label")
    assert result.exit_code == 0, result.exception
    found = json.loads(result.output)
    assert found["name"] == folder.name
    assert run("?trials=left&window=0,1&conditions=label&task=label").exit_code == 0
    assert run("?trials=left&signal=none").exception is not None


def test_a_folder_of_a_spike_sorter_takes_trials_from_elsewhere(tmp_path):
    sorted_spikes = {3: [0.1, 0.2, 0.6, 1.2], 7: [0.3, 1.9]}
    path = phy(tmp_path / "kilosort", sorted_spikes, {3: "good", 7: "mua"})
    trials = {"start_time": [0.0, 1.0], "stop_time": [1.0, 1.8], "task": ["a", "b"]}
    for options in ({}, {"reader": "PhyIO"}):
        block = nc.open(path, trials=trials, window=(0, 0.5), bin=0.25, **options)["kilosort"]
        assert block["rate"].values.tolist() == [[[8, 0], [0, 4]], [[4, 0], [0, 0]]]
        assert block["cluster_id"].values.tolist() == [3, 7]
        assert block["group"].values.tolist() == ["good", "mua"]
    with pytest.raises(nc.InputError, match="trials: expected columns start_time and stop_time"):
        nc.open(path, trials={"start_time": [0.0]})


@pytest.mark.parametrize(
    ("files", "reader"),
    [
        (["CSC1.Ncs", "Events.nev"], "NeuralynxIO"),
        (["Block-1/a.tsq", "Block-1/a.tev"], "TdtIO"),
        (["a.mpx"], "AlphaOmegaIO"),
        (["spike_times.npy", "params.py"], "PhyIO"),
        (["Record Node 101/experiment1/recording1/structure.oebin"], "OpenEphysBinaryIO"),
        (["100_CH1.continuous"], "OpenEphysIO"),
        (["run_g0/run_g0_t0.imec0.ap.meta"], "SpikeGLXIO"),
        (["a.clu.1"], "KlustaKwikIO"),
        (["notes.txt", "a.npy", "b.csv"], None),
    ],
)
def test_folders_are_told_by_their_files_and_given_to_their_reader(tmp_path, files, reader):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x" * 100)
    assert folder_readers(tmp_path) == ([] if reader is None else [reader])
    assert reader is None or reader in {one.__name__ for one in neo.io.iolist}
    message = "a folder of other files" if reader is None else f"its readers fail .{reader}"
    with pytest.raises(nc.InputError, match=message):
        nc.open(tmp_path, trials="segments")


# messages ------------------------------------------------------------------------------------


class Failing:
    """A reader that fails as neo's do."""

    mode = "file"
    error = ValueError("no header")

    def __init__(self, _):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("Requires pyedflib"), "needs a package: pip install pyedflib"),
        (ModuleNotFoundError("No module named 'igor2'", name="igor2"), "pip install igor2"),
        (ImportError("sonpy is not installed. Install it with `pip install sonpy`."), "install sonpy"),
        (AttributeError("`np.string_` was removed in the NumPy 2.0 release."), "does not work with numpy 2"),
        (AttributeError("module 'numpy' has no attribute 'int'"), "does not work with numpy"),
        (urllib.request.URLError("Name or service not known"), "needs the network"),
        (ValueError("no header"), "It is damaged, truncated or of another kind"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_and_is_no_damage(tmp_path, monkeypatch, error, message):
    (tmp_path / "a.plx").touch()
    failing = type("PlexonIO", (Failing,), {"error": error})
    monkeypatch.setattr(vendor_files, "_candidates", lambda *_: [failing])
    with pytest.raises(nc.InputError, match=message) as raised:
        open_vendor(tmp_path / "a.plx", trials="segments")
    assert ("damaged" in str(raised.value)) == ("damaged" in message)
    assert isinstance(raised.value, ImportError) == ("install" in message)


@pytest.mark.filterwarnings("ignore")  # of neo's readers on what is no file of theirs
def test_no_file_starts_a_download(tmp_path, monkeypatch):
    """Nothing that neo reads may use the network, nor leave anything in the user's home."""

    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    for owner, name in (
        (socket.socket, "connect"),
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
        (urllib.request, "urlopen"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    path = tmp_path / "a.pl2"
    path.write_bytes(b"0" * 4096)
    with pytest.raises(nc.InputError, match="a .pl2 file. neo reads it with a Windows library"):
        nc.open(path, trials="segments")
    with pytest.raises(nc.InputError, match="a .pl2 file"):
        nc.open(path, trials="segments", reader="Plexon2IO")
    for reader in {one.__name__ for one in neo.io.iolist} - vendor_files.NOT_READERS:
        one = tmp_path / f"{reader}.bytes"
        one.write_bytes(b"0" * 4096)
        with pytest.raises(nc.InputError) as raised:
            open_vendor(one, trials="segments", reader=reader)
        assert "connection" not in str(raised.value)
    assert list(home.iterdir()) == []
