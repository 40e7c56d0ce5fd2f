"""Residual noise against moments, and the pools from which each row draws."""

import numpy as np
import pytest

from nwbcompare.comparison.kernels.residual_noise import ResidualNoise


def rows_of(n_units, n_conditions, n_trials, rng):
    unit, condition, _ = (index.ravel() for index in np.indices((n_units, n_conditions, n_trials)))
    rates = rng.gamma(1.0, 1.0 + condition[:, None], (unit.size, 3)) * (1 + unit[:, None])
    return rates.astype(np.float32), unit, condition


def test_drawn_noise_has_the_variance_of_each_cell():
    rng = np.random.default_rng(0)
    rates, unit, condition = rows_of(2, 3, 4, rng)
    noise = ResidualNoise.of(rates, unit, condition, condition)
    draws = np.stack([noise.draw(np.random.default_rng(seed)) for seed in range(3000)])
    for cell in range(6):
        here = unit * 3 + condition == cell
        expected = rates[here].var(axis=0, ddof=1)
        np.testing.assert_allclose(draws[:, here].var(axis=(0, 1)), expected, rtol=0.05)
        # the negative control: without the factor residuals vary by 3 / 4 of it
        assert (rates[here].var(axis=0) < 0.8 * expected).all()
    assert draws.mean() == pytest.approx(0, abs=0.01)


def test_rows_alone_in_their_condition_draw_from_the_coarse_one():
    rng = np.random.default_rng(0)
    rates = rng.normal(size=(7, 2)).astype(np.float32)
    fine, coarse = np.array([0, 0, 0, 1, 2, 3, 4]), np.array([0, 0, 0, 0, 1, 1, 1])
    noise = ResidualNoise.of(rates, np.zeros(7, dtype=int), fine, coarse)
    pools = [
        set(noise.order[first : first + number].tolist())
        for first, number in zip(noise.first, noise.number, strict=True)
    ]
    # row 3 is alone; of the second coarse condition no trial has a twin
    assert pools == [{0, 1, 2}] * 4 + [{4, 5, 6}] * 3
    about_coarse = (rates[4:] - rates[4:].mean(axis=0)) * np.sqrt(3 / 2)
    np.testing.assert_allclose(noise.residual[4:], about_coarse, rtol=1e-5)


def test_missing_bins_take_the_rows_own_residual():
    rng = np.random.default_rng(0)
    rates = rng.normal(size=(3, 2)).astype(np.float32)
    rates[0, 1] = np.nan
    zeros = np.zeros(3, dtype=int)
    noise = ResidualNoise.of(rates, zeros, zeros, zeros)
    for seed in range(20):
        draw = noise.draw(np.random.default_rng(seed))
        assert np.isfinite(draw[1:]).all()
