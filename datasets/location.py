"""Search for the files of a recording on this computer."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nwbcompare.core.errors import InputError, listing
from nwbcompare.datasets.registry import Loader, get_loader

ENVIRONMENT_VARIABLE = "NWBCOMPARE_DATA"


class DatasetNotFoundError(InputError):
    """The files of a recording are in none of the places that are searched."""


def find_dataset(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of an archive.

    The search is in ``path``, if passed; else in the folder of the environment variable
    NWBCOMPARE_DATA, if set; else in ``../shared/data`` and the user's cache folder.

    Parameters
    ----------
    name
        The dataset, e.g. "mante2013".
    path
        Its folder, or a folder with a subfolder of its name.

    Returns
    -------
    pathlib.Path
        The folder with the files.

    Raises
    ------
    DatasetNotFoundError
        If there are no files of it. The message has its source, and the place to unpack it.
    InputError
        If the dataset is unknown.
    """
    loader = get_loader(name)
    folder_name = path or os.environ.get(ENVIRONMENT_VARIABLE)
    places = [Path(folder_name)] if folder_name else [Path("../shared/data"), cache_folder()]
    # an explicit folder is the only place: falling back to another would hide a mistake
    for place in places:
        # a folder of several archives, or that of the archive itself
        for folder in (place / name, place):
            if folder.is_dir() and loader.is_archive(folder):
                return folder
    raise DatasetNotFoundError(
        f"dataset {name!r}",
        f"its files in one of {listing(places)}",
        listing(
            f"{place}: {'other files or none' if place.is_dir() else 'no such folder'}"
            for place in places
        ),
        how_to_get(loader),
    )


def cache_folder() -> Path:
    """Return the user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("nwbcompare"))


def how_to_get(loader: Loader) -> str:
    """Return the source of a dataset, its citation, and the place to unpack it, as text.

    Parameters
    ----------
    loader
        The loader of the dataset.

    Examples
    --------
    >>> how_to_get(get_loader("mante2013"))[:31]
    'Obtain it from the public archi'
    """
    cache = cache_folder() / loader.name
    return (
        f"Obtain it from {loader.source}; {loader.unpack} Unpack it into {cache}, or name its "
        f"folder with {ENVIRONMENT_VARIABLE} or as a path. Cite: {loader.citation}"
    )
