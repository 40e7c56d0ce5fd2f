"""Loaders of public archives, one file each, and the search for their files."""

# a copy under another name would have classes of its own
if __name__ != "nwbcompare.datasets":
    raise ImportError("this folder is the package nwbcompare.datasets: import it by that name")

from nwbcompare.datasets.location import DatasetNotFoundError, find_dataset, how_to_get
from nwbcompare.datasets.registry import Conversion, Loader, get_loader, loaders

__all__ = [
    "Conversion",
    "DatasetNotFoundError",
    "Loader",
    "find_dataset",
    "get_loader",
    "how_to_get",
    "loaders",
]


def __dir__() -> list[str]:
    return sorted(__all__)
