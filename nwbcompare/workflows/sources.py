"""Sources of activity: files, run folders, datasets and models by one text (a SOURCE)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import xarray as xr

from nwbcompare.core.activity import blocks, labels, make_activity
from nwbcompare.core.epochs import Bound, Epochs, with_epochs
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.files import check_name
from nwbcompare.core.hdf5_input import UNREADABLE, named
from nwbcompare.core.lazy import kept_in_memory, read_with
from nwbcompare.core.netcdf_input import check_netcdf
from nwbcompare.core.remote_path import Location, is_remote, location
from nwbcompare.core.schema import check_activity
from nwbcompare.core.source_options import parse_options

if TYPE_CHECKING:
    from nwbcompare.model.config import TrainingConfig
    from nwbcompare.model.network import Network

PRETRAINED = "pretrained"
OF_SELECTION = ("only.", "min_trials", "min_rate")
"""Options of a SOURCE that select units and trials, whatever it is."""
OF_NWB = ("series", "transpose", "ragged")
"""Options of `open` for NWB files alone."""
ERRORS = (*UNREADABLE, ImportError)
"""What xarray raises on damaged netCDF files; where a file asks for a package, an ImportError."""


def open(  # noqa: A001 - the name that pynapple and xarray users expect
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    align: str | None = None,
    window: tuple[float, float] | None = None,
    bin: float | None = None,  # noqa: A002 - the usual term
    smooth: float | None = None,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    epochs: Epochs | None = None,
    series: str | None = None,
    trials: str | Mapping[str, str] | None = None,
    transpose: bool | None = None,
    ragged: Mapping[str, str | Sequence[str]] | None = None,
    **vendor: Any,
) -> xr.DataTree:
    """Open a file, several files or a folder as an activity; rates are read on access.

    Parameters
    ----------
    path
        An NWB file with trials; several files, or a folder of them, as one activity; a
        netCDF file of an activity; a run folder, whose network is recorded without noise on the
        test trials of its tasks; a file or folder of a vendor's format that neo reads; or an NWB
        file on a server, ``https://...`` or ``dandi:DANDISET/PATH``, of which only the parts that
        are looked at are read (extra ``remote``).
    align, window, bin, smooth, task, conditions, series
        How trials are aligned, binned and named; see `nwbcompare.io.open_nwb`. Not for netCDF
        files and run folders, whose activity has a time axis already.
    epochs
        Start and stop of each epoch: times (s) from the event, ``{"stim": (0.1, 0.85)}``, or trial
        columns, ``{"delay": ("cue_off", "go")}``; see `nwbcompare.io.sessions.Reading`. By default
        the epochs of the file; where it has none, the whole window is the epoch, "window".
    trials
        The table of trials in an NWB file, by default ``trials`` or the only other one; or how
        trials are defined in a vendor's file; see `nwbcompare.io.open_nwb` and `from_neo`.
    transpose, ragged
        For NWB files: whether a series is stored channels x samples, and which columns of several
        values are read; see `nwbcompare.io.open_nwb`.
    **vendor
        Further options of vendors' files; see `nwbcompare.io.open_vendor`.

    Returns
    -------
    xarray.DataTree
        The activity, checked without reading the rates.

    Raises
    ------
    InputError
        For a path that is none of these, a damaged file, and options that do not apply.

    Examples
    --------
    >>> import tempfile
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "activity.nc"
    ...     make_activity({"task": example_block()}).to_netcdf(file, engine="h5netcdf")
    ...     with open(file) as activity:
    ...         activity["task"]["rate"].dims
    ('trial', 'time', 'unit')
    """
    reading = {
        "align": align,
        "window": window,
        "bin": bin,
        "smooth": smooth,
        "task": task,
        "conditions": conditions,
        "epochs": epochs,
        "series": series,
        "trials": trials,
        "transpose": transpose,
        "ragged": ragged,
    }
    if not isinstance(path, str | os.PathLike):
        return _open_files([location(one) for one in path], reading, vendor)
    if is_remote(path):
        return _open_files([location(path)], reading, vendor)
    path = check_name(path)
    if path.is_dir():
        return _open_folder(path, reading, vendor)
    if path.suffix == ".nc" and path.is_file():
        _check_no_options(path, reading | {"epochs": None} | vendor)
        return _open_netcdf(path, epochs)
    return _open_files([path], reading, vendor)


def _open_files(
    paths: Sequence[Location], reading: dict[str, Any], vendor: dict[str, Any]
) -> xr.DataTree:
    """Open NWB files together, or one file of another format by neo."""
    lone = paths[0] if len(paths) == 1 else None
    if isinstance(lone, Path) and lone.is_file() and ("reader" in vendor or not _is_nwb(lone)):
        return _open_by_neo(lone, reading, vendor)
    for name in vendor:
        raise unknown_name("option of nwbcompare.open for NWB files", name, reading)
    from nwbcompare.io.nwb.read import open_nwb  # noqa: PLC0415 - imports h5py

    return open_nwb(paths, **reading)


def _open_by_neo(path: Path, reading: dict[str, Any], vendor: dict[str, Any]) -> xr.DataTree:
    from nwbcompare.io.neo.vendor_files import open_vendor  # noqa: PLC0415 - neo is optional

    _check_no_options(path, {name: reading[name] for name in OF_NWB})
    options = {name: value for name, value in reading.items() if value is not None}
    return check_activity(open_vendor(path, **options, **vendor))


def _is_nwb(path: Path) -> bool:
    """Return whether a file is to be read as NWB, by its name."""
    return path.suffix in {"", ".nwb", ".h5", ".hdf5"}


def _check_no_options(path: Path, options: dict[str, Any]) -> None:
    """Check that no options of reading are passed with activity that has a time axis already."""
    names = [name for name, value in options.items() if value is not None]
    if names:
        raise InputError(
            str(path),
            "no options for this kind of file",
            listing(names),
            "Leave them out; change an activity with nwbcompare.rebin, smooth or align.",
        )


def load(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> xr.DataTree:
    """Load a recording with a registered loader.

    Parameters
    ----------
    name
        Name of the dataset, such as "mante2013".
    path
        Folder of the dataset; by default it is searched for in the folder of NWBCOMPARE_DATA, else
        in that of the user's configuration file, else in the user's cache.
    **options
        Options of the loader, listed by ``nwbcompare datasets info NAME``.

    Raises
    ------
    InputError
        For an unknown dataset or option, and for missing or damaged files.
    """
    from nwbcompare.datasets.location import find_dataset  # noqa: PLC0415
    from nwbcompare.datasets.registry import get_loader  # noqa: PLC0415

    loader = get_loader(name)
    # before the dataset is searched for and read
    loader.check_options(options)
    return check_activity(loader.load(find_dataset(name, path), **options))


def split_name(text: str) -> tuple[str | None, str]:
    """Return the name and the SOURCE of ``NAME=SOURCE``; no name where there is none.

    Examples
    --------
    >>> split_name("fast=runs/fast-0"), split_name("mante2013?animal=ar")
    (('fast', 'runs/fast-0'), (None, 'mante2013?animal=ar'))
    """
    name, equals, source = text.partition("=")
    # a path, and the options of a source, may contain "="
    if not equals or "?" in name or Path(text).exists():
        return None, text
    return name, source


def resolve(source: str, *, inputs_and_outputs: bool = False) -> xr.DataTree:
    """Open a SOURCE of the command line.

    Parameters
    ----------
    source
        A path (see `open`), optionally with options of reading, such as
        ``day1.nwb?align=cue_time&window=-0.5,1&bin=0.05&conditions=side&epoch.stim=0.1,0.85``;
        an address ``https://...`` or ``dandi:DANDISET/PATH`` with the same options;
        of each, ``only.COLUMN=value,...``, ``min_trials=...`` and ``min_rate=...`` select units and
        trials (see `nwbcompare.datasets.select_units`);
        ``loader:PATH?option=value&...`` or ``loader`` or ``loader?option=value``;
        ``pretrained:NAME``; or a registered model (see `nwbcompare.workflows.model_registry`).
    inputs_and_outputs
        Whether a network is recorded with its inputs, outputs and targets.

    Returns
    -------
    xarray.DataTree
        The activity, checked.

    Raises
    ------
    InputError
        For a source that is none of these.
    """
    if is_network(source):
        network = find_network(source)
        return record_test_trials(
            network, tasks_of_network(source, network), inputs_and_outputs=inputs_and_outputs
        )
    head, _, query = source.rpartition("?")
    chosen = [part for part in query.split("&") if part.partition("=")[0].startswith(OF_SELECTION)]
    if not head or not chosen or Path(source).exists():
        return _resolve_all(source)
    rest = "&".join(part for part in query.split("&") if part not in chosen)
    return _selected(_resolve_all(f"{head}?{rest}" if rest else head), "&".join(chosen))


def _selected(activity: xr.DataTree, query: str) -> xr.DataTree:
    """Select units and trials by the options of a SOURCE, whose values are text."""
    from nwbcompare.datasets.unit_selection import select_units  # noqa: PLC0415

    options = parse_options(query, {"min_trials": int, "min_rate": float, "only.NAME": _words})
    parts = blocks(activity).values()
    for name in [name for name in options if name.startswith("only.")]:
        words, column = options.pop(name), name.removeprefix("only.")
        # a column that does not exist is refused by the selection
        kinds = {labels(block[column]).dtype.kind for block in parts if column in block.coords}
        convert: Callable[[str], Any] = str
        if kinds and kinds <= set("biuf"):
            convert = _flag if kinds == {"b"} else float
        try:
            options[column] = [convert(word) for word in words]
        except ValueError as error:
            raise InputError(
                f"option {name!r}", f"values of {column}", listing(words), "Correct them."
            ) from error
    return select_units(activity, **options)


def _resolve_all(source: str) -> xr.DataTree:
    """Open a SOURCE that is not a network, with all its units and trials."""
    if is_remote(source):
        return _open_remote(source)
    # a path counts first: a file may have the name of a loader
    if Path(source).exists():
        return open(source)
    # only now, since the name of a file may contain a question mark
    head, _, query = source.partition("?")
    if query and Path(head).exists():
        return open(head, **_reading(query))
    from nwbcompare.datasets.registry import get_loader, loaders  # noqa: PLC0415
    from nwbcompare.workflows.model_registry import load_model, model_loaders  # noqa: PLC0415

    name, _, path = head.partition(":")
    if name in loaders():
        options = parse_options(query, get_loader(name).options, of=name)
        return load(name, path or None, **options)
    if name in model_loaders():
        return check_activity(cast("xr.DataTree", load_model(source)))
    raise InputError(
        f"source {source!r}",
        "an existing file or folder, LOADER:PATH?option=value, or pretrained:NAME",
        "none of these",
        f"Check the path; loaders: {listing([*loaders(), *model_loaders()])}.",
    )


def _open_remote(source: str) -> xr.DataTree:
    """Open an address, whose own query may stand before or in place of options of reading."""
    address, _, query = source.rpartition("?")
    first = query.partition("=")[0].partition(".")[0]
    if not address or first not in {name.partition(".")[0] for name in READING_OPTIONS}:
        return open(source)
    return open(address, **_reading(query))


def run_folder(source: str) -> Path:
    """Return the run folder of a path or of ``pretrained:NAME``.

    Examples
    --------
    >>> run_folder("runs/a").as_posix()
    'runs/a'
    >>> run_folder("pretrained:ctxdm-0").name
    'ctxdm-0'
    """
    from nwbcompare.model.checkpoint import pretrained_path  # noqa: PLC0415 - imports torch

    name, colon, rest = source.partition(":")
    return pretrained_path(rest) if name == PRETRAINED and colon else Path(source)


def is_network(source: str) -> bool:
    """Return whether a SOURCE is a run folder, ``pretrained:NAME`` or a registered network.

    Examples
    --------
    >>> is_network("pretrained:ctxdm-0"), is_network("session.nwb")
    (True, False)
    """
    # by its name, without importing torch
    if source.startswith(f"{PRETRAINED}:"):
        return True
    if is_remote(source):
        return False
    if not check_name(source).is_dir():
        return _registered_as(source) == "network"
    from nwbcompare.model.checkpoint import is_run  # noqa: PLC0415 - imports torch

    return is_run(source)


def is_activity_model(source: str) -> bool:
    """Return whether a SOURCE is a registered model that consists of activity only."""
    return (
        not is_remote(source)
        and not check_name(source).exists()
        and _registered_as(source) == "activity"
    )


def _registered_as(source: str) -> str | None:
    """Return what a registered model of this SOURCE consists of, "network" or "activity"."""
    from nwbcompare.workflows.model_registry import model_loader  # noqa: PLC0415 - rarely needed

    loader = model_loader(source)
    return None if loader is None else loader.returns


def find_network(source: str) -> Network:
    """Load the network of a run folder, of ``pretrained:NAME``, or of a registered model.

    Raises
    ------
    InputError
        If there is no run folder, or a registered model is not a network.
    """
    from nwbcompare.model.checkpoint import load as load_run  # noqa: PLC0415 - imports torch
    from nwbcompare.model.network import Network  # noqa: PLC0415

    if not check_name(source).exists() and _registered_as(source) == "network":
        from nwbcompare.workflows.model_registry import load_model  # noqa: PLC0415

        network = load_model(source)
        if not isinstance(network, Network):
            raise InputError(
                f"model {source!r}",
                "a nwbcompare.model.Network from its loader",
                type(network).__name__,
                'Correct the loader, or declare returns="activity".',
            )
        return network
    return load_run(run_folder(source))


def training_of(source: str) -> TrainingConfig | None:
    """Return the training configuration of a network, or None if it is unknown."""
    from nwbcompare.model.checkpoint import is_run, read_training  # noqa: PLC0415 - imports torch

    run = run_folder(source)
    return read_training(run) if is_run(run) else None


def tasks_of_network(source: str, network: Network) -> tuple[str, ...]:
    """Return the tasks that a network was trained on, or else the tasks of its rules."""
    training = training_of(source)
    return network.config.rules if training is None else training.tasks


def record_test_trials(
    network: Network, tasks: Sequence[str], *, inputs_and_outputs: bool = False
) -> xr.DataTree:
    """Record a network without noise on the published test trials, one block for each task."""
    from nwbcompare.model.network_recording import record  # noqa: PLC0415
    from nwbcompare.tasks.trials import make_trials  # noqa: PLC0415

    return make_activity(
        {
            task: record(
                network,
                make_trials(task, "test", dt_ms=network.config.dt_ms, rules=network.config.rules),
                inputs_and_outputs=inputs_and_outputs,
            )
            for task in tasks
        }
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _words(text: str) -> list[str]:
    return text.split(",")


def _bounds(text: str) -> tuple[Bound, ...]:
    """Return the start and the stop of an epoch: numbers, or names of columns."""
    return tuple(_number_or_name(part) for part in text.split(","))


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _number_or_name(text: str) -> Bound:
    try:
        return float(text)
    except ValueError:
        return text


READING_OPTIONS: dict[str, Callable[[str], Any]] = {
    "align": str,
    "window": _numbers,
    "bin": float,
    "smooth": float,
    "task": str,
    "conditions": _words,
    "epoch.NAME": _bounds,
    "series": str,
    "trials": str,
    "trials.NAME": str,
    "events.NAME": str,
    "reader": str,
    "signal": str,
    "transpose": _flag,
    "ragged.NAME": _words,
}
"""Options of `open` that a SOURCE may have, with the function that parses each."""
OF_NAMES = {"epoch": "epochs", "trials": "trials", "events": "events", "ragged": "ragged"}
"""Options of a SOURCE with a name after a point, and the argument of `open` that takes them."""


def _reading(query: str) -> dict[str, Any]:
    """Return the options of `open` from those of a SOURCE."""
    options = parse_options(query, READING_OPTIONS)
    for word, argument in OF_NAMES.items():
        named = [name for name in options if name.startswith(f"{word}.")]
        if named:
            options[argument] = {name.removeprefix(f"{word}."): options.pop(name) for name in named}
    return options


def _open_folder(path: Path, reading: dict[str, Any], vendor: dict[str, Any]) -> xr.DataTree:
    """Open a run folder as its network's activity, or all NWB files below a folder as one."""
    from nwbcompare.model.checkpoint import is_run  # noqa: PLC0415

    if is_run(path):
        _check_no_options(path, reading | vendor)
        network = find_network(str(path))
        return record_test_trials(network, tasks_of_network(str(path), network))
    # in a dandiset the files are in subfolders
    files = sorted(
        file for file in path.rglob("*.nwb") if file.is_file() and not _hidden(file, path)
    )
    if files and "reader" not in vendor:
        from nwbcompare.io.nwb.folder import files_with_units  # noqa: PLC0415 - imports h5py

        return _open_files(files_with_units(files, series=reading["series"]), reading, vendor)
    from nwbcompare.io.neo.vendor_files import folder_readers  # noqa: PLC0415 - neo is optional

    if "reader" in vendor or folder_readers(path):
        return _open_by_neo(path, reading, vendor)
    raise InputError(
        str(path),
        "a run folder, a folder with NWB files, or one of a recording system",
        "an empty folder" if not any(path.iterdir()) else "a folder of other files",
        "Name an NWB file, a loader for an archive (LOADER:PATH), or neo's reader of the folder "
        "(reader=...).",
    )


def _hidden(file: Path, folder: Path) -> bool:
    """Return whether a file is in a hidden folder, such as those of interrupted writers."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _open_netcdf(path: Path, epochs: Epochs | None) -> xr.DataTree:
    """Open a netCDF file with its tables in memory and its rates on disk."""
    check_netcdf(path)
    guard = partial(named, path, expected="a whole netCDF file of an activity", errors=ERRORS)
    with guard():
        # kept in memory by the variables below, whose reading is guarded
        activity = xr.open_datatree(path, engine="h5netcdf", cache=False)
        for leaf in activity.leaves:
            block = leaf.to_dataset(inherit=False)
            # the trial and unit tables are small
            for column in block.coords.values():
                column.load()
            kept_in_memory(read_with(block, guard))
        check_activity(activity)
    if epochs is None:
        return activity
    return make_activity(
        {leaf: with_epochs(block, epochs) for leaf, block in blocks(activity).items()}
    )
