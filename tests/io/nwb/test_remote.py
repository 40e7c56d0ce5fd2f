"""NWB files on a server: the same activity as from the disk, of few bytes, and clear errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from lab_nwb import spiking
from range_server import RangeServer, serving

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core import remote_file
from nwbcompare.core.remote_path import DANDI_VARIABLE, location
from nwbcompare.testing import assert_same_activity, example_block

N_UNITS = 200
N_SPIKES = 625_000
"""Spikes of a unit: 5 MB, of a file of 1 GB."""
REMFILE = import_module("remfile.RemFile")
PATH = "sub-m1/sub-m1_ses-day1.nwb"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    # remfile waits a tenth of a second before a second try, and twice as long before each other
    monkeypatch.setattr(REMFILE, "_num_request_retries", 2)
    remote_file.remote_file.cache_clear()
    with serving() as server:
        yield server


def put(server: RangeServer, file: Path) -> str:
    path = f"/{file.parent.name}/{file.name}"
    server.files[path] = file
    return f"{server.address}{path}"


def assert_same(one: Any, two: Any) -> None:
    """Assert that two activities differ in the names of their files alone."""
    parts = [next(iter(activity.children.values())).to_dataset() for activity in (one, two)]
    assert_same_activity(*(part.assign_attrs(provenance="{}") for part in parts))


def test_a_file_on_a_server_is_that_on_the_disk(server: RangeServer, tmp_path: Path) -> None:
    native = nc.write_nwb(example_block(), tmp_path / "example.nwb")
    assert_same_activity(nc.open(native), nc.open(put(server, native)))
    days = [spiking(tmp_path / f"{day}.nwb", day, seed) for seed, day in enumerate("ab")]
    options: Any = {"window": (0, 0.8), "bin": 0.1}
    addresses = [put(server, day) for day in days]
    assert_same(nc.open(days[0], **options), nc.open(addresses[0], **options))
    assert_same(nc.open(days, **options), nc.open(addresses, **options))


def large(path: Path) -> Path:
    """Write a file of 1 GB, of which the disk has only what is not zero."""
    spiking(path, n_units=N_UNITS)
    with h5py.File(path, "a") as file:
        table = file["units"]
        old = table["spike_times"]
        attributes = dict(old.attrs)
        del table["spike_times"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((N_UNITS * N_SPIKES,))
        times = h5py.Dataset(
            h5py.h5d.create(table.id, b"spike_times", h5py.h5t.NATIVE_DOUBLE, space, properties)
        )
        times.attrs.update(attributes)
        times[3 * N_SPIKES : 4 * N_SPIKES] = np.linspace(0, 8, N_SPIKES)
        of_ends = dict(table["spike_times_index"].attrs)
        del table["spike_times_index"]
        table["spike_times_index"] = np.arange(1, N_UNITS + 1, dtype="u4") * N_SPIKES
        table["spike_times_index"].attrs.update(of_ends)
    return path


@pytest.mark.filterwarnings("ignore:no spike of any unit")
def test_of_a_large_file_only_what_is_looked_at_is_read(
    server: RangeServer, tmp_path: Path
) -> None:
    address = put(server, large(tmp_path / "large.nwb"))
    assert (tmp_path / "large.nwb").stat().st_size > 1e9
    block = next(iter(nc.open(address, window=(0, 0.8)).children.values())).to_dataset()
    assert server.n_bytes < 20e6
    before = server.n_bytes
    rates = block["rate"].isel(unit=3).load()
    assert 1e5 < server.n_bytes - before < 10e6
    np.testing.assert_allclose(rates, N_SPIKES / 8, rtol=0.001)


def test_broken_connections_are_tried_again(server: RangeServer, tmp_path: Path) -> None:
    file = nc.write_nwb(example_block(), tmp_path / "example.nwb")
    server.n_broken = 2
    assert_same_activity(nc.open(file), nc.open(put(server, file)))
    server.n_broken = 1000
    with pytest.raises(nc.InputError, match=r"other.nwb: expected a file on a server.*broke"):
        server.files["/other.nwb"] = file
        nc.open(f"{server.address}/other.nwb")
    # the first request asks for the size
    assert server.n_broken == 1000 - 1 - 3


def test_what_cannot_be_read_is_named(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(nc.InputError, match=r"/no.nwb: expected a file on a server.*nothing there"):
        nc.open(f"{server.address}/no.nwb")
    with pytest.raises(nc.InputError, match=r"127.0.0.1:9/a.nwb: .*no connection"):
        nc.open("http://127.0.0.1:9/a.nwb")
    text = tmp_path / "text.nwb"
    text.write_text("no HDF5" * 100)
    with pytest.raises(nc.InputError, match=r"/text.nwb: expected a whole NWB file"):
        nc.open(put(server, text))
    server.serves_ranges = False
    whole = tmp_path / "whole.nwb"
    whole.write_bytes(b"0" * 1_000_000)
    with pytest.raises(nc.InputError, match=r"/whole.nwb: .*serves whole files only"):
        nc.open(put(server, whole))
    monkeypatch.setitem(sys.modules, "remfile", None)
    with pytest.raises(nc.InputError, match=r"pip install 'nwbcompare\[remote\]'"):
        nc.open(f"{server.address}/example.nwb")


def test_links_out_of_a_remote_file_are_not_followed(server: RangeServer, tmp_path: Path) -> None:
    file = spiking(tmp_path / "day1.nwb")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["times"] = np.arange(3.0)
    with h5py.File(file, "a") as nwb:
        del nwb["units/spike_times"]
        nwb["units/spike_times"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/times")
    with pytest.raises(nc.InputError, match="expected links to files in the same folder"):
        nc.open(put(server, file), window=(0, 0.8))


@pytest.fixture
def archive(server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of the DANDI archive with one asset; return its file."""
    file = spiking(tmp_path / "blob.nwb")
    monkeypatch.setenv(DANDI_VARIABLE, f"{server.address}/api")
    server.answers = {
        "/api/dandisets/000130/": {"most_recent_published_version": {"version": "0.22"}},
        "/api/dandisets/000130/versions/0.22/assets/": {
            "results": [{"path": PATH, "asset_id": "a1"}, {"path": "b.nwb", "asset_id": "b1"}]
        },
        "/api/assets/a1/": {
            "contentUrl": [f"{server.address}/api/assets/a1/download/", put(server, file)]
        },
    }
    return file


def test_an_asset_of_the_archive_is_found_by_its_path(archive: Path) -> None:
    for version in ("", "@0.22"):
        remote = nc.open(f"dandi:000130{version}/{PATH}", window=(0, 0.8))
        assert_same(nc.open(archive, window=(0, 0.8)), remote)
    assert location(f"dandi:000130/{PATH}").stem == "sub-m1_ses-day1"
    command = ["info", f"dandi:000130/{PATH}?window=0,0.8"]
    assert "units" in CliRunner().invoke(cli, command, catch_exceptions=False).output


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("dandi:000130/sub-m2/a.nwb", r"an asset of dandiset 000130, 0.22.*it has b.nwb"),
        ("dandi:000131/a.nwb", r"dandi:000131/a.nwb: expected an answer of .*, got nothing there"),
        ("dandi:000130@9/a.nwb", r"got nothing there"),
        ("dandi:neurons/a.nwb", r"expected dandi:DANDISET/PATH"),
        ("dandi:000130", r"expected dandi:DANDISET/PATH"),
    ],
)
def test_what_the_archive_lacks_is_said(archive: Path, address: str, message: str) -> None:
    with pytest.raises(nc.InputError, match=message):
        nc.open(address)


def test_a_query_of_an_address_is_kept_and_options_follow_it(
    server: RangeServer, tmp_path: Path
) -> None:
    address = put(server, spiking(tmp_path / "day1.nwb"))
    for source in (f"{address}?window=0,0.8", f"{address}?token=a?window=0,0.8"):
        output = CliRunner().invoke(cli, ["info", source], catch_exceptions=False).output
        assert "0.8" in output
    result = CliRunner().invoke(cli, ["info", f"{address}?token=a"], catch_exceptions=False)
    assert result.exit_code == 0
