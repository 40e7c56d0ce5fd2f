"""The test of FTV = 0: oracle, invariances, refusals, and errors on simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_null import population_test
from nwbcompare.analysis.selectivity.history_variables import refuse_history
from nwbcompare.analysis.selectivity.kernels.ftv_null import (
    equal_variances,
    observed_variances,
    packed,
    variances,
)
from nwbcompare.analysis.selectivity.kernels.noise_correction import noisy_variance
from nwbcompare.analysis.selectivity.kernels.slow_drift import slow_drift

N_TIMES = 3
PAIR = ("a", "b")


def pattern(rng, variance, *, n_conditions=4):
    """Noise-free rates (condition, time) of a given task variance."""
    drawn = rng.standard_normal((n_conditions, 1)) + 0.3 * rng.standard_normal(
        (n_conditions, N_TIMES)
    )
    drawn -= drawn.mean(axis=0)
    return drawn * np.sqrt(variance / drawn.var(axis=0).mean())


def recording(
    rng,
    *,
    n_units=6,
    rate=(10.0, 10.0),
    variance=(0.0, 0.0),
    trials=(12, 12),
    fano=1.0,
    in_blocks=False,
    ordered=True,
    name="c",
):
    """A ragged recording of Poisson-like counts; two units a session."""
    rows = []
    for _ in range(n_units):
        task = np.repeat([0, 1], np.array(trials) * 4)
        condition = np.concatenate([np.arange(n * 4) % 4 for n in trials])
        order = np.arange(task.size) if in_blocks else rng.permutation(task.size)
        task, condition = task[order], condition[order]
        tuning = np.stack([pattern(rng, v) if v else np.zeros((4, N_TIMES)) for v in variance])
        mean = np.maximum(np.array(rate)[task][:, None] + tuning[task, condition], 0) * 0.2
        counts = (
            rng.poisson(mean)
            if fano == 1
            else rng.negative_binomial(np.maximum(mean, 1e-9) / (fano - 1), 1 / fano)
        )
        rows.append((task, condition, counts / 0.2))
    task, condition, rates = (np.concatenate(column) for column in zip(*rows, strict=True))
    n_trials = task.size // n_units
    order = {"trial_number": np.tile(np.arange(n_trials), n_units)} if ordered else {}
    return nc.make_block(
        rates,
        time_s=(np.arange(N_TIMES) + 0.5) * 0.2,
        bin_width_s=0.2,
        aligned_to="stimulus",
        trials={"task": np.array(PAIR)[task], name: condition, **order},
        units={"unit": [f"u{i}" for i in range(n_units)], "session": np.arange(n_units) // 2},
        observation_unit=np.repeat(np.arange(n_units), n_trials),
        condition_variables={"a": [name], "b": [name]},
        source="recording",
        name="toy",
    )


def run(block, **options):
    return nc.selectivity.ftv_null(block, *PAIR, **{"n_resamples": 19, "n_jobs": 1} | options)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# the statistic --------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(5, 9, 2, 7), (6, 6, 6), (2, 2), (40, 3, 30, 4)])
def test_variances_of_a_unit_are_those_of_the_noise_correction(rng, counts):
    cells = [rng.poisson(3, (n, 4)).astype(float) for n in counts]
    found = observed_variances(cells)
    expected = noisy_variance(
        np.vstack(cells), np.repeat(np.arange(len(counts)), counts), len(counts), "per_time"
    )
    assert found.raw.item() == pytest.approx(expected.raw)
    assert found.corrected.item() == pytest.approx(expected.raw - expected.noise)
    assert found.squared_error.item() == pytest.approx(expected.sampling_variance)
    assert found.untuned.item() == pytest.approx(expected.untuned_variance)
    assert found.slope.item() == pytest.approx(expected.slope)


def test_the_statistic_is_that_of_the_corrected_variances_in_both_layouts(rng):
    block = recording(rng, variance=(9.0, 4.0), trials=(8, 20))
    found = run(block)
    corrected = nc.selectivity.corrected_task_variance(block)
    a, b = (corrected.sel(task=task) for task in PAIR)
    difference = a["task_variance"] - b["task_variance"]
    error = np.hypot(a["standard_error"], b["standard_error"])
    np.testing.assert_allclose(found["difference"], difference)
    np.testing.assert_allclose(found["total"], a["task_variance"] + b["task_variance"])
    np.testing.assert_allclose(found["z"], difference / error)
    with pytest.warns(nc.UnitWarning, match="8 trials a condition in task 'a', 20 in 'b'"):
        ftv = nc.fractional_task_variance(nc.task_variance(block), *PAIR)
    np.testing.assert_allclose(
        found["fractional_task_variance"], ftv["fractional_task_variance"], rtol=1e-6
    )
    one = block.isel(observation=block["observation_unit"].values == 2)
    dense = nc.make_block(
        one["rate"].values[:, :, None],
        time_s=block["time"].values,
        bin_width_s=0.2,
        aligned_to="stimulus",
        trials={"task": nc.labels(one["task"]), "c": one["c"].values},
        units={"unit": ["u2"]},
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="dense",
    )
    assert run(dense)["z"].item() == pytest.approx(found["z"].sel(unit="u2").item())


def test_the_unbiased_error_is_unbiased(rng):
    n_datasets, n = 4000, 6
    tuning = pattern(rng, 2.0)
    trials = tuning[None, :, None] + 2 * rng.standard_normal((n_datasets, 4, n, N_TIMES))
    means = trials.mean(axis=2)
    covariance = packed(trials - means[:, :, None]).sum(axis=2) / (n * (n - 1))
    found = variances(means, covariance, np.full(4, n - 1.0))
    assert found.corrected.mean() == pytest.approx(2.0, rel=0.03)
    assert found.unbiased_squared_error.mean() == pytest.approx(found.corrected.var(), rel=0.08)
    assert (found.squared_error >= found.unbiased_squared_error - 1e-12).all()


def test_tasks_swapped_and_units_scaled_give_the_same_p(rng):
    tasks = [[rng.normal(m, 1, (15, N_TIMES)) for m in means] for means in ((0, 2, 1), (1, 1, 0))]
    one = equal_variances(tasks, 400, np.random.default_rng(0))
    scaled = [[3 * cell + 7 for cell in cells] for cells in tasks]
    other = equal_variances(scaled, 400, np.random.default_rng(0))
    assert other.z == pytest.approx(one.z)
    assert other.p_value == one.p_value
    swapped = equal_variances(tasks[::-1], 400, np.random.default_rng(0))
    assert swapped.z == pytest.approx(-one.z)
    assert swapped.p_value == pytest.approx(one.p_value, abs=0.06)


def test_under_the_null_the_resamples_have_equal_variances_of_the_common_size(rng):
    block = recording(rng, n_units=30, variance=(30.0, 5.0), trials=(40, 40), rate=(30, 30))
    null = run(block, n_resamples=200)["null_ftv"]
    observed = run(block)["fractional_task_variance"]
    assert observed.mean() > 0.4
    assert abs(float(null.mean())) < 0.05


def test_threads_change_nothing_and_seeds_reproduce(rng):
    block = recording(rng, variance=(2.0, 2.0))
    one, two, other = (run(block, seed=s, n_jobs=n) for s, n in ((3, 1), (3, 2), (4, 1)))
    xr.testing.assert_identical(one, two)
    assert not one["null_ftv"].equals(other["null_ftv"])
    np.testing.assert_array_equal(one["z"], other["z"])


# errors and power -----------------------------------------------------------------------------


def at_most(n, level=0.05, confidence=0.999):
    return stats.binom.ppf(confidence, n, level) / n


@pytest.mark.parametrize(
    "options",
    [
        {"rate": (5.0, 15.0)},
        {"rate": (8.0, 12.0), "trials": (10, 25)},
        {"variance": (9.0, 9.0), "rate": (12.0, 20.0)},
        {"fano": 2.5, "variance": (9.0, 9.0), "rate": (15.0, 15.0)},
    ],
)
def test_units_of_ftv_0_are_called_in_at_most_five_per_cent(options):
    block = recording(np.random.default_rng(5), n_units=300, **options)
    found = run(block, n_resamples=99)
    share = float(found["share_significant"])
    assert 0.003 < share <= at_most(300)
    assert found["n_tested"] == 300
    assert found["share_discovered"] <= 0.01


def test_labels_permuted_between_tasks_call_units_of_unequal_rates():
    """The negative control: exchangeable trials are another hypothesis."""
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(60):
        tasks = np.stack([rng.poisson(rate * 0.2, (20, 4, N_TIMES)) for rate in (5, 15)])
        trials = tasks.reshape(40, 4, N_TIMES)
        ftv = []
        for draw in range(100):
            own = trials if draw == 0 else rng.permuted(trials, axis=0)
            a, b = own[:20].mean(axis=0), own[20:].mean(axis=0)
            a, b = a.var(axis=0).mean(), b.var(axis=0).mean()
            ftv.append(abs(a - b) / (a + b))
        called += np.mean(np.array(ftv) >= ftv[0]) <= 0.05
    assert called > 12


def test_power_grows_with_the_difference():
    shares = [
        float(
            run(
                recording(
                    np.random.default_rng(6),
                    n_units=60,
                    variance=(size, 10.0),
                    trials=(40, 40),
                    rate=(25.0, 25.0),
                ),
                n_resamples=99,
            )["share_significant"]
        )
        for size in (10.0, 30.0, 100.0)
    ]
    assert shares[0] < 0.2
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.9


def populations(rng, n_datasets, *, n_sessions=20, sd=0.0, mean=0.0):
    """p values of populations with normal differences, whose errors sessions share in part."""
    session = np.sort(np.arange(60) % n_sessions)
    p = np.empty((n_datasets, 2))
    for dataset in range(n_datasets):
        total = np.exp(rng.standard_normal(60))
        true = total * (mean + sd * rng.standard_normal(60))
        error = (rng.standard_normal(n_sessions)[session] + rng.standard_normal(60)) / np.sqrt(2)
        found = population_test(true + 0.5 * error, total, np.full(60, 0.25), session)
        p[dataset] = found.summed_ftv_p_value, found.spread_p_value
    return (p <= 0.05).mean(axis=0)


def test_population_tests_hold_their_level_and_have_power(rng):
    of_mean, of_spread = populations(rng, 1500)
    assert 0.02 < of_mean < 0.08
    assert of_spread < 0.08
    # the mean is 0 although units differ
    of_mean, of_spread = populations(rng, 800, sd=0.5)
    assert of_mean < 0.09
    assert of_spread > 0.5
    assert populations(rng, 300, mean=0.3)[0] > 0.8


def test_fewer_than_five_sessions_are_not_tested():
    values = np.ones(8)
    found = population_test(values, 4 * values, 0.1 * values, np.arange(8) // 2)
    assert (found.summed_ftv, found.n_sessions) == (0.25, 4)
    assert np.isnan([found.summed_ftv_p_value, found.spread_p_value]).all()


# refusals -------------------------------------------------------------------------------------


def test_tasks_in_few_blocks_are_refused_and_unknown_orders_are_said(rng):
    with pytest.raises(
        nc.NotApplicableError, match=r"got 6 others, 6 of them with tasks in few blocks"
    ):
        run(recording(rng, in_blocks=True))
    mixed = recording(rng)
    task = mixed["task"].values[:96]
    mixed["trial_number"].values[:96] = np.argsort(np.argsort(task, kind="stable"))
    with pytest.warns(nc.UnitWarning, match=r"1 units have tasks in few blocks.*u0"):
        found = run(mixed)
    assert np.isnan(found["p_value"]).values.tolist() == [True] + [False] * 5
    assert found["drift_share"][0] > 0.5
    assert (found["drift_share"][1:] < 0.16).all()
    assert found.attrs["n_drifting"] == 1
    assert (abs(found["drift_z"][1:]) < 0.25).all()
    for unknown in (
        run(recording(rng, in_blocks=True, ordered=False)),
        run(recording(rng, in_blocks=True), trial_order=None),
    ):
        assert unknown.attrs["order_known"] == 0
        assert unknown["drift_share"].isnull().all()
        assert unknown["n_tested"] == 6


def test_parts_of_one_trial_are_refused(rng):
    block = recording(rng)
    block["trial_number"].values[:] = np.repeat(np.arange(6 * 48), 2) % 96
    with pytest.raises(nc.NotApplicableError, match="one observation of each trial"):
        run(block)


@pytest.mark.parametrize("name", ["previous_choice", "reward_history", "choice_1_back", "r_lag2"])
def test_conditions_of_earlier_trials_are_refused(rng, name):
    block = recording(rng, name=name)
    with pytest.raises(nc.NotApplicableError, match=f"'{name}', which describes earlier trials"):
        run(block)
    with pytest.raises(nc.NotApplicableError, match="not exchangeable"):
        nc.selectivity.condition_label_null(block, n_permutations=3)
    block[name].attrs["trials_back"] = 0
    assert run(block)["n_tested"] == 6


def test_tasks_of_earlier_trials_are_refused_by_attribute_or_name(rng):
    block = recording(rng)
    refuse_history(block, PAIR, ["c"])
    with pytest.raises(nc.NotApplicableError, match="task: expected variables of the trial itself"):
        refuse_history(block, ["after_previous_reward"], ["c"])
    block["task"].attrs["trials_back"] = 1
    with pytest.raises(nc.NotApplicableError, match="'a', which describes earlier trials"):
        run(block)


def test_a_trial_in_which_nothing_was_recorded_is_none(rng):
    task, side = np.tile(np.repeat([0, 1], 4), 12), np.tile(np.arange(4), 24)
    rates = rng.poisson(3.0, (task.size, N_TIMES, 4)) / 0.2
    rates[[5, 40]] = np.nan
    block = nc.make_block(
        rates,
        time_s=(np.arange(N_TIMES) + 0.5) * 0.2,
        bin_width_s=0.2,
        aligned_to="stimulus",
        trials={"task": np.array(PAIR)[task], "side": side, "trial_number": np.arange(task.size)},
        units={"unit": [*"wxyz"], "session": ["s"] * 4, "subject": ["m"] * 4},
        condition_variables={task: ["side"] for task in PAIR},
        source="recording",
        name="day 1",
    )
    without = block.isel(trial=np.flatnonzero(np.isfinite(rates[:, 0, 0])))
    xr.testing.assert_identical(run(block), run(without))


def test_units_with_few_trials_or_missing_times(rng):
    block = recording(rng)
    unit, condition = block["observation_unit"].values, block["c"].values
    few = (unit == 2) & (condition == 1) & (block["task"].values == 0)
    few[np.flatnonzero(few)[0]] = False
    block = block.isel(observation=~few)
    with pytest.warns(nc.UnitWarning, match=r"1 units have fewer than 2 trials of a condition.*u2"):
        whole = run(block)
    assert np.isnan(whole["z"]).values.tolist() == [False, False, True, False, False, False]
    assert whole["n_tested"] == 5
    block["rate"].values[0, 0] = np.nan
    with pytest.warns(nc.UnitWarning):
        partly = run(block)
    assert partly["z"][0] != whole["z"][0]
    np.testing.assert_array_equal(partly["z"][1:], whole["z"][1:])


def test_silent_units_and_other_conditions(rng):
    block = recording(rng)
    block["rate"].values[block["observation_unit"].values == 1] = 0
    with pytest.warns(nc.UnitWarning, match=r"or no noise.*u1"):
        assert np.isnan(run(block)["p_value"][1])
    # the tasks need not share their conditions
    fewer = block.isel(observation=~((block["task"].values == 0) & (block["c"].values == 3)))
    with pytest.warns(nc.UnitWarning):
        assert run(fewer)["n_tested"] == 5


def test_bad_arguments_are_refused(rng):
    block = recording(rng)
    with pytest.raises(nc.InputError, match="n_resamples: expected a whole number of 1 or more"):
        run(block, n_resamples=0)
    with pytest.raises(nc.InputError, match="task: expected one of a, b"):
        nc.selectivity.ftv_null(block, "a", "z")
    with pytest.raises(nc.InputError, match="task_b: expected another task"):
        nc.selectivity.ftv_null(block, "a", "a")
    with pytest.raises(nc.InputError, match="trial_order: expected one of"):
        run(block, trial_order="trail_number")
    with pytest.raises(nc.NotApplicableError, match="expected noisy trials"):
        run(block.assign_attrs(deterministic=1))


def test_results_carry_their_units_and_are_saved(rng, tmp_path):
    result = run(recording(rng), conditions=["c"])
    assert result["session"].values.tolist() == [0, 0, 1, 1, 2, 2]
    assert result["n_sessions"] == 3
    result.to_netcdf(tmp_path / "null.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "null.nc", engine="h5netcdf"), result)


# drift ----------------------------------------------------------------------------------------


def alternating(n_trials, n_blocks):
    return np.arange(n_trials) * n_blocks // n_trials % 2


def test_the_share_of_the_tasks_that_drift_explains_falls_with_their_blocks(rng):
    condition = np.tile(np.arange(4), 100)
    shares = [
        slow_drift(np.ones(400), alternating(400, n), condition).task_share for n in (2, 4, 10, 40)
    ]
    assert shares[0] > 0.8
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.02
    by_chance = [
        slow_drift(np.ones(400), rng.permutation(alternating(400, 2)), condition).task_share
        for _ in range(400)
    ]
    assert np.mean(by_chance) == pytest.approx(3 / 399, rel=0.2)


def test_the_drift_of_a_rate_is_found_apart_from_task_and_condition(rng):
    x, condition = np.linspace(-1, 1, 400), rng.integers(4, size=400)
    task = alternating(400, 4)
    gain = 1 + 0.2 * x - 0.1 * x**3
    expected = gain[task == 0].mean() - gain[task == 1].mean()
    still = 10 + 3.0 * task + condition
    found = slow_drift(10 * (gain - 1) + still, task, condition)
    assert found.gain_difference == pytest.approx(10 * expected / (still + gain).mean(), rel=0.15)
    assert slow_drift(still, task, condition).gain_difference == pytest.approx(0, abs=1e-12)
    assert np.isnan(slow_drift(still, task * 0, condition)).all()


def test_units_whose_rate_drifts_between_blocks_are_refused():
    rng = np.random.default_rng(2)
    block = recording(rng, n_units=8, variance=(60.0, 60.0), rate=(30.0, 30.0), trials=(60, 60))
    for unit in range(8):
        rows = slice(unit * 480, (unit + 1) * 480)
        task, place = block["task"].values[rows], np.empty(480, dtype=int)
        for which in (0, 1):
            place[task == which] = np.flatnonzero(alternating(480, 12) == which)
        block["trial_number"].values[rows] = place
        if unit < 4:
            block["rate"].values[rows] *= (1 + 0.6 * (place / 240 - 1))[:, None]
    with pytest.warns(nc.UnitWarning, match=r"4 units have tasks in few blocks or a rate that"):
        found = run(block)
    assert np.isnan(found["p_value"]).values.tolist() == [True] * 4 + [False] * 4
    assert (found["drift_z"][:4] < -0.25).all()
