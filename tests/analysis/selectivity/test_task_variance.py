"""Task variance and FTV: theorems, brute-force twins, invariances with negative controls."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from scipy.ndimage import gaussian_filter1d

import nwbcompare as nc
from nwbcompare.kernels.binning import bin_membership, smoothing_matrix, sum_in_bins
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.kernels.variance import ESTIMATORS, centred, group_moments
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks


def two_tasks(rng, *, ragged=False, n_trials=40, n_units=6, signal=(1.0, 1.0), noise=1.0):
    """Noisy trials of two tasks with four conditions; the signal's size by task."""
    condition = rng.integers(4, size=n_trials * 2)
    task = np.repeat([0, 1], n_trials)
    tuning = rng.standard_normal((2, 4, 5, n_units)) * np.array(signal)[:, None, None, None]
    rate = 10 + tuning[task, condition] + noise * rng.standard_normal((n_trials * 2, 5, n_units))
    columns = {"task": np.array(["a", "b"])[task], "c": condition.astype(float)}
    common = {
        "time_s": (np.arange(5) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "stimulus",
        "condition_variables": {"a": ["c"], "b": ["c"]},
        "source": "recording",
        "name": "toy",
        "units": {"unit": [f"u{i}" for i in range(n_units)], "area": ["x", "y"] * (n_units // 2)},
    }
    if not ragged:
        return nc.make_block(rate, trials=columns, **common)
    unit = np.repeat(np.arange(n_units), n_trials * 2)
    shuffle = rng.permutation(unit.size)
    rows = np.concatenate([rate[:, :, i] for i in range(n_units)])[shuffle]
    tiled = {name: np.tile(values, n_units)[shuffle] for name, values in columns.items()}
    return nc.make_block(rows, trials=tiled, observation_unit=unit[shuffle], **common)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def brute_force(rates, condition, estimator):
    means = np.stack([np.nanmean(rates[condition == c], axis=0) for c in np.unique(condition)])
    if estimator == "per_time":
        return means.var(axis=0).mean(axis=0)
    if estimator == "time_mean":
        return means.mean(axis=1).var(axis=0)
    return means.reshape(-1, means.shape[-1]).var(axis=0)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@pytest.mark.parametrize("ragged", [False, True])
def test_estimators_equal_brute_force_in_both_layouts(estimator, ragged):
    block = two_tasks(np.random.default_rng(0), ragged=ragged)
    dense = two_tasks(np.random.default_rng(0))
    result = nc.task_variance(block, estimator=estimator)["task_variance"]
    for which, task in enumerate("ab"):
        rows = dense["task"].values == which
        expected = brute_force(
            dense["rate"].values[rows].astype(float), dense["c"].values[rows], estimator
        )
        np.testing.assert_allclose(result.sel(task=task), expected, rtol=1e-12)


@given(ragged_blocks())
def test_group_moments_equal_a_plain_loop(block):
    values, groups = block["rate"].values, block["observation_unit"].values
    count, mean, squares = group_moments(values, groups, 3)
    for group in range(3):
        rows = values[groups == group].astype(float)
        seen = np.isfinite(rows)
        np.testing.assert_array_equal(count[group], seen.sum(axis=0))
        for time in range(values.shape[1]):
            kept = rows[seen[:, time], time]
            assert mean[group, time] == pytest.approx(
                kept.mean() if kept.size else np.nan, nan_ok=True
            )
            spread = ((kept - kept.mean()) ** 2).sum() if kept.size else 0
            assert squares[group, time] == pytest.approx(spread, rel=1e-9, abs=1e-9)


def test_sums_are_accumulated_in_float64():
    values = np.full((100_000, 1), 16777.217, dtype=np.float32)
    _, mean, squares = group_moments(values, np.zeros(100_000, dtype=int), 1)
    assert mean.item() == pytest.approx(float(values[0, 0]), rel=1e-12)
    assert squares.item() < 1e-6


def test_scaling_and_shifting_rates(rng):
    block = two_tasks(rng)
    tv = nc.task_variance(block)["task_variance"]
    scaled = block.assign(rate=(block["rate"] * 4 + 3).assign_attrs(block["rate"].attrs))
    xr.testing.assert_allclose(nc.task_variance(scaled)["task_variance"], 16 * tv, rtol=1e-5)


def test_permuting_units_permutes_the_result_and_mixing_does_not(rng):
    block = two_tasks(rng)
    order = rng.permutation(block.sizes["unit"])
    tv = nc.task_variance(block)["task_variance"]
    xr.testing.assert_identical(
        nc.task_variance(block.isel(unit=order))["task_variance"], tv.isel(unit=order)
    )
    mixed = block.copy(data={"rate": block["rate"].values @ random_rotation(6, rng)})
    assert not np.allclose(nc.task_variance(mixed)["task_variance"], tv, rtol=0.05)


def test_rotating_units_keeps_the_total_variance(rng):
    block = two_tasks(rng)
    mixed = block.copy(data={"rate": (block["rate"].values @ random_rotation(6, rng)).astype("f4")})
    total, rotated = (nc.task_variance(b)["task_variance"].sum("unit") for b in (block, mixed))
    xr.testing.assert_allclose(total, rotated, rtol=1e-4)


def test_conditions_can_be_named(rng):
    block = two_tasks(rng)
    with pytest.warns(nc.UnitWarning, match="one condition only in a, b.*NaN for every unit"):
        one = nc.task_variance(block, conditions=[])
    assert one["task_variance"].isnull().all()
    with pytest.raises(nc.NotApplicableError, match="two or more conditions in both 'a' and 'b'"):
        nc.fractional_task_variance(one, "a", "b")
    with pytest.warns(nc.UnitWarning, match="one condition only in a, b"):
        nc.selectivity.corrected_task_variance(block, conditions=[])
    with pytest.raises(nc.InputError, match="conditions: expected one of"):
        nc.task_variance(block, conditions=["colour"])


def test_a_source_that_names_no_conditions_is_refused_with_the_columns_that_could_be_some(rng):
    block = two_tasks(rng)
    bare = block.assign_attrs(condition_variables='{"a": [], "b": []}')
    words = (
        r"conditions: expected trial columns .* got none; columns with few values: .*c \(\d values\)"
        r".*conditions=\['.*'\].*SOURCE\?conditions="
    )
    for compute in (
        nc.task_variance,
        nc.selectivity.corrected_task_variance,
        nc.selectivity.epoch_variance,
        nc.selectivity.variance_in_time,
        nc.selectivity.condition_means,
        nc.selectivity.condition_label_null,
    ):
        with pytest.raises(nc.InputError, match=words):
            compute(bare)
    xr.testing.assert_equal(
        nc.task_variance(bare, conditions=["c"])["task_variance"],
        nc.task_variance(block, conditions=["c"])["task_variance"],
    )
    # one task with conditions is enough: the other has one, as it says
    named = block.assign_attrs(condition_variables='{"a": ["c"], "b": []}')
    with pytest.warns(nc.UnitWarning) as warned:
        tv = nc.task_variance(named)["task_variance"]
    assert any("one condition only in b," in str(one.message) for one in warned)
    assert tv.sel(task="a").notnull().all()
    assert tv.sel(task="b").isnull().all()
    # trials that differ in no column are of one condition
    alike = bare.drop_vars([name for name in bare.coords if bare[name].dims == ("trial",)])
    alike = alike.assign_coords(task=bare["task"].variable)
    with pytest.warns(nc.UnitWarning, match="one condition only in a, b.*NaN for every unit"):
        assert nc.task_variance(alike)["task_variance"].isnull().all()


def test_condition_means_carry_counts_and_standard_errors(rng):
    block = two_tasks(rng)
    means = nc.selectivity.condition_means(block)
    rows = (block["task"].values == 1) & (block["c"].values == 2)
    rates = block["rate"].values[rows].astype(float)
    here = means.isel(condition=(means["task"] == "b") & (means["c"] == 2)).squeeze("condition")
    np.testing.assert_allclose(here["rate_mean"], rates.mean(axis=0).T)
    np.testing.assert_array_equal(here["n_trials"], rows.sum())
    np.testing.assert_allclose(here["mean_variance"], (rates.var(axis=0, ddof=1) / rows.sum()).T)


@given(dense_blocks(deterministic=True, missing=False))
def test_a_deterministic_source_has_no_standard_error(block):
    assert (nc.selectivity.condition_means(block)["mean_variance"] == 0).all()


def test_one_noisy_trial_has_no_known_standard_error():
    means = nc.selectivity.condition_means(example_block().isel(trial=slice(4)))
    assert np.isnan(means["mean_variance"]).all()


def test_missing_condition_values_are_refused():
    block = example_block()
    block["direction"][2] = np.nan
    with pytest.raises(nc.NotApplicableError, match=r"none \(NaN\) in 1 of 8"):
        nc.selectivity.condition_means(block)


def test_a_unit_that_lacks_a_condition_gets_nan_and_is_named(rng):
    block = two_tasks(rng)
    block["rate"].values[(block["task"].values == 0) & (block["c"].values == 1), :, 2] = np.nan
    with pytest.warns(nc.UnitWarning, match=r"1 units lack a condition of task 'a'.*u2"):
        tv = nc.task_variance(block)
    assert np.isnan(tv["task_variance"].sel(unit="u2", task="a"))
    assert tv["n_bins"].sel(unit="u2", task="a") == 0
    assert tv["task_variance"].notnull().sum() == 11
    with pytest.raises(nc.NotApplicableError, match="1 without: u2"):
        nc.fractional_task_variance(tv, "a", "b")
    kept = nc.fractional_task_variance(tv, "a", "b", missing="nan")
    assert kept["fractional_task_variance"].isnull().sum() == 1


def test_a_partly_observed_time_is_left_out_for_that_unit(rng):
    block = two_tasks(rng)
    block["rate"].values[block["c"].values == 1, 3, 0] = np.nan
    tv = nc.task_variance(block)
    assert tv["n_bins"].sel(unit="u0", task="a") == 4
    cut = nc.task_variance(block.isel(time=[0, 1, 2, 4]))
    assert tv["task_variance"][0, 0] == pytest.approx(cut["task_variance"][0, 0].item())


def test_fixation_is_left_out_unless_told_otherwise():
    block = example_block()
    default = nc.task_variance(block)
    assert (default["n_bins"] == 4).all()
    assert (nc.task_variance(block, leave_out=[])["n_bins"] == 5).all()
    assert (nc.task_variance(block, epochs=["fix1"], leave_out=[])["n_bins"] == 1).all()
    xr.testing.assert_allclose(
        default["task_variance"], nc.task_variance(block, epochs=["stim1"])["task_variance"]
    )
    with pytest.raises(nc.InputError, match="epochs: expected one of fix1, stim1"):
        nc.task_variance(block, epochs=["delay1"])
    with pytest.raises(nc.NotApplicableError, match="at least one time bin"):
        nc.task_variance(block, epochs=["fix1"])


def test_unknown_names_are_refused(rng):
    block = two_tasks(rng)
    with pytest.raises(nc.InputError, match="estimator: expected one of per_time"):
        nc.task_variance(block, estimator="per_tim")
    tv = nc.task_variance(block)
    with pytest.raises(nc.InputError, match="task: expected one of a, b"):
        nc.fractional_task_variance(tv, "a", "z")
    with pytest.raises(nc.InputError, match="a task other than 'a'"):
        nc.fractional_task_variance(tv, "a", "a")


def test_ftv_is_antisymmetric_and_bounded(rng):
    tv = nc.task_variance(two_tasks(rng))
    forth, back = (nc.fractional_task_variance(tv, *pair) for pair in ("ab", "ba"))
    ftv = forth["fractional_task_variance"]
    np.testing.assert_allclose(ftv, -back["fractional_task_variance"])
    assert (np.abs(ftv) <= 1).all()
    assert nc.selectivity.ftv_histogram(forth).sum() == 6


def test_the_threshold_is_absolute_so_scale_matters_only_with_it(rng):
    block = two_tasks(rng)
    tiny = block.assign(rate=(block["rate"] * np.float32(1e-3)).assign_attrs(units="spikes/s"))
    tv, small = nc.task_variance(block), nc.task_variance(tiny)
    plain = nc.fractional_task_variance(tv, "a", "b")["fractional_task_variance"]
    without = nc.fractional_task_variance(small, "a", "b", threshold=0)
    np.testing.assert_allclose(without["fractional_task_variance"], plain, rtol=1e-3)
    with pytest.warns(nc.UnitWarning, match=r"6 of 6 units .* threshold 0\.001 .* u0, u1"):
        assert not nc.fractional_task_variance(small, "a", "b")["active"].any()


def test_a_silent_unit_is_named_and_units_of_a_network_are_not(rng):
    block = two_tasks(rng)
    values = block["rate"].values.copy()
    values[..., 2] = 0
    silent = block.assign(rate=(block["rate"].dims, values, block["rate"].attrs))
    with pytest.warns(nc.UnitWarning, match="toy: 1 of 6 units have variances .*: u2. They are"):
        nc.fractional_task_variance(nc.task_variance(silent), "a", "b")
    network = nc.task_variance(silent).assign_attrs(deterministic=1)
    assert not nc.fractional_task_variance(network, "a", "b")["active"].sel(unit="u2")


def test_unequal_trials_are_told_where_raw_variances_are_compared(rng):
    block = two_tasks(rng, n_trials=160)
    in_b = np.flatnonzero(block["task"].values == 1)
    fewer = block.drop_isel(trial=in_b[: in_b.size // 2])
    expected = r"toy: [\d.]+ trials a condition in task 'b', [\d.]+ in 'a' .*subsample_trials"
    with pytest.warns(nc.UnitWarning, match=expected):
        variance = nc.task_variance(fewer)
    with pytest.warns(nc.UnitWarning, match=expected):
        nc.fractional_task_variance(variance, "a", "b")
    # equal trials, and no noise, need no warning
    nc.fractional_task_variance(nc.task_variance(block), "a", "b")
    nc.fractional_task_variance(variance.assign_attrs(deterministic=1), "a", "b")
    corrected = nc.selectivity.corrected_task_variance(fewer)
    nc.fractional_task_variance(corrected, "a", "b")


def test_permuted_labels_alone_give_a_mean_ftv_where_trials_are_unequal(rng):
    means = []
    for _ in range(5):
        block = two_tasks(rng, n_trials=160, n_units=60, signal=(0.0, 0.0))
        in_a = np.flatnonzero(block["task"].values == 0)
        fewer = block.drop_isel(trial=in_a[: in_a.size // 2])
        with pytest.warns(nc.UnitWarning, match="trials a condition in task 'a'"):
            ftv = nc.fractional_task_variance(nc.task_variance(fewer), "a", "b")
        means.append(float(ftv["fractional_task_variance"].mean()))
    # noise adds twice the variance where trials are half: (2 - 1) / (2 + 1)
    assert np.mean(means) == pytest.approx(1 / 3, abs=0.06)


def test_results_carry_their_parameters_and_are_saved(rng, tmp_path):
    result = nc.task_variance(two_tasks(rng), estimator="pooled", leave_out=[])
    assert result.attrs["estimator"] == "pooled"
    assert json.loads(result.attrs["leave_out"]) == []
    result.to_netcdf(tmp_path / "tv.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "tv.nc", engine="h5netcdf"), result)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_the_variance_of_a_mixture_needs_only_the_covariance(rng, estimator):
    means = rng.standard_normal((5, 4, 7))
    weights = rng.standard_normal(5)
    mixture = np.einsum("u,uct->ct", weights, means)
    sample = centred(means, estimator)
    assert weights @ (sample @ sample.T) @ weights == pytest.approx(
        ESTIMATORS[estimator](mixture[None]).item()
    )


# nulls -------------------------------------------------------------------------------------


def test_the_condition_null_is_the_noise_floor():
    noisy = two_tasks(np.random.default_rng(5), n_trials=200, signal=(0, 0))
    floor = nc.selectivity.condition_label_null(noisy, n_permutations=50)["task_variance"].mean(
        "permutation"
    )
    tv = nc.task_variance(noisy)["task_variance"]
    # without signal the variance is its floor: (C - 1)/C * 1/50
    np.testing.assert_allclose(floor.mean(), 0.75 / 50, rtol=0.1)
    np.testing.assert_allclose(tv.mean(), floor.mean(), rtol=0.3)
    tuned = nc.task_variance(two_tasks(np.random.default_rng(5), n_trials=200))["task_variance"]
    assert tuned.mean() > 10 * floor.mean()


def test_a_deterministic_source_has_no_label_null():
    block = example_block().assign_attrs(deterministic=1)
    with pytest.raises(nc.NotApplicableError, match="expected noisy trials"):
        nc.selectivity.condition_label_null(block)


def test_rotations_equal_rotating_the_activity(rng):
    block = two_tasks(rng)
    control = nc.selectivity.rotation_control(block, "a", "b", n_rotations=1, seed=7)
    rotation = random_rotation(6, np.random.default_rng(7))
    turned = block.copy(data={"rate": (block["rate"].values @ rotation.T).astype("f4")})
    ftv = nc.fractional_task_variance(nc.task_variance(turned), "a", "b")
    np.testing.assert_allclose(
        control["fractional_task_variance"][0], ftv["fractional_task_variance"], atol=1e-4
    )


def test_rotations_within_a_column_leave_the_others_alone(rng):
    block = two_tasks(rng)
    block["rate"].values[:, :, 1::2] = 0
    inside = nc.selectivity.rotation_control(block, "a", "b", within="area")[
        "fractional_task_variance"
    ]
    assert np.isnan(inside[:, 1::2]).all()
    assert np.isfinite(inside[:, ::2]).all()
    assert np.isfinite(
        nc.selectivity.rotation_control(block, "a", "b")["fractional_task_variance"]
    ).all()
    with pytest.raises(nc.InputError, match="within: expected one of"):
        nc.selectivity.rotation_control(block, "a", "b", within="layer")


def test_rotations_are_orthogonal_and_uniform(rng):
    drawn = np.stack([random_rotation(3, rng) for _ in range(2000)])
    np.testing.assert_allclose(
        drawn @ drawn.transpose(0, 2, 1), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-12
    )
    # for a uniform rotation every entry has mean 0 and variance 1/3; QR alone has a mean
    assert np.abs(drawn.mean(axis=0)).max() < 0.06
    np.testing.assert_allclose(drawn.var(axis=0), 1 / 3, atol=0.04)


# binning -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sd", [0.0, 0.3, 0.8, 2.5])
def test_smoothing_equals_scipy(rng, sd):
    rates = rng.standard_normal((4, 15))
    expected = gaussian_filter1d(rates, sd, mode="nearest") if sd else rates
    np.testing.assert_allclose(rates @ smoothing_matrix(15, sd), expected, atol=1e-12)


def test_counts_are_summed_without_overflow():
    counts = np.full((10, 2), 200, dtype=np.uint8)
    assert sum_in_bins(counts, 5).tolist() == [[1000, 1000], [1000, 1000]]
    assert sum_in_bins(counts, 4).shape == (2, 2)


def test_bin_membership_averages_or_is_empty():
    matrix = bin_membership(np.array([0.1, 0.2, 0.7]), np.array([0, 0.5, 0.6, 1.0]), 1e-9)
    np.testing.assert_allclose(matrix.sum(axis=0), [1, 0, 1])
