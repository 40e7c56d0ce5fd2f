"""Columns that could be conditions, against a plain count of their values in each task."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.core.conditions import candidate_columns
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks


@given(st.one_of(dense_blocks(missing=False), ragged_blocks(missing=False)))
def test_candidates_are_the_columns_with_few_values_within_a_task(block):
    tasks = nc.labels(block["task"])
    expected = {}
    for name in ("direction", "correct"):
        numbers, few = [], True
        for task in set(tasks):
            values = block[name].values[tasks == task].tolist()
            numbers.append(len(set(values)))
            few &= numbers[-1] == 1 or len(values) >= 2 * numbers[-1]
        if few and max(numbers) > 1:
            expected[name] = max(numbers)
    assert candidate_columns(block) == expected


def test_columns_that_cannot_be_conditions_are_no_candidates():
    block = example_block().assign_coords(
        session=("trial", ["day1", "day2"] * 4),
        started=("trial", np.arange(8.0)),
        hue=("trial", [1.0, np.nan] * 4),
        constant=("trial", [3] * 8),
        side=("trial", ["l", "r"] * 4),
    )
    assert candidate_columns(block) == {"correct": 2, "side": 2, "direction": 4}
