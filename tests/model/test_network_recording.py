"""Recording of networks: the reference, noise and seeds, parts, other channels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, from_arrays, pretrained, record
from nwbcompare.tasks import make_trials


@pytest.mark.shared
def test_what_is_recorded_of_a_trained_network_equals_the_reference(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        network = from_arrays(**{name: oracle[name] for name in names})
        first = record(network, make_trials("contextdm1"), inputs_and_outputs=True)
        np.testing.assert_allclose(
            first["rate"][::50].transpose("time", "trial", "unit"),
            oracle["contextdm1/rate_every_50th_trial"],
            atol=2e-4,
        )
        np.testing.assert_allclose(
            first["output"][::50].transpose("time", "trial", "output_channel"),
            oracle["contextdm1/output_every_50th_trial"],
            atol=1e-5,
        )


def test_without_noise_the_network_is_deterministic_and_with_it_seeded():
    network, trials = (
        Network(NetworkConfig(n_units=8)),
        make_trials("contextdm1").isel(trial=slice(5)),
    )
    plain, noisy, again = (record(network, trials, seed=seed) for seed in (None, 1, 1))
    assert plain.identical(record(network, trials))
    assert noisy["rate"].equals(again["rate"])
    assert not noisy["rate"].equals(plain["rate"])
    assert (plain.attrs["deterministic"], noisy.attrs["deterministic"]) == (1, 0)


def test_recording_in_parts_changes_nothing(monkeypatch):
    network, trials = Network(NetworkConfig(n_units=8)), make_trials("contextdm1")
    whole = record(network, trials)
    monkeypatch.setattr("nwbcompare.model.network_recording.TRIALS_AT_ONCE", 7)
    np.testing.assert_allclose(record(network, trials)["rate"], whole["rate"], atol=1e-6)
    nc.check_activity(whole)
    assert "input" in record(network, trials, inputs_and_outputs=True)


def test_trials_of_other_channels_are_refused():
    trials = make_trials("contextdm1").isel(input_channel=slice(3))
    with pytest.raises(nc.InputError, match="85 input channels"):
        record(Network(NetworkConfig(n_units=4)), trials)


def test_noise_free_input_is_deterministic_whatever_its_seed():
    network = Network(NetworkConfig(n_units=4))
    flags = [
        record(
            network, make_trials("contextdm1", "random", n_trials=2, seed=0, sigma_x=noise)
        ).attrs["deterministic"]
        for noise in (0.0, 0.1)
    ]
    assert flags == [1, 0]


def test_swapping_the_two_targets_leaves_variances_as_they_are():
    network = pretrained("ctxdm-0")
    grid = {"coherence_1": [0.1, 0.1, -0.1, -0.1], "coherence_2": [0.1, -0.1, 0.1, -0.1]}
    tv = [
        nc.task_variance(
            record(
                network,
                make_trials("contextdm1", "psychometric", conditions={"direction": d, **grid}),
            )
        )["task_variance"]
        for d in (0.0, np.pi)
    ]
    xr.testing.assert_allclose(*tv, rtol=1e-3, atol=1e-5)
