"""Rows sorted by group: the same as a plain loop, for short and long numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nwbcompare.kernels.grouping import group_order, rows_by_group


@pytest.mark.parametrize("n_groups", [7, 2**16, 2**16 + 9])
def test_rows_of_each_group_are_those_of_a_plain_loop(n_groups):
    group = np.random.default_rng(0).integers(0, n_groups, 500)
    # the last number of all, which shorter integers would lose
    group[3] = n_groups - 1
    found = rows_by_group(group, n_groups)
    assert len(found) == n_groups
    for number in np.unique(group):
        assert found[number].tolist() == [row for row in range(500) if group[row] == number]
    assert sum(rows.size for rows in found) == 500
    np.testing.assert_array_equal(group_order(group, n_groups), np.concatenate(found))
