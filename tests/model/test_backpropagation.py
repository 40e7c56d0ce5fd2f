"""Backpropagation: the reference implementation's arrays, and the fast path against the plain one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from plain_losses import rate_loss, task_loss

from nwbcompare.model import Network, NetworkConfig, Regularisation, from_arrays
from nwbcompare.model.activation import ACTIVATIONS, SAFE_SOFTPLUS
from nwbcompare.model.batch import Batch
from nwbcompare.model.loss import weight_loss
from nwbcompare.model.shards import FastCore
from nwbcompare.model.threads import one_thread_each

CELLS = [
    "LeakyRNN_softplus",
    "LeakyRNN_relu",
    "LeakyRNN_tanh",
    "LeakyRNN_retanh",
    "LeakyGRU_softplus",
    "LeakyGRU_tanh",
    "LeakyGRU_relu",
]
ORACLE_REGULARISATION = Regularisation(l1_rate=1e-2, l2_rate=1e-3, l1_weight=1e-2, l2_weight=1e-3)


class Oracle:
    """A small network of the reference implementation, in this project's names."""

    def __init__(self, cells, trials, key):
        self.key, self.cells = key, cells
        kind, self.nonlinearity = key.split("_")
        self.cell = "leaky_rnn" if kind == "LeakyRNN" else "leaky_gru"
        task = "contextdelaydm1"
        chosen = cells["trials"]
        mask = np.repeat(trials[f"{task}/mask_ring"][:, chosen, None], 33, axis=2)
        mask[:, :, 0] = trials[f"{task}/mask_fixation"][:, chosen]
        n_steps, n_trials = mask.shape[:2]
        self.batch = Batch(
            input=torch.from_numpy(trials[f"{task}/input"][:, chosen]).float(),
            target=torch.from_numpy(trials[f"{task}/target"][:, chosen]).float(),
            loss_mask=torch.from_numpy(mask).float(),
            lengths=torch.full((n_trials,), n_steps),
            dt_ms=20.0,
        )

    def named(self, what):
        """Return the weights, or their gradients, by this project's names."""
        found = {}
        for name in self.cells:
            if not name.startswith(f"{self.key}/{what}/"):
                continue
            values, theirs = self.cells[name], name.split("/")[-1]
            if theirs.startswith("output"):
                found["output_weight" if theirs.endswith("weights") else "output_bias"] = values
            else:
                prefix = "gate_" if "gate" in theirs else ""
                if "kernel" in theirs:
                    found[f"{prefix}input_weight"] = values[:85]
                    found[f"{prefix}recurrent_weight"] = values[85:]
                else:
                    found[f"{prefix}bias"] = values
        return found

    def network(self):
        return from_arrays(**self.named("weight"), cell=self.cell, nonlinearity=self.nonlinearity)


@pytest.fixture(scope="module")
def oracles(shared):
    folder = shared / "reference" / "oracles"
    with (
        np.load(folder / "yang19_cells.npz") as cells,
        np.load(folder / "yang19_test_dt20.npz") as trials,
    ):
        arrays = dict(cells)
        return {key: Oracle(arrays, trials, key) for key in CELLS}


def _close(found, expected):
    """Compare to 1e-5 of the largest entry."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.shared
@pytest.mark.parametrize("key", CELLS)
def test_small_networks_equal_the_reference(oracles, key):
    oracle = oracles[key]
    network, batch = oracle.network(), oracle.batch
    rates, outputs = network(batch.input)
    loss = task_loss(outputs, batch.target, batch.loss_mask)
    on = rate_loss(rates, batch, ORACLE_REGULARISATION) + weight_loss(
        dict(network.named_parameters()), ORACLE_REGULARISATION
    )
    _close(rates.detach(), oracle.cells[f"{key}/rate"])
    _close(outputs.detach(), oracle.cells[f"{key}/output"])
    assert float(loss.detach()) == pytest.approx(float(oracle.cells[f"{key}/task_cost"]), rel=1e-5)
    assert float(on.detach()) == pytest.approx(
        float(oracle.cells[f"{key}/regularisation"]), rel=1e-5
    )
    for one, what in ((loss, "grad_task_cost"), (on, "grad_regularisation")):
        expected = oracle.named(what)
        weights = dict(network.named_parameters())
        found = torch.autograd.grad(
            one, list(weights.values()), retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(weights, found, strict=True):
            if gradient is None:  # no loss lies on it
                assert name not in expected or not np.abs(expected[name]).max()
            else:
                _close(gradient, expected[name])


@pytest.mark.shared
@pytest.mark.parametrize("key", CELLS)
def test_the_fast_path_equals_the_reference_implementation(oracles, key):
    oracle = oracles[key]
    for regularisation in (Regularisation(), ORACLE_REGULARISATION):
        core = FastCore(oracle.network(), n_shards=1, regularisation=regularisation)
        loss = core.loss_and_gradients(lambda _: (oracle.batch, None), oracle.batch.n_counted)
        assert loss.task == pytest.approx(float(oracle.cells[f"{key}/task_cost"]), rel=1e-5)
        expected = oracle.named("grad_task_cost")
        if regularisation == ORACLE_REGULARISATION:
            assert loss.regularisation == pytest.approx(
                float(oracle.cells[f"{key}/regularisation"]), rel=1e-5
            )
            on = oracle.named("grad_regularisation")
            expected = {name: values + on.get(name, 0) for name, values in expected.items()}
        for name, gradient in core.gradient_by_weight.items():
            _close(gradient, expected[name])


@st.composite
def cases(draw):
    """A network, a batch with padding, noise, and losses on rates and weights."""
    cell = draw(st.sampled_from(["leaky_rnn", "leaky_gru"]))
    config = NetworkConfig(
        n_units=draw(st.integers(1, 12)),
        cell=cell,
        nonlinearity=draw(st.sampled_from(["softplus", "relu", "tanh", "retanh"])),
        recurrent_initialisation=draw(st.sampled_from(["diag", "randortho"])),
        separate_rule_input=cell == "leaky_rnn" and draw(st.booleans()),
        rule_mixing_seed=draw(st.sampled_from([None, 3])),
        seed=draw(st.integers(0, 100)),
    )
    n_steps, n_trials = draw(st.integers(1, 25)), draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    lengths = torch.randint(1, n_steps + 1, (n_trials,), generator=generator)
    lengths[0] = n_steps
    inside = (torch.arange(n_steps)[:, None] < lengths)[:, :, None]
    batch = Batch(
        input=uniform(n_steps, n_trials, 85),
        target=uniform(n_steps, n_trials, 33),
        loss_mask=5 * uniform(n_steps, n_trials, 33) * inside,
        lengths=lengths,
        dt_ms=draw(st.sampled_from([5.0, 20.0, 100.0])),
    )
    factor = st.sampled_from([0.0, 1e-3, 0.1])
    regularisation = Regularisation(
        l1_rate=draw(factor), l2_rate=draw(factor), l1_weight=draw(factor), l2_weight=draw(factor)
    )
    noise = torch.randn(n_steps, n_trials, config.n_units, generator=generator)
    spread = draw(st.sampled_from([0.0, 0.3]))
    return config, batch, regularisation, noise if draw(st.booleans()) else None, spread


def _perturbed(config, spread):
    network = Network(config)
    generator = torch.Generator().manual_seed(config.seed + 1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(spread * torch.randn(weight.shape, generator=generator))
    return network


def _shard(batch, noise, place, n_shards):
    own = slice(place, None, n_shards)
    part = Batch(
        input=batch.input[:, own],
        target=batch.target[:, own],
        loss_mask=batch.loss_mask[:, own],
        lengths=batch.lengths[own],
        dt_ms=batch.dt_ms,
    )
    return part, None if noise is None else noise[:, own].contiguous()


def _by_hand(config, batch, regularisation, noise, spread, n_shards=1):
    core = FastCore(_perturbed(config, spread), n_shards=n_shards, regularisation=regularisation)
    loss = core.loss_and_gradients(
        lambda place: _shard(batch, noise, place, n_shards), batch.n_counted
    )
    return loss, core


def _plainly(config, batch, regularisation, noise, spread):
    network = _perturbed(config, spread)
    rates, outputs = network(batch.input, dt_ms=batch.dt_ms, noise=noise)
    loss = task_loss(outputs, batch.target, batch.loss_mask, batch.n_counted)
    on = rate_loss(rates, batch, regularisation) + weight_loss(
        dict(network.named_parameters()), regularisation
    )
    (loss + on).backward()
    return float(loss.detach()), float(on.detach()), network


@contextmanager
def double_precision():
    """Make new tensors float64: two ways to the same number then agree to many digits.

    In float32 automatic differentiation itself is off by more than 1e-5 in one small network
    of 250.
    """
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def _in_double(case):
    config, batch, regularisation, noise, spread = case
    parts = {name: getattr(batch, name).double() for name in ("input", "target", "loss_mask")}
    noise = None if noise is None else noise.double()
    return config, replace(batch, **parts), regularisation, noise, spread


def _assert_the_same(case, n_shards):
    with double_precision():
        case = _in_double(case)
        loss, on, network = _plainly(*case)
        found, core = _by_hand(*case, n_shards=n_shards)
    assert found.task == pytest.approx(loss, rel=1e-9)
    assert found.regularisation == pytest.approx(on, rel=1e-9, abs=1e-15)
    for name, weight in network.named_parameters():
        bound = 1e-9 * float(weight.grad.abs().max()) + 1e-15
        difference = float((core.gradient_by_weight[name] - weight.grad).abs().max())
        assert difference <= bound, name


@given(cases(), st.integers(1, 3))
def test_the_fast_path_equals_automatic_differentiation(case, n_shards):
    _assert_the_same(case, min(n_shards, case[1].lengths.numel()))


@pytest.mark.parametrize("nonlinearity", ["softplus", "relu", "tanh", "retanh"])
@pytest.mark.parametrize(
    ("cell", "separate"), [("leaky_rnn", False), ("leaky_rnn", True), ("leaky_gru", False)]
)
def test_it_does_so_with_everything_at_once(nonlinearity, cell, separate):
    config, batch, _, noise, _ = _case(cell=cell, nonlinearity=nonlinearity)
    config = replace(config, separate_rule_input=separate)
    batch = replace(batch, lengths=torch.arange(23, 31), dt_ms=40.0)
    batch = replace(batch, loss_mask=batch.loss_mask * batch.inside)
    _assert_the_same((config, batch, ORACLE_REGULARISATION, noise, 0.3), 2)


@given(cases())
def test_what_lies_beyond_a_trials_end_counts_nowhere(case):
    config, batch, regularisation, noise, spread = case
    other = Batch(
        input=batch.input + 3 * (1 - batch.inside),
        target=batch.target + 7 * (1 - batch.inside),
        loss_mask=batch.loss_mask,
        lengths=batch.lengths,
        dt_ms=batch.dt_ms,
    )
    one, core = _by_hand(config, batch, regularisation, noise, spread)
    two, other_core = _by_hand(config, other, regularisation, noise, spread)
    assert one.task == pytest.approx(two.task, rel=1e-6)
    assert one.regularisation == pytest.approx(two.regularisation, rel=1e-6, abs=1e-9)
    scale = float(core.gradients.abs().max())
    assert float((core.gradients - other_core.gradients).abs().max()) <= 1e-5 * scale


def _case(n_units=20, nonlinearity="softplus", cell="leaky_rnn", gain=1.0):
    config = NetworkConfig(n_units=n_units, nonlinearity=nonlinearity, cell=cell)
    generator = torch.Generator().manual_seed(0)
    batch = Batch(
        input=gain * torch.rand(30, 8, 85, generator=generator),
        target=torch.rand(30, 8, 33, generator=generator),
        loss_mask=torch.ones(30, 8, 33),
        lengths=torch.full((8,), 30),
        dt_ms=20.0,
    )
    noise = torch.randn(30, 8, n_units, generator=generator)
    return config, batch, Regularisation(), noise, 0.0


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_arguments_beyond_the_fast_softplus_take_the_safe_one(cell):
    case = _case(cell=cell, gain=500.0)
    rates, _ = _perturbed(case[0], 0.0)(case[1].input)
    assert float(rates.detach().max()) > 100
    loss, _, network = _plainly(*case)
    found, core = _by_hand(*case)
    assert found.task == pytest.approx(loss, rel=1e-5)
    for name, weight in network.named_parameters():
        expected = weight.grad.numpy()
        # rates of hundreds leave fewer digits
        np.testing.assert_allclose(
            core.gradient_by_weight[name], expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )


def test_so_does_a_single_argument_at_the_last_step():
    """One infinite rate saturates the outputs, so the loss alone would not tell."""
    config, batch, *_ = _case()
    pulse = torch.zeros_like(batch.input)
    pulse[-1, 0, 0] = 1.0
    batch = replace(batch, input=pulse)
    network, same = _perturbed(config, 0.1), _perturbed(config, 0.1)
    with torch.no_grad():
        for one in (network, same):
            one.input_weight[0] = 0.0
            one.input_weight[0, 3] = 500.0
    loss = task_loss(network(batch.input)[1], batch.target, batch.loss_mask)
    loss.backward()
    core = FastCore(same, n_shards=1)
    found = core.loss_and_gradients(lambda _: (batch, None), batch.n_counted)
    assert found.task == pytest.approx(float(loss.detach()), rel=1e-6)
    for name, weight in network.named_parameters():
        _close(core.gradient_by_weight[name], weight.grad.numpy())


def test_after_the_safe_softplus_comes_the_fast_one():
    large, case = _case(gain=500.0), _case()
    core = FastCore(_perturbed(case[0], 0.0), n_shards=1)
    gradients = []
    for batch in (case[1], large[1], case[1]):
        core.loss_and_gradients(lambda _, batch=batch: (batch, None), 240)
        gradients.append(core.gradients.clone())
    assert torch.equal(gradients[0], gradients[2])


def test_safe_and_fast_softplus_agree():
    x = torch.linspace(-30, 80, 500)
    fast, safe = ACTIVATIONS["softplus"], SAFE_SOFTPLUS
    kept, other = -x, x.clone()
    value = -fast.value(kept, torch.empty_like(x))
    torch.testing.assert_close(value, safe.value(other, torch.empty_like(x)), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(fast.to_slope(kept), safe.to_slope(other), rtol=1e-5, atol=1e-7)


def test_repeats_are_the_same_to_the_last_bit():
    case = _case()
    gradients = [_by_hand(*case, n_shards=2)[1].gradients for _ in range(5)]
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])


def test_passes_of_other_shapes_leave_no_trace():
    case = _case()
    core = FastCore(_perturbed(case[0], 0.0), n_shards=1)
    core.loss_and_gradients(lambda _: (case[1], case[3]), 240)
    first = core.gradients.clone()
    longer = Batch(
        input=torch.rand(50, 3, 85),
        target=torch.rand(50, 3, 33),
        loss_mask=torch.ones(50, 3, 33),
        lengths=torch.full((3,), 50),
        dt_ms=20.0,
    )
    core.loss_and_gradients(lambda _: (longer, None), 150)
    core.loss_and_gradients(lambda _: (case[1], case[3]), 240)
    assert torch.equal(core.gradients, first)


def test_the_networks_parameters_are_views_of_one_vector():
    network = Network(NetworkConfig(n_units=5))
    before = [weight.detach().clone() for weight in network.parameters()]
    core = FastCore(network)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    with torch.no_grad():
        core.parameters.fill_(2.0)
    assert all((weight == 2).all() for weight in network.parameters())
    other = Network(NetworkConfig(n_units=5))
    core.fill(other, torch.arange(core.parameters.numel(), dtype=torch.float32))
    assert float(other.input_weight[0, 1].detach()) == 1


def test_steps_beyond_a_trials_end_are_not_counted():
    batch = replace(_case()[1], lengths=torch.tensor([2, 30, 7, 1, 1, 1, 1, 1]))
    assert batch.n_counted == 44
    assert batch.inside.sum(0).flatten().tolist() == [2, 30, 7, 1, 1, 1, 1, 1]


def test_one_thread_each_is_undone():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(RuntimeError, match="stop"), one_thread_each():
            assert torch.get_num_threads() == 1
            raise RuntimeError("stop")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
