"""Mixed-effects models: closed forms, statsmodels, a brute-force likelihood, simulated truth."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
from nwbcompare.inference.kernels.random_intercepts import nested_mean
from nwbcompare.inference.mixed_effects import mixed_effects


def nested(rng, *, outer=6, inner=5, size=4, sds=(1.0, 0.7, 0.5)):
    """Values of rows in groups in groups, with known s.d. of each level."""
    a = np.repeat(np.arange(outer), inner * size)
    b = np.repeat(np.arange(outer * inner), size)
    effects = (
        rng.normal(0, sd, n) for sd, n in zip(sds, (outer, outer * inner, a.size), strict=True)
    )
    of_a, of_b, noise = effects
    return 3 + of_a[a] + of_b[b] + noise, a, b


def table(values, name="m", source="recording", **columns):
    return xr.Dataset(
        {"fractional_task_variance": ("unit", np.asarray(values, dtype=float))},
        coords={key: ("unit", column) for key, column in columns.items()},
        attrs={"name": name, "source": source},
    )


def recording(rng, *, sessions=12, size=5, width=0.5, **columns):
    session = np.repeat([f"s{i}" for i in range(sessions)], size)
    return table(rng.uniform(-width, width, session.size), session=session, **columns)


def networks(rng, n=3, size=40, width=1.0):
    return [table(rng.uniform(-width, width, size), f"net{i}", "model") for i in range(n)]


def dense_cost(components, y, levels):
    """Restricted likelihood (-2 log, but a constant) written out with whole matrices."""
    covariance = components[-1] * np.eye(y.size)
    for variance, level in zip(components[:-1], levels, strict=True):
        covariance += variance * (level[:, None] == level)
    inverse = np.linalg.inv(covariance)
    one = np.ones(y.size)
    weight = one @ inverse @ one
    away = y - one @ inverse @ y / weight
    return np.linalg.slogdet(covariance)[1] + away @ inverse @ away + np.log(weight)


# the kernel --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_no_other_components_are_more_likely(seed):
    y, a, b = nested(np.random.default_rng(seed))
    found = nested_mean(y, [a, b])
    best = dense_cost(found.components, y, [a, b])
    for place in range(3):
        for factor in (0.9, 1.1):
            other = found.components.copy()
            other[place] *= factor
            assert dense_cost(other, y, [a, b]) >= best - 1e-6
    covariance = found.components[2] * np.eye(y.size)
    covariance += found.components[0] * (a[:, None] == a) + found.components[1] * (b[:, None] == b)
    weight = np.linalg.inv(covariance).sum()
    assert found.squared_error == pytest.approx(1 / weight)
    assert found.mean == pytest.approx((np.linalg.inv(covariance) @ y).sum() / weight)
    assert found.converged


@pytest.mark.parametrize("size", [3, 8])
def test_groups_of_equal_size_have_the_closed_form(size):
    rng = np.random.default_rng(size)
    y, a, _ = nested(rng, inner=1, size=size, outer=9)
    found = nested_mean(y, [a])
    means = y.reshape(9, size).mean(axis=1)
    within = y.reshape(9, size).var(axis=1, ddof=1).mean()
    between = size * means.var(ddof=1)
    np.testing.assert_allclose(found.components, [(between - within) / size, within], rtol=1e-3)
    assert found.squared_error == pytest.approx(means.var(ddof=1) / 9, rel=1e-3)
    assert found.mean == pytest.approx(means.mean())


def test_groups_more_alike_than_chance_leave_independent_rows():
    y = np.tile([1.0, 2.0, 3.0, 4.0], 5) + 1e-3 * np.arange(20)
    found = nested_mean(y, [np.repeat(np.arange(5), 4)])
    assert found.components[0] == 0
    assert found.squared_error == pytest.approx(y.var(ddof=1) / 20)


def test_no_levels_are_the_plain_mean():
    y = np.random.default_rng(0).standard_normal(30)
    found = nested_mean(y, [])
    assert (found.mean, found.squared_error) == pytest.approx((y.mean(), y.var(ddof=1) / 30))


def test_statsmodels_agrees_where_it_converges():
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    y, a, b = nested(np.random.default_rng(3))
    indicators = [(b[a == g][:, None] == np.unique(b[a == g])).astype(float) for g in range(6)]
    spec = VCSpec(["b"], [[[str(i) for i in range(5)]] * 6], [indicators])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(y, np.ones((y.size, 1)), a, np.ones((y.size, 1)), exog_vc=spec).fit(
            method="powell"
        )
    found = nested_mean(y, [a, b])
    expected = [fit.cov_re[0, 0], fit.vcomp[0], fit.scale]
    np.testing.assert_allclose(found.components, expected, rtol=0.05)
    assert dense_cost(found.components, y, [a, b]) <= dense_cost(expected, y, [a, b]) + 1e-9
    assert found.mean == pytest.approx(fit.fe_params[0], abs=5e-3)
    assert found.squared_error == pytest.approx(fit.bse_fe[0] ** 2, rel=0.05)


def test_components_are_recovered():
    rng = np.random.default_rng(5)
    found = [nested_mean(*_split(nested(rng, outer=20))).components for _ in range(60)]
    error = np.std(found, axis=0) / np.sqrt(60)
    assert (np.abs(np.mean(found, axis=0) - [1.0, 0.49, 0.25]) < 4 * error).all()


def _split(drawn):
    return drawn[0], list(drawn[1:])


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.01, 100))
def test_shifts_and_scales_carry_over(seed, shift, scale):
    y, a, b = nested(np.random.default_rng(seed), outer=4, inner=3, size=3)
    one, other = nested_mean(y, [a, b]), nested_mean(shift + scale * y, [a, b])
    assert other.mean == pytest.approx(shift + scale * one.mean, rel=1e-3, abs=1e-3 * scale)
    tolerance = 0.01 * one.components.sum()
    np.testing.assert_allclose(other.components / scale**2, one.components, atol=tolerance)


# the model ---------------------------------------------------------------------------------


def test_equal_groups_give_welchs_test_of_their_means():
    rng = np.random.default_rng(1)
    nets = [table(np.full(30, level) + 0.01 * rng.standard_normal(30), f"n{i}", "model")
            for i, level in enumerate((0.5, 0.6, 0.75))]  # fmt: skip
    level = np.repeat([0.2, 0.3, 0.45, 0.25, 0.35], 6)
    brain = table(level + 0.01 * rng.standard_normal(30), session=np.repeat(list("abcde"), 6))
    found = mixed_effects([*nets, brain])
    of_nets = [net["fractional_task_variance"].values.mean() for net in nets]
    of_sessions = brain["fractional_task_variance"].values.reshape(5, 6).mean(axis=1)
    expected = stats.ttest_ind(of_nets, of_sessions, equal_var=False)
    assert found["t"].item() == pytest.approx(expected.statistic, rel=1e-3)
    assert found["df"].item() == pytest.approx(expected.df, rel=1e-3)
    assert found["p_value"].item() == pytest.approx(expected.pvalue, rel=1e-2)
    interval = expected.confidence_interval()
    assert found["effect_low"].item() == pytest.approx(interval.low, rel=1e-3)
    assert found["effect_high"].item() == pytest.approx(interval.high, rel=1e-3)


def test_order_of_units_and_names_of_sessions_do_not_matter():
    rng = np.random.default_rng(2)
    nets, brain = networks(rng), recording(rng)
    brain["fractional_task_variance"] *= np.repeat(rng.uniform(0.2, 1.8, 12), 5)
    found = mixed_effects([*nets, brain])
    order = rng.permutation(brain.sizes["unit"])
    renamed = brain.isel(unit=order).assign_coords(
        session=("unit", np.char.add("day ", brain["session"].values[order]))
    )
    again = mixed_effects([renamed, *nets[::-1]])
    for name in ("effect", "p_value", "df", "effect_low"):
        assert again[name].item() == pytest.approx(found[name].item(), rel=1e-4)
    shuffled = brain.assign_coords(session=("unit", rng.permutation(brain["session"].values)))
    other = mixed_effects([*nets, shuffled])
    assert abs(other["variance"] - found["variance"]).max() > 1e-4


def test_an_effect_is_found_and_has_its_size():
    rng = np.random.default_rng(3)
    found = mixed_effects([*networks(rng, n=5, size=400), recording(rng, sessions=60)])
    assert found["p_value"] < 1e-3
    # |uniform| has half the width as its mean
    assert found["effect_low"] < 0.25 < found["effect_high"]
    spread = np.sqrt((1 / 12 + 0.25 / 12) / 2)
    assert found["effect_size"].item() == pytest.approx(0.25 / spread, rel=0.15)


def test_the_level_holds_where_units_are_no_replicates():
    """Correlated units: the naive test of units errs, the mixed model does not."""
    hits = {"mixed": 0, "naive": 0}
    for seed in range(150):
        rng = np.random.default_rng(seed)

        def values(groups, size, rng=rng):
            shared = np.repeat(rng.normal(0, 0.1, groups), size)
            return np.clip(0.5 + shared + rng.normal(0, 0.1, groups * size), 0, 1)

        nets = [table(values(1, 40), f"n{i}", "model") for i in range(3)]
        brain = table(values(20, 5), session=np.repeat(np.arange(20), 5))
        hits["mixed"] += bool(mixed_effects([*nets, brain])["p_value"] <= 0.05)
        joined = np.concatenate([net["fractional_task_variance"].values for net in nets])
        own = brain["fractional_task_variance"].values
        hits["naive"] += stats.ttest_ind(joined, own, equal_var=False).pvalue <= 0.05
    assert stats.binomtest(hits["mixed"], 150, 0.05, alternative="greater").pvalue > 0.01
    assert hits["naive"] > 45


def test_draws_of_a_unit_are_averaged_and_silent_ones_left_out():
    rng = np.random.default_rng(4)
    nets, brain = networks(rng), recording(rng)
    values = nets[0]["fractional_task_variance"].values
    drawn = nets[0].assign(
        fractional_task_variance=(("draw", "unit"), np.stack([values, values, np.nan * values]))
    )
    drawn["fractional_task_variance"][:, 3] = np.nan
    found = mixed_effects([drawn, *nets[1:], brain])
    kept = mixed_effects([nets[0].isel(unit=np.arange(40) != 3), *nets[1:], brain])
    assert found["effect"].item() == pytest.approx(kept["effect"].item())
    assert found["n_left_out"].values.tolist() == [1, 0]
    assert found["n_units"].sel(source="model") == 119


def test_samples_of_one_network_unit_are_no_units():
    rng = np.random.default_rng(5)
    brain = recording(rng)
    units = rng.uniform(0, 1, 30)
    many = [
        table(
            np.tile(np.clip(units + shift, 0, 1), 6) + 0.01 * rng.standard_normal(180),
            f"n{i}",
            "model",
            network_unit=np.tile([f"h{u}" for u in range(30)], 6),
        )
        for i, shift in enumerate((0.0, 0.01, 0.02))
    ]
    found = mixed_effects([*many, brain])
    assert "model: network unit" in found["component"].values
    assert found["share"].sel(component="model: network unit") > 0.9
    bare = mixed_effects([*(one.drop_vars("network_unit") for one in many), brain])
    assert "model: network unit" not in bare["component"].values


def test_one_network_and_one_animal_are_said_to_be_alone():
    rng = np.random.default_rng(6)
    found = mixed_effects([networks(rng, n=1)[0], recording(rng)])
    assert found.attrs["unit_of_inference"] == "units of one network; sessions of one animal"
    assert "nothing can be inferred about other networks" in found.attrs["left_out"]
    assert "nothing can be inferred about other animals" in found.attrs["left_out"]
    assert found["source_df"].values.tolist() == [39, 11]


def test_two_animals_are_fixed_and_their_sessions_random():
    rng = np.random.default_rng(7)
    brain = recording(rng, subject=np.repeat(["A", "F"], 30))
    nets = networks(rng)
    found = mixed_effects([*nets, brain])
    assert found.attrs["unit_of_inference"] == "networks; sessions of 2 fixed animals"
    assert found.attrs["model"] == (
        "networks and their units random; 2 animals fixed, their sessions random"
    )
    assert "animal: few, and fixed" in found.attrs["left_out"]
    alone = [
        mixed_effects([*nets, brain.isel(unit=part)]).sel(source="recording")
        for part in (slice(30), slice(30, 60))
    ]
    own = found.sel(source="recording")
    assert own["mean"].item() == pytest.approx(np.mean([one["mean"] for one in alone]))
    errors = [
        float(one["mean_high"] - one["mean"]) / stats.t.ppf(0.975, one["source_df"].item())
        for one in alone
    ]
    half = stats.t.ppf(0.975, own["source_df"].item()) * np.hypot(*errors) / 2
    assert float(own["mean_high"] - own["mean"]) == pytest.approx(half)
    assert 5 <= own["source_df"] <= 10
    # animals may be in two files, but an animal only in one
    halves = [brain.isel(unit=slice(30)), brain.isel(unit=slice(30, 60))]
    assert mixed_effects([*nets, *halves])["p_value"].item() == pytest.approx(
        found["p_value"].item()
    )
    with pytest.raises(nc.InputError, match="each animal in one recording, got A in two"):
        mixed_effects([*nets, brain, halves[0]])


def test_five_animals_are_random():
    rng = np.random.default_rng(8)
    brain = recording(rng, sessions=25, subject=np.repeat(list("ABCDE"), 25))
    found = mixed_effects([*networks(rng), brain])
    assert found.attrs["unit_of_inference"] == "networks; animals"
    assert found.attrs["model"].endswith("animals and their sessions random")
    assert found["source_df"].sel(source="recording") == 4
    assert {"recording: animal", "recording: session"} <= set(found["component"].values)


def test_two_networks_and_four_sessions_give_no_p():
    rng = np.random.default_rng(9)
    nets, brain = networks(rng), recording(rng)
    for tables, reason in (
        ([*nets[:2], brain], "2 networks: a test over networks needs 3 or more"),
        ([*nets, brain.isel(unit=slice(20))], "4 sessions: a test over sessions needs 5 or more"),
    ):
        found = mixed_effects(tables)
        assert found.attrs["untested"] == reason
        assert found[["p_value", "effect_low", "effect_high"]].to_array().isnull().all()
        assert np.isfinite(found["effect"])
    assert mixed_effects([*nets, brain]).attrs["untested"] == ""


def test_other_variables_and_the_log_of_task_variance():
    rng = np.random.default_rng(8)
    nets, brain = networks(rng), recording(rng)
    means = {}
    for variable, of in {
        "absolute": np.abs, "squared": np.square, "signed": np.asarray,
        "angle": lambda x: np.arcsin(np.abs(x)),
    }.items():  # fmt: skip
        found = mixed_effects([*nets, brain], variable=variable)
        means[variable] = found["mean"].sel(source="model").item()
        joined = np.concatenate([net["fractional_task_variance"].values for net in nets])
        assert means[variable] == pytest.approx(of(joined).mean(), abs=0.02)
    tv = [
        one.assign(task_variance=(("unit", "task"), np.full((one.sizes["unit"], 2), level)
                                  * np.exp(0.1 * rng.standard_normal((one.sizes["unit"], 2))),
                                  {"units": units}))
        for one, level, units in zip((*nets, brain), (2, 2, 2, 1), ("1",) * 4, strict=True)
    ]  # fmt: skip
    found = mixed_effects(tv, variable="log_task_variance")
    assert found["effect"].item() == pytest.approx(np.log(2), abs=0.1)
    tv[-1]["task_variance"].attrs["units"] = "(spikes/s)^2"
    with pytest.raises(nc.NotApplicableError, match="the same units in models and recordings"):
        mixed_effects(tv, variable="log_task_variance")


def test_results_are_saved(tmp_path):
    rng = np.random.default_rng(9)
    found = mixed_effects([*networks(rng), recording(rng)])
    found.to_netcdf(tmp_path / "m.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "m.nc", engine="h5netcdf"), found)


def test_a_fit_that_does_not_converge_is_said(monkeypatch):
    import scipy.optimize

    plain = scipy.optimize.minimize

    def stopped(*arguments, **options):
        result = plain(*arguments, **options)
        result.success, result.message = False, "ABNORMAL"
        return result

    monkeypatch.setattr(scipy.optimize, "minimize", stopped)
    rng = np.random.default_rng(10)
    with pytest.warns(UserWarning, match="did not converge: ABNORMAL"):
        found = mixed_effects([*networks(rng), recording(rng)])
    assert not found["converged"].any()
    assert found["message"].values.tolist() == ["ABNORMAL", "ABNORMAL"]


def test_bad_input_is_refused():
    rng = np.random.default_rng(11)
    nets, brain = networks(rng), recording(rng)
    with pytest.raises(nc.InputError, match="variable: expected one of absolute"):
        mixed_effects([*nets, brain], variable="absolut")
    with pytest.raises(nc.InputError, match="confidence: expected a number between"):
        mixed_effects([*nets, brain], confidence=95)
    with pytest.raises(nc.NotApplicableError, match="none of source 'recording'"):
        mixed_effects(nets)
    with pytest.raises(nc.NotApplicableError, match="none of source 'model'"):
        mixed_effects([brain])
    with pytest.raises(nc.InputError, match="different names of networks"):
        mixed_effects([nets[0], nets[0], brain])
    with pytest.raises(nc.NotApplicableError, match="a unit column 'session'"):
        mixed_effects([*nets, brain.drop_vars("session")])
    with pytest.raises(nc.InputError, match="data of 'net0'"):
        mixed_effects([nets[0].drop_vars("fractional_task_variance"), brain])
    with pytest.raises(
        nc.NotApplicableError, match="expected two or more groups, and values that vary"
    ):
        mixed_effects([*nets, brain.isel(unit=slice(5))])
    with pytest.raises(nc.NotApplicableError, match="values that vary"):
        mixed_effects([*nets, brain.assign(fractional_task_variance=("unit", np.ones(60)))])
