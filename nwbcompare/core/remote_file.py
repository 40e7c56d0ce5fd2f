"""Reading of parts of a file on a server, for HDF5."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

from nwbcompare.core.errors import InputError, MissingPackageError
from nwbcompare.core.remote_path import TIMEOUT_S, RemotePath

MOST_CACHE_BYTES = 64_000_000
"""Bytes of a file that are kept for the next reading."""
MOST_FILES = 8
"""Number of files of which bytes are kept."""
TRIES = 3
"""Number of further tries of the first request; remfile tries the others for 25 s."""
PARTIAL_CONTENT = 206
REASONS = {
    200: "one of a server that serves whole files only",
    401: "one that is not public",
    403: "one that is not public",
    404: "nothing there",
}
"""What an answer to a request for one byte means, by its status."""


class RemoteFile(io.RawIOBase):
    """A file on a server, read by ranges of bytes in the thread that asks for them.

    A library that reads in a thread of its own, such as fsspec, can stand still for ever: HDF5
    waits for the bytes and holds the lock of h5py, for which the other thread waits as soon as
    Python discards an HDF5 object there.

    Parameters
    ----------
    path
        The address.

    Raises
    ------
    InputError
        If there is no such file, the server does not serve parts of files, or a connection that
        broke cannot be made again.
    MissingPackageError
        If remfile is not installed.
    """

    def __init__(self, path: RemotePath) -> None:
        self.path = path
        self._at = 0
        try:
            import remfile  # noqa: PLC0415 - an optional package
            import requests  # noqa: PLC0415 - which remfile needs
        except ImportError as error:
            raise MissingPackageError(
                "remfile",
                "an installed package",
                f"one that cannot be imported ({error})",
                "Install it: pip install 'nwbcompare[remote]'",
            ) from error
        session = _session(requests)
        try:
            answer = session.get(path.url, headers={"Range": "bytes=0-0"}, stream=True)
            answer.close()
        except OSError as error:
            raise self._failure(f"no connection ({error})") from error
        if answer.status_code != PARTIAL_CONTENT:
            status = answer.status_code
            raise self._failure(REASONS.get(status, f"status {status} ({answer.reason})"))
        size = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if not size.isdigit():
            raise self._failure("one whose size the server does not say")
        self._size = int(size)
        self._file = remfile.File(path.url, _max_cache_size=MOST_CACHE_BYTES, _size=self._size)
        # remfile's own session waits without limit
        self._file.session = session

    def __repr__(self) -> str:
        # h5py takes it for the name of the file
        return str(self.path)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position (bytes)."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position (bytes) from the start, the position or the end; return it."""
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        self._at = offset + starts[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read the bytes at the position into a buffer; return their number."""
        n_bytes: int = max(0, min(len(buffer), self._size - self._at))
        try:
            self._file.seek(self._at)
            buffer[:n_bytes] = self._file.read(n_bytes)
        # of remfile itself, and of what it uses
        except Exception as error:
            raise self._failure(f"a connection that broke ({error})") from error
        self._at += n_bytes
        return n_bytes

    def _failure(self, got: str) -> InputError:
        remedy = "Check the address and the network, or download the file and open it there."
        return InputError(str(self.path), "a file on a server that answers", got, remedy)


def _session(requests: Any) -> Any:
    """Return a session whose requests end after some time, and are tried again."""

    class Session(requests.Session):  # type: ignore[misc]
        def request(self, *args: Any, **options: Any) -> Any:
            return super().request(*args, **{"timeout": TIMEOUT_S, **options})

    session = Session()
    retries = requests.adapters.Retry(
        total=TRIES, backoff_factor=0.1, status_forcelist=(429, 500, 502, 503, 504)
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retries))
    return session


@lru_cache(maxsize=MOST_FILES)
def remote_file(path: RemotePath) -> RemoteFile:
    """Return a file on a server; bytes that were read are kept for the next reading.

    Parameters
    ----------
    path
        The address.

    Raises
    ------
    InputError, MissingPackageError
        As `RemoteFile`.
    """
    return RemoteFile(path)
