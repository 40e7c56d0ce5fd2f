"""The spread of FTV from trials: simulated truth, invariances, what is refused, the recording."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_spread import cross_validated_variance, ftv_spread
from nwbcompare.analysis.selectivity.noise_correction import (
    corrected_ftv,
    corrected_task_variance,
    deconvolved_ftv,
)

FTV = "fractional_task_variance"


def recording(sd, *, n_units=40, n_trials=80, noise=6.0, seed=0):
    """Trials of two tasks with four conditions; FTV at -sd and sd, units in sessions of two."""
    rng = np.random.default_rng(seed)
    task, condition = np.repeat([0, 1], n_trials), np.tile(np.arange(4), n_trials // 2)
    pattern = rng.standard_normal((2, 4, n_units))
    pattern -= pattern.mean(axis=1, keepdims=True)
    pattern /= pattern.std(axis=1, keepdims=True)
    ftv = sd * np.where(np.arange(n_units) % 2, 1, -1)
    strength = 8 * np.exp(0.5 * rng.standard_normal(n_units))
    variance = strength * np.stack([1 + ftv, 1 - ftv]) / 2
    mean = 20 + np.sqrt(variance)[:, None] * pattern
    # skewed noise, the same in both bins of a trial
    trial = noise * (rng.gamma(2, 1, (task.size, 1, n_units)) - 2) / 2**0.5
    rates = mean[task, condition][:, None] + trial + np.zeros((1, 2, 1))
    return nc.make_block(
        rates,
        time_s=[0.05, 0.15],
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={"task": np.array(["a", "b"])[task], "c": condition.astype(float)},
        condition_variables={"a": ["c"], "b": ["c"]},
        units={
            "unit": [f"u{i}" for i in range(n_units)],
            "session": [f"s{i // 2}" for i in range(n_units)],
        },
        source="recording",
        name="toy",
    )


def spread(block, **options):
    return ftv_spread(cross_validated_variance(block), "a", "b", within="session", **options)


@pytest.mark.parametrize("sd", [0.0, 0.5])
def test_it_finds_the_spread_that_corrected_and_deconvolved_values_do_not(sd):
    block = recording(sd)
    found = spread(block)
    assert found["population_sd_low"] <= sd <= found["population_sd_high"]
    assert (found["p_value"] < 0.05) == (sd > 0)
    assert abs(found["population_mean"]) < 0.25
    if sd == 0:
        # negative control: the errors of the values themselves are counted as spread
        variance = corrected_task_variance(block)
        assert corrected_ftv(variance, "a", "b")[FTV].std() > found["population_sd"] + 0.2
        assert deconvolved_ftv(variance, "a", "b", n_bootstrap=2)["population_sd"] > 0.1


def test_order_of_units_and_of_tasks_and_scale_of_rates():
    block = recording(0.4)
    variance = cross_validated_variance(block)
    found = ftv_spread(variance, "a", "b", within="session")
    order = np.random.default_rng(1).permutation(block.sizes["unit"])
    xr.testing.assert_allclose(
        ftv_spread(variance.isel(unit=order), "a", "b", within="session"), found
    )
    other = ftv_spread(variance, "b", "a", within="session")
    assert other["population_mean"] == pytest.approx(-found["population_mean"].item())
    assert other["population_sd_high"] == pytest.approx(found["population_sd_high"].item())
    scaled = block.assign(rate=block["rate"] * np.linspace(1, 4, block.sizes["unit"]))
    xr.testing.assert_allclose(spread(scaled.assign_attrs(block.attrs)), found, rtol=1e-4)


def test_every_weighting_names_itself_and_is_saved(tmp_path):
    block = recording(0.4)
    halves = cross_validated_variance(block, n_folds=2)
    results = [
        ftv_spread(halves, "a", "b", weights="capped"),
        ftv_spread(halves, "a", "b", weights="equal"),
        ftv_spread(corrected_task_variance(block), "a", "b", weights="strength"),
    ]
    assert [one.attrs["weights"] for one in results] == ["capped", "equal", "strength"]
    for place, result in enumerate(results):
        assert result["population_sd"] == pytest.approx(0.4, abs=0.15)
        assert result.attrs["n_units"] == 40
        path = tmp_path / f"{place}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), result)


def test_the_deal_depends_on_the_seed_alone():
    block = recording(0.4, n_units=6)
    one, two, other = (cross_validated_variance(block, seed=seed) for seed in (0, 0, 1))
    xr.testing.assert_identical(one, two)
    assert (one["task_variance"] != other["task_variance"]).all()
    fewer = cross_validated_variance(nc.select(block, units=["u0", "u1"]))
    np.testing.assert_array_equal(fewer["task_variance"], one["task_variance"][:, :2])


def test_units_without_trials_or_spikes_are_left_out():
    block = recording(0.4)
    block["rate"].values[:, :, 0] = 0
    rows = (block["task"].values == 1) & (block["c"].values == 2)
    block["rate"].values[np.flatnonzero(rows)[7:], :, 1] = np.nan
    with pytest.warns(nc.UnitWarning, match="1 units have fewer than 8 trials .*: u1"):
        variance = cross_validated_variance(block)
    assert variance.attrs["n_unknown"] == 1
    found = ftv_spread(variance, "a", "b")
    assert found.attrs["n_units"] == 38
    xr.testing.assert_allclose(
        found, ftv_spread(variance.isel(unit=slice(2, None)), "a", "b"), rtol=1e-12
    )


def test_what_a_few_units_decide_is_not_identified():
    block = recording(0.4)
    block["rate"].values[:, :, 0] *= 30
    variance = corrected_task_variance(block)
    found = ftv_spread(variance, "a", "b", weights="strength", within="session")
    assert not found["is_identified"]
    assert np.isnan(found["population_sd"])
    assert "rests on 1.0 effective sessions" in found.attrs["not_identified"]
    # with a cap one unit is one unit
    assert spread(block)["is_identified"]
    assert spread(block).attrs["not_identified"] == ""


def test_bad_input_is_refused():
    block = recording(0.4, n_units=4)
    variance, halves = corrected_task_variance(block), cross_validated_variance(block, n_folds=2)
    with pytest.raises(nc.InputError, match="n_folds: expected a whole number of 2 or more"):
        cross_validated_variance(block, n_folds=1)
    with pytest.raises(nc.InputError, match="weights: expected one of capped, strength, equal"):
        ftv_spread(halves, "a", "b", weights="none")
    with pytest.raises(nc.InputError, match="by fold for 'capped'.*Use cross_validated_variance"):
        ftv_spread(variance, "a", "b")
    with pytest.raises(nc.InputError, match="of all trials for 'strength'.*corrected_task_var"):
        ftv_spread(halves, "a", "b", weights="strength")
    with pytest.raises(nc.InputError, match="noise-corrected variances with 'unbiased_variance'"):
        ftv_spread(nc.task_variance(block), "a", "b", weights="strength")
    with pytest.raises(nc.InputError, match="task: expected one of a, b"):
        ftv_spread(halves, "a", "z")
    with pytest.raises(nc.InputError, match="a task other than 'a'"):
        ftv_spread(halves, "a", "a")
    with pytest.raises(nc.InputError, match="within: expected one of"):
        ftv_spread(halves, "a", "b", within="day")
    with pytest.raises(nc.NotApplicableError, match="two units or more"):
        ftv_spread(halves.isel(unit=[0]), "a", "b")
    with pytest.raises(nc.NotApplicableError, match="two values or more of 'session'"):
        ftv_spread(halves.isel(unit=[0, 1]), "a", "b", within="session")
    exact = block.isel(trial=[0, 1, 2, 3, 80, 81, 82, 83]).assign_attrs(deterministic=1)
    with pytest.raises(nc.NotApplicableError, match="'toy' without noise.*fractional_task_var"):
        cross_validated_variance(exact)
    with pytest.raises(nc.NotApplicableError, match="'toy' without noise.*fractional_task_var"):
        ftv_spread(corrected_task_variance(exact), "a", "b", weights="strength")


def test_the_spread_of_monkey_a(monkey_a):
    found = spread_of(monkey_a)
    values = [float(found[f"population_sd{end}"]) for end in ("", "_low", "_high")]
    assert values == pytest.approx([0.362, 0.247, 0.447], abs=1e-3)
    # squared strengths without a cap rest on a handful of units
    plain = ftv_spread(
        corrected_task_variance(monkey_a), "contextdm1", "contextdm2", weights="strength"
    )
    assert plain["n_effective"] < 4
    assert not plain["is_identified"]


def spread_of(activity):
    return ftv_spread(
        cross_validated_variance(activity), "contextdm1", "contextdm2", within="session"
    )
