"""HDF5 files on which libhdf5 never returns are refused, and damage that nobody reads is not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

import nwbcompare as nc
from nwbcompare.core import first_reading
from nwbcompare.core.errors import InputError
from nwbcompare.io import from_mat
from nwbcompare.testing import assert_same_activity, example_block

ENDLESS = struct.pack("<Q", 2**64 - 16)
"""Size of a text with which libhdf5 looks for the next text at the place of the same one."""


def as_nwb(path: Path) -> object:
    return nc.open(path)


def as_mat(path: Path) -> object:
    return from_mat(path, {"rates": "units/location"})


@pytest.mark.parametrize(("read", "name"), [(as_nwb, "day1.nwb"), (as_mat, "day1.mat")])
def test_a_file_on_which_libhdf5_hangs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], name: str
) -> None:
    with h5py.File(tmp_path / "sound", "w") as file:
        file["units/location"] = ["PFC", "FEF"]
    content = bytearray((tmp_path / "sound").read_bytes())
    # the heap of texts has a header of 16 bytes, and 8 before the size of the first text
    start = content.index(b"GCOL") + 24
    content[start : start + 8] = ENDLESS
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(first_reading, "LEAST_S", 0.1)
    with pytest.raises(InputError, match=rf"{name}: expected a .* more than \d s to read"):
        read(tmp_path / name)


def test_damage_that_is_not_read_does_no_harm(tmp_path: Path) -> None:
    path = nc.write_nwb(example_block(), tmp_path / "day1.nwb")
    whole = nc.open(path).load()
    with h5py.File(path, "a") as file:
        file["scratch/elsewhere"] = h5py.ExternalLink("/etc/nowhere.h5", "/data")
        file["scratch/nowhere"] = h5py.SoftLink("/nothing")
        file["scratch/circle"] = file["scratch"]
        file["scratch/text"] = b"\xff\xfe"
        file.create_dataset("scratch/endless", (10**6, 10**6), "f4", chunks=(10**4, 10**4))
        file["scratch"].attrs["odd"] = b"\xff"
    assert_same_activity(whole, nc.open(path))
