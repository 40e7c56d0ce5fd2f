"""FTV in time and the table of confounds: loops, bootstraps, figures, a recording."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from confounded_recordings import ftv_of, recording

import nwbcompare as nc
from nwbcompare.analysis.selectivity.confounds import confound_table, ftv_in_time
from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv, corrected_task_variance
from nwbcompare.analysis.selectivity.rate_transforms import match_rates
from nwbcompare.analysis.selectivity.trial_subsampling import subsample_trials
from nwbcompare.analysis.selectivity.variance_components import variance_components
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.confounds import plot_confounds, plot_ftv_in_time

# --- in time


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
def test_variance_in_time_averages_to_the_corrected_task_variance():
    block = recording()
    found = ftv_in_time(block, "a", "b", n_draws=50)
    xr.testing.assert_allclose(
        found["task_variance"].mean("time"), corrected_task_variance(block)["task_variance"]
    )
    raw = ftv_in_time(block, "a", "b", corrected=False, n_draws=50)
    xr.testing.assert_allclose(
        raw["task_variance"].mean("time"), nc.task_variance(block)["task_variance"]
    )
    assert (raw["task_variance"] > found["task_variance"]).all()
    a, b = raw["task_variance"].transpose("task", "unit", "time").values
    np.testing.assert_allclose(raw["fractional_task_variance"], (a - b) / (a + b))
    np.testing.assert_allclose(raw["standard_deviation"], ((a - b) / (a + b)).std(axis=0))
    np.testing.assert_allclose(raw["pooled"], (a - b).sum(axis=0) / (a + b).sum(axis=0))
    assert abs(found["fractional_task_variance"]).max() <= 1
    assert (found["standard_deviation_low"] <= found["standard_deviation_high"]).all()


def test_ftv_arises_when_the_signal_does(tmp_path):
    quiet = recording(2, ragged=False, n_units=40, n_trials=(200, 200), tuning=0.0)
    loud = recording(2, ragged=False, n_units=40, n_trials=(200, 200), tuning=0.9)
    late = quiet["rate"].values.copy()
    in_a = nc.labels(quiet["task"]) == "a"
    late[in_a, 2:] = loud["rate"].values[in_a, 2:]
    found = ftv_in_time(quiet.copy(data={"rate": late}), "a", "b", n_draws=200)
    assert (found["pooled_low"][2:] > 0.5).all()
    assert found.attrs["bootstrapped"] == "session"
    assert (found["mean"][2:] > found["mean"][:2].max() + 0.3).all()
    found.to_netcdf(tmp_path / "time.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "time.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), found)


def test_tasks_on_different_times_share_what_both_have():
    block = recording(ragged=False)
    short = nc.select(block, task="b").isel(time=slice(0, 2))
    split = nc.make_activity({"a": nc.select(block, task="a"), "b": short})
    found = ftv_in_time(split, "a", "b", n_draws=20)
    assert found["standard_deviation"].isnull().values.tolist() == [False, False, True, True]
    whole = ftv_in_time(block, "a", "b", n_draws=20)
    xr.testing.assert_allclose(
        found["fractional_task_variance"][:, :2], whole["fractional_task_variance"][:, :2]
    )
    assert found["pooled"].isnull().values.tolist() == [False, False, True, True]


def test_a_noise_free_network_is_the_same_raw_and_corrected():
    block = recording(ragged=False, spikes=False)
    clean, raw = (ftv_in_time(block, "a", "b", corrected=c, n_draws=20) for c in (True, False))
    xr.testing.assert_allclose(clean["task_variance"], raw["task_variance"])
    with pytest.raises(nc.InputError, match="at least one unit and one trial"):
        ftv_in_time(block, "c", "d")


# --- the table


@pytest.fixture(scope="module")
def table():
    return confound_table(recording(n_units=12), "a", "b", n_draws=200)


def test_the_table_holds_every_variant(table, tmp_path):
    assert table["variant"].values.tolist() == [
        "as published",
        "correct trials",
        "equal trials",
        "rates matched",
        "rates stabilised",
        "choice taken out",
    ]
    values = table["fractional_task_variance"]
    np.testing.assert_allclose(table["mean"], values.mean("unit"))
    np.testing.assert_allclose(table["standard_deviation"], values.std("unit"))
    np.testing.assert_array_equal(table["n_units"], values.notnull().sum("unit"))
    assert (table["standard_deviation_low"] <= table["standard_deviation"]).all()
    assert (table["standard_deviation"] <= table["standard_deviation_high"]).mean() > 0.8
    assert (table["change"].sel(variant="as published") == 0).all()
    assert table.attrs["bootstrapped"] == "session"
    table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "table.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), table)


def test_components_computed_before_change_nothing_and_others_do(table):
    block = recording(n_units=12)
    components = variance_components(block)
    found = confound_table(block, "a", "b", components=components, n_draws=200)
    xr.testing.assert_identical(found, table)
    halved = components.copy(deep=True)
    halved["component"].loc[{"task": "a"}] /= 2
    other = confound_table(block, "a", "b", components=halved, n_draws=200)
    same = np.isclose(other["mean"], table["mean"]).all(axis=1)
    assert other["variant"].values[~same].tolist() == ["choice taken out"]


@pytest.mark.filterwarnings("ignore:.*trials a condition in task:nwbcompare.UnitWarning")
def test_rows_of_the_table_are_the_analyses_that_they_name(table):
    block = recording(n_units=12)
    raw = table["fractional_task_variance"].sel(estimate="raw")
    clean = table["fractional_task_variance"].sel(estimate="corrected")
    np.testing.assert_allclose(raw.sel(variant="as published"), ftv_of(block))
    np.testing.assert_allclose(
        raw.sel(variant="correct trials"), ftv_of(nc.select(block, correct=True))
    )
    np.testing.assert_allclose(raw.sel(variant="equal trials"), ftv_of(subsample_trials(block)))
    np.testing.assert_allclose(raw.sel(variant="rates matched"), ftv_of(match_rates(block)))
    np.testing.assert_allclose(
        clean.sel(variant="as published"),
        corrected_ftv(corrected_task_variance(block), "a", "b")["fractional_task_variance"],
    )


def test_the_bootstrap_draws_sessions_and_its_interval_is_that_of_a_loop(table):
    values = table["fractional_task_variance"].sel(variant="as published", estimate="raw").values
    session = np.arange(12) // 2
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(4000):
        taken = rng.integers(6, size=6)
        draws.append(np.concatenate([values[session == s] for s in taken]).std())
    low, high = np.percentile(draws, [2.5, 97.5])
    own = table.sel(variant="as published", estimate="raw")
    assert own["standard_deviation_low"].item() == pytest.approx(low, abs=0.05)
    assert own["standard_deviation_high"].item() == pytest.approx(high, abs=0.05)


def test_the_table_is_seeded(table):
    again = confound_table(recording(n_units=12), "a", "b", n_draws=200)
    xr.testing.assert_identical(again, table)
    other = confound_table(recording(n_units=12), "a", "b", n_draws=200, seed=1)
    assert not np.allclose(other["standard_deviation_low"], table["standard_deviation_low"])


def test_variants_that_a_source_has_no_columns_for_are_left_out():
    block = recording(ragged=False).drop_vars(["choice", "correct", "session"])
    found = confound_table(block, "a", "b", n_draws=50)
    left_out = json.loads(found.attrs["left_out"])
    assert set(left_out) == {"correct trials", "choice taken out"}
    assert "choice" in left_out["choice taken out"]
    assert found.attrs["bootstrapped"] == "unit"
    wrong = block.assign_coords(correct=("trial", nc.labels(block["task"]) == "a"))
    left_out = json.loads(confound_table(wrong, "a", "b", n_draws=50).attrs["left_out"])
    assert "here: correct trials of a" in left_out["correct trials"]
    with pytest.raises(nc.InputError, match="task: expected one of"):
        confound_table(block, "a", "z", n_draws=50)


def test_units_inactive_as_published_do_not_enter_by_another_scale():
    block = recording(ragged=False, spikes=False)
    block["rate"].values[:, :, 2] *= 1e-6
    found = confound_table(block, "a", "b", n_draws=50)
    values = found["fractional_task_variance"].sel(unit="u2")
    assert values.sel(variant=["as published", "rates matched", "rates stabilised"]).isnull().all()
    assert (found["n_units"].sel(variant="rates matched") == 5).all()
    assert (found["n_censored"] == 0).all()


def test_choice_taken_out_tells_choice_from_tuning():
    # choice alone differs between the tasks' stimuli: raw FTV sees tuning, the parts do not
    block = recording(3, ragged=False, n_units=30, n_trials=(400, 400), tuning=0.9)
    found = confound_table(block, "a", "b", n_draws=50)
    means = found["mean"].sel(estimate="corrected")
    assert abs(means.sel(variant="choice taken out")) < 0.35
    assert found["n_units"].min() > 15


# --- figures and the recording


def test_the_figures_show_every_variant_and_the_band(table):
    _, axes = new_figure(1, 2, (9, 3))
    ax = plot_confounds(axes[0, 0], table)
    assert [label.get_text() for label in ax.get_yticklabels()] == table["variant"].values.tolist()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == 2 * 6 + 1
    assert "n (censored)" in texts
    found = ftv_in_time(recording(), "a", "b", n_draws=50)
    ax = plot_ftv_in_time(axes[0, 1], found)
    plot_ftv_in_time(ax, found, label="again", colour="k")
    assert len(ax.lines) == len(ax.collections) == 2
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["toy, noise taken out", "again"]
    assert ax.get_xlabel() == "time from stimulus (s)"


def test_correct_trials_of_monkey_a_can_be_selected(monkey_a):
    right = nc.select(monkey_a, correct=True)
    block = next(iter(nc.blocks(right).values()))
    relevant = np.where(
        nc.labels(block["task"]) == "contextdm1",
        block["coherence_1_sign"].values,
        block["coherence_2_sign"].values,
    )
    np.testing.assert_array_equal(block["choice"].values, relevant)
    table = confound_table(monkey_a, "contextdm1", "contextdm2", n_draws=100)
    sd = table["standard_deviation"].sel(estimate="raw")
    assert sd.sel(variant="as published").item() == pytest.approx(0.3320, abs=5e-5)
    assert sd.sel(variant="correct trials").item() == pytest.approx(0.354, abs=1e-3)
    assert json.loads(table.attrs["left_out"]) == {}
    assert table.attrs["bootstrapped"] == "session"
