"""The section on lesions: how many tests must have the smallest p for any to pass."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, strategies as st

from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.workflows.sections.lesions import _floor


@given(st.integers(1, 400), st.integers(1, 200))
def test_the_floor_of_p_is_what_benjamini_and_hochberg_need(n_tests, n_sets):
    text = _floor(n_tests, n_sets)
    needed = int(re.search(r", (\d+) have", text)[1]) if text else 1
    smallest = 1 / (1 + n_sets)

    def passing(at_the_floor):
        p_values = np.ones(n_tests)
        p_values[:at_the_floor] = smallest
        return (adjust_p(p_values, "fdr_bh") <= 0.05).sum()

    assert passing(min(needed - 1, n_tests)) == 0
    assert needed > n_tests or passing(needed) == needed
