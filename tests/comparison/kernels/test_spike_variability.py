"""Spike counts of a given mean, scatter and gain."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nwbcompare.comparison.kernels.spike_variability import FANO_FLOOR, draw_counts


class TestCounts:
    @pytest.mark.parametrize("fano", [0.5, 0.9, 1.0, 1.3, 2.0])
    @pytest.mark.parametrize("gain", [0.0, 0.2])
    @pytest.mark.parametrize("mean", [0.6, 1.7, 8.0])
    def test_mean_and_covariance_are_as_asked_for(self, fano, gain, mean):
        rng = np.random.default_rng(0)
        n = 60_000
        means = np.broadcast_to([mean, 2 * mean], (n, 2))
        if fano < 1 and gain:
            means = means + 2  # a gain would bring a small mean below 1 - F
        counts = draw_counts(means, fano, gain, rng)
        mu = means[0]
        covariance = np.cov(counts.T)
        expected = fano * np.diag(mu) + gain * np.outer(mu, mu)
        error = np.sqrt(np.diag(expected) / n)
        np.testing.assert_allclose(counts.mean(axis=0), mu, atol=5 * error.max())
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.abs((covariance - expected) / scale).max() < 0.05

    @given(st.floats(0.01, 60), st.floats(FANO_FLOOR, 0.999))
    def test_regular_counts_are_exact_wherever_whole_counts_can_be(self, mean, fano):
        """The law's own moments, from the numbers that the binomial is given."""

        class Spy:
            def __init__(self):
                self.rng = np.random.default_rng(0)

            def random(self, shape):
                self.uniform = self.rng.random(shape)
                return self.uniform

            def binomial(self, number, p):
                self.number, self.p = number, p
                return number

        lowest, highest = Spy(), Spy()
        lowest.random = np.ones  # never below: the smaller number
        highest.random = lambda shape: np.full(shape, -1.0)
        asked = np.full((1, 1), mean)
        draw_counts(asked, fano, 0, lowest)
        draw_counts(asked, fano, 0, highest)
        few, many, p = lowest.number.item(), highest.number.item(), lowest.p.item()
        assert many == few + 1
        assert 0 <= p <= 1 + 1e-12
        share = mean / p - few
        assert -1e-9 <= share <= 1 + 1e-9
        variance = mean * (1 - p) + p**2 * share * (1 - share)
        rest = mean % 1
        if fano * mean >= rest * (1 - rest) and mean >= 1 - fano:
            assert variance == pytest.approx(fano * mean, rel=1e-6)
        else:
            assert variance >= fano * mean * (1 - 1e-9)

    def test_no_rate_gives_no_spikes(self):
        rng = np.random.default_rng(0)
        for fano in (0.5, 1.0, 2.0):
            assert not draw_counts(np.zeros((10, 3)), fano, 0.3, rng).any()
