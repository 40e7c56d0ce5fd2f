"""Consolidation: what each method protects, held against theorems and plain twins."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_losses import task_loss

from nwbcompare.core.errors import InputError
from nwbcompare.model import Network, NetworkConfig, stage_trials as examples_module, train
from nwbcompare.model.config import Consolidation
from nwbcompare.model.consolidation_methods import METHODS, consolidator
from nwbcompare.model.curricula import sequential_config, sequential_network
from nwbcompare.model.orthogonal_projection import LAYERS, READ_OUT, RECURRENT
from nwbcompare.model.stage_trials import StageExamples

N_IN, N_UNITS, N_OUT = 5, 7, 3
SHAPES = {
    "input_weight": torch.Size((N_IN, N_UNITS)),
    "recurrent_weight": torch.Size((N_UNITS, N_UNITS)),
    "bias": torch.Size((N_UNITS,)),
    "output_weight": torch.Size((N_UNITS, N_OUT)),
    "output_bias": torch.Size((N_OUT,)),
}
N_WEIGHTS = sum(shape.numel() for shape in SHAPES.values())
STAGES = (("fdgo",), ("dm1", "dm2"))


class FakeExamples:
    """Random activity that spans few directions, and random gradients."""

    def __init__(self, seed, n_directions=2, n_samples=50):
        rng = np.random.default_rng(seed)

        def draw(width):
            spanned = rng.normal(size=(n_samples, n_directions)) @ rng.normal(
                size=(n_directions, width)
            )
            return torch.from_numpy(spanned)

        self.inputs, self.before, self.rates = draw(N_IN), draw(N_UNITS), draw(N_UNITS)
        self.slopes = torch.from_numpy(rng.normal(size=(4, N_WEIGHTS)))

    def gradients(self):
        yield from self.slopes

    def activity(self):
        """Return the samples in two batches of different size."""
        for part in (slice(0, 20), slice(20, None)):
            yield self.inputs[part], self.before[part], self.rates[part]

    def acted_on(self):
        one = torch.ones(len(self.rates), 1, dtype=torch.float64)
        return {
            RECURRENT: torch.cat([self.inputs, self.before, one], dim=1),
            READ_OUT: torch.cat([self.rates, one], dim=1),
        }


def _weights(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=N_WEIGHTS))


def _whole(flat, layer, shapes=SHAPES):
    parts = dict(zip(shapes, flat.split([s.numel() for s in shapes.values()]), strict=True))
    return torch.cat([parts[n].reshape(-1, shapes[n][-1]) for n in layer.names if n in shapes])


def _method(name, strength=1.0, weights=None, shapes=SHAPES, **kwargs):
    config = Consolidation(method=name, strength=strength)
    return consolidator(config, _weights() if weights is None else weights, shapes, **kwargs)


# --- what all methods have in common --------------------------------------------------------


def _of_any(name, weights, seed=0):
    given = torch.from_numpy(np.random.default_rng(9).uniform(size=(3, N_WEIGHTS)))
    config = Consolidation(method=name, strength=2.0, seed=seed)
    return consolidator(config, weights, SHAPES, given)


ALL = [*METHODS, "permuted", "uniform"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_protected_before_a_stage_has_ended(name):
    method = _of_any(name, _weights())
    gradient, change = _weights(1), _weights(2)
    method.add_slope(gradient)
    assert not method.restrict(change)
    assert torch.equal(gradient, _weights(1))
    assert torch.equal(change, _weights(2))
    assert method.penalty() == 0


@pytest.mark.parametrize("name", ALL)
def test_a_method_goes_on_from_its_state_bit_for_bit(name):
    whole, parted = _weights(), _weights()
    one, two = _of_any(name, whole), _of_any(name, parted)
    for stage in range(3):
        # a new one in place of the second, as when a run is resumed
        kept = {key: value.clone() for key, value in two.state().items()}
        two = _of_any(name, parted)
        two.load_state(kept)
        for method, weights in ((one, whole), (two, parted)):
            gradient, change = _weights(10 + stage), _weights(20 + stage) / 10
            of_task = gradient.clone()
            method.add_slope(gradient)
            method.restrict(change)
            weights.add_(change - gradient / 100)
            method.after_step(of_task, change)
            method.end_stage(FakeExamples(stage))
    assert torch.equal(whole, parted)
    assert one.penalty() == two.penalty()
    protects = name != "none"
    assert (one.restrict(_weights(5)) or one.penalty() != 0 or _slope(one).any()) == protects


def _slope(method):
    method.weights += 0.1
    gradient = torch.zeros(N_WEIGHTS, dtype=torch.float64)
    method.add_slope(gradient)
    return gradient


@pytest.mark.parametrize("name", ["synaptic_intelligence", "elastic", "permuted", "uniform"])
def test_the_slope_is_that_of_the_penalty(name):
    weights = _weights()
    method = _of_any(name, weights)
    method.after_step(_weights(1), -_weights(1) / 10)
    method.end_stage(FakeExamples(0))
    weights += _weights(3)
    slope = torch.zeros_like(weights)
    method.add_slope(slope)
    assert float(slope.abs().max()) > 0.1
    for place in (0, 17, N_WEIGHTS - 1):
        around = []
        for step in (1e-4, -1e-4):
            weights[place] += step
            around.append(method.penalty())
            weights[place] -= step
        assert (around[0] - around[1]) / 2e-4 == pytest.approx(float(slope[place]), abs=1e-6)


def test_unknown_methods_are_refused():
    with pytest.raises(InputError, match="method: expected one of none, synaptic_intelligence, "):
        Consolidation(method="elastics")


# --- orthogonal projection ------------------------------------------------------------------


def test_projections_are_the_plain_inverses_of_the_mean_moments():
    weights = _weights()
    method = _method("orthogonal", 30.0, weights)
    moments = {name: 0 for layer in LAYERS for name in (layer.source, layer.result)}
    for stage in range(3):
        examples = FakeExamples(stage)
        method.end_stage(examples)
        for layer, samples in examples.acted_on().items():
            results = samples @ _whole(weights, layer)
            moments[layer.source] += samples.T @ samples / len(samples) / 3
            moments[layer.result] += results.T @ results / len(samples) / 3
        weights += _weights(stage + 5) / 5
    change = _weights(1)
    expected = []
    for layer in LAYERS:
        before, after = (
            torch.linalg.inv(30 * moments[name] + torch.eye(len(moments[name])))
            for name in (layer.source, layer.result)
        )
        expected.append(before @ _whole(change, layer) @ after)
    assert method.restrict(change)
    for layer, allowed in zip(LAYERS, expected, strict=True):
        torch.testing.assert_close(_whole(change, layer), allowed)


def test_projections_are_symmetric_and_shorten_without_turning_over():
    method = _method("orthogonal", 100.0)
    for stage in range(2):
        method.end_stage(FakeExamples(stage))
    assert len(method._projections) == 4
    for projection in method._projections.values():
        torch.testing.assert_close(projection, projection.T, rtol=0, atol=1e-13)
        values = torch.linalg.eigvalsh(projection)
        assert float(values.min()) > 0
        assert float(values.max()) <= 1 + 1e-12
        assert float(values.min()) < 0.1  # and some directions are protected


def test_with_endless_strength_activity_of_earlier_stages_gives_what_it_gave():
    weights = _weights()
    method = _method("orthogonal", 1e14, weights)
    stages = [FakeExamples(seed, n_directions=1) for seed in range(2)]
    for examples in stages:
        method.end_stage(examples)
    change = _weights(1)
    assert method.restrict(change)
    for examples in stages:
        for layer, samples in examples.acted_on().items():
            assert float((samples @ _whole(change, layer)).abs().max()) < 1e-6
    # while units may act on other activity differently (all three outputs have been in use)
    other = FakeExamples(5).acted_on()[RECURRENT]
    assert float((other @ _whole(change, RECURRENT)).abs().max()) > 0.05


def test_a_change_never_reaches_the_results_that_were_in_use():
    weights = _weights()
    method = _method("orthogonal", 1e14, weights)
    examples = FakeExamples(0, n_directions=1)
    method.end_stage(examples)
    change = _weights(1)
    method.restrict(change)
    for layer, samples in examples.acted_on().items():
        used = samples @ _whole(weights, layer)
        assert float((_whole(change, layer) @ used.T).abs().max()) < 1e-6


def test_the_more_strength_the_less_change():
    lengths = []
    for strength in (0.0, 1e-6, 1.0, 100.0, 1e4):
        method = _method("orthogonal", strength)
        method.end_stage(FakeExamples(0))
        change = _weights(1)
        assert method.restrict(change) == (strength > 0)
        lengths.append(float(change.norm()))
    assert lengths[0] == float(_weights(1).norm())  # of strength 0 there is no restriction
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-3)
    assert all(a > b for a, b in itertools.pairwise(lengths))


def test_a_map_of_its_own_for_rules_is_a_part_of_the_input_map():
    split = {"input_weight": torch.Size((3, N_UNITS)), "rule_weight": torch.Size((2, N_UNITS))}
    # the split network has its parts in an order of its own
    apart = split | {name: shape for name, shape in SHAPES.items() if name != "input_weight"}
    found = []
    for shapes in (SHAPES, apart):
        method = _method("orthogonal", 10.0, shapes=shapes)
        method.end_stage(FakeExamples(0))
        change = _weights(1)
        method.restrict(change)
        found.append(change)
    assert torch.equal(*found)


def test_a_gru_is_refused():
    config = replace(sequential_network(n_units=4), cell="leaky_gru")
    training = sequential_config(STAGES, consolidation=Consolidation(method="orthogonal"))
    with pytest.raises(InputError, match="method: expected one that a leaky_gru can take, got 'or"):
        train(config, training, out="never")


# --- on networks ----------------------------------------------------------------------------


@pytest.fixture
def few_examples(monkeypatch):
    """Fewer trials, to be quick."""
    monkeypatch.setattr(examples_module, "N_BATCHES", 2)
    monkeypatch.setattr(examples_module, "BATCH_SIZE", 3)


def _training(method="none", strength=1.0, **kwargs):
    config = sequential_config(
        STAGES,
        steps_per_task=20,
        consolidation=Consolidation(method=method, strength=strength),
        warm_up_steps=0,
        **kwargs,
    )
    return replace(
        config, batch_size=8, evaluate_every=40, evaluation_trials=32,
        stages=tuple(replace(one, dt_ms=50) for one in config.stages),
    )  # fmt: skip


def _examples(network, config, stage=0, step=7):
    return StageExamples(network, config, config.stages[stage], step)


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule_mixing_seed": 1}, {"separate_rule_input": True, "rule_mixing_seed": 1}],
    ids=["plain", "mixed rules", "mixed rules by a map of their own"],
)
def test_activity_is_what_the_weights_act_on(few_examples, changes):
    # the drives of a network without noise, from the samples alone
    config = replace(sequential_network(n_units=6), sigma_rec=0.0, sigma_x=0.0, **changes)
    network, training = Network(config), _training()
    weights = dict(network.named_parameters())
    whole = torch.cat([weights[n] for n in RECURRENT.names[:3] if n in weights])
    alpha = training.stages[0].dt_ms / config.tau_ms
    samples = list(_examples(network, training, stage=1).activity())
    assert len(samples) == 4  # two batches of each of two tasks
    for inputs, before, rates in samples:
        drive = torch.cat([inputs, before], dim=1) @ whole + weights["bias"]
        expected = (1 - alpha) * before + alpha * torch.relu(drive)
        torch.testing.assert_close(rates, expected, rtol=1e-4, atol=1e-6)
        assert int((before == 0).all(dim=1).sum()) >= 3  # each trial's first step


def test_a_held_network_does_its_first_task_as_before_and_still_changes(few_examples, tmp_path):
    config = replace(sequential_network(n_units=24), sigma_rec=0.0, sigma_x=0.0)
    shift = {}
    for method, strength in (("none", 0.0), ("orthogonal", 1e4)):
        training = _training(method, strength)
        first = replace(training, stages=training.stages[:1])
        early = train(config, first, out=tmp_path / f"{method}-first")
        late = train(config, training, out=tmp_path / method)
        # the very trials on which moments were measured
        at_end = _examples(early, training, step=training.stages[0].max_steps)
        inputs = [at_end._rendered(trials, 0)[0].input for trials in at_end._batches()]
        with torch.no_grad():
            outputs = [
                torch.cat([network(one, dt_ms=50)[1].flatten() for one in inputs])
                for network in (early, late)
            ]
        moved = (late.input_weight - early.input_weight).detach().abs().max()
        assert float(moved) > 0.005
        shift[method] = float((outputs[0] - outputs[1]).abs().max())
    assert shift["none"] > 0.1
    assert shift["orthogonal"] < 0.001


# --- elastic weight consolidation -----------------------------------------------------------


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_fisher_information_is_the_mean_square_of_each_trials_gradient(few_examples, cell):
    config = NetworkConfig(n_units=5, cell=cell, rules=("fdgo", "dm1", "dm2"), seed=2)
    network, training = Network(config), _training("elastic")
    examples = _examples(network, training, stage=1)
    flat = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    method = consolidator(training.consolidation, flat, shapes)
    method.end_stage(examples)
    squares = []
    for place, trials in enumerate(examples._batches()):
        for trial in range(trials.n_trials):
            one = trials.take(np.array([trial]))
            batch, noise = examples._rendered(one, place * 3 + trial)
            _, outputs = network(batch.input, dt_ms=50, noise=noise)
            network.zero_grad()
            task_loss(outputs, batch.target, batch.loss_mask).backward()
            slopes = torch.cat([weight.grad.flatten() for weight in network.parameters()])
            squares.append(slopes**2)
    assert len(squares) == 12
    expected = torch.stack(squares).mean(dim=0)
    torch.testing.assert_close(method.importance, expected, rtol=1e-3, atol=1e-9)
    # a negative control: the square of the mean gradient, or of a whole batch's, is another thing
    batchwise = torch.stack([s.sqrt() for s in squares]).mean(dim=0) ** 2
    assert not torch.allclose(method.importance, batchwise, rtol=0.1, atol=1e-9)


def test_weights_without_a_part_in_the_task_are_free(few_examples):
    # without input noise, as that enters by the rule channels of other tasks too
    network = Network(replace(sequential_network(n_units=6), sigma_x=0.0))
    examples = _examples(network, _training("elastic"))
    flat = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    method = consolidator(Consolidation(method="elastic"), flat, shapes)
    method.end_stage(examples)
    importance = method.importance[: 85 * 6].view(85, 6)
    assert int((importance[65:].sum(dim=1) > 0).sum()) == 1
    assert float(importance[0].sum()) > 0


def test_information_of_stages_adds_up_about_the_latest_weights():
    weights = _weights()
    method = _method("elastic", weights=weights)
    for stage in range(2):
        weights += 1
        method.end_stage(FakeExamples(stage))
    expected = sum((FakeExamples(stage).slopes ** 2).mean(dim=0) for stage in range(2))
    torch.testing.assert_close(method.importance, expected)
    torch.testing.assert_close(method.anchor, _weights() + 2)
    weights[3] += 0.5
    assert method.penalty() == pytest.approx(float(expected[3]) / 4)


def test_examples_are_the_same_for_a_seed_and_leave_the_network_alone(few_examples):
    network, config = Network(sequential_network(n_units=4)), _training()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def drawn(config, step=7):
        return torch.stack(
            [one.clone() for one in _examples(network, config, step=step).gradients()]
        )

    once = drawn(config)
    assert torch.equal(once, drawn(config))
    assert not torch.equal(once, drawn(config, step=8))
    other = replace(config, consolidation=Consolidation(seed=1))
    assert not torch.equal(once, drawn(other))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# --- the controls ---------------------------------------------------------------------------


GIVEN = torch.from_numpy(np.random.default_rng(3).gamma(0.3, size=(2, N_WEIGHTS)))
MATRICES = [shape.numel() for shape in SHAPES.values()]


def _control(name, n_stages=1, seed=0):
    config = Consolidation(method=name, seed=seed)
    method = consolidator(config, _weights(), SHAPES, GIVEN)
    for stage in range(n_stages):
        method.end_stage(FakeExamples(stage))
    return method


def test_permuted_importances_stay_within_their_matrix():
    for n_stages in (1, 2):
        found = _control("permuted", n_stages).importance
        given = GIVEN[n_stages - 1]
        assert not torch.equal(found, given)
        for one, other in zip(found.split(MATRICES), given.split(MATRICES), strict=True):
            assert torch.equal(one.sort().values, other.sort().values)
    # the same synapse lends to the same one in every stage
    first, second = (_control("permuted", n).importance for n in (1, 2))
    order = torch.argsort(GIVEN[0])
    places = torch.searchsorted(GIVEN[0][order], first)
    assert torch.equal(second, GIVEN[1][order[places]])


def test_permutation_follows_the_seed_and_breaks_the_tie_to_the_synapse():
    found = _control("permuted").importance
    assert torch.equal(found, _control("permuted").importance)
    assert not torch.equal(found, _control("permuted", seed=1).importance)
    part = slice(0, MATRICES[0] + MATRICES[1])
    assert abs(np.corrcoef(found[part], GIVEN[0][part])[0, 1]) < 0.3


def test_uniform_importances_have_the_sum_of_the_given():
    found = _control("uniform", 2).importance
    assert float(found.sum()) == pytest.approx(float(GIVEN[1].sum()))
    assert len(found.unique()) == 1
    assert torch.equal(found, _control("uniform", 2, seed=5).importance)


@pytest.mark.parametrize("name", ["permuted", "uniform"])
def test_stages_after_the_last_given_keep_its_importances(name):
    # the donor's last stage may have been left out: nothing comes after it
    third, second = _control(name, 3), _control(name, 2)
    assert torch.equal(third.importance, second.importance)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (None, "importances: expected those of a run with synaptic intelligence, for method 'uni"),
        (torch.ones(N_WEIGHTS), r"importances: expected \(stage, weight\) with 115 weights"),
        (torch.ones(2, 3), r"got shape \(2, 3\).*same network configuration"),
    ],
)
def test_importances_that_do_not_fit_are_refused(given, match):
    with pytest.raises(InputError, match=match):
        consolidator(Consolidation(method="uniform"), _weights(), SHAPES, given)
