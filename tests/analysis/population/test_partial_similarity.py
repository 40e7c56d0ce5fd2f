"""What training adds to similarity: oracles, invariances, closed loops and errors."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from benchmarks.geometry_errors import TRUTHS, rejections
from scipy.stats import t as student

import nwbcompare as nc
from nwbcompare.analysis.population.kernels.partial_similarity import (
    crossnobis,
    partial_correlations,
    training_effect,
)
from nwbcompare.analysis.population.kernels.similarity import squared_distances, upper
from nwbcompare.analysis.population.partial_similarity import partial_similarity


@pytest.fixture(scope="module")
def rsatoolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("rsatoolbox")
        from rsatoolbox import data, rdm
    return data, rdm


def moments(trials):
    """Means, squared standard errors and numbers of trials ``(condition, trial, unit)``."""
    n = trials.shape[1]
    noise = trials.var(axis=1, ddof=1) / n
    return trials.mean(axis=1), noise, np.full(noise.shape, float(n))


def together(trials):
    """Return what splits that put trials of one number together add by chance ``(pair, unit)``."""
    x = trials - trials.mean(axis=1, keepdims=True)
    n = trials.shape[1]
    covariance = np.einsum("atu,btu->abu", x, x) / (n - 1) / n
    return 2 * covariance[np.triu_indices(len(trials), 1)]


def inverse(means, freedom):
    """Return what the bias of an inverse variance adds to squared differences ``(pair, unit)``."""
    first, second = np.triu_indices(len(means), 1)
    return 2 / freedom * (means[first] - means[second]) ** 2


@pytest.mark.filterwarnings("ignore")
def test_distances_are_the_crossnobis_of_rsatoolbox(rsatoolbox):
    data, rdm = rsatoolbox
    rng = np.random.default_rng(0)
    trials = rng.standard_normal((6, 4, 7)) + rng.standard_normal((6, 1, 7))
    means, noise, n_trials = moments(trials)
    labelled = data.Dataset(
        trials.reshape(24, 7),
        obs_descriptors={
            "condition": np.repeat(np.arange(6), 4),
            "fold": np.tile(np.arange(4), 6),
        },
    )
    variance = (noise * n_trials).mean(axis=0)
    theirs = rdm.calc_rdm(
        labelled,
        method="crossnobis",
        descriptor="condition",
        cv_descriptor="fold",
        noise=np.diag(1 / variance),
    )
    # folds of all conditions are left out together there, independently here
    ours = crossnobis(means, noise, n_trials) + (together(trials) + inverse(means, 18)) / variance
    np.testing.assert_allclose(ours.mean(axis=1), theirs.get_vectors()[0], rtol=1e-9)


def test_distances_are_products_averaged_over_all_halves_and_unbiased():
    rng = np.random.default_rng(1)
    trials = rng.standard_normal((5, 4, 3))
    means, noise, n_trials = moments(trials)
    products = []
    for half in combinations(range(4), 2):
        rest = [one for one in range(4) if one not in half]
        parts = [trials[:, list(which)].mean(axis=1) for which in (half, rest)]
        first, second = (x[:, None] - x[None] for x in parts)
        products.append((first * second)[np.triu_indices(5, 1)])
    scale = (noise * n_trials).mean(axis=0)
    ours = crossnobis(means, noise, n_trials) * scale
    plain = ours + together(trials) + inverse(means, 15)
    np.testing.assert_allclose(plain, np.mean(products, axis=0), atol=1e-12)
    flat = [crossnobis(*moments(rng.standard_normal((5, 4, 200)))).mean() for _ in range(50)]
    assert abs(np.mean(flat)) < 3 * np.std(flat, ddof=1) / np.sqrt(50)


def test_without_noise_distances_are_plain_and_silent_units_add_nothing():
    rng = np.random.default_rng(2)
    means = rng.standard_normal((6, 9))
    plain = crossnobis(means, np.zeros((6, 9)), np.ones((6, 9))).mean(axis=1)
    np.testing.assert_allclose(plain, upper(squared_distances(means)))
    noise = np.ones((6, 9))
    means[:, 3], noise[:, 3] = 0, 0
    assert (crossnobis(means, noise, 4 * noise)[:, 3] == 0).all()


def test_a_partial_correlation_is_that_of_residuals_and_blind_to_what_is_taken_out():
    rng = np.random.default_rng(3)
    x, y, others = rng.random((1, 40)), rng.random((1, 40)), rng.random((3, 40))
    design = np.vstack([np.ones(40), others]).T
    rest = [v[0] - design @ np.linalg.lstsq(design, v[0], rcond=None)[0] for v in (x, y)]
    value = partial_correlations(x, y, others)[0, 0]
    assert value == pytest.approx(np.corrcoef(*rest)[0, 1])
    moved = partial_correlations(5 * x + 3 * others[:1], y - others[1:2], others)
    assert moved[0, 0] == pytest.approx(value)
    # a code twice is a code once; another code is not
    twice = np.vstack([others, others[:1]])
    assert partial_correlations(x, y, twice)[0, 0] == pytest.approx(value)
    assert abs(partial_correlations(x, y, others[:2])[0, 0] - value) > 1e-4
    assert np.isnan(partial_correlations(others[:1], y, others)[0, 0])


def test_errors_over_networks_and_sessions_are_those_of_loops():
    rng = np.random.default_rng(4)
    networks, by_unit, others = rng.random((2, 4, 190)), rng.random((190, 30)), rng.random((2, 190))
    cluster = np.arange(30) // 5
    found = training_effect(networks, by_unit, others, cluster)
    difference = found.difference
    np.testing.assert_allclose(found.similarity[0] - found.similarity[1], difference)
    error = difference.std(ddof=1) / 2
    assert found.standard_error[0] == pytest.approx(error)
    p = 2 * student.sf(abs(difference.mean()) / error, 3)
    assert found.p_value[0] == pytest.approx(p)
    # over sessions of equal size: those of the mean of the sessions' parts in the difference
    design = np.vstack([np.ones(190), others]).T
    hat = design @ np.linalg.pinv(design)
    rest = networks - networks @ hat.T
    rest /= np.linalg.norm(rest, axis=2, keepdims=True)
    recorded = by_unit - hat @ by_unit
    parts = (rest[0] - rest[1]).mean(axis=0) @ recorded / np.linalg.norm(recorded.mean(axis=1))
    by_session = parts.reshape(6, 5).mean(axis=1)
    assert found.standard_error[1] == pytest.approx(by_session.std(ddof=1) / np.sqrt(6))
    # over both: two-way analysis of variance of the sessions' parts in each network
    parts = (rest[0] - rest[1]) @ recorded / np.linalg.norm(recorded.mean(axis=1))
    cells = parts.reshape(4, 6, 5).mean(axis=2)
    within = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    variance = (found.standard_error[:2] ** 2).sum() - (within**2).sum() / 15 / 24
    largest = max(variance, *found.standard_error[:2] ** 2)
    assert found.standard_error[2] == pytest.approx(np.sqrt(largest))
    assert 3 <= found.freedom[2] < 8
    assert found.low[2] < difference.mean() < found.high[2]


def test_few_networks_sessions_and_conditions_have_no_p():
    rng = np.random.default_rng(5)
    networks, by_unit, none = rng.random((2, 5, 190)), rng.random((190, 30)), np.empty((0, 190))
    cluster = np.arange(30) // 5
    assert np.isfinite(training_effect(networks, by_unit, none, cluster).p_value).all()
    two = training_effect(networks[:, :2], by_unit, none, cluster)
    assert np.isnan(two.p_value).tolist() == [True, False, True]
    one = training_effect(networks[:, :1], by_unit, none, cluster)
    assert np.isnan(one.low).tolist() == [True, False, True]
    four = training_effect(networks, by_unit, none, cluster // 2)
    assert np.isnan(four.p_value).tolist() == [False, True, True]
    # 19 conditions
    fewer = training_effect(networks[..., :171], by_unit[:171], none[:, :171], cluster)
    assert np.isnan(fewer.p_value).all()
    assert np.isfinite(fewer.low).all()


@pytest.mark.parametrize(
    "name", ["independent", "shared stimulus and choice codes", "the same, networks alike"]
)
def test_shared_codes_alone_are_rejected_no_more_often_than_p_says(name):
    truth = next(one for one in TRUTHS if one.name == name)
    counts = rejections(truth, 4, 100, seed=1)
    # 5 % of 100: at most 12 within a one-sided binomial 99.9 % interval
    assert counts["sessions"][0] <= 12
    assert counts["both"][0] <= 12


def test_structure_beyond_the_codes_is_found():
    assert rejections(TRUTHS[-1], 8, 30, seed=1)["both"][0] >= 5


LEVELS = np.array([-2, -1, 1, 2])


def population(seed, tuning, *, noise=1.0, n_trials=4, name="toy"):
    """A dense block of two tasks with 16 conditions each; tuning ``(condition, unit)``."""
    rng = np.random.default_rng(seed)
    n_trials = n_trials if noise else 1
    condition = np.repeat(np.arange(32), n_trials)
    rate = tuning[condition] + noise * rng.standard_normal((condition.size, tuning.shape[1]))
    x, y = LEVELS[condition % 16 // 4], LEVELS[condition % 4]
    task = np.array(["a", "b"])[condition // 16]
    return nc.make_block(
        rate[:, None],
        time_s=[0.1],
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={"task": task, "x": x, "y": y, "choice": np.sign(np.where(task == "a", x, y))},
        units={
            "unit": [f"u{i}" for i in range(tuning.shape[1])],
            "session": [f"s{i // 4}" for i in range(tuning.shape[1])],
        },
        condition_variables={"a": ["x", "y"], "b": ["x", "y"]},
        source="recording" if noise else "model",
        name=name,
        deterministic=not noise,
    )


@pytest.fixture(scope="module")
def choice_code():
    condition = np.arange(32)
    x, y = LEVELS[condition % 16 // 4], LEVELS[condition % 4]
    return np.sign(np.where(condition < 16, x, y)).astype(float)


def test_a_shared_choice_code_is_taken_out_where_it_is_named(choice_code):
    rng = np.random.default_rng(6)

    def coding(seed, strength, n_units=120):
        own = rng.standard_normal((32, n_units))
        return population(
            seed, strength * np.outer(choice_code, rng.standard_normal(n_units)) + own
        )

    recording = coding(0, 2.0)
    trained = {f"net{i}": coding(i, 2.0) for i in range(4)}
    untrained = {f"net{i}": coding(10 + i, 0.0) for i in range(4)}
    found = partial_similarity(trained, untrained, recording)
    assert found.attrs["codes"] == '["task", "x", "y", "choice"]'
    assert (found["unadjusted"].sel(training="trained") > 0.5).all()
    assert abs(found["estimate"]) < 0.25
    assert found["p_value"].sel(claim="both") > 0.05
    assert found["n_conditions"] == 32
    without = partial_similarity(trained, untrained, recording, codes=["task", "x", "y"])
    assert without["estimate"] > 0.5
    assert without["p_value"].sel(claim="both") < 0.01


def test_shared_structure_is_found_and_conditions_are_matched_by_name(choice_code, tmp_path):
    rng = np.random.default_rng(7)
    latent = rng.standard_normal((32, 3))
    recording = population(0, 2 * latent @ rng.standard_normal((3, 40)))
    trained = {
        name: population(1, latent @ rng.standard_normal((3, 30)), noise=0, name=name)
        for name in ("one", "two", "three")
    }
    untrained = {
        name: population(2, rng.standard_normal((32, 30)), noise=0, name=name) for name in trained
    }
    found = partial_similarity(trained, untrained, recording)
    assert found["p_value"].sel(claim="both") < 0.01
    assert (found["similarity"].sel(training="trained") > 0.7).all()
    assert abs(found["stimulus"]) < 0.5
    backwards = {n: one.isel(trial=slice(None, None, -1)) for n, one in trained.items()}
    again = partial_similarity(backwards, untrained, recording)
    np.testing.assert_allclose(again["difference"], found["difference"])
    found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back, found)


def test_bad_input_is_refused(choice_code):
    block = population(0, np.outer(choice_code, np.ones(6)))
    nets = {"net": block}
    with pytest.raises(nc.InputError, match="an untrained network for each of net, got other"):
        partial_similarity(nets, {"other": block}, block)
    with pytest.raises(
        nc.InputError, match="codes: expected one of task, .*choice.*, got 'reward'"
    ):
        partial_similarity(nets, nets, block, codes=["reward"])
    with pytest.raises(nc.InputError, match="tasks: expected one of a, b, got 'c'"):
        partial_similarity(nets, nets, block, tasks=["c"])
    with pytest.raises(nc.NotApplicableError, match="4 or more that all sources have, got 0"):
        partial_similarity({"net": block.assign_coords(x=block["x"] * 7)}, nets, block)
    rng = np.random.default_rng(0)
    more = {f"r{i}": ("trial", rng.random(block.sizes["trial"])) for i in range(4)}
    block = block.assign_coords(more)
    with pytest.raises(nc.NotApplicableError, match="more pairs than the 4 codes need"):
        partial_similarity(nets, nets, block, codes=list(more), conditions=["x"], tasks=["a"])
