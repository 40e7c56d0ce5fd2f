"""Writing of activity, of networks and recordings, to NWB files that archives accept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from tqdm import tqdm

from nwbcompare.core.activity import Activity, blocks
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import check_output, sha256_of_file, written_aside
from nwbcompare.core.hdf5_output import hdf5_output
from nwbcompare.core.schema import check_activity
from nwbcompare.io.columns import uneven_steps
from nwbcompare.io.nwb.block_layout import Leaf, Plan, make_plan
from nwbcompare.io.nwb.format_names import MODULE, STEP_TOLERANCE
from nwbcompare.io.nwb.metadata import Metadata, make_file
from nwbcompare.io.nwb.native_schema import add_schema, rate_leaf
from nwbcompare.io.nwb.native_tables import add_epochs, event_times, trials_table, units_table
from nwbcompare.io.nwb.poisson_spikes import PoissonSpikes, declared_units, draw_spikes
from nwbcompare.io.nwb.series_writer import Compression, SeriesWriter, empty_series
from nwbcompare.io.nwb.spike_counts import add_spikes
from nwbcompare.io.nwb.validation import refuse_faults
from nwbcompare.io.sessions.recorded_signals import SpikeTrains

BYTES_AT_ONCE = 8_000_000
"""Size of the values that are in memory at a time."""
SERIES_KIND = {
    "rate": "Rates of the units, one column a unit.",
    "input": "The network's input, one column a channel.",
    "output": "The network's output, one column a channel.",
    "target": "The output that the task asks for, one column a channel.",
}
DTYPES = ("float32", "float16")
LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Storage of series.

    Attributes
    ----------
    dtype
        "float32", which is exact, or "float16", half the size with three significant digits.
    compression
        "gzip" (level 1 after a shuffle) or "none".

    Raises
    ------
    InputError
        If an option has another value.
    """

    dtype: Literal["float32", "float16"] = "float32"
    compression: Compression = "gzip"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.dtype not in DTYPES:
            raise unknown_name("dtype", self.dtype, DTYPES)
        if self.compression not in {"gzip", "none"}:
            raise unknown_name("compression", self.compression, ("gzip", "none"))


def write_nwb(
    activity: Activity,
    path: str | os.PathLike[str],
    *,
    spikes: PoissonSpikes | SpikeTrains | Literal["counts"] | None = None,
    task_variance: xr.Dataset | None = None,
    metadata: Metadata | None = None,
    sidecar: str | os.PathLike[str] | None = None,
    reading: Mapping[str, Any] | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    compression: Compression = "gzip",
    overwrite: bool = False,
) -> Path:
    """Write activity as an NWB file.

    The layout is that of a recording in vivo: one continuous series of rates (time x unit) with
    the trials end to end, a trials table with all trial columns, a table of the epochs of each
    trial, a unit table, and series of inputs, outputs and targets if the activity has them.
    Series are streamed: memory does not grow with the number of trials. The file gets its name
    only after the NWB validator and nwbinspector (dandi configuration) have found no critical
    fault.

    Parameters
    ----------
    activity
        An activity or a block, dense or ragged, of a network or a recording, in memory or
        file-backed. All its time axes must have the same even step.
    path
        The file.
    spikes
        `PoissonSpikes`: in addition to the rates, a units table with spikes drawn at these rates,
        for tools that need spikes. "counts": instead of the rates, spike times made from them,
        for recordings in bins of whole counts (one block). `nwbcompare.io.sessions.SpikeTrains`:
        instead of the rates, the spike times of the block's units with their intervals, on the
        clock of its trial columns ``start_time``, ``stop_time`` and the time of the event.
    task_variance
        Result of `nwbcompare.task_variance`, stored in the unit table, with a column for each
        task.
    metadata
        Keys of pynwb in tables ``NWBFile`` and ``Subject``. Networks have defaults for all; a
        recording needs ``Subject.species``, ``Subject.age`` and ``NWBFile.session_start_time``.
    sidecar
        A file with configuration and weights, copied beside the NWB file; the notes of the NWB
        file have its name and SHA-256.
    reading
        For "counts" and spike times, the default options of `nwbcompare.open` for this file, e.g.
        ``{"bin": 0.05, "smooth": 0.04}``; by default the bins that were written.
    dtype, compression
        See `Storage`. By default float32 with gzip, which is exact and about half the size.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the activity breaks the data model, time steps are uneven or differ, rates are infinite,
        options do not fit, the path exists or cannot be written, or the inspector reports a
        critical fault. No file is left then.

    Warns
    -----
    UserWarning
        If the inspector reports a violation of best practice.

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
    # before any work, which may take minutes
    check_output(path, overwrite=overwrite)
    storage = Storage(dtype=dtype, compression=compression)
    check_activity(activity)
    parts = blocks(activity)
    width = _common_step(parts)
    more = _task_variance_columns(parts, task_variance)
    notes, extra = _sidecar_notes(path, sidecar, overwrite=overwrite)
    with written_aside(path, overwrite=overwrite) as aside:
        nwb = make_file(next(iter(parts.values())), metadata, notes=notes)
        if spikes == "counts" or isinstance(spikes, SpikeTrains):
            trains = spikes if isinstance(spikes, SpikeTrains) else None
            add_spikes(nwb, parts, trains, more, reading or {})
            _write(nwb, aside)
        else:
            if reading is not None:
                raise InputError("reading", "None unless spikes='counts'", "options", "Leave out.")
            plan = make_plan(parts, width)
            _add_rates(nwb, plan, more, storage, spikes)
            _write(nwb, aside)
            _fill(aside, plan, spikes)
        refuse_faults(aside, Path(path))
        # last, so that a file that was refused leaves no sidecar
        if sidecar is not None and extra is not None:
            # checked in `_sidecar_notes`
            with written_aside(extra, overwrite=True) as copy:
                shutil.copyfile(sidecar, copy)
    return Path(path)


def _write(nwb: NWBFile, aside: Path) -> None:
    with hdf5_output(aside, "w") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwb)


def _sidecar_notes(
    path: str | os.PathLike[str], sidecar: str | os.PathLike[str] | None, *, overwrite: bool
) -> tuple[list[str], Path | None]:
    if sidecar is None:
        return [], None
    source = Path(sidecar)
    if not source.is_file():
        raise InputError("sidecar", "a file", str(source), "Check the path.")
    extra = Path(path).with_suffix(source.suffix)
    digest = sha256_of_file(source)
    # an export that was killed may have left the same file
    same = extra.is_file() and sha256_of_file(extra) == digest
    check_output(extra, overwrite=overwrite or same)
    return [f"Configuration and weights: {extra.name}, SHA-256 {digest}."], extra


def _task_variance_columns(
    parts: Mapping[str, xr.Dataset], result: xr.Dataset | None
) -> dict[str, npt.NDArray[Any]]:
    if result is None:
        return {}
    units = next(iter(parts.values()))["unit"].values
    fits = (
        "task_variance" in result
        and result["task_variance"].dims == ("unit", "task")
        and np.array_equal(result["unit"].values, units)
    )
    if not fits:
        raise InputError(
            "task_variance",
            "the result of nwbcompare.task_variance of this activity (unit, task)",
            "another result, or other units",
            "Pass nwbcompare.task_variance(activity).",
        )
    values = result["task_variance"]
    return {f"task_variance_{task}": values.sel(task=task).values for task in values["task"].values}


def _common_step(parts: Mapping[str, xr.Dataset]) -> float:
    """Return the step (s) of all time axes, after a check that they are even and equal."""
    width = float(next(iter(parts.values()))["time"].attrs["bin_width_s"])
    for leaf, block in parts.items():
        step = float(block["time"].attrs["bin_width_s"])
        time_s = block["time"].values
        if np.abs(np.diff(time_s) - step).max(initial=0) > STEP_TOLERANCE * step:
            raise uneven_steps(f"time of {leaf!r}", step)
        if not np.isclose(step, width, rtol=STEP_TOLERANCE):
            raise InputError(
                f"time of {leaf!r}",
                f"the step of the other blocks, {width:g} s",
                f"{step:g} s",
                "Write them to separate files, or bin them alike with nwbcompare.rebin.",
            )
    return width


def _add_rates(
    nwb: NWBFile,
    plan: Plan,
    more: Mapping[str, npt.NDArray[Any]],
    storage: Storage,
    spikes: PoissonSpikes | None,
) -> None:
    module = nwb.create_processing_module(
        name=MODULE, description="Continuous activity, trials end to end."
    )
    first = plan.leaves[0].block
    rate_units = str(first["rate"].attrs["units"])
    for name, variable, leaves in plan.series():
        n_columns = 1 if leaves[0].layout == "ragged" else leaves[0].block[variable].shape[2]
        n_samples = sum(leaf.n_samples for leaf in leaves)
        earlier = 0 if leaves[0].layout == "dense" else plan.n_dense_samples
        module.add(
            TimeSeries(
                name=name,
                description=SERIES_KIND[variable],
                data=empty_series((n_samples, n_columns), storage.dtype, storage.compression),
                unit=rate_units if variable == "rate" and rate_units != "1" else "a.u.",
                # a rate, and no time stamps: `_common_step` has checked that steps are even
                rate=1 / plan.width_s,
                # samples are at the centres of their bins
                starting_time=plan.start_s + (earlier + 0.5) * plan.width_s,
                comments="Trials are laid end to end; /intervals/trials has their times.",
            )
        )
    module.add(units_table(plan.unit_table, first, more))
    tables = [leaf.block for leaf in plan.leaves]
    times = [leaf.times for leaf in plan.leaves]
    shifted = any(not np.array_equal(t.event, t.start) for t in times)
    events = event_times(tables, times)
    nwb.trials = trials_table(
        tables,
        times,
        event="event_time" if shifted else "",
        description="Trials, one block of tasks after another.",
        more=events,
    )
    add_epochs(nwb, tables, times)
    add_schema(nwb, [rate_leaf(plan, leaf, list(events)) for leaf in plan.in_given_order()])
    if spikes is not None:
        if len(plan.of_layout("dense")) < len(plan.leaves):
            raise InputError(
                "spikes", "dense blocks to draw spikes for", "a ragged one", "Leave spikes out."
            )
        description = (
            f"Simulated: Poisson spikes at {spikes.gain:g} spikes/s for a rate of 1, "
            f"seed {spikes.seed}."
        )
        nwb.units = declared_units(first, more, description)


def _fill(aside: Path, plan: Plan, spikes: PoissonSpikes | None) -> None:
    """Write the values of series, and draw spikes at the rates."""
    with hdf5_output(aside, "r+") as file:
        module = file[f"processing/{MODULE}"]
        total = sum(leaf.n_samples for _, _, leaves in plan.series() for leaf in leaves)
        with tqdm(total=total, desc="samples", unit="", unit_scale=True, disable=None) as bar:
            for name, variable, leaves in plan.series():
                with SeriesWriter(module[f"{name}/data"]) as writer:
                    for leaf in leaves:
                        for rows in _pieces(leaf, variable):
                            _refuse_unfit(rows, writer, f"{leaf.name}: {variable}")
                            writer.append(rows)
                            bar.update(len(rows))
        if spikes is not None:
            series = module[f"{plan.rate_series(plan.leaves[0])}/data"]
            draw_spikes(
                file, series, spikes, start_s=plan.start_s, bin_s=plan.width_s, scratch=aside.parent
            )


def _pieces(leaf: Leaf, variable: str) -> Iterator[npt.NDArray[Any]]:
    """Yield the values of a variable, ``(sample, channel)``, a few trials at a time."""
    values = leaf.block[variable]
    row = str(values.dims[0]) if leaf.layout == "ragged" else "trial"
    per_row = values.size // max(values.sizes[row], 1) * values.dtype.itemsize
    at_once = max(1, BYTES_AT_ONCE // max(per_row, 1))
    # rates of a file-backed activity are read here, piece by piece
    for start in range(0, values.sizes[row], at_once):
        part = values.isel({row: slice(start, start + at_once)}).transpose(row, "time", ...)
        rows = part.values
        yield rows.reshape(rows.shape[0] * rows.shape[1], -1)


def _refuse_unfit(rows: npt.NDArray[Any], writer: SeriesWriter, name: str) -> None:
    if np.isinf(rows).any():
        raise InputError(
            name,
            "finite values, or NaN where nothing was observed",
            "infinite ones",
            "Look for a division by a duration of 0 in the code that computed them.",
        )
    if writer.dtype == np.float16 and np.nanmax(np.abs(rows), initial=0) > LARGEST_FLOAT16:
        raise InputError(
            name,
            f"values up to {LARGEST_FLOAT16:g}, which float16 can hold",
            f"{np.nanmax(np.abs(rows)):g}",
            "Use dtype='float32'.",
        )
