"""The section on distributions of FTV: shares of its histograms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.workflows.sections.ftv_distributions import share_rows


@given(st.lists(st.floats(-1, 1) | st.just(np.nan), min_size=1, max_size=30))
def test_shares_of_a_histogram_are_those_of_a_plain_count(values):
    rows = share_rows("x", values)
    finite = [value for value in values if np.isfinite(value)]
    assert len(rows) == 20
    for place, row in enumerate(rows):
        low, high = FTV_EDGES[place : place + 2]
        last = place == 19
        count = sum(low <= value < high or (last and value == high) for value in finite)
        assert row["share"] == pytest.approx(count / max(len(finite), 1), abs=1e-6)
    assert share_rows("x", [0.05], of=4)[10]["share"] == 0.25
