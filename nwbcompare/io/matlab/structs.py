"""MATLAB files as plain values: structs, cells, text and arrays, of versions 5 and 7.3."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError
from nwbcompare.io.matlab.mat5 import check_mat5

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512, 1024)
"""MATLAB puts a header of 512 bytes before an HDF5 file."""
UNREADABLE = (
    zlib.error,
    ValueError,
    TypeError,
    OSError,
    NotImplementedError,
    LookupError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
    AttributeError,
)
"""What the readers raise on damaged or foreign bytes, besides scipy's own error."""


class Struct(Mapping[str, Any]):
    """A struct, whose fields are converted when they are looked at.

    Parameters
    ----------
    fields
        For each field a function that gives its value.
    """

    def __init__(self, fields: Mapping[str, Callable[[], Any]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]()

    def __contains__(self, name: object) -> bool:
        # the inherited one would read the field
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


@contextmanager
def opened_mat(path: str | os.PathLike[str]) -> Iterator[Struct]:
    """Open a MATLAB file as a struct of its variables.

    Structs are `Struct`, arrays of structs and cells are lists (of lists where they have two
    dimensions), text is text, and numbers are arrays with MATLAB's dimensions.

    Parameters
    ----------
    path
        The file, of version 5 or 7.3.

    Yields
    ------
    Struct
        The variables; what is looked at has to be looked at while the file is open.

    Raises
    ------
    InputError
        Where it is no such file, or damaged; the file is named.
    """
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(str(path), "a MATLAB file", got, "Check the path.")
    from scipy.io.matlab import MatReadError  # noqa: PLC0415 - slow to import

    try:
        if _is_hdf5(path):
            with h5py.File(path, "r") as file:
                yield Struct({k: _hdf5_field(file, k) for k in file if not k.startswith("#")})
        else:
            yield _mat5(path)
    except InputError:
        raise
    except (MatReadError, *UNREADABLE) as error:
        raise InputError(
            str(path),
            "a MATLAB file",
            f"one that cannot be read ({type(error).__name__}: {error})",
            "It is truncated, damaged or another kind of file: obtain it again.",
        ) from error


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HDF5_OFFSETS[-1] + len(HDF5_MAGIC))
    return any(head[offset:].startswith(HDF5_MAGIC) for offset in HDF5_OFFSETS)


def _mat5(path: Path) -> Struct:
    from scipy.io import loadmat  # noqa: PLC0415
    from scipy.io.matlab import whosmat  # noqa: PLC0415

    check_mat5(path)

    @cache
    def read(name: str) -> Any:
        # one variable at a time: others may be large
        return loadmat(path, variable_names=[name])[name]

    def field(name: str) -> Callable[[], Any]:
        return lambda: _plain(read(name))

    return Struct({name: field(name) for name, _, _ in whosmat(path)})


def _plain(value: Any) -> Any:
    """Convert what scipy gives."""
    if hasattr(value, "toarray"):
        return _filled(value)
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
    def field(name: str) -> Callable[[], Any]:
        return lambda: _plain(record[name])

    return Struct({name: field(name) for name in record.dtype.names})


def _nested(values: npt.NDArray[Any], convert: Callable[[Any], Any], *, unwrap: bool = True) -> Any:
    """Give the elements of a struct array or a cell; a lone struct is no list."""
    if unwrap and values.size == 1:
        return convert(values.ravel()[0])
    if values.ndim == 2 and min(values.shape) > 1:
        return [[convert(item) for item in row] for row in values]
    # in MATLAB's order, where elements have more dimensions
    return [convert(item) for item in values.ravel(order="F")]


def _hdf5_field(group: h5py.Group, name: str) -> Callable[[], Any]:
    return lambda: _from_hdf5(group[name])


def _from_hdf5(item: Any) -> Any:
    """Convert a dataset or a group of version 7.3, whose dimensions are MATLAB's reversed."""
    if isinstance(item, h5py.Group):
        return _from_group(item)
    kind = _text(item.attrs.get("MATLAB_class", b""))
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else [] if kind == "cell" else np.empty((0, 0))
    if h5py.check_ref_dtype(item.dtype) is not None:
        references = item[()].T
        return _nested(references, lambda ref: _from_hdf5(item.file[ref]), unwrap=False)
    values = np.asarray(item[()]).T
    if kind == "char":
        lines = ["".join(map(chr, row)) for row in np.atleast_2d(values)]
        return lines[0] if len(lines) == 1 else lines
    return values.astype(bool) if kind == "logical" else values


def _from_group(group: h5py.Group) -> Any:
    if "MATLAB_sparse" in group.attrs:
        return _sparse(group)
    fields = {name: group[name] for name in group}
    shapes = {item.shape for item in fields.values() if _is_of_elements(item)}
    if not fields or len(shapes) != 1 or not all(map(_is_of_elements, fields.values())):
        return Struct({name: _hdf5_field(group, name) for name in fields})
    # an array of structs: each field has a reference for each element
    references = {name: item[()].T for name, item in fields.items()}
    places = np.arange(int(np.prod(shapes.pop()))).reshape(next(iter(references.values())).shape)

    def element(place: int) -> Struct:
        def field(name: str) -> Callable[[], Any]:
            return lambda: _from_hdf5(group.file[references[name].ravel()[place]])

        return Struct({name: field(name) for name in references})

    return _nested(places, element)


def _is_of_elements(item: Any) -> bool:
    """Tell a field of an array of structs from a cell, which says its class."""
    return (
        isinstance(item, h5py.Dataset)
        and h5py.check_ref_dtype(item.dtype) is not None
        and "MATLAB_class" not in item.attrs
    )


def _sparse(group: h5py.Group) -> npt.NDArray[Any]:
    from scipy.sparse import csc_array  # noqa: PLC0415 - slow to import

    starts = np.asarray(group["jc"][()], dtype=np.int64)
    if "data" not in group:
        return np.zeros((int(group.attrs["MATLAB_sparse"]), starts.size - 1))
    parts = (group["data"][()], np.asarray(group["ir"][()], dtype=np.int64), starts)
    whole = csc_array(parts, shape=(int(group.attrs["MATLAB_sparse"]), starts.size - 1))
    return _filled(whole)


def _filled(sparse: Any) -> npt.NDArray[Any]:
    """Fill in the zeros, once it is sure that all places lie inside."""
    sparse.check_format(full_check=True)
    return np.asarray(sparse.toarray())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def read_struct(file: Path, content: bytes, name: str) -> Any:
    """Read the one struct of a file.

    Parameters
    ----------
    file
        The file, for messages.
    content
        Its bytes.
    name
        The variable.

    Raises
    ------
    InputError
        For bytes that are no MATLAB 5 file, and a variable that is not there or no struct.
    """
    from scipy.io import loadmat  # noqa: PLC0415 - slow to import
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    try:
        variables = loadmat(io.BytesIO(content), variable_names=[name])
    except (MatReadError, *UNREADABLE) as error:
        raise InputError(
            str(file),
            "a MATLAB 5 file",
            f"one that cannot be read ({error})",
            "It is truncated or another kind of file: obtain it again.",
        ) from error
    struct = variables.get(name)
    if struct is None or struct.dtype.names is None or struct.size != 1:
        raise InputError(
            str(file),
            f"a variable {name!r} (1 x 1 struct)",
            "none",
            "This is no file of the archive: take it out of the folder.",
        )
    return struct.ravel()[0]
