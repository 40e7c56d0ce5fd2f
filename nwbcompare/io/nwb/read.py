"""Activity from one NWB file with trials, or from several."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import h5py
import numpy as np
import xarray as xr

from nwbcompare.core.activity import make_activity
from nwbcompare.core.epochs import Epochs
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.files import check_file
from nwbcompare.core.hdf5_input import named, opened, scalar
from nwbcompare.core.lazy import guarded, kept_in_memory
from nwbcompare.core.remote_path import Location, PathLike, RemotePath, location
from nwbcompare.core.schema import check_activity
from nwbcompare.io.nwb.generic import Selection, read_session
from nwbcompare.io.nwb.native import has_rates, read_blocks, read_schema
from nwbcompare.io.nwb.native_sessions import Written, native_sessions
from nwbcompare.io.sessions.alignment import lay_on_one_clock
from nwbcompare.io.sessions.session import Reading, Session

MOST_NAMED_FILES = 20
"""Number of files that the provenance lists."""


def open_nwb(
    path: PathLike | Sequence[PathLike],
    *,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    smooth: float | None = None,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    epochs: Epochs | None = None,
    series: str | None = None,
    trials: str | None = None,
    transpose: bool | None = None,
    ragged: Mapping[str, str | Sequence[str]] | None = None,
) -> xr.DataTree:
    """Open NWB files as labelled arrays, aligned to trials; rates are read when indexed.

    Parameters
    ----------
    path
        A file, or several files of one activity: sessions with different trials and units, or
        files of one network's tasks. Also ``https://...`` or ``dandi:DANDISET/PATH``, of which only
        the parts that are looked at are read; see `nwbcompare.core.remote_path.location`.
    align
        Trial column with the time (s) of the event that becomes time 0; by default the start of
        the trial. Trials without it are left out, with a warning.
    window
        Start and stop (s) from the event. By default from the event to the end of the longest
        trial; bins that reach beyond a trial's own end are then NaN.
    bin
        Bin width (s). By default 0.05 s for spikes, and one sample for a time series, of which
        wider bins are means. An incomplete last bin is dropped.
    smooth
        Standard deviation of a Gaussian (s), 0 by default. Rates are smoothed in a wider window,
        so that its edges are unbiased; where recording ended, edges are padded with the end
        values.
    task
        Trial column that names the task; by default ``task``. Without one, all trials are of one
        task, called after the file, with a warning.
    conditions
        Trial columns whose combinations are conditions; by default none.
    epochs
        Start and stop of each epoch: times (s) from the event, ``{"stim": (0.1, 0.85)}``, or trial
        columns, ``{"delay": ("cue_off", "go")}``; see `nwbcompare.io.sessions.Reading`. By default
        the epochs of a native file; else the window is the epoch.
    series
        "units" for spikes, or the name or path of a time series or of a units table. By default
        the rates of a native file; else spikes if there are any; else the only time series.
    trials
        Name or path of the table of trials, any table of intervals, such as "epochs"; by default
        ``trials``, else the only other one, with a warning. Never ``invalid_times``.
    transpose
        Whether the series is stored channels x samples. By default it is samples x channels, as
        NWB demands; where the tables say otherwise an error asks for this option.
    ragged
        Columns of trials or units with several values a row: ``{"licks": "count"}``, "first" or
        "all", or a list of these, which become the columns ``licks_count``, ``licks_first`` and
        ``licks_all``, a JSON list. By default they are left out.

    Returns
    -------
    xarray.DataTree
        For files of `write_nwb`, the activity that was written, bit for bit. With any of the
        options above, its blocks are aligned and binned again; event, window and bins are by
        default those that were written, and samples of neighbouring trials are not used.

        For other files, one block: dense if every unit was recorded in every trial, else ragged,
        with a row for each unit and trial that was recorded, and ``observation_trial``. Bins
        outside a unit's ``obs_intervals`` are NaN, and so are bins that overlap an interval of
        ``invalid_times``, of all units. A unit's id is its ``unit_name``, else the id
        in the table, with the session as prefix if ids repeat. A unit on electrodes of several
        areas has them all as ``area``, e.g. "FEF/MT". Text that is JSON is decoded.
        Trial columns with several values per trial are left out; the provenance lists them.

    Raises
    ------
    InputError
        If a file does not exist, is not an NWB file, is damaged or of a newer version, has no
        trials or no units, or links to files outside its folder; and if options do not fit.

    Examples
    --------
    >>> import tempfile, nwbcompare as nc
    >>> from pathlib import Path
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nc.write_nwb(example_block(), Path(folder) / "example.nwb")
    ...     activity = open_nwb(path, window=(0.1, 0.5), bin=0.2, conditions=["direction"])
    ...     activity["example"]["rate"].load().shape
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
        epochs=epochs,
        series=series,
        trials=trials,
        transpose=transpose,
        ragged=ragged,
    )
    return make_activity(
        {name: kept_in_memory(leaf.to_dataset()) for name, leaf in activity.children.items()}
    )


def open_lazily(path: PathLike | Sequence[PathLike], **reading: Any) -> xr.DataTree:
    """Open NWB files as `open_nwb`, without keeping rates in memory after they are read.

    Parameters
    ----------
    path, **reading
        As for `open_nwb`.

    Raises
    ------
    InputError
        As `open_nwb`.
    """
    several = [path] if isinstance(path, str | os.PathLike | RemotePath) else path
    paths = [location(one) for one in several]
    if not paths:
        raise InputError("path", "at least one NWB file", "none", "Name one.")
    _refuse_repeated(paths)
    choices = {field.name: reading.pop(field.name, None) for field in fields(Selection)}
    selection = Selection(**choices)
    options = {name: value for name, value in reading.items() if value is not None}
    # checked here, so that a mistake in the options is not reported as one in a file
    Reading(**options)
    # later reads of rates name the file too, or the folder of several
    guard = partial(named, paths[0] if len(paths) == 1 else paths[0].resolve().parent)
    with guard():
        activity = check_activity(_joined(paths, options, selection))
    for leaf in activity.children.values():
        guarded(leaf.to_dataset(), guard)
    return activity


def _joined(
    paths: Sequence[Location], options: dict[str, Any], selection: Selection
) -> xr.DataTree:
    files = [_read_tables(one, selection, anew=bool(options)) for one in paths]
    rates = [_blocks_of_rates(file, options) for file in files]
    blocks = [one for one in rates if one is not None]
    if not blocks:
        sessions = [one for file in files if isinstance(file, list) for one in file]
        return _joined_sessions(paths, sessions, options)
    if len(blocks) < len(rates):
        raise InputError(
            listing(paths, most=3),
            "files of one kind",
            "rates that nwbcompare wrote beside others",
            "Open them separately.",
        )
    return _joined_blocks(paths, blocks)


def _refuse_repeated(paths: Sequence[Location]) -> None:
    # two paths may lead to one file
    for path, number in Counter(path.resolve() for path in paths).items():
        if number > 1:
            raise InputError(str(path), "each file once", "the same file again", "Name it once.")


@dataclass(frozen=True)
class _FileSession:
    """A session of a file, with the file's provenance and, if native, its description."""

    session: Session
    provenance: dict[str, Any]
    written: Written | None = None
    of_rates: bool = False


def _of_version_1(path: Location, file: h5py.File) -> InputError:
    """Return the error for a file of NWB 1, which has its version in a dataset."""
    version = scalar(file, "nwb_version")
    return InputError(
        str(path),
        "an NWB file of version 2",
        f"one of version {version!r}",
        "Convert it to version 2, with MatNWB's or the data's authors' script or with neuroconv; "
        "archives such as DANDI have many such files in version 2.",
    )


def _read_tables(
    path: Location, selection: Selection, *, anew: bool
) -> dict[str, xr.Dataset] | list[_FileSession]:
    """Read a file: the blocks of a native file with rates, unless binned ``anew``, or sessions."""
    # whether there is a file on a server is seen when it is opened
    where = path if isinstance(path, RemotePath) else check_file(path, "an NWB file")
    with opened(where) as file:
        # h5py opens any HDF5 file, such as netCDF or MATLAB 7.3
        if "nwb_version" not in file.attrs:
            if "nwb_version" in file:
                raise _of_version_1(path, file)
            raise InputError(
                str(path), "an NWB file", "an HDF5 file of another kind", "Check the path."
            )
        schema = read_schema(file, path)
        if schema is None:
            session = read_session(file, path, selection)
            return [_FileSession(session, _provenance(file, path, session))]
        for name in selection.chosen:
            raise InputError(
                f"{path}: {name}",
                "a file of another program",
                "one of nwbcompare.write_nwb, whose tables are known",
                "Leave the option out.",
            )
        if has_rates(schema) and not anew and selection.series is None:
            return read_blocks(file, path, schema)
        return [
            _FileSession(session, _provenance(file, path, session), written, has_rates(schema))
            for session, written in native_sessions(file, path, schema, selection.series)
        ]


def _provenance(file: h5py.File, path: Location, session: Session) -> dict[str, Any]:
    """Return the provenance of a file: name, identifier, session and description."""
    record = {
        "file": str(path) if isinstance(path, RemotePath) else path.name,
        "identifier": scalar(file, "identifier"),
        "session": session.name,
        "description": scalar(file, "session_description"),
    }
    return record | ({"columns_left_out": list(session.left_out)} if session.left_out else {})


def _blocks_of_rates(
    file: Mapping[str, xr.Dataset] | Sequence[_FileSession], options: Mapping[str, Any]
) -> Mapping[str, xr.Dataset] | None:
    """Return the blocks of a native file with rates, binned by the options; None for others."""
    if isinstance(file, Mapping):
        return file
    if not all(one.of_rates for one in file):
        return None
    return {
        one.written.leaf: _block_of([one], one.written, options)
        for one in file
        if one.written is not None
    }


def _block_of(
    sessions: Sequence[_FileSession], first: Written, options: Mapping[str, Any]
) -> xr.Dataset:
    """Return the block of sessions of native files."""
    # options of the call take precedence over those that the file was written with
    reading = Reading(**{**first.reading, **options})
    written = [one.written for one in sessions if one.written is not None]
    provenance = _merged([dict(one.provenance) for one in written])
    if options:
        provenance["read_with"] = {name: _json_value(value) for name, value in options.items()}
    activity = lay_on_one_clock(
        [one.session for one in sessions],
        reading,
        name=" and ".join(dict.fromkeys(one.name for one in written)),
        leaf=first.leaf,
        # the name of the written event does not describe another one
        aligned_to=first.aligned_to if reading.align == first.reading["align"] else None,
        source=first.source,
        deterministic=first.deterministic,
        condition_variables=first.condition_variables,
        provenance=provenance,
    )
    block = next(iter(activity.children.values())).to_dataset()
    # columns get their names back, in place of the trials table's own
    renamed = {new: old for new, old in first.renamed.items() if new in block.coords}
    added = [*renamed.values(), *first.event_columns]
    return block.drop_vars(added, errors="ignore").rename(renamed)


def _json_value(value: Any) -> Any:
    """Return an option as a value of JSON."""
    if isinstance(value, str | None):
        return value
    # json knows neither arrays nor numpy's numbers
    return np.asarray(value).tolist()


def _merged(parts: Sequence[Any]) -> Any:
    """Merge the provenance of files: equal values once, others as a list, key by key."""
    if all(part == parts[0] for part in parts):
        return parts[0]
    if all(isinstance(part, dict) for part in parts):
        keys = dict.fromkeys(key for part in parts for key in part)
        return {key: _merged([part.get(key) for part in parts]) for key in keys}
    return list(parts)


def _joined_blocks(
    paths: Sequence[Location], files: Sequence[Mapping[str, xr.Dataset]]
) -> xr.DataTree:
    """Join the blocks of files of one network."""
    if len(files) == 1:
        return make_activity(files[0])
    parts: dict[str, xr.Dataset] = {}
    for path, file in zip(paths, files, strict=True):
        for leaf, block in file.items():
            name = leaf if leaf not in parts else f"{path.stem}-{leaf}"
            if name in parts:
                raise InputError(
                    str(path), "blocks of other names", f"{leaf!r} again", "Leave one file out."
                )
            parts[name] = block
    return make_activity(parts)


def _joined_sessions(
    paths: Sequence[Location], sessions: Sequence[_FileSession], options: Mapping[str, Any]
) -> xr.DataTree:
    written = [one.written for one in sessions if one.written is not None]
    if len(written) == len(sessions):
        _refuse_other_archives(paths, written, options)
        leaf = written[0].leaf.replace("/", "_")
        return make_activity({leaf: _block_of(sessions, written[0], options)})
    folder = paths[0].resolve().parent.name or "sessions"
    return lay_on_one_clock(
        [one.session for one in sessions],
        Reading(**options),
        name=sessions[0].session.name if len(sessions) == 1 else folder,
        provenance={
            "files": [one.provenance for one in sessions[:MOST_NAMED_FILES]],
            "n_files": len(sessions),
        },
    )


def _refuse_other_archives(
    paths: Sequence[Location], written: Sequence[Written], options: Mapping[str, Any]
) -> None:
    """Check that native files have the same event, bins and conditions."""
    # options of the call apply to all files, and need not agree in them
    first = _of_archive(written[0], options)
    for path, one in zip(paths, written, strict=True):
        for key, value in _of_archive(one, options).items():
            if value != first[key]:
                raise InputError(
                    str(path),
                    f"the {key} of {paths[0].name}, {first[key]}",
                    str(value),
                    "Open files of different archives separately.",
                )


def _of_archive(written: Written, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reading": {k: v for k, v in written.reading.items() if k not in options},
        "aligned_to": written.aligned_to,
        "condition_variables": written.condition_variables,
        "source": written.source,
    }
