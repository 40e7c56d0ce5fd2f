"""Composition of task vectors and of rules: twins, the reference, planted truth, controls."""

from __future__ import annotations

import json
import sys
from itertools import permutations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import (
    COMPOSITIONS,
    composition_cosine,
    composition_over_networks,
    composition_rank,
)
from nwbcompare.analysis.population.task_vectors import TASK_SETS
from nwbcompare.experiments.control_networks import untrained, with_gaussian_rules
from nwbcompare.experiments.rule_composition import (
    RULE_COMPOSITIONS,
    composition_performance,
    format_rule_expression,
    outputs_by_rule,
    parse_rule_expression,
    rule_composition,
)
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.model import Network, NetworkConfig, from_arrays
from nwbcompare.model.network import is_correct
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.compositionality import (
    plot_cosine_controls,
    plot_cosine_rank,
    plot_cosine_ranks,
    plot_rule_composition,
)
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.tasks.description import concatenate
from nwbcompare.tasks.registry import get_task
from nwbcompare.tasks.trials import draw_trials

QUICK = {"n_batches": 4, "batch_size": 6}
# its function has the name of its module
composition = sys.modules[rule_composition.__module__]


def labelled(values, names="abcdefgh", **attrs):
    names = list(names)[: len(values)]
    return xr.Dataset(
        {"task_vector": (("task", "unit"), np.asarray(values, dtype=float))},
        coords={"task": names, "unit": [f"u{i}" for i in range(np.shape(values)[1])]},
        attrs={"name": "toy", **attrs},
    )


def cosine_of(vectors, quadruple="abcd", **options):
    return float(composition_cosine(vectors, *quadruple, **options)["cosine"])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def brute_cosine(values, a, b, c, d):
    x, y = values[a] - values[b], values[c] - values[d]
    return x @ y / np.sqrt((x @ x) * (y @ y))


def test_published_compositions_and_rules_say_the_same():
    for name, (a, b, c, d) in COMPOSITIONS.items():
        assert {a, b, c, d} == set(TASK_SETS[name])
        # a - b = c - d, so that one of the four is a sum of the others
        of = {a: {b: 1, c: 1, d: -1}, c: {a: 1, d: 1, b: -1}}
        task = next(task for task in RULE_COMPOSITIONS if task in of)
        assert parse_rule_expression(RULE_COMPOSITIONS[task]) == of[task]


def test_the_cosine_equals_its_formula(rng):
    values = rng.standard_normal((5, 9))
    found = cosine_of(labelled(values), "dbea")
    assert found == pytest.approx(brute_cosine(values, 3, 1, 4, 0), abs=1e-12)


def test_the_cosine_is_one_for_a_parallelogram_and_sees_no_shift_scale_or_rotation(rng):
    base = rng.standard_normal((3, 12))
    values = np.array([base[0] + base[1], base[0], base[2] + 3 * base[1], base[2]])
    assert cosine_of(labelled(values)) == pytest.approx(1)
    assert cosine_of(labelled(values), "badc") == pytest.approx(1)
    assert cosine_of(labelled(values), "bacd") == pytest.approx(-1)
    noisy = values + rng.standard_normal(values.shape)
    moved = 3 * noisy @ random_rotation(12, rng) + rng.standard_normal(12)
    assert cosine_of(labelled(moved)) == pytest.approx(cosine_of(labelled(noisy)))
    stretched = noisy * np.r_[30, np.ones(11)]
    assert abs(cosine_of(labelled(stretched)) - cosine_of(labelled(noisy))) > 0.05


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        # a - b and c - d are correlated by 0.6 over units
        shared, own = rng.standard_normal((2, 150))
        values = [shared, np.zeros(150), 0.6 * shared + 0.8 * own + 1, np.ones(150)]
        result = composition_cosine(labelled(values), *"abcd", n_bootstrap=200, seed=seed)
        low, high = result["interval"].values
        inside += low <= 0.6 <= high
        assert low <= float(result["cosine"]) <= high
    assert 0.89 < inside / 200 < 0.99


def test_the_bootstrap_repeats_by_its_seed(rng):
    vectors = labelled(rng.standard_normal((4, 9)))
    one, same, other = (composition_cosine(vectors, *"abcd", seed=s) for s in (0, 0, 1))
    xr.testing.assert_identical(one, same)
    assert not one["interval"].equals(other["interval"])


@pytest.mark.parametrize("quadruple", ["abcd", "caeb", "edcb"])
def test_the_rank_equals_a_loop_over_all_orders(rng, quadruple):
    values = rng.standard_normal((6, 8))
    rank = composition_rank(labelled(values), quadruple)
    mine = brute_cosine(values, *("abcdef".index(name) for name in quadruple))
    # every value comes four times among the orders
    orders = [brute_cosine(values, *four) for four in permutations(range(6), 4)]
    below = sum(value < mine - 1e-9 for value in orders) / 4
    assert float(rank["share_smaller"]) == pytest.approx(below / (len(orders) / 4 - 1))
    for place in range(0, rank.sizes["quadruple"], 7):
        members = rank["member"].values[place]
        value = float(rank["all_cosines"][place])
        assert value == pytest.approx(brute_cosine(values, *members))


def test_a_planted_composition_ranks_first_and_its_turned_self_last(rng):
    values = rng.standard_normal((12, 100))
    values[0] = values[1] + values[2] - values[3] + 0.3 * rng.standard_normal(100)
    vectors = labelled(values, "abcdefghijkl")
    # a parallelogram's other pair of sides is parallel too
    assert float(composition_rank(vectors, "abcd")["share_smaller"]) > 0.9995
    assert float(composition_rank(vectors, "bacd")["share_smaller"]) < 0.0005
    assert 0.02 < float(composition_rank(vectors, "efgh")["share_smaller"]) < 0.98


def test_ranks_of_unrelated_vectors_are_spread_evenly():
    shares = [
        float(
            composition_rank(
                labelled(np.random.default_rng(seed).standard_normal((7, 30))), "abcd"
            )["share_smaller"]
        )
        for seed in range(150)
    ]
    assert abs(np.mean(shares) - 0.5) < 0.08
    assert abs(np.std(shares) - np.sqrt(1 / 12)) < 0.05


@pytest.mark.parametrize(
    ("n_vectors", "quadruple", "match"),
    [
        (6, "abc", "quadruple: expected four names"),
        (6, "abca", "tasks: expected different ones"),
        (6, "abcz", "task: .*'z'"),
        (4, "abcd", "vectors: expected from 5 to 50 tasks, got 4"),
    ],
)
def test_ranks_need_enough_different_tasks(rng, n_vectors, quadruple, match):
    with pytest.raises(nc.InputError, match=match):
        composition_rank(labelled(rng.standard_normal((n_vectors, 8))), quadruple)


def test_equal_vectors_are_refused_by_name(rng):
    values = rng.standard_normal((6, 8))
    values[4] = values[1]
    with pytest.raises(nc.InputError, match="equal ones of 'b' and 'e'"):
        composition_rank(labelled(values), "abcd")
    assert -1 <= cosine_of(labelled(values)) <= 1
    with pytest.raises(nc.InputError, match="equal ones of 'b' and 'e'"):
        cosine_of(labelled(values), "abce")


def ranks(n_networks, rng):
    return [
        composition_rank(labelled(rng.standard_normal((6, 8)), name=f"network {i}"), "abcd")
        for i in range(n_networks)
    ]


def test_networks_are_joined_with_their_inference(rng):
    several = ranks(5, rng)
    joined = composition_over_networks(several)
    values = [float(rank["cosine"]) for rank in several]
    assert joined["cosine"].values.tolist() == values
    assert joined["network"].values.tolist() == [f"network {i}" for i in range(5)]
    assert joined["share_smaller"].sizes == {"network": 5}
    assert float(joined["mean"]) == pytest.approx(np.mean(values))
    assert float(joined["mean_low"]) < np.mean(values) < float(joined["mean_high"])
    assert float(joined["p_smallest"]) == 2**-4
    assert joined.attrs["of"] == "composition_rank"


def test_only_like_results_of_different_networks_are_joined(rng):
    one, two = ranks(2, rng)
    for results, match in (
        ([], "results: expected at least one"),
        ([one, one], "different networks, got network 0, network 0"),
        ([one, two.assign_attrs(quadruple='["a", "c", "b", "d"]')], "one analysis"),
    ):
        with pytest.raises(nc.InputError, match=match):
            composition_over_networks(results)
    with pytest.warns(UserWarning, match="nothing can be inferred"):
        composition_over_networks([one])


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
CELLS = {
    "softplus": {},
    "relu": {"nonlinearity": "relu", "recurrent_initialisation": "randortho"},
    "tanh": {"nonlinearity": "tanh"},
    "retanh": {"nonlinearity": "retanh", "dt_ms": 50.0},
    "separate": {"separate_rule_input": True},
    "mixed": {"rule_mixing_seed": 3},
    "gru": {"cell": "leaky_gru"},
}


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

    found = outputs_by_rule(network, trials, SUMS, rng=generator())
    expected = list(plain_outputs(network, trials, SUMS, generator()))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # rules matter here at all
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_lesions_and_large_drives_are_kept_in_the_fast_pass():
    network = Network(NetworkConfig(n_units=12)).lesioned([0, 5])
    trials = mixed_lengths(20.0)
    large = [*SUMS, {"fdgo": 2000.0}]
    found = outputs_by_rule(network, trials, large, rng=None)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, list(plain_outputs(network, trials, large, None)), atol=2e-5)


def test_chunks_of_rules_change_nothing(monkeypatch):
    network, trials = Network(NetworkConfig(n_units=12)), mixed_lengths(20.0)
    whole = outputs_by_rule(network, trials, SUMS, rng=None)
    monkeypatch.setattr(composition, "ROWS_AT_ONCE", 1)
    np.testing.assert_allclose(outputs_by_rule(network, trials, SUMS, rng=None), whole, atol=1e-6)


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
            output = outputs_by_rule(network, described, [weights], rng=None)[0]
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
    with pytest.raises(nc.InputError, match="at least four rules, got 2"):
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


# --- controls


@pytest.mark.parametrize("cell", ["softplus", "separate", "gru"])
def test_gaussian_rules_replace_the_rule_rows_alone(cell):
    network = Network(NetworkConfig(n_units=10, **CELLS[cell]), name="mine")
    before = {name: w.clone() for name, w in network.state_dict().items()}
    other = with_gaussian_rules(network, 3)
    assert other.name == "mine, Gaussian rules 3"
    changed = []
    for name, weight in other.state_dict().items():
        assert torch.equal(network.state_dict()[name], before[name])
        rows = slice(65) if "input_weight" in name else slice(None)
        if name == "rule_weight":
            changed.append(name)
            assert not torch.isclose(weight, before[name]).any(dim=1).all()
            continue
        assert torch.equal(weight[rows], before[name][rows])
        if not torch.equal(weight, before[name]):
            changed.append(name)
    expected = {"separate": ["rule_weight"], "gru": ["input_weight", "gate_input_weight"]}
    assert sorted(changed) == sorted(expected.get(cell, ["input_weight"]))


def test_gaussian_rules_have_the_mean_and_the_covariance_of_the_rules():
    network = Network(NetworkConfig(n_units=6))
    own = network.input_weight.detach().numpy()[65:].astype(float)
    drawn = np.concatenate(
        [with_gaussian_rules(network, s).input_weight.detach().numpy()[65:] for s in range(400)]
    )
    np.testing.assert_allclose(drawn.mean(axis=0), own.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(own.T), atol=0.001)
    assert np.abs(np.cov(own.T)).max() > 0.01
    one, same, other = (with_gaussian_rules(network, s).input_weight for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_gaussian_rules_keep_no_composition():
    network = Network(NetworkConfig(n_units=64))
    with torch.no_grad():
        rows = network.input_weight[65:]
        rows[3] = rows[0] + rows[5] - rows[2]

    def cosine(one):
        rows = one.input_weight.detach().numpy()[65:]
        return brute_cosine(rows.astype(float), 3, 0, 5, 2)

    assert cosine(network) == pytest.approx(1, abs=1e-6)
    drawn = [cosine(with_gaussian_rules(network, seed)) for seed in range(200)]
    assert abs(np.mean(drawn)) < 4 * np.std(drawn) / np.sqrt(200)


def test_two_networks_share_no_gaussian_draw():
    one, two = (Network(NetworkConfig(n_units=64, seed=seed)) for seed in (0, 1))
    factors = []
    for network in (one, two):
        own = network.input_weight.detach()[65:]
        drawn = with_gaussian_rules(network, 0).input_weight.detach()[65:]
        factors.append(torch.linalg.lstsq((own - own.mean(0)).T, (drawn - own.mean(0)).T).solution)
    assert not torch.allclose(*factors, atol=0.5)


def test_untrained_networks_have_fresh_weights():
    network = Network(NetworkConfig(n_units=8, cell="leaky_gru", seed=4), name="mine")
    other = untrained(network, 5)
    assert other.name == "mine, untrained 5"
    assert other.config.cell == "leaky_gru"
    assert not torch.equal(other.input_weight, network.input_weight)
    assert torch.equal(untrained(network, 4).input_weight, network.input_weight)


def test_controls_refuse_bad_seeds_and_single_rules():
    network = Network(NetworkConfig(n_units=4, rules=("fdgo",)))
    with pytest.raises(nc.InputError, match="at least two rules, got 1"):
        with_gaussian_rules(network, 0)
    with pytest.raises(nc.InputError, match="seed"):
        with_gaussian_rules(network, -1)
    with pytest.raises(nc.InputError, match="seed"):
        untrained(network, -1)


# --- figures


@pytest.fixture
def ax():
    _, axes = new_figure()
    return axes[0, 0]


def test_the_figure_of_one_rank(ax, rng):
    (rank,) = ranks(1, rng)
    assert plot_cosine_rank(ax, rank, names={"a": "Anti"}) is ax
    assert "Anti − b\nand c − d" in ax.get_xlabel()
    (steps,) = ax.patches
    assert steps.get_data().values.sum() == pytest.approx(1)
    (line,) = ax.lines
    assert line.get_xdata()[0] == pytest.approx(float(rank["cosine"]))
    assert ax.get_xlim() == (-1, 1)
    assert f"{float(rank['cosine']):.2f}, above" in ax.get_legend().get_texts()[1].get_text()


def test_a_rank_is_never_rounded_up_to_all(ax, rng):
    (rank,) = ranks(1, rng)
    plot_cosine_rank(ax, rank.assign(share_smaller=0.99997))
    assert "above 99.99 %" in ax.get_legend().get_texts()[1].get_text()


def test_the_figure_of_several_ranks(ax, rng):
    several = ranks(3, rng)
    assert plot_cosine_ranks(ax, several) is ax
    *violins, points = ax.collections
    assert len(violins) == 3
    values = [float(rank["cosine"]) for rank in several]
    np.testing.assert_allclose(points.get_offsets()[:, 1], values)
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"network {i}" for i in range(3)]


def test_the_figure_of_controls(ax, rng):
    several = [composition_over_networks(ranks(4, rng)) for _ in range(3)]
    several[2] = several[2].assign_coords(network=list("wxyz"))
    cosines = dict(zip(("trained", "Gaussian rules", "mixed"), several, strict=True))
    assert plot_cosine_controls(ax, cosines) is ax
    assert [t.get_text() for t in ax.get_xticklabels()] == list(cosines)
    for place, result in enumerate(several):
        points, mean = ax.collections[2 * place : 2 * place + 2]
        np.testing.assert_allclose(points.get_offsets()[:, 1], result["cosine"])
        np.testing.assert_allclose(mean.get_offsets(), [[place, float(result["mean"])]])
    # four networks are the same in the first two columns, none in the last two
    assert sum(line.get_xdata()[0] != line.get_xdata()[-1] for line in ax.lines[:-1]) == 4


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
