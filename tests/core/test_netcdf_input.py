"""netCDF files of others: what is outside their folder, declared but not stored, or damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.core.errors import DamagedCacheError, InputError
from nwbcompare.core.netcdf_input import SEAL_BYTES
from nwbcompare.testing import example_block
from nwbcompare.workflows import results_folder
from nwbcompare.workflows.results_folder import keep_results, read_results
from nwbcompare.workflows.section import Results

Change = Callable[[h5py.File, Path], None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "inside" / "activity.nc"
    path.parent.mkdir()
    nc.make_activity({"example": example_block()}).to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "private.h5"
    with h5py.File(path, "w") as other:
        other["rate"] = np.full((8, 5, 3), 7, "f4")
    return path


def with_scales(data: h5py.Dataset, old: h5py.Dataset) -> None:
    for axis in range(3):
        data.dims[axis].attach_scale(old.dims[axis][0])
    for name in set(old.attrs) - {"DIMENSION_LIST"}:
        data.attrs[name] = old.attrs[name]


def external_link(file: h5py.File, private: Path) -> None:
    del file["example/rate"]
    file["example/rate"] = h5py.ExternalLink(str(private), "/rate")


def external_storage(file: h5py.File, private: Path) -> None:
    file.move("example/rate", "example/old")
    external = [(str(private), 0, 480)]
    data = file["example"].create_dataset("rate", (8, 5, 3), "f4", external=external)
    with_scales(data, file["example/old"])


def virtual_dataset(file: h5py.File, private: Path) -> None:
    file.move("example/rate", "example/old")
    layout = h5py.VirtualLayout((8, 5, 3), "f4")
    layout[:] = h5py.VirtualSource(str(private), "rate", shape=(8, 5, 3))
    with_scales(file["example"].create_virtual_dataset("rate", layout), file["example/old"])


def link_to_itself(file: h5py.File, private: Path) -> None:
    del file["example/direction"]
    file["example/direction"] = h5py.SoftLink("/example/direction")


def group_within_itself(file: h5py.File, private: Path) -> None:
    file["example/more"] = file["example"]


def many_rows(file: h5py.File, private: Path) -> None:
    del file["example/direction"]
    file["example"].create_dataset("direction", (10**10,), "f4", chunks=(1000,))


def sequences(file: h5py.File, private: Path) -> None:
    del file["example/task"]
    file["example"].create_dataset("task", (8,), h5py.vlen_dtype(np.int32))


def no_units_attribute(file: h5py.File, private: Path) -> None:
    del file["example/rate"].attrs["units"]


def odd_scale_factor(file: h5py.File, private: Path) -> None:
    file["example/rate"].attrs["scale_factor"] = "two"


def odd_time_units(file: h5py.File, private: Path) -> None:
    file["example/direction"].attrs["units"] = "days since the flood"


CHANGES: list[tuple[Change, str]] = [
    (external_link, "links to files in the same folder, got one to"),
    (external_storage, "expected data in this file, got data in"),
    (virtual_dataset, "links to files in the same folder, got one to"),
    (link_to_itself, "got links in a circle"),
    (group_within_itself, "got groups in a circle"),
    (many_rows, "no more data than the file can hold, got 40,000,000,000 bytes"),
    (sequences, "expected numbers or texts"),
    (no_units_attribute, r"rate.attrs\['units'\]"),
    (odd_scale_factor, "activity.nc"),
    (odd_time_units, "activity.nc"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_hostile_or_damaged_netcdf_file_is_refused_by_name(
    file: Path, private: Path, change: Change, message: str
) -> None:
    with h5py.File(file, "r+") as whole:
        change(whole, private)
    with pytest.raises(InputError, match=message) as refusal:
        nc.open(file).load()
    assert "activity.nc" in str(refusal.value)


def test_a_sound_file_gives_the_values_that_were_written(file: Path) -> None:
    opened = nc.open(file)["example"].to_dataset()
    written = example_block()
    assert not opened["rate"].variable._in_memory
    places = [3, 0, 0, 7]
    np.testing.assert_array_equal(
        opened["rate"][places, 1:3, [0, 2]], written["rate"][places, 1:3, [0, 2]]
    )
    np.testing.assert_array_equal(opened["rate"], written["rate"])


def test_a_link_within_the_folder_is_followed(file: Path) -> None:
    beside = file.with_name("rates.h5")
    with h5py.File(beside, "w") as other:
        other["rate"] = np.full((8, 5, 3), 7, "f4")
    with h5py.File(file, "r+") as whole:
        virtual_dataset(whole, beside)
        del whole["example/old"]
    assert float(nc.open(file)["example"]["rate"].max()) == 7


def test_rates_damaged_where_they_are_packed_are_named_when_they_are_looked_at(
    tmp_path: Path,
) -> None:
    path = tmp_path / "activity.nc"
    block = example_block()
    rate = xr.Variable(block["rate"].dims, np.random.default_rng(0).random((8, 5, 3), "f4"))
    tree = nc.make_activity(
        {"example": block.assign(rate=(rate.dims, rate.values, block["rate"].attrs))}
    )
    tree.to_netcdf(path, engine="h5netcdf", encoding={"/example": {"rate": {"zlib": True}}})
    activity = nc.open(path)
    with h5py.File(path) as whole:
        chunk = whole["example/rate"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(raw)
    with pytest.raises(InputError, match="activity.nc"):
        activity["example"]["rate"].load()
    # a file opened after the damage is refused at once, since small rates are read first
    with pytest.raises(InputError, match="activity.nc"):
        nc.open(path)


def test_flipped_bits_end_in_values_or_a_named_error(file: Path) -> None:
    raw = file.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for place in rng.integers(0, len(raw), 40):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            nc.open(file).load()
            outcomes.add("read")
        except InputError as error:
            outcomes.add("refused" if "activity.nc" in str(error) else "unnamed")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("change", [external_link, external_storage, virtual_dataset])
def test_kept_results_from_elsewhere_are_guarded_too(
    tmp_path: Path, private: Path, change: Change
) -> None:
    file = tmp_path / "inside" / "section.nc"
    file.parent.mkdir()
    keep_results(file, Results({"example": example_block()}))
    assert read_results(file) is not None
    with h5py.File(file, "r+") as whole:
        change(whole, private)
    with pytest.raises(DamagedCacheError, match="section.nc"):
        read_results(file)


def test_results_go_the_direct_way_only_where_their_bytes_are_those_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "section.nc"
    keep_results(file, Results({"example": example_block()}))
    checked: list[Path] = []
    monkeypatch.setattr(results_folder, "check_netcdf", checked.append)
    kept = read_results(file)
    assert kept is not None
    assert checked == []
    xr.testing.assert_identical(kept["example"], example_block())
    raw = bytearray(file.read_bytes())
    raw[-200] ^= 1
    file.write_bytes(raw)
    with contextlib.suppress(DamagedCacheError):
        read_results(file)
    # as earlier versions wrote them, and others do
    file.write_bytes(bytes(raw[:-SEAL_BYTES]))
    with contextlib.suppress(DamagedCacheError):
        read_results(file)
    assert checked == [file, file]
