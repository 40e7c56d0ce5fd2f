"""The section on lesions: false discoveries and the floor of p."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, strategies as st

from nwbcompare.workflows.sections.lesions import _false_discovery, _floor


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_false_discoveries_are_counted_by_benjamini_and_hochberg(p_values, rate):
    # the largest k with at least k p values at or below k * rate / n
    n = len(p_values)
    passing = [k for k in range(1, n + 1) if sum(p <= rate * k / n for p in p_values) >= k]
    assert _false_discovery(np.array(p_values), rate) == max(passing, default=0)


def test_false_discoveries_of_no_effect_are_rare_and_of_all_effects_are_all():
    rng = np.random.default_rng(0)
    any_found = [_false_discovery(rng.uniform(size=50), 0.05) > 0 for _ in range(400)]
    assert np.mean(any_found) < 0.09
    assert _false_discovery(np.full(50, 0.05), 0.05) == 50
    assert _false_discovery(np.full(50, 0.0501), 0.05) == 0


@given(st.integers(1, 400), st.integers(1, 200))
def test_what_is_said_of_the_floor_of_p_is_what_benjamini_and_hochberg_need(n_tests, n_sets):
    said = _floor(n_tests, n_sets)
    needed = int(re.search(r", (\d+) have", said)[1]) if said else 1
    smallest = 1 / (1 + n_sets)

    def passing(at_the_floor):
        p_values = np.ones(n_tests)
        p_values[:at_the_floor] = smallest
        return _false_discovery(p_values, 0.05)

    assert passing(min(needed - 1, n_tests)) == 0
    assert needed > n_tests or passing(needed) == needed
