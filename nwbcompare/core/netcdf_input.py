"""netCDF files of others: read first in a process of their own, guarded as other HDF5 files are."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.first_reading import read_first
from nwbcompare.core.hdf5_input import (
    MOST_BYTES,
    MOST_OBJECTS,
    address,
    check_size,
    damaged,
    is_plain,
    members,
    named,
    read_column,
)

EXPECTED = "a whole netCDF file of an activity (HDF5)"
SEAL = b"nwbcompare sha256 "
SEAL_BYTES = len(SEAL) + 64
NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
"""How netCDF marks a dataset that only declares the size of a dimension."""


def check_netcdf(path: Path) -> None:
    """Check a netCDF file of others before it is opened.

    Another process follows every link, reads all attributes and small variables, and looks up all
    pieces of large ones; see `nwbcompare.core.first_reading`.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If the file is damaged, ends or holds up the process that reads it, has links or data
        outside its folder, groups in a circle, types other than numbers and texts, or declares more
        data than it holds.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from nwbcompare.testing import example_block
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.nc"
    ...     example_block().to_netcdf(file, engine="h5netcdf")
    ...     check_netcdf(file)
    """
    read_first(read_netcdf, path, EXPECTED)


def read_netcdf(path: Path) -> None:
    """Read all that a netCDF file declares, as `check_netcdf` does in another process.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        As `check_netcdf`; what crashes or hangs does so here.
    """
    # reads what the guard before it does not: attributes, and the dimensions of variables
    import h5netcdf  # noqa: PLC0415 - in the other process only

    with named(path, expected=EXPECTED), h5py.File(path, "r") as file:
        for variable in _variables(file):
            _read(variable)
    with named(path, expected=EXPECTED), h5netcdf.File(path, "r") as file:
        _read_declared(file)


def check_links(path: Path) -> None:
    """Check in this process that a netCDF file has all its data in its own folder.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If the file is damaged, or as `nwbcompare.core.hdf5_input.member`.
    """
    with named(path, expected=EXPECTED), h5py.File(path, "r") as file:
        for variable in _variables(file):
            _check_declared(variable)


def seal(path: Path) -> None:
    """Append a checksum to a file of this package, which readers of HDF5 do not look at.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "tv.nc"
    ...     _ = file.write_bytes(b"results")
    ...     seal(file)
    ...     is_sealed(file)
    True
    """
    # on a full disk the file stays without: it is whole, and only read more slowly
    with suppress(OSError), path.open("ab") as file:
        file.write(SEAL + sha256_of_file(path).encode())


def is_sealed(path: Path) -> bool:
    """Return whether a file has the bytes that it was sealed with, and so no damage."""
    if path.stat().st_size <= SEAL_BYTES:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        body, end = memoryview(content)[:-SEAL_BYTES], content[-SEAL_BYTES:]
        with body:
            return end == SEAL + hashlib.sha256(body).hexdigest().encode()


class RememberingFile(h5py.File):  # type: ignore[misc]
    """An HDF5 file to read, in which each path is looked up once.

    h5netcdf looks a variable up again for each of its properties, which takes most of the
    time of reading a file of many small variables.
    """

    def __init__(self, path: Path) -> None:
        self._found: dict[str, Any] = {}
        super().__init__(path, "r")

    def __getitem__(self, name: Any) -> Any:
        if not isinstance(name, str):
            return super().__getitem__(name)
        if name not in self._found:
            self._found[name] = super().__getitem__(name)
        return self._found[name]


def walk(group: h5py.Group) -> list[Any]:
    """Return all groups and datasets below a group, by links that are checked.

    Raises
    ------
    InputError
        For groups in a circle, more than 20,000 objects, and as
        `nwbcompare.core.hdf5_input.member`.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> [item.name for item in walk(file)]
    ['/units', '/units/id']
    """
    found: list[Any] = []
    groups = [group]
    seen = {address(group)}
    while groups:
        for item in members(groups.pop()).values():
            found.append(item)
            if isinstance(item, h5py.Group):
                if address(item) in seen:
                    raise damaged(item, "each group once", "groups in a circle")
                seen.add(address(item))
                groups.append(item)
            if len(found) > MOST_OBJECTS:
                raise damaged(group, f"at most {MOST_OBJECTS:,} groups and variables", "more")
    return found


def _variables(file: h5py.File) -> Iterator[h5py.Dataset]:
    """Yield all datasets with values, after a check of all links."""
    for item in walk(file):
        if isinstance(item, h5py.Dataset) and _is_variable(item):
            yield item


def _is_variable(data: h5py.Dataset) -> bool:
    """Return whether a dataset has values, and does not only declare a dimension."""
    if "NAME" not in data.attrs or data.attrs.get_id("NAME").get_storage_size() > 1000:
        return True
    return not bytes(data.attrs["NAME"]).startswith(NO_VARIABLE)


def _check_declared(data: h5py.Dataset) -> int:
    """Check type and size of a variable; return its size in bytes."""
    if not is_plain(data):
        raise damaged(data, "numbers or texts", "nothing or another type")
    n_bytes: int = math.prod(data.shape) * data.dtype.itemsize
    check_size(data, n_bytes)
    return n_bytes


def _read(data: h5py.Dataset) -> None:
    """Read a small variable, and look up the pieces of a large one."""
    n_bytes = _check_declared(data)
    is_text = h5py.check_string_dtype(data.dtype) is not None
    if is_text and data.ndim == 1:
        read_column(data)
    elif n_bytes <= MOST_BYTES // 4:
        data[()]
    elif data.chunks is not None:
        data.id.chunk_iter(lambda _: None)


def _read_declared(group: Any) -> None:
    """Read the attributes and the dimensions of all variables, as xarray does."""
    dict(group.attrs)
    dict(group.dimensions)
    for variable in group.variables.values():
        dict(variable.attrs)
        if len(variable.dimensions) != len(variable.shape):
            raise InputError(
                f"{variable.name}", "a name for each dimension", "fewer", "The file is damaged."
            )
    for child in group.groups.values():
        _read_declared(child)
