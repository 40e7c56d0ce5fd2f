"""Prevalence over animals: the published closed form, quadrature, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from nwbcompare.core.errors import InputError
from nwbcompare.inference import prevalence


@pytest.mark.parametrize(("k", "n"), [(0, 2), (1, 2), (2, 2), (3, 5), (9, 20)])
def test_the_posterior_is_that_of_the_binomial_rate(k, n):
    found = prevalence(k, n, level=0.05)

    def likelihood(share):
        return stats.binom.pmf(k, n, 0.05 + 0.95 * share)

    total = integrate.quad(likelihood, 0, 1)[0]
    inside = integrate.quad(likelihood, found["low"].item(), found["high"].item())[0]
    assert inside / total == pytest.approx(0.95, abs=1e-3)
    below = integrate.quad(likelihood, 0, found["bound"].item())[0]
    assert below / total == pytest.approx(0.05, abs=1e-6)
    shares = np.linspace(0, 1, 2001)
    assert found["prevalence"].item() == pytest.approx(
        shares[np.argmax(likelihood(shares))], abs=1e-3
    )
    ends = likelihood(found["low"].item()), likelihood(found["high"].item())
    # of a shortest interval inside (0, 1) both ends are equally probable
    if found["low"] > 0.001 and found["high"] < 0.999:
        assert ends[0] == pytest.approx(ends[1], rel=0.02)


def test_two_of_two_animals_support_a_third_of_all():
    found = prevalence(2, 2)
    theta = (0.05 * (1 - 0.05**3) + 0.05**3) ** (1 / 3)
    assert found["bound"].item() == pytest.approx((theta - 0.05) / 0.95)
    # more animals say more
    assert prevalence(6, 6)["bound"] > found["bound"]


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(InputError, match="n_showing: expected a number of animals from 0"):
        prevalence(k, n)


@pytest.mark.parametrize("name", ["level", "confidence"])
def test_impossible_levels_are_refused(name):
    with pytest.raises(InputError, match=f"{name}: expected a share between 0 and 1"):
        prevalence(1, 2, **{name: 1.0})
