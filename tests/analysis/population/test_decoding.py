"""Decoding and implementable classifications: truth, leaks, chance, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.population.decoding import decode, implementable_classifications
from nwbcompare.analysis.population.kernels.decoding import (
    balanced_folds,
    combined_p,
    fold_accuracy,
    permuted_labels,
    pseudo_trials,
)
from nwbcompare.analysis.population.kernels.dimensionality import dichotomies, dichotomy_accuracy
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.similarity import plot_decoding

X, Y = np.tile([-1.0, -1, 1, 1], 2), np.tile([-1.0, 1, -1, 1], 2)
CONTEXT = np.repeat([-1.0, 1.0], 4)
QUICK = {"n_resamples": 4, "n_permutations": 49}


def population(
    rng, *, tuning, n_trials=10, noise=1.0, ragged=True, deterministic=False, name="toy"
):
    """Trials of two tasks with variables x and y; tuning (condition, unit) of 8 conditions."""
    condition = np.repeat(np.arange(8), n_trials)
    n_units = tuning.shape[1]
    rate = 10 + tuning[condition] + noise * rng.standard_normal((condition.size, n_units))
    columns = {
        "task": np.array(["a", "b"])[condition // 4],
        "x": X[condition].astype(int),
        "y": Y[condition].astype(int),
    }
    common = {
        "time_s": [0.05],
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
        return nc.make_block(rate[:, None], trials=columns, **common)
    return nc.make_block(
        rate.T.reshape(-1, 1),
        trials={key: np.tile(values, n_units) for key, values in columns.items()},
        observation_unit=np.repeat(np.arange(n_units), condition.size),
        **common,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def test_pseudo_trials_use_each_row_once_and_keep_units_and_cells_apart(rng):
    unit, cell = (grid.ravel() for grid in np.meshgrid(np.arange(3), np.arange(4)))
    unit, cell = np.tile(unit, 6), np.tile(cell, 6)
    rate = np.arange(unit.size, dtype=float)
    shuffle = rng.permutation(unit.size)
    drawn = pseudo_trials(
        rate[shuffle], unit[shuffle], cell[shuffle], shape=(3, 4), n_trials=5, rng=rng
    )
    assert drawn.shape == (4, 5, 3)
    assert np.unique(drawn).size == drawn.size
    rows = drawn.astype(int)
    assert (unit[rows] == np.arange(3)).all()
    assert (cell[rows] == np.arange(4)[:, None, None]).all()


def test_folds_are_balanced_and_share_nothing():
    folds = balanced_folds(4, 10, 5)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(40))
    for train, test in folds:
        assert not set(train) & set(test)
        np.testing.assert_array_equal(np.bincount(test // 10), [2] * 4)


def test_permuted_labels_stay_in_their_strata(rng):
    labels, strata = np.arange(12) % 3, np.repeat([0, 1], 6)
    table = permuted_labels(labels, strata, 20, rng)
    np.testing.assert_array_equal(table[:, 0], labels)
    for column in table.T:
        for which in (0, 1):
            np.testing.assert_array_equal(np.bincount(column[strata == which]), [2, 2, 2])
    assert np.unique(table, axis=1).shape[1] > 10


@pytest.mark.parametrize("n_classes", [2, 3])
def test_many_labellings_at_once_equal_scikit_learn_one_by_one(rng, n_classes):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.arange(36) % n_classes
    trials = rng.standard_normal((36, 20)) + labels[:, None] * (np.arange(20) < 4)
    trials[:, 5] = 0.1
    table = permuted_labels(labels, np.zeros(36, dtype=int), 3, rng)
    folds = balanced_folds(n_classes * 2, 36 // n_classes // 2, 3)
    found = fold_accuracy(trials, table, folds)
    for column, value in zip(table.T, found, strict=True):
        right = []
        for train, test in folds:
            model = make_pipeline(StandardScaler(), Ridge(alpha=20))
            model.fit(trials[train], np.eye(n_classes)[column[train]])
            right.append((model.predict(trials[test]).argmax(axis=1) == column[test]).mean())
        assert value == pytest.approx(np.mean(right))


def test_twice_the_mean_p_is_at_most_1():
    assert combined_p(np.array([0.9, 0.8])) == 1
    assert combined_p(np.array([0.01, 0.01])) == pytest.approx(0.02)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("what", ["task", "x"])
def test_what_is_there_is_decoded_and_what_is_not_is_not(rng, ragged, what):
    axis = CONTEXT if what == "task" else X
    other = "x" if what == "task" else "task"
    block = population(rng, tuning=np.outer(axis, rng.standard_normal(30)), ragged=ragged)
    found = decode(block, what, **QUICK)
    assert found["accuracy"] > 0.9
    assert found["p_value"] == pytest.approx(0.04)
    absent = decode(block, other, **QUICK)
    assert abs(absent["accuracy"] - 0.5) < 0.15
    assert absent["p_value"] > 0.05
    assert found.attrs["recorded"] == ("one by one" if ragged else "at once")
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]
    assert found["chance"] == 0.5
    assert found["n_trials"] == 10


def test_results_are_seeded(rng):
    block = population(rng, tuning=np.outer(X, rng.standard_normal(9)) / 2)
    a, b, c = (decode(block, "x", seed=seed, **QUICK) for seed in (0, 0, 1))
    xr.testing.assert_identical(a, b)
    assert not np.array_equal(a["null"], c["null"])


def test_no_trial_is_in_training_and_test(rng):
    # every trial has a fingerprint in many units: a leak would be decoded from noise alone
    block = population(rng, tuning=np.zeros((8, 200)), noise=5, n_trials=5)
    values = [decode(block, "x", seed=seed, **QUICK)["accuracy"] for seed in range(4)]
    assert abs(np.mean(values) - 0.5) < 0.1


def test_p_errs_no_more_often_than_it_says():
    rng = np.random.default_rng(0)
    # the other variables are coded strongly: the permutation has to keep them where they are
    tuning = np.outer(Y, np.ones(12)) * 2 + np.outer(CONTEXT, rng.standard_normal(12)) * 2
    found = [
        decode(
            population(rng, tuning=tuning, n_trials=5, ragged=False),
            "x",
            n_resamples=2,
            n_permutations=39,
        )["p_value"].item()
        for _ in range(50)
    ]
    # conservative by construction: at 20 % at most what a binomial of 50 draws allows (99 %)
    assert (np.array(found) <= 0.2).sum() <= 17
    assert np.mean(found) > 0.4


def test_generalisation_needs_the_same_code_in_both_tasks(rng):
    code, other = rng.standard_normal((2, 40))
    same = population(rng, tuning=np.outer(X, code))
    apart = population(
        rng, tuning=np.outer(X * (CONTEXT > 0), code) + np.outer(X * (CONTEXT < 0), other)
    )
    turned = population(rng, tuning=np.outer(X * CONTEXT, code))
    accuracy = [
        decode(block, "x", generalise=True, **QUICK)["accuracy"].item()
        for block in (same, apart, turned)
    ]
    assert accuracy[0] > 0.9
    assert 0.2 < accuracy[1] < 0.8
    assert accuracy[2] < 0.1
    # within tasks the turned code is as good as any
    within = decode(turned, "x", tasks=["a"], **QUICK)
    assert within["accuracy"] > 0.9


def test_more_units_and_trials_decode_better_so_both_can_be_set(rng):
    block = population(rng, tuning=np.outer(X, rng.standard_normal(60)) / 4, n_trials=40)
    few = decode(block, "x", n_units=6, n_trials=40, **QUICK)
    short = decode(block, "x", n_trials=5, **QUICK)
    whole = decode(block, "x", **QUICK)
    assert whole["accuracy"] > few["accuracy"] + 0.05
    assert whole["accuracy"] > short["accuracy"] + 0.02
    assert (few["n_units"], few["n_trials"]) == (6, 40)
    assert (whole["n_units"], whole["n_trials"]) == (60, 40)


def test_units_with_few_trials_are_left_out(rng):
    block = population(rng, tuning=np.outer(X, np.ones(6)), n_trials=7)
    first = (block["observation_unit"] == 0) & (block["x"] == 1) & (block["y"] == 1)
    block = block.drop_isel(observation=np.flatnonzero(first.values)[:4])
    with pytest.warns(nc.UnitWarning, match="1 of 6 units lack 5 trials.*u0"):
        found = decode(block, "x", **QUICK)
    assert found["n_units"] == 5
    assert found["n_trials"] == 5
    assert found.attrs["n_left_out"] == 1


def test_wrong_arguments_are_named(rng):
    block = population(rng, tuning=np.outer(X, np.ones(6)), n_trials=5)
    with pytest.raises(
        nc.NotApplicableError, match="noisy trials, got the deterministic source 'toy'.*sample_like"
    ):
        decode(block.assign_attrs(deterministic=1))
    with pytest.raises(nc.InputError, match="what: expected one of task, x, y, got 'z'"):
        decode(block, "z")
    with pytest.raises(nc.NotApplicableError, match="two or more values of 'task', got a alone"):
        decode(block, tasks=["a"])
    with pytest.raises(nc.InputError, match="a condition variable in two tasks, got 'task' in 2"):
        decode(block, generalise=True)
    with pytest.raises(nc.InputError, match="a condition variable in two tasks, got 'x' in 1"):
        decode(block, "x", tasks=["a"], generalise=True)
    with pytest.raises(nc.InputError, match="n_trials: expected a multiple of 5, got 7"):
        decode(block, "x", n_trials=7)
    with pytest.raises(
        nc.NotApplicableError, match="units with 10 trials in every condition, got none"
    ):
        decode(block, "x", n_trials=10)
    with pytest.raises(nc.NotApplicableError, match="7 units with enough trials, got 6"):
        decode(block, "x", n_units=7)
    with pytest.raises(nc.InputError, match="n_units: expected a whole number of 1 or more, got 0"):
        decode(block, "x", n_units=0)
    with pytest.raises(
        nc.InputError, match="n_resamples: expected a whole number of 2 or more, got 1"
    ):
        decode(block, "x", n_resamples=1)
    uneven = nc.select(block, task="a")
    uneven = uneven.isel(observation=np.flatnonzero(~((uneven["x"] == 1) & (uneven["y"] == 1))))
    with pytest.raises(
        nc.NotApplicableError, match="same values of all other variables, got 1 combinations of 4"
    ):
        decode(uneven, "x")
    with pytest.raises(nc.InputError, match="threshold: expected between 0.5 and 1"):
        implementable_classifications(block, threshold=0.4)
    with pytest.raises(nc.NotApplicableError, match="conditions: expected 3 or more, got 2"):
        implementable_classifications(block, ["a"], conditions=["x"])


def test_dichotomies_are_all_different_and_none_is_empty(rng):
    every = dichotomies(8, 1000, rng)
    assert every.shape == (127, 8)
    assert np.unique(every, axis=0).shape[0] == 127
    assert every.any(axis=1).all()
    assert not every[:, 0].any()
    some = dichotomies(12, 50, rng)
    assert np.unique(some, axis=0).shape == (50, 12)
    many = dichotomies(72, 40, rng)
    assert many.shape == (40, 72)
    assert 0.3 < many[:, 1:].mean() < 0.7


def xor():
    return np.array([[False, True, True, False]])


def test_linear_codes_cannot_implement_xor_and_mixed_selectivity_can(rng):
    corners = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    linear = corners @ rng.standard_normal((2, 40))
    mixed = linear + np.outer(corners.prod(axis=1), rng.standard_normal(40))

    def noisy(means):
        return means[:, None] + 0.5 * rng.standard_normal((4, 20, 40))

    assert dichotomy_accuracy(noisy(linear), noisy(linear), xor()).item() < 0.6
    assert dichotomy_accuracy(noisy(mixed), noisy(mixed), xor()).item() > 0.95


def test_the_number_of_classifications_tells_low_from_high_dimension(rng):
    axes = np.column_stack([X, Y, CONTEXT])
    low = population(rng, tuning=axes @ rng.standard_normal((3, 60)) * 2, n_trials=10)
    high = population(rng, tuning=rng.standard_normal((8, 60)) * 2, n_trials=10)
    found = [implementable_classifications(b, threshold=0.95, n_resamples=2) for b in (low, high)]
    # corners of a cube: 104 of 256 parts are linearly separable (Cover 1965), with the empty two
    assert found[0]["share"] == pytest.approx(102 / 254, abs=0.01)
    assert found[0]["dimension"] == pytest.approx(np.log2(104), abs=0.15)
    assert found[1]["dimension"] == pytest.approx(8)
    assert found[1]["share"] == 1
    assert found[0]["null_share"] < 0.05
    assert (found[0]["dimension_low"] <= found[0]["dimension"]).item()
    assert found[0].attrs["all_dichotomies"] == 1
    assert found[0].sizes == {"dichotomy": 127, "condition": 8}


def test_a_sample_of_which_none_is_implemented_leaves_the_dimension_open(rng):
    block = population(rng, tuning=np.zeros((8, 10)))
    with pytest.warns(UserWarning, match="None of 20 sampled classifications.*below"):
        found = implementable_classifications(block, n_dichotomies=20, n_resamples=2)
    assert np.isnan(found["dimension"])
    assert found["dimension_high"] < 6
    assert found.attrs["all_dichotomies"] == 0


def test_results_survive_netcdf_and_are_drawn(rng, tmp_path):
    block = population(rng, tuning=np.outer(X, np.ones(6)))
    results = [decode(block, "x", **QUICK), decode(block, "x", generalise=True, **QUICK)]
    counted = implementable_classifications(block, ["a"], n_resamples=2)
    for place, found in enumerate([*results, counted]):
        path = tmp_path / f"{place}.nc"
        found.to_netcdf(path, engine="h5netcdf")
        with xr.open_dataset(path, engine="h5netcdf") as back:
            xr.testing.assert_equal(back, found)
            assert back.attrs["name"] == "toy"
    _, axes = new_figure(1, 2)
    ax = plot_decoding(axes[0, 0], results)
    assert len(ax.patches) == 2
    assert [t.get_text().split("\n")[0] for t in ax.get_yticklabels()] == ["x", "x, other task"]
    assert ax.get_xlim() == (0, 1.02)
    ax = plot_decoding(axes[0, 1], results, labels=["one", "two"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["one", "two"]
