"""Registry of loaders: those of this package, and of other packages by entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from nwbcompare.core.entry_points import registered
from nwbcompare.core.errors import unknown_name
from nwbcompare.datasets.card import DataCard
from nwbcompare.io.sessions.recorded_signals import SpikeTrains

if TYPE_CHECKING:
    from nwbcompare.datasets.downloads import Download

ENTRY_POINT_GROUP = "nwbcompare.datasets"
OF_PACKAGE = (
    "constantinidis",
    "dandi000130",
    "kiani2014",
    "mante2013",
    "miranda2025",
    "romo",
    "shi2022",
    "siegel2015",
    "wang2024",
)
"""Loaders of this package: each is in the file of its name, in capitals."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Conversion of the sessions of an archive to NWB files.

    Attributes
    ----------
    sessions
        Function of the archive's path that returns the names of its sessions.
    load
        Function of path and session that returns an activity: with ``trains``, in any bins, with
        the trials' times in the session as columns; else in the archive's own bins, whose rates
        are whole counts per bin.
    metadata
        Function of a session's name that returns its metadata; see `nwbcompare.write_nwb`.
    reading
        Default options of `nwbcompare.open` for the files, so that it returns the rates of the
        loader, e.g. ``{"bin": 0.05, "smooth": 0.04}``.
    trains
        Function of path and session that returns the spike times of the activity's units on the
        session's clock, for archives that have it.
    """

    sessions: Callable[[Path], list[str]]
    load: Callable[[Path, str], xr.DataTree]
    metadata: Callable[[str], Mapping[str, Mapping[str, Any]]]
    reading: Mapping[str, Any]
    trains: Callable[[Path, str], SpikeTrains] | None = None


@dataclass(frozen=True, kw_only=True)
class Loader:
    """A loader of an archive.

    Attributes
    ----------
    name, title
        Name of the dataset, and its description.
    card
        Origin, terms, size, tasks and traps.
    options
        Options of ``load`` by name, with the function that converts each from text.
    is_archive
        Function that returns whether a folder has the archive's files.
    load
        Function ``load(path, **options)`` that returns an activity.
    conversion
        Conversion of its sessions to NWB files; None if it has none.
    downloads
        Function that returns its files on a server; None where its terms do not allow a download,
        or its address is not known. It may ask a server.

    Examples
    --------
    >>> sorted(get_loader("mante2013").options)[:2]
    ['animal', 'bin_s']
    """

    name: str
    title: str
    card: DataCard
    options: Mapping[str, Callable[[str], Any]]
    is_archive: Callable[[Path], bool]
    load: Callable[..., xr.DataTree]
    conversion: Conversion | None = None
    downloads: Callable[[], Sequence[Download]] | None = None

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Check that the loader has options of these names.

        Raises
        ------
        InputError
            If it has not; the message has the nearest names.
        """
        for name in options:
            if name not in self.options:
                raise unknown_name(f"option of {self.name}", name, self.options)


def loaders() -> dict[str, Loader]:
    """Return all loaders by name: this package's, and those of installed packages.

    Raises
    ------
    InputError
        If two packages have a loader of the same name.

    Examples
    --------
    >>> "mante2013" in loaders()
    True
    """
    # not at the top, since loaders import this file
    modules = {name: import_module(f"nwbcompare.datasets.{name}") for name in OF_PACKAGE}
    known = {name: getattr(module, name.upper()) for name, module in modules.items()}
    return registered(ENTRY_POINT_GROUP, Loader, known)


def get_loader(name: str) -> Loader:
    """Return a loader by name.

    Parameters
    ----------
    name
        The dataset, e.g. "mante2013".

    Raises
    ------
    InputError
        If there is none; the message has the nearest names.

    Examples
    --------
    >>> get_loader("mante2013").name
    'mante2013'
    """
    by_name = loaders()
    if name not in by_name:
        raise unknown_name("dataset", name, by_name)
    return by_name[name]
