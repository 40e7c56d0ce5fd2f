"""Populations: condition means in both layouts, participation ratio, distances; simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.population.kernels.dimensionality import (
    corrected_participation_ratio,
    participation_ratio,
)
from nwbcompare.analysis.population.population import (
    bootstrap_weights,
    dimensionality,
    dimensionality_of,
    dissimilarity,
    dissimilarity_of,
    means_of_rates,
    population_means,
    trial_rates,
    unit_halves,
)
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.testing import example_block


def population(
    rng,
    *,
    tuning=None,
    n_units=12,
    n_trials=8,
    noise=1.0,
    ragged=True,
    deterministic=False,
    name="toy",
):
    """Trials of two tasks with two binary variables: 8 conditions, tuning (condition, unit)."""
    tuning = rng.standard_normal((8, n_units)) if tuning is None else np.asarray(tuning)
    n_units = tuning.shape[1]
    condition = np.repeat(np.arange(8), n_trials)
    rate = (
        10 + tuning[condition][:, None] + noise * rng.standard_normal((condition.size, 3, n_units))
    )
    columns = {
        "task": np.array(["a", "b"])[condition // 4],
        "x": np.array([-1, 1])[condition // 2 % 2],
        "y": np.array([-1, 1])[condition % 2],
    }
    common = {
        "time_s": (np.arange(3) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "stimulus",
        "condition_variables": {"a": ["x", "y"], "b": ["x", "y"]},
        "source": "recording",
        "name": name,
        "deterministic": deterministic,
        "units": {
            "unit": [f"u{i}" for i in range(n_units)],
            "session": [f"s{i // 3}" for i in range(n_units)],
        },
    }
    if not ragged:
        return nc.make_block(rate, trials=columns, **common)
    shuffle = rng.permutation(condition.size * n_units)
    return nc.make_block(
        rate.transpose(2, 0, 1).reshape(-1, 3)[shuffle],
        trials={key: np.tile(values, n_units)[shuffle] for key, values in columns.items()},
        observation_unit=np.repeat(np.arange(n_units), condition.size)[shuffle],
        **common,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("time", ["mean", "time"])
def test_means_and_errors_equal_a_plain_loop(ragged, time):
    block = population(np.random.default_rng(0), ragged=ragged)
    dense = population(np.random.default_rng(0), ragged=False)
    found = population_means(block, time=time)
    for place in range(8):
        rows = np.all(
            [
                nc.labels(dense["task"]) == found["task"].values[place],
                dense["x"].values == found["x"].values[place],
                dense["y"].values == found["y"].values[place],
            ],
            axis=0,
        )
        trials = dense["rate"].values[rows].astype(float)
        trials = trials.mean(axis=1) if time == "mean" else trials.transpose(0, 2, 1)
        own = found.isel(condition=place)
        np.testing.assert_allclose(own["rate_mean"], trials.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(
            own["mean_variance"], trials.var(axis=0, ddof=1) / 8, rtol=1e-4, atol=1e-12
        )
        np.testing.assert_array_equal(own["n_trials"], 8)
    # the halves share no trial and make up the whole
    np.testing.assert_allclose(found["half_mean"].mean("half")[0], found["rate_mean"], rtol=1e-6)
    assert found.attrs["population"] == ("pseudo" if ragged else "simultaneous")
    assert found["condition"].values[1] == "a: x=-1, y=1"


def test_splits_are_seeded_and_differ(rng):
    block = population(rng)
    a, b, c = (population_means(block, n_splits=2, seed=seed)["half_mean"] for seed in (0, 0, 1))
    xr.testing.assert_identical(a, b)
    assert not np.allclose(a, c)
    assert not np.allclose(a[0], a[1])


def test_odd_trials_go_to_the_first_half(rng):
    found = population_means(population(rng, n_trials=3))
    weighted = (2 * found["half_mean"][0, 0] + found["half_mean"][0, 1]) / 3
    np.testing.assert_allclose(weighted, found["rate_mean"], rtol=1e-6)


def test_missing_bins_and_trials_are_left_out(rng):
    block = population(rng, ragged=False, n_trials=4)
    rate = block["rate"].values.copy()
    rate[0, 1:] = np.nan
    rate[1] = np.nan
    found = population_means(block.copy(data={"rate": rate}))
    expected = np.mean([rate[0, 0], rate[2].mean(axis=0), rate[3].mean(axis=0)], axis=0)
    np.testing.assert_allclose(found["rate_mean"][0], expected, rtol=1e-5)
    assert found["n_trials"].values[0, 0] == 3


def test_a_deterministic_source_has_no_noise_and_equal_halves(rng):
    found = population_means(population(rng, n_trials=1, deterministic=True, ragged=False))
    assert (found["mean_variance"] == 0).all()
    np.testing.assert_array_equal(found["half_mean"][0, 1], found["rate_mean"])


def test_units_that_lack_trials_are_named_and_left_out(rng):
    block = population(rng, n_trials=2)
    first = (block["observation_unit"] == 0) & (block["x"] == 1) & (block["y"] == 1)
    lost = np.flatnonzero(first.values)[:1]
    block = block.drop_isel(observation=lost)
    with pytest.warns(nc.UnitWarning, match="1 of 12 units lack 2 trials in some condition.*u0"):
        found = population_means(block)
    assert found.sizes["unit"] == 11
    assert found.attrs["n_left_out"] == 1
    with pytest.raises(
        nc.NotApplicableError, match="units with 2 trials in every condition, got none"
    ):
        population_means(population(rng, n_trials=1))


def test_several_blocks_are_one_population(rng):
    block = population(rng, ragged=False)
    task = nc.labels(block["task"])
    tree = nc.make_activity({name: block.isel(trial=task == name) for name in "ab"})
    joined, whole = population_means(tree), population_means(block)
    np.testing.assert_allclose(joined["rate_mean"], whole["rate_mean"])
    assert joined["condition"].values.tolist() == whole["condition"].values.tolist()
    back = population_means(tree, ["b", "a"])
    np.testing.assert_allclose(back["rate_mean"][:4], whole["rate_mean"][4:])
    shifted = tree["b"].to_dataset().isel(time=slice(1, None))
    apart = nc.make_activity({"a": tree["a"].to_dataset(), "b": shifted})
    with pytest.raises(nc.NotApplicableError, match="the same counted bins in all tasks"):
        population_means(apart, time="time")


def test_tasks_with_other_variables_get_blank_ones(rng):
    block = population(rng, ragged=False)
    task = nc.labels(block["task"])
    other = block.isel(trial=task == "b").assign_attrs(condition_variables='{"b": ["y"]}')
    tree = nc.make_activity({"a": block.isel(trial=task == "a"), "b": other})
    found = population_means(tree)
    assert found["condition"].values[-1] == "b: y=1"
    assert np.isnan(found["x"].values[-1])
    assert found["condition"].values[0] == "a: x=-1, y=-1"


def test_wrong_arguments_are_named(rng):
    block = population(rng)
    with pytest.raises(nc.InputError, match="tasks: expected one of a, b, got 'c'"):
        population_means(block, ["c"])
    with pytest.raises(nc.InputError, match="tasks: expected at least one task"):
        population_means(block, [])
    with pytest.raises(nc.InputError, match="time: expected one of mean, time"):
        population_means(block, time="bins")
    with pytest.raises(nc.InputError, match="metric: expected one of crossvalidated"):
        dissimilarity(block, metric="cosine")
    with pytest.raises(nc.NotApplicableError, match="conditions: expected 3 or more, got 2"):
        dimensionality(block, ["a"], conditions=["x"])


def test_participation_ratio_of_known_spectra(rng):
    assert participation_ratio(np.diag([3.0, 1.0, 0.0])) == pytest.approx(16 / 10)
    x = rng.standard_normal((20, 7))
    by_units = participation_ratio(np.cov(x.T))
    assert participation_ratio((x - x.mean(0)) @ (x - x.mean(0)).T) == pytest.approx(by_units)
    values = np.linalg.eigvalsh(np.cov(x.T))
    assert by_units == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert np.isnan(participation_ratio(np.zeros((3, 3))))


def test_participation_ratio_of_gaussian_data_is_known(rng):
    # for n units and c conditions of unit variance: n c / (n + c), up to small terms
    x = rng.standard_normal((400, 200))
    assert participation_ratio(np.cov(x.T)) == pytest.approx(200 * 400 / 600, rel=0.02)


def test_without_noise_the_correction_changes_nothing(rng):
    x = rng.standard_normal((8, 12))
    raw = participation_ratio(np.cov(x.T))
    assert corrected_participation_ratio(x, np.zeros_like(x)) == pytest.approx(raw)


def test_the_correction_equals_a_plain_loop_over_pairs(rng):
    x, v = rng.standard_normal((6, 5)), rng.random((6, 5)) / 10
    w = np.array([2.0, 0, 1, 1, 3])
    h = np.eye(6) - 1 / 6
    c = h @ x
    noise = [h @ np.diag(v[:, i]) @ h for i in range(5)]
    signal = [c[:, i] @ c[:, i] - np.trace(noise[i]) for i in range(5)]
    top = bottom = 0.0
    for i in range(5):
        s, t = c[:, i] @ c[:, i], np.trace(noise[i])
        mixed = c[:, i] @ noise[i] @ c[:, i]
        own = s**2 - 2 * s * t + t**2 - 4 * mixed + 2 * np.trace(noise[i] @ noise[i])
        top, bottom = top + w[i] * own, bottom + w[i] * own
        for j in range(5):
            if i != j:
                top += w[i] * w[j] * signal[i] * signal[j]
                pair = (c[:, i] @ c[:, j]) ** 2 + np.trace(noise[i] @ noise[j])
                pair -= c[:, i] @ noise[j] @ c[:, i] + c[:, j] @ noise[i] @ c[:, j]
                bottom += w[i] * w[j] * pair
    assert corrected_participation_ratio(x, v, w) == pytest.approx(top / bottom)


def test_the_correction_takes_the_bias_of_noise_out(rng):
    tuning = rng.standard_normal((16, 2)) @ rng.standard_normal((2, 60))
    true = participation_ratio(np.cov(tuning.T))
    raw, corrected = [], []
    for _ in range(60):
        trials = tuning + 4 * rng.standard_normal((6, 16, 60))
        mean, error = trials.mean(0), trials.var(0, ddof=1) / 6
        raw.append(participation_ratio(np.cov(mean.T)))
        corrected.append(corrected_participation_ratio(mean, error))
    assert np.mean(raw) > 2 * true
    assert np.mean(corrected) == pytest.approx(true, rel=0.05)


def test_noise_alone_has_no_dimension(rng):
    found = [
        corrected_participation_ratio(rng.standard_normal((8, 40)), np.ones((8, 40)))
        for _ in range(20)
    ]
    assert np.isnan(found).any()
    block = population(rng, tuning=np.zeros((8, 12)), deterministic=True, ragged=False)
    block = block.copy(data={"rate": np.ones(block["rate"].shape, "f4")})
    with pytest.warns(nc.UnitWarning, match="no variance across conditions is left"):
        found = dimensionality(block, n_permutations=3, n_bootstrap=3, n_splits=2)
    assert np.isnan(found["participation_ratio"])
    assert np.isnan(found["p_value"])


def test_dimensionality_finds_shared_dimensions_and_not_independent_ones(rng):
    shared = rng.standard_normal((8, 1)) * rng.standard_normal(40) * 3
    low = dimensionality(population(rng, tuning=shared), n_permutations=99, n_bootstrap=100)
    alone = population(rng, tuning=rng.standard_normal((8, 40)) * 3)
    high = dimensionality(alone, n_permutations=99, n_bootstrap=100)
    assert low["participation_ratio"] == pytest.approx(1, abs=0.1)
    assert low["p_value"] == 0.01
    assert high["p_value"] > 0.05
    assert high["participation_ratio"] > 4
    assert high["participation_ratio_low"] < high["participation_ratio"]
    assert high["participation_ratio"] < high["participation_ratio_high"]
    assert high["most"] == 7
    assert low["variance_share"].sum() == pytest.approx(1)


def test_dimensionality_errs_as_often_as_it_says(rng):
    found = [
        dimensionality(
            population(rng, tuning=rng.standard_normal((8, 12)), n_trials=4, ragged=False),
            n_permutations=39,
            n_bootstrap=0,
            n_splits=1,
        )["p_value"].item()
        for _ in range(60)
    ]
    # 60 draws at 10 %: 1 to 13 within a binomial 99 % interval
    assert 1 <= (np.array(found) <= 0.1).sum() <= 13


@pytest.mark.parametrize("metric", ["crossvalidated", "euclidean", "correlation"])
def test_dissimilarity_equals_a_plain_loop(rng, metric):
    block = population(rng)
    found = dissimilarity(block, metric=metric, n_splits=3)
    means = population_means(block, n_splits=3)
    x, halves = means["rate_mean"].values, means["half_mean"].values
    for i in range(8):
        for j in range(8):
            if metric == "correlation":
                expected = 1 - np.corrcoef(x[i], x[j])[0, 1]
            elif metric == "euclidean":
                expected = np.mean((x[i] - x[j]) ** 2)
            else:
                expected = np.mean([np.mean((a[i] - a[j]) * (b[i] - b[j])) for a, b in halves])
            assert found["dissimilarity"].values[i, j] == pytest.approx(expected, abs=1e-9)
    assert found["dissimilarity"].attrs["units"] == (
        "1" if metric == "correlation" else "(spikes/s)^2"
    )


def test_noise_is_a_distance_unless_it_is_crossvalidated(rng):
    block = population(rng, tuning=np.zeros((8, 60)), noise=3)
    upper = np.triu_indices(8, 1)
    noisy, clean = (
        dissimilarity(block, metric=metric)["dissimilarity"].values[upper]
        for metric in ("euclidean", "crossvalidated")
    )
    # two means of 8 trials of 3 bins: 2 * 9 / 24
    assert noisy.mean() == pytest.approx(0.75, rel=0.1)
    assert abs(clean.mean()) < 0.1
    assert clean.min() < 0


def test_reliability_is_high_with_signal_and_not_without(rng):
    strong = rng.standard_normal((8, 3)) @ rng.standard_normal((3, 60)) * 3
    assert dissimilarity(population(rng, tuning=strong))["reliability"].mean() > 0.8
    empty = dissimilarity(population(rng, tuning=np.zeros((8, 60))))
    assert abs(empty["reliability"].mean()) < 0.4


def test_halves_keep_clusters_together_and_are_about_equal(rng):
    units = {
        "unit": xr.DataArray(np.arange(30).astype(str), dims="unit"),
        "session": xr.DataArray(np.repeat(np.arange(10), 3), dims="unit"),
    }
    clusters, _ = resampling_units(units)
    for half in unit_halves(clusters, 20, rng):
        assert 12 <= half.sum() <= 18
        assert all(half[clusters == which].sum() in {0, 3} for which in range(10))
    assert unit_halves(np.zeros(1, dtype=int), 2, rng).all()


def test_bootstrap_draws_sessions_and_units_or_whole_network_units(rng):
    units = {
        "unit": xr.DataArray(np.arange(30).astype(str), dims="unit"),
        "session": xr.DataArray(np.repeat(np.arange(10), 3), dims="unit"),
    }
    weights = bootstrap_weights(units, 400, rng)
    by_session = weights.reshape(400, 10, 3).sum(axis=2)
    assert (by_session % 3 == 0).all()
    assert (by_session.sum(axis=1) == 30).all()
    assert weights.mean() == pytest.approx(1)
    assert (np.ptp(weights.reshape(400, 10, 3), axis=2) > 0).any()
    network = {**units, "network_unit": units["session"]}
    together = bootstrap_weights(network, 50, rng).reshape(50, 10, 3)
    assert (np.ptp(together, axis=2) == 0).all()


def test_results_survive_netcdf(rng, tmp_path):
    block = population(rng)
    for place, found in enumerate(
        [
            population_means(block),
            dimensionality(block, n_permutations=5, n_bootstrap=5, n_splits=2),
            dissimilarity(block, n_splits=2),
        ]
    ):
        assert found.attrs["name"] == "toy"
        path = tmp_path / f"{place}.nc"
        found.to_netcdf(path, engine="h5netcdf")
        with xr.open_dataset(path, engine="h5netcdf") as back:
            xr.testing.assert_equal(back, found)
            assert back.attrs["analysis"] == found.attrs["analysis"]


def test_analyses_of_trials_read_once_are_those_of_the_activity(rng):
    block = population(rng)
    rates = trial_rates(block, ["b", "a"])
    means = means_of_rates(rates, n_splits=3, seed=2)
    options = {"n_splits": 3, "seed": 2}
    xr.testing.assert_identical(means, population_means(block, ["b", "a"], **options))
    xr.testing.assert_identical(
        dissimilarity_of(means, n_splits=3), dissimilarity(block, ["b", "a"], **options)
    )
    few = {"n_permutations": 5, "n_bootstrap": 5, "n_splits": 3}
    xr.testing.assert_identical(
        dimensionality_of(means, **few), dimensionality(block, ["b", "a"], seed=2, **few)
    )
    assert not means.identical(population_means(block, ["a", "b"], **options))


def test_trial_rates_leave_fixation_out():
    block = example_block()
    rates = trial_rates(block)
    expected = block["rate"].values[:, 1:].astype(float).mean(axis=1).T.ravel()
    np.testing.assert_allclose(rates.rate, expected, rtol=1e-6)
