"""Native files (of `write_nwb`): the blocks that were written, bit for bit, read when indexed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.hdf5_input import (
    check_stored,
    dataset,
    is_stored,
    location_of,
    member,
    opened,
    read_column,
    scalar,
)
from nwbcompare.core.lazy import Places, lazy_variable, runs
from nwbcompare.core.remote_path import Location
from nwbcompare.io.nwb.format_names import EPOCHS, FORMAT_VERSION, MODULE, SCHEMA, UNIT_TABLES
from nwbcompare.io.nwb.generic import read_block
from nwbcompare.io.nwb.trial_tables import TRIALS, find_trials

Schema = dict[str, Any]
LAYOUTS = ("dense", "ragged", "spikes")
PLAIN_TYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|[<>=|]?([biuf][1-8]|U\d{1,9})")
"""Types of columns; other texts are not passed to numpy, which parses them as Python code."""


def read_schema(file: h5py.File, path: Location) -> Schema | None:
    """Read the description of the blocks in a native file.

    Parameters
    ----------
    file
        The open file.
    path
        Its path, for messages.

    Returns
    -------
    dict or None
        The description in the present format; None if the file is not native.

    Raises
    ------
    InputError
        If the format is newer, or a layout is unknown.
    """
    text = scalar(file, f"scratch/{SCHEMA}")
    if text is None:
        return None
    schema = json.loads(text)
    version = schema["format_version"]
    # a newer version may mean something else by the same keys
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InputError(
            str(path),
            f"format version {FORMAT_VERSION} or older",
            str(version),
            "Upgrade nwbcompare.",
        )
    schema = UPGRADES[version](schema)
    for leaf in schema["leaves"]:
        if leaf["layout"] not in LAYOUTS:
            raise InputError(
                # shortened, since damaged text may be of any length
                f"{path}: layout of {leaf['name']!r:.50}",
                f"one of {listing(LAYOUTS)}",
                f"{leaf['layout']!r:.50}",
                "The file was changed or damaged: write it again.",
            )
    return schema


def _from_version_1(schema: Schema) -> Schema:
    """Convert a description of version 1, which had dense blocks only."""
    row = sample = 0
    for leaf in schema["leaves"]:
        leaf |= {
            "layout": "dense",
            "n_rows": leaf.pop("n_trials"),
            "first_row": row,
            "first_sample": sample,
            "unit_table": UNIT_TABLES["model"],
            "series": {
                name: {"path": "hidden_rate" if name == "rate" else name, "dims": dims}
                for name, dims in leaf["series"].items()
            },
        }
        row += leaf["n_rows"]
        sample += leaf["n_rows"] * len(leaf["time"])
    return schema


UPGRADES: dict[int, Callable[[Schema], Schema]] = {1: _from_version_1, 2: lambda schema: schema}
"""Conversion of the description to the present format, by version."""


def has_rates(schema: Schema) -> bool:
    """Return whether a file's blocks are stored as rates, and not as spike times.

    Examples
    --------
    >>> has_rates({"leaves": [{"layout": "dense"}]})
    True
    """
    return all(leaf["layout"] != "spikes" for leaf in schema["leaves"])


def read_blocks(file: h5py.File, path: Location, schema: Schema) -> dict[str, xr.Dataset]:
    """Return the blocks of a native file by leaf; rates are read when they are indexed.

    Parameters
    ----------
    file, path
        The open file, and its path.
    schema
        Its description; see `read_schema`.

    Raises
    ------
    InputError
        If tables or series do not have the sizes of the description.
    """
    rows = dataset(find_trials(file, path, TRIALS), "start_time").shape[0]
    # a trials table that another program changed no longer matches the series
    expected = sum(leaf["n_rows"] for leaf in schema["leaves"])
    if expected != rows:
        raise InputError(
            str(path), f"{expected} trials", f"{rows}", "The trials table was changed."
        )
    for name in {name for leaf in schema["leaves"] for name in leaf["trial_columns"]}:
        data = dataset(file, f"intervals/trials/{name}")
        if data.shape != (rows,):
            raise InputError(
                f"{path}: {data.name}", f"{rows} values", f"{data.shape}", "The table was changed."
            )
    return {leaf["name"]: _block(file, path, leaf) for leaf in schema["leaves"]}


def _block(file: h5py.File, path: Location, leaf: dict[str, Any]) -> xr.Dataset:
    row = "observation" if leaf["layout"] == "ragged" else "trial"
    variables = leaf["variables"]
    table = slice(leaf["first_row"], leaf["first_row"] + leaf["n_rows"])
    coords: dict[str, Any] = {"time": ("time", np.array(leaf["time"], dtype=np.float64))}
    for name in leaf["unit_columns"]:
        values = read_column(dataset(file, f"processing/{MODULE}/{leaf['unit_table']}/{name}"))
        coords[name] = ("unit", restored(values, variables[name]))
    for name in leaf["trial_columns"]:
        values = read_column(dataset(file, f"intervals/trials/{name}"), table)
        coords[name] = (row, restored(values, variables[name]))
    if leaf["epochs"]:
        coords |= _epochs(file, leaf, row)
    coords |= {dim: (dim, np.array(names)) for dim, names in leaf["channels"].items()}
    data = {
        name: _series(file, path, leaf, series["path"], tuple(series["dims"]))
        for name, series in leaf["series"].items()
    }
    block = xr.Dataset(data, coords=coords, attrs=leaf["attrs"])
    for name, description in variables.items():
        block[name].attrs.update(description["attrs"])
    return block.rename(leaf.get("renamed", {}))


def _series(
    file: h5py.File, path: Location, leaf: dict[str, Any], name: str, dims: tuple[str, ...]
) -> xr.Variable:
    data = dataset(file, f"processing/{MODULE}/{name}/data")
    n_rows, n_bins = leaf["n_rows"], len(leaf["time"])
    stop = leaf["first_sample"] + n_rows * n_bins
    whole = data.ndim == 2 and data.dtype.kind == "f" and 0 <= leaf["first_sample"] <= stop
    # libhdf5 reads unwritten data as 0, which would be taken for silence
    if not whole or stop > data.shape[0] or n_rows < 1 or n_bins < 1 or not is_stored(data):
        raise InputError(
            f"{path}: {data.name}",
            f"at least {stop} samples (time x channel)",
            f"{data.dtype} {data.shape}",
            "The file was changed or damaged: write it again.",
        )
    check_stored(data, n_rows * n_bins * data.shape[1] * data.dtype.itemsize)
    reader = StreamOfTrials(location_of(data), data.name, leaf["first_sample"], n_bins)
    if leaf["layout"] == "ragged":
        return lazy_variable(dims, (n_rows, n_bins), reader)
    return lazy_variable(dims, (n_rows, n_bins, data.shape[1]), reader)


@dataclass(frozen=True)
class StreamOfTrials:
    """Reader of trials that lie end to end in a series, ``(sample, channel)``.

    Attributes
    ----------
    path, name
        The file, and the dataset of the series.
    first_sample
        First sample of the block.
    n_bins
        Number of bins of a trial.
    """

    path: Location
    name: str
    first_sample: int
    n_bins: int

    def __call__(
        self, trials: Places, times: Places, channels: Places | None = None
    ) -> npt.NDArray[np.float32]:
        """Return values ``(trial, time, channel)``, or ``(observation, time)`` without channels."""
        columns = np.zeros(1, dtype=np.int64) if channels is None else channels
        # all bins in order are the common case, which needs no index
        whole = times.size == self.n_bins and bool((np.diff(times) == 1).all())
        values = np.empty((trials.size, times.size, columns.size), dtype=np.float32)
        with opened(self.path) as file:
            data = dataset(file, self.name)
            for at, of in runs(trials):
                start = self.first_sample + of.start * self.n_bins
                part = slice(start, start + (of.stop - of.start) * self.n_bins)
                stream = read_block(data, part, columns)
                trialwise = stream.reshape(of.stop - of.start, self.n_bins, columns.size)
                values[at] = trialwise if whole else trialwise[:, times]
        return values if channels is not None else values[:, :, 0]


def restored(values: npt.NDArray[Any], column: dict[str, Any]) -> npt.NDArray[Any]:
    """Return a column with the type, and for text the codes, that it had when it was written.

    Parameters
    ----------
    values
        Values in the file, ``(row,)``.
    column
        Its description: ``dtype``, and ``attrs``, with ``categories`` of a text column.

    Raises
    ------
    TypeError, ValueError
        If the values cannot have this type.

    Examples
    --------
    >>> column = {"dtype": "int16", "attrs": {"categories": '["left", "right"]'}}
    >>> restored(np.array(["right", "left"]), column).tolist()
    [1, 0]
    """
    if not PLAIN_TYPE.fullmatch(column["dtype"]):
        raise TypeError(f"a column of type {column['dtype']!r:.50}")
    dtype, attrs = np.dtype(column["dtype"]), column["attrs"]
    textual = dtype.kind == "U" or "categories" in attrs
    if (values.dtype.kind == "U") != textual:
        raise TypeError(f"{values.dtype} as {dtype}")
    if "categories" in attrs:
        code = {text: place for place, text in enumerate(json.loads(attrs["categories"]))}
        values = np.array([code[str(value)] for value in values])
    elif dtype.kind == "U":
        # with the width of the texts: one from the file could require any amount of memory
        return values.astype(str)
    # values that do not fit are detected by the comparison below
    with np.errstate(all="ignore"):
        plain: npt.NDArray[Any] = values.astype(dtype)
    if not np.array_equal(plain, values, equal_nan=values.dtype.kind == "f"):
        raise ValueError(f"values of {values.dtype} that are no {dtype}")
    return plain


def _epochs(file: h5py.File, leaf: dict[str, Any], row: str) -> dict[str, Any]:
    coords: dict[str, Any] = {"epoch": ("epoch", np.array(leaf["epochs"]))}
    bounds = epoch_bounds(file, leaf["epochs"], leaf["first_row"], leaf["n_rows"])
    for name, times in zip(("epoch_start_time", "epoch_stop_time"), bounds, strict=True):
        coords[name] = ((row, "epoch"), times)
    return coords


def epoch_bounds(
    file: h5py.File, names: list[str], first_row: int, n_rows: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read start and stop of epochs relative to the event (s).

    Parameters
    ----------
    file
        The open file.
    names
        Names of the epochs.
    first_row, n_rows
        Rows of the trials table.

    Returns
    -------
    start, stop : array, (row, epoch)
        Times (s); NaN in trials without the epoch.
    """
    # epochs that a trial lacks stay NaN
    start, stop = np.full((2, n_rows, len(names)), math.nan)
    if member(file, f"intervals/{EPOCHS}") is None:
        return start, stop
    kinds = {"trial": "iu", "epoch": "U", "start_from_event": "f", "stop_from_event": "f"}
    columns = {}
    for name, kind in kinds.items():
        columns[name] = read_column(dataset(file, f"intervals/{EPOCHS}/{name}"))
        if columns[name].dtype.kind not in kind:
            raise TypeError(f"{name} is {columns[name].dtype}")
    rows = columns["trial"].astype(np.int64) - first_row
    place = {name: index for index, name in enumerate(names)}
    is_listed = np.array([name in place for name in columns["epoch"].tolist()], dtype=bool)
    inside = np.flatnonzero((rows >= 0) & (rows < n_rows) & is_listed)
    where = [place[epoch] for epoch in columns["epoch"][inside].tolist()]
    start[rows[inside], where] = columns["start_from_event"][inside]
    stop[rows[inside], where] = columns["stop_from_event"][inside]
    return start, stop
