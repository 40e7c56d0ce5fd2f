"""The label nulls: brute-force twins, exact cases, simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import nwbcompare as nc
from nwbcompare.analysis.selectivity import permutation_nulls as nulls
from nwbcompare.kernels.permutation import (
    cells_alike,
    label_means,
    random_rotation,
    shuffled,
    unshuffled,
)
from nwbcompare.kernels.variance import ESTIMATORS

N_TIMES = 3


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def recording(
    rng, *, n_units=4, counts=((5, 9), (8, 4)), signal=(0.0, 0.0), noise=1.0, n_times=N_TIMES
):
    """A ragged block of two tasks: ``counts`` of trials by (task, condition), tuning by task."""
    counts = np.array(counts)
    task, condition = (
        np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1)
    )
    tuning = (
        rng.standard_normal((n_units, *counts.shape, n_times)) * np.array(signal)[:, None, None]
    )
    rate = 10 + tuning[:, task, condition]
    rate = rate + noise * rng.standard_normal(rate.shape)
    return nc.make_block(
        rate.reshape(-1, n_times),
        time_s=(np.arange(n_times) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={
            "task": np.tile(np.array(["a", "b"])[task], n_units),
            "c": np.tile(condition.astype(float), n_units),
        },
        units={"unit": [f"u{i}" for i in range(n_units)], "session": np.arange(n_units) // 2},
        observation_unit=np.repeat(np.arange(n_units), task.size),
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="toy",
    )


def as_dense(block):
    """The same trials as if all units had been recorded at once."""
    n_units = block.sizes["unit"]
    rate = block["rate"].values.reshape(n_units, -1, block.sizes["time"]).transpose(1, 2, 0)
    n_trials = len(rate)
    return nc.make_block(
        rate,
        time_s=block["time"].values,
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={"task": nc.labels(block["task"])[:n_trials], "c": block["c"].values[:n_trials]},
        units={"unit": block["unit"].values},
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="toy",
    )


def plain_variance(rates, condition, n_conditions, estimator):
    """TV from plain loops; a time that lacks a condition is left out."""
    means = np.full((n_conditions, rates.shape[1]), np.nan)
    for c in range(n_conditions):
        for t in range(rates.shape[1]):
            kept = [
                r[t]
                for r, own in zip(rates, condition, strict=True)
                if own == c and np.isfinite(r[t])
            ]
            if kept:
                means[c, t] = sum(kept) / len(kept)
    means = means[:, np.isfinite(means).all(axis=0)]
    if not means.size:
        return np.nan
    if estimator == "per_time":
        return means.var(axis=0).mean()
    return means.mean(axis=1).var() if estimator == "time_mean" else means.var()


def recorded_labels(monkeypatch, n_rows):
    """Record the labels that the nulls draw, as a list of (row, permutation)."""
    drawn = []

    def recorder(groups, n_permutations, rng):
        label = np.full((n_rows, n_permutations), -1)
        drawn.append(label)
        for group, rows, place in shuffled(groups, n_permutations, rng):
            for cell in range(rows.shape[1]):
                label[rows[:, cell]] = np.repeat(np.arange(len(group.sizes)), group.sizes)[place]
            yield group, rows, place

    monkeypatch.setattr(nulls, "shuffled", recorder)
    return drawn


# equal results for equal labels -------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_the_condition_null_equals_plain_loops_over_the_same_labels(
    monkeypatch, rng, estimator, missing
):
    block = recording(rng, counts=((5, 9, 4), (8, 4, 6)), signal=(1, 1))
    if missing:
        block["rate"].values[rng.random(block["rate"].shape) < 0.2] = np.nan
    task_rows = 18
    drawn = recorded_labels(monkeypatch, 4 * task_rows)
    null = nc.selectivity.condition_label_null(
        block, n_permutations=6, estimator=estimator, n_jobs=1
    )
    for task in (0, 1):
        rates = block["rate"].values[block["task"].values == task].astype(float)
        for permutation, u in np.ndindex(6, 4):
            rows = slice(u * task_rows, (u + 1) * task_rows)
            expected = plain_variance(rates[rows], drawn[task][rows, permutation], 3, estimator)
            got = null["task_variance"].values[permutation, u, task]
            assert got == pytest.approx(expected, rel=1e-10, nan_ok=True)


def test_means_of_true_labels_are_the_condition_means(rng):
    block = recording(rng, signal=(1, 1))
    groups = cells_alike(
        block["observation_unit"].values,
        block["c"].values.astype(int),
        block["task"].values,
        2,
        np.ones(block.sizes["observation"], dtype=bool),
    )
    means = label_means(block["rate"].values, unshuffled(groups), (4, 2, 2, 1))[..., 0]
    expected = nc.selectivity.condition_means(block)["rate_mean"].values.reshape(4, 2, 2, N_TIMES)
    np.testing.assert_allclose(means.swapaxes(1, 2), expected, rtol=1e-12)


# the permutations -----------------------------------------------------------------------------


@pytest.mark.parametrize("dense", [False, True])
def test_the_number_of_workers_changes_nothing_and_seeds_reproduce(monkeypatch, rng, dense):
    monkeypatch.setattr(nulls, "PERMUTATIONS_AT_ONCE", 8)
    monkeypatch.setattr(nulls, "VALUES_AT_ONCE", 200)
    block = recording(rng, n_units=7)
    block = as_dense(block) if dense else block
    one, two = (
        nc.selectivity.condition_label_null(block, n_permutations=30, seed=3, n_jobs=n)
        for n in (1, 2)
    )
    xr.testing.assert_identical(one, two)
    other = nc.selectivity.condition_label_null(block, n_permutations=30, seed=4)
    assert not np.isclose(other["task_variance"], one["task_variance"]).any()


def test_the_floor_is_the_analytic_one(rng):
    """E[TV] = (C - 1) / C * mean over conditions of S^2 / n, S^2 over all trials of the task."""
    counts = np.array(((5, 20, 11), (8, 4, 30)))
    block = recording(rng, counts=counts, signal=(1, 0))
    floor = nc.selectivity.condition_label_null(block, n_permutations=4000)["task_variance"].mean(
        "permutation"
    )
    for task, name in enumerate("ab"):
        rates = block["rate"].values[block["task"].values == task].reshape(4, -1, N_TIMES)
        spread = rates.astype(float).var(axis=1, ddof=1).mean(axis=-1)
        expected = 2 / 3 * spread * (1 / counts[task]).mean()
        np.testing.assert_allclose(floor.sel(task=name), expected, rtol=0.05)


def test_rotations_in_the_units_joint_basis_are_distributed_as_full_ones(rng):
    block = as_dense(recording(rng, n_units=30, signal=(2, 1)))
    quick = nc.selectivity.rotation_control(block, "a", "b", n_rotations=400)[
        "fractional_task_variance"
    ]
    covariance, _ = nulls.task_covariances(block, ("a", "b"), estimator="per_time", conditions=None)
    full = []
    for _ in range(400):
        rotation = random_rotation(30, rng)
        a, b = (np.einsum("ij,jk,ik->i", rotation, c, rotation) for c in covariance.values())
        full.append((a - b) / (a + b))
    assert nulls._joint_basis(np.stack(list(covariance.values()))).shape == (30, 6)
    # a rotation's units depend on each other, rotations do not: one unit of each
    assert stats.ks_2samp(quick.values[:, 0], np.array(full)[:, 0]).pvalue > 1e-3
    np.testing.assert_allclose(quick.std("unit").mean(), np.std(full, axis=1).mean(), rtol=0.05)


def test_units_without_any_variance_have_no_rotated_ftv(rng):
    block = as_dense(recording(rng))
    still = block.copy(data={"rate": np.ones_like(block["rate"].values)})
    control = nc.selectivity.rotation_control(still, "a", "b", n_rotations=2)
    assert np.isnan(control["fractional_task_variance"]).all()


# units that cannot be tested ------------------------------------------------------------------


def test_units_that_lack_a_condition_are_named_and_not_counted(rng):
    block = recording(rng, n_units=5)
    lacking = (block["observation_unit"].values == 2) & (block["c"].values == 1)
    block = block.isel(observation=~(lacking & (block["task"].values == 0)))
    with pytest.warns(nc.UnitWarning, match=r"1 units lack a condition of task 'a'.*u2"):
        floor = nc.selectivity.condition_label_null(block, n_permutations=9)["task_variance"]
    assert np.isnan(floor.sel(unit="u2", task="a")).all()
    assert np.isfinite(floor.sel(task="b")).all()


def test_results_carry_their_units_and_are_saved(rng, tmp_path):
    result = nc.selectivity.condition_label_null(recording(rng), n_permutations=5)
    assert result["session"].values.tolist() == [0, 0, 1, 1]
    assert (result.attrs["name"], result.attrs["source"]) == ("toy", "recording")
    result.to_netcdf(tmp_path / "null.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "null.nc", engine="h5netcdf"), result)


def test_bad_arguments_are_refused(rng):
    block = recording(rng)
    with pytest.raises(nc.InputError, match="estimator: expected one of per_time"):
        nc.selectivity.condition_label_null(block, estimator="per_tim")
    with pytest.raises(
        nc.InputError, match="n_permutations: expected a whole number of 1 or more, got 0"
    ):
        nc.selectivity.condition_label_null(block, n_permutations=0)
