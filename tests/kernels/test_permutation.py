"""Permutations of labels: uniform, independent, nested; and p values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from nwbcompare.kernels.permutation import (
    _nested_places,
    cells_alike,
    p_value,
    p_values,
    reaches,
    shuffled,
)

# the permutations -----------------------------------------------------------------------------


def test_pooled_permutations_are_uniform_at_every_size():
    pool = _nested_places([2, 3, 4], 24_000, np.random.default_rng(0))
    for place, n_kinds in zip(pool, (2, 6, 24), strict=True):
        assert (np.sort(place, axis=0) == np.arange(len(place))[:, None]).all()
        _, counts = np.unique(place, axis=1, return_counts=True)
        assert counts.size == n_kinds
        assert stats.chisquare(counts).pvalue > 1e-3


def labels_at(place, sizes):
    return np.repeat(np.arange(len(sizes)), sizes)[place]


def two_cells(n=4):
    unit, label = np.repeat([0, 1], n), np.tile(np.repeat([0, 1], n // 2), 2)
    return cells_alike(unit, np.zeros(2 * n, dtype=int), label, 2, np.ones(2 * n, dtype=bool))


def test_each_labelling_is_as_likely_as_any_and_units_are_independent():
    groups = two_cells()
    rng = np.random.default_rng(1)
    kinds = {labelling: i for i, labelling in enumerate(combinations(range(4), 2))}
    joint = np.zeros((6, 6))
    for _ in range(5000):
        ((group, rows, place),) = shuffled(groups, 1, rng)
        chosen = rows[labels_at(place[:, 0], group.sizes) == 0] % 4
        joint[tuple(kinds[tuple(sorted(chosen[:, unit].tolist()))] for unit in (0, 1))] += 1
    assert stats.chisquare(joint.ravel()).pvalue > 1e-3


def test_permutations_of_one_unit_are_independent_of_one_another():
    rng = np.random.default_rng(2)
    groups, joint = two_cells(), np.zeros((2, 2))
    for _ in range(4000):
        ((group, rows, place),) = shuffled(groups, 2, rng)
        label = labels_at(place, group.sizes)[np.argsort(rows[:, 0])[0]]
        joint[label[0], label[1]] += 1
    assert stats.chisquare(joint.ravel()).pvalue > 1e-3


def test_cells_with_equal_numbers_go_together():
    unit = np.repeat([0, 1, 2], [4, 4, 3])
    label = np.array([0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1])
    first, second = cells_alike(unit, np.zeros(11, dtype=int), label, 2, np.ones(11, dtype=bool))
    assert (first.units.tolist(), first.sizes.tolist()) == ([2], [1, 2])
    assert (second.units.tolist(), second.sizes.tolist()) == ([0, 1], [2, 2])
    np.testing.assert_array_equal(label[second.rows], [[0, 0], [0, 0], [1, 1], [1, 1]])


# p values -------------------------------------------------------------------------------------


def test_p_values_count_the_observation_as_a_draw():
    as_far = np.array([[True, False], [True, False], [False, False]])
    np.testing.assert_allclose(p_values(as_far), [3 / 4, 1 / 4])
    np.testing.assert_allclose(p_values(as_far.T, axis=1), [3 / 4, 1 / 4])
    assert p_value(as_far) == 3 / 7


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rounding_does_not_decide_ties_at_any_scale(scale: float) -> None:
    null = scale * np.array([0.1 + 0.2, 0.3, 0.3 - 1e-6, -1.0])
    assert reaches(null, scale * 0.3).tolist() == [True, True, False, False]
    assert reaches(null, scale * (0.1 + 0.2)).tolist() == [True, True, False, False]


def test_ties_with_an_observed_zero_are_judged_by_the_size_of_the_null() -> None:
    assert reaches([1e-17, -1e-17, 0.5, -0.5], 0.0).tolist() == [True, True, True, False]
