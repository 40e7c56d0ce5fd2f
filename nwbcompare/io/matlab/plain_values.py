"""Plain values of MATLAB variables: structs with lazy fields, and nested lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.lazy import refuse_beyond_memory


class Struct(Mapping[str, Any]):
    """A struct, whose fields are read and converted at access.

    Parameters
    ----------
    fields
        For each field a function that returns its value.

    Examples
    --------
    >>> Struct({"rate": lambda: 5.0})["rate"]
    5.0
    """

    def __init__(self, fields: Mapping[str, Callable[[], Any]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]()

    def __contains__(self, name: object) -> bool:
        # the inherited method would read the field
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def nested(items: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Return the elements of a cell or an array of structs as lists.

    Parameters
    ----------
    items
        The elements in MATLAB's order, in which the first index changes fastest.
    shape
        Sizes of the array.

    Returns
    -------
    list
        A list of rows if the array has two dimensions longer than 1, else one list.

    Examples
    --------
    >>> nested(["a", "b", "c", "d"], (2, 2)), nested(["a", "b"], (1, 2))
    ([['a', 'c'], ['b', 'd']], ['a', 'b'])
    """
    if len(shape) == 2 and min(shape) > 1:
        n_rows = shape[0]
        return [list(items[row::n_rows]) for row in range(n_rows)]
    return list(items)


def dense(sparse: Any) -> npt.NDArray[Any]:
    """Return a sparse array with its zeros, after a check that all indices lie inside.

    Parameters
    ----------
    sparse
        A sparse array of scipy.

    Raises
    ------
    ValueError
        If an index lies outside.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> dense(csc_array([[0, 2], [0, 0]])).tolist()
    [[0, 2], [0, 0]]
    """
    sparse.check_format(full_check=True)
    refuse_beyond_memory(prod(sparse.shape) * sparse.dtype.itemsize)
    return np.asarray(sparse.toarray())
