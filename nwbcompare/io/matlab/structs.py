"""MATLAB files as plain values: structs, cells, text and arrays, of versions 5 and 7.3."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.available_memory import refuse_beyond_memory
from nwbcompare.core.files import check_file
from nwbcompare.core.first_reading import read_first
from nwbcompare.core.hdf5_input import (
    UNREADABLE,
    attribute,
    dataset,
    member,
    members,
    named,
    number,
    read_column,
    read_objects,
    referred,
)
from nwbcompare.io.matlab.mat5 import ANY_RATIO_BYTES, Variable, mat5_variables

EXPECTED = "a MATLAB file"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_SPARSE_RATIO = 1000
"""Factor by which sparse arrays above 500 MB may grow: five spikes a second in bins of 1 ms grow
133-fold."""
HDF5_OFFSETS = (0, 512, 1024)
"""MATLAB puts a header of 512 bytes before an HDF5 file."""


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


@contextmanager
def opened_mat(path: str | os.PathLike[str], *, only: Sequence[str] = ()) -> Iterator[Struct]:
    """Open a MATLAB file as a struct of its variables.

    Structs become `Struct`, cells and arrays of structs become lists (lists of lists where they
    have two dimensions), text becomes ``str``, and numbers become arrays with MATLAB's dimensions.
    This is the one reader of MATLAB files of this package: whatever it returns has been checked.

    Parameters
    ----------
    path
        The file, of version 5 or 7.3 (HDF5).
    only
        Names of the variables that are read; by default all. Large variables that are not needed
        cost nothing then. A variable that the file lacks is not among the result.

    Yields
    ------
    Struct
        The variables, each read when it is accessed, while the file is open.

    Raises
    ------
    InputError
        If the file is not a MATLAB file, is damaged, declares more data than it can hold or than
        fit in memory, or refers to data outside its folder. The message names the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from scipy.io import savemat
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cell7.mat"
    ...     savemat(path, {"unit": {"area": "PFC", "depth": 1.5}})
    ...     with opened_mat(path) as variables:
    ...         variables["unit"]["area"]
    'PFC'
    """
    path = check_file(path, EXPECTED)
    with _named(path):
        data = _mapped(path)
        # once for a file, however many of its variables are used
        if any(data[offset : offset + len(HDF5_MAGIC)] == HDF5_MAGIC for offset in HDF5_OFFSETS):
            read_first(read_objects, path, EXPECTED)
            with h5py.File(path, "r") as file:
                names = [k for k in file if not k.startswith("#") and (not only or k in only)]
                yield Struct({k: _hdf5_field(file, k) for k in names})
        else:
            read_first(read_variables, path, EXPECTED, *only)
            yield _variables(path, data, only)


def read_variables(path: Path, *only: str) -> None:
    """Read the variables of a file of version 5 or older, in a process that it may end.

    Parameters
    ----------
    path
        The file.
    *only
        Names of the variables; by default all.

    Raises
    ------
    InputError
        As `opened_mat`.
    """
    with _named(path):
        variables = mat5_variables(_mapped(path))
        # version 4 has one variable after another, without any packing
        for variable in _version_4(path).values() if variables is None else variables:
            if isinstance(variable, Variable) and (not only or variable.name in only):
                # one at a time, and none is kept
                variable.read()


def _named(path: Path) -> AbstractContextManager[None]:
    """Convert whatever fails while a MATLAB file is read into an error that names it."""
    from scipy.io.matlab import MatReadError  # noqa: PLC0415 - slow to import

    errors = (MatReadError, zlib.error, NotImplementedError, *UNREADABLE)
    return named(path, expected=EXPECTED, errors=errors)


def _mapped(path: Path) -> memoryview:
    """Return the bytes of a file, of which only those that are used are read."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _variables(path: Path, data: memoryview, only: Sequence[str]) -> Struct:
    """Return the variables of a file of version 5 or older."""
    variables = mat5_variables(data)
    if variables is None:
        return _version_4(path)
    named_ones = [v for v in variables if not only or v.name in only]
    return Struct({v.name: cache(partial(_read, v)) for v in named_ones})


def _read(variable: Variable) -> Any:
    return _plain(variable.read())


def _version_4(path: Path) -> Struct:
    from scipy.io import loadmat  # noqa: PLC0415 - slow to import
    from scipy.io.matlab import whosmat  # noqa: PLC0415

    def read(name: str) -> Any:
        # one variable at a time: others may be large
        return _plain(loadmat(path, variable_names=[name])[name])

    return Struct({name: partial(read, name) for name, _, _ in whosmat(path)})


def _plain(value: Any) -> Any:
    """Convert a value as scipy returns it."""
    if hasattr(value, "toarray"):
        return _dense(value)
    value = np.asarray(value)
    if value.dtype.names is not None:
        return _nested(value, _record)
    if value.dtype.kind == "O":
        return _nested(value, _plain, unwrap=False)
    if value.dtype.kind == "U":
        lines = [str(line) for line in value.ravel()] or [""]
        return lines[0] if len(lines) == 1 else lines
    return value


def _record(record: Any) -> Struct:
    return Struct({name: partial(_field, record, name) for name in record.dtype.names})


def _field(record: Any, name: str) -> Any:
    return _plain(record[name])


def _nested(values: npt.NDArray[Any], convert: Callable[[Any], Any], *, unwrap: bool = True) -> Any:
    """Return the elements of a struct array or a cell as lists; a lone struct as itself."""
    if unwrap and values.size == 1:
        return convert(values.ravel()[0])
    if values.ndim == 2 and min(values.shape) > 1:
        return [[convert(item) for item in row] for row in values]
    # in MATLAB's order, where elements have more dimensions
    return [convert(item) for item in values.ravel(order="F")]


def _hdf5_field(group: h5py.Group, name: str) -> Callable[[], Any]:
    return lambda: _from_hdf5(member(group, name))


def _from_hdf5(item: Any) -> Any:
    """Convert a dataset or a group of version 7.3, whose dimensions are MATLAB's reversed."""
    if isinstance(item, h5py.Group):
        return _from_group(item)
    kind = attribute(item, "MATLAB_class", "")
    if attribute(item, "MATLAB_empty", 0):
        # of an empty array version 7.3 stores the size, which would be read as values
        return "" if kind == "char" else [] if kind == "cell" else np.empty((0, 0))
    values = read_column(item).T
    if h5py.check_ref_dtype(item.dtype) is not None:
        return _nested(values, lambda ref: _from_hdf5(referred(item.parent, ref)), unwrap=False)
    if kind == "char":
        # version 7.3 stores letters as numbers, a row for each line
        lines = ["".join(map(chr, row)) for row in np.atleast_2d(values)]
        return lines[0] if len(lines) == 1 else lines
    return values.astype(bool) if kind == "logical" else values


def _from_group(group: h5py.Group) -> Any:
    if "MATLAB_sparse" in group.attrs:
        return _sparse(group)
    fields = members(group)
    shapes = {item.shape for item in fields.values() if _is_struct_array_field(item)}
    # version 7.3 stores a 1 x 1 struct and an array of structs alike, but for references in fields
    if not fields or len(shapes) != 1 or not all(map(_is_struct_array_field, fields.values())):
        return Struct({name: _hdf5_field(group, name) for name in fields})
    # an array of structs: each field has a reference for each element
    references = {name: read_column(item).T for name, item in fields.items()}
    places = np.arange(prod(shapes.pop())).reshape(next(iter(references.values())).shape)

    def element(place: int) -> Struct:
        def field(name: str) -> Callable[[], Any]:
            return lambda: _from_hdf5(referred(group, references[name].ravel()[place]))

        return Struct({name: field(name) for name in references})

    return _nested(places, element)


def _is_struct_array_field(item: Any) -> bool:
    """Return whether a dataset is a field of an array of structs; a cell has a class."""
    return (
        isinstance(item, h5py.Dataset)
        and h5py.check_ref_dtype(item.dtype) is not None
        and "MATLAB_class" not in item.attrs
    )


def _sparse(group: h5py.Group) -> npt.NDArray[Any]:
    from scipy.sparse import csc_array  # noqa: PLC0415 - slow to import

    def part(name: str) -> npt.NDArray[Any]:
        return read_column(dataset(group, name))

    starts = part("jc").astype(np.int64)
    shape = (int(number(group, "MATLAB_sparse", 0)), starts.size - 1)
    if "data" not in group:
        _check_dense(8 * prod(shape), starts.nbytes)
        # without any value but 0 there are neither data nor row indices
        return np.zeros(shape)
    return _dense(csc_array((part("data"), part("ir").astype(np.int64), starts), shape=shape))


def _dense(sparse: Any) -> npt.NDArray[Any]:
    """Return a sparse array with its zeros, after a check that all indices lie inside."""
    sparse.check_format(full_check=True)
    packed = sparse.data.nbytes + sparse.indices.nbytes + sparse.indptr.nbytes
    _check_dense(prod(sparse.shape) * sparse.dtype.itemsize, packed)
    return np.asarray(sparse.toarray())


def _check_dense(n_bytes: int, n_stored: int) -> None:
    """Check the size that a sparse array has with its zeros, which no file holds."""
    if n_bytes > max(ANY_RATIO_BYTES, n_stored * MOST_SPARSE_RATIO):
        raise ValueError(
            f"a sparse array of {n_stored:,} bytes has {n_bytes:,} with its zeros, more than "
            f"{MOST_SPARSE_RATIO} times as many"
        )
    refuse_beyond_memory(n_bytes)
