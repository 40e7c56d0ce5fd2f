"""Weighted spread of FTV: plain loops, exact variances, simulated truth, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nwbcompare.analysis.selectivity.kernels.ftv_spread import (
    Squares,
    capped_weights,
    equal_weights,
    fold_variances,
    unbiased_squares,
    weighted_spread,
)
from nwbcompare.analysis.selectivity.kernels.noise_correction import noisy_variance

N_UNITS, N_FOLDS, FREEDOM = 60, 2, 3


def population(rng, sd, slope=0.0, n_units=N_UNITS):
    """True variances (unit, 2): log-normal strength, FTV uniform; slope: |FTV| by strength."""
    deviate = rng.standard_normal(n_units)
    ftv = rng.uniform(-1, 1, n_units) * 3**0.5 * sd
    if slope:
        rank = np.argsort(np.argsort(slope * deviate + rng.standard_normal(n_units)))
        ftv = ftv[np.argsort(np.abs(ftv))][rank]
    total = 4 * np.exp(0.8 * deviate)
    return total[:, None] * np.stack([1 + ftv, 1 - ftv], axis=1) / 2


def corrected(true, noise, rng):
    """Corrected variance of normal condition means, and its sampling variance, unbiased."""
    # the product of two independent estimates is unbiased for the square
    one, two = (
        2 * noise * (rng.noncentral_chisquare(FREEDOM, FREEDOM * true / (2 * noise)) / FREEDOM - 1)
        for _ in range(2)
    )
    return (one + two) / 2, ((one - two) / 2) ** 2


def measured(true, rng, noise=1.0):
    """Values, sampling variances, and capped weights from other trials, by fold."""
    folds = [corrected(true, noise, rng) for _ in range(N_FOLDS)]
    held_out = np.stack([corrected(true, 2 * noise, rng)[0] for _ in range(N_FOLDS)])
    value, sampling = (np.stack(kind) for kind in zip(*folds, strict=True))
    return value, sampling, capped_weights(held_out, np.full_like(held_out, 2 * noise))


def by_loops(value, sampling, weights, group):
    """Mean, s.d. and the ratio of the test of a variance theta, from plain sums."""
    sums = np.zeros((group.max() + 1, 3))
    for fold in range(len(value)):
        for unit in range(value.shape[1]):
            (a, b), (v_a, v_b) = value[fold, unit], sampling[fold, unit]
            w = weights[fold, unit] / len(value)
            sums[group[unit]] += (
                w * ((a - b) ** 2 - v_a - v_b),
                w * ((a - b) * (a + b) - (v_a - v_b)),
                w * ((a + b) ** 2 - v_a - v_b),
            )
    n, total = len(sums), sums[:, 2].sum()
    mean = sums[:, 1].sum() / total
    of_mean = n / (n - 1) * sum((row[1] - mean * row[2]) ** 2 for row in sums) / total**2
    variance = sums[:, 0].sum() / total - mean**2 + of_mean

    def ratio(theta):
        parts = [row[0] - 2 * mean * row[1] + (mean**2 - theta) * row[2] for row in sums]
        error = np.sqrt(n / (n - 1) * sum(part**2 for part in parts))
        return (variance - theta) * total / error

    return mean, variance**0.5, ratio, total**2 / (sums[:, 2] ** 2).sum()


def test_it_is_that_of_plain_loops_and_its_interval_inverts_the_test():
    rng = np.random.default_rng(1)
    value, sampling, weights = measured(population(rng, 0.4), rng, noise=0.2)
    group = rng.integers(0, 25, N_UNITS)
    group[:25] = np.arange(25)
    found = weighted_spread(unbiased_squares(value, sampling, weights), group)
    mean, sd, ratio, effective = by_loops(value, sampling, weights, group)
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd)
    assert found.n_effective == pytest.approx(effective)
    quantile = stats.t.ppf(0.975, effective - 1)
    assert ratio(found.sd_low**2) == pytest.approx(quantile)
    assert ratio(found.sd_high**2) == pytest.approx(-quantile)
    assert found.p_value <= 1 - stats.t.cdf(ratio(0.0), effective - 1)


def test_exact_variances_give_the_weighted_moments():
    rng = np.random.default_rng(2)
    true = population(rng, 0.5, n_units=4000)[None]
    found = weighted_spread(
        unbiased_squares(true, np.zeros_like(true), np.ones(true.shape[:2])), np.arange(4000)
    )
    strength = true[0].sum(axis=1)
    ftv = (true[0, :, 0] - true[0, :, 1]) / strength
    mean = np.average(ftv, weights=strength**2)
    assert found.mean == pytest.approx(mean)
    expected = np.average((ftv - mean) ** 2, weights=strength**2) ** 0.5
    assert found.sd == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("sd", "slope"), [(0.0, 0.0), (0.1, 0.0), (0.45, 0.0), (0.3, 1.0), (0.3, -1.0)]
)
def test_the_interval_holds_the_weighted_truth(sd, slope):
    rng = np.random.default_rng(3)
    group = np.arange(N_UNITS) // 2
    true = population(rng, sd, slope, n_units=40_000)
    weights = measured(true, rng, noise=0.5)[2].mean(axis=0) * true.sum(axis=1) ** 2
    ftv = (true[:, 0] - true[:, 1]) / true.sum(axis=1)
    truth = np.average((ftv - np.average(ftv, weights=weights)) ** 2, weights=weights) ** 0.5
    found = [
        weighted_spread(
            unbiased_squares(*measured(population(rng, sd, slope), rng, noise=0.5)), group
        )
        for _ in range(200)
    ]
    covered = np.mean([one.sd_low <= truth <= one.sd_high for one in found])
    rejected = np.mean([one.p_value < 0.05 for one in found])
    # of 200 intervals of 95 %, 172 or fewer come once in a million
    assert covered > 0.86
    if sd == 0:
        assert covered > 0.95
        assert rejected < 0.11
    if sd == 0.45:
        assert rejected > 0.9
        assert abs(np.median([one.sd for one in found]) - truth) < 0.03
    if slope:
        assert (truth - sd) * slope > 0.02


def test_selection_by_the_same_trials_would_widen_it():
    rng = np.random.default_rng(4)
    true = population(rng, 0.0, n_units=20_000) / 4
    value, sampling, weights = measured(true, rng)
    own = capped_weights(value, np.full_like(value, 2.0))
    squares = [unbiased_squares(value, sampling, factor) for factor in (weights, own)]
    apart, same = (part.difference.sum() / part.total.sum() for part in squares)
    assert abs(apart) < 0.02
    assert abs(same) > 0.04


def test_order_scale_and_exchange():
    rng = np.random.default_rng(5)
    true = population(rng, 0.4)
    value, sampling, _ = measured(true, rng)
    held_out, noise = value + 0.5, np.full_like(value, 2.0)
    group = np.arange(N_UNITS) // 3

    def spread(value, sampling, held_out, noise, group=group):
        weights = capped_weights(held_out, noise)
        return weighted_spread(unbiased_squares(value, sampling, weights), group)

    found = np.array(spread(value, sampling, held_out, noise))
    order = rng.permutation(N_UNITS)
    moved = [part[:, order] for part in (value, sampling, held_out, noise)]
    np.testing.assert_allclose(spread(*moved, group[order]), found)
    # each unit's rates in another unit of measurement
    scale = rng.uniform(0.1, 10, N_UNITS)[:, None]
    scaled = value * scale, sampling * scale**2, held_out * scale, noise * scale
    np.testing.assert_allclose(spread(*scaled), found)
    plain = weighted_spread(unbiased_squares(*scaled[:2], np.ones(value.shape[:2])), group)
    assert plain.sd != pytest.approx(found[3], rel=1e-3)
    other = spread(*(part[..., ::-1] for part in (value, sampling, held_out, noise)))
    assert other.mean == pytest.approx(-found[0])
    assert other.sd == pytest.approx(found[3])


def test_nothing_is_identified_without_tuning_or_from_a_single_unit():
    rng = np.random.default_rng(6)
    unknown = [
        weighted_spread(
            unbiased_squares(*measured(np.zeros((N_UNITS, 2)), rng)), np.arange(N_UNITS)
        )
        for _ in range(20)
    ]
    assert np.mean([np.isnan(one.sd) for one in unknown]) > 0.6
    strong = np.ones(N_UNITS)
    strong[0] = 1000
    one = weighted_spread(Squares(0.1 * strong, 0 * strong, strong), np.arange(N_UNITS))
    assert np.isnan(one.sd)
    assert one.n_effective < 2
    nothing = weighted_spread(Squares(*np.zeros((3, 5))), np.arange(5))
    assert np.isnan(nothing.p_value)


def test_weights_of_silent_and_of_weak_units():
    held_out, noise = np.zeros((2, 3, 2)), np.ones((2, 3, 2))
    noise[:, 0] = 0
    noise[0, 1] = 0
    held_out[:, 2] = 10, 6
    assert capped_weights(held_out, noise).tolist() == [[0, 1, 18.0**-2]] * 2
    assert equal_weights(held_out, np.full_like(noise, 5), 2.0).tolist() == [[0, 0, 1 / 256]] * 2
    assert not equal_weights(held_out, np.full_like(noise, 6), 2.0).any()


def test_folds_are_separate_trials_of_every_condition():
    rng = np.random.default_rng(7)
    condition = rng.permutation(np.repeat([0, 1, 2], [8, 9, 11]))
    rates = rng.normal(size=(condition.size, 3)) + condition[:, None]
    found = fold_variances(rates, condition, 3, "per_time", n_folds=4, rng=np.random.default_rng(0))
    again = fold_variances(rates, condition, 3, "per_time", n_folds=4, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found, again)
    assert np.isfinite(found).all()
    # both estimate the variance of all trials
    whole = noisy_variance(rates, condition, 3, "per_time")
    assert found.value.mean() == pytest.approx(whole.raw - whole.noise, abs=0.1)
    assert found.held_out_noise.mean() == pytest.approx(4 * whole.noise, rel=0.4)
    # independent: the covariance of the two over many units is that of separate trials
    pairs = []
    for _ in range(300):
        noise = rng.normal(size=(16, 1))
        one = fold_variances(noise, np.arange(16) % 2, 2, "per_time", n_folds=2, rng=rng)
        pairs.append((one.value[0], one.held_out[0]))
    assert abs(np.corrcoef(np.transpose(pairs))[0, 1]) < 0.2
    few = fold_variances(rates[:12], condition[:12], 3, "per_time", n_folds=4, rng=rng)
    assert np.isnan(few.held_out).any()
