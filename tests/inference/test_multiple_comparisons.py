"""Adjusted p values: a plain loop, labels, error rates, refusals."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
from nwbcompare.inference.multiple_comparisons import METHODS, adjust_p


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def interval(n, share=0.05, level=0.999):
    return np.array(stats.binom.interval(level, n, share)) / n


def plain_adjusted(p, method):
    order, n = np.argsort(p), len(p)
    adjusted = np.empty(n)
    running = 0.0 if method == "holm" else 1.0
    penalty = sum(1 / k for k in range(1, n + 1)) if method == "fdr_by" else 1.0
    ranks = range(n) if method == "holm" else reversed(range(n))
    for rank in ranks:
        if method == "holm":
            running = max(running, (n - rank) * p[order[rank]])
        else:
            running = min(running, penalty * n / (rank + 1) * p[order[rank]])
        adjusted[order[rank]] = min(1, running)
    return adjusted


@pytest.mark.parametrize("method", METHODS)
def test_adjusted_p_values_equal_a_plain_loop_and_leave_out_nan(rng, method):
    p = rng.random(30) ** 3
    np.testing.assert_allclose(adjust_p(p, method), plain_adjusted(p, method), rtol=1e-12)
    holes = np.insert(p, [3, 9], np.nan)
    adjusted = adjust_p(holes, method)
    assert np.flatnonzero(np.isnan(adjusted)).tolist() == [3, 10]
    np.testing.assert_array_equal(adjusted[~np.isnan(holes)], adjust_p(p, method))
    assert (adjust_p(p, method) >= p).all()


def test_labelled_p_values_stay_labelled_and_shaped(rng):
    p = xr.DataArray(
        rng.random((3, 4)), dims=("task", "unit"), coords={"task": list("abc")}, name="p"
    )
    adjusted = adjust_p(p, "fdr_bh")
    assert adjusted.dims == p.dims
    np.testing.assert_allclose(adjusted.values.ravel(), plain_adjusted(p.values.ravel(), "fdr_bh"))
    assert adjusted["task"].identical(p["task"])
    assert np.isnan(adjust_p(np.full(3, np.nan))).all()
    assert adjust_p(np.empty(0)).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_discoveries_are_those_of_benjamini_and_hochbergs_steps(p_values, rate):
    # the largest k with at least k p values at or below k * rate / n
    n = len(p_values)
    passing = [k for k in range(1, n + 1) if sum(p <= rate * k / n for p in p_values) >= k]
    discovered = (adjust_p(np.array(p_values), "fdr_bh") <= rate).sum()
    assert discovered == max(passing, default=0)


def test_discoveries_of_no_effect_are_rare_and_of_all_effects_are_all(rng):
    any_discovered = [(adjust_p(rng.uniform(size=50), "fdr_bh") <= 0.05).any() for _ in range(400)]
    assert np.mean(any_discovered) < 0.09
    assert (adjust_p(np.full(50, 0.05), "fdr_bh") <= 0.05).sum() == 50
    assert (adjust_p(np.full(50, 0.0501), "fdr_bh") <= 0.05).sum() == 0


@pytest.fixture
def little_garbage():
    """Spare statsmodels, which collects garbage after each Holm adjustment, all older objects."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("little_garbage")
def test_families_err_no_more_often_than_they_say():
    rng = np.random.default_rng(3)
    family, discovery = [], []
    for _ in range(600):
        z = rng.standard_normal(40)
        z[:20] += 3
        p = stats.norm.sf(z)
        family.append((adjust_p(p)[20:] <= 0.05).any())
        found = adjust_p(p, "fdr_bh") <= 0.1
        discovery.append(found[20:].sum() / max(1, found.sum()))
        assert (adjust_p(p, "fdr_by") >= adjust_p(p, "fdr_bh")).all()
    assert np.mean(family) <= interval(600)[1]
    # the rate is at most 0.1 times the share of true nulls
    assert np.mean(discovery) == pytest.approx(0.05, abs=4 * np.std(discovery) / np.sqrt(600))


def test_impossible_p_values_and_methods_are_refused():
    with pytest.raises(nc.InputError, match="p: expected values from 0 to 1.*got 1.2"):
        adjust_p(np.array([0.1, 1.2]))
    with pytest.raises(nc.InputError, match="Did you mean 'holm'"):
        adjust_p(np.array([0.1]), "hom")
