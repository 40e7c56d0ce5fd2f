"""Any NWB file with trials, or several, as activity."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from nwbcompare.core.activity import make_activity
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.hdf5_input import named, opened, scalar
from nwbcompare.core.lazy import guarded, kept_in_memory
from nwbcompare.core.schema import check_activity
from nwbcompare.io.nwb.generic import read_session
from nwbcompare.io.nwb.native import has_rates, read_blocks, read_schema
from nwbcompare.io.nwb.native_sessions import Written, native_sessions
from nwbcompare.io.sessions.alignment import lay_on_one_clock
from nwbcompare.io.sessions.session import Reading, Session

PathLike = str | os.PathLike[str]
MOST_NAMED_FILES = 20


def open_nwb(
    path: PathLike | Sequence[PathLike],
    *,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    smooth: float | None = None,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    series: str | None = None,
) -> xr.DataTree:
    """Open NWB files as labelled arrays, aligned to trials; rates are read when looked at.

    Parameters
    ----------
    path
        A file, or several files that make one activity: sessions with trials and units of
        their own, or files of one network's tasks.
    align
        The trial column with the time (s) of the event that becomes time 0; by default the
        start of the trial. Trials without it are left out, with a warning.
    window
        Start and stop (s) about the event. By default from the event to the end of the
        longest trial; bins that reach beyond a trial's own end are then NaN.
    bin
        Width of the bins (s): 0.05 by default for spikes; for a time series one sample, or
        the mean of the samples in a wider bin. An incomplete last bin is dropped.
    smooth
        Standard deviation (s) of a Gaussian, 0 by default. The rates are aligned wider,
        smoothed, then cut, so that the window's edges are not biased; where recording ended,
        edges are padded with the end values.
    task
        The trial column that names the task; by default ``task``. Without one all trials are
        of one task, named after the file, with a warning.
    conditions
        The trial columns whose combinations are conditions; none by default.
    series
        "units" for spikes, or the name or path of a time series or of a table of units; by
        default spikes where there are any, else the only series. Native files with rates give
        those.

    Returns
    -------
    xarray.DataTree
        Files of `write_nwb`: the activity that was written, bit for bit. Where one of the
        options above is given each block is read anew; event, window and bins that are not
        given are those that were written, and nothing is taken from the trials beside one.
        Other files: one block. It is
        dense where every unit was recorded in every trial, else ragged (an observation for
        each unit and trial that were recorded, with ``observation_trial`` naming the trial).
        Bins outside a unit's ``obs_intervals`` are NaN, not silence. A unit's id is its
        ``unit_name``, else the table's id, with the session in front where ids repeat. Text
        that is JSON is decoded. Trial columns with several values a trial are left out; the
        provenance names them.

    Raises
    ------
    InputError
        Where there is no such file, or it is no NWB file, damaged, without trials or units, of
        a newer version, or leads out of its folder; and for options that do not fit.

    Examples
    --------
    >>> import tempfile, nwbcompare as nc
    >>> from pathlib import Path
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nc.write_nwb(example_block(), Path(folder) / "example.nwb")
    ...     anew = open_nwb(path, window=(0.1, 0.5), bin=0.2, conditions=["direction"])
    ...     anew["example"]["rate"].load().shape
    (8, 2, 3)
    """
    activity = open_lazily(
        path,
        align=align,
        window=window,
        bin=bin,
        smooth=smooth,
        task=task,
        conditions=conditions,
        series=series,
    )
    return make_activity(
        {name: kept_in_memory(leaf.to_dataset()) for name, leaf in activity.children.items()}
    )


def open_lazily(
    path: PathLike | Sequence[PathLike], *, series: str | None = None, **reading: Any
) -> xr.DataTree:
    """Open NWB files as `open_nwb` does, keeping nothing in memory that was looked at."""
    paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]
    if not paths:
        raise InputError("path", "at least one NWB file", "none", "Name one.")
    _refuse_repeated(paths)
    asked = {name: value for name, value in reading.items() if value is not None}
    # a mistake in what is asked is not to be taken for one in a file
    Reading(**asked)
    guard = partial(named, paths[0] if len(paths) == 1 else paths[0].resolve().parent)
    with guard():
        activity = check_activity(_joined(paths, asked, series))
    for leaf in activity.children.values():
        guarded(leaf.to_dataset(), guard)
    return activity


def _joined(paths: Sequence[Path], asked: dict[str, Any], series: str | None) -> xr.DataTree:
    looked = [_look(one, series=series, anew=bool(asked or series)) for one in paths]
    rates = [_blocks_of_rates(found, asked) for found in looked]
    of_rates = [found for found in rates if found is not None]
    if not of_rates:
        sessions = [one for found in looked if isinstance(found, list) for one in found]
        return _joined_sessions(paths, sessions, asked)
    if len(of_rates) < len(rates):
        raise InputError(
            listing(paths, most=3),
            "files of one kind",
            "rates that nwbcompare wrote beside others",
            "Open them apart.",
        )
    return _joined_blocks(paths, of_rates)


def _refuse_repeated(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError(str(path), "each file once", "the same file again", "Name it once.")
        seen.add(path.resolve())


@dataclass(frozen=True)
class _Found:
    """A session of a file, and what the file says of itself."""

    session: Session
    about: dict[str, Any]
    written: Written | None = None
    of_rates: bool = False


def _look(path: Path, *, series: str | None, anew: bool) -> dict[str, xr.Dataset] | list[_Found]:
    """Read the tables of a file: blocks of a native file as they were written, or sessions."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(str(path), "an NWB file", got, "Check the path.")
    with opened(path) as file:
        if "nwb_version" not in file.attrs:
            raise InputError(
                str(path), "an NWB file", "an HDF5 file of another kind", "Check the path."
            )
        schema = read_schema(file, path)
        if schema is None:
            session = read_session(file, path, series)
            return [_Found(session, _described(file, path, session))]
        if has_rates(schema) and not anew:
            return read_blocks(file, path, schema)
        return [
            _Found(session, _described(file, path, session), written, has_rates(schema))
            for session, written in native_sessions(file, path, schema, series)
        ]


def _described(file: h5py.File, path: Path, session: Session) -> dict[str, Any]:
    """Give what a file says of itself, for the provenance."""
    about = {
        "file": path.name,
        "identifier": scalar(file, "identifier"),
        "session": session.name,
        "description": scalar(file, "session_description"),
    }
    return about | ({"columns_left_out": list(session.left_out)} if session.left_out else {})


def _blocks_of_rates(
    found: Mapping[str, xr.Dataset] | Sequence[_Found], asked: Mapping[str, Any]
) -> Mapping[str, xr.Dataset] | None:
    """Give the blocks of a file of rates, binned anew where that was asked; None for others."""
    if isinstance(found, Mapping):
        return found
    if not all(one.of_rates for one in found):
        return None
    return {
        one.written.leaf: _laid([one], one.written, asked)
        for one in found
        if one.written is not None
    }


def _laid(found: Sequence[_Found], first: Written, asked: Mapping[str, Any]) -> xr.Dataset:
    """Lay sessions that nwbcompare wrote on one clock, and give their block."""
    reading = Reading(**{**first.reading, **asked})
    written = [one.written for one in found if one.written is not None]
    provenance = _together([dict(one.provenance) for one in written])
    if asked:
        provenance["read_with"] = {name: _plain(value) for name, value in asked.items()}
    activity = lay_on_one_clock(
        [one.session for one in found],
        reading,
        name=" and ".join(dict.fromkeys(one.name for one in written)),
        leaf=first.leaf,
        aligned_to=first.aligned_to if reading.align == first.reading["align"] else None,
        source=first.source,
        deterministic=first.deterministic,
        condition_variables=first.condition_variables,
        provenance=provenance,
    )
    block = next(iter(activity.children.values())).to_dataset()
    renamed = {new: old for new, old in first.renamed.items() if new in block.coords}
    return block.drop_vars(list(renamed.values()), errors="ignore").rename(renamed)


def _plain(value: Any) -> Any:
    """Give an option as JSON has it."""
    if isinstance(value, str | None):
        return value
    return np.asarray(value).tolist()


def _together(parts: Sequence[Any]) -> Any:
    """Join what several files say: once where they agree, else a list, key by key."""
    if all(part == parts[0] for part in parts):
        return parts[0]
    if all(isinstance(part, dict) for part in parts):
        keys = dict.fromkeys(key for part in parts for key in part)
        return {key: _together([part.get(key) for part in parts]) for key in keys}
    return list(parts)


def _joined_blocks(paths: Sequence[Path], files: Sequence[Mapping[str, xr.Dataset]]) -> xr.DataTree:
    """Join the blocks of files of one network."""
    if len(files) == 1:
        return make_activity(files[0])
    parts: dict[str, xr.Dataset] = {}
    for path, found in zip(paths, files, strict=True):
        for leaf, block in found.items():
            name = leaf if leaf not in parts else f"{path.stem}-{leaf}"
            if name in parts:
                raise InputError(
                    str(path), "blocks of other names", f"{leaf!r} again", "Leave one file out."
                )
            parts[name] = block
    return make_activity(parts)


def _joined_sessions(
    paths: Sequence[Path], found: Sequence[_Found], asked: Mapping[str, Any]
) -> xr.DataTree:
    written = [one.written for one in found if one.written is not None]
    if len(written) == len(found):
        _refuse_other_archives(paths, written, asked)
        return make_activity({written[0].leaf.replace("/", "_"): _laid(found, written[0], asked)})
    alone = len(found) == 1
    return lay_on_one_clock(
        [one.session for one in found],
        Reading(**asked),
        name=found[0].session.name if alone else paths[0].resolve().parent.name or "sessions",
        provenance={
            "files": [one.about for one in found[:MOST_NAMED_FILES]],
            "n_files": len(found),
        },
    )


def _refuse_other_archives(
    paths: Sequence[Path], written: Sequence[Written], asked: Mapping[str, Any]
) -> None:
    """Refuse files that nwbcompare wrote of archives with other events, bins or conditions."""
    first = _of_archive(written[0], asked)
    for path, one in zip(paths, written, strict=True):
        for key, value in _of_archive(one, asked).items():
            if value != first[key]:
                raise InputError(
                    str(path),
                    f"the {key} of {paths[0].name}, {first[key]}",
                    str(value),
                    "Open files of different archives apart.",
                )


def _of_archive(written: Written, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reading": {k: v for k, v in written.reading.items() if k not in asked},
        "aligned_to": written.aligned_to,
        "condition_variables": written.condition_variables,
        "source": written.source,
    }
