"""HDF5 and netCDF on a disk that fills up: an error that names the place, never a crash."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.core import hdf5_output
from nwbcompare.core.errors import OutputError
from nwbcompare.core.files import written_aside
from nwbcompare.core.hdf5_output import CarefulFile, write_netcdf
from nwbcompare.io.nwb import poisson_spikes as poisson
from nwbcompare.testing import example_block

STEPS = st.one_of(
    st.tuples(st.just("write"), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("seek"), st.integers(0, 60)),
    st.tuples(st.just("end"), st.integers(-3, 3)),
    st.tuples(st.just("read"), st.integers(0, 30)),
)


class Full:
    """A disk that takes a number of bytes."""

    def __init__(self, room):
        self.room = room
        self.write = os.pwrite

    def __call__(self, handle, data, place):
        if place + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.write(handle, data, place)


def do(file, steps):
    """Read what a file gives at each step."""
    read = []
    for what, value in steps:
        if what == "write":
            try:
                file.write(value)
            except OSError:
                # the caller gives up this write; the file remembers it
                file.seek(file.tell() + len(value))
        elif what == "read":
            read.append(file.read(value))
        elif what == "seek":
            file.seek(value)
        else:
            place = max(file.seek(0, os.SEEK_END) + value, 0)
            file.seek(place)
    file.seek(0)
    return [*read, file.read()]


@given(steps=st.lists(STEPS, max_size=12), room=st.integers(0, 80))
def test_a_careful_file_reads_as_a_file_in_memory_also_when_the_disk_is_full(
    tmp_path_factory, steps, room
):
    path = tmp_path_factory.mktemp("careful") / "file"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_output.os, "pwrite", Full(room))
        with CarefulFile(path, "w") as file:
            found = do(file, steps)
    assert found == do(io.BytesIO(), steps)


def test_only_the_first_failed_write_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_output.os, "pwrite", Full(10))
    with CarefulFile(tmp_path / "file", "w") as file:
        file.write(b"0123456789")
        with pytest.raises(OSError, match="No space left"):
            file.write(b"x")
        file.write(b"y" * 100)
        file.truncate(5)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_netcdf_is_what_xarray_writes(tmp_path):
    block = example_block()
    write_netcdf(block, tmp_path / "a.nc")
    with pytest.raises(nc.InputError, match="an existing file"):
        write_netcdf(block, tmp_path / "a.nc")
    write_netcdf(block, tmp_path / "a.nc", overwrite=True)
    block.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    one, two = (xr.load_dataset(tmp_path / f"{name}.nc", engine="h5netcdf") for name in "ab")
    xr.testing.assert_identical(one, two)
    with h5py.File(tmp_path / "a.nc") as file:
        assert file.attrs["_NCProperties"] is not None


def test_a_full_disk_is_named_however_deep_it_is_found(tmp_path):
    def fail():
        full = OSError(errno.ENOSPC, "No space left on device")
        raise ValueError("could not write the table") from full

    (tmp_path / "out").write_text("old")
    says = rf"{tmp_path}/out: not written: No space left .* unchanged. Free space in {tmp_path}"
    with pytest.raises(OutputError, match=says):  # noqa: SIM117
        with written_aside(tmp_path / "out", overwrite=True):
            fail()
    assert (tmp_path / "out").read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["out"]
    # the control: other errors stay what they are
    with pytest.raises(FileNotFoundError), written_aside(tmp_path / "x"):
        raise FileNotFoundError(errno.ENOENT, "none")


def test_what_is_drawn_for_spikes_lies_beside_the_output_not_where_the_process_runs(
    tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    seen = []
    made = poisson.tempfile.TemporaryDirectory

    def spy(*arguments, **options):
        seen.append(Path(options["dir"]))
        return made(*arguments, **options)

    monkeypatch.setattr(poisson.tempfile, "TemporaryDirectory", spy)
    spikes = nc.io.PoissonSpikes(gain=10, seed=0)
    nc.write_nwb(example_block(), tmp_path / "out" / "a.nwb", spikes=spikes)
    assert [folder.parent for folder in seen] == [tmp_path / "out"]
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["a.nwb"]


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ["nwbcompare", *sys.argv[2:]]
from nwbcompare.cli.main import main
main()
"""


def limited(size, *command):
    """Run the command line where no file can grow beyond a size (bytes)."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "example.nc"
    rng = np.random.default_rng(0)
    block = nc.make_block(
        rng.random((40, 30, 200), dtype=np.float32),
        time_s=np.arange(30) * 0.02,
        bin_width_s=0.02,
        aligned_to="start",
        trials={"task": ["a", "b"] * 20, "c": np.arange(40) % 4},
        units={"unit": [f"u{n}" for n in range(200)]},
        condition_variables={"a": ["c"], "b": ["c"]},
        source="model",
        deterministic=True,
        name="example",
    )
    write_netcdf(nc.make_activity({"example": block}), path)
    return path


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (("tv", "SOURCE", "--out", "OUT"), "tv.nc"),
        (("export", "SOURCE", "--out", "OUT"), "example.nwb"),
        (("train", "--tasks", "fdgo", "--units", "64", "--max-steps", "2", "--out", "OUT"), "run"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_on_a_full_disk_a_command_ends_with_an_error_and_leaves_nothing(
    tmp_path, recorded, command, out
):
    words = [{"SOURCE": recorded, "OUT": tmp_path / out}.get(word, word) for word in command]
    result = limited(5000, *words)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert f"Error: {tmp_path / out}" in result.stderr
    assert "not written: File too large" in result.stderr
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    # of training the configuration, which was small enough, and no part of a file
    assert [file.name for file in left] == (["config.json"] if out == "run" else [])
    if out != "run":
        # the control: with room enough the same command succeeds
        assert limited(10**9, *words).returncode == 0
        assert (tmp_path / out).is_file()
