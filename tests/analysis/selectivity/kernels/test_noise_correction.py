"""Noise of condition means: quadratic forms, simulated truth, split halves."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from nwbcompare.analysis.selectivity.kernels.noise_correction import (
    _half_covariances,
    noisy_variance,
    split_half_variance,
)
from nwbcompare.kernels.variance import ESTIMATORS

COUNTS = np.array([2, 3, 5, 9])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def unit_trials(rng, *, counts=COUNTS, signal=1.0, n_times=4, n_repeats=None):
    """Trials of one unit whose noise is correlated in time and grows with the condition."""
    tuning = signal * np.random.default_rng(0).standard_normal((len(counts), n_times))
    condition = np.repeat(np.arange(len(counts)), counts)
    shape = (condition.size, n_times) if n_repeats is None else (n_repeats, condition.size, n_times)
    noise = rng.standard_normal(shape)
    noise = noise + 0.8 * rng.standard_normal((*shape[:-1], 1))
    return tuning[condition] + noise * (1 + 0.3 * condition)[:, None], condition, tuning


def quadratic_form(n_conditions, n_times, estimator):
    """The matrix Q of an estimator, by feeding it unit vectors (a slow twin)."""
    size = n_conditions * n_times
    value = ESTIMATORS[estimator]
    eye = np.eye(size).reshape(size, n_conditions, n_times)
    diagonal = value(eye)
    matrix = np.empty((size, size))
    for i, j in product(range(size), repeat=2):
        matrix[i, j] = (value(eye[i] + eye[j]) - diagonal[i] - diagonal[j]) / 2
    return matrix


def covariance_of_means(trials, condition, n_conditions):
    n_times = trials.shape[1]
    matrix = np.zeros((n_conditions * n_times,) * 2)
    for c in range(n_conditions):
        rows = trials[condition == c]
        here = slice(c * n_times, (c + 1) * n_times)
        matrix[here, here] = np.cov(rows.T, ddof=1).reshape(n_times, n_times) / len(rows)
    return matrix


# the analytic estimate ----------------------------------------------------------------------


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_noise_is_the_trace_of_the_quadratic_form(rng, estimator):
    trials, condition, _ = unit_trials(rng)
    found = noisy_variance(trials, condition, 4, estimator)
    means = np.stack([trials[condition == c].mean(axis=0) for c in range(4)])
    form = quadratic_form(4, 4, estimator)
    covariance = covariance_of_means(trials, condition, 4)
    assert found.raw == pytest.approx(ESTIMATORS[estimator](means[None]).item())
    assert found.noise == pytest.approx(np.trace(form @ covariance))
    along = means.ravel() @ form @ covariance @ form @ means.ravel()
    assert found.slope == pytest.approx(4 * along / found.raw)


def test_noise_per_time_is_the_published_formula(rng):
    trials, condition, _ = unit_trials(rng)
    errors = [trials[condition == c].var(axis=0, ddof=1) / n for c, n in enumerate(COUNTS)]
    found = noisy_variance(trials, condition, 4, "per_time")
    assert found.noise == pytest.approx(0.75 * np.mean(errors))


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_the_estimate_is_unbiased_and_so_is_its_sampling_variance(estimator):
    counts = np.array([3, 4, 6, 9])
    many, condition, tuning = unit_trials(np.random.default_rng(2), counts=counts, n_repeats=3000)
    found = np.array([noisy_variance(trials, condition, 4, estimator) for trials in many])
    truth = ESTIMATORS[estimator](tuning[None]).item()
    corrected = found[:, 0] - found[:, 1]
    error = corrected.std() / np.sqrt(len(corrected))
    assert abs(corrected.mean() - truth) < 4 * error
    # negative control: without the correction it is far off
    assert found[:, 0].mean() - truth > 20 * error
    # the floor makes the mean sampling variance a little larger, never smaller
    assert corrected.var() == pytest.approx(found[:, 2].mean(), rel=0.12)
    standard_error = np.sqrt(found[:, 2])
    covered = (np.abs(corrected - truth) < 1.96 * standard_error).mean()
    # of conditions with 3 trials the standard error is itself uncertain
    assert 0.85 < covered < 0.98


def test_the_untuned_variance_is_that_of_units_without_tuning():
    counts = np.array([4, 5, 6, 9])
    many, condition, _ = unit_trials(
        np.random.default_rng(3), counts=counts, signal=0, n_repeats=3000
    )
    found = np.array([noisy_variance(trials, condition, 4, "per_time") for trials in many])
    assert (found[:, 0] - found[:, 1]).var() == pytest.approx(found[:, 3].mean(), rel=0.1)


def test_the_correction_is_unbiased_for_skewed_trials_too():
    rng = np.random.default_rng(4)
    rates = np.array([2.0, 5.0, 9.0])
    condition = np.repeat(np.arange(3), [2, 5, 12])
    many = rng.poisson(rates[condition][None, :, None] * rng.gamma(2, 0.5, (4000, 19, 1)))
    corrected = [
        (found := noisy_variance(trials.astype(float), condition, 3, "per_time")).raw - found.noise
        for trials in many
    ]
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected) - rates.var()) < 4 * error


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_missing_times_leave_it_unbiased(estimator):
    rng = np.random.default_rng(5)
    many, condition, tuning = unit_trials(
        rng, counts=np.array([5, 6, 8, 9]), n_times=3, n_repeats=3000
    )
    # trials that end early, and others that begin late
    missing = np.zeros(many.shape[1:], dtype=bool)
    missing[::3, 2], missing[1::4, 0] = True, True
    many[:, missing] = np.nan
    found = np.array([noisy_variance(trials, condition, 4, estimator) for trials in many])
    corrected = found[:, 0] - found[:, 1]
    error = corrected.std() / np.sqrt(len(corrected))
    assert abs(corrected.mean() - ESTIMATORS[estimator](tuning[None]).item()) < 4 * error


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_order_scale_and_offset(rng, estimator):
    trials, condition, _ = unit_trials(rng)
    found = np.array(noisy_variance(trials, condition, 4, estimator))
    order = rng.permutation(condition.size)
    np.testing.assert_allclose(
        noisy_variance(trials[order], condition[order], 4, estimator), found, rtol=1e-9
    )
    scaled = noisy_variance(3 * trials + 100, condition, 4, estimator)
    np.testing.assert_allclose(scaled, found * np.array([9, 9, 81, 81, 9, 81, 1]), rtol=1e-7)
    # negative control: labels do matter
    moved = noisy_variance(trials, np.roll(condition, 3), 4, estimator)
    assert abs(moved.raw / found[0] - 1) > 0.01


def test_times_with_one_trial_of_a_condition_do_not_count(rng):
    trials, condition, _ = unit_trials(rng)
    trials[0, 2] = np.nan
    found = noisy_variance(trials, condition, 4, "per_time")
    kept = noisy_variance(trials[:, [0, 1, 3]], condition, 4, "per_time")
    assert found == kept
    assert found.n_times == 3
    trials[0] = np.nan
    assert np.isnan(noisy_variance(trials, condition, 4, "per_time").raw)


# split halves -------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_over_all_splits_it_is_the_analytic_estimate(rng, estimator):
    counts = np.array([2, 3, 4])
    trials, condition, _ = unit_trials(rng, counts=counts, n_times=2)
    laid = np.full((3, 4, 2), np.nan)
    for c, n in enumerate(counts):
        laid[c, :n] = trials[condition == c]
    splits = list(product(*(combinations(range(n), n // 2) for n in counts)))
    member = np.zeros((3, len(splits), 4), dtype=bool)
    for place, split in enumerate(splits):
        for c, chosen in enumerate(split):
            member[c, place, list(chosen)] = True
    found = noisy_variance(trials, condition, 3, estimator)
    every = _half_covariances(laid, member, estimator)
    assert every.mean() == pytest.approx(found.raw - found.noise)
    assert every.std() > 0


def test_one_split_equals_a_plain_loop(rng):
    trials = rng.standard_normal((3, 6, 2))
    member = np.zeros((3, 1, 6), dtype=bool)
    member[:, 0, :3] = True
    first, second = trials[:, :3].mean(axis=1), trials[:, 3:].mean(axis=1)
    expected = np.mean([np.cov(first[:, t], second[:, t], ddof=0)[0, 1] for t in range(2)])
    assert _half_covariances(trials, member, "per_time").item() == pytest.approx(expected)


def test_random_splits_come_near_as_their_own_error_says(rng):
    trials, condition, _ = unit_trials(rng)
    exact = noisy_variance(trials, condition, 4, "per_time")
    away = []
    for seed in range(60):
        mean, variance = split_half_variance(
            trials, condition, 4, "per_time", n_splits=50, rng=np.random.default_rng(seed)
        )
        away.append((mean - exact.raw + exact.noise) / np.sqrt(variance))
    assert abs(np.mean(away)) < 0.5
    assert 0.7 < np.std(away) < 1.4


def test_a_split_that_lacks_something_is_left_out(rng):
    trials, condition, _ = unit_trials(rng, counts=np.array([4, 4]))
    trials[:2, 1] = np.nan
    mean, _ = split_half_variance(trials, condition, 2, "per_time", n_splits=40, rng=rng)
    assert np.isfinite(mean)
    trials[:3] = np.nan
    assert np.isnan(
        split_half_variance(trials, condition, 2, "per_time", n_splits=40, rng=rng)
    ).all()
