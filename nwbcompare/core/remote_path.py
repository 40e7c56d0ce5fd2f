"""Addresses of files on servers: https, and assets of the DANDI archive."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from nwbcompare.core.errors import InputError, listing

DANDI_VARIABLE = "NWBCOMPARE_DANDI_API"
"""Environment variable with another base address of DANDI's interface."""
DANDI_API = "https://api.dandiarchive.org/api"
TIMEOUT_S = 30
"""Time after which an answer of a server is no longer expected (s)."""
MOST_LISTED = 5


@dataclass(frozen=True)
class RemotePath:
    """A file on a server, with as much of the interface of a path as readers need.

    Attributes
    ----------
    shown
        The address as the user named it.
    url
        The address (https) from which bytes are read.
    name
        Name of the file.

    Examples
    --------
    >>> RemotePath("https://lab.org/a/day1.nwb", "https://lab.org/a/day1.nwb", "day1.nwb").stem
    'day1'
    """

    shown: str
    url: str
    name: str

    @property
    def stem(self) -> str:
        """Name of the file without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Suffix of the file's name."""
        return PurePosixPath(self.name).suffix

    def resolve(self) -> RemotePath:
        """Return the address: there is no other name for it."""
        return self

    @property
    def parent(self) -> RemotePath:
        """Folder on the server."""
        shown, url = self.shown.rpartition("/")[0], self.url.rpartition("/")[0]
        return RemotePath(shown, url, shown.rpartition("/")[2])

    def __str__(self) -> str:
        return self.shown


Location = Path | RemotePath
PathLike = str | os.PathLike[str] | RemotePath


def is_remote(path: object) -> bool:
    """Return whether a path is an address on a server.

    Examples
    --------
    >>> is_remote("https://lab.org/day1.nwb"), is_remote("day1.nwb")
    (True, False)
    """
    return isinstance(path, RemotePath) or (
        isinstance(path, str) and path.startswith(("https://", "http://", "dandi:"))
    )


def location(path: PathLike) -> Location:
    """Return a path of this computer, or an address on a server.

    Parameters
    ----------
    path
        A path; an address ``https://...``; or ``dandi:DANDISET/PATH`` or
        ``dandi:DANDISET@VERSION/PATH``, an asset of the DANDI archive, by default of the dandiset's
        latest published version, else of its draft.

    Raises
    ------
    InputError
        If the archive has no such asset or does not answer.

    Examples
    --------
    >>> location("https://lab.org/a/day1.nwb").name
    'day1.nwb'
    """
    if isinstance(path, RemotePath):
        return path
    if not is_remote(path):
        return Path(path)
    text = str(path)
    if text.startswith("dandi:"):
        return _dandi_asset(text, _dandi_api())
    return RemotePath(text, text, unquote(urlsplit(text).path).rpartition("/")[2])


# an asset of a version has one address, and readers ask for it at every access
@lru_cache(maxsize=1000)
def _dandi_asset(text: str, api: str) -> RemotePath:
    """Find an asset of the DANDI archive by its path."""
    dandiset, _, path = text.removeprefix("dandi:").partition("/")
    identifier, _, version = dandiset.partition("@")
    if not identifier.isdigit() or not path:
        raise InputError(
            text, "dandi:DANDISET/PATH", "another form", "Write dandi:000130/sub-.../....nwb."
        )
    version = version or _latest_version(identifier, text, api)
    query = urlencode({"path": path, "page_size": 100})
    found = _answer(f"{api}/dandisets/{identifier}/versions/{quote(version)}/assets/?{query}", text)
    assets = {str(one["path"]): str(one["asset_id"]) for one in found.get("results", [])}
    if path not in assets:
        others = f"; it has {listing(sorted(assets), most=MOST_LISTED)}" if assets else ""
        raise InputError(
            text, f"an asset of dandiset {identifier}, {version}", f"none of this path{others}",
            "Copy the path from the archive's list of files.",
        )  # fmt: skip
    addresses = _answer(f"{api}/assets/{assets[path]}/", text).get("contentUrl", [])
    # the archive's own address leads to one of the bucket, for a limited time
    of_bucket = [address for address in addresses if not address.startswith(api)]
    if not addresses:
        raise InputError(text, "an asset with an address", "none", "Open it by its address.")
    return RemotePath(text, str([*of_bucket, *addresses][0]), PurePosixPath(path).name)


@dataclass(frozen=True)
class DandiAsset:
    """An asset of the DANDI archive: its path, address and checksum."""

    path: str
    url: str
    sha256: str


def dandi_assets(identifier: str) -> list[DandiAsset]:
    """Return the NWB files of a dandiset's latest published version, else of its draft.

    Parameters
    ----------
    identifier
        Number of the dandiset, such as "000130".

    Raises
    ------
    InputError
        If the archive does not answer, or states no checksum.
    """
    api = _dandi_api()
    subject = f"dandi:{identifier}"
    version = quote(_latest_version(identifier, subject, api))
    page = f"{api}/dandisets/{identifier}/versions/{version}/assets/?page_size=100"
    assets = []
    while page:
        answer = _answer(page, subject)
        for one in answer.get("results", []):
            if str(one["path"]).endswith(".nwb"):
                about = _answer(f"{api}/assets/{one['asset_id']}/", subject)
                checksum = dict(about.get("digest", {})).get("dandi:sha2-256", "")
                addresses = about.get("contentUrl", [])
                if not checksum or not addresses:
                    got = "none" if addresses else "no address"
                    remedy = "Download it from the archive's page."
                    raise InputError(f"{subject}/{one['path']}", "a SHA-256", got, remedy)
                assets.append(DandiAsset(str(one["path"]), str(addresses[0]), str(checksum)))
        page = str(answer.get("next") or "")
    return assets


def _dandi_api() -> str:
    return os.environ.get(DANDI_VARIABLE, DANDI_API).rstrip("/")


def _latest_version(identifier: str, subject: str, api: str) -> str:
    about = _answer(f"{api}/dandisets/{identifier}/", subject)
    latest = about.get("most_recent_published_version") or about.get("draft_version") or {}
    return str(latest.get("version", "draft"))


def _answer(url: str, subject: str) -> dict[str, Any]:
    """Return the archive's answer to a question, JSON."""
    # only for this archive; readers of all files import the module
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        # the base address is this module's, or that of the user's environment
        with urlopen(url, timeout=TIMEOUT_S) as got:  # noqa: S310
            answer = json.load(got)
    except HTTPError as error:
        reason = {401: "not public", 403: "not public", 404: "nothing there"}.get(error.code)
        raise InputError(
            subject, f"an answer of {url}", reason or f"status {error.code}",
            "Check the number of the dandiset and its version.",
        ) from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise InputError(
            subject, f"an answer of {url}", str(error), "Check the network, and try again."
        ) from error
    if not isinstance(answer, dict):
        raise InputError(subject, f"a JSON object from {url}", "another answer", "Try again later.")
    return answer
