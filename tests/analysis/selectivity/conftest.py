from __future__ import annotations

import pytest

import nwbcompare as nc


@pytest.fixture(scope="session")
def monkey_a(mante2013_path):
    """All units of monkey A; tests must not change it."""
    return nc.load("mante2013", path=mante2013_path, animal="ar")
