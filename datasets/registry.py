"""The registry of loaders: this package's, and those of other packages by entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.core.errors import InputError, unknown_name

ENTRY_POINT_GROUP = "nwbcompare.datasets"


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How the sessions of an archive become NWB files.

    Attributes
    ----------
    sessions
        Lists the archive's sessions: ``sessions(path)``.
    load
        Loads one in the archive's own bins, as rates that are whole counts per bin:
        ``load(path, session)``.
    metadata
        What archives ask of a session (see `nwbcompare.write_nwb`): ``metadata(session)``.
    reading
        How `nwbcompare.open` is to read the files by default, so that it gives what the
        loader gives: ``{"bin": 0.05, "smooth": 0.04}``.
    """

    sessions: Callable[[Path], list[str]]
    load: Callable[[Path, str], xr.DataTree]
    metadata: Callable[[str], Mapping[str, Mapping[str, Any]]]
    reading: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Loader:
    """An archive that can be loaded.

    Attributes
    ----------
    name, title, citation
        Its name here, what it is, and how to cite its authors.
    source, unpack
        Where users obtain it, and how it is to lie on disk.
    options
        Options of ``load`` by name, with the function that reads each from text.
    is_archive
        Tells whether a folder holds the archive's files.
    load
        Loads it: ``load(path, **options)``.
    conversion
        How its sessions become NWB files; None where nobody has said.
    """

    name: str
    title: str
    citation: str
    source: str
    unpack: str
    options: Mapping[str, Callable[[str], Any]]
    is_archive: Callable[[Path], bool]
    load: Callable[..., xr.DataTree]
    conversion: Conversion | None = None

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the loader does not have; the nearest are named."""
        for name in options:
            if name not in self.options:
                raise unknown_name(f"option of {self.name}", name, self.options)

    def parse_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Read options given as text, such as ``{"bin_s": "0.05"}``."""
        self.check_options(options)
        parsed = {}
        for name, text in options.items():
            try:
                parsed[name] = self.options[name](text)
            except ValueError as error:
                kind = self.options[name].__name__
                raise InputError(
                    f"option {name!r} of {self.name}", f"a {kind}", repr(text), "Correct it."
                ) from error
        return parsed


def loaders() -> dict[str, Loader]:
    """Give every loader by name."""
    from nwbcompare.datasets.mante2013 import MANTE2013  # noqa: PLC0415 - it imports us

    found = {MANTE2013.name: MANTE2013}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        loader = point.load()
        if point.name in found and found[point.name] is not loader:
            raise InputError(
                f"loader {point.name!r}",
                "one package that provides it",
                f"{point.value} besides another",
                "Uninstall one of them.",
            )
        found[point.name] = loader
    return found


def get_loader(name: str) -> Loader:
    """Give a loader by name; an unknown one is refused with the nearest names."""
    known = loaders()
    if name not in known:
        raise unknown_name("dataset", name, known)
    return known[name]
