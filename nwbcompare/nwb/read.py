"""NWB files that `write_nwb` made, as activity."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.activity import make_activity
from nwbcompare.errors import InputError
from nwbcompare.nwb.layout import EPOCHS, FORMAT_VERSION, MODULE, RATE, SCHEMA, UNITS


def open_nwb(path: str | os.PathLike[str]) -> xr.DataTree:
    """Open an NWB file that `write_nwb` made.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    xarray.DataTree
        The activity that was written, bit for bit.

    Raises
    ------
    InputError
        Where there is no such file, or it is no NWB file, damaged, without trials, of a newer
        version, or not written by nwbcompare; the file is named.
    """
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(str(path), "an NWB file", got, "Check the path.")
    try:
        with h5py.File(path, "r") as file:
            _check_kind(path, file)
            return _read(path, file)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            str(path),
            "a whole NWB file (HDF5)",
            f"one that cannot be read ({error})",
            "It is damaged, truncated or another kind of file: write or obtain it again.",
        ) from error


def _check_kind(path: Path, file: h5py.File) -> None:
    if "nwb_version" not in file.attrs:
        raise InputError(
            str(path), "an NWB file", "an HDF5 file of another kind", "Check the path."
        )
    if "intervals/trials" not in file:
        raise InputError(
            str(path),
            "a trials table (/intervals/trials)",
            "none",
            "Add one with pynwb: analyses need to know when trials began.",
        )
    if f"scratch/{SCHEMA}" not in file:
        raise InputError(
            str(path),
            "a file that nwbcompare wrote",
            "an NWB file from elsewhere",
            "This release opens files written by nwbcompare.write_nwb; for others make a block "
            "from arrays with nwbcompare.make_block.",
        )


def _read(path: Path, file: h5py.File) -> xr.DataTree:
    schema = json.loads(file[f"scratch/{SCHEMA}"].asstr()[()])
    if schema["format_version"] > FORMAT_VERSION:
        raise InputError(
            str(path),
            f"format version {FORMAT_VERSION} or older",
            str(schema["format_version"]),
            "Upgrade nwbcompare.",
        )
    n_trials = sum(leaf["n_trials"] for leaf in schema["leaves"])
    rows_there = file["intervals/trials/start_time"].shape[0]
    if n_trials != rows_there:
        raise InputError(
            str(path), f"{n_trials} trials", f"{rows_there}", "The trials table was changed."
        )
    parts, trial, sample = {}, 0, 0
    for leaf in schema["leaves"]:
        parts[leaf["name"]] = _read_leaf(file, leaf, trial, sample)
        trial += leaf["n_trials"]
        sample += leaf["n_trials"] * len(leaf["time"])
    return make_activity(parts)


def _read_leaf(file: h5py.File, leaf: dict[str, Any], trial: int, sample: int) -> xr.Dataset:
    n_trials, n_bins = leaf["n_trials"], len(leaf["time"])
    about = leaf["variables"]
    trials = slice(trial, trial + n_trials)
    samples = slice(sample, sample + n_trials * n_bins)
    coords: dict[str, Any] = {"time": ("time", np.array(leaf["time"], dtype=np.float64))}
    for name in leaf["unit_columns"]:
        values = _column(file[f"processing/{MODULE}/{UNITS}/{name}"][:])
        coords[name] = ("unit", _as(values, about[name]))
    for name in leaf["trial_columns"]:
        values = _column(file[f"intervals/trials/{name}"][trials])
        coords[name] = ("trial", _as(values, about[name]))
    if leaf["epochs"]:
        coords |= _epochs(file, leaf, trial)
    coords |= {dim: (dim, np.array(names)) for dim, names in leaf["channels"].items()}
    data = {}
    for name, dims in leaf["series"].items():
        series = file[f"processing/{MODULE}/{RATE if name == 'rate' else name}/data"]
        data[name] = (dims, series[samples].reshape(n_trials, n_bins, -1))
    block = xr.Dataset(data, coords=coords, attrs=leaf["attrs"])
    for name, description in about.items():
        block[name].attrs.update(description["attrs"])
    return block


def _column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind == "O":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], dtype=str)
    return values


def _as(values: npt.NDArray[Any], about: dict[str, Any]) -> npt.NDArray[Any]:
    """Restore a column's type, and the codes of a text column."""
    if "categories" in about["attrs"]:
        code = {text: place for place, text in enumerate(json.loads(about["attrs"]["categories"]))}
        values = np.array([code[value] for value in values])
    restored: npt.NDArray[Any] = values.astype(np.dtype(about["dtype"]))
    return restored


def _epochs(file: h5py.File, leaf: dict[str, Any], trial: int) -> dict[str, Any]:
    table = file[f"intervals/{EPOCHS}"]
    rows = table["trial"][:] - trial
    names = _column(table["epoch"][:])
    inside = (rows >= 0) & (rows < leaf["n_trials"])
    place = {name: index for index, name in enumerate(leaf["epochs"])}
    coords: dict[str, Any] = {"epoch": ("epoch", np.array(leaf["epochs"]))}
    columns = (("epoch_start_time", "start_from_event"), ("epoch_stop_time", "stop_from_event"))
    for name, column in columns:
        times = np.full((leaf["n_trials"], len(place)), np.nan)
        where = [place[epoch] for epoch in names[inside]]
        times[rows[inside], where] = table[column][:][inside]
        coords[name] = (("trial", "epoch"), times)
    return coords
