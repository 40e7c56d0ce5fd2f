"""Power analysis: simulated truth, closed forms, the pipeline run for real, and its command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
from nwbcompare.cli.power import power_command
from nwbcompare.comparison.power import (
    Grouping,
    TrialNoise,
    _group_summary,
    _group_test,
    draw_ftv,
    noise_share,
    power_analysis,
    trial_noise,
)
from nwbcompare.inference.mixed_effects import mixed_effects
from nwbcompare.plotting.ranking import plot_power
from nwbcompare.plotting.style import new_figure
from nwbcompare.testing import example_block

SMALL = Grouping(networks=3, network_units=30, units_per_session=5)
FAST = {"grouping": SMALL, "n_simulations": 200}


def block(rng, *, level, n_trials=20, n_units=60):
    """Noisy trials of two tasks whose variances are 1 but for noise of a level."""
    pattern = rng.standard_normal((2, 4, 5, n_units))
    pattern -= pattern.mean(axis=1, keepdims=True)
    pattern /= np.sqrt(pattern.var(axis=1, keepdims=True).mean(axis=2, keepdims=True))
    task, condition, _ = np.indices((2, 4, n_trials)).reshape(3, -1)
    noise = np.sqrt(level * n_trials * 4 / 3) * rng.standard_normal((task.size, 5, n_units))
    return nc.make_block(
        10 + pattern[task, condition] + noise,
        trials={"task": np.array(["a", "b"])[task], "c": condition.astype(float)},
        time_s=(np.arange(5) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="stimulus",
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="toy",
        units={"unit": [f"u{i}" for i in range(n_units)]},
    )


# what is drawn -----------------------------------------------------------------------------


@given(st.floats(0.05, 0.95), st.floats(0, 0.9))
def test_drawn_ftv_has_the_sd_asked_for(sd, correlation):
    rng = np.random.default_rng(0)
    drawn = draw_ftv(sd, (4000, 10), group_size=2, correlation=correlation, rng=rng)
    assert np.abs(drawn).max() <= 1
    assert drawn.std() == pytest.approx(sd, rel=0.04)
    assert drawn.mean() == pytest.approx(0, abs=0.04)


def test_units_of_one_group_are_alike_and_others_are_not():
    rng = np.random.default_rng(1)
    drawn = np.abs(draw_ftv(0.4, (20000, 6), group_size=3, correlation=0.3, rng=rng))
    alike = np.corrcoef(stats.rankdata(drawn, axis=0).T)
    assert alike[0, 1] == pytest.approx(0.29, abs=0.03)
    assert abs(alike[0, 3]) < 0.03


def test_noise_falls_with_the_number_of_trials():
    noise = TrialNoise(share=0.5, trials=100)
    np.testing.assert_allclose(noise_share(noise, np.array([100, 50])), [0.5, 2 / 3])


@pytest.mark.parametrize("level", [0.25, 1.0])
def test_the_noise_of_a_recording_is_found(level):
    rng = np.random.default_rng(2)
    spread = np.exp(0.5 * rng.standard_normal(300))
    found = trial_noise(block(rng, level=level * spread, n_units=300))
    assert found.share == pytest.approx(level / (1 + level), abs=0.05)
    assert (found.trials, found.n_conditions) == (20, 4)
    assert found.spread == pytest.approx(0.5, abs=0.3)


def test_simulated_measurements_are_those_of_the_pipeline():
    """S.d. of raw FTV where both tasks vary alike: all of it is noise."""
    rng = np.random.default_rng(3)
    tv = nc.task_variance(block(rng, level=np.full(800, 1.0), n_units=800))
    ftv = nc.fractional_task_variance(tv, "a", "b")["fractional_task_variance"]
    noise = TrialNoise(share=0.5, trials=20, spread=0.0, degrees=15)
    found = power_analysis(0.001, 0.5, units=[50], trials=[20], noise=noise, **FAST)
    assert found["recording_sd"].item() == pytest.approx(ftv.std().item(), rel=0.08)


# the test ----------------------------------------------------------------------------------


def test_the_closed_form_is_the_mixed_model():
    rng = np.random.default_rng(4)
    own, of_models = (
        draw_ftv(sd, (1, n * size), group_size=size, correlation=0.4, rng=rng)
        for sd, n, size in ((0.3, 12, 5), (0.6, 3, 30))
    )
    tables = [
        xr.Dataset(
            {"fractional_task_variance": ("unit", row)}, attrs={"source": "model", "name": str(i)}
        )
        for i, row in enumerate(of_models.reshape(3, 30))
    ]
    brain = xr.Dataset(
        {"fractional_task_variance": ("unit", own[0])},
        coords={"session": ("unit", np.arange(60) // 5)},
        attrs={"source": "recording", "name": "m"},
    )
    found = mixed_effects([*tables, brain])
    p = _group_test(_group_summary(np.abs(own), 5), _group_summary(np.abs(of_models), 30))
    assert p.item() == pytest.approx(found["p_value"].item(), rel=1e-2)


def test_groups_without_values_are_left_out():
    values = np.array([[1.0, 2.0, np.nan, np.nan, 4.0, 5.0]])
    mean, squared_error, degrees = _group_summary(values, 2)
    kept = _group_summary(values[:, [0, 1, 4, 5]], 2)
    np.testing.assert_allclose([mean, squared_error, degrees], kept)
    assert degrees == 1


def test_power_rises_with_units_trials_and_difference_and_the_level_holds():
    options = {
        "units": [20, 100, 300],
        "trials": [10, 100],
        "grouping": Grouping(networks=8, network_units=60, units_per_session=5),
        "n_simulations": 200,
    }
    found, further = (power_analysis(0.33, sd, **options) for sd in (0.5, 0.7))
    assert (np.diff(found["power"], axis=0) > 0).all()
    assert (found["power"].sel(n_trials=100) > found["power"].sel(n_trials=10)).all()
    assert (further["power"] >= found["power"]).all()
    rate = found["false_positive_rate"].values
    assert stats.binomtest(round(rate.max() * 200), 200, 0.05, alternative="greater").pvalue > 0.005
    assert (found["power_low"] <= found["power"]).all()
    assert (found["power_high"] >= found["power"]).all()


def test_units_of_a_session_count_for_less_where_they_are_alike():
    power = [
        power_analysis(
            0.33, 0.5, units=[100], trials=[100], n_simulations=400,
            grouping=Grouping(networks=5, network_units=60, session_correlation=correlation),
        )["power"].item()
        for correlation in (0.0, 0.6)
    ]  # fmt: skip
    assert power[0] > power[1] + 0.05


def test_taking_the_noise_out_widens_what_is_measured():
    raw, corrected = (
        power_analysis(0.33, 0.6, units=[50], trials=[20], estimator=estimator, **FAST)
        for estimator in ("raw", "corrected")
    )
    assert raw["recording_sd"] < 0.33 < corrected["recording_sd"]
    assert raw["model_sd"] < corrected["model_sd"]


def test_the_smallest_design_is_the_cheapest_with_the_power():
    found = power_analysis(0.3, 0.7, units=[20, 60, 200], trials=[20, 60, 200], **FAST)
    units, trials = found.attrs["smallest_units"], found.attrs["smallest_trials"]
    enough = [
        (u * t, u, t)
        for u in found["n_units"].values
        for t in found["n_trials"].values
        if found["power"].sel(n_units=u, n_trials=t) >= 0.8
    ]
    assert min(enough)[0] == units * trials
    none = power_analysis(0.33, 0.34, units=[20], trials=[10], **FAST)
    assert none.attrs["smallest_units"] == 0


def test_the_seed_reproduces_and_results_are_saved(tmp_path):
    options = {"units": [20, 40], "trials": [10], **FAST}
    found = power_analysis(0.33, 0.6, **options)
    xr.testing.assert_identical(power_analysis(0.33, 0.6, **options), found)
    assert not power_analysis(0.33, 0.6, seed=1, **options)["power"].equals(found["power"])
    found.to_netcdf(tmp_path / "power.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "power.nc", engine="h5netcdf"), found)


def test_the_interval_of_power_is_wilsons():
    found = power_analysis(0.33, 0.5, units=[20, 60], trials=[20], **FAST)
    for power, low, high in zip(
        *(found[name].values.ravel() for name in ("power", "power_low", "power_high")), strict=True
    ):
        expected = stats.binomtest(round(power * 200), 200).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sd_a": 1.2}, "s.d. of FTV: expected a number between 0 and 1, got 1.2"),
        ({"sd_b": 0.0}, "s.d. of FTV: expected a number between 0 and 1"),
        ({"sd_b": 0.33}, "s.d. of FTV: expected two different ones"),
        ({"units": []}, "units: expected one number or more"),
        ({"trials": [1]}, "trials: expected one number or more, each 2 or more"),
        ({"alpha": 0.0}, "alpha: expected a number between"),
        ({"power": 80}, "power: expected a number between"),
        ({"estimator": "best"}, "estimator: expected one of raw, corrected"),
        ({"n_simulations": 0}, "n_simulations: expected 1 or more"),
        ({"noise": TrialNoise(share=1.0)}, "share of noise: expected a number"),
        ({"noise": TrialNoise(degrees=0.5)}, "noise: expected trials above 0"),
        ({"grouping": Grouping(networks=1)}, "One network allows no inference"),
        ({"grouping": Grouping(session_correlation=1)}, "correlation: expected from 0 to below 1"),
        ({"units": [7]}, "two sessions are needed"),
    ],
)
def test_impossible_designs_are_refused(options, match):
    with pytest.raises(nc.InputError, match=match):
        power_analysis(**({"sd_a": 0.33, "sd_b": 0.5} | options))


def test_a_source_without_noise_has_none_to_be_measured():
    with pytest.raises(nc.NotApplicableError, match="noisy trials, two or more in each condition"):
        trial_noise(example_block().assign_attrs(deterministic=1))


# the command and the figure ----------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(
        power_command, [*arguments, "--simulations", "50"], catch_exceptions=False
    )


def test_the_command_prints_a_table_and_the_smallest_design():
    result = run("--sd", "0.33", "--against", "0.7", "--units", "50,200", "--trials", "40,100")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[1].split() == ["trials", "per", "condition", "40", "100"]
    assert lines[2].split()[:2] == ["50", "units"]
    assert "Smallest design with a power of 0.8:" in lines[-1]
    nothing = run("--sd", "0.33", "--against", "0.35", "--units", "20", "--trials", "10")
    assert "No design of these reaches a power of 0.8" in nothing.output


def test_the_command_prints_json():
    result = run("--sd", "0.33", "--against", "0.7", "--units", "50", "--trials", "40", "--json")
    found = json.loads(result.output)
    assert found["n_units"] == [50]
    assert 0 <= found["power"][0][0] <= 1
    assert found["attrs"]["sd_b"] == 0.7


def test_the_command_measures_the_noise_of_a_source(tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / "recording.nc"
    nc.make_activity({"r": block(rng, level=np.full(60, 1.0))}).to_netcdf(path, engine="h5netcdf")
    arguments = ("--sd", "0.33", "--against", "0.7", "--units", "50", "--trials", "20", "--json")
    found = json.loads(run(*arguments, "--like", str(path)).output)
    assert found["attrs"]["noise_trials"] == 20
    assert found["noise_share"][0] == pytest.approx(0.5, abs=0.1)


def test_the_command_refuses_bad_input():
    with pytest.raises(nc.InputError, match="--units: expected whole numbers separated by commas"):
        run("--sd", "0.33", "--against", "0.5", "--units", "fifty")
    with pytest.raises(nc.InputError, match="between 0 and 1, got 5"):
        run("--sd", "0.33", "--against", "5")
    assert run("--sd", "0.33").exit_code == 2


def test_the_figure_has_a_curve_for_each_number_of_trials():
    found = power_analysis(0.33, 0.6, units=[20, 40], trials=[10, 20, 40], **FAST)
    _, axes = new_figure()
    ax = plot_power(axes[0, 0], found)
    assert len(ax.containers) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["10", "20", "40"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["20", "40"]
    many = found.isel(n_trials=[0] * 9)
    with pytest.raises(nc.InputError, match="at most 8 numbers of trials"):
        plot_power(axes[0, 0], many)
