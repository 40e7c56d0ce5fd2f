"""Task-trained networks and recorded neurons, through one analysis.

Everything that has units and trials becomes the same labelled object, an activity; every
analysis takes it and cannot know where it came from.
"""

from types import ModuleType
from typing import Any

import lazy_loader
import wrapt

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # importlib.metadata is slower to import than this package
        from importlib.metadata import version  # noqa: PLC0415

        return version(__name__)
    return _public(name)


def _register_accessors(_xarray: ModuleType) -> None:
    from nwbcompare.core import accessors  # noqa: F401, PLC0415 - registers x.nwbcompare


# xarray takes most of a second to import: the accessors wait until somebody does
wrapt.register_post_import_hook(_register_accessors, "xarray")
