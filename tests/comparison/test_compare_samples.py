"""Networks against a recording: brute-force matched, simulated truth, every refusal."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from session_samples import FEW, FTV, SESSION, networks, normal, recorded, table

from nwbcompare.comparison.compare_samples import compare_samples, distribution_curves
from nwbcompare.comparison.equivalence import equivalence_test
from nwbcompare.comparison.kernels.distances import DISTANCES, MEASURES
from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.inference import over_animals, over_networks
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.ftv_distributions import (
    DIFFERENCES,
    DISTANCES as DRAWN_DISTANCES,
    plot_distributions,
    plot_effects,
)

THESE, KIND = "these networks", "networks of this kind"


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_estimates_are_means_over_draws_and_networks(rng):
    monkey, models = recorded(rng), networks(rng, 0.5, n_draws=2)
    models[0][FTV][1, :5] = np.nan
    found = compare_samples(models, monkey, **FEW)
    y = monkey[FTV].values
    draws = [[d[np.isfinite(d)] for d in model[FTV].values] for model in models]
    expected = {
        "sd": lambda x: x.std() - y.std(),
        "mean": lambda x: x.mean() - y.mean(),
        "mixed_share": lambda x: (abs(x) < 0.3).mean() - (abs(y) < 0.3).mean(),
        "single_share": lambda x: (abs(x) > 0.9).mean() - (abs(y) > 0.9).mean(),
        "cliffs_delta": lambda x: np.sign(abs(x)[:, None] - abs(y)).mean(),
    } | {name: (lambda x, of=of: of(x, y)) for name, of in DISTANCES.items()}
    for name, of in expected.items():
        by_network = [np.mean([of(x) for x in one]) for one in draws]
        own = found.sel(measure=name)
        np.testing.assert_allclose(own["estimate_by_network"], by_network, atol=1e-12)
        assert own["estimate"].item() == pytest.approx(np.mean(by_network))
    assert found["n_units"].values.tolist() == [75.5, 78, 78]
    assert found["n_inactive"].values.tolist() == [2.5, 0, 0]
    mean_sd = np.mean([np.mean([x.std() for x in one]) for one in draws])
    ratio = np.log(mean_sd / y.std())
    assert found["effect_size"].sel(measure="sd").item() == pytest.approx(ratio)


def test_swaps_exchange_whole_sessions_with_their_matched_units(rng):
    session = np.repeat(np.arange(5), [2, 3, 4, 5, 3])
    monkey = recorded(rng, session=session)
    model = networks(rng, 0.6, 2, session=session)
    found = compare_samples(model, monkey, n_bootstrap=10, n_permutations=4000)
    # all 32 swaps, one by one
    far = []
    for code in range(32):
        swap = np.array([code >> s & 1 for s in session], bool)
        parts = [
            (np.where(swap, monkey[FTV], m[FTV]), np.where(swap, m[FTV], monkey[FTV]))
            for m in model
        ]
        far.append(np.mean([DISTANCES["wasserstein"](a, b) for a, b in parts]))
    exact = np.mean(np.array(far) >= far[0] - 1e-12)
    p = found["p_value"].sel(claim=THESE, measure="wasserstein").item()
    assert p == pytest.approx(exact, abs=0.03)
    assert exact >= found["p_smallest"].sel(claim=THESE).item() == 2 / 32
    assert found.attrs["pairing"] == "matched units"


def without_each_session(monkey, models, of):
    """A statistic of networks and recording with one session left out, for each session."""
    y, x = monkey[FTV].values, [model[FTV].values for model in models]
    kept = [session != SESSION for session in np.unique(SESSION)]
    return np.array([of([one[own] for one in x], y[own]) for own in kept])


def test_differences_are_tested_by_a_jackknife_over_sessions(rng):
    monkey, models = recorded(rng), networks(rng, 0.5)
    found = compare_samples(models, monkey, **FEW).sel(claim=THESE)
    size = np.bincount(SESSION)
    df = size.sum() ** 2 / (size**2).sum() - 1
    for name, of in {
        "mean": lambda x, y: np.mean(x) - y.mean(),
        "sd": lambda x, y: np.log(np.mean([one.std() for one in x]) / y.std()),
    }.items():
        each = without_each_session(monkey, models, of)
        error = np.sqrt((each.size - 1) * each.var())
        value = of([model[FTV].values for model in models], monkey[FTV].values)
        own = found.sel(measure=name)
        assert own["degrees_of_freedom"].item() == pytest.approx(df)
        assert own["p_value"].item() == pytest.approx(2 * stats.t.sf(abs(value) / error, df))
        end, place = ("high", 1) if name == "mean" else ("effect_high", 1)
        limit = stats.t.interval(0.95, df, value, error)[place]
        assert own[end].item() == pytest.approx(limit)


def test_intervals_of_the_sd_hold_zero_exactly_where_the_test_does_not_reject():
    for seed in range(30):
        rng = np.random.default_rng([5, seed])
        found = compare_samples(networks(rng, 0.42), recorded(rng), n_bootstrap=2, n_permutations=2)
        sd = found.sel(measure="sd")
        holds = (sd["low"] <= 0) & (sd["high"] >= 0)
        np.testing.assert_array_equal(holds, sd["p_student"] > 0.05)
        assert bool(((sd["low"] < sd["estimate"]) & (sd["estimate"] < sd["high"])).all())


def test_over_networks_the_variances_of_networks_and_recording_add(rng):
    monkey, models = recorded(rng), networks(rng, 0.5, n=6)
    found = compare_samples(models, monkey, **FEW).sel(claim=KIND, measure="mean")
    each = without_each_session(monkey, [], lambda _, y: y.mean())
    away = found["estimate_by_network"].var(ddof=1)
    parts = np.array([(each.size - 1) * each.var(), away * (1 + 1 / 6)])
    size = np.bincount(SESSION)
    kish = size.sum() ** 2 / (size**2).sum() - 1
    df = parts.sum() ** 2 / (parts**2 / [kish, 5]).sum()
    assert found["standard_error"].item() == pytest.approx(np.sqrt(parts.sum()))
    assert found["degrees_of_freedom"].item() == pytest.approx(df)


@pytest.mark.parametrize(("n_sessions", "is_tested"), [(1, False), (4, False), (5, True)])
def test_fewer_than_five_sessions_are_not_tested_and_it_is_said(rng, n_sessions, is_tested):
    session = np.arange(60) % n_sessions
    found = compare_samples(networks(rng, session=session), recorded(rng, session=session), **FEW)
    for name in ("p_value", "p_student", "low", "high", "standard_error", "effect_low"):
        assert bool(found[name].notnull().all()) is is_tested
    untested = json.loads(found.attrs["untested"])
    plural = "s" * (n_sessions > 1)
    reason = f"{n_sessions} session{plural} of A: a test over sessions needs 5 or more"
    assert untested == ({} if is_tested else {THESE: reason, KIND: reason})


@pytest.mark.parametrize("n_networks", [2, 3])
def test_two_networks_allow_no_p_over_networks(rng, n_networks):
    found = compare_samples(networks(rng, n=n_networks), recorded(rng), **FEW)
    assert bool(found["p_student"].sel(claim=KIND).isnull().all()) is (n_networks == 2)
    assert bool(found["p_value"].sel(claim=KIND).isnull().all()) is (n_networks == 2)
    assert found["p_value"].sel(claim=THESE).notnull().all()
    reasons = json.loads(found.attrs["untested"])
    assert reasons == (
        {KIND: "2 networks: a test over networks needs 3 or more"} if n_networks == 2 else {}
    )


def test_over_networks_is_the_sign_flip_test_at_the_nearest_recording(rng):
    session = np.repeat(np.arange(60), 3)
    monkey, models = recorded(rng, session=session), networks(rng, 0.6, n=8, session=session)
    found = compare_samples(models, monkey, **FEW)
    p = found["p_value"].sel(claim=KIND, measure="sd").item()
    values = found["estimate_by_network"].sel(measure="sd")
    assert p >= float(over_networks(values)["p_value"]) + 0.005 - 1e-12
    assert found["p_smallest"].values.tolist() == [1 / 100, 2 / 2**8 + 0.005]
    # all eight are far above whatever the recording may be
    assert p == pytest.approx(2 / 2**8 + 0.005)
    alike = networks(rng, 0.33, n=8, session=session)
    assert compare_samples(alike, monkey, **FEW)["p_value"].sel(claim=KIND, measure="sd") > 0.05


def test_equal_samples_differ_by_nothing(rng):
    monkey = recorded(rng)
    models = networks(rng, n=2)
    for model in models:
        model[FTV].values[:] = monkey[FTV].values
    found = compare_samples(models, monkey, **FEW)
    np.testing.assert_allclose(found["estimate"], 0, atol=1e-12)
    np.testing.assert_array_equal(found["p_value"].sel(claim=THESE), 1)


@pytest.mark.parametrize("matched", [False, True])
def test_differences_are_found_and_distances_stand_above_their_null(rng, matched):
    session = np.repeat(np.arange(40), [1, 2, 3, 6] * 10)
    monkey = recorded(rng, session=session)
    models = networks(rng, 0.6, 6, matched=matched, session=session)
    found = compare_samples(models, monkey, **FEW)
    for name in ("sd", "mixed_share", "cliffs_delta", "wasserstein", "energy"):
        own = found.sel(measure=name)
        assert own["p_value"].sel(claim=THESE) <= 0.02
        assert own["p_student"].sel(claim=KIND) <= 0.01
        assert abs(own["estimate"]) > own["null_high"]
    sd = found.sel(measure="sd")
    assert bool((sd["low"] < sd["estimate"]).all() & (sd["low"] > 0).all())
    # distances of equal distributions are above 0, differences are not
    is_distance = np.isin(MEASURES, list(DISTANCES))
    np.testing.assert_array_equal(found["null_mean"] > 0, is_distance)
    # the mean does not differ
    assert found["p_value"].sel(claim=THESE, measure="mean") > 0.05


def test_clustered_data_do_not_fool_the_swaps_but_fool_single_units():
    p_swap, p_unit = [], []
    session = np.repeat(np.arange(15), 8)
    for seed in range(60):
        rng = np.random.default_rng([11, seed])
        shift = rng.normal(0, 0.2, 15)[session]
        monkey = recorded(rng, 0.2, session)
        monkey[FTV].values[:] = np.clip(shift + rng.normal(0, 0.2, 120), -1, 1)
        # the same marginal distribution without sessions
        own = np.clip(rng.normal(0, 0.2 * np.sqrt(2), 120), -1, 1)
        model = table(own, "n", session=session, recorded_unit=np.arange(120))
        with pytest.warns(UserWarning, match="One network"):
            found = compare_samples([model], monkey, n_bootstrap=2, n_permutations=39)
        p_swap.append(found["p_value"].sel(claim=THESE).values)
        p_unit.append(stats.ttest_ind(own, monkey[FTV]).pvalue)
    rates = (np.array(p_swap) <= 0.05).mean(axis=0)
    # 9 of 60 or more has a probability below 0.3 % at a rate of 5 %
    assert (rates < 9 / 60).all()
    assert (np.array(p_unit) <= 0.05).mean() > 0.15


def test_matched_units_without_sessions_are_compared_as_if_each_were_a_session(rng):
    names = np.arange(60)
    monkey = recorded(rng, session=names).assign_coords(unit=names)
    models = [m.assign_coords(recorded_unit=("unit", names)) for m in networks(rng, session=names)]
    weights = {"weight": "share", **FEW}
    monkey = monkey.assign(share=("unit", rng.uniform(0.1, 1, 60)))
    expected = compare_samples(models, monkey, **weights)
    found = compare_samples(
        [m.drop_vars("session") for m in models], monkey.drop_vars("session"), **weights
    )
    for name in ("estimate", "low", "high", "p_value", "standard_error"):
        np.testing.assert_allclose(found[name], expected[name], err_msg=name)
    assert found.attrs["pairing"] == "matched units"
    assert "sessions are unknown" in found.attrs["unit_of_inference"]


def test_samples_of_one_network_unit_are_dealt_and_drawn_together(rng):
    monkey = recorded(rng)
    once = normal(rng, 0.33, (3, 20))
    models = [
        table(np.repeat(one, 6), f"n{i}", network_unit=np.repeat(np.arange(20), 6))
        for i, one in enumerate(once)
    ]
    kept = compare_samples(models, monkey, n_bootstrap=400, n_permutations=199)
    alone = compare_samples([m.drop_vars("network_unit") for m in models], monkey, **FEW)
    error, naive = (
        f["standard_error"].sel(claim=THESE, measure="sd").item() for f in (kept, alone)
    )
    assert error > 1.2 * naive
    assert kept["null_mean"].sel(measure="wasserstein") > alone["null_mean"].sel(
        measure="wasserstein"
    )


def test_one_network_says_nothing_over_networks(rng):
    with pytest.warns(UserWarning, match="allows no inference over networks"):
        found = compare_samples(networks(rng, 0.6, 1), recorded(rng), **FEW)
    kind = found.sel(claim=KIND)
    assert kind["p_value"].isnull().all()
    assert kind["p_student"].isnull().all()
    assert kind["low"].isnull().all()
    assert found["low"].sel(claim=THESE).notnull().all()
    unit = json.loads(found.attrs["unit_of_inference"])
    assert unit == {THESE: "session of the recording", KIND: "none: one network"}
    alike = equivalence_test(found, margin=0.5).sel(claim=KIND)
    assert np.isnan(alike["p_value"].item())
    assert not alike["equivalent"]


def test_one_animal_is_refused_with_the_reason(rng):
    alone = compare_samples(networks(rng), recorded(rng), **FEW)
    assert alone.attrs["over_animals"] == (
        "not applicable: one animal (A) allows no inference over animals"
    )
    assert "p_by_animal" not in alone
    unknown = compare_samples(networks(rng), recorded(rng).drop_vars("subject"), **FEW)
    assert "animals of the recording are unknown" in unknown.attrs["over_animals"]


SEVERAL = np.repeat(np.arange(24), [1, 2, 3, 4, 5, 6] * 4)


def several_animals(rng, sds, names="ABCDE"):
    """A recording of animals with their own s.d., and networks matched to it of s.d. 0.33."""
    animal = np.array(list(names))[SEVERAL * len(sds) // 24]
    monkeys = recorded(rng, session=SEVERAL, subject=animal)
    spread = np.array(sds)[SEVERAL * len(sds) // 24]
    monkeys[FTV].values[:] = np.clip(rng.normal(0, spread), -1, 1)
    return [
        model.assign_coords(subject=("unit", animal))
        for model in networks(rng, 0.33, 4, session=SEVERAL)
    ], monkeys


def test_each_animal_is_compared_as_if_it_were_alone(rng):
    models, monkeys = several_animals(rng, [0.33, 0.6])
    found = compare_samples(models, monkeys, **FEW)
    assert "two animals (A, B) are fixed" in found.attrs["over_animals"]
    assert "animals_mean" not in found
    alone = [
        compare_samples(
            [m.isel(unit=m["subject"].values == which) for m in models],
            monkeys.isel(unit=monkeys["subject"].values == which),
            **FEW,
        )
        for which in "AB"
    ]
    differences = [name for name in MEASURES if name not in DISTANCES]
    for animal, expected in zip("AB", alone, strict=True):
        own = found.sel(animal=animal, measure=differences)
        ours = expected.sel(measure=differences)
        np.testing.assert_allclose(own["estimate_by_animal"], ours["estimate"])
        np.testing.assert_allclose(own["low_by_animal"], ours["low"])
        np.testing.assert_allclose(own["p_student_by_animal"], ours["p_student"])
    first, second = (one.sel(claim=THESE, measure="mean") for one in alone)
    pair = found.sel(animal_pair="A - B", measure="mean")
    assert pair["animal_difference"].item() == pytest.approx(
        float(first["estimate"] - second["estimate"])
    )
    error = np.hypot(first["standard_error"], second["standard_error"])
    half = float(pair["animal_difference_high"] - pair["animal_difference"])
    assert 1.96 * error < half < 2.3 * error


def test_an_effect_is_in_both_animals_only_if_each_rejects_in_one_direction(rng):
    for sds, showing in (([0.33, 0.6], 1), ([0.6, 0.6], 2), ([0.15, 0.6], 1)):
        found = compare_samples(*several_animals(rng, sds), **FEW).sel(measure="sd")
        p = found["p_by_animal"].sel(claim=THESE).values
        assert found["n_showing"] == showing
        together = found["p_value"].sel(claim=THESE).item()
        # opposite effects are no common one, however sure
        opposite = sds[0] < 0.2
        assert together == (1 if opposite else pytest.approx(p.max()))
        assert (together <= 0.05) == (showing == 2)
        assert bool(found["animal_difference_p"].item() < 0.05) is (sds[0] != sds[1])
    assert found["prevalence_bound"] < found["prevalence"] < found["prevalence_high"]


def test_from_three_animals_on_there_is_a_mean_over_animals(rng):
    found = compare_samples(*several_animals(rng, [0.45, 0.5, 0.6]), **FEW)
    assert found.attrs["over_animals"].endswith("random-effects mean, very wide")
    sd = found.sel(measure="sd")
    expected = over_animals(
        sd["estimate_by_animal"].values, sd["error_by_animal"].sel(claim=THESE).values
    )
    assert sd["animals_high"].item() == pytest.approx(expected["high"].item())
    assert found["animals_mean"].sel(measure="wasserstein").isnull()
    assert json.loads(found.attrs["untested"]) == {}


def test_an_animal_with_too_few_sessions_or_units_is_said(rng):
    models, monkeys = several_animals(rng, [0.33] * 5)
    found = compare_samples(models, monkeys, **FEW)
    assert found["p_by_animal"].sel(animal="E").isnull().all()
    assert found["p_value"].isnull().all()
    assert "sessions of" in json.loads(found.attrs["untested"])[THESE]
    monkeys[FTV].values[monkeys["subject"].values == "C"] = np.nan
    with pytest.raises(NotApplicableError, match="'monkey', C: expected 3 or more active units"):
        compare_samples(models, monkeys, **FEW)


def test_without_sessions_units_stand_for_themselves_and_it_is_said(rng):
    monkey = table(normal(rng, 0.33, 78), "monkey")
    found = compare_samples(networks(rng, matched=False), monkey, **FEW)
    unit = json.loads(found.attrs["unit_of_inference"])[THESE]
    assert unit == "unit of the recording (sessions are unknown)"
    # both sides have 77
    assert found["degrees_of_freedom"].sel(claim=THESE, measure="mean") > 77
    matched = networks(rng, session=np.zeros(78, int))
    paired = compare_samples(matched, monkey.assign_coords(unit=np.arange(78)), **FEW)
    assert paired.attrs["pairing"] == "matched units"


def test_same_seed_same_result_and_a_netcdf_keeps_it(rng, tmp_path):
    models, monkey = networks(rng, matched=False), recorded(rng)
    once, again = (compare_samples(models, monkey, seed=4, **FEW) for _ in range(2))
    xr.testing.assert_identical(once, again)
    other = compare_samples(models, monkey, seed=5, **FEW)
    assert not other["low"].equals(once["low"])
    for name, result in {
        "comparison": once,
        "alike": equivalence_test(once, margin=0.1),
        "curves": distribution_curves(models, monkey, n_bootstrap=20),
    }.items():
        path = tmp_path / f"{name}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_equal(xr.load_dataset(path, engine="h5netcdf"), result)


def test_whole_weights_count_as_repeated_units(rng):
    weight = rng.integers(1, 4, SESSION.size)
    weight[-5:] = 0
    name = np.arange(SESSION.size)
    monkey = recorded(rng, unit=name).assign(weight=("unit", weight))
    models = networks(rng, 0.5, n_draws=2)
    models[0][FTV][1, :5] = np.nan
    found = compare_samples(models, monkey, weight="weight", **FEW)
    place = np.repeat(name, weight)
    repeated = compare_samples(
        [model.isel(unit=place) for model in models], monkey.isel(unit=place), **FEW
    )
    for name in ("estimate", "p_value", "low", "high", "effect_size", "null_mean"):
        np.testing.assert_allclose(found[name], repeated[name], atol=1e-9, err_msg=name)
    assert found["n_units"].values[1] == (weight > 0).sum()
    unweighted = compare_samples(models, monkey, **FEW)
    assert abs(found["estimate"] - unweighted["estimate"]).max() > 0.01


def test_equal_weights_change_nothing(rng):
    monkey, models = (
        recorded(rng).assign(weight=("unit", np.full(SESSION.size, 2.5))),
        networks(rng),
    )
    found, plain = (compare_samples(models, monkey, weight=w, **FEW) for w in ("weight", None))
    for name in ("estimate", "p_value", "low", "high"):
        np.testing.assert_allclose(found[name], plain[name], atol=1e-9, err_msg=name)


def test_weights_follow_the_recorded_unit_not_the_order(rng):
    weight = rng.random(SESSION.size)
    names = np.array([f"u{place}" for place in range(SESSION.size)])
    monkey = recorded(rng).assign_coords(unit=names).assign(weight=("unit", weight))
    models = [m.assign_coords(recorded_unit=("unit", names)) for m in networks(rng, 0.5)]
    order = rng.permutation(SESSION.size)
    found, mixed = (
        compare_samples(each, monkey, weight="weight", **FEW)["estimate"]
        for each in (models, [m.isel(unit=order) for m in models])
    )
    np.testing.assert_allclose(found, mixed)


def bad_weights():
    rng = np.random.default_rng(0)
    monkey, models = recorded(rng), networks(rng)
    each = np.ones(SESSION.size)
    with_weight = monkey.assign(weight=("unit", each))
    strange = models[0].assign_coords(recorded_unit=("unit", 1000 + np.arange(SESSION.size)))
    return {
        "missing": (models, monkey, "the weights 'weight' on unit"),
        "other dimension": (models, monkey.assign(weight=1.0), "the weights 'weight' on unit"),
        "negative": (models, monkey.assign(weight=("unit", each - 2)), "0 or more, got -1 to -1"),
        "unknown": (models, monkey.assign(weight=("unit", each * np.nan)), "finite weights"),
        "unmatched": (networks(rng, matched=False), with_weight, "sampled like recorded ones"),
        "other units": ([strange], with_weight, "the recording's own .* got others: .* 1000"),
    }


@pytest.mark.parametrize("case", bad_weights())
def test_bad_weights_are_refused(case):
    models, monkey, match = bad_weights()[case]
    with pytest.raises(InputError, match=match):
        compare_samples(models, monkey, weight="weight", **FEW)


def change(model, **attrs):
    return model.assign_attrs(attrs)


def sample_errors():
    rng = np.random.default_rng(0)
    monkey, models = recorded(rng), networks(rng)
    dead = models[0].assign({FTV: models[0][FTV] * np.nan})
    flat = models[0].assign({FTV: models[0][FTV] * 0})
    strange = models[0].assign_coords(session=("unit", SESSION + 100))
    two = monkey.assign_coords(subject=("unit", np.arange(SESSION.size) % 2))
    return {
        "none": ([], monkey, "at least one network"),
        "all NaN": ([dead], monkey, "active units with different values, got 0 active units"),
        "constant": ([flat], monkey, "all alike"),
        "dead recording": (
            models,
            monkey.assign({FTV: monkey[FTV] * np.nan}),
            "'monkey': .* 0 active",
        ),
        "pair": ([change(models[0], task_b="c")], monkey, r"pair of tasks \(a, b\), got a, c"),
        "no pair": ([models[0].drop_attrs()], monkey, "pair of tasks .* got nothing"),
        "no shared sessions": ([strange], monkey, "the recording's own sessions, got others: 100"),
        "some matched": ([models[0], models[1].drop_vars("recorded_unit")], monkey, "in 1 of 2"),
        "twice": ([models[0], models[0]], monkey, "different names"),
        "variable": ([models[0].rename({FTV: "other"})], monkey, "the variable"),
        "draws": (models, monkey.expand_dims("draw"), "on unit, got on draw, unit"),
        "two animals": (models, two, "sessions of one animal each"),
    }


@pytest.mark.parametrize("case", sample_errors())
def test_bad_samples_are_refused(case):
    models, monkey, match = sample_errors()[case]
    few = case in {"all NaN", "constant", "dead recording"}
    with pytest.raises(NotApplicableError if few else InputError, match=match):
        compare_samples(models, monkey, **FEW)


@pytest.mark.parametrize("name", ["n_bootstrap", "n_permutations"])
def test_too_few_replicates_are_refused(rng, name):
    with pytest.raises(InputError, match=f"{name}: expected 2 or more"):
        compare_samples(networks(rng), recorded(rng), **{name: 1})


def test_curves_are_shares_of_units(rng):
    monkey, models = recorded(rng), networks(rng, 0.6, n_draws=2)
    curves = distribution_curves(models, monkey, n_bootstrap=300)
    values = monkey[FTV].values
    at = curves.sel(value=0.2, method="nearest")
    assert at["recording_cumulative"].item() == pytest.approx((values <= 0.2).mean())
    both = np.mean([(draw <= 0.2).mean() for draw in models[1][FTV].values])
    assert at["network_cumulative"].values[1] == pytest.approx(both)
    np.testing.assert_allclose(
        curves["recording_share"] * values.size, np.histogram(values, 20, (-1, 1))[0]
    )
    np.testing.assert_allclose(curves["network_share"].sum("bin"), 1)
    assert (curves["recording_cumulative_low"] <= curves["recording_cumulative_high"]).all()
    # noise-corrected values may lie beyond the ends
    beyond = monkey.assign({FTV: monkey[FTV] * 5})
    assert distribution_curves(models, beyond, n_bootstrap=9)[
        "recording_share"
    ].sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["cumulative", "histogram"])
def test_distributions_are_drawn_network_by_network(rng, kind):
    curves = distribution_curves(networks(rng), recorded(rng), n_bootstrap=20)
    ax = plot_distributions(new_figure()[1][0, 0], curves, kind=kind, names={"a": "Ctx DM 1"})
    assert ax.get_legend_handles_labels()[1] == ["monkey, n = 78", "n0", "n1", "n2"]
    assert ax.get_xlim() == (-1, 1)
    assert ax.get_xlabel() == "FTV (Ctx DM 1, b)"
    many = distribution_curves(networks(rng, n=9), recorded(rng), n_bootstrap=20)
    ax = plot_distributions(new_figure()[1][0, 0], many, kind=kind)
    assert ax.get_legend_handles_labels()[1] == ["monkey, n = 78", "9 networks"]


def test_effects_are_drawn_in_rows(rng):
    monkey = recorded(rng)
    found = {
        p: compare_samples(networks(rng, sd), monkey, **FEW) for p, sd in (("x", 0.4), ("y", 0.5))
    }
    ax = plot_effects(new_figure()[1][0, 0], found, margin=0.1)
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows[:2] == ["s.d.", "mean"]
    assert len(rows) == len(DIFFERENCES)
    labels = ["x", "y", "margin of equivalence, 0.1"]
    assert sorted(ax.get_legend_handles_labels()[1]) == sorted(labels)
    # an interval and a mark for each row and protocol, and the null line
    assert len(ax.lines) == 2 * 2 * len(DIFFERENCES) + 1
    far = plot_effects(new_figure()[1][0, 0], found, claim=KIND, measures=DRAWN_DISTANCES)
    assert len(far.lines) == 3 * 2 * len(DRAWN_DISTANCES) + 1
    assert far.get_xlabel() == "distance (grey: where both are the same)"
    assert far.get_title() == KIND
    mixed = plot_effects(new_figure()[1][0, 0], found, measures=("sd", "energy"))
    assert mixed.get_xlabel() == "networks minus recording, or distance"
