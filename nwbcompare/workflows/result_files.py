"""Results of analyses in files that other programs read: netCDF, CSV, JSON, Parquet."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nwbcompare.core.activity import labels
from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.files import check_output, written_aside
from nwbcompare.core.plain_text import plain_text

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".nc", ".csv", ".json", ".parquet")
SCHEMA = {"schema": "nwbcompare-result", "version": 1}
"""First keys of a result as JSON; docs/results.md describes the others."""


def check_result_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Check before a computation that a result can be written to a path.

    Raises
    ------
    InputError
        For another suffix than those of `SUFFIXES`, a path that cannot be written, and ".parquet"
        without pyarrow.
    """
    checked = check_output(path, overwrite=overwrite)
    if checked.suffix not in SUFFIXES:
        raise InputError(
            "--out",
            f"a file ending in {listing(SUFFIXES)}",
            repr(str(path)),
            "The suffix chooses the format: use result.csv for a table.",
        )
    if checked.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise InputError(
            "--out",
            "pyarrow, which writes .parquet",
            "an installation without it",
            "pip install 'nwbcompare[tables]', or use result.csv.",
        )
    return checked


def write_result(
    result: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a result in the format of the file's suffix.

    Parameters
    ----------
    result
        A labelled result, such as that of `nwbcompare.task_variance`.
    path
        The file; see `result_table` for ".csv" and ".parquet", `result_json` for ".json".
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        As `check_result_path`.
    """
    checked = check_result_path(path, overwrite=overwrite)
    if checked.suffix == ".nc":
        from nwbcompare.core.hdf5_output import write_netcdf  # noqa: PLC0415 - loads h5py

        write_netcdf(result, checked, overwrite=overwrite)
        return
    with written_aside(checked, overwrite=overwrite) as aside:
        if checked.suffix == ".json":
            aside.write_text(json_text(result) + "\n", encoding="utf-8")
        elif checked.suffix == ".csv":
            table = result_table(result).to_csv(index=False, lineterminator="\n")
            aside.write_text(plain_text(table), encoding="utf-8", newline="\n")
        else:
            result_table(result).to_parquet(aside, index=False, engine="pyarrow")


def result_table(result: xr.Dataset) -> pd.DataFrame:
    """Return a result as one tidy table: a row for each unit and task, a column for each variable.

    Parameters
    ----------
    result
        A labelled result. What does not vary along a dimension is repeated.

    Returns
    -------
    pandas.DataFrame
        Dimensions first, then variables, then the other columns of the unit table.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> from nwbcompare.testing import example_block
    >>> list(result_table(nc.task_variance(example_block())))[:3]
    ['unit', 'task', 'task_variance']
    """
    # those with units first: rows of one unit stay together
    dims = sorted(map(str, result.sizes), key=lambda name: name != "unit")
    texts = {name: (column.dims, labels(column)) for name, column in result.coords.items()}
    table = result.assign_coords(texts).to_dataframe(dim_order=dims).reset_index()
    others = [str(name) for name in result.coords if name not in dims]
    return table[[*dims, *map(str, result.data_vars), *others]]


def result_json(result: xr.Dataset) -> dict[str, Any]:
    """Return a result as plain values; numbers that are not finite are None.

    Parameters
    ----------
    result
        A labelled result.

    Returns
    -------
    dict
        ``schema`` and ``version``; ``attrs``, in which nothing is JSON in text; ``coords`` and
        ``values``, by name ``dims``, ``values`` (nested lists in the order of ``dims``) and, where
        they have some, ``units``.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> from nwbcompare.testing import example_block
    >>> plain = result_json(nc.task_variance(example_block()))
    >>> plain["version"], plain["attrs"]["leave_out"], plain["coords"]["unit"]["dims"]
    (1, ['fix1'], ['unit'])
    """
    return {
        **SCHEMA,
        "attrs": {str(name): _plain_attr(value) for name, value in result.attrs.items()},
        "coords": {str(name): _plain(column) for name, column in result.coords.items()},
        "values": {str(name): _plain(column) for name, column in result.data_vars.items()},
    }


def json_text(result: xr.Dataset) -> str:
    """Return a result as the text of a JSON file."""
    return json.dumps(result_json(result), allow_nan=False)


def _plain(column: xr.DataArray) -> dict[str, Any]:
    values = labels(column)
    if values.dtype.kind == "f":
        # JSON has no NaN
        known = np.isfinite(values)
        values = values.astype(object)
        values[~known] = None
    plain: dict[str, Any] = {"dims": list(map(str, column.dims)), "values": values.tolist()}
    return plain | ({"units": str(column.attrs["units"])} if "units" in column.attrs else {})


def _plain_attr(value: Any) -> Any:
    """Return an attribute as plain values; netCDF has those of tables and lists as JSON in text."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, str) and (value[:1] in '[{"' or value in {"null", "true", "false"}):
        try:
            return parse_json(value)
        except ValueError:
            return value
    return value
