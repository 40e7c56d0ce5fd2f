"""Composition of rules: expressions, many rules in one pass, plain loops, the reference."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, strategies as st
from network_variants import CELLS

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import composition_over_networks
from nwbcompare.experiments.control_networks import untrained
from nwbcompare.experiments.rule_composition import (
    RULE_COMPOSITIONS,
    _outputs_by_rule,
    composition_performance,
    format_rule_expression,
    parse_rule_expression,
    rule_composition,
)
from nwbcompare.model import Network, NetworkConfig, from_arrays
from nwbcompare.model.network import is_correct
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.compositionality import plot_rule_composition
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.tasks.description import concatenate
from nwbcompare.tasks.registry import get_task
from nwbcompare.tasks.trials import draw_trials

QUICK = {"n_batches": 4, "batch_size": 6}
# its function has the name of its module
composition = sys.modules[rule_composition.__module__]


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# --- expressions


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("fdgo", {"fdgo": 1}),
        ("fdanti + delaygo - fdgo", {"fdanti": 1, "delaygo": 1, "fdgo": -1}),
        ("-fdgo+0.5*dm1", {"fdgo": -1, "dm1": 0.5}),
        (" 2 fdgo  - .5dm1 ", {"fdgo": 2, "dm1": -0.5}),
        ("fdgo + fdgo - 1e-1*fdgo", {"fdgo": 1.9}),
        ("0*fdgo", {"fdgo": 0}),
    ],
)
def test_expressions_are_read(text, factors):
    assert parse_rule_expression(text) == pytest.approx(factors)


@given(
    st.dictionaries(
        st.sampled_from(list(RULES)),
        st.sampled_from([1.0, -1.0, 0.5, -2.0, 0.25, 3.0]),
        min_size=1,
        max_size=5,
    )
)
def test_expressions_come_back_as_they_were_written(factors):
    assert parse_rule_expression(format_rule_expression(factors)) == factors


def test_a_sum_of_nothing_is_no_rule():
    assert format_rule_expression({}) == format_rule_expression({"fdgo": 0}) == "no rule"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "expression: .*got ''"),
        ("   ", "expression: "),
        ("fdgo +", "not understood from '\\+'"),
        ("fdgo fdanti", "not understood from 'fdgo fdanti'"),
        ("fdgo + + dm1", "not understood from '\\+ \\+ dm1'"),
        ("2*", "not understood from '2\\*'"),
        ("inf*fdgo", "not understood"),
        ("fdgo * 2", "not understood"),
        ("1e999*fdgo", "factor of 'fdgo': expected a finite number, got 1e999"),
        ("fdgo - fdant", "rule: .*Did you mean 'fdanti'"),
    ],
)
def test_expressions_that_mean_nothing_are_refused(text, match):
    with pytest.raises(nc.InputError, match=match):
        parse_rule_expression(text)


def test_rules_are_those_of_the_network():
    assert parse_rule_expression("mine - fdgo", rules=["fdgo", "mine"]) == {"mine": 1, "fdgo": -1}
    with pytest.raises(nc.InputError, match="one of fdgo, mine"):
        parse_rule_expression("dm1", rules=["fdgo", "mine"])


# --- many rules in one pass

SUMS = ({"dmsgo": 1.0}, {}, {"fdgo": 0.5, "dm1": -2.0}, {"dmcgo": 1, "dmsnogo": 1, "dmcnogo": -1})


def mixed_lengths(dt_ms):
    """Trials of one task with unlike lengths."""
    rng = np.random.default_rng(0)
    parts = [
        draw_trials(["dmsgo"], np.zeros(3, dtype=int), rng, dt_ms=dt_ms, shared_timing=True)
        for _ in range(3)
    ]
    return concatenate(parts)


def plain_outputs(network, trials, sums, rng):
    """Each sum by itself through the network as it is written, with the same noise."""
    config, n_steps = network.config, int(trials.n_steps.max())
    inputs = composition.render(composition.input_signal(trials, config.rules, {}), n_steps)
    if rng is not None:
        scale = config.sigma_x * np.sqrt(2 * 100 / config.dt_ms)
        inputs += scale * torch.from_numpy(rng.standard_normal(inputs.shape, dtype=np.float32))
        noise = rng.standard_normal((n_steps, trials.n_trials, config.n_units), dtype=np.float32)
    for sum_ in sums:
        shown = inputs.clone()
        for rule, factor in sum_.items():
            shown[:, :, 65 + config.rules.index(rule)] += factor
        units = None if rng is None else torch.from_numpy(noise)
        with torch.no_grad():
            _, output = network(shown.float(), noise=units)
        yield output.numpy()[trials.n_steps - 1, np.arange(trials.n_trials)]


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_many_rules_in_one_pass_equal_each_by_itself(cell, noisy):
    network = Network(NetworkConfig(n_units=12, sigma_rec=0.3, **CELLS[cell]))
    trials = mixed_lengths(network.config.dt_ms)

    def generator():
        return np.random.default_rng(5) if noisy else None

    found = _outputs_by_rule(network, trials, SUMS, rng=generator())
    expected = list(plain_outputs(network, trials, SUMS, generator()))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # rules matter here at all
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_lesions_and_large_drives_are_kept_in_the_fast_pass():
    network = Network(NetworkConfig(n_units=12)).lesioned([0, 5])
    trials = mixed_lengths(20.0)
    large = [*SUMS, {"fdgo": 2000.0}]
    found = _outputs_by_rule(network, trials, large, rng=None)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, list(plain_outputs(network, trials, large, None)), atol=2e-5)


def test_chunks_of_rules_change_nothing(monkeypatch):
    network, trials = Network(NetworkConfig(n_units=12)), mixed_lengths(20.0)
    whole = _outputs_by_rule(network, trials, SUMS, rng=None)
    monkeypatch.setattr(composition, "ROWS_AT_ONCE", 1)
    np.testing.assert_allclose(_outputs_by_rule(network, trials, SUMS, rng=None), whole, atol=1e-6)


@pytest.mark.shared
def test_composed_rules_perform_as_in_the_reference(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        network = from_arrays(**{name: oracle[name] for name in names})
        for task, expression in RULE_COMPOSITIONS.items():
            expected = float(oracle[f"composed_rule_test_performance/{task}"])
            weights = parse_rule_expression(expression)
            trials = make_trials(task, "test", rule_weights=weights)
            assert network.performance(trials) == pytest.approx(expected, abs=1e-6)
            described = get_task(task).test(20.0)
            output = _outputs_by_rule(network, described, [weights], rng=None)[0]
            assert is_correct(output, described.response).mean() == pytest.approx(expected)


# --- performance


@pytest.fixture(scope="module")
def small():
    """A network whose answers vary between trials."""
    network = Network(NetworkConfig(n_units=24, sigma_rec=0.5), name="small")
    with torch.no_grad():
        network.input_weight.mul_(3)
        network.output_weight.mul_(3)
        network.output_weight[:, 0] -= network.output_weight[:, 0].mean()
    return network


def test_performance_equals_plain_loops(small):
    expressions = ["dmsgo", "dm1 - 2*fdgo", "0*fdgo"]
    found = composition_performance(small, "dmsgo", expressions, seed=4, **QUICK)
    sums = [parse_rule_expression(text) for text in expressions]
    correct, due = [], []
    for batch in range(4):
        rng = np.random.default_rng((4, 0, batch))
        trials = draw_trials(["dmsgo"], np.zeros(6, dtype=int), rng, dt_ms=20.0, shared_timing=True)
        outputs = plain_outputs(small, trials, sums, rng)
        correct.append([is_correct(output, trials.response) for output in outputs])
        due.append(np.isfinite(trials.response))
    correct, due = np.array(correct), np.array(due)
    by_batch = correct.mean(axis=2)
    np.testing.assert_allclose(found["performance"], by_batch.mean(axis=0))
    np.testing.assert_allclose(
        found["standard_error"], by_batch.std(axis=0, ddof=1) / 2, atol=1e-12
    )
    for place in range(3):
        mine = correct[:, place]
        balanced = (mine[due].mean() + mine[~due].mean()) / 2
        assert float(found["balanced_accuracy"][place]) == pytest.approx(balanced)
    assert int(found["n_trials"].sum()) == 24
    assert found["n_trials"].sel(due="response").values.tolist() == due.sum(axis=1).tolist()
    assert 0 < by_batch.mean() < 1


def test_where_a_response_is_always_due_balanced_accuracy_is_performance(small):
    found = composition_performance(small, "fdgo", ["fdgo", "dm1", "dm2"], **QUICK)
    np.testing.assert_allclose(found["balanced_accuracy"], found["performance"])
    np.testing.assert_allclose(found["balanced_standard_error"], found["standard_error"])


def test_expressions_see_the_same_trials_whatever_stands_beside_them(small, monkeypatch):
    texts = ["dmsgo", "dm1", "fdgo"]
    one = composition_performance(small, "dmsgo", texts, **QUICK)
    monkeypatch.setattr(composition, "MOST_THREADS", 1)
    other = composition_performance(small, "dmsgo", ["dm2", *reversed(texts)], **QUICK)
    xr.testing.assert_equal(one["n_correct"], other["n_correct"].sel(expression=texts))
    assert not one["n_correct"].equals(
        composition_performance(small, "dmsgo", texts, seed=1, **QUICK)["n_correct"]
    )


@pytest.mark.parametrize(
    ("task", "expressions", "options", "match"),
    [
        ("fdgoo", ["fdgo"], {}, "task: .*Did you mean 'fdgo'"),
        ("fdgo", ["nothing"], {}, "rule: expected one of"),
        ("fdgo", [], {}, "expressions: expected at least one"),
        ("fdgo", ["fdgo"], {"n_batches": 1}, "n_batches: .*2.*error is taken over batches"),
        ("fdgo", ["fdgo"], {"batch_size": 0}, "batch_size"),
        ("fdgo", ["fdgo"], {"seed": -1}, "seed"),
    ],
)
def test_performance_refuses_what_the_network_lacks(small, task, expressions, options, match):
    with pytest.raises(nc.InputError, match=match):
        composition_performance(small, task, expressions, **options)


def test_a_network_without_the_task_is_refused():
    network = Network(NetworkConfig(n_units=4, rules=("fdgo", "dm1")))
    with pytest.raises(nc.InputError, match="task: expected one of fdgo, dm1, got 'dmsgo'"):
        composition_performance(network, "dmsgo", ["fdgo"])
    with pytest.raises(nc.NotApplicableError, match="at least four rules, got 2"):
        rule_composition(network, "dm1", "fdgo")


# --- composed against wrong rules


@pytest.fixture(scope="module")
def ruled(small):
    return rule_composition(small, "dmsgo", n_random=12, **QUICK)


def test_every_role_is_there(ruled):
    roles = ruled["role"].values.tolist()
    of = {role: ruled["expression"].values[np.array(roles) == role].tolist() for role in roles}
    assert of["right"] == ["dmsgo"]
    assert of["composed"] == ["dmcgo + dmsnogo - dmcnogo"]
    assert of["partial"] == ["dmcgo + dmsnogo", "dmcgo - dmcnogo", "dmsnogo - dmcnogo"]
    assert of["none"] == ["no rule"]
    assert of["wrong"] == [rule for rule in RULES if rule != "dmsgo"]


def test_random_sums_are_of_three_other_rules_and_not_the_composed_one(ruled):
    sums = [parse_rule_expression(text) for text in ruled["combination"].values]
    assert len({json.dumps(sum_, sort_keys=True) for sum_ in sums}) == 12
    for sum_ in sums:
        assert sorted(sum_.values()) == [-1, 1, 1]
        assert "dmsgo" not in sum_
        assert sum_ != parse_rule_expression(RULE_COMPOSITIONS["dmsgo"])


def test_where_few_random_sums_exist_all_are_taken():
    rules = ("delayanti", "fdanti", "delaygo", "fdgo")
    network = Network(NetworkConfig(n_units=8, rules=rules))
    found = rule_composition(network, "delayanti", n_random=100, **QUICK)
    # three rules have three sums, one of which is the composed one
    assert sorted(found["combination"].values) == [
        "delaygo + fdgo - fdanti",
        "fdanti + fdgo - delaygo",
    ]


def test_the_performances_are_those_of_the_expressions_alone(small, ruled):
    texts = ["dmcgo + dmsnogo - dmcnogo", "dm1"]
    alone = composition_performance(small, "dmsgo", texts, **QUICK)
    np.testing.assert_array_equal(alone["performance"], ruled["performance"].sel(expression=texts))


def test_the_best_wrong_rule_is_chosen_on_one_half_and_measured_on_the_other(ruled):
    correct = ruled["n_correct"].sum("due")
    wrong = correct.isel(expression=ruled["role"].values == "wrong")
    composed = correct.isel(expression=ruled["role"].values == "composed").squeeze()
    first, second = [0, 2], [1, 3]
    effects, names = [], []
    for measured, chosen_on in ((first, second), (second, first)):
        best = wrong.isel(batch=chosen_on).sum("batch").argmax("expression")
        share = [
            x.isel(batch=measured).sum() / (6 * len(measured)) for x in (composed, wrong[best])
        ]
        effects.append(float(share[0] - share[1]))
        names.append(str(wrong["expression"].values[best]))
    assert float(ruled["effect"].sel(measure="performance")) == pytest.approx(np.mean(effects))
    assert ruled["best_wrong_rule"].sel(measure="performance").values.tolist() == names
    assert (ruled["effect_standard_error"] > 0).all()


def simulated_counts(rng, n_rules=20, n_batches=20, share=0.5):
    trials = np.array([[50] * n_batches, [0] * n_batches])
    correct = np.zeros((n_rules, 2, n_batches), dtype=int)
    correct[:, 0] = rng.binomial(50, share, size=(n_rules, n_batches))
    return composition._Counts(correct, trials)


def test_choice_and_measure_on_different_halves_leave_no_bias(rng):
    role = np.array(["composed", *["wrong"] * 19])
    names = np.array([f"r{i}" for i in range(20)])
    effects, errors, naive = [], [], []
    for _ in range(200):
        counts = simulated_counts(rng)
        found = composition._effect(counts, names, role)
        effects.append(float(found["effect"][0]))
        errors.append(float(found["effect_standard_error"][0]))
        shares = counts.scores(counts.every)[0]
        naive.append(shares[0] - shares[1:].max())
    # all rules are alike: the best on the same trials looks better, on others it does not
    assert abs(np.mean(effects)) < 3 * np.std(effects) / np.sqrt(200)
    assert np.mean(naive) < -0.02
    assert np.mean(errors) == pytest.approx(np.std(effects), rel=0.2)


def test_the_same_seed_gives_the_same_result(small, ruled, monkeypatch, tmp_path):
    monkeypatch.setattr(composition, "MOST_THREADS", 1)
    again = rule_composition(small, "dmsgo", n_random=12, **QUICK)
    xr.testing.assert_identical(again, ruled)
    ruled.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "r.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), ruled)
        assert back.attrs["expression"] == "dmcgo + dmsnogo - dmcnogo"


def test_rules_that_are_made_to_compose_do():
    """A network that fixates and responds by one rule axis: planted truth."""
    network = Network(NetworkConfig(n_units=8, nonlinearity="relu", sigma_rec=0.0))
    weights = {name: torch.zeros_like(w) for name, w in network.named_parameters()}
    rules = list(network.config.rules)
    # unit 0 holds fixation where the rule input is there: b + c - d = 1, each alone less
    for rule, drive in (("dmsgo", 1.0), ("dmcgo", 0.5), ("dmsnogo", 0.5), ("dmcnogo", 0.0)):
        weights["input_weight"][65 + rules.index(rule), 0] = drive
    weights["output_weight"][0, 0] = 20.0
    weights["output_bias"][0] = -16.0
    network.load_state_dict(weights)
    found = rule_composition(network, "dmsgo", n_random=30, n_batches=4, batch_size=20)
    by_role = {
        r: found["n_correct"].isel(expression=found["role"].values == r)
        for r in ("right", "composed", "wrong")
    }
    n_fixate = found["n_trials"].sel(due="fixation").sum()
    for role, share in (("right", 1), ("composed", 1), ("wrong", 0)):
        kept = by_role[role].sel(due="fixation").sum("batch") / n_fixate
        np.testing.assert_allclose(kept, share)
    # who always fixates is no better than chance in balance, whatever its performance
    balanced = found["balanced_accuracy"].isel(expression=0)
    assert float(balanced) == pytest.approx(0.5)
    assert (found["share_of_random_below"] > 0.5).all()


@pytest.mark.parametrize(
    ("task", "expression", "options", "match"),
    [
        ("fdgo", None, {}, "expression: .*only delayanti, contextdelaydm1, dmsgo have"),
        ("fdgo", "fdgo + dm1", {}, "rules other than 'fdgo'"),
        ("fdgo", "dm1 +", {}, "not understood"),
        ("fdgo", "dm1", {"n_random": 0}, "n_random"),
        ("fdg", "dm1", {}, "task: .*Did you mean"),
    ],
)
def test_composition_refuses_what_makes_no_sense(small, task, expression, options, match):
    with pytest.raises(nc.InputError, match=match):
        rule_composition(small, task, expression, **options)


def test_effects_are_paired_over_networks(small):
    results = [
        rule_composition(network, "dmsgo", n_random=2, **QUICK)
        for network in (small, untrained(small, 1), untrained(small, 2))
    ]
    joined = composition_over_networks(results)
    assert joined["effect"].sizes == {"network": 3, "measure": 2}
    for measure in ("performance", "balanced_accuracy"):
        values = [float(result["effect"].sel(measure=measure)) for result in results]
        assert float(joined["mean"].sel(measure=measure)) == pytest.approx(np.mean(values))
    assert joined["performance"].sizes == {"network": 3, "expression": 25}


# --- figures


@pytest.fixture
def ax():
    _, axes = new_figure()
    return axes[0, 0]


def test_the_figure_of_rules_in_one_network(ax, ruled):
    assert plot_rule_composition(ax, [ruled], measure="balanced_accuracy", names=RULES) is ax
    shown = [t.get_text() for t in ax.get_yticklabels()]
    assert shown[:2] == ["DMS (right)", "DMC + DNMS - DNMC"]
    assert shown[-2:] == ["each wrong rule", "random sums"]
    sizes = [len(c.get_offsets()) for c in ax.collections]
    assert sizes == [1] * 6 + [19, 12]
    assert "balanced accuracy in DMS" in ax.get_xlabel()
    composed = float(ruled["balanced_accuracy"].isel(expression=1))
    assert ax.collections[1].get_offsets()[0, 0] == pytest.approx(composed)


def test_the_figure_of_rules_in_several_networks(ax, ruled):
    plot_rule_composition(ax, [ruled, ruled.assign_attrs(name="other")])
    shown = [t.get_text() for t in ax.get_yticklabels()]
    assert shown[-2:] == ["best wrong rule", "random sums, mean"]
    assert [len(c.get_offsets()) for c in ax.collections] == [2] * 8
    assert len(ax.lines) == 8
    best = ax.collections[6].get_offsets()[:, 0]
    np.testing.assert_allclose(best, float(ruled["best_wrong"][0]))


def test_factors_stay_beside_the_shown_names(ax, small):
    found = rule_composition(small, "fdgo", "0.5*dm1 - dm2", n_random=2, **QUICK)
    plot_rule_composition(ax, [found], names=RULES)
    assert ax.get_yticklabels()[1].get_text() == "0.5*DM 1 - DM 2"
    assert found["expression"].values[1:3].tolist() == ["0.5*dm1 - dm2", "no rule"]
