"""Arrays that are read from their file when they are indexed, and only as far as indexed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from nwbcompare.core.available_memory import refuse_beyond_memory

Places = npt.NDArray[np.int64]
Reader = Callable[..., npt.NDArray[Any]]
Guard = Callable[[], AbstractContextManager[None]]


class OnDemand(BackendArray):
    """An array whose values a function reads, for xarray's lazy indexing.

    Parameters
    ----------
    shape
        Shape of the array.
    read
        Called with one array of ascending indices for each dimension; returns the values at their
        outer product, as ``array[np.ix_(*indices)]`` does.
    dtype
        Type of the values.
    """

    def __init__(self, shape: tuple[int, ...], read: Reader, dtype: npt.DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._reader = read
        self.guard: Guard = nullcontext

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the values that an xarray indexer selects."""
        if not isinstance(key, indexing.VectorizedIndexer):
            return self._read(key.tuple)
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        picked = [np.arange(n)[part] for n, part in zip(self.shape, key, strict=True)]
        # each index is read once, in ascending order, and repeated or reordered afterwards
        unique = [np.unique(part, return_inverse=True) for part in picked]
        sizes = tuple(places.size for places, _ in unique)
        # an empty selection needs no file
        if all(sizes):
            with self.guard():
                refuse_beyond_memory(math.prod(sizes) * self.dtype.itemsize)
                values = self._reader(*(places for places, _ in unique))
        else:
            values = np.empty(sizes, dtype=self.dtype)
        order = [where.reshape(-1) for _, where in unique]
        if any(not np.array_equal(at, np.arange(n)) for at, n in zip(order, sizes, strict=True)):
            values = values[np.ix_(*order)]
        return values.reshape([part.size for part in picked if part.ndim])


def lazy_variable(
    dims: tuple[str, ...], shape: tuple[int, ...], read: Reader, dtype: npt.DTypeLike = np.float32
) -> xr.Variable:
    """Return a variable that is read when it is indexed.

    Parameters
    ----------
    dims, shape
        Dimensions and their sizes.
    read
        Function that reads the values; see `OnDemand`.
    dtype
        Type of the values; rates are float32.

    Examples
    --------
    >>> import numpy as np
    >>> squares = lazy_variable(("x",), (1_000_000,), lambda x: x**2, np.int64)
    >>> squares[10:13].values.tolist()
    [100, 121, 144]
    """
    return xr.Variable(dims, indexing.LazilyIndexedArray(OnDemand(shape, read, dtype)))


def guarded(dataset: xr.Dataset, guard: Guard) -> None:
    """Set the context in which the lazy variables of a dataset are read.

    Parameters
    ----------
    dataset
        The dataset, changed in place.
    guard
        Returns a context manager, e.g. one that names the file in errors.

    Examples
    --------
    >>> import numpy as np
    >>> squares = lazy_variable(("x",), (4,), lambda x: x**2, np.int64)
    >>> guarded(xr.Dataset({"squares": squares}), nullcontext)
    """
    for variable in dataset.variables.values():
        on_demand = getattr(variable._data, "array", None)
        if isinstance(on_demand, OnDemand):
            on_demand.guard = guard


def read_with(dataset: xr.Dataset, guard: Guard) -> xr.Dataset:
    """Read the variables that another library reads on access in a context, as `guarded` does.

    Parameters
    ----------
    dataset
        The dataset, changed in place and returned.
    guard
        As for `guarded`.

    Examples
    --------
    >>> import numpy as np
    >>> squares = lazy_variable(("x",), (4,), lambda x: x**2, np.int64)
    >>> read_with(xr.Dataset({"squares": squares}), nullcontext)["squares"].values.tolist()
    [0, 1, 4, 9]
    """
    for variable in dataset.variables.values():
        if not is_in_memory(variable):
            array = OnDemand(variable.shape, _Picked(variable.copy(deep=False)), variable.dtype)
            array.guard = guard
            lazily: Any = indexing.LazilyIndexedArray(array)
            variable._data = lazily
    return dataset


class _Picked:
    """Values of a variable at the outer product of indices; a class, which pickle can copy."""

    def __init__(self, variable: xr.Variable) -> None:
        self._variable = variable

    def __call__(self, *places: Places) -> npt.NDArray[Any]:
        # of consecutive values libraries read a slice much faster than a list
        key = tuple(
            slice(int(part[0]), int(part[-1]) + 1) if part[-1] - part[0] + 1 == part.size else part
            for part in places
        )
        return np.asarray(self._variable[key])


def kept_in_memory(dataset: xr.Dataset) -> xr.Dataset:
    """Keep lazy variables in memory once they are read completely, as xarray does for files.

    Parameters
    ----------
    dataset
        The dataset, changed in place and returned.

    Examples
    --------
    >>> import numpy as np
    >>> squares = lazy_variable(("x",), (4,), lambda x: x**2, np.int64)
    >>> kept_in_memory(xr.Dataset({"squares": squares}))["squares"].values.tolist()
    [0, 1, 4, 9]
    """
    for variable in dataset.variables.values():
        if not is_in_memory(variable):
            copy: Any = indexing.CopyOnWriteArray(variable._data)
            cached: Any = indexing.MemoryCachedArray(copy)  # type: ignore[no-untyped-call]
            variable._data = cached
    return dataset


def is_in_memory(variable: xr.Variable) -> bool:
    """Return whether a variable's values are in memory, and not in a file.

    Examples
    --------
    >>> is_in_memory(xr.Variable("x", [1, 2]))
    True
    """
    # xarray has no public name for this: `nbytes` and `chunks` are the same either way
    return bool(variable._in_memory)


def runs(places: Places) -> Iterator[tuple[slice, slice]]:
    """Split indices into runs of consecutive ones, which are read at once.

    Parameters
    ----------
    places
        Ascending indices, ``(index,)``.

    Yields
    ------
    tuple of slice
        The run's position among the indices, and the indices themselves.

    Examples
    --------
    >>> import numpy as np
    >>> [(at.start, of.start, of.stop) for at, of in runs(np.array([4, 5, 6, 9]))]
    [(0, 4, 7), (3, 9, 10)]
    """
    # consecutive indices are one slice, which HDF5 reads much faster than a list
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    bounds = [0, *breaks.tolist(), places.size]
    for start, stop in pairwise(bounds):
        first = int(places[start])
        yield slice(start, stop), slice(first, first + stop - start)
