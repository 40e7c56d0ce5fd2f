"""Writing of a long series chunk by chunk, compressed by threads, in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
from hdmf.backends.hdf5 import H5DataIO

Compression = Literal["gzip", "none"]
GZIP_LEVEL = 1
"""Higher levels take 50 % more time for a few per cent of size."""
CHUNK_ROWS = 1024
CHUNK_COLUMNS = 32
"""Samples and units of a chunk: one trial of all units, and one unit of all trials, are both read
without decompressing much else (benchmarks/nwb_export.py measures the times)."""
MOST_THREADS = 4
MOST_PENDING = 16
"""Limit for compressed chunks that wait to be written."""


def empty_series(
    shape: tuple[int, int], dtype: npt.DTypeLike, compression: Compression
) -> H5DataIO:
    """Return a series without values, which `SeriesWriter` writes later.

    Parameters
    ----------
    shape
        Sizes of the series, ``(sample, channel)``.
    dtype
        Type of its values.
    compression
        "gzip" (level 1 after a shuffle) or "none".
    """
    options: dict[str, Any] = {}
    if compression == "gzip":
        options = {
            "chunks": (min(CHUNK_ROWS, shape[0]), min(CHUNK_COLUMNS, shape[1])),
            "compression": "gzip",
            "compression_opts": GZIP_LEVEL,
            "shuffle": True,
        }
    return H5DataIO(shape=shape, dtype=np.dtype(dtype), **options)


class SeriesWriter:
    """Writer of a series, whose chunks are compressed by threads and written in order.

    The bytes are those of HDF5's own filters: zlib after a shuffle.

    Parameters
    ----------
    data
        Series of `empty_series` in an open file, ``(sample, channel)``.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> data = file.create_dataset("rate", (3, 1), "f4")
    >>> with SeriesWriter(data) as writer:
    ...     writer.append(np.array([[1.0], [2.0], [3.0]]))
    >>> data[:, 0].tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, data: h5py.Dataset) -> None:
        self._data = data
        self._row = 0
        self._filled = 0
        chunk_rows = data.chunks[0] if data.chunks else CHUNK_ROWS
        self._band = np.zeros((chunk_rows, data.shape[1]), dtype=data.dtype)
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
        self._pending: deque[tuple[tuple[int, int], Future[bytes]]] = deque()

    def __enter__(self) -> SeriesWriter:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the remaining rows, unless there was an error."""
        try:
            if kind is None:
                self._write_band()
                while self._pending:
                    self._write_oldest()
        finally:
            # after an error the chunks that wait are not needed
            self._pool.shutdown(cancel_futures=True)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the series."""
        kind: np.dtype[Any] = self._data.dtype
        return kind

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows, ``(sample, channel)``."""
        n_written = 0
        while n_written < len(rows):
            part = rows[n_written : n_written + len(self._band) - self._filled]
            self._band[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            n_written += len(part)
            if self._filled == len(self._band):
                self._write_band()

    def _write_band(self) -> None:
        if not self._filled:
            return
        # series without chunks are not compressed either
        if self._data.chunks is None:
            self._data[self._row : self._row + self._filled] = self._band[: self._filled]
        else:
            # HDF5 stores whole chunks: the last one is filled up with 0
            self._band[self._filled :] = 0
            self._pack_band(self._data.chunks[1])
        self._row += self._filled
        self._filled = 0

    def _pack_band(self, width: int) -> None:
        for column in range(0, self._band.shape[1], width):
            # a copy, since the band is filled again while threads compress
            chunk = np.zeros((len(self._band), width), dtype=self._band.dtype)
            part = self._band[:, column : column + width]
            chunk[:, : part.shape[1]] = part
            self._pending.append(((self._row, column), self._pool.submit(_compressed, chunk)))
        while len(self._pending) > MOST_PENDING:
            self._write_oldest()

    def _write_oldest(self) -> None:
        offset, chunk = self._pending.popleft()
        # by this thread alone, in order: HDF5 is not called from several
        self._data.id.write_direct_chunk(offset, chunk.result())


def _compressed(chunk: npt.NDArray[Any]) -> bytes:
    """Return the bytes of a chunk after HDF5's shuffle and deflate filters."""
    # all first bytes, then all second ones, ..., which deflate packs better
    as_bytes = chunk.reshape(-1).view(np.uint8).reshape(-1, chunk.itemsize)
    return zlib.compress(np.ascontiguousarray(as_bytes.T).tobytes(), GZIP_LEVEL)
