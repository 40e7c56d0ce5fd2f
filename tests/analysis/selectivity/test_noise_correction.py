"""Noise-corrected variance and FTV: exact twins, simulated truth, invariances, deconvolution."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.selectivity.kernels.deconvolution import (
    Tuning,
    deconvolve,
    ftv_grid,
    in_bins,
    likelihood,
    moments,
)
from nwbcompare.analysis.selectivity.kernels.noise_correction import (
    half_covariances,
    noisy_variance,
    split_half_variance,
)
from nwbcompare.analysis.selectivity.noise_correction import (
    censoring_table,
    corrected_ftv,
    corrected_task_variance,
    deconvolved_ftv,
)
from nwbcompare.kernels.variance import ESTIMATORS
from nwbcompare.plotting.noise_correction import plot_corrected_ftv, plot_noise_share
from nwbcompare.plotting.style import new_figure

COUNTS = np.array([2, 3, 5, 9])
FTV, TV, SE = "fractional_task_variance", "task_variance", "standard_error"


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def unit_trials(rng, *, counts=COUNTS, signal=1.0, n_times=4, n_repeats=None):
    """Trials of one unit whose noise is correlated in time and grows with the condition."""
    tuning = signal * np.random.default_rng(0).standard_normal((len(counts), n_times))
    condition = np.repeat(np.arange(len(counts)), counts)
    shape = (condition.size, n_times) if n_repeats is None else (n_repeats, condition.size, n_times)
    noise = rng.standard_normal(shape)
    noise = noise + 0.8 * rng.standard_normal((*shape[:-1], 1))
    return tuning[condition] + noise * (1 + 0.3 * condition)[:, None], condition, tuning


def recording(rng, *, ragged=False, n_trials=(40, 24), n_units=6, signal=(1.0, 1.0), noise=1.0):
    """Noisy trials of two tasks with four conditions; numbers of trials and signal by task."""
    task = np.repeat([0, 1], n_trials)
    condition = np.concatenate([np.arange(n) % 4 for n in n_trials])
    tuning = rng.standard_normal((2, 4, 5, n_units)) * np.array(signal)[:, None, None, None]
    rate = 10 + tuning[task, condition] + noise * rng.standard_normal((task.size, 5, n_units))
    columns = {"task": np.array(["a", "b"])[task], "c": condition.astype(float)}
    common = {
        "time_s": (np.arange(5) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "stimulus",
        "condition_variables": {"a": ["c"], "b": ["c"]},
        "source": "recording",
        "name": "toy",
        "units": {
            "unit": [f"u{i}" for i in range(n_units)],
            "session": np.array(["s0", "s1", "s2"])[np.arange(n_units) % 3],
        },
    }
    if not ragged:
        return nc.make_block(rate, trials=columns, **common)
    unit = np.repeat(np.arange(n_units), task.size)
    shuffle = rng.permutation(unit.size)
    rows = np.concatenate([rate[:, :, i] for i in range(n_units)])[shuffle]
    tiled = {name: np.tile(values, n_units)[shuffle] for name, values in columns.items()}
    return nc.make_block(rows, trials=tiled, observation_unit=unit[shuffle], **common)


def quadratic_form(n_conditions, n_times, estimator):
    """The matrix Q of an estimator, by feeding it unit vectors (a slow twin)."""
    size = n_conditions * n_times
    value = ESTIMATORS[estimator]
    eye = np.eye(size).reshape(size, n_conditions, n_times)
    diagonal = value(eye)
    matrix = np.empty((size, size))
    for i, j in product(range(size), repeat=2):
        matrix[i, j] = (value(eye[i] + eye[j]) - diagonal[i] - diagonal[j]) / 2
    return matrix


def covariance_of_means(trials, condition, n_conditions):
    n_times = trials.shape[1]
    matrix = np.zeros((n_conditions * n_times,) * 2)
    for c in range(n_conditions):
        rows = trials[condition == c]
        here = slice(c * n_times, (c + 1) * n_times)
        matrix[here, here] = np.cov(rows.T, ddof=1).reshape(n_times, n_times) / len(rows)
    return matrix


# the analytic estimate ----------------------------------------------------------------------


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_noise_is_the_trace_of_the_quadratic_form(rng, estimator):
    trials, condition, _ = unit_trials(rng)
    found = noisy_variance(trials, condition, 4, estimator)
    means = np.stack([trials[condition == c].mean(axis=0) for c in range(4)])
    form = quadratic_form(4, 4, estimator)
    covariance = covariance_of_means(trials, condition, 4)
    assert found.raw == pytest.approx(ESTIMATORS[estimator](means[None]).item())
    assert found.noise == pytest.approx(np.trace(form @ covariance))
    along = means.ravel() @ form @ covariance @ form @ means.ravel()
    assert found.slope == pytest.approx(4 * along / found.raw)


def test_noise_per_time_is_the_published_formula(rng):
    trials, condition, _ = unit_trials(rng)
    errors = [trials[condition == c].var(axis=0, ddof=1) / n for c, n in enumerate(COUNTS)]
    found = noisy_variance(trials, condition, 4, "per_time")
    assert found.noise == pytest.approx(0.75 * np.mean(errors))


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_the_estimate_is_unbiased_and_so_is_its_sampling_variance(estimator):
    counts = np.array([3, 4, 6, 9])
    many, condition, tuning = unit_trials(np.random.default_rng(2), counts=counts, n_repeats=3000)
    found = np.array([noisy_variance(trials, condition, 4, estimator) for trials in many])
    truth = ESTIMATORS[estimator](tuning[None]).item()
    corrected = found[:, 0] - found[:, 1]
    error = corrected.std() / np.sqrt(len(corrected))
    assert abs(corrected.mean() - truth) < 4 * error
    # negative control: without the correction it is far off
    assert found[:, 0].mean() - truth > 20 * error
    # the floor makes the mean sampling variance a little larger, never smaller
    assert corrected.var() == pytest.approx(found[:, 2].mean(), rel=0.12)
    standard_error = np.sqrt(found[:, 2])
    covered = (np.abs(corrected - truth) < 1.96 * standard_error).mean()
    # of conditions with 3 trials the standard error is itself uncertain
    assert 0.85 < covered < 0.98


def test_the_untuned_variance_is_that_of_units_without_tuning():
    counts = np.array([4, 5, 6, 9])
    many, condition, _ = unit_trials(
        np.random.default_rng(3), counts=counts, signal=0, n_repeats=3000
    )
    found = np.array([noisy_variance(trials, condition, 4, "per_time") for trials in many])
    assert (found[:, 0] - found[:, 1]).var() == pytest.approx(found[:, 3].mean(), rel=0.1)


def test_the_correction_is_unbiased_for_skewed_trials_too():
    rng = np.random.default_rng(4)
    rates = np.array([2.0, 5.0, 9.0])
    condition = np.repeat(np.arange(3), [2, 5, 12])
    many = rng.poisson(rates[condition][None, :, None] * rng.gamma(2, 0.5, (4000, 19, 1)))
    corrected = [
        (found := noisy_variance(trials.astype(float), condition, 3, "per_time")).raw - found.noise
        for trials in many
    ]
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected) - rates.var()) < 4 * error


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_missing_times_leave_it_unbiased(estimator):
    rng = np.random.default_rng(5)
    many, condition, tuning = unit_trials(
        rng, counts=np.array([5, 6, 8, 9]), n_times=3, n_repeats=3000
    )
    # trials that end early, and others that begin late
    missing = np.zeros(many.shape[1:], dtype=bool)
    missing[::3, 2], missing[1::4, 0] = True, True
    many[:, missing] = np.nan
    found = np.array([noisy_variance(trials, condition, 4, estimator) for trials in many])
    corrected = found[:, 0] - found[:, 1]
    error = corrected.std() / np.sqrt(len(corrected))
    assert abs(corrected.mean() - ESTIMATORS[estimator](tuning[None]).item()) < 4 * error


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_order_scale_and_offset(rng, estimator):
    trials, condition, _ = unit_trials(rng)
    found = np.array(noisy_variance(trials, condition, 4, estimator))
    order = rng.permutation(condition.size)
    np.testing.assert_allclose(
        noisy_variance(trials[order], condition[order], 4, estimator), found, rtol=1e-9
    )
    scaled = noisy_variance(3 * trials + 100, condition, 4, estimator)
    np.testing.assert_allclose(scaled, found * np.array([9, 9, 81, 81, 9, 1]), rtol=1e-7)
    # negative control: labels do matter
    moved = noisy_variance(trials, np.roll(condition, 3), 4, estimator)
    assert abs(moved.raw / found[0] - 1) > 0.01


def test_times_with_one_trial_of_a_condition_do_not_count(rng):
    trials, condition, _ = unit_trials(rng)
    trials[0, 2] = np.nan
    found = noisy_variance(trials, condition, 4, "per_time")
    kept = noisy_variance(trials[:, [0, 1, 3]], condition, 4, "per_time")
    assert found == kept
    assert found.n_times == 3
    trials[0] = np.nan
    assert np.isnan(noisy_variance(trials, condition, 4, "per_time").raw)


# split halves -------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_over_all_splits_it_is_the_analytic_estimate(rng, estimator):
    counts = np.array([2, 3, 4])
    trials, condition, _ = unit_trials(rng, counts=counts, n_times=2)
    laid = np.full((3, 4, 2), np.nan)
    for c, n in enumerate(counts):
        laid[c, :n] = trials[condition == c]
    splits = list(product(*(combinations(range(n), n // 2) for n in counts)))
    member = np.zeros((3, len(splits), 4), dtype=bool)
    for place, split in enumerate(splits):
        for c, chosen in enumerate(split):
            member[c, place, list(chosen)] = True
    found = noisy_variance(trials, condition, 3, estimator)
    every = half_covariances(laid, member, estimator)
    assert every.mean() == pytest.approx(found.raw - found.noise)
    assert every.std() > 0


def test_one_split_equals_a_plain_loop(rng):
    trials = rng.standard_normal((3, 6, 2))
    member = np.zeros((3, 1, 6), dtype=bool)
    member[:, 0, :3] = True
    first, second = trials[:, :3].mean(axis=1), trials[:, 3:].mean(axis=1)
    expected = np.mean([np.cov(first[:, t], second[:, t], ddof=0)[0, 1] for t in range(2)])
    assert half_covariances(trials, member, "per_time").item() == pytest.approx(expected)


def test_random_splits_come_near_as_their_own_error_says(rng):
    trials, condition, _ = unit_trials(rng)
    exact = noisy_variance(trials, condition, 4, "per_time")
    away = []
    for seed in range(60):
        mean, variance = split_half_variance(
            trials, condition, 4, "per_time", n_splits=50, rng=np.random.default_rng(seed)
        )
        away.append((mean - exact.raw + exact.noise) / np.sqrt(variance))
    assert abs(np.mean(away)) < 0.5
    assert 0.7 < np.std(away) < 1.4


def test_a_split_that_lacks_something_is_left_out(rng):
    trials, condition, _ = unit_trials(rng, counts=np.array([4, 4]))
    trials[:2, 1] = np.nan
    mean, _ = split_half_variance(trials, condition, 2, "per_time", n_splits=40, rng=rng)
    assert np.isfinite(mean)
    trials[:3] = np.nan
    assert np.isnan(
        split_half_variance(trials, condition, 2, "per_time", n_splits=40, rng=rng)
    ).all()


# labelled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_both_layouts_give_the_same_and_fit_task_variance(estimator):
    dense, ragged = (
        corrected_task_variance(recording(np.random.default_rng(0), ragged=r), estimator=estimator)
        for r in (False, True)
    )
    xr.testing.assert_allclose(dense, ragged.drop_vars("unit_key"))
    raw = nc.task_variance(recording(np.random.default_rng(0)), estimator=estimator)
    np.testing.assert_allclose(dense["uncorrected"], raw[TV])
    np.testing.assert_allclose(dense[TV] + dense["noise"], dense["uncorrected"])
    np.testing.assert_array_equal(dense["least_trials"].sel(unit="u0"), [10, 6])
    np.testing.assert_array_equal(dense["n_bins"], raw["n_bins"])


def test_the_published_ftv_works_on_it_and_it_is_saved(rng, tmp_path):
    found = corrected_task_variance(recording(rng), method="split_half", n_splits=10)
    assert found.attrs["method"] == "split_half"
    ftv = nc.fractional_task_variance(found, "a", "b")
    assert ftv.attrs["task_a"] == "a"
    shrunken = deconvolved_ftv(found, "a", "b", n_bootstrap=3)
    table = censoring_table(found, "a", "b", shrunken=shrunken)
    for place, result in enumerate((found, corrected_ftv(found, "a", "b"), shrunken, table)):
        path = tmp_path / f"{place}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), result)


def test_split_halves_agree_and_depend_on_the_seed_alone(rng):
    block = recording(rng)
    analytic = corrected_task_variance(block)
    one, two, other = (
        corrected_task_variance(block, method="split_half", seed=seed) for seed in (0, 0, 1)
    )
    xr.testing.assert_identical(one, two)
    assert (one[TV] != other[TV]).all()
    assert (np.abs(one[TV] - analytic[TV]) < 0.5 * analytic[SE]).all()
    assert (one[SE] >= analytic[SE]).all()
    fewer = corrected_task_variance(nc.select(block, units=["u0"]), method="split_half")
    np.testing.assert_array_equal(fewer[TV][0], one[TV][0])


def test_a_deterministic_source_has_no_noise(rng):
    block = recording(rng).isel(trial=[0, 1, 2, 3, 40, 41, 42, 43])
    exact = block.assign_attrs(deterministic=1)
    for method in ("analytic", "split_half"):
        found = corrected_task_variance(exact, method=method)
        np.testing.assert_array_equal(found[TV], nc.task_variance(exact)[TV])
        assert (found["noise"] == 0).all()
        assert (found[SE] == 0).all()
        assert found.attrs["n_below_3_trials"] == 0
    ftv = corrected_ftv(found, "a", "b")
    np.testing.assert_array_equal(
        ftv[FTV], nc.fractional_task_variance(nc.task_variance(exact), "a", "b")[FTV]
    )
    assert (ftv[SE] == 0).all()
    with pytest.raises(nc.InputError, match="'toy' without noise.*fractional_task_variance"):
        deconvolved_ftv(found, "a", "b")


def test_too_few_trials_are_named_or_counted(rng):
    block = recording(rng)
    rows = (block["task"].values == 1) & (block["c"].values == 2)
    block["rate"].values[np.flatnonzero(rows)[1:], :, 3] = np.nan
    block["rate"].values[np.flatnonzero(rows)[2:], :, 4] = np.nan
    with pytest.warns(nc.UnitWarning, match=r"1 units have fewer than 2 trials .* 'b'.*u3"):
        found = corrected_task_variance(block)
    assert found[TV].isnull().sum() == 1
    assert found.attrs["n_below_3_trials"] == 1
    np.testing.assert_array_equal(found["least_trials"].sel(task="b")[2:], [6, 1, 2, 6])
    ftv = corrected_ftv(found, "a", "b")
    assert ftv["censored"].values.tolist()[3] == "unknown"
    assert deconvolved_ftv(found, "a", "b", n_bootstrap=2).attrs["n_units"] == 5


def pair_of(values, errors=1.0):
    return xr.Dataset(
        {TV: (("unit", "task"), values), SE: (("unit", "task"), np.full(np.shape(values), errors))},
        coords={"unit": [f"u{i}" for i in range(len(values))], "task": ["a", "b"]},
    )


def test_rules_for_negative_variances():
    found = pair_of([[3.0, 1.0], [4.0, -1.0], [-1.0, 2.0], [-1.0, -2.0], [1.0, -3.0]])
    expected = {
        "censor": [0.5, 1, -1, np.nan, np.nan],
        "keep": [0.5, 5 / 3, -3, np.nan, np.nan],
        "drop": [0.5, np.nan, np.nan, np.nan, np.nan],
    }
    for rule, values in expected.items():
        ftv = corrected_ftv(found, "a", "b", rule=rule)
        np.testing.assert_allclose(ftv[FTV], values)
        assert ftv["censored"].values.tolist() == ["", "at +1", "at -1", "untuned", "untuned"]
        assert (ftv.attrs["n_censored"], ftv.attrs["n_untuned"]) == (2, 2)


@given(st.floats(0.5, 50), st.floats(0.5, 50))
def test_the_error_of_ftv_is_that_of_its_slopes(a, b):
    error = corrected_ftv(pair_of([[a, b]], 0.01), "a", "b")[SE].item()
    step = 1e-5
    slopes = [
        (corrected_ftv(pair_of([[a + x, b + y]]), "a", "b")[FTV].item() - (a - b) / (a + b)) / step
        for x, y in ((step, 0), (0, step))
    ]
    assert error == pytest.approx(0.01 * np.hypot(*slopes), rel=1e-2, abs=1e-7)


def test_bad_input_is_refused(rng):
    block = recording(rng)
    found = corrected_task_variance(block)
    with pytest.raises(nc.InputError, match="method: expected one of analytic, split_half"):
        corrected_task_variance(block, method="halves")
    with pytest.raises(nc.InputError, match="n_splits: expected 2 or more"):
        corrected_task_variance(block, method="split_half", n_splits=1)
    with pytest.raises(nc.InputError, match="estimator: expected one of"):
        corrected_task_variance(block, estimator="per_tim")
    with pytest.raises(nc.InputError, match="rule: expected one of censor, keep, drop"):
        corrected_ftv(found, "a", "b", rule="clip")
    with pytest.raises(nc.InputError, match="task: expected one of a, b"):
        corrected_ftv(found, "a", "c")
    with pytest.raises(nc.InputError, match="a task other than 'a'"):
        corrected_ftv(found, "a", "a")
    with pytest.raises(nc.InputError, match="noise-corrected variances with 'uncorrected'"):
        deconvolved_ftv(nc.task_variance(block), "a", "b")
    with pytest.raises(nc.InputError, match="within: expected one of"):
        deconvolved_ftv(found, "a", "b", within="day")
    with pytest.raises(nc.InputError, match="n_bootstrap: expected 1 or more"):
        deconvolved_ftv(found, "a", "b", n_bootstrap=0)
    with pytest.raises(nc.InputError, match="two units or more"):
        deconvolved_ftv(found.isel(unit=[0]), "a", "b")
    with pytest.raises(nc.InputError, match="two values or more of 'session'"):
        deconvolved_ftv(found.isel(unit=[0, 3]), "a", "b", within="session")


# deconvolution ------------------------------------------------------------------------------


def simulated(ftv, rng, *, noise=3.0):
    """Raw variances of units with 6 degrees of freedom of noise and given FTV."""
    total = 10 * np.exp(0.8 * rng.standard_normal(ftv.size))
    true = total[:, None] * np.stack([1 + ftv, 1 - ftv], axis=1) / 2
    added = np.full(true.shape, noise)
    slope = 4 * added / 6
    mean, variance = true + added, added**2 / 3 + slope * true
    return Tuning(rng.gamma(mean**2 / variance, variance / mean), added, added**2 / 3, slope)


def fraction(values):
    with np.errstate(invalid="ignore"):
        return (values[:, 0] - values[:, 1]) / values.sum(axis=1)


DISTRIBUTIONS = {
    "two points": lambda rng: rng.choice([-0.8, 0.8], 400),
    "uniform": lambda rng: rng.uniform(-0.8, 0.8, 400),
    "ends": lambda rng: rng.choice([-1.0, 1.0], 400),
    "narrow": lambda rng: 0.25 * rng.uniform(-1, 1, 400),
}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_the_distribution_behind_the_noise_is_recovered(kind):
    rng = np.random.default_rng(6)
    truth = DISTRIBUTIONS[kind](rng)
    measured = simulated(truth, rng)
    found = deconvolve(likelihood(measured))
    grid, _ = ftv_grid()
    assert float(moments(found.mass[0])[1]) == pytest.approx(truth.std(), abs=0.06)
    if kind == "two points":
        assert found.mass[0][np.abs(grid) > 0.55].sum() > 0.8
    if kind == "uniform":
        assert found.mass[0][np.abs(grid) < 0.5].sum() == pytest.approx(0.64, abs=0.1)
    # negative control: neither the raw nor the corrected values have that spread
    corrected = np.maximum(measured.raw - measured.noise, 0)
    plain, clipped = (fraction(values) for values in (measured.raw, corrected))
    if kind == "uniform":
        assert truth.std() - plain.std() > 0.05
        assert np.nanstd(clipped) - truth.std() > 0.05
        assert float(moments(found.mass[0])[1]) == pytest.approx(truth.std(), abs=0.025)
    assert np.mean((found.mean[0] - truth) ** 2) < np.mean((plain - truth) ** 2)


def test_the_likelihood_is_that_of_a_plain_loop(rng):
    from scipy.stats import gamma

    measured = simulated(rng.uniform(-1, 1, 4), rng)
    found = likelihood(measured)
    grid, _ = ftv_grid()
    # the point of no tuning: gamma with the moments of the noise, and the width of a cell
    highest = 1.2 * measured.raw.sum(axis=1).max()
    lowest = 0.1 * np.median(np.sqrt(measured.untuned_variance.sum(axis=1)))
    step = np.log(highest / lowest) / 59
    for unit in range(4):
        values = []
        for true in (0.0, lowest):
            logarithm = 0.0
            for task, share in enumerate(((1 + grid[10]) / 2, (1 - grid[10]) / 2)):
                raw, noise, untuned, slope = (m[unit, task] for m in measured)
                mean = true * share + noise
                variance = untuned + slope * true * share
                variance += (true * 0.025) ** 2 / 12 + (step * mean) ** 2 / 12
                logarithm += gamma.logpdf(raw, mean**2 / variance, scale=variance / mean)
            values.append(logarithm)
        ratio = np.log(found[unit, 0, 10] / found[unit, 1, 10])
        assert ratio == pytest.approx(values[0] - values[1], abs=1e-9)


def test_doubled_units_and_weights_are_the_same(rng):
    likelihoods = likelihood(simulated(rng.uniform(-1, 1, 30), rng))
    weights = np.where(np.arange(30) < 10, 2.0, 1.0)
    doubled = deconvolve(np.concatenate([likelihoods, likelihoods[:10]]), n_iterations=20)
    weighted = deconvolve(likelihoods, weights[None], n_iterations=20)
    np.testing.assert_allclose(weighted.mass, doubled.mass, rtol=1e-4)


def test_bins_hold_all_mass():
    mass = np.random.default_rng(0).dirichlet(np.ones(41), size=3)
    binned = in_bins(mass, 20)
    np.testing.assert_allclose(binned.sum(axis=1), 1)
    np.testing.assert_allclose(binned[:, 0], mass[:, 0] + mass[:, 1] + mass[:, 2] / 2)


values = st.floats(0, 1e4, allow_subnormal=False)


@given(
    st.lists(st.tuples(values, values), min_size=2, max_size=6),
    st.floats(1e-3, 1e3),
)
def test_shrunken_ftv_is_always_in_range(raw, noise):
    shape = (len(raw), 2)
    rows = ("unit", "task")
    variance = xr.Dataset(
        {
            "uncorrected": (rows, np.array(raw) + 1e-6),
            "noise": (rows, np.full(shape, noise)),
            "untuned_variance": (rows, np.full(shape, noise**2)),
            "variance_slope": (rows, np.full(shape, noise)),
        },
        coords={"unit": [f"u{i}" for i in range(len(raw))], "task": ["a", "b"]},
    )
    found = deconvolved_ftv(variance, "a", "b", n_bootstrap=2)
    assert (np.abs(found[FTV]) <= 1).all()
    assert (found["standard_deviation"] >= 0).all()
    assert np.trapezoid(found["density"], found["ftv"]) == pytest.approx(1)


def test_weakly_tuned_units_lean_on_the_others():
    rng = np.random.default_rng(7)
    block = recording(rng, n_units=60, signal=(2.0, 1.0))
    weak = recording(rng, n_units=6, signal=(0.0, 0.0))
    block = xr.concat(
        [block, weak.assign_coords(unit=[f"weak{i}" for i in range(6)])],
        dim="unit",
        coords="minimal",
        compat="override",
    )
    variance = corrected_task_variance(block)
    found = deconvolved_ftv(variance, "a", "b", n_bootstrap=20)
    tuned, untuned = found.isel(unit=slice(60)), found.isel(unit=slice(60, None))
    spread = np.ptp(untuned[FTV].values)
    kept = corrected_ftv(variance, "a", "b", rule="censor", threshold=-np.inf)
    assert spread < 0.6 * np.ptp(kept[FTV].values[60:])
    assert untuned["standard_deviation"].mean() > tuned["standard_deviation"].mean()
    assert found["population_sd_low"] <= found["population_sd"] <= found["population_sd_high"]


def test_the_bootstrap_interval_covers_the_truth_and_can_draw_sessions():
    covered = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = rng.uniform(-0.8, 0.8, 120)
        rows = ("unit", "task")
        names = ("uncorrected", "noise", "untuned_variance", "variance_slope")
        variance = xr.Dataset(
            {n: (rows, v) for n, v in zip(names, simulated(truth, rng), strict=True)},
            coords={
                "unit": [f"u{i}" for i in range(120)],
                "task": ["a", "b"],
                "session": ("unit", np.arange(120) // 10),
            },
        )
        within = "session" if seed % 2 else None
        found = deconvolved_ftv(variance, "a", "b", n_bootstrap=50, seed=seed, within=within)
        covered.append(found["population_sd_low"] <= 0.8 / 3**0.5 <= found["population_sd_high"])
    # 12 intervals of 95 %: 8 or fewer would come once in 5000
    assert sum(covered) >= 9
    again = deconvolved_ftv(variance, "a", "b", n_bootstrap=50, seed=11, within="session")
    xr.testing.assert_identical(again, found)


def test_the_table_shows_what_the_rule_does():
    rng = np.random.default_rng(8)
    variance = corrected_task_variance(recording(rng, n_units=60, signal=(0.5, 0.5), noise=1.5))
    table = censoring_table(variance, "a", "b")
    sd = table["standard_deviation"].to_series()
    assert sd["raw"] < sd["drop"] < sd["censor"] < sd["keep"]
    assert sd["shrunken"] < sd["deconvolved"] < sd["censor"]
    numbers = table["n_units"].to_series()
    censored = table["n_censored"].to_series()
    assert numbers["censor"] - numbers["drop"] == censored["censor"] == censored["keep"] > 0
    kept = corrected_ftv(variance, "a", "b")[FTV].values
    mixed = np.mean(np.abs(kept[np.isfinite(kept)]) < 0.3)
    assert table["share_mixed"].sel(rule="censor") == pytest.approx(mixed)


# figures and the recording ------------------------------------------------------------------


def test_figures_show_what_they_say(rng):
    variance = corrected_task_variance(recording(rng, n_units=30, signal=(0.4, 0.4)))
    raw = nc.fractional_task_variance(nc.task_variance(recording(rng, n_units=30)), "a", "b")
    corrected = corrected_ftv(variance, "a", "b")
    _, axes = new_figure(1, 3)
    first = plot_noise_share(axes[0, 0], variance, "a", names={"a": "motion"})
    assert first.get_title().startswith("toy, motion, median 0.")
    assert first.collections[0].get_offsets().shape == (30, 2)
    assert first.get_xscale() == "log"
    plain = plot_corrected_ftv(axes[0, 1], raw, corrected, names={"a": "motion"})
    assert plain.get_xlabel() == "FTV (motion, b)"
    heights = [bar.get_height() for bar in plain.patches if hasattr(bar, "get_height")]
    n_known = int(corrected[FTV].notnull().sum())
    assert sum(heights) == pytest.approx(corrected.attrs["n_censored"] / n_known)
    shrunken = deconvolved_ftv(variance, "a", "b", n_bootstrap=5)
    full = plot_corrected_ftv(axes[0, 2], raw, corrected, shrunken)
    assert len(full.get_legend().get_texts()) == len(plain.get_legend().get_texts()) + 1
    with pytest.raises(nc.InputError, match="task: expected one of a, b"):
        plot_noise_share(axes[0, 0], variance, "z")


def test_the_recording_of_monkey_a(mante2013_path):
    variance = corrected_task_variance(nc.load("mante2013", path=mante2013_path, animal="ar"))
    share = (variance["noise"].sum("task") / variance["uncorrected"].sum("task")).median()
    assert share == pytest.approx(0.4265, abs=1e-3)
    table = censoring_table(variance, "contextdm1", "contextdm2")
    sd = table["standard_deviation"].to_series()
    assert sd["raw"] == pytest.approx(0.332, abs=1e-3)
    assert sd["censor"] == pytest.approx(0.534, abs=1e-3)
    # most of that widening is noise of the corrected values, not of the units
    assert sd["deconvolved"] == pytest.approx(0.352, abs=5e-3)
    assert table["n_censored"].sel(rule="censor") == 22
