"""Optional packages, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str) -> Any:
    """Import an optional package, whose name is also that of the extra that installs it.

    Parameters
    ----------
    package
        Name of the package.

    Raises
    ------
    ImportError
        If it cannot be imported; the message has the command to install it.

    Examples
    --------
    >>> require("json").dumps([1])
    '[1]'
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{package} could not be imported ({error}): pip install 'nwbcompare[{package}]'"
        ) from error
