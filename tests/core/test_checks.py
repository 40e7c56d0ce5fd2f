"""Checks of arguments: what passes, and what the error names."""

from __future__ import annotations

import pytest

from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError


def test_known_names_pass_and_the_first_unknown_one_is_named_with_its_neighbours():
    known = {"contextdm1": 1, "contextdm2": 2, "fdgo": 3}
    check_known("tasks", ["fdgo", "contextdm2"], known)
    check_known("tasks", [], known)
    with pytest.raises(InputError, match=r"tasks: expected one of contextdm1.*'contextdm3'.*mean"):
        check_known("tasks", ["fdgo", "contextdm3", "nothing"], (name for name in known))
