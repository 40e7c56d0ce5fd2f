"""Jackknife over clusters: classic formulas, strata, the level of tests, intervals of ratios."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nwbcompare.kernels.jackknife import ellipse_range, jackknife_covariance, kish_number


def test_kishs_number_lies_between_one_and_the_number_of_clusters():
    assert kish_number([7] * 9) == pytest.approx(9)
    assert kish_number([1000, 1, 1]) == pytest.approx(1, abs=0.01)
    assert kish_number([2, 4, 6]) == pytest.approx(kish_number([1, 2, 3])) == pytest.approx(36 / 14)


def test_the_jackknife_of_means_is_their_covariance_within_strata():
    rng = np.random.default_rng(0)
    values, strata = rng.normal(size=(30, 2)), np.repeat([0, 1], [12, 18])
    values[strata == 1] += 50
    without = []
    for place in range(30):
        own = np.delete(values, place, axis=0), np.delete(strata, place)
        without.append(sum(own[0][own[1] == s].mean(axis=0) for s in (0, 1)))
    expected = sum(np.cov(values[strata == s].T) / (strata == s).sum() for s in (0, 1))
    np.testing.assert_allclose(jackknife_covariance(np.array(without), strata), expected)
    pooled = jackknife_covariance(np.array(without), np.zeros(30, int))
    assert pooled[0, 0] > expected[0, 0]


def test_a_small_ellipse_is_the_normal_interval_of_a_difference():
    covariance = np.array([[4e-6, 1e-6], [1e-6, 9e-6]])
    low, high = ellipse_range(np.log(0.6), np.log(0.3), covariance, 1.96)
    slope = np.array([0.6, -0.3])
    half = 1.96 * np.sqrt(slope @ covariance @ slope)
    assert (low, high) == (pytest.approx(0.3 - half, abs=1e-5), pytest.approx(0.3 + half, abs=1e-5))
    assert np.isnan(ellipse_range(0.0, 0.0, covariance * np.nan, 1.96)).all()


@pytest.mark.parametrize("covariance", [np.eye(2), [[1, 0.99], [0.99, 1]], [[0, 0], [0, 1]]])
def test_zero_is_inside_exactly_where_t_does_not_exceed_the_radius(covariance):
    covariance = 0.01 * np.array(covariance)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    for t in (-2.001, -1.999, 0, 1.999, 2.001):
        low, high = ellipse_range(-1 + t * error, -1.0, covariance, 2.0)
        assert (low <= 0 <= high) is (abs(t) < 2) or low == 0 or high == 0
        assert (low < 0 < high) is (abs(t) < 2)


SCALE = 0.15
"""S.d. over sessions of the log s.d. of their units."""


@pytest.mark.parametrize("n_sessions", [5, 8])
def test_the_log_sd_errs_at_its_level_with_few_sessions_where_bootstraps_do_not(n_sessions):
    rng = np.random.default_rng(n_sessions)
    n_sets = 1500
    size = rng.integers(10, 41, (n_sets, n_sessions))
    rejected, naive = [], []
    for sizes in size:
        code = np.repeat(np.arange(n_sessions), sizes)
        scale = np.exp(rng.normal(0, SCALE, n_sessions))[code]
        values = scale * rng.normal(size=code.size)
        counts = np.concatenate([1 - np.eye(n_sessions), np.ones((1, n_sessions))])
        square = np.bincount(code, values**2)
        mean = counts @ np.bincount(code, values) / (counts @ sizes)
        log_sd = 0.5 * np.log(counts @ square / (counts @ sizes) - mean**2)
        error = np.sqrt(jackknife_covariance(log_sd[:-1, None], np.zeros(n_sessions, int))[0, 0])
        # the s.d. of all units, E[scale^2]^(1/2)
        t = (log_sd[-1] - SCALE**2) / error
        rejected.append(2 * stats.t.sf(abs(t), kish_number(sizes) - 1) <= 0.05)
        draws = rng.multinomial(n_sessions, [1 / n_sessions] * n_sessions, 100)
        centre = draws @ np.bincount(code, values) / (draws @ sizes)
        spread = np.sqrt(draws @ square / (draws @ sizes) - centre**2)
        low, high = np.quantile(spread, [0.025, 0.975])
        naive.append(not low <= np.exp(SCALE**2) <= high)
    # 0.05 plus and minus three binomial errors and a small allowance
    assert 0.03 < np.mean(rejected) < 0.075
    assert np.mean(naive) > 0.1
