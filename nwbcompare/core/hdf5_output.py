"""HDF5 and netCDF output in which a full disk raises an error and does not crash the process."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from inspect import isfunction
from types import FrameType
from typing import Any, Literal

import h5py
import xarray as xr

from nwbcompare.core.files import written_aside


class CarefulFile(io.RawIOBase):
    """A file for h5py whose first failed write raises, and whose later writes stay in memory.

    After a failed write HDF5 writes its buffers again when the file is closed; if that fails too,
    it crashes when the process ends. After the first failure this file therefore keeps all writes
    in memory, and reads return them, so that HDF5 can close it. The file on disk is damaged and
    has to be removed.

    Parameters
    ----------
    path
        The file.
    mode
        "w" for a new file, "r+" to change one.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Literal["w", "r+"]) -> None:
        flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if mode == "w" else 0)
        self._handle = os.open(path, flags, 0o666)
        self._place = 0
        self._lost: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next byte, and return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size()}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read bytes, including those that could not be written."""
        view = memoryview(buffer).cast("B")
        first, count = self._place, min(len(view), max(self._size() - self._place, 0))
        # bytes on disk first, then those of later, failed writes over them
        on_disk = os.pread(self._handle, count, first)
        view[:count] = on_disk.ljust(count, b"\0")
        for start, lost in self._lost:
            low, high = max(start, first), min(start + len(lost), first + count)
            if low < high:
                view[low - first : high - first] = lost[low - start : high - start]
        self._place += count
        return count

    def write(self, buffer: Any) -> int:
        """Write bytes.

        Raises
        ------
        OSError
            The first time that writing fails.
        """
        view = memoryview(buffer).cast("B")
        first = not self._lost
        if first:
            try:
                self._write(view)
            except OSError:
                self._lost.append((self._place, bytes(view)))
                raise
        else:
            self._lost.append((self._place, bytes(view)))
        self._place += len(view)
        return len(view)

    def _write(self, view: memoryview) -> None:
        n_written = 0
        while n_written < len(view):
            n_written += os.pwrite(self._handle, view[n_written:], self._place + n_written)

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size, and return it."""
        size = self._place if size is None else size
        if not self._lost:
            os.ftruncate(self._handle, size)
        return size

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._handle)
        super().close()

    def _size(self) -> int:
        ends = [start + len(lost) for start, lost in self._lost]
        return max([os.fstat(self._handle).st_size, *ends])


AGAIN_S = 0.005
"""Delay after which a signal that arrived inside a file operation is sent again (s)."""
_METHODS = {value.__code__ for value in vars(CarefulFile).values() if isfunction(value)}


@contextmanager
def _signals_between_writes() -> Iterator[None]:
    """Handle signals between the operations of a file: inside them, HDF5 discards exceptions."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    delayed = {number: handler for number, handler in handlers.items() if callable(handler)}

    def handle(number: int, frame: FrameType | None) -> None:
        if _is_inside_a_write(frame):
            # sent again until the operation has ended
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
        else:
            delayed[signal.Signals(number)](number, frame)

    for number in delayed:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in delayed.items():
            signal.signal(number, handler)


def _is_inside_a_write(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code not in _METHODS:
        frame = frame.f_back
    return frame is not None


@contextmanager
def hdf5_output(path: str | os.PathLike[str], mode: Literal["w", "r+"]) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing; a full disk raises an error and does not crash the process.

    Parameters
    ----------
    path
        The file.
    mode
        "w" for a new file, "r+" to change one.

    Yields
    ------
    h5py.File
        The open file.

    Raises
    ------
    OSError
        If a write fails; the file is damaged then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with hdf5_output(f"{folder}/a.h5", "w") as file:
    ...         file["rate"] = [1.0, 2.0]
    ...     with h5py.File(f"{folder}/a.h5") as file:
    ...         file["rate"][:].tolist()
    [1.0, 2.0]
    """
    with _signals_between_writes(), CarefulFile(path, mode) as raw:
        file = h5py.File(raw, mode)
        try:
            yield file
        except BaseException:
            # the file is discarded, so errors of closing it do not matter
            with suppress(Exception):
                file.close()
            raise
        file.close()


def write_netcdf(
    labelled: xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    encoding: Mapping[str, Any] | None = None,
) -> None:
    """Write a Dataset or a tree as netCDF; the file appears complete or not at all.

    Parameters
    ----------
    labelled
        The Dataset or tree.
    path
        The file.
    overwrite
        Whether an existing file may be replaced.
    encoding
        Storage of variables; see `xarray.DataTree.to_netcdf`.

    Raises
    ------
    InputError
        If the path exists, or is not writable.
    OutputError
        If the disk is full, over its quota, or fails.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_netcdf(xr.Dataset({"a": 1.0}), Path(folder) / "a.nc")
    ...     float(xr.load_dataset(Path(folder) / "a.nc", engine="h5netcdf")["a"])
    1.0
    """
    with (
        written_aside(path, overwrite=overwrite) as aside,
        _signals_between_writes(),
        CarefulFile(aside, "w") as raw,
    ):
        labelled.to_netcdf(raw, engine="h5netcdf", encoding=encoding)
