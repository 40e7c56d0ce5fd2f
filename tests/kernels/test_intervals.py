"""Tests of confidence intervals against scipy and statsmodels, and of their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from nwbcompare.kernels.intervals import mean_interval, student_half_width, wilson_interval


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_mean_interval_is_that_of_scipy(confidence: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, (7, 4))
    mean, low, high = mean_interval(values, confidence)
    error = stats.sem(values, axis=0)
    expected = stats.t.interval(confidence, 6, loc=values.mean(axis=0), scale=error)
    np.testing.assert_allclose([low, high], expected)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(student_half_width(error, 6, confidence), high - mean)


def test_a_single_observation_has_no_interval() -> None:
    mean, low, high = mean_interval([[1.0, 2.0]])
    assert mean.tolist() == [1.0, 2.0]
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("true_mean", [0.0, 5.0])
def test_mean_interval_covers_the_true_mean(true_mean: float) -> None:
    values = np.random.default_rng(1).normal(true_mean, 1, (5, 4000))
    _, low, high = mean_interval(values)
    # 95 % of 4000: four standard errors are 1.4 %
    assert abs(((low <= true_mean) & (true_mean <= high)).mean() - 0.95) < 0.014


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_interval_is_that_of_statsmodels(confidence: float) -> None:
    hits, n = np.array([0, 1, 5, 10, 37]), np.array([10, 10, 10, 10, 60])
    expected = proportion_confint(hits, n, alpha=1 - confidence, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits, n, confidence), expected, atol=1e-12)


def test_wilson_interval_of_nothing_is_nan_and_of_extremes_is_closed() -> None:
    low, high = wilson_interval([0, 0, 8], [0, 8, 8])
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] == 0 < high[1] < 1
    assert 0 < low[2] < high[2] == 1
