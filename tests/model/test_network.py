"""Networks: lesions, noise, correct answers, configurations that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from filled_networks import fill

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, Regularisation, pretrained
from nwbcompare.model.network import is_correct
from nwbcompare.tasks import make_trials

TASKS = ("contextdm1", "contextdm2")


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_a_lesion_is_a_view_with_the_outgoing_weights_at_zero(cell):
    network = Network(NetworkConfig(n_units=12, cell=cell, seed=2))
    before = {name: weight.detach().clone() for name, weight in network.state_dict().items()}
    units = [1, 5, 6]
    cut = Network(network.config)
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            values = weight.clone()
            if "recurrent" in name or name == "output_weight":
                values[units] = 0
            getattr(cut, name).copy_(values)
    inputs = torch.rand(20, 3, 85, generator=torch.Generator().manual_seed(0))
    view = network.lesioned(units[:1]).lesioned(units[1:])
    for found, expected in zip(view(inputs), cut(inputs), strict=True):
        torch.testing.assert_close(found, expected)
    rates, _ = view(inputs)
    assert (rates[-1][:, units] != 0).all()
    assert not torch.allclose(rates, network(inputs)[0])
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])
    with torch.no_grad():
        network.output_bias.add_(1)
    assert torch.equal(view.output_bias, network.output_bias)


def test_lesioning_nothing_changes_nothing_and_everything_all():
    network = pretrained("ctxdm-0")
    trials = make_trials("contextdm1")
    assert network.lesioned([]).performance(trials) == network.performance(trials)
    assert network.lesioned(range(256)).performance(trials) < 0.3
    with pytest.raises(nc.InputError, match="units: expected places from 0 to 255, got 3 to 256"):
        network.lesioned([3, 256])


def test_recurrent_noise_has_the_published_size():
    network = fill(
        Network(NetworkConfig(n_units=400, nonlinearity="relu")),
        input_weight=np.zeros((85, 400), "f4"),
        recurrent_weight=np.zeros((400, 400), "f4"),
        bias=np.full(400, 10, "f4"),
    )
    rates, _ = network(torch.zeros(1, 50, 85), generator=torch.Generator().manual_seed(0))
    assert float(rates.detach().std()) == pytest.approx(0.2 * 0.05 * np.sqrt(10), rel=0.03)


def test_correct_means_released_and_near_or_kept_fixating():
    output = np.full((4, 33), 0.05)
    output[:, 1] = 0.8
    output[:, 0] = [0.1, 0.9, 0.1, 0.9]
    direction = np.array([0.19 * np.pi, 0.0, 0.21 * np.pi, np.nan])
    assert is_correct(output, direction).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: NetworkConfig(nonlinearity="softpluss"), "Did you mean 'softplus'"),
        (lambda: NetworkConfig(recurrent_initialisation="ortho"), "Did you mean 'randortho'"),
        (lambda: NetworkConfig(n_units=0), "n_units: expected a whole number of 1"),
        (lambda: NetworkConfig(dt_ms=200), "dt_ms"),
        (lambda: NetworkConfig(sigma_rec=-1), "sigma_rec"),
        (lambda: NetworkConfig(cell="leaky_lstm"), "Did you mean 'leaky_"),
        (lambda: NetworkConfig(rules=()), "rules: expected different names, at least one"),
        (
            lambda: NetworkConfig(cell="leaky_gru", separate_rule_input=True),
            "separate_rule_input: expected False for a leaky_gru",
        ),
        (lambda: Regularisation(l1_rate=-1), "l1_rate: expected a finite number of 0"),
        (lambda: pretrained("ctxdm-9"), "Did you mean 'ctxdm-"),
        (lambda: NetworkConfig(n_units=2.5), "n_units: expected a whole number"),
        (lambda: NetworkConfig(tau_ms=0), "tau_ms: expected a finite number above 0"),
        (lambda: NetworkConfig(tau_ms=10), "at most tau = 10 ms"),
        (lambda: NetworkConfig(sigma_x=float("inf")), "sigma_x"),
        (lambda: NetworkConfig(rule_mixing_seed=-1), "rule_mixing_seed: expected a whole number"),
        (lambda: NetworkConfig(seed=-1), "seed: expected a whole number of 0"),
    ],
)
def test_bad_configurations_are_refused(make, match):
    with pytest.raises(nc.InputError, match=match):
        make()
