"""Where a recording is found on this computer."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nwbcompare.core.errors import InputError, listing
from nwbcompare.datasets.registry import Loader, get_loader

ENVIRONMENT_VARIABLE = "NWBCOMPARE_DATA"


class DatasetNotFoundError(InputError):
    """A recording that is in none of the places where it is looked for."""


def find_dataset(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """Find the folder of an archive.

    Looked at in this order: ``path``; the folder that the environment variable
    NWBCOMPARE_DATA names; ``../shared/data``; the per-user cache.

    Parameters
    ----------
    name
        The dataset.
    path
        Its folder, or one that holds it under its name. A path or an NWBCOMPARE_DATA that
        does not hold it is an error, never passed over.

    Raises
    ------
    DatasetNotFoundError
        Where it is nowhere; the message says how to get it and where to unpack it.
    """
    loader = get_loader(name)
    asked = path or os.environ.get(ENVIRONMENT_VARIABLE)
    places = (
        [Path(asked)]
        if asked
        else [
            Path("..") / "shared" / "data",
            Path(platformdirs.user_cache_dir("nwbcompare")),
        ]
    )
    for place in places:
        for folder in (place / name, place):
            if folder.is_dir() and loader.is_archive(folder):
                return folder
    raise DatasetNotFoundError(
        f"dataset {name!r}",
        f"its files in one of {listing(places)}",
        _found(places),
        how_to_get(loader),
    )


def _found(places: list[Path]) -> str:
    return listing(
        f"{place}: " + ("no such folder" if not place.is_dir() else "other files or none")
        for place in places
    )


def how_to_get(loader: Loader) -> str:
    """Say where a dataset comes from, how to cite it and where to unpack it."""
    cache = Path(platformdirs.user_cache_dir("nwbcompare")) / loader.name
    return (
        f"Obtain it from {loader.source}; {loader.unpack} Unpack it into {cache}, or name its "
        f"folder with {ENVIRONMENT_VARIABLE} or as a path. Cite: {loader.citation}"
    )
