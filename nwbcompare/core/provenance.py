"""What made a result: versions, git revision, command."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("nwbcompare", "numpy", "scipy", "xarray", "torch", "pynwb", "matplotlib")


def environment(*, with_command: bool = True) -> dict[str, Any]:
    """Give the versions, the git revision of the checkout, and the command.

    Where a command put its page is no part of what it found: without it, the same inputs
    give the same provenance in any folder.
    """
    made: dict[str, Any] = {
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in PACKAGES},
        "git_revision": _git_revision(),
    }
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return made | {"command": command} if with_command else made


def _git_revision() -> str:
    """Give the git revision of the checkout that this package runs from, if it is one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "not a checkout"
    try:
        result = subprocess.run(  # noqa: S603 - fixed words and our own path
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
