"""Damaged and hostile MATLAB files: every loader refuses them through the one guarded reader."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from mante2013_archive import unit_record
from scipy.io import savemat

import nwbcompare as nc
from nwbcompare.datasets import mante2013, wang2024

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")


def write_mante2013(folder: Path) -> Path:
    path = folder / "ar090313_1_a1_Vstim_100_850_ms.mat"
    savemat(path, {"unit": unit_record(np.random.default_rng(0), n_trials=4)})
    return path


def write_wang2024(folder: Path) -> Path:
    path = folder / wang2024.FILES["element"]
    cell = np.empty((1, 4), dtype=object)
    for saccade in range(4):
        cell[0, saccade] = np.zeros((2, 701), "u1")
    fields = {f"RawData_{s}_{t}": cell for s in wang2024.SEQUENCES for t in "MV"}
    savemat(path, {"data_structure": {"neurons": {"NeuronNum": "m3c1"} | fields}})
    return path


ARCHIVES = {
    "mante2013": (write_mante2013, mante2013.load, "unit", "response"),
    "wang2024": (write_wang2024, wang2024.load, "data_structure", "neurons"),
}


@pytest.fixture(params=ARCHIVES)
def archive(request, tmp_path):
    write, load, variable, field = ARCHIVES[request.param]
    path = write(tmp_path)
    load(tmp_path)
    return path, load, variable, field


def packed(content: bytes) -> bytes:
    element = zlib.compress(content)
    return HEADER + struct.pack("<II", 15, len(element)) + element


def beyond_its_holder(content: bytes) -> bytes:
    """Return a file in which an inner element declares 117 x 2^24 bytes: scipy's reader crashes."""
    return content[:141] + bytes([117]) + content[142:]


def numbers_missing(content: bytes) -> bytes:
    """Return a file in which the largest array of bytes says that it has other numbers."""
    place = max(
        (struct.unpack_from("<I", content, at + 4)[0], at)
        for at in range(128, len(content) - 8, 8)
        if struct.unpack_from("<I", content, at)[0] == 2
        and struct.unpack_from("<I", content, at + 4)[0] < len(content)
    )[1]
    return content[:place] + struct.pack("<I", 9) + content[place + 4 :]


def truncated_stream(content: bytes) -> bytes:
    element = zlib.compress(content[128:])[:-20]
    return HEADER + struct.pack("<II", 15, len(element)) + element


def changed_checksum(content: bytes) -> bytes:
    whole = packed(content[128:])
    return whole[:-1] + bytes([whole[-1] ^ 1])


def bomb(content: bytes) -> bytes:
    """Return a compressed variable that goes on for 32 MB after its declared end."""
    return packed(content[128:] + bytes(2**25))


def declared_4_gb(content: bytes) -> bytes:
    return packed(struct.pack("<II", 14, 2**32 - 8) + content[136:])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (beyond_its_holder, "an element reaches beyond what holds it|an array has no flags"),
        (numbers_missing, "numbers are missing"),
        (truncated_stream, "an element reaches beyond what holds it"),
        (changed_checksum, "a checksum is wrong"),
        (bomb, "a variable unpacks to more than it declares"),
        (declared_4_gb, r"a variable declares 4,294,967,288 bytes"),
        (lambda content: content[: len(content) // 2], "an element reaches beyond what holds it"),
        (lambda content: HEADER + content[136:], "an element is not an array"),
        (lambda _: b"", "cannot be read"),
    ],
)
def test_damaged_files_are_refused_before_scipy_reads_them(archive, monkeypatch, damage, reason):
    path, load, *_ = archive
    path.write_bytes(damage(path.read_bytes()))

    def unreached(*_, **__):
        raise AssertionError("scipy's reader was called")

    if path.stat().st_size:
        monkeypatch.setattr("scipy.io.loadmat", unreached)
    with pytest.raises(nc.InputError, match=rf"{path.name}: expected a MATLAB file.*({reason})"):
        load(path.parent)


def test_random_damage_ends_in_an_error_that_names_the_file_or_in_values(archive):
    path, load, *_ = archive
    whole = path.read_bytes()
    messages = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        # elements' types and sizes lie at the start of the file and of each field
        for place in rng.integers(128, 1500, 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged if seed % 2 else packed(bytes(damaged[128:])))
        try:
            load(path.parent)
        except nc.InputError as error:
            messages.append(str(error))
    assert messages
    assert all(path.name in message for message in messages)


def external_link(group: h5py.Group, name: str, secret: Path) -> None:
    group[name] = h5py.ExternalLink(str(secret), "/values")


def external_storage(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, shape=(751, 4), dtype="u1", external=[(str(secret), 0, 3004)])


def virtual_dataset(group: h5py.Group, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((751, 4), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "values", shape=(751, 4))
    group.create_virtual_dataset(name, layout)


def unstored_data(group: h5py.Group, name: str, _: Path) -> None:
    group.create_dataset(name, shape=(751, 2**40), dtype="u1", chunks=(1, 100))


@pytest.mark.parametrize(
    ("hide", "reason"),
    [
        (external_link, "expected links to files in the same folder"),
        (external_storage, "expected data in this file"),
        (virtual_dataset, "expected links to files in the same folder"),
        (unstored_data, "expected no more data than the file can hold"),
    ],
)
def test_files_of_version_7_3_are_read_within_their_folder_and_size(
    archive, hide, reason, tmp_path
):
    path, load, variable, field = archive
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    secret = elsewhere / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["values"] = np.ones((751, 4), "u1")
    with h5py.File(path, "w", userblock_size=512) as file:
        hide(file.create_group(variable), field, secret)
    with pytest.raises(nc.InputError, match=rf"{path.name}: .*{reason}"):
        load(path.parent)
