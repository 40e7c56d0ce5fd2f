"""Files that `write_nwb` made: rates come back bit for bit, read when they are looked at."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
    member,
    opened,
    read_column,
    scalar,
)
from nwbcompare.core.lazy import Places, lazy_variable, runs
from nwbcompare.io.nwb.format_names import EPOCHS, FORMAT_VERSION, MODULE, SCHEMA, UNIT_TABLES
from nwbcompare.io.nwb.generic import read_block, trials_table

Schema = dict[str, Any]
LAYOUTS = ("dense", "ragged", "spikes")
PLAIN_TYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|[<>=|]?([biuf][1-8]|U\d{1,9})")
"""Types of columns. numpy takes any text for a type, and Python's parser for some."""


def read_schema(file: h5py.File, path: Path) -> Schema | None:
    """Give what the file says of itself; None for a file from elsewhere.

    Raises
    ------
    InputError
        For a newer format, and for a text that is not of this package.
    """
    text = scalar(file, f"scratch/{SCHEMA}")
    if text is None:
        return None
    schema = json.loads(text)
    version = schema["format_version"]
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
                f"{path}: layout of {leaf['name']!r:.50}",
                f"one of {listing(LAYOUTS)}",
                f"{leaf['layout']!r:.50}",
                "The file was changed or damaged: write it again.",
            )
    return schema


def _from_version_1(schema: Schema) -> Schema:
    """Bring a file's description to the present form: version 1 had dense blocks only."""
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
"""For each version of the format, how its description is read today."""


def has_rates(schema: Schema) -> bool:
    """Tell whether a file's blocks are kept as rates, not as spikes."""
    return all(leaf["layout"] != "spikes" for leaf in schema["leaves"])


def read_blocks(file: h5py.File, path: Path, schema: Schema) -> dict[str, xr.Dataset]:
    """Give the blocks of a file by leaf.

    Raises
    ------
    InputError
        Where the tables or series do not fit what the file says of itself.
    """
    rows = dataset(trials_table(file, path), "start_time").shape[0]
    stated = sum(leaf["n_rows"] for leaf in schema["leaves"])
    if stated != rows:
        raise InputError(str(path), f"{stated} trials", f"{rows}", "The trials table was changed.")
    for name in {name for leaf in schema["leaves"] for name in leaf["trial_columns"]}:
        data = dataset(file, f"intervals/trials/{name}")
        if data.shape != (rows,):
            raise InputError(
                f"{path}: {data.name}", f"{rows} values", f"{data.shape}", "The table was changed."
            )
    return {leaf["name"]: _block(file, path, leaf) for leaf in schema["leaves"]}


def _block(file: h5py.File, path: Path, leaf: dict[str, Any]) -> xr.Dataset:
    row = "observation" if leaf["layout"] == "ragged" else "trial"
    about = leaf["variables"]
    table = slice(leaf["first_row"], leaf["first_row"] + leaf["n_rows"])
    coords: dict[str, Any] = {"time": ("time", np.array(leaf["time"], dtype=np.float64))}
    for name in leaf["unit_columns"]:
        values = read_column(dataset(file, f"processing/{MODULE}/{leaf['unit_table']}/{name}"))
        coords[name] = ("unit", restored(values, about[name]))
    for name in leaf["trial_columns"]:
        values = read_column(dataset(file, f"intervals/trials/{name}"), table)
        coords[name] = (row, restored(values, about[name]))
    if leaf["epochs"]:
        coords |= _epochs(file, leaf, row)
    coords |= {dim: (dim, np.array(names)) for dim, names in leaf["channels"].items()}
    data = {
        name: _series(file, path, leaf, series["path"], tuple(series["dims"]))
        for name, series in leaf["series"].items()
    }
    block = xr.Dataset(data, coords=coords, attrs=leaf["attrs"])
    for name, description in about.items():
        block[name].attrs.update(description["attrs"])
    return block.rename(leaf.get("renamed", {}))


def _series(
    file: h5py.File, path: Path, leaf: dict[str, Any], name: str, dims: tuple[str, ...]
) -> xr.Variable:
    data = dataset(file, f"processing/{MODULE}/{name}/data")
    n_rows, n_bins = leaf["n_rows"], len(leaf["time"])
    stop = leaf["first_sample"] + n_rows * n_bins
    whole = data.ndim == 2 and data.dtype.kind == "f" and 0 <= leaf["first_sample"] <= stop
    if not whole or stop > data.shape[0] or n_rows < 1 or n_bins < 1 or not is_stored(data):
        raise InputError(
            f"{path}: {data.name}",
            f"at least {stop} samples (time x channel)",
            f"{data.dtype} {data.shape}",
            "The file was changed or damaged: write it again.",
        )
    check_stored(data, n_rows * n_bins * data.shape[1] * data.dtype.itemsize)
    reader = StreamOfTrials(Path(data.file.filename), data.name, leaf["first_sample"], n_bins)
    if leaf["layout"] == "ragged":
        return lazy_variable(dims, (n_rows, n_bins), reader)
    return lazy_variable(dims, (n_rows, n_bins, data.shape[1]), reader)


@dataclass(frozen=True)
class StreamOfTrials:
    """Reads trials that lie end to end in a series (time x channel)."""

    path: Path
    name: str
    first_sample: int
    n_bins: int

    def __call__(
        self, trials: Places, times: Places, channels: Places | None = None
    ) -> npt.NDArray[np.float32]:
        """Give ``(trial, time, channel)``, or ``(observation, time)`` without channels."""
        columns = np.zeros(1, dtype=np.int64) if channels is None else channels
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


def restored(values: npt.NDArray[Any], about: dict[str, Any]) -> npt.NDArray[Any]:
    """Restore a column's type, and the codes of a text column."""
    if not PLAIN_TYPE.fullmatch(about["dtype"]):
        raise TypeError(f"a column of type {about['dtype']!r:.50}")
    wanted = np.dtype(about["dtype"])
    textual = wanted.kind == "U" or "categories" in about["attrs"]
    if (values.dtype.kind == "U") != textual:
        raise TypeError(f"{values.dtype} as {wanted}")
    if "categories" in about["attrs"]:
        code = {text: place for place, text in enumerate(json.loads(about["attrs"]["categories"]))}
        values = np.array([code[str(value)] for value in values])
    elif wanted.kind == "U":
        # the width is the text's own: what a file states could ask for any memory
        return values.astype(str)
    with np.errstate(all="ignore"):
        plain: npt.NDArray[Any] = values.astype(wanted)
    if not np.array_equal(plain, values, equal_nan=values.dtype.kind == "f"):
        raise ValueError(f"values of {values.dtype} that are no {wanted}")
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
    """Give when epochs start and stop about the event (s), each ``(row, epoch)``."""
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
    known = np.array([name in place for name in columns["epoch"].tolist()], dtype=bool)
    inside = np.flatnonzero((rows >= 0) & (rows < n_rows) & known)
    where = [place[epoch] for epoch in columns["epoch"][inside].tolist()]
    start[rows[inside], where] = columns["start_from_event"][inside]
    stop[rows[inside], where] = columns["stop_from_event"][inside]
    return start, stop
