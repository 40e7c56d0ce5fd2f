"""Archives are downloaded when asked, file by file, and only with the right content."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dandi000130_archive import archive as dandi_archive
from range_server import RangeServer, serving

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.remote_path import DANDI_VARIABLE
from nwbcompare.datasets import Download, downloads, fetch, get_loader, registry, shi2022


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def dandiset(server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of dandiset 000130 on two pages; return the folder with its files."""
    monkeypatch.setenv(DANDI_VARIABLE, f"{server.address}/api")
    dandi_archive(tmp_path / "there", n_units=2)
    folder = tmp_path / "there"
    paths = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.nwb"))
    base = "/api/dandisets/000130/versions/0.22/assets/"
    server.answers = {
        "/api/dandisets/000130/": {"most_recent_published_version": {"version": "0.22"}},
        base: {
            "results": [{"path": paths[0], "asset_id": "a0"}],
            "next": f"{server.address}/second/?page=2",
        },
        "/second/": {
            "results": [
                {"path": paths[1], "asset_id": "a1"},
                {"path": "readme.txt", "asset_id": "b"},
            ]
        },
    }
    for number, path in enumerate(paths):
        server.files[f"/blobs/{number}"] = folder / path
        server.answers[f"/api/assets/a{number}/"] = {
            "contentUrl": [f"{server.address}/blobs/{number}"],
            "digest": {"dandi:sha2-256": sha256_of_file(folder / path)},
        }
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_dandiset_is_fetched_whole_and_once(
    server: RangeServer, dandiset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "here"
    assert fetch("dandi000130", out) == out
    assert contents(out) == contents(dandiset)
    assert get_loader("dandi000130").is_archive(out)
    sent = server.n_bytes
    fetch("dandi000130", out)
    assert server.n_bytes == sent
    # what was damaged meanwhile is fetched again, and nothing else
    (train,) = out.rglob("*train*")
    train.write_bytes(b"half")
    fetch("dandi000130", out)
    assert contents(out) == contents(dandiset)
    assert server.n_bytes - sent == train.stat().st_size


def test_the_command_fetches_into_the_cache_where_the_loader_looks(
    dandiset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path / "cache"))
    monkeypatch.delenv("NWBCOMPARE_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda _: str(tmp_path))
    result = CliRunner().invoke(cli, ["datasets", "fetch", "dandi000130"], catch_exceptions=False)
    assert result.output == f"Files: {tmp_path / 'cache' / 'dandi000130'}\n"
    with pytest.warns(UserWarning, match="1 trials were left out"):
        assert nc.load("dandi000130").children


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.pop("digest"), "a SHA-256, got none"),
        (lambda about: about.pop("contentUrl"), "a SHA-256, got no address"),
    ],
)
def test_an_asset_without_a_checksum_is_not_fetched(
    server: RangeServer,
    dandiset: Path,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], Any],
    message: str,
) -> None:
    change(server.answers["/api/assets/a1/"])
    with pytest.raises(nc.InputError, match=message):
        fetch("dandi000130", tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.fixture
def listed(server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A server with three files of shi2022 by their paths."""
    monkeypatch.setattr(downloads, "TRIES", 1)
    files = {f"raw_data/celldata/{name}": tmp_path / name for name in ("a", "b", "c")}
    every = []
    for path, file in files.items():
        file.write_bytes(path.encode() * 1000)
        server.files[f"/{path}"] = file
        every.append(Download(path, f"{server.address}/{path}", sha256_of_file(file)))
    monkeypatch.setattr(shi2022, "listed_downloads", lambda *_: every)
    return files


def test_what_was_fetched_before_an_error_is_kept(
    server: RangeServer, listed: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "here"
    paths = list(listed)
    listed[paths[1]].write_bytes(b"another content")
    with pytest.raises(nc.InputError, match=r"b: expected the file of SHA-256 .*files that are wh"):
        fetch("shi2022", out)
    assert list(contents(out)) == [paths[0]]
    listed[paths[1]].write_bytes(paths[1].encode() * 1000)
    sent = server.n_bytes
    fetch("shi2022", out)
    assert sorted(contents(out)) == paths
    # the first one is not sent again
    assert server.n_bytes - sent == sum(listed[path].stat().st_size for path in paths[1:])
    del server.files[f"/{paths[2]}"]
    (out / paths[2]).unlink()
    with pytest.raises(nc.InputError, match=r"c: expected the file.*404"):
        fetch("shi2022", out)


def test_no_file_is_written_outside_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("../a", "/a", "a/../../b", "a\\b", ""):
        monkeypatch.setattr(
            shi2022, "listed_downloads", lambda *_, path=path: [Download(path, "http://x", "0")]
        )
        with pytest.raises(nc.InputError, match="files within its folder.*Do not trust"):
            fetch("shi2022", tmp_path / "here")


@pytest.mark.parametrize("name", registry.OF_PACKAGE)
def test_other_archives_say_how_to_get_them(name: str, tmp_path: Path) -> None:
    if get_loader(name).downloads is None:
        with pytest.raises(nc.InputError, match="one that you obtain yourself.*Obtain it from"):
            fetch(name, tmp_path / "here")
    else:
        # only where the card says so
        assert re.search("Apache|CC-BY", get_loader(name).card.licence)


def test_without_pooch_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(nc.InputError, match=r"pip install 'nwbcompare\[remote\]'"):
        fetch("shi2022", tmp_path / "here")


@pytest.mark.shared
def test_the_checksums_are_those_of_the_files_that_were_read(
    archive_path: Callable[[str], Path],
) -> None:
    folder = archive_path("shi2022")
    every = {one.path: one.sha256 for one in downloads.listed_downloads("shi2022.sha256", "")}
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert set(every) == there
    for path, checksum in every.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == checksum
    (first, *_) = downloads.listed_downloads("shi2022.sha256", shi2022.RAW_FILES)
    assert first.url == f"{shi2022.RAW_FILES}LICENSE"
    assert replace(first, url="") == Download("LICENSE", "", every["LICENSE"])
