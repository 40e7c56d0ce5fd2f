"""The NWB files of a folder that can be one activity: those with trials and with units."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import h5py

from nwbcompare.core.errors import listing
from nwbcompare.core.hdf5_input import member, named, opened
from nwbcompare.io.nwb.format_names import SCHEMA
from nwbcompare.io.nwb.generic import channel_region, find_series, spiking_tables
from nwbcompare.io.nwb.trial_tables import TRIALS, interval_tables


def files_with_units(paths: Sequence[Path], *, series: str | None = None) -> list[Path]:
    """Return the files of a folder that have trials and units.

    A folder of sessions may also have files of behaviour alone. A file has units if it has spike
    times, or a series whose channels are electrodes or regions of interest. Where no file has
    some, or ``series`` names one, any series counts.

    Parameters
    ----------
    paths
        NWB files.
    series
        The series that is to be read.

    Returns
    -------
    list of pathlib.Path
        The files, in their order; all of them if none has trials and units.

    Raises
    ------
    InputError
        If a file is damaged.

    Warns
    -----
    UserWarning
        If files are left out; the message names them.
    """
    has_trials, has_units = zip(*map(_contents, paths), strict=True)
    needs_units = series is None and any(has_units)
    kept = [
        path
        for path, trials, units in zip(paths, has_trials, has_units, strict=True)
        if trials and (units or not needs_units)
    ]
    if not kept:
        return list(paths)
    left_out = [path.name for path in paths if path not in kept]
    if left_out:
        warnings.warn(
            f"{len(left_out)} of {len(paths)} files were left out, since they have no trials"
            f"{' or no units' if needs_units else ''}: {listing(left_out, most=5)}",
            stacklevel=4,
        )
    return kept


def _contents(path: Path) -> tuple[bool, bool]:
    """Return whether a file has trials, and whether it has units."""
    with named(path), opened(path) as file:
        # what else is wrong with a file is said when it is read
        if "nwb_version" not in file.attrs or member(file, f"scratch/{SCHEMA}") is not None:
            return True, True
        trials = isinstance(member(file, TRIALS), h5py.Group) or bool(interval_tables(file))
        units = bool(spiking_tables(file)) or any(
            channel_region(series) is not None for series in find_series(file).values()
        )
        return trials, units
