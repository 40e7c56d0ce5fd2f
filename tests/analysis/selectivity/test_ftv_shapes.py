"""Shapes of FTV distributions: simulated truth, boundaries, invariances, exact tails."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy.stats import binom

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_shapes import classify_pairs, shape_shares
from nwbcompare.analysis.selectivity.kernels.ftv_shapes import (
    PARTS,
    RINGS,
    SHAPES,
    UNDECIDED,
    part_counts,
    shape_p_values,
    simulate_shape,
)
from nwbcompare.analysis.selectivity.pairwise_ftv import pairwise_ftv
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.pairwise_ftv import SHAPE_COLOURS, plot_shape_shares


def variance_with(fractions, tasks=("a", "b"), name="simulated"):
    """Task variances of which every unit's FTV is as given."""
    fractions = np.asarray(fractions, dtype=float)
    tv = np.stack([1 + fractions, 1 - fractions], axis=1)
    return xr.Dataset(
        {"task_variance": (("unit", "task"), tv)},
        coords={"unit": [f"u{i}" for i in range(len(tv))], "task": list(tasks)},
        attrs={"name": name},
    )


def classified(fractions, **options):
    return classify_pairs(pairwise_ftv(variance_with(fractions)), **options)


def answers(n_units, shape, n=150):
    p_value = shape_p_values(
        part_counts(np.stack([simulate_shape(shape, n_units, seed) for seed in range(n)]))
    )
    return np.where(p_value.min(axis=1) <= 0.05, p_value.argmin(axis=1), len(SHAPES))


@pytest.mark.parametrize("shape", SHAPES)
def test_simulated_shapes_are_told_and_seldom_mistaken(shape):
    right = []
    for n_units in (20, 50, 100, 256, 1000):
        answer = answers(n_units, shape)
        correct = answer == SHAPES.index(shape)
        assert (~correct & (answer < len(SHAPES))).mean() < 0.05, n_units
        right.append(correct.mean())
    assert right[0] < 0.25
    assert right[-1] > 0.95
    assert (np.diff(right) >= -0.02).all()


def test_simulated_units_lie_within_bounds_and_seeds_reproduce_them():
    for shape in SHAPES:
        values = simulate_shape(shape, 200, seed=1)
        assert values.shape == (200,)
        assert np.abs(values).max() <= 1
        np.testing.assert_array_equal(values, simulate_shape(shape, 200, seed=1))


@pytest.mark.parametrize(
    ("fractions", "why"),
    [
        (np.linspace(-1, 1, 1000), "flat"),
        (np.full(1000, 0.99), "one end only"),
        (np.r_[np.linspace(0.4, 0.6, 500), np.linspace(-0.6, -0.4, 500)], "two humps inside"),
        (np.clip(np.random.default_rng(0).normal(0.65, 0.2, 1000), -1, 1), "hump near an end"),
        (np.r_[np.full(8, 0.99), np.full(8, -0.99)], "too few units"),
    ],
)
def test_what_is_no_typical_shape_is_undecided(fractions, why):
    result = classified(fractions)
    assert result["shape"].item() == UNDECIDED, why
    assert result["nearest"].item() in SHAPES


def test_an_answer_is_wrong_at_a_criterions_bound_as_often_as_stated():
    # 40 % in the middle is neither disjoint nor disjoint-mixed
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.8, 0.8, (2000, 300))
    where = rng.random(values.shape)
    values[where < 0.6] = 0.95
    values[where < 0.3] = -0.95
    p_value = shape_p_values(part_counts(values))
    for shape in ("disjoint", "disjoint-mixed"):
        assert 0.02 < (p_value[:, SHAPES.index(shape)] <= 0.05).mean() < 0.065


def test_the_criteria_are_exact_binomial_tails():
    ends, middle, equal = 70, 50, 10
    values = np.r_[np.full(ends, 0.95), np.full(ends, -0.95), np.full(middle - equal, 0.5)]
    values = np.r_[values, np.zeros(equal)]
    result = classified(values)
    n = values.size
    expected = {
        "disjoint": max(
            binom.cdf(middle, n, 0.4),
            2 * min(binom.cdf(equal, n, 0.1), binom.cdf(equal, middle, 0.6)),
        ),
        "disjoint-mixed": binom.sf(middle - 1, n, 0.4),
        "disjoint-equal": binom.sf(equal - 1, middle, 0.6),
        "mixed": 1.0,
        "inclusive": 1.0,
    }
    for shape, p_value in expected.items():
        assert result["p_value"].sel(candidate=shape).item() == pytest.approx(p_value), shape


@given(st.sampled_from(SHAPES), st.integers(5, 300), st.integers(0, 10**6))
def test_neither_the_order_of_units_nor_of_tasks_matters(shape, n_units, seed):
    values = simulate_shape(shape, n_units, seed)
    p_value = shape_p_values(part_counts(values[None]))
    shuffled = np.random.default_rng(seed).permutation(values)
    np.testing.assert_array_equal(shape_p_values(part_counts(shuffled[None])), p_value)
    np.testing.assert_allclose(shape_p_values(part_counts(-values[None])), p_value)
    # a negative control: shifted, away from the end where units may be, it is another distribution
    shifted = np.clip(values - np.copysign(0.7, values.mean()), -1, 1)
    assert not np.array_equal(part_counts(shifted[None]), part_counts(values[None]))


@given(st.sampled_from(SHAPES), st.integers(1, 600), st.integers(0, 10**6))
def test_no_two_shapes_are_claimed_at_once(shape, n_units, seed):
    p_value = shape_p_values(part_counts(simulate_shape(shape, n_units, seed)[None]))
    assert (p_value <= 0.05).sum() <= 1


def test_parts_equal_a_plain_loop_and_mirror():
    rng = np.random.default_rng(0)
    values = np.r_[rng.uniform(-1, 1, 500), RINGS, -np.array(RINGS), 0, 1, -1, np.nan]
    expected = dict.fromkeys(PARTS, 0)
    for value in values[np.isfinite(values)]:
        outer = [ring for ring in RINGS if abs(value) > ring]
        expected[f"{'a' if value > 0 else 'b'}_{max(outer)}" if outer else "equal"] += 1
    counts = part_counts(values[None])[0]
    assert counts.tolist() == list(expected.values())
    np.testing.assert_array_equal(part_counts(-values[None])[0], counts[::-1])


def test_an_inclusive_pair_says_which_task_is_wider():
    values = np.r_[np.full(60, 0.97), np.linspace(-0.5, 0.6, 60)]
    forth, back = classified(values), classified(-values)
    assert forth["shape"].item() == back["shape"].item() == "inclusive"
    assert (forth["wider"].item(), back["wider"].item()) == ("a", "b")
    assert classified(np.r_[np.full(60, 1), np.full(60, -1)])["wider"].item() == ""


def test_confidence_withholds_answers():
    values = simulate_shape("disjoint", 70, seed=1)
    assert classified(values)["shape"].item() == "disjoint"
    sure = classified(values, confidence=1 - 1e-9)
    assert sure["shape"].item() == UNDECIDED
    assert sure["nearest"].item() == "disjoint"
    with pytest.raises(nc.InputError, match="confidence: expected a number between 0.5 and 1"):
        classified(values, confidence=95)


def test_a_pair_without_active_units_is_undecided():
    quiet = variance_with(np.zeros(40)) * 0
    result = classify_pairs(pairwise_ftv(quiet))
    assert result["shape"].item() == UNDECIDED
    assert result["n_active"].item() == 0
    assert (result["p_value"] == 1).all()


def networks(n=4):
    return [
        classify_pairs(
            pairwise_ftv(variance_with(simulate_shape(SHAPES[i % 2], 300, i), name=f"net {i}"))
        )
        for i in range(n)
    ]


def test_shares_over_networks_and_their_interval():
    shares = shape_shares(networks())
    assert shares["share"].sum("shape").values.tolist() == [1] * 4
    assert shares["mean"].sel(shape=["disjoint", "inclusive"]).values.tolist() == [0.5, 0.5]
    # Student's t of (0, 1, 0, 1), cut at 0 and 1
    assert shares["mean_low"].sel(shape="disjoint").item() == 0
    assert shares["mean_high"].sel(shape="mixed").item() == 0
    with pytest.warns(UserWarning, match="One network: nothing can be inferred"):
        assert shape_shares(networks(1))["mean_low"].isnull().all()
    with pytest.raises(nc.InputError, match="expected one result or more"):
        shape_shares([])
    other = classify_pairs(pairwise_ftv(variance_with(np.zeros(9), tasks=("a", "c"), name="odd")))
    with pytest.raises(nc.NotApplicableError, match="other pairs in 'odd'"):
        shape_shares([*networks(1), other])


def test_classified_pairs_are_saved(tmp_path):
    result = networks(1)[0]
    result.to_netcdf(tmp_path / "shapes.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "shapes.nc", engine="h5netcdf"), result)
    shares = shape_shares(networks())
    shares.to_netcdf(tmp_path / "shares.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "shares.nc", engine="h5netcdf"), shares)


def test_shares_are_drawn_one_point_a_network():
    _, axes = new_figure()
    ax = plot_shape_shares(axes[0, 0], shape_shares(networks()))
    assert [label.get_text() for label in ax.get_xticklabels()][3] == "disjoint-\nequal"
    points = [c for c in ax.collections if len(c.get_offsets()) == 4]
    assert len(points) == len(SHAPE_COLOURS) == 6
    assert "4 networks" in ax.get_title(loc="left") + ax.get_title()
    assert len(set(SHAPE_COLOURS.values())) == 6
