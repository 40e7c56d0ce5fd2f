"""Control networks: Gaussian rules and fresh weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network_variants import CELLS
from plain_formulas import brute_cosine

import nwbcompare as nc
from nwbcompare.experiments.control_networks import stimulus_only, untrained, with_gaussian_rules
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.tasks.trials import make_trials


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
    with pytest.raises(nc.NotApplicableError, match="at least two rules, got 1"):
        with_gaussian_rules(network, 0)
    with pytest.raises(nc.InputError, match="seed"):
        with_gaussian_rules(network, -1)
    with pytest.raises(nc.InputError, match="seed"):
        untrained(network, -1)


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_units_of_the_stimulus_alone_are_blind_to_the_rule_and_to_each_other(cell):
    network = Network(NetworkConfig(n_units=12, cell=cell, seed=4), name="mine")
    units = stimulus_only(network, 4)
    trials = [
        make_trials(task, "test", rules=network.config.rules)
        for task in ("contextdm1", "contextdm2")
    ]
    one, two = (nc.record(units, each)["rate"].values for each in trials)
    np.testing.assert_array_equal(one, two)
    assert one.std() > 0
    lesioned = nc.record(units.lesioned([0]), trials[0])["rate"].values
    np.testing.assert_array_equal(lesioned, one)
    # the network that it was made from knows its rule
    own = [nc.record(network, each)["rate"].values for each in trials]
    assert np.abs(own[0] - own[1]).max() > 1e-3
