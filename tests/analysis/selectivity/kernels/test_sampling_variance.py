"""The sampling variance of a corrected variance: a plain loop, simulated truth, invariances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nwbcompare.analysis.selectivity.kernels.noise_correction import noisy_variance
from nwbcompare.analysis.selectivity.kernels.sampling_variance import unbiased_sampling_variance


def by_loops(rates, condition, n_conditions, *, pooled):
    """Square of the corrected variance less the mean over all different four trials."""
    size = n_conditions * rates.shape[1]

    def g(i, j):
        alike = condition[i] == condition[j]
        if pooled:
            return alike * rates[i] @ rates[j] / size - rates[i].sum() * rates[j].sum() / size**2
        return (alike - 1 / n_conditions) * rates[i] @ rates[j] / size

    rows = [np.flatnonzero(condition == c) for c in range(n_conditions)]
    value = square = 0.0
    for c, d in product(range(n_conditions), repeat=2):
        value += np.mean([g(i, j) for i, j in product(rows[c], rows[d]) if i != j])
    for four in product(range(n_conditions), repeat=4):
        trials = product(*(rows[c] for c in four))
        square += np.mean([g(i, j) * g(k, m) for i, j, k, m in trials if len({i, j, k, m}) == 4])
    return value**2 - square


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("numbers", [(4, 5), (4, 5, 4)])
def test_it_is_that_of_plain_loops(numbers, pooled):
    rng = np.random.default_rng(0)
    condition = rng.permutation(np.repeat(np.arange(len(numbers)), numbers))
    rates = rng.gamma(1, 1, (condition.size, 2)) + condition[:, None]
    expected = by_loops(rates, condition, len(numbers), pooled=pooled)
    found = unbiased_sampling_variance(rates, condition, len(numbers), pooled=pooled)
    assert found == pytest.approx(expected, rel=1e-9)
    moved = unbiased_sampling_variance(rates * 3 + 7, condition, len(numbers), pooled=pooled)
    assert moved == pytest.approx(81 * expected, rel=1e-9)


@pytest.mark.parametrize("estimator", ["per_time", "pooled", "time_mean"])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_it_is_right_on_average_where_the_formula_for_normal_trials_is_not(estimator, spread):
    rng = np.random.default_rng(3)
    condition = np.repeat(np.arange(3), 6)
    mean = np.array([1.0, 2.0, 4.0])[condition][:, None]
    estimates, unbiased, normal = [], [], []
    for _ in range(400):
        gain = rng.gamma(1, 1, (condition.size, 1)) if spread else 1.0
        rates = rng.poisson(np.broadcast_to(mean * gain, (condition.size, 2))).astype(float)
        found = noisy_variance(rates, condition, 3, estimator)
        estimates.append(found.raw - found.noise)
        unbiased.append(found.unbiased_variance)
        normal.append(found.sampling_variance)
    truth = np.var(estimates)
    error = np.hypot(np.std(unbiased), np.std((estimates - np.mean(estimates)) ** 2)) / 20
    assert np.mean(unbiased) == pytest.approx(truth, abs=3 * error)
    if spread:
        # skewed gains: means and variances of trials vary together
        assert np.mean(normal) > 1.2 * truth


def test_trials_that_are_few_or_cut_have_the_formula_for_normal_trials():
    rng = np.random.default_rng(4)
    condition = np.repeat(np.arange(2), 6)
    rates = rng.normal(size=(12, 3)) + condition[:, None]
    whole = noisy_variance(rates, condition, 2, "per_time")
    assert whole.unbiased_variance == pytest.approx(
        unbiased_sampling_variance(rates, condition, 2, pooled=False)
    )
    few = noisy_variance(rates[[0, 1, 2, 6, 7, 8]], condition[[0, 1, 2, 6, 7, 8]], 2, "per_time")
    cut = rates.copy()
    cut[0, 2] = np.nan
    for found in (few, noisy_variance(cut, condition, 2, "per_time")):
        assert np.isfinite(found.unbiased_variance)
        assert found.unbiased_variance <= found.sampling_variance
    # a time that no condition has enough trials of is left out of both
    lost = np.column_stack([rates, np.full(12, np.nan)])
    again = noisy_variance(lost, condition, 2, "per_time")
    assert again.unbiased_variance == pytest.approx(whole.unbiased_variance)
