"""Means over animals: a textbook case, brute-force likelihood, coverage, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.inference import over_animals


def restricted_cost(variance, y, error):
    """Minus the restricted log likelihood, from the density of contrasts."""
    n = y.size
    contrast = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, :-1]]))[0][:, 1:]
    covariance = contrast.T @ np.diag(variance + error**2) @ contrast
    return -stats.multivariate_normal.logpdf(contrast.T @ y, cov=covariance)


def test_the_variance_over_animals_has_the_largest_restricted_likelihood():
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.1, 0.4):
        error = rng.uniform(0.05, 0.15, 6)
        y = rng.normal(0.3, np.hypot(spread, error))
        found = over_animals(y, error)["between_sd"].item() ** 2
        grid = np.concatenate([[0], np.geomspace(1e-5, 1, 800)])
        best = grid[np.argmin([restricted_cost(v, y, error) for v in grid])]
        assert found == pytest.approx(best, rel=0.02, abs=1e-5)


def test_equal_errors_give_students_interval_and_never_a_narrower_one_than_of_a_fixed_effect():
    y = np.array([0.1, 0.5, 0.2, 0.7, 0.4])
    found = over_animals(y, np.full(5, 0.01))
    low, high = stats.t.interval(0.95, 4, y.mean(), stats.sem(y))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert found["p_value"].item() == pytest.approx(stats.ttest_1samp(y, 0).pvalue)
    alike = over_animals([0.3] * 5, [0.1] * 5)
    half = stats.t.ppf(0.975, 4) * 0.1 / np.sqrt(5)
    assert float(alike["high"] - alike["mean"]) == pytest.approx(half)


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.5])
def test_its_interval_covers_the_mean_over_animals(spread):
    rng = np.random.default_rng(1)
    holds = []
    for _ in range(250):
        error = rng.uniform(0.05, 0.2, 5)
        found = over_animals(rng.normal(0, np.hypot(spread, error)), error)
        holds.append(bool(found["low"] <= 0 <= found["high"]))
    assert np.mean(holds) > 0.91


def test_few_animals_are_cautioned_and_two_refused():
    assert over_animals([0.1, 0.2, 0.3], [0.1] * 3).attrs["caution"] == "very wide: 3 animals only"
    assert over_animals([0.1] * 5, [0.1] * 5).attrs["caution"] == ""
    with pytest.raises(NotApplicableError, match="nothing in two tells how much animals differ"):
        over_animals([0.1, 0.2], [0.1, 0.1])


@pytest.mark.parametrize("errors", [[0.1, 0.1], [0.1, 0, 0.1], [0.1, np.nan, 0.1]])
def test_impossible_errors_are_refused(errors):
    with pytest.raises(InputError, match="an error above 0 for each animal"):
        over_animals([0.1, 0.2, 0.3], errors)
