"""However an export is interrupted, a file under the final name is a whole one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal

import numpy as np
import pytest
from nwb_exporting import block, exporter

import nwbcompare as nc
from nwbcompare.core.files import _prefix, written_aside

N_KILLS = int(os.environ.get("NWBCOMPARE_KILLS", "16"))


@pytest.fixture(scope="module")
def exports():
    with exporter() as server:
        yield server


@pytest.fixture(scope="module")
def whole(exports, tmp_path_factory):
    """A file that was exported in peace, and how long that took (s)."""
    path = tmp_path_factory.mktemp("whole") / "net.nwb"
    exports.export(path, 0)
    ended = exports.export(path, 0, overwrite=True)
    assert ended.status == 0
    return path, ended.seconds


def is_block(path, seed):
    return nc.open(path)["net"].to_dataset().identical(block(seed))


def hidden(folder):
    return [item for item in folder.iterdir() if item.name.startswith(".")]


def instants(whole, n):
    """Spread instants (s) over an export, from its start to just before its end."""
    return (np.arange(n) + 0.5) / n * whole[1]


def test_a_killed_export_leaves_nothing_under_the_final_name(exports, whole, tmp_path):
    path = tmp_path / "net.nwb"
    interrupted = 0
    for after_s in instants(whole, N_KILLS):
        exports.export(path, 0, signal=signal.SIGKILL, after_s=after_s)
        interrupted += not path.exists()
        if path.exists():
            assert is_block(path, 0)
            path.unlink()
        # what one killed export left, the next removed
        assert len(hidden(tmp_path)) <= 1
    assert interrupted > N_KILLS / 2
    assert exports.export(path, 0).status == 0
    assert {item.name for item in tmp_path.iterdir()} == {"net.nwb", "net.py"}


def test_a_killed_export_leaves_the_earlier_file_or_the_new_one(exports, whole, tmp_path):
    path = tmp_path / "net.nwb"
    shutil.copyfile(whole[0], path)
    seed, earlier = 1, 0
    for after_s in instants(whole, N_KILLS // 2):
        before = path.read_bytes()
        exports.export(path, seed, overwrite=True, signal=signal.SIGKILL, after_s=after_s)
        if path.read_bytes() == before:
            earlier += 1
        else:
            assert is_block(path, seed)
            seed += 1
    assert earlier > N_KILLS / 4
    assert is_block(path, seed - 1)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_folder_behind(exports, whole, tmp_path, sent):
    path = tmp_path / "net.nwb"
    statuses = set()
    for after_s in instants(whole, 5):
        ended = exports.export(path, 0, signal=sent, after_s=after_s)
        statuses.add(ended.status)
        assert hidden(tmp_path) == []
        if path.exists():
            assert is_block(path, 0)
            path.unlink()
    assert 128 + sent in statuses


def test_what_a_killed_export_left_is_no_file_of_a_folder(exports, whole, tmp_path):
    exports.export(tmp_path / "late.nwb", 0, signal=signal.SIGKILL, after_s=0.7 * whole[1])
    assert len(hidden(tmp_path)) == 1
    shutil.copyfile(whole[0], tmp_path / "net.nwb")
    assert list(nc.open(tmp_path).children) == ["net"]


def test_only_what_nobody_writes_any_more_is_removed(tmp_path):
    path = tmp_path / "x.csv"
    prefix = _prefix(path)
    abandoned, alive, holds_the_earlier, of_another_path = (
        tmp_path / name
        for name in (f"{prefix}a", f"{prefix}b", f"{prefix}c", _prefix(tmp_path / "y.csv") + "d")
    )
    for folder in (abandoned, alive, holds_the_earlier, of_another_path):
        folder.mkdir()
        (folder / "x.csv").write_text("half")
    (holds_the_earlier / "replaced").mkdir()
    writer = os.open(alive, os.O_RDONLY)
    fcntl.flock(writer, fcntl.LOCK_EX)
    with written_aside(path) as aside:
        aside.write_text("whole")
    os.close(writer)
    assert path.read_text() == "whole"
    assert set(tmp_path.iterdir()) == {path, alive, holds_the_earlier, of_another_path}


def test_two_writers_at_once_do_not_remove_each_others_work(tmp_path):
    path = tmp_path / "x.csv"
    with written_aside(path, overwrite=True) as first:
        first.write_text("first")
        with written_aside(path, overwrite=True) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_came_up_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(nc.InputError, match="an existing file"), written_aside(path) as aside:
        aside.write_text("mine")
        path.write_text("another's")
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


def test_the_program_s_own_handling_of_signals_is_as_before(tmp_path):
    with written_aside(tmp_path / "x") as aside:
        inside = signal.getsignal(signal.SIGTERM)
        aside.touch()
    assert inside is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with written_aside(tmp_path / "y") as aside:
            inside = signal.getsignal(signal.SIGTERM)
            aside.touch()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert inside is signal.SIG_IGN
