"""Surrogate units: rank correlations, angles, Gaussian draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from simulated_clusters import continuum

from nwbcompare.analysis.clustering.kernels.surrogates import (
    Copula,
    gaussian_like,
    mean_neighbour_angle,
    normal_scores,
    rank_correlation,
    square_root,
)

# surrogates --------------------------------------------------------------------------------


def test_rank_correlations_equal_scipys_and_are_0_with_a_constant(rng):
    table = rng.integers(0, 6, (30, 4)).astype(float)
    expected = stats.spearmanr(table).statistic
    np.testing.assert_allclose(rank_correlation(table), expected, atol=1e-12)
    table[:, 1] = 3
    with_constant = rank_correlation(table)
    assert with_constant[1].tolist() == [0, 1, 0, 0]


def test_a_correlation_that_is_none_is_made_one():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    assert np.linalg.eigvalsh(impossible).min() < 0
    factor = square_root(impossible)
    np.testing.assert_allclose(np.diag(factor @ factor.T), 1)
    sound = np.array([[1, 0.5], [0.5, 1]])
    root = square_root(sound)
    np.testing.assert_allclose(root @ root.T, sound)


def test_surrogates_keep_values_and_rank_correlations(rng):
    table = continuum(n_units=200)
    copula = Copula.of(table)
    drawn = [copula.draw(rng) for _ in range(100)]
    for one in drawn[:3]:
        np.testing.assert_array_equal(np.sort(one, axis=0), np.sort(table, axis=0))
    mean = np.mean([rank_correlation(one) for one in drawn], axis=0)
    np.testing.assert_allclose(mean, rank_correlation(table), atol=0.03)
    shuffled = rng.permuted(table, axis=0)
    assert np.abs(rank_correlation(shuffled) - rank_correlation(table)).max() > 0.2


def test_surrogates_of_ties_and_constants(rng):
    table = np.column_stack([np.repeat([0.0, 1, 2], 10), np.full(30, 7.0), rng.random(30)])
    drawn = Copula.of(table).draw(rng)
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(table, axis=0))


# ePAIRS ------------------------------------------------------------------------------------


def test_the_angle_to_neighbours_equals_a_plain_loop(rng):
    vectors = rng.standard_normal((9, 3))
    angles = []
    for i in range(9):
        lengths = [np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j]) for j in range(9)]
        to_others = [np.arccos(vectors[i] @ vectors[j] / lengths[j]) for j in range(9) if j != i]
        angles.append(np.mean(sorted(to_others)[:2]))
    assert mean_neighbour_angle(vectors, 2) == pytest.approx(np.mean(angles))
    vectors[0] = 0
    assert mean_neighbour_angle(vectors[:2], 1) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("shape", [(20, 4), (5, 8)])
def test_draws_have_exactly_the_mean_and_covariance(rng, shape):
    table = rng.random(shape) @ rng.random((shape[1], shape[1]))
    drawn = gaussian_like(table, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), table.mean(axis=0))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(table.T), atol=1e-9)
    assert not np.allclose(drawn, table, atol=0.1)


def test_normal_scores_are_the_quantiles_of_the_ranks(rng):
    table = rng.random((10, 2))
    table[:, 1] = 3
    scores = normal_scores(table)
    expected = stats.norm.ppf((stats.rankdata(table[:, 0]) - 0.5) / 10)
    np.testing.assert_allclose(scores[:, 0], expected)
    assert (scores[:, 1] == 0).all()
