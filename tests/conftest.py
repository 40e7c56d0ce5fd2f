"""What tests need from outside the repository: found, or skipped with a printed reason.

``.ci/run`` sets NWBCOMPARE_REQUIRE_ALL=1: there a missing reference array, recording or
browser is a failure, so that nothing is skipped in silence.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile(
    "fast", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("NWBCOMPARE_HYPOTHESIS", "fast"))


def _missing(what: str, remedy: str) -> None:
    reason = f"{what} not found: {remedy}"
    if os.environ.get("NWBCOMPARE_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference arrays and recordings beside the checkout."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "reference" / "oracles").is_dir():
        _missing("the folder ../shared", "it holds reference arrays and recordings")
    return folder


@pytest.fixture(scope="session")
def mante2013_path(shared: Path) -> Path:
    """The folder of the recording of monkey A."""
    folder = shared / "data" / "mante2013"
    if not (folder / "PFC data 1").is_dir():
        _missing("../shared/data/mante2013", "`nwbcompare datasets info mante2013` says how")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a headless Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        _missing("Chromium", "install Debian's package `chromium` to render the report")
    return str(found)
