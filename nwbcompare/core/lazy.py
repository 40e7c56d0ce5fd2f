"""Arrays that are read when they are looked at: only what is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

Places = npt.NDArray[np.int64]
Reader = Callable[..., npt.NDArray[Any]]
Guard = Callable[[], AbstractContextManager[None]]
UNASKED_BYTES = 64_000_000
"""Arrays of this size are made without asking how much memory is left."""


class OnDemand(BackendArray):
    """An array that a function reads.

    Parameters
    ----------
    shape
        Its shape.
    read
        Called with an array of ascending places for each dimension; gives what lies where they
        cross.
    dtype
        Its type.
    """

    def __init__(self, shape: tuple[int, ...], read: Reader, dtype: npt.DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._reader = read
        self.guard: Guard = nullcontext

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read what an indexer asks for."""
        if not isinstance(key, indexing.VectorizedIndexer):
            return self._read(key.tuple)
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        picked = [np.arange(n)[part] for n, part in zip(self.shape, key, strict=True)]
        once = [np.unique(part, return_inverse=True) for part in picked]
        sizes = tuple(places.size for places, _ in once)
        if all(sizes):
            with self.guard():
                refuse_beyond_memory(math.prod(sizes) * self.dtype.itemsize)
                values = self._reader(*(places for places, _ in once))
        else:
            values = np.empty(sizes, dtype=self.dtype)
        asked = [where.reshape(-1) for _, where in once]
        if any(not np.array_equal(at, np.arange(n)) for at, n in zip(asked, sizes, strict=True)):
            values = values[np.ix_(*asked)]
        return values.reshape([part.size for part in picked if part.ndim])


def lazy_variable(
    dims: tuple[str, ...], shape: tuple[int, ...], read: Reader, dtype: npt.DTypeLike = np.float32
) -> xr.Variable:
    """Make a variable that is read when it is looked at.

    Parameters
    ----------
    dims, shape
        Its dimensions and their sizes.
    read
        See `OnDemand`.
    dtype
        Its type.

    Examples
    --------
    >>> import numpy as np
    >>> squares = lazy_variable(("x",), (1_000_000,), lambda x: x**2, np.int64)
    >>> squares[10:13].values.tolist()
    [100, 121, 144]
    """
    return xr.Variable(dims, indexing.LazilyIndexedArray(OnDemand(shape, read, dtype)))


def guarded(dataset: xr.Dataset, guard: Guard) -> None:
    """Have lazy variables read inside a context, such as one that names their file in errors."""
    for variable in dataset.variables.values():
        on_demand = getattr(variable._data, "array", None)
        if isinstance(on_demand, OnDemand):
            on_demand.guard = guard


def refuse_beyond_memory(n_bytes: int) -> None:
    """Refuse to make an array larger than what is left of memory: the system might not.

    Raises
    ------
    MemoryError
        With both sizes.
    """
    if n_bytes > UNASKED_BYTES and n_bytes > (left := psutil.virtual_memory().available):
        raise MemoryError(f"{n_bytes:,} bytes, where {left:,} are left")


def kept_in_memory(dataset: xr.Dataset) -> xr.Dataset:
    """Have lazy variables keep what was read of them whole, as xarray's own files do."""
    for variable in dataset.variables.values():
        if not is_in_memory(variable):
            once: Any = indexing.CopyOnWriteArray(variable._data)
            cached: Any = indexing.MemoryCachedArray(once)  # type: ignore[no-untyped-call]
            variable._data = cached
    return dataset


def is_in_memory(variable: xr.Variable) -> bool:
    """Tell whether a variable's values are in memory already, so that a look costs nothing."""
    # xarray has no public name for this; `nbytes` and `chunks` do not tell
    return bool(variable._in_memory)


def runs(places: Places) -> Iterator[tuple[slice, slice]]:
    """Cut places into runs of consecutive ones: where they stand, and what they name.

    Examples
    --------
    >>> import numpy as np
    >>> [(at.start, of.start, of.stop) for at, of in runs(np.array([4, 5, 6, 9]))]
    [(0, 4, 7), (3, 9, 10)]
    """
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    bounds = [0, *breaks.tolist(), places.size]
    for start, stop in pairwise(bounds):
        first = int(places[start])
        yield slice(start, stop), slice(first, first + stop - start)
