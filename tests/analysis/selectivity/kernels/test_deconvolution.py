"""Deconvolution: known distributions, a plain loop, weights, bins."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_tuning import simulated

from nwbcompare.analysis.selectivity.kernels.deconvolution import (
    deconvolve,
    ftv_grid,
    in_bins,
    likelihood,
    moments,
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def fraction(values):
    with np.errstate(invalid="ignore"):
        return (values[:, 0] - values[:, 1]) / values.sum(axis=1)


DISTRIBUTIONS = {
    "two points": lambda rng: rng.choice([-0.8, 0.8], 400),
    "uniform": lambda rng: rng.uniform(-0.8, 0.8, 400),
    "ends": lambda rng: rng.choice([-1.0, 1.0], 400),
    "narrow": lambda rng: 0.25 * rng.uniform(-1, 1, 400),
}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_the_distribution_behind_the_noise_is_recovered(kind):
    rng = np.random.default_rng(6)
    truth = DISTRIBUTIONS[kind](rng)
    measured = simulated(truth, rng)
    found = deconvolve(likelihood(measured))
    grid, _ = ftv_grid()
    assert float(moments(found.mass[0])[1]) == pytest.approx(truth.std(), abs=0.06)
    if kind == "two points":
        assert found.mass[0][np.abs(grid) > 0.55].sum() > 0.8
    if kind == "uniform":
        assert found.mass[0][np.abs(grid) < 0.5].sum() == pytest.approx(0.64, abs=0.1)
    # negative control: neither the raw nor the corrected values have that spread
    corrected = np.maximum(measured.raw - measured.noise, 0)
    plain, clipped = (fraction(values) for values in (measured.raw, corrected))
    if kind == "uniform":
        assert truth.std() - plain.std() > 0.05
        assert np.nanstd(clipped) - truth.std() > 0.05
        assert float(moments(found.mass[0])[1]) == pytest.approx(truth.std(), abs=0.025)
    assert np.mean((found.mean[0] - truth) ** 2) < np.mean((plain - truth) ** 2)


def test_the_likelihood_is_that_of_a_plain_loop(rng):
    from scipy.stats import gamma

    measured = simulated(rng.uniform(-1, 1, 4), rng)
    found = likelihood(measured)
    grid, _ = ftv_grid()
    # the point of no tuning: gamma with the moments of the noise, and the width of a cell
    highest = 1.2 * measured.raw.sum(axis=1).max()
    lowest = 0.1 * np.median(np.sqrt(measured.untuned_variance.sum(axis=1)))
    step = np.log(highest / lowest) / 59
    for unit in range(4):
        values = []
        for true in (0.0, lowest):
            logarithm = 0.0
            for task, share in enumerate(((1 + grid[10]) / 2, (1 - grid[10]) / 2)):
                raw, noise, untuned, slope = (m[unit, task] for m in measured)
                mean = true * share + noise
                variance = untuned + slope * true * share
                variance += (true * 0.025) ** 2 / 12 + (step * mean) ** 2 / 12
                logarithm += gamma.logpdf(raw, mean**2 / variance, scale=variance / mean)
            values.append(logarithm)
        ratio = np.log(found[unit, 0, 10] / found[unit, 1, 10])
        assert ratio == pytest.approx(values[0] - values[1], abs=1e-9)


def test_doubled_units_and_weights_are_the_same(rng):
    likelihoods = likelihood(simulated(rng.uniform(-1, 1, 30), rng))
    weights = np.where(np.arange(30) < 10, 2.0, 1.0)
    doubled = deconvolve(np.concatenate([likelihoods, likelihoods[:10]]), n_iterations=20)
    weighted = deconvolve(likelihoods, weights[None], n_iterations=20)
    np.testing.assert_allclose(weighted.mass, doubled.mass, rtol=1e-4)


def test_bins_hold_all_mass():
    mass = np.random.default_rng(0).dirichlet(np.ones(41), size=3)
    binned = in_bins(mass, 20)
    np.testing.assert_allclose(binned.sum(axis=1), 1)
    np.testing.assert_allclose(binned[:, 0], mass[:, 0] + mass[:, 1] + mass[:, 2] / 2)
