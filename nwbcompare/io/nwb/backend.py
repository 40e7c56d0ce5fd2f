"""The xarray engine: ``xr.open_dataset(f, engine="nwbcompare")`` and ``xr.open_datatree``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint

from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.nwb.generic import Selection
from nwbcompare.io.nwb.read import open_lazily
from nwbcompare.io.sessions.session import Reading

CHUNK_BYTES = 128_000_000
"""Size of dask chunks with ``chunks={}`` (bytes): whole trials, as many as fit."""


class TableColumn(xr.Variable):
    """A column that stays a plain array in memory.

    xarray wraps the arrays of a backend and splits them into dask chunks, and cannot group by a
    chunked column.
    """

    @property
    def data(self) -> Any:
        """Values of the column."""
        return super().data

    @data.setter
    def data(self, data: Any) -> None:
        self._data = np.asarray(data)


class NwbBackend(BackendEntrypoint):
    """The xarray engine "nwbcompare", which opens NWB files as `nwbcompare.open` does.

    ``engine="nwbcompare"`` is required, since xarray's netCDF engine claims all HDF5 files.
    Options are those of `nwbcompare.open` (``align``, ``window``, ``bin``, ``smooth``, ``task``,
    ``conditions``, ``epochs``, ``series``, ``trials``, ``transpose``, ``ragged``). Trial columns
    and the unit table are in memory, also with ``chunks=``; rates are read when they are indexed.

    Examples
    --------
    >>> import tempfile, xarray as xr, nwbcompare as nc
    >>> from pathlib import Path
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nc.write_nwb(example_block(), Path(folder) / "example.nwb")
    ...     with xr.open_dataset(path, engine="nwbcompare") as block:
    ...         dict(block["rate"].groupby("direction").mean().sizes)
    {'direction': 4, 'time': 5, 'unit': 3}
    """

    description = "NWB files with trials, as labelled arrays aligned to an event"
    supports_groups = True
    # listed, since xarray cannot read them from a signature with keyword arguments
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        *("filename_or_obj", "drop_variables", "group"),
        *(option.name for option in fields(Selection)),
        *(option.name for option in fields(Reading)),
    )

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        **reading: Any,
    ) -> xr.Dataset:
        """Open the only block of a file, or the block ``group``."""
        blocks = open_lazily(filename_or_obj, **reading).children
        if group is None and len(blocks) == 1:
            group = next(iter(blocks))
        name = "" if group is None else group.strip("/")
        if name not in blocks:
            raise InputError(
                f"{filename_or_obj}: group",
                f"one of {listing(blocks)}",
                repr(group),
                "Pass group=, or use xr.open_datatree(..., engine='nwbcompare').",
            )
        return _opened(blocks[name].to_dataset(), drop_variables)

    def open_datatree(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        **reading: Any,
    ) -> xr.DataTree:
        """Open all blocks of a file."""
        groups = self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables, **reading)
        return xr.DataTree.from_dict(groups)

    def open_groups_as_dict(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        **reading: Any,
    ) -> dict[str, xr.Dataset]:
        """Open all blocks of a file, by the path of their group."""
        blocks = open_lazily(filename_or_obj, **reading).children
        return {
            f"/{name}": _opened(leaf.to_dataset(), drop_variables) for name, leaf in blocks.items()
        }

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return whether a file's name ends in .nwb."""
        return isinstance(filename_or_obj, str | os.PathLike) and (
            Path(filename_or_obj).suffix == ".nwb"
        )


def _opened(block: xr.Dataset, drop_variables: str | Iterable[str] | None) -> xr.Dataset:
    names = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
    dataset = block.drop_vars(names, errors="ignore")
    for name, column in dataset.coords.items():
        if name not in dataset.indexes:
            # assigning a coordinate would make it a plain variable again
            dataset._variables[name] = TableColumn(column.dims, column.values, column.attrs)
    for variable in dataset.data_vars.values():
        if variable.nbytes > CHUNK_BYTES:
            rows = variable.dims[0]
            at_once = max(1, CHUNK_BYTES * variable.sizes[rows] // variable.nbytes)
            variable.encoding["preferred_chunks"] = {rows: at_once}
    return dataset
