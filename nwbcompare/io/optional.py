"""Optional packages, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nwbcompare.core.errors import MissingPackageError


def require(package: str, *, extra: str | None = None) -> Any:
    """Import an optional package.

    Parameters
    ----------
    package
        Name of the package, or of a module of it.
    extra
        Extra that installs it; by default that of the same name.

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
            f"Install it: pip install 'nwbcompare[{extra or package}]'",
        ) from error
