"""Trials of the published tasks and of others, from one registry."""

import lazy_loader

# a copy under another name would have a registry of its own
if __name__ != "nwbcompare.tasks":
    raise ImportError("this folder is the package nwbcompare.tasks: import it by that name")

# importing a family registers its tasks
from nwbcompare.tasks import decision, delayed_decision, delayed_match, go  # noqa: F401

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
