"""Writing HDF5 and netCDF so that a full disk ends in an error, not in a crash."""

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
    """A file for h5py whose first failed write raises, and whose later ones are only remembered.

    After a failed write HDF5 still writes what it has in memory when the file is closed, and where
    that fails too it crashes when the process ends. So later writes go nowhere, but are read back
    as written: the file can be closed in good order. It is damaged and has to be removed.

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
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, and return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size()}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read bytes, those that could not be written among them."""
        view = memoryview(buffer).cast("B")
        first, wanted = self._place, min(len(view), max(self._size() - self._place, 0))
        there = os.pread(self._handle, wanted, first)
        view[:wanted] = there.ljust(wanted, b"\0")
        for start, lost in self._lost:
            low, high = max(start, first), min(start + len(lost), first + wanted)
            if low < high:
                view[low - first : high - first] = lost[low - start : high - start]
        self._place += wanted
        return wanted

    def write(self, buffer: Any) -> int:
        """Write bytes.

        Raises
        ------
        OSError
            The first time that the disk cannot take them.
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
        done = 0
        while done < len(view):
            done += os.pwrite(self._handle, view[done:], self._place + done)

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size."""
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
_METHODS = {value.__code__ for value in vars(CarefulFile).values() if isfunction(value)}


@contextmanager
def _signals_between_writes() -> Iterator[None]:
    """Let interrupts be heard between the operations of a file, not inside: HDF5 swallows them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = {number: own for number, own in handlers.items() if callable(own)}

    def hear(number: int, frame: FrameType | None) -> None:
        if _is_inside_a_write(frame):
            # once more, until the file has done what it was asked
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
        else:
            heard[signal.Signals(number)](number, frame)

    for number in heard:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, own in heard.items():
            signal.signal(number, own)


def _is_inside_a_write(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code not in _METHODS:
        frame = frame.f_back
    return frame is not None


@contextmanager
def hdf5_output(path: str | os.PathLike[str], mode: Literal["w", "r+"]) -> Iterator[h5py.File]:
    """Open an HDF5 file for writing; a full disk raises an OSError and crashes nothing.

    Parameters
    ----------
    path
        The file.
    mode
        "w" for a new file, "r+" to change one.
    """
    with _signals_between_writes(), CarefulFile(path, mode) as raw:
        opened = h5py.File(raw, mode)
        try:
            yield opened
        except BaseException:
            # what closing says of a file that is thrown away is no matter
            with suppress(Exception):
                opened.close()
            raise
        opened.close()


def write_netcdf(
    labelled: xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    encoding: Mapping[str, Any] | None = None,
) -> None:
    """Write a Dataset or a tree as netCDF, whole or not at all.

    Parameters
    ----------
    labelled
        What to write.
    path
        The file.
    overwrite
        Whether an existing file may be replaced.
    encoding
        How variables are stored; see `xarray.DataTree.to_netcdf`.

    Raises
    ------
    InputError
        Where the path exists or cannot be written.
    OutputError
        Where the disk is full.

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
