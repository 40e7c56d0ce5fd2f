"""Sources: an NWB file, a run folder, a registered loader, all by one word."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import xarray as xr

from nwbcompare.activity import make_activity
from nwbcompare.errors import InputError, listing
from nwbcompare.validate import check_activity

if TYPE_CHECKING:
    from nwbcompare.model import Network

PRETRAINED = "pretrained"


def open_source(path: str | os.PathLike[str]) -> xr.DataTree:
    """Open a file or a folder as an activity.

    Parameters
    ----------
    path
        An NWB file that `write_nwb` made; a netCDF file of an activity; a run folder, which
        is recorded without noise on the test trials of its tasks; or a folder with one NWB
        file.

    Returns
    -------
    xarray.DataTree
        The activity, checked.

    Raises
    ------
    InputError
        Where it is none of these, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    if path.suffix == ".nc" and path.is_file():
        return _open_netcdf(path)
    from nwbcompare.nwb import open_nwb  # noqa: PLC0415 - pynwb takes seconds to import

    return check_activity(open_nwb(path))


def load(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> xr.DataTree:
    """Load a recording by a registered loader.

    Parameters
    ----------
    name
        The dataset, such as "mante2013".
    path
        Its folder; by default it is looked for (NWBCOMPARE_DATA, ../shared/data, the per-user
        cache).
    **options
        The loader's options; ``nwbcompare datasets info NAME`` lists them.

    Raises
    ------
    InputError
        For an unknown dataset or option, and files that are not there or damaged.
    """
    from nwbcompare.datasets import find_dataset, get_loader  # noqa: PLC0415

    loader = get_loader(name)
    loader.check_options(options)
    return check_activity(loader.load(find_dataset(name, path), **options))


def resolve(source: str) -> xr.DataTree:
    """Open a SOURCE of the command line.

    Parameters
    ----------
    source
        A path (see `open_source`); ``loader:PATH?option=value&...`` or ``loader`` or
        ``loader?option=value``; or ``pretrained:NAME``.

    Raises
    ------
    InputError
        Where it is none of these.
    """
    if Path(source).exists():
        return open_source(source)
    from nwbcompare.datasets import get_loader, loaders  # noqa: PLC0415

    head, _, query = source.partition("?")
    name, colon, path = head.partition(":")
    if name == PRETRAINED and colon:
        return open_source(run_folder(source))
    if name in loaders():
        options = get_loader(name).parse_options(dict(parse_qsl(query, strict_parsing=bool(query))))
        return load(name, path or None, **options)
    raise InputError(
        f"source {source!r}",
        "an existing file or folder, LOADER:PATH?option=value, or pretrained:NAME",
        "none of these",
        f"Check the path; loaders: {listing(loaders())}.",
    )


def run_folder(source: str) -> Path:
    """Give the run folder that a path or ``pretrained:NAME`` means."""
    from nwbcompare.model import pretrained_path  # noqa: PLC0415 - imports torch

    name, colon, rest = source.partition(":")
    return pretrained_path(rest) if name == PRETRAINED and colon else Path(source)


def find_network(source: str) -> Network:
    """Load the network of a run folder or of ``pretrained:NAME``."""
    from nwbcompare.model import load as load_run  # noqa: PLC0415 - imports torch

    return load_run(run_folder(source))


def tasks_of(run: Path) -> tuple[str, ...]:
    """Give the tasks that a run was trained on; where it does not say, those of its rules."""
    from nwbcompare.model import load as load_run  # noqa: PLC0415 - imports torch
    from nwbcompare.model.checkpoint import read_training  # noqa: PLC0415

    training = read_training(run)
    return load_run(run).config.rules if training is None else training.tasks


def record_test_trials(
    network: Network, tasks: Sequence[str], *, inputs_and_outputs: bool = False
) -> xr.DataTree:
    """Record a network without noise on the published test trials, one block a task."""
    from nwbcompare.model import record  # noqa: PLC0415
    from nwbcompare.tasks import make_trials  # noqa: PLC0415

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


def _open_folder(path: Path) -> xr.DataTree:
    from nwbcompare.model.checkpoint import is_run  # noqa: PLC0415

    if is_run(path):
        return record_test_trials(find_network(str(path)), tasks_of(path))
    files = sorted(path.glob("*.nwb"))
    if len(files) == 1:
        return open_source(files[0])
    raise InputError(
        str(path),
        "a run folder, or a folder with one NWB file",
        f"{len(files)} NWB files"
        if files
        else "an empty folder"
        if not any(path.iterdir())
        else "a folder of other files",
        "Name one NWB file, or a loader for an archive: LOADER:PATH.",
    )


def _open_netcdf(path: Path) -> xr.DataTree:
    try:
        opened = xr.load_datatree(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            str(path),
            "a netCDF file of an activity",
            f"one that cannot be read ({error})",
            "It is damaged or another kind of file: write it again with to_netcdf.",
        ) from error
    return check_activity(opened)
