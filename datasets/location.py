"""Search for the files of a recording on this computer."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from nwbcompare.core.checks import check_known
from nwbcompare.core.data_text import parse_toml
from nwbcompare.core.errors import InputError
from nwbcompare.datasets.registry import Loader, get_loader

ENVIRONMENT_VARIABLE = "NWBCOMPARE_DATA"
EXAMPLE = 'Write data = "/data/recordings".'


class DatasetNotFoundError(InputError):
    """The files of a recording are in none of the places that are searched."""


def find_dataset(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of an archive.

    The search is in ``path``, if passed; else in the folder of the environment variable
    NWBCOMPARE_DATA, if set; else in that of the user's configuration file, if it names one; else
    in the user's cache folder. The working directory does not matter.

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
        If the dataset is unknown, or the configuration file is damaged.
    """
    loader = get_loader(name)
    # the first that is named is the only place: falling back to another would hide a mistake
    place = Path(path) if path else named_folder() or cache_folder()
    # a folder of several archives, or that of the archive itself
    for folder in (place / name, place):
        if folder.is_dir() and loader.is_archive(folder):
            return folder
    raise DatasetNotFoundError(
        f"dataset {name!r}",
        f"its files in {place}",
        "other files or none" if place.is_dir() else "no such folder",
        how_to_get(loader),
    )


def cache_folder() -> Path:
    """Return the user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("nwbcompare"))


def configuration_file() -> Path:
    """Return the path of the user's configuration file, which need not exist.

    It is a TOML file with one key, the folder of recordings: ``data = "/data/recordings"``.
    """
    return Path(platformdirs.user_config_dir("nwbcompare")) / "config.toml"


def named_folder() -> Path | None:
    """Return the folder of recordings that the user names, in the environment or a file.

    Raises
    ------
    InputError
        If the configuration file is damaged.
    """
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(folder) if folder else _configured_folder()


def _configured_folder() -> Path | None:
    """Return the folder of recordings in the user's configuration file; None without one.

    Raises
    ------
    InputError
        If the file cannot be read, has other keys, or names no absolute path.
    """
    file = configuration_file()
    if not file.is_file():
        return None
    try:
        table = parse_toml(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            str(file), "a TOML file", f"one that cannot be read ({error})", EXAMPLE
        ) from error
    check_known(str(file), table, ["data"])
    if "data" not in table:
        return None
    folder = Path(table["data"]).expanduser() if isinstance(table["data"], str) else None
    # a relative one would depend on the working directory
    if folder is None or not folder.is_absolute():
        raise InputError(
            f"{file}: data", "the absolute path of a folder", repr(table["data"]), EXAMPLE
        )
    return folder


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
    cache, card = cache_folder() / loader.name, loader.card
    return (
        f"Obtain it from {card.source}; {card.unpack} Unpack it into {cache}, or name its "
        f"folder with {ENVIRONMENT_VARIABLE}, as data in {configuration_file()}, or as a path. "
        f"Cite: {card.citation}"
    )
