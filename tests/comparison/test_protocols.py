"""Protocols matched to a recording, and recordings simulated of a network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, pretrained


def test_the_matched_protocol_has_the_monkeys_conditions():
    matched = nc.record_matched(pretrained("ctxdm-0"))
    block = nc.check_activity(matched)["matched"]
    assert dict(block.sizes) == {"trial": 72, "time": 15, "unit": 6 * 256, "epoch": 1}
    assert nc.selectivity.condition_means(block.to_dataset()).sizes["condition"] == 8
    one = block.isel(trial=(block["coherence_1_level"] == 3) & (block["coherence_2_level"] == -2))
    np.testing.assert_allclose(one["coherence_1"], 0.25)
    np.testing.assert_allclose(one["coherence_2"], -0.075)


def test_the_simulated_recording_is_marked_and_seeded():
    network = pretrained("ctxdm-3")
    simulated = nc.comparison.simulate_recording(network, n_units=10, seed=1)
    block = nc.check_activity(simulated)["simulated"]
    assert block.attrs["name"].startswith("SIMULATED")
    assert json.loads(block.attrs["provenance"])["simulated"] is True
    assert simulated.identical(nc.comparison.simulate_recording(network, n_units=10, seed=1))
    assert nc.task_variance(simulated)["task_variance"].notnull().all()
    with pytest.raises(nc.InputError, match="1 or more each"):
        nc.comparison.simulate_recording(network, n_units=0)


def test_simulated_spikes_are_poisson():
    network = pretrained("ctxdm-3")
    block = nc.comparison.simulate_recording(network, n_units=8, trials_per_condition=60)[
        "simulated"
    ].to_dataset()
    every = ["coherence_1_level", "coherence_2_level"]
    means = nc.selectivity.condition_means(block, conditions=every)
    rate, variance = means["rate_mean"], means["mean_variance"] * means["n_trials"]
    # smoothing with taps k leaves sum(k^2) of the counts' variance; at the centre of the axis
    taps = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    expected = rate * 20 * ((taps / taps.sum()) ** 2).sum()
    centre = {"time": slice(4, 11)}
    ratio = float(variance.isel(centre).sum() / expected.isel(centre).sum())
    assert ratio == pytest.approx(1, abs=0.05)


def test_a_network_that_does_not_fire_has_no_recording():
    silent = Network(NetworkConfig(n_units=4, nonlinearity="relu"))
    with torch.no_grad():
        silent.bias.fill_(-100)
    with pytest.raises(nc.NotApplicableError, match="network: expected units that fire"):
        nc.comparison.simulate_recording(silent)
