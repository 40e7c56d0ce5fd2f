"""Spike times of units trial by trial, from an event, as an archive's activity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.files import sha256_of_file
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.matlab_fields import damaged
from nwbcompare.io.arrays import from_arrays

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class UnitInTrials:
    """A unit in its trials.

    Attributes
    ----------
    columns
        Its row of the unit table by column, with ``unit``.
    spikes
        Spike times of each trial (s from the event).
    trials
        Trial columns, each ``(trial,)``.
    """

    columns: Mapping[str, Any]
    spikes: Sequence[Times]
    trials: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Binning:
    """Options of all archives with spike times from an event.

    Attributes
    ----------
    window
        Start and stop (s) from the event.
    bin_s
        Bin width (s).
    smooth_s
        Standard deviation of a Gaussian (s); 0 for none.
    """

    window: tuple[float, float]
    bin_s: float
    smooth_s: float


def activity_of_units(
    dataset: str,
    units: Sequence[UnitInTrials],
    binning: Binning,
    *,
    event: str,
    conditions: Sequence[str],
    epochs: Mapping[str, tuple[float, float]],
    files: Iterable[Path],
    citation: str,
    options: Mapping[str, Any],
) -> xr.DataTree:
    """Bin the spikes of units as an activity.

    Parameters
    ----------
    dataset
        Name of the archive.
    units
        The units. Where all have the same trials, as one object, the activity is dense.
    binning
        Window, bins and smoothing.
    event
        Name of the event at time 0.
    conditions
        Trial columns whose combinations are conditions.
    epochs
        Start and stop (s) of each epoch; those that the window cuts are left out.
    files, citation, options
        Files that were read, the reference and the options, for the provenance.

    Returns
    -------
    xarray.DataTree
        One block of rates in spikes/s.
    """
    subjects = dict.fromkeys(str(unit.columns["subject"]) for unit in units)
    shared = all(unit.trials is units[0].trials for unit in units)
    columns = dict.fromkeys(name for unit in units for name in unit.columns)
    start, stop = binning.window
    return from_arrays(
        spikes=[list(unit.spikes) for unit in units],
        trials=dict(units[0].trials) if shared else [dict(unit.trials) for unit in units],
        units={name: [unit.columns[name] for unit in units] for name in columns},
        window=binning.window,
        bin=binning.bin_s,
        smooth=binning.smooth_s,
        conditions=list(conditions),
        epochs={k: v for k, v in epochs.items() if v[0] >= start and v[1] <= stop} or None,
        aligned_to=event,
        name=" and ".join(subjects),
        provenance=archive_provenance(
            dataset,
            citation,
            [(file.name, sha256_of_file(file)) for file in files],
            {
                **options,
                "window": list(binning.window),
                "bin_s": binning.bin_s,
                "smooth_s": binning.smooth_s,
            },
        ),
    )


def spike_times(file: Path, where: str, values: Any, scale: float = 1.0) -> Times:
    """Return spike times (s), ascending.

    Parameters
    ----------
    file, where
        The file and the place in it, for messages.
    values
        Numbers in any shape; empty for no spike.
    scale
        Length of the file's unit of time (s).

    Raises
    ------
    InputError
        For text, and for times that are not finite.

    Examples
    --------
    >>> spike_times(Path("a.mat"), "trial 1", [[20.0], [5.0]], 0.001).tolist()
    [0.005, 0.02]
    """
    times = np.asarray(values if np.size(values) else [])
    if times.dtype.kind not in "uif" or not np.isfinite(times).all():
        raise damaged(file, f"spike times in {where}, finite numbers")
    return np.sort(times.ravel().astype(np.float64)) * scale


def cells_by_trial(
    file: Path, name: str, cells: Any, n_trials: int, n_units: int | None = None
) -> list[list[Any]]:
    """Return a cell of trials x units as a list of units for each trial.

    Parameters
    ----------
    file, name
        The file and the name of the cell, for messages.
    cells
        The cell as it was read: a cell of one row or column is a plain list.
    n_trials, n_units
        Its size; None for any number of units.

    Raises
    ------
    InputError
        For no cell, and one of another size.

    Examples
    --------
    >>> cells_by_trial(Path("a.mat"), "spikes", ["first", "second"], 2)
    [['first'], ['second']]
    """
    if not isinstance(cells, list):
        raise damaged(file, f"a cell {name}, trials x units")
    nested = bool(cells) and isinstance(cells[0], list)
    rows = cells if nested else [cells] if n_units not in (None, 1) else [[one] for one in cells]
    if len(rows) != n_trials or any(len(row) != (n_units or len(rows[0])) for row in rows):
        expected = f"a cell {name} of {n_trials} trials"
        raise damaged(
            file,
            expected if n_units is None else f"{expected} and {n_units} units",
            f"{len(rows)} x {len(rows[0]) if rows else 0}",
        )
    return rows


def numbers(file: Path, name: str, values: Any, size: int | None = None) -> Times:
    """Return a column of numbers, NaN where there is none.

    Parameters
    ----------
    file, name
        The file and the name of the column, for messages.
    values
        The numbers in any shape.
    size
        Number of rows; None for any.

    Raises
    ------
    InputError
        For text, and another number of rows.

    Examples
    --------
    >>> numbers(Path("a.mat"), "coherence", [[1, 2]], 2).tolist()
    [1.0, 2.0]
    """
    column = np.asarray(values)
    if column.dtype.kind not in "uifb":
        raise damaged(file, f"{name} with numbers")
    if size is not None and column.size != size:
        raise damaged(file, f"{name} with {size} values", f"{column.size}")
    return column.ravel().astype(np.float64)
