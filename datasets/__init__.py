"""Loaders of public archives, one file each, and the search for their files."""

import lazy_loader

# a copy under another name would have classes of its own
if __name__ != "nwbcompare.datasets":
    raise ImportError("this folder is the package nwbcompare.datasets: import it by that name")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
