"""Provenance of a result: versions of packages, git revision, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nwbcompare.core.files import sha256_of_file, sha256_of_set

PACKAGES = ("nwbcompare", "numpy", "scipy", "xarray", "torch", "pynwb", "matplotlib")


def environment(*, with_command: bool = True) -> dict[str, Any]:
    """Return the versions of packages, the git revision of the checkout, and the command.

    Parameters
    ----------
    with_command
        Whether to add the command line. Results leave it out, since it names the output folder:
        so equal inputs have equal provenance in any folder.

    Examples
    --------
    >>> list(environment(with_command=False))
    ['versions', 'git_revision']
    """
    record: dict[str, Any] = {
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in PACKAGES},
        "git_revision": git_revision(),
    }
    if with_command:
        record["command"] = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return record


def sources_sha256() -> str:
    """Return one SHA-256 for this package's source files, by which equal code is known.

    Unlike the git revision it is there for an installed package too, and does not change where
    other files of a checkout do.

    Examples
    --------
    >>> len(sources_sha256())
    64
    """
    root = Path(__file__).resolve().parents[1]
    # in a checkout some folders of the package are links
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(root, followlinks=True)
        for name in names
        if name.endswith((".py", ".yaml"))
    ]
    return sha256_of_set(
        (file.relative_to(root).as_posix(), sha256_of_file(file)) for file in files
    )


def git_revision() -> str:
    """Return the git revision of the checkout that this package runs from.

    Examples
    --------
    >>> bool(git_revision())
    True
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "not a checkout"
    try:
        result = subprocess.run(  # noqa: S603 - constant arguments and the path of this package
            # a checkout with changes is not its last commit
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
