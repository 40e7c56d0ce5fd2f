"""Weights at the start of training: sizes, distributions, mixed rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.model.initialisation import rule_mixing


@pytest.mark.parametrize("initialisation", ["diag", "randortho"])
def test_recurrent_weights_start_as_a_scaled_orthogonal_matrix(initialisation):
    weight = Network(
        NetworkConfig(n_units=32, recurrent_initialisation=initialisation)
    ).recurrent_weight.detach()
    np.testing.assert_allclose(weight @ weight.T, 0.25 * np.eye(32), atol=1e-6)


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_mixed_rules_are_a_rotation_of_the_rule_inputs(cell):
    trials = nc.tasks.make_trials(["fdgo", "dmsgo"], "random", n_trials=6, seed=0)
    plain = Network(NetworkConfig(n_units=12, cell=cell))
    mixed = Network(NetworkConfig(n_units=12, cell=cell, rule_mixing_seed=5))
    mixing = rule_mixing(mixed.config)
    torch.testing.assert_close(mixing @ mixing.T, torch.eye(20))
    before = nc.record(mixed, trials)["rate"]
    assert float(abs(before - nc.record(plain, trials)["rate"]).max()) > 0.01
    with torch.no_grad():
        for name in ("input_weight", "gate_input_weight"):
            if hasattr(plain, name):
                rules = getattr(plain, name)[65:]
                rules.copy_(mixing @ rules)
    np.testing.assert_allclose(before, nc.record(plain, trials)["rate"], atol=1e-6)


def test_weights_of_a_gru_and_of_a_split_input_start_as_published():
    gru = Network(NetworkConfig(n_units=50, cell="leaky_gru", recurrent_initialisation="randortho"))
    assert (gru.gate_bias == 1).all()
    assert not gru.bias.any()
    split = Network(NetworkConfig(n_units=50, separate_rule_input=True))
    # Glorot: uniform up to sqrt(6 / (rows + columns)), input and recurrent rows in one kernel
    for weight, shape, rows, columns in (
        (gru.gate_input_weight, (85, 100), 135, 100),
        (gru.gate_recurrent_weight, (50, 100), 135, 100),
        (gru.input_weight, (85, 50), 135, 50),
        (gru.recurrent_weight, (50, 50), 135, 50),
        (split.input_weight, (65, 50), 65, 50),
        (split.rule_weight, (20, 50), 20, 50),
        (split.output_weight, (50, 33), 50, 33),
    ):
        limit, values = math.sqrt(6 / (rows + columns)), weight.detach()
        assert tuple(values.shape) == shape
        assert float(values.abs().max()) == pytest.approx(limit, rel=0.02)
        assert float(values.std()) == pytest.approx(limit / math.sqrt(3), rel=0.08)
