"""Noise-corrected variance and FTV: both layouts, simulated truth, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from simulated_tuning import simulated

import nwbcompare as nc
from nwbcompare.analysis.selectivity.noise_correction import (
    censoring_table,
    corrected_ftv,
    corrected_task_variance,
    deconvolved_ftv,
)
from nwbcompare.kernels.variance import ESTIMATORS
from nwbcompare.plotting.noise_correction import plot_corrected_ftv, plot_noise_share
from nwbcompare.plotting.style import new_figure

FTV, TV, SE = "fractional_task_variance", "task_variance", "standard_error"


@pytest.fixture
def rng():
    return np.random.default_rng(1)


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


# labelled ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
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
    with pytest.raises(
        nc.NotApplicableError, match="'toy' without noise.*fractional_task_variance"
    ):
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


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
def test_bad_input_is_refused(rng):
    block = recording(rng)
    found = corrected_task_variance(block)
    with pytest.raises(nc.InputError, match="method: expected one of analytic, split_half"):
        corrected_task_variance(block, method="halves")
    with pytest.raises(nc.InputError, match="n_splits: expected a whole number of 2 or more"):
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
    with pytest.raises(nc.InputError, match="n_bootstrap: expected a whole number of 1 or more"):
        deconvolved_ftv(found, "a", "b", n_bootstrap=0)
    with pytest.raises(nc.NotApplicableError, match="two units or more"):
        deconvolved_ftv(found.isel(unit=[0]), "a", "b")
    # with one trial in a condition the noise is unknown
    unknown = found.assign(noise=found["noise"].where(found["unit"] == found["unit"][0]))
    with pytest.raises(nc.NotApplicableError, match=r"two units or more with a known noise.*2 tri"):
        deconvolved_ftv(unknown, "a", "b")
    with pytest.raises(nc.NotApplicableError, match="two values or more of 'session'"):
        deconvolved_ftv(found.isel(unit=[0, 3]), "a", "b", within="session")


# deconvolution ------------------------------------------------------------------------------

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


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
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


def test_the_recording_of_monkey_a(monkey_a):
    variance = corrected_task_variance(monkey_a)
    share = (variance["noise"].sum("task") / variance["uncorrected"].sum("task")).median()
    assert share == pytest.approx(0.4265, abs=1e-3)
    table = censoring_table(variance, "contextdm1", "contextdm2")
    sd = table["standard_deviation"].to_series()
    assert sd["raw"] == pytest.approx(0.332, abs=1e-3)
    assert sd["censor"] == pytest.approx(0.534, abs=1e-3)
    # most of that widening is noise of the corrected values, not of the units
    assert sd["deconvolved"] == pytest.approx(0.352, abs=5e-3)
    assert table["n_censored"].sel(rule="censor") == 22
