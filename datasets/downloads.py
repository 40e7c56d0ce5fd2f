"""Downloads of archives whose terms allow it: asked for, checked, and file by file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import DISK_ERRORS, full_disk
from nwbcompare.datasets.location import cache_folder, how_to_get
from nwbcompare.datasets.registry import Loader, get_loader
from nwbcompare.io.optional import require

TRIES = 3


@dataclass(frozen=True)
class Download:
    """A file of an archive on a server.

    Attributes
    ----------
    path
        Its place in the archive's folder, with slashes.
    url
        Its address.
    sha256
        Checksum of its content.
    """

    path: str
    url: str
    sha256: str


def listed_downloads(list_name: str, base: str) -> list[Download]:
    """Return the files of a list of checksums of this package, as ``sha256sum`` prints it.

    Parameters
    ----------
    list_name
        Name of the list, beside the loaders.
    base
        Address of the archive's folder, with a slash at its end.

    Examples
    --------
    >>> listed_downloads("shi2022.sha256", "https://example.org/")[0].url
    'https://example.org/LICENSE'
    """
    lines = files("nwbcompare.datasets").joinpath(list_name).read_text(encoding="utf-8").split("\n")
    pairs = [line.split("  ", 1) for line in lines if line]
    return [Download(path, base + path, checksum) for checksum, path in pairs]


def fetch(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Download an archive, where its terms allow it.

    Files that are there with the right checksum are kept, so that an interrupted download goes on
    with the next file. Nothing in this package downloads unless it is called.

    Parameters
    ----------
    name
        The archive.
    folder
        Where to; by default the user's cache folder, in which `nwbcompare.load` looks.

    Returns
    -------
    pathlib.Path
        The folder of the archive.

    Raises
    ------
    InputError
        For an unknown archive, one that may not or cannot be downloaded by a program (with the
        steps to obtain it), a server that does not answer, and content with another checksum.
    MissingPackageError
        Without pooch (the extra ``remote``).
    """
    loader = get_loader(name)
    if loader.downloads is None:
        raise InputError(
            f"dataset {name!r}",
            "an archive whose terms and address allow a download",
            "one that you obtain yourself",
            how_to_get(loader),
        )
    pooch = require("pooch", extra="remote")
    place = cache_folder() / name if folder is None else Path(folder)
    every = loader.downloads()
    _check_paths(loader, every)
    store = pooch.create(
        path=place,
        base_url="",
        registry={one.path: f"sha256:{one.sha256}" for one in every},
        urls={one.path: one.url for one in every},
        retry_if_failed=TRIES - 1,
    )
    # a line for each file is nothing for a log
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    for one in every:
        try:
            store.fetch(one.path, downloader=downloader)
        # of the network or the disk (OSError), and of another checksum (ValueError)
        except (OSError, ValueError) as error:
            _remove_empty((place / one.path).parent, place)
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise full_disk(place / one.path, error) from error
            raise InputError(
                one.url,
                f"the file of SHA-256 {one.sha256}",
                " ".join(str(error).split()),
                "Try again later: files that are whole are kept. "
                f"If the archive has changed: {how_to_get(loader)}",
            ) from error
    return place


def _remove_empty(folder: Path, place: Path) -> None:
    """Remove a folder, and those that it lies in up to a place, where nothing is in them."""
    for one in (folder, *folder.parents):
        # a folder that has files cannot be removed
        with suppress(OSError):
            one.rmdir()
        if one == place:
            break


def _check_paths(loader: Loader, every: Sequence[Download]) -> None:
    """Check that no file would be written outside of the folder."""
    for one in every:
        parts = PurePosixPath(one.path).parts
        if not parts or PurePosixPath(one.path).is_absolute() or ".." in parts or "\\" in one.path:
            raise InputError(
                f"dataset {loader.name!r}",
                "files within its folder",
                repr(one.path),
                "Do not trust this server.",
            )
