"""Equivalence within a margin: two t tests, error rates, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from session_samples import FEW, networks, recorded

from nwbcompare.comparison.compare_samples import compare_samples
from nwbcompare.comparison.equivalence import equivalence_test, two_one_sided
from nwbcompare.core.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_equivalence_is_two_t_tests_and_interval_inclusion(rng):
    values = rng.normal(0.02, 0.1, size=30)
    error = stats.sem(values)
    found = two_one_sided(values.mean(), margin=0.06, standard_error=error, degrees_of_freedom=29)
    sides = [
        stats.ttest_1samp(values, -0.06, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.06, alternative="less").pvalue,
    ]
    assert found["p_value"] == pytest.approx(max(sides))
    low, high = stats.t.interval(0.9, 29, values.mean(), error)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert bool(found["equivalent"]) == (max(sides) <= 0.05)
    least = float(found["smallest_margin"])
    for margin, alike in ((least * 1.001, True), (least * 0.999, False)):
        again = two_one_sided(
            values.mean(), margin=margin, standard_error=error, degrees_of_freedom=29
        )
        assert bool(again["equivalent"]) is alike


def test_equivalence_errs_in_five_percent_at_the_margin():
    rng = np.random.default_rng(8)
    values = rng.normal(0.1, 0.15, size=(4000, 12))
    error = values.std(axis=1, ddof=1) / np.sqrt(12)
    options = {"standard_error": error, "degrees_of_freedom": 11}
    at_margin = two_one_sided(values.mean(axis=1), margin=0.1, **options)["equivalent"].mean()
    assert 0.03 < at_margin <= 0.06
    inside = two_one_sided(values.mean(axis=1) - 0.1, margin=0.1, **options)["equivalent"].mean()
    assert inside > 0.3
    exact = two_one_sided([0.05, 0.2], margin=0.1, standard_error=0)
    assert exact["equivalent"].tolist() == [True, False]


def test_equivalence_of_networks_and_recording(rng):
    session = np.repeat(np.arange(60), 4)
    monkey = recorded(rng, session=session)
    found = compare_samples(networks(rng, n=5, session=session), monkey, **FEW)
    alike = equivalence_test(found, margin=0.15)
    assert alike["equivalent"].all()
    assert (alike["smallest_margin"] < 0.15).all()
    assert alike.attrs["margin"] == 0.15
    wide = compare_samples(networks(rng, 0.6, 5, session=session), monkey, **FEW)
    assert not equivalence_test(wide, margin=0.15)["equivalent"].any()


def test_equivalence_refuses_what_it_cannot_test(rng):
    found = compare_samples(networks(rng), recorded(rng), **FEW)
    with pytest.raises(InputError, match="'wasserstein', a distance"):
        equivalence_test(found, margin=0.1, measure="wasserstein")
    with pytest.raises(InputError, match="Did you mean 'mixed_share'"):
        equivalence_test(found, margin=0.1, measure="mixed_shar")
    for margin in (0, -1, np.inf, np.nan):
        with pytest.raises(InputError, match="margin: expected an absolute difference above 0"):
            two_one_sided(0, margin=margin, standard_error=1)
