"""Optional packages, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str) -> Any:
    """Import an optional package, whose name is also that of the extra that installs it.

    Parameters
    ----------
    package
        Its name.

    Raises
    ------
    ImportError
        Where it cannot be imported; the message says how to install it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{package} could not be imported ({error}): pip install 'nwbcompare[{package}]'"
        ) from error
