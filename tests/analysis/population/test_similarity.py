"""Measures of similarity: theorems with negative controls, agreement with rsatoolbox, inference."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.population.kernels.similarity import (
    MEASURES,
    _factor_of_gram,
    compare_distances,
    correlation_distances,
    crossvalidated_distances,
    gram,
    squared_distances,
)
from nwbcompare.analysis.population.population import dissimilarity
from nwbcompare.analysis.population.similarity import compare_populations
from nwbcompare.kernels.intervals import jackknife_error, student_half_width
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.similarity import plot_dissimilarity, plot_similarity

SEEDS = st.integers(0, 10_000)


def similarity(name, a, b):
    """Compare noise-free condition means of two populations."""
    measure = MEASURES[name]
    return measure.compare(
        *(measure.describe(m, np.zeros_like(m), np.ones(m.shape[1])) for m in (a, b))
    )


SIMILARITY = {name: partial(similarity, name) for name in MEASURES}
angle = SIMILARITY["procrustes"]


def two(seed, n_conditions=8, n_units=(12, 9)):
    rng = np.random.default_rng(seed)
    return rng, *(rng.standard_normal((n_conditions, n)) for n in n_units)


@given(SEEDS)
@pytest.mark.parametrize("name", list(SIMILARITY))
def test_similarity_is_blind_to_rotation_scale_translation_and_order_of_units(name, seed):
    rng, a, b = two(seed)
    compare = SIMILARITY[name]
    value = compare(a, b)
    changes = (
        b @ random_rotation(9, rng),
        b * 7.0,
        b + rng.standard_normal(9) * 5,
        b[:, rng.permutation(9)],
        np.column_stack([b, np.zeros((8, 4))]),
    )
    for changed in changes:
        assert compare(a, changed) == pytest.approx(value, abs=1e-7)
    assert compare(b, a) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", list(SIMILARITY))
def test_similarity_is_not_blind_to_stretching_or_order_of_conditions(name):
    rng, a, b = two(0)
    value = SIMILARITY[name](a, b)
    for changed in (b * np.array([9.0] + [1.0] * 8), b[rng.permutation(8)]):
        assert abs(SIMILARITY[name](a, changed) - value) > 1e-3


@given(SEEDS)
def test_a_population_is_like_itself_rotated(seed):
    rng, a, _ = two(seed)
    turned = a @ random_rotation(12, rng) * 3
    for name in ("rsa", "cka"):
        assert SIMILARITY[name](a, turned) == pytest.approx(1)
    assert angle(a, turned) == pytest.approx(0, abs=1e-6)


@given(SEEDS)
def test_procrustes_keeps_the_triangle_inequality(seed):
    rng = np.random.default_rng(seed)
    x, y, z = (rng.standard_normal((6, n)) * rng.random() * 3 for n in (4, 7, 2))
    xy, yz, xz = (angle(*p) for p in ((x, y), (y, z), (x, z)))
    assert xz <= xy + yz + 1e-7
    assert max(xy, yz, xz) <= np.pi / 2 + 1e-9


def test_procrustes_equals_the_best_rotation_found_by_search():
    _, a, b = two(4, n_units=(2, 2))
    x, y = ((m - m.mean(0)) / np.linalg.norm(m - m.mean(0)) for m in (a, b))
    best = max(
        (x * (y @ np.array([[np.cos(t), -s * np.sin(t)], [np.sin(t), s * np.cos(t)]]))).sum()
        for t in np.linspace(0, 2 * np.pi, 20_000)
        for s in (1, -1)
    )
    assert angle(a, b) == pytest.approx(np.arccos(best), abs=1e-5)


def test_debiased_cka_of_unrelated_populations_is_near_0():
    rng = np.random.default_rng(0)
    values = [SIMILARITY["cka"](*rng.standard_normal((2, 20, 500))) for _ in range(30)]
    assert abs(np.mean(values)) < 0.03


def test_cka_equals_the_estimator_as_written():
    _, a, b = two(2)
    k, m = a @ a.T, b @ b.T

    def unbiased(p, q):
        p, q, one, n = p - np.diag(np.diag(p)), q - np.diag(np.diag(q)), np.ones(8), 8
        total = np.trace(p @ q) + (one @ p @ one) * (one @ q @ one) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * one @ p @ q @ one) / (n * (n - 3))

    assert SIMILARITY["cka"](a, b) == pytest.approx(
        unbiased(k, m) / np.sqrt(unbiased(k, k) * unbiased(m, m))
    )


def test_populations_that_do_not_vary_give_nan():
    _, a, _ = two(0)
    flat = np.ones((8, 3))
    assert all(np.isnan(compare(a, flat)) for compare in SIMILARITY.values())
    assert np.isnan(correlation_distances(flat)[0, 1])


def test_gram_with_noise_taken_out_is_unbiased_and_with_weights_a_repeated_unit():
    rng, a, _ = two(5, n_units=(60, 1))
    error = rng.random(a.shape)
    noisy = [
        gram(a + np.sqrt(error) * rng.standard_normal(a.shape), noise=error) for _ in range(400)
    ]
    np.testing.assert_allclose(np.mean(noisy, axis=0), gram(a), atol=0.06)
    weights = rng.integers(3, size=60).astype(float)
    np.testing.assert_allclose(gram(a, weights), gram(np.repeat(a, weights.astype(int), axis=1)))


def test_descriptions_are_those_of_the_gram_matrix():
    _, a, _ = two(6)
    distances = MEASURES["rsa"].describe(a, np.zeros_like(a), np.ones(12))
    np.testing.assert_allclose(distances, squared_distances(a))
    np.testing.assert_allclose(_factor_of_gram(gram(a)) @ _factor_of_gram(gram(a)).T, gram(a))


@pytest.fixture(scope="module")
def rsatoolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("rsatoolbox")
        from rsatoolbox import data, rdm
    return data, rdm


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["euclidean", "correlation"])
def test_distances_agree_with_rsatoolbox(rsatoolbox, method):
    data, rdm = rsatoolbox
    _, a, _ = two(7)
    theirs = rdm.calc_rdm(data.Dataset(a), method=method).get_matrices()[0]
    ours = {"euclidean": squared_distances, "correlation": correlation_distances}[method](a)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_crossvalidated_distances_agree_with_the_crossnobis_of_rsatoolbox(rsatoolbox):
    data, rdm = rsatoolbox
    _, a, b = two(8, n_units=(12, 12))
    labelled = data.Dataset(
        np.concatenate([a, b]),
        obs_descriptors={"condition": np.tile(np.arange(8), 2), "half": np.repeat([0, 1], 8)},
    )
    theirs = rdm.calc_rdm(
        labelled, method="crossnobis", descriptor="condition", cv_descriptor="half"
    )
    np.testing.assert_allclose(crossvalidated_distances(a, b), theirs.get_matrices()[0], atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_comparisons_agree_with_rsatoolbox(rsatoolbox):
    data, rdm = rsatoolbox
    _, a, b = two(9)
    theirs = rdm.compare(*(rdm.calc_rdm(data.Dataset(m)) for m in (a, b)), method="corr")
    ours = compare_distances(squared_distances(a), squared_distances(b))
    assert ours == pytest.approx(theirs.item())


def population(seed, *, tuning, n_trials=6, noise=1.0, name="toy", levels=(-1, 1)):
    """A dense block of two tasks; tuning (condition, unit); no noise: a deterministic network."""
    rng = np.random.default_rng(seed)
    n_trials = n_trials if noise else 1
    condition = np.repeat(np.arange(len(tuning)), n_trials)
    n_levels, half = len(levels), len(tuning) // 2
    rate = tuning[condition][:, None] + noise * rng.standard_normal(
        (condition.size, 2, tuning.shape[1])
    )
    return nc.make_block(
        rate,
        time_s=[0.05, 0.15],
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={
            "task": np.array(["a", "b"])[condition // half],
            "x": np.array(levels)[condition % half // n_levels],
            "y": np.array(levels)[condition % n_levels],
        },
        units={
            "unit": [f"u{i}" for i in range(tuning.shape[1])],
            "session": [f"s{i // 2}" for i in range(tuning.shape[1])],
        },
        condition_variables={"a": ["x", "y"], "b": ["x", "y"]},
        source="recording" if noise else "model",
        name=name,
        deterministic=not noise,
    )


QUICK = {"n_splits": 5}


def test_a_noisy_copy_is_found_alike_and_near_the_ceiling():
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((8, 4)) * 2
    model = population(0, tuning=latent @ rng.standard_normal((4, 40)), noise=0, name="net")
    brain = population(1, tuning=latent @ rng.standard_normal((4, 60)), name="monkey")
    found = compare_populations(model, brain, **QUICK)
    assert "p_value" not in found
    assert found.sel(measure="rsa")["value"] > 0.7
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert found["distance"].values.tolist() == [False, False, True]
    for name in ("rsa", "cka"):
        row = found.sel(measure=name)
        assert row["ceiling_trials"].mean() > 0.5
    assert found.attrs["model"] == "net"
    assert found.attrs["recording"] == "monkey"
    assert found["n_sessions"] == 30
    same = compare_populations(model, brain, **QUICK)
    xr.testing.assert_identical(found, same)


def test_rsa_takes_the_noise_of_unequal_trials_out():
    rng = np.random.default_rng(2)
    tuning = rng.standard_normal((8, 3)) @ rng.standard_normal((3, 200))
    model = population(0, tuning=tuning, noise=0)
    values = [
        compare_populations(model, population(s, tuning=tuning, noise=3), **QUICK).sel(
            measure="rsa"
        )
        for s in range(5)
    ]
    assert np.mean([value["value"] for value in values]) > 0.85


@pytest.mark.parametrize("name", ["rsa", "cka"])
def test_the_interval_holds_the_value_of_an_endless_population(name):
    rng = np.random.default_rng(0)
    latent, none = rng.standard_normal((8, 3)), np.zeros((8, 20_000))
    measure = MEASURES[name]
    model = (latent + 0.5 * rng.standard_normal((8, 3))) @ rng.standard_normal((3, 100))
    wanted = measure.describe(model, none[:, :100], np.ones(100))
    endless = latent @ rng.standard_normal((3, 20_000))
    true = measure.compare(wanted, measure.describe(endless, none, np.ones(20_000)))
    inside = []
    for _ in range(100):
        x = latent @ rng.standard_normal((3, 60)) + rng.standard_normal((8, 60))
        noise = np.ones_like(x)
        value, *without = (
            measure.compare(wanted, measure.describe(x, noise, weights))
            for weights in np.vstack([np.ones(60), 1 - np.repeat(np.eye(20), 3, axis=1)])
        )
        half_width = student_half_width(jackknife_error(without), 19)
        inside.append(abs(value - true) <= half_width)
    # 95 % of 100: 88 to 99 within a binomial 99 % interval
    assert np.sum(inside) >= 87


def test_fewer_than_five_sessions_have_no_interval():
    rng = np.random.default_rng(3)
    block = population(0, tuning=rng.standard_normal((8, 10)))
    few = block.isel(unit=slice(0, 8))
    found = compare_populations(block, few, **QUICK)
    assert found["n_sessions"] == 4
    assert np.isfinite(found["value"]).all()
    assert np.isnan(found["low"]).all()
    assert np.isfinite(compare_populations(few, block, **QUICK)["low"]).all()


def test_the_similarity_of_a_constant_pattern_is_nan_and_named():
    tuning = np.random.default_rng(5).standard_normal((8, 10))
    block, flat = population(0, tuning=tuning, noise=0), population(0, tuning=0 * tuning, noise=0)
    flat = flat.assign_attrs(name="flat")
    with pytest.warns(nc.UnitWarning, match="flat: no unit's mean rate differs between the 8"):
        found = compare_populations(flat, block, **QUICK)
    assert np.isnan(found["value"]).all()
    silent = population(0, tuning=np.vstack([0 * tuning[:1], tuning[1:]]), noise=0)
    with pytest.warns(nc.UnitWarning, match="same rate in 1 conditions.*a: x=-1, y=-1"):
        found = dissimilarity(silent, metric="correlation", n_splits=2)
    assert np.isnan(found["dissimilarity"][0, 1])


def test_conditions_are_matched_by_what_they_are():
    rng = np.random.default_rng(5)
    tuning = rng.standard_normal((8, 10))
    block = population(0, tuning=tuning, noise=0)
    backwards = block.isel(trial=slice(None, None, -1))
    found = compare_populations(block, backwards, **QUICK)
    np.testing.assert_allclose(found["value"], [1, 1, 0], atol=1e-6)
    one = compare_populations(block, backwards, tasks=["a"], measures=["cka"], **QUICK)
    assert one["n_conditions"] == 4
    assert one["measure"].values.tolist() == ["cka"]


def test_what_is_not_shared_is_refused():
    tuning = np.random.default_rng(5).standard_normal((8, 10))
    block = population(0, tuning=tuning)
    with pytest.raises(nc.InputError, match="measures: expected one of rsa, cka, procrustes"):
        compare_populations(block, block, measures=["rsm"])
    with pytest.raises(nc.InputError, match="tasks: expected one of a, b, got 'c'"):
        compare_populations(block, block, tasks=["c"])
    with pytest.raises(nc.NotApplicableError, match="at least one task that both have"):
        compare_populations(nc.testing.example_block(), block)
    with pytest.raises(nc.NotApplicableError, match="4 or more that both sides have, got 0"):
        compare_populations(block.assign_coords(x=block["x"] * 2), block)


def test_results_survive_netcdf(tmp_path):
    block = population(0, tuning=np.random.default_rng(5).standard_normal((8, 10)))
    found = compare_populations(block, block, **QUICK)
    found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back, found)


def test_the_figures_show_what_the_results_hold():
    rng = np.random.default_rng(5)
    block = population(0, tuning=rng.standard_normal((8, 10)))
    _, axes = new_figure(1, 3)
    ax = plot_similarity(axes[0, 0], compare_populations(block, block, **QUICK))
    assert len(ax.containers) == 3
    assert [text.get_text().split("\n")[0] for text in ax.get_yticklabels()][1] == "CKA, debiased"
    assert "8 conditions" in ax.get_title(loc="left") + ax.get_title()
    ax = plot_dissimilarity(axes[0, 1], dissimilarity(block, n_splits=2), names={"a": "motion"})
    assert ax.get_images()[0].get_array().shape == (8, 8)
    assert [t.get_text() for t in ax.get_yticklabels()][:2] == ["motion -1, -1", "motion -1, +1"]
    many = population(0, tuning=rng.standard_normal((18, 10)), levels=(-1, 0, 1))
    ax = plot_dissimilarity(axes[0, 2], dissimilarity(many, n_splits=2, metric="correlation"))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
