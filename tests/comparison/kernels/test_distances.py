"""Distances and resampling: metric axioms, oracles of scipy, brute-force twins."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nwbcompare.comparison.kernels.distances import DISTANCES, EFFECTS, MEASURES, compare_weighted
from nwbcompare.comparison.kernels.resampling import resample_hierarchy

BOUNDS = {"mixed_below": 0.3, "single_above": 0.9}


def ks_statistic(a, b):
    # scipy's p, which nobody asks for here, warns of samples that are small or alike
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ks_2samp(a, b, method="asymp").statistic


ORACLES = {
    "wasserstein": stats.wasserstein_distance,
    "energy": stats.energy_distance,
    "kolmogorov_smirnov": ks_statistic,
}
# halves make ties between and within the samples
samples = arrays(
    float, st.integers(1, 12), elements=st.integers(-8, 8).map(lambda whole: whole / 4)
)
each_distance = pytest.mark.parametrize("name", DISTANCES)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@each_distance
@given(a=samples, b=samples)
def test_distances_are_those_of_scipy_ties_included(name, a, b):
    assert DISTANCES[name](a, b) == pytest.approx(ORACLES[name](a, b), abs=1e-12)


@each_distance
@given(a=samples, b=samples, c=samples)
def test_distances_are_metrics(name, a, b, c):
    distance = DISTANCES[name]
    assert distance(a, a) == 0
    assert distance(a, b) == distance(b, a) >= 0
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12
    shares = [dict(zip(*np.unique(x, return_counts=True), strict=True)) for x in (a, b)]
    same = all(
        shares[0].get(key, 0) * b.size == shares[1].get(key, 0) * a.size
        for key in shares[0].keys() | shares[1].keys()
    )
    assert (distance(a, b) < 1e-9) == same


@each_distance
@given(a=samples, b=samples, scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_shift_does_nothing_and_scale_scales(name, a, b, scale, shift):
    power = {"wasserstein": 1.0, "energy": 0.5, "kolmogorov_smirnov": 0.0}[name]
    distance = DISTANCES[name]
    moved = distance(scale * (a + 16), scale * (b + 16))
    assert moved == pytest.approx(scale**power * distance(a, b), abs=1e-6)
    # negative control: moving one side alone shows, the more the farther
    apart = distance(a, a + abs(shift) + 0.1)
    assert apart > 0


def test_distances_are_their_integrals(rng):
    a, b = rng.normal(size=30), rng.normal(0.5, 2, size=20)
    grid = np.linspace(-12, 12, 200_001)
    gap = np.abs((a[:, None] <= grid).mean(0) - (b[:, None] <= grid).mean(0))
    step = grid[1] - grid[0]
    assert DISTANCES["wasserstein"](a, b) == pytest.approx(gap.sum() * step, abs=1e-3)
    assert DISTANCES["energy"](a, b) == pytest.approx(np.sqrt(2 * (gap**2).sum() * step), abs=1e-3)
    assert DISTANCES["kolmogorov_smirnov"](a, b) == pytest.approx(gap.max())


def plain_measures(a, b):
    """Every measure of two samples, one by one."""
    mixed, single = ([(abs(x) < 0.3).mean(), (abs(x) > 0.9).mean()] for x in (a, b))
    sizes = np.sign(np.abs(a)[:, None] - np.abs(b)).mean()
    shares = [mixed[0] - single[0], mixed[1] - single[1]]
    distances = [oracle(a, b) for oracle in ORACLES.values()]
    return [a.std() - b.std(), a.mean() - b.mean(), *shares, sizes, *distances]


def plain_effects(a, b):
    """Every effect size of two samples, one by one."""
    spread = np.sqrt((a.var() + b.var()) / 2)
    angles = [
        2 * np.arcsin(np.sqrt(inside(a).mean())) - 2 * np.arcsin(np.sqrt(inside(b).mean()))
        for inside in (lambda x: abs(x) < 0.3, lambda x: abs(x) > 0.9)
    ]
    apart = np.abs(a[:, None] - b).mean()
    return [
        np.log(a.std() / b.std()),
        (a.mean() - b.mean()) / spread,
        *angles,
        np.sign(np.abs(a)[:, None] - np.abs(b)).mean(),
        stats.wasserstein_distance(a, b) / b.std(),
        np.sqrt(stats.energy_distance(a, b) ** 2 / (2 * apart)),
        ks_statistic(a, b),
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_comparison_equals_repeating_the_units(rng, ties):
    values = rng.uniform(-1, 1, size=40)
    values = values.round(1) if ties else values
    first, second = rng.integers(0, 3, size=(2, 300, 40))
    measures, effects = compare_weighted(values, first, second, **BOUNDS)
    assert measures.shape == (300, len(MEASURES))
    assert effects.shape == (300, len(EFFECTS))
    for replicate in range(0, 300, 37):
        a = np.repeat(values, first[replicate])
        b = np.repeat(values, second[replicate])
        np.testing.assert_allclose(measures[replicate], plain_measures(a, b), atol=1e-12)
        np.testing.assert_allclose(effects[replicate], plain_effects(a, b), atol=1e-9)


def test_weights_count_relative_to_their_sum_only(rng):
    values, weight = rng.uniform(-1, 1, size=20), rng.random((2, 5, 20))
    once = compare_weighted(values, *weight, **BOUNDS)
    again = compare_weighted(values, 7 * weight[0], 0.1 * weight[1], **BOUNDS)
    np.testing.assert_allclose(once, again, atol=1e-12)
    swapped = compare_weighted(values, weight[1], weight[0], **BOUNDS)
    sign = np.where(np.isin(MEASURES, list(DISTANCES)), 1, -1)
    np.testing.assert_allclose(swapped[0], once[0] * sign, atol=1e-12)


def plain_bootstrap(levels, rng):
    """Draw one hierarchical bootstrap sample, step by step."""

    def draw(members, depth):
        if depth == len(levels):
            return members
        kinds = np.unique(levels[depth][members])
        drawn = rng.choice(kinds, size=kinds.size)
        return [m for k in drawn for m in draw(members[levels[depth][members] == k], depth + 1)]

    return np.bincount(draw(np.arange(levels[0].size), 0), minlength=levels[0].size)


def test_counts_are_distributed_as_step_by_step():
    animal = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    # sessions go by the same names in both animals
    levels = [animal, np.array([0, 0, 1, 1, 1, 0, 1, 1]), np.arange(8)]
    fast = resample_hierarchy(levels, np.random.default_rng(0), 20_000)
    rng = np.random.default_rng(1)
    slow = np.array([plain_bootstrap(levels, rng) for _ in range(4000)])
    np.testing.assert_allclose(fast.mean(axis=0), slow.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(fast.T), np.cov(slow.T), atol=0.25)
    assert np.cov(fast.T).max() > 1.5


def test_units_below_the_last_level_stay_together():
    session = np.array(["x", "y", "x", "z"])
    counts = resample_hierarchy([session], np.random.default_rng(0), 500)
    np.testing.assert_array_equal(counts[:, 0], counts[:, 2])
    np.testing.assert_array_equal(counts[:, [0, 1, 3]].sum(axis=1), 3)
    assert len(np.unique(counts, axis=0)) == 10


def test_strata_and_single_members_are_kept():
    session, animal = np.array([0, 1, 2, 3, 4]), np.array([0, 0, 1, 1, 2])
    counts = resample_hierarchy([session], np.random.default_rng(0), 200, strata=animal)
    np.testing.assert_array_equal(counts[:, :2].sum(axis=1), 2)
    np.testing.assert_array_equal(counts[:, 2:4].sum(axis=1), 2)
    np.testing.assert_array_equal(counts[:, 4], 1)
    one = resample_hierarchy([np.zeros(5, int)], np.random.default_rng(0), 10)
    np.testing.assert_array_equal(one, 1)


def test_whole_sessions_give_the_variance_and_units_drawn_again_too_much():
    rng = np.random.default_rng(0)
    session, values = np.repeat(np.arange(60), 2), rng.standard_normal(120)
    expected = values.reshape(60, 2).mean(axis=1).var() / 60
    whole = resample_hierarchy([session], rng, 4000) @ values / 120
    again = resample_hierarchy([session, np.arange(120)], rng, 4000) @ values / 120
    assert whole.var() == pytest.approx(expected, rel=0.1)
    assert again.var() > 1.25 * expected


def test_same_seed_same_counts_and_no_level_is_an_error():
    levels = [np.repeat(np.arange(4), 3), np.arange(12)]
    once, again = (resample_hierarchy(levels, np.random.default_rng(5), 20) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    with pytest.raises(ValueError, match="at least one level"):
        resample_hierarchy([], np.random.default_rng(0), 1)
