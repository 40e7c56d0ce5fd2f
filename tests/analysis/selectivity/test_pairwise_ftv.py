"""FTV of all pairs and under rotations: oracle, brute-force twins, theorems, invariances."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from matplotlib.collections import LineCollection, PolyCollection
from scipy.stats import binom

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_shapes import classify_pairs, rotated_pairs
from nwbcompare.analysis.selectivity.kernels.rotation import (
    factorise,
    histograms,
    mixed_variances,
    pair_summary,
    rotated_summaries,
)
from nwbcompare.analysis.selectivity.pairwise_ftv import (
    EDGES,
    _median_interval,
    median_histogram,
    pairwise_ftv,
)
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.pairwise_ftv import SHAPE_COLOURS, plot_pair, plot_pairs

TASKS = ("a", "b", "c")


def three_tasks(rng, *, n_units=6, n_conditions=4, tasks=TASKS, rank=None):
    """Noise-free rates of a few tasks, each unit with tuning of its own in each."""
    n_trials = len(tasks) * n_conditions
    gain = rng.gamma(0.5, 1.0, (len(tasks), n_units))
    rate = rng.standard_normal((len(tasks), n_conditions, 5, n_units)) * gain[:, None, None]
    if rank is not None:
        rate = rate[..., :rank] @ rng.standard_normal((rank, n_units))
    return nc.make_block(
        3 + rate.reshape(n_trials, 5, n_units),
        time_s=(np.arange(5) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={
            "task": np.repeat(tasks, n_conditions),
            "c": np.tile(np.arange(float(n_conditions)), len(tasks)),
        },
        units={"unit": [f"u{i}" for i in range(n_units)], "area": ["x", "y"] * (n_units // 2)},
        condition_variables={task: ["c"] for task in tasks},
        source="model",
        name="toy",
        deterministic=True,
    )


def scaled(block, factor):
    return block.assign(rate=(block["rate"] * np.float32(factor)).assign_attrs(block["rate"].attrs))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def block(rng):
    return three_tasks(rng)


# all pairs -----------------------------------------------------------------------------------


@pytest.mark.shared
def test_all_histograms_equal_the_references(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        tasks = oracle["tasks"].tolist()
        variance = xr.Dataset(
            {"task_variance": (("unit", "task"), oracle["task_variance"].astype(float))},
            coords={"task": tasks},
        )
        expected = oracle["ftv_histogram"]
    pairs = pairwise_ftv(variance)
    back = pairwise_ftv(variance.isel(task=slice(None, None, -1)))
    assert pairs.sizes == {"pair": 190, "unit": 256, "bin": 20}
    for result in (pairs, back):
        for one in result["histogram"]:
            a, b = (tasks.index(one[name].item()) for name in ("task_a", "task_b"))
            moved = np.abs(one.values - expected[a, b])
            # one unit may lie on the other side of a bin's edge
            assert moved.sum() <= 2, one["pair"].item()
            assert moved.max() <= 1


def test_pairs_equal_one_pair_at_a_time(block):
    variance = nc.task_variance(block)
    pairs = pairwise_ftv(variance)
    assert pairs["pair"].values.tolist() == ["a/b", "a/c", "b/c"]
    for a, b in itertools.combinations(TASKS, 2):
        one, ftv = pairs.sel(pair=f"{a}/{b}"), nc.fractional_task_variance(variance, a, b)
        name = "fractional_task_variance"
        np.testing.assert_array_equal(one[name], ftv[name])
        np.testing.assert_array_equal(one["histogram"], nc.selectivity.ftv_histogram(ftv))
        assert one["n_active"] == ftv["active"].sum()
        assert (one["task_a"].item(), one["task_b"].item()) == (a, b)


def test_the_reverse_order_mirrors(block):
    variance = nc.task_variance(block)
    forth, back = pairwise_ftv(variance), pairwise_ftv(variance.isel(task=[2, 1, 0]))
    np.testing.assert_allclose(
        forth["fractional_task_variance"].sel(pair="a/c"),
        -back["fractional_task_variance"].sel(pair="c/a"),
    )
    np.testing.assert_array_equal(
        forth["histogram"].sel(pair="a/c"), back["histogram"].sel(pair="c/a")[::-1]
    )


def test_permuting_units_permutes_the_values_and_keeps_the_histograms(block, rng):
    variance = nc.task_variance(block)
    order = rng.permutation(6)
    pairs, permuted = pairwise_ftv(variance), pairwise_ftv(variance.isel(unit=order))
    xr.testing.assert_identical(permuted, pairs.isel(unit=order))
    xr.testing.assert_identical(permuted["histogram"], pairs["histogram"])
    assert "area" in pairs.coords


def test_scaling_all_rates_matters_only_with_the_threshold(block):
    variance, small = nc.task_variance(block), nc.task_variance(scaled(block, 0.02))
    name = "fractional_task_variance"
    off, off_small = (pairwise_ftv(v, threshold=0) for v in (variance, small))
    np.testing.assert_allclose(off[name], off_small[name], atol=1e-3)
    on, on_small = pairwise_ftv(variance), pairwise_ftv(small)
    assert (on_small["n_active"] < on["n_active"]).any()


def test_constant_units_are_inactive_whatever_the_threshold(block):
    block["rate"].values[:, :, 0] = 5
    pairs = pairwise_ftv(nc.task_variance(block), threshold=0)
    assert pairs["fractional_task_variance"].sel(unit="u0").isnull().all()
    assert (pairs["n_active"] == 5).all()


def test_units_that_lack_a_task_are_named_or_left_out_of_its_pairs(block):
    variance = nc.task_variance(block)
    variance["task_variance"].loc[{"unit": "u2", "task": "b"}] = np.nan
    with pytest.raises(nc.NotApplicableError, match="1 without: u2"):
        pairwise_ftv(variance)
    pairs = pairwise_ftv(variance, missing="nan", threshold=0)
    assert pairs["n_active"].values.tolist() == [5, 6, 5]
    whole = pairwise_ftv(
        variance.sel(unit=[u for u in variance["unit"].values if u != "u2"]), threshold=0
    )
    np.testing.assert_array_equal(pairs["histogram"][0], whole["histogram"][0])


def test_one_task_has_no_pair(block):
    with pytest.raises(nc.NotApplicableError, match="expected two tasks or more, got 1: a"):
        pairwise_ftv(nc.task_variance(nc.select(block, task="a")))
    with pytest.raises(nc.NotApplicableError, match="expected two tasks or more"):
        rotated_pairs(nc.select(block, task="a"))


@pytest.mark.shared
def test_a_recording_has_one_pair(monkey_a):
    pairs = pairwise_ftv(nc.task_variance(monkey_a))
    assert pairs["pair"].values.tolist() == ["contextdm1/contextdm2"]
    assert pairs["histogram"].sum() == pairs["n_active"].item() > 100
    assert classify_pairs(pairs)["shape"].sizes == {"pair": 1}


@given(
    st.lists(
        st.one_of(st.floats(-1, 1), st.sampled_from([*EDGES, *np.arange(-10, 11) / 10])),
        min_size=1,
        max_size=40,
    )
)
def test_histograms_equal_numpys(values):
    rows = np.array([values, [np.nan, *values[1:]]])
    found = histograms(rows, EDGES)
    for row, counts in zip(rows, found, strict=True):
        expected, _ = np.histogram(row[np.isfinite(row)], bins=20, range=(-1, 1))
        np.testing.assert_array_equal(counts, expected)


# over networks -------------------------------------------------------------------------------


def some_networks(n):
    return [
        pairwise_ftv(nc.task_variance(three_tasks(np.random.default_rng(seed), n_units=30)))
        for seed in range(n)
    ]


def test_the_median_is_that_of_shares():
    results = some_networks(7)
    median = median_histogram(results)
    for pair, place in itertools.product(range(3), range(20)):
        shares = [
            int(r["histogram"][pair, place]) / int(r["histogram"][pair].sum()) for r in results
        ]
        assert median["share"][pair, place] == pytest.approx(np.median(shares))
        assert median["share_low"][pair, place] == min(shares)
        assert median["share_high"][pair, place] == max(shares)
    assert (median["coverage"] > 0.95).all()
    reordered = median_histogram(results[::-1])
    xr.testing.assert_equal(reordered, median)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9, 10, 14, 40])
def test_order_statistics_cover_the_median_as_stated(n):
    rank, coverage = _median_interval(n)
    # the median lies outside where at most `rank` values are on one side of it
    assert coverage == pytest.approx(1 - 2 * binom.cdf(rank, n, 0.5), abs=1e-12)
    assert coverage >= 0.95 or rank == 0
    assert 1 - 2 * binom.cdf(rank + 1, n, 0.5) < 0.95


def test_networks_without_active_units_are_left_out_and_named():
    results = some_networks(3)
    quiet = pairwise_ftv(
        nc.task_variance(three_tasks(np.random.default_rng(9), n_units=30)), threshold=1e9
    ).assign_attrs(name="quiet")
    with pytest.warns(nc.UnitWarning, match="'quiet' has no active unit in a/b, a/c, b/c"):
        median = median_histogram([*results, quiet])
    np.testing.assert_array_equal(median["share"], median_histogram(results)["share"])
    assert (median["n_networks"] == 3).all()
    with pytest.warns(nc.UnitWarning, match="quiet"):
        assert median_histogram([quiet])["share"].isnull().all()


def test_networks_need_the_same_pairs():
    with pytest.raises(nc.InputError, match="expected one result or more"):
        median_histogram([])
    one = some_networks(1)[0]
    with pytest.raises(nc.NotApplicableError, match="the same pairs in every network"):
        median_histogram([one, one.isel(pair=[0, 1])])


# rotations -----------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 90), st.integers(0, 10**6))
def test_variances_of_mixtures_equal_plain_products(n_tasks, n_units, n_samples, seed):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((n_tasks, n_units, n_samples))
    samples[0, 0] = 0
    covariances = samples @ samples.transpose(0, 2, 1)
    weights = rng.standard_normal((4, n_units))
    found = mixed_variances(weights, factorise(covariances))
    expected = ((weights @ samples) ** 2).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * samples.size)


def test_constant_rates_have_no_variance_however_mixed(rng):
    assert (mixed_variances(rng.standard_normal((3, 5)), factorise(np.zeros((2, 5, 5)))) == 0).all()


@pytest.mark.parametrize("estimator", ["per_time", "time_mean", "pooled"])
def test_rotated_pairs_equal_rotating_the_activity(block, estimator):
    result = rotated_pairs(block, n_rotations=3, seed=7, estimator=estimator)
    counts, sds = [], []
    for stream in np.random.SeedSequence(7).spawn(3):
        rotation = random_rotation(6, np.random.default_rng(stream))
        rate = (block["rate"].values @ rotation.T).astype("f4")
        turned = nc.task_variance(block.copy(data={"rate": rate}), estimator=estimator)
        pairs = pairwise_ftv(turned)
        counts.append(pairs["histogram"].values / pairs["n_active"].values[:, None])
        sds.append(pairs["fractional_task_variance"].std("unit").values)
    np.testing.assert_allclose(result["ftv_sd"], sds, atol=1e-5)
    np.testing.assert_allclose(result["share"], np.mean(counts, axis=0), atol=1e-12)
    own = pairwise_ftv(nc.task_variance(block, estimator=estimator))["fractional_task_variance"]
    np.testing.assert_allclose(result["observed_sd"], own.std("unit"), atol=1e-5)
    np.testing.assert_allclose(result["observed_mean"], own.mean("unit"), atol=1e-5)


def test_rotation_keeps_the_total_variance_and_another_mix_does_not(rng):
    samples = rng.standard_normal((2, 40, 60)) * rng.gamma(1, 1, (2, 40, 1))
    factors = factorise(samples @ samples.transpose(0, 2, 1))
    total = (samples**2).sum(axis=(1, 2))
    rotated = mixed_variances(random_rotation(40, rng), factors)
    np.testing.assert_allclose(rotated.sum(axis=1), total)
    mixed = mixed_variances(rng.standard_normal((40, 40)) / np.sqrt(40), factors)
    assert (np.abs(mixed.sum(axis=1) / total - 1) > 1e-3).all()


def test_the_result_depends_on_neither_workers_nor_their_number_of_rotations(block):
    one, two = (rotated_pairs(block, n_rotations=12, n_jobs=n) for n in (1, 2))
    xr.testing.assert_identical(one, two)
    fewer = rotated_pairs(block, n_rotations=5)
    xr.testing.assert_equal(fewer["ftv_sd"], one["ftv_sd"].isel(rotation=slice(5)))
    other = rotated_pairs(block, n_rotations=12, seed=1)
    assert not np.allclose(other["ftv_sd"], one["ftv_sd"])


def test_rotation_control_draws_the_same_kind_of_units(block):
    pairs = rotated_pairs(block, n_rotations=300)
    control = nc.selectivity.rotation_control(block, "a", "c", n_rotations=300)[
        "fractional_task_variance"
    ]
    assert pairs["ftv_mean"].sel(pair="a/c").mean() == pytest.approx(
        float(control.mean()), abs=0.03
    )
    back = nc.selectivity.rotation_control(block, "c", "a", n_rotations=300)[
        "fractional_task_variance"
    ]
    np.testing.assert_allclose(back, -control, atol=1e-9)


def test_mixtures_of_units_of_one_task_each_spread_less(rng):
    block = three_tasks(rng, n_units=30, tasks=("a", "b"))
    block["rate"].values[:4, :, ::2] = 1
    block["rate"].values[4:, :, 1::2] = 1
    result = rotated_pairs(block, n_rotations=99)
    assert (result["ftv_sd"] < result["observed_sd"]).all()
    assert "p_value" not in result
    assert result["observed_sd"].item() == pytest.approx(1, abs=0.01)
    assert result["share"].sum("bin").item() == pytest.approx(1)
    assert (result["share_low"] <= result["share"]).all()
    assert (result["share"] <= result["share_high"] + 1e-12).all()


def test_a_pair_without_active_units_is_named(block):
    block["rate"].values[block["task"].values < 2] = 3
    with pytest.warns(nc.UnitWarning) as warned:
        result = rotated_pairs(block, n_rotations=4)
    assert [str(w.message) for w in warned] == [
        "1 pairs have no active unit: a/b",
        "1 pairs have no active unit after some rotations: a/b",
    ]
    assert result["observed_sd"].isnull().values.tolist() == [True, False, False]
    assert result["share"].isnull().all("bin").values.tolist() == [True, False, False]


def test_units_inactive_only_after_rotation_are_left_out(rng):
    block = three_tasks(rng, n_units=40, tasks=("a", "b"))
    block["rate"].values[:, :, 1:] = 1
    threshold = float(nc.task_variance(block)["task_variance"].sum()) * 0.9
    with pytest.warns(nc.UnitWarning, match="after some rotations: a/b"):
        result = rotated_pairs(block, n_rotations=9, threshold=threshold)
    assert result["observed_sd"].notnull().all()
    assert result["ftv_sd"].isnull().all()


def test_bad_rotations_are_refused(block):
    with pytest.raises(
        nc.InputError, match="n_rotations: expected a whole number of 1 or more, got 0"
    ):
        rotated_pairs(block, n_rotations=0)
    with pytest.raises(nc.InputError, match="estimator: expected one of"):
        rotated_pairs(block, estimator="per_tim")
    block["rate"].values[0, :, 2] = np.nan
    with pytest.raises(nc.NotApplicableError, match="units that lack one: u2"):
        rotated_pairs(block)


def test_histograms_of_rotations_are_counts_of_active_units(rng):
    samples = rng.standard_normal((3, 8, 5))
    factors = factorise(samples @ samples.transpose(0, 2, 1))
    (histogram, mean, sd), *rest = rotated_summaries(
        factors, EDGES, n_units=8, n_rotations=2, seed=3, threshold=2.0, n_jobs=1
    )
    assert len(rest) == 1
    rotation = random_rotation(8, np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0]))
    a, _, c = mixed_variances(rotation, factors)
    kept = ((a - c) / (a + c))[a + c > 2.0]
    np.testing.assert_array_equal(histogram[1], np.histogram(kept, bins=20, range=(-1, 1))[0])
    assert (mean[1], sd[1]) == (pytest.approx(kept.mean()), pytest.approx(kept.std()))
    assert pair_summary(np.zeros((2, 4)), EDGES, threshold=0.0)[0].sum() == 0


@pytest.mark.parametrize("make", ["pairs", "median", "rotated"])
def test_results_carry_their_parameters_and_are_saved(block, tmp_path, make):
    pairs = pairwise_ftv(nc.task_variance(block))
    result = {
        "pairs": lambda: pairs,
        "median": lambda: median_histogram([pairs, pairs]),
        "rotated": lambda: rotated_pairs(block, n_rotations=2),
    }[make]()
    assert result.attrs["threshold"] == 1e-3
    np.testing.assert_allclose(result["bin"], EDGES[:-1] + 0.05)
    result.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "r.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, result)


# figures -------------------------------------------------------------------------------------


def test_all_pairs_are_one_axes_with_one_polygon_a_pair(block):
    pairs = pairwise_ftv(nc.task_variance(block))
    shapes, rotated = classify_pairs(pairs), rotated_pairs(block, n_rotations=5)
    _, axes = new_figure()
    ax = plot_pairs(axes[0, 0], pairs, shapes, rotated, {"a": "Task A"})
    (polygons,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    assert len(polygons.get_paths()) == 3
    assert sum(isinstance(c, LineCollection) for c in ax.collections) == 3
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Task A", "b"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "c"]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[:6] == [f"{k} ({3 if k == 'undecided' else 0})" for k in SHAPE_COLOURS]
    # the tallest bin fills its cell, and its foot stands on the base line
    corners = polygons.get_paths()[0].get_extents()
    assert corners.width == pytest.approx(corners.height)
    with pytest.raises(nc.InputError, match="all pairs of 3 tasks"):
        plot_pairs(axes[0, 0], pairs.isel(pair=[0, 1]))


def test_one_pair_is_drawn_with_the_range_of_rotations(block):
    pairs = pairwise_ftv(nc.task_variance(block))
    _, axes = new_figure()
    ax = plot_pair(axes[0, 0], pairs, "a/c", rotated_pairs(block, n_rotations=5), {"c": "Sea"})
    assert "Sea" in ax.get_xlabel()
    assert len(ax.get_legend().get_texts()) == 3
    assert ax.get_xlim() == pytest.approx((-1.02, 1.02))
    with pytest.raises(nc.InputError, match="expected one of a/b, a/c, b/c, got 'c/a'"):
        plot_pair(ax, pairs, "c/a")
    median = plot_pair(new_figure()[1][0, 0], median_histogram([pairs]), "a/b")
    assert len(median.patches) == 1
