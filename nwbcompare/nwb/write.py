"""Network activity as an NWB file that archives accept."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.core import ScratchData
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject

from nwbcompare.activity import Activity, blocks, columns_on, is_ragged, labels
from nwbcompare.errors import InputError
from nwbcompare.files import written_aside
from nwbcompare.nwb.inspect import refuse_faults
from nwbcompare.nwb.layout import (
    CHANNEL_SERIES,
    EPOCHS,
    FORMAT_VERSION,
    MODULE,
    RATE,
    SCHEMA,
    STEP_TOLERANCE,
    UNITS,
)
from nwbcompare.validate import check_activity

CHUNK_BYTES = 1_000_000
SYNTHETIC_SPECIES = "http://purl.obolibrary.org/obo/NCBITaxon_32630"


def write_nwb(activity: Activity, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write network activity as an NWB file.

    The file is laid out as if it had been recorded in vivo: one continuous series of rates
    ``hidden_rate`` (time x unit) with the trials end to end, a trials table with every trial
    column, the epochs of each trial, a table of hidden units, and series of inputs, outputs
    and targets where the activity has them. It appears under its name only once the NWB
    validator and nwbinspector (dandi configuration) have found no critical fault.

    Parameters
    ----------
    activity
        Dense blocks, on time axes of the same even step.
    path
        The file.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        For an invalid or ragged activity, uneven or different time steps, a path that exists
        or cannot be written, and a file that the inspector refuses.

    Warns
    -----
    UserWarning
        With the inspector's lesser messages.

    Examples
    --------
    >>> import tempfile, nwbcompare as nc
    >>> from pathlib import Path
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_nwb(example_block(), Path(folder) / "example.nwb")
    ...     nc.open(path).children["example"]["rate"].identical(example_block()["rate"])
    True
    """
    check_activity(activity)
    parts = blocks(activity)
    width = _common_step(parts)
    with written_aside(path, overwrite=overwrite) as aside:
        nwb = _make_file(parts, width)
        with NWBHDF5IO(str(aside), "w") as io:
            io.write(nwb)
        refuse_faults(aside, Path(path))
    return Path(path)


def _common_step(parts: dict[str, xr.Dataset]) -> float:
    width: float | None = None
    for leaf, block in parts.items():
        if is_ragged(block):
            raise InputError(
                f"block {leaf!r}",
                "a dense block",
                "a ragged one",
                "This release writes network activity; save recordings with to_netcdf.",
            )
        own = float(block["time"].attrs["bin_width_s"])
        time_s = block["time"].values
        if np.abs(np.diff(time_s) - own).max(initial=0) > STEP_TOLERANCE * own:
            raise InputError(
                f"time of {leaf!r}",
                f"even steps of {own:g} s",
                "uneven ones",
                "Bin the rates evenly: nwbcompare.rebin(activity, width_s).",
            )
        width = own if width is None else width
        if not np.isclose(own, width, rtol=STEP_TOLERANCE):
            raise InputError(
                f"time of {leaf!r}",
                f"the step of the other blocks, {width:g} s",
                f"{own:g} s",
                "Write them to separate files, or bin them alike with nwbcompare.rebin.",
            )
    assert width is not None  # noqa: S101 - an activity has at least one block
    return width


def _make_file(parts: dict[str, xr.Dataset], width: float) -> NWBFile:
    first = next(iter(parts.values()))
    name = str(first.attrs["name"])
    identity = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    nwb = NWBFile(
        session_description=f"Simulated: hidden rates of {name}, a recurrent neural network, "
        "on task trials laid end to end.",
        identifier=str(uuid.uuid4()),
        # a simulation has no time of its own: the time of writing
        session_start_time=datetime.now(UTC),
        session_id=identity,
        experimenter=["Network, Simulated"],
        institution="simulation",
        keywords=["recurrent neural network", "simulation"],
        experiment_description="Activity of a task-trained recurrent network.",
        subject=Subject(
            subject_id=identity,
            species=SYNTHETIC_SPECIES,
            sex="U",
            age="P0D",
            description="An artificial recurrent neural network.",
        ),
    )
    _add_series(nwb, parts, width)
    starts = _add_trials(nwb, parts, width)
    _add_epochs(nwb, parts, starts)
    nwb.add_scratch(
        ScratchData(
            name=SCHEMA,
            data=json.dumps(_schema(parts)),
            description="What nwbcompare needs to restore its labelled arrays, as JSON.",
        )
    )
    return nwb


def _add_series(nwb: NWBFile, parts: dict[str, xr.Dataset], width: float) -> None:
    first = next(iter(parts.values()))
    module = nwb.create_processing_module(
        name=MODULE, description="Continuous activity of the network."
    )
    rate_units = first["rate"].attrs["units"]
    unit = "a.u." if rate_units == "1" else rate_units
    wanted = {RATE: ("rate", unit, "Rates of the hidden units, one column a unit.")}
    for name in CHANNEL_SERIES:
        if all(name in block for block in parts.values()):
            wanted[name] = (name, "a.u.", f"The network's {name}, one column a channel.")
    for name, (variable, unit_name, description) in wanted.items():
        data = np.concatenate([_stream(block[variable]) for block in parts.values()])
        rows = max(1, min(len(data), CHUNK_BYTES // (data.itemsize * data.shape[1])))
        module.add(
            TimeSeries(
                name=name,
                description=description,
                data=H5DataIO(
                    data,
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                    chunks=(rows, data.shape[1]),
                ),
                unit=unit_name,
                rate=1 / width,
                # samples stand at the centres of their bins
                starting_time=width / 2,
                comments="Trials are laid end to end; /intervals/trials has their times.",
            )
        )
    columns = [
        VectorData(
            name=name, description=f"{name} of the hidden unit", data=_listed(first[name].values)
        )
        for name in columns_on(first, "unit")
    ]
    module.add(
        DynamicTable(
            name=UNITS, description="The hidden units: columns of hidden_rate.", columns=columns
        )
    )


def _listed(values: npt.NDArray[Any]) -> Any:
    """Give text as a list: HDF5 has no type for numpy's text arrays."""
    return [str(value) for value in values] if values.dtype.kind == "U" else values


def _stream(variable: xr.DataArray) -> npt.NDArray[Any]:
    values = variable.transpose("trial", "time", ...).values
    return values.reshape(-1, values.shape[-1])


def _add_trials(
    nwb: NWBFile, parts: dict[str, xr.Dataset], width: float
) -> dict[str, npt.NDArray[np.float64]]:
    starts: dict[str, npt.NDArray[np.float64]] = {}
    length: list[float] = []
    n_bins = 0
    for leaf, block in parts.items():
        first_bin = n_bins + np.arange(block.sizes["trial"]) * block.sizes["time"]
        starts[leaf] = np.asarray(first_bin * width, dtype=np.float64)
        length += [block.sizes["time"] * width] * block.sizes["trial"]
        n_bins += block.sizes["trial"] * block.sizes["time"]
    start = np.concatenate(list(starts.values()))
    names = list(dict.fromkeys(n for block in parts.values() for n in columns_on(block, "trial")))
    columns = [
        VectorData(name="start_time", description="start (s)", data=start),
        VectorData(name="stop_time", description="stop (s)", data=start + np.array(length)),
    ]
    for name in names:
        about = next(b[name].attrs for b in parts.values() if name in b.coords)
        columns.append(
            VectorData(
                name=name,
                description=str(about.get("long_name", f"{name} of the trial")),
                data=_joined(name, parts),
            )
        )
    nwb.trials = TimeIntervals(
        name="trials", description="Trials, one block of tasks after another.", columns=columns
    )
    return starts


def _joined(name: str, parts: dict[str, xr.Dataset]) -> Any:
    like = next(labels(block[name]) for block in parts.values() if name in block.coords)
    blank = {"U": "", "f": np.nan}.get(like.dtype.kind, 0)
    values = np.concatenate(
        [
            labels(block[name])
            if name in block.coords
            else np.full(block.sizes["trial"], blank, dtype=like.dtype)
            for block in parts.values()
        ]
    )
    return _listed(values)


def _add_epochs(
    nwb: NWBFile, parts: dict[str, xr.Dataset], starts: dict[str, npt.NDArray[np.float64]]
) -> None:
    rows: list[tuple[int, str, float, float, float, float]] = []
    n_trials = 0
    for leaf, block in parts.items():
        rows += _epoch_rows(block, starts[leaf], n_trials)
        n_trials += block.sizes["trial"]
    if not rows:
        return
    named = {
        "start_time": ("start (s)", [r[2] for r in rows]),
        "stop_time": ("stop (s)", [r[3] for r in rows]),
        "epoch": ("name of the epoch", [r[1] for r in rows]),
        "trial": ("row of the trial in the trials table", [r[0] for r in rows]),
        "start_from_event": ("start from the trial's alignment event (s)", [r[4] for r in rows]),
        "stop_from_event": ("stop from the trial's alignment event (s)", [r[5] for r in rows]),
    }
    nwb.add_time_intervals(
        TimeIntervals(
            name=EPOCHS,
            description="Epochs of the task in each trial.",
            columns=[
                VectorData(name=name, description=about, data=data)
                for name, (about, data) in named.items()
            ],
        )
    )


def _epoch_rows(
    block: xr.Dataset, starts: npt.NDArray[np.float64], first_trial: int
) -> Iterator[tuple[int, str, float, float, float, float]]:
    if "epoch" not in block.dims:
        return
    left_edge = float(block["time"].values[0]) - block["time"].attrs["bin_width_s"] / 2
    first, last = block["epoch_start_time"].values, block["epoch_stop_time"].values
    for trial, origin in enumerate(starts - left_edge):
        for place, name in enumerate(block["epoch"].values):
            start, stop = first[trial, place], last[trial, place]
            if np.isfinite(start):
                # an event before the stream's start would have no place on its clock
                yield (
                    first_trial + trial,
                    str(name),
                    max(origin + start, 0.0),
                    max(origin + stop, 0.0),
                    start,
                    stop,
                )


def _schema(parts: dict[str, xr.Dataset]) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, "leaves": [_leaf(*item) for item in parts.items()]}


def _leaf(name: str, block: xr.Dataset) -> dict[str, Any]:
    described = {
        str(key): {"dtype": str(column.dtype), "attrs": _plain(column.attrs)}
        for key, column in block.variables.items()
    }
    return {
        "name": name,
        "attrs": _plain(block.attrs),
        "n_trials": block.sizes["trial"],
        "time": block["time"].values.tolist(),
        "epochs": [str(e) for e in block["epoch"].values] if "epoch" in block.coords else [],
        "trial_columns": list(columns_on(block, "trial")),
        "unit_columns": list(columns_on(block, "unit")),
        "channels": {
            dim: [str(channel) for channel in block[dim].values]
            for dim in ("input_channel", "output_channel")
            if dim in block.coords
        },
        "series": {
            str(key): [str(dim) for dim in variable.dims]
            for key, variable in block.data_vars.items()
        },
        "variables": described,
    }


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()}
