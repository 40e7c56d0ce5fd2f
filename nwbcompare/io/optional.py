"""Optional packages, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nwbcompare.core.errors import MissingPackageError


def require(package: str) -> Any:
    """Import an optional package, whose name is also that of the extra that installs it.

    Parameters
    ----------
    package
        Name of the package.

    Raises
    ------
    MissingPackageError
        If it cannot be imported (an `InputError` and an ``ImportError``); the message has the
        command to install it.

    Examples
    --------
    >>> require("json").dumps([1])
    '[1]'
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            package,
            "an installed package",
            f"one that cannot be imported ({error})",
            f"Install it: pip install 'nwbcompare[{package}]'",
        ) from error
