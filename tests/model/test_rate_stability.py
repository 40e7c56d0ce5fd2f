"""Exploding rates: how they are measured, what stops them, and what a warm-up does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import nwbcompare as nc
from nwbcompare.core.errors import DivergedError, StalledError
from nwbcompare.model import Network, NetworkConfig, read_log, train, training
from nwbcompare.model.curricula import (
    WARM_UP_STEPS,
    interleaved_config,
    sequential_config,
    sequential_network,
)
from nwbcompare.model.rate_stability import EXPLODED_RATE, Stability, measure_stability

STAGES = (("fdgo",), ("dm1",))
SMALL = NetworkConfig(n_units=16, nonlinearity="relu", seed=3)


def short(**changes):
    built = sequential_config(STAGES, steps_per_task=8)
    return replace(built, evaluate_every=4, evaluation_trials=32, batch_size=4, **changes)


def measured(network, seed=0):
    return measure_stability(network, ["fdgo", "dm1"], seed=seed, dt_ms=20)


def changed(config, **weights):
    network = Network(config)
    with torch.no_grad():
        for name, values in weights.items():
            getattr(network, name).copy_(values)
    return network


# what is measured ----------------------------------------------------------------------------


def test_the_spectral_radius_of_scaled_orthogonal_weights_is_their_scale():
    found = measured(Network(sequential_network(n_units=32, seed=1)))
    assert found.spectral_radius == pytest.approx(0.5, abs=1e-6)
    assert found.saturated_outputs == 0
    assert 0 < found.largest_rate < 5
    assert not found.has_exploded


def test_the_weights_of_units_that_are_silent_do_not_count_as_active():
    """A block of silent units with a radius of 3 beside one of active units with 0.5."""
    config = NetworkConfig(n_units=16, nonlinearity="relu")
    weight = torch.eye(16) * 0.5
    weight[8:, 8:] = torch.eye(8) * 3
    bias = torch.cat([torch.ones(8), torch.full((8,), -100.0)])
    found = measured(changed(config, recurrent_weight=weight, bias=bias))
    assert found.spectral_radius == pytest.approx(3)
    assert found.active_spectral_radius == pytest.approx(0.5)
    # the control: the same block, active
    found = measured(changed(config, recurrent_weight=weight, bias=torch.ones(16)))
    assert found.active_spectral_radius == pytest.approx(3)


def test_the_gain_among_active_units_can_exceed_that_of_all():
    """Mutual excitation hidden by inhibition of units that are silent: no bound for relu rates."""
    config = NetworkConfig(n_units=16, nonlinearity="relu", sigma_rec=0)
    n = 8
    weight = torch.zeros(16, 16)
    weight[:n, :n] = 1.5 / n
    weight[:n, n:] = -2.0 / n
    weight[n:, :n] = 2.0 / n
    expected = np.abs(np.linalg.eigvals(weight.numpy())).max()
    bias = torch.cat([torch.full((n,), 1.0), torch.full((n,), -1.0)])
    found = measured(changed(config, recurrent_weight=weight, bias=bias))
    assert found.spectral_radius == pytest.approx(expected, rel=1e-5)
    assert found.active_spectral_radius == pytest.approx(1.5)
    assert found.spectral_radius > found.active_spectral_radius - 0.5
    assert found.largest_rate > 1e3


def test_saturated_outputs_and_exploded_rates_are_told():
    config = NetworkConfig(n_units=8, nonlinearity="relu")
    still = changed(config, output_weight=torch.zeros(8, 33), output_bias=torch.zeros(33))
    assert measured(still).saturated_outputs == 0
    half = torch.zeros(33)
    half[:11] = 50
    assert measured(
        changed(config, output_weight=torch.zeros(8, 33), output_bias=half)
    ).saturated_outputs == pytest.approx(1 / 3)
    gone = changed(
        config,
        recurrent_weight=torch.full((8, 8), 0.3),
        bias=torch.ones(8),
        output_weight=torch.ones(8, 33),
    )
    found = measured(gone)
    assert found.largest_rate > EXPLODED_RATE
    assert found.saturated_outputs > 0.9
    assert found.has_exploded
    assert found.active_spectral_radius == pytest.approx(2.4)
    # beyond the largest number, too
    beyond = changed(config, recurrent_weight=torch.full((8, 8), 9.0), bias=torch.ones(8))
    found = measured(beyond)
    assert found.largest_rate == np.inf
    assert found.has_exploded
    # large rates alone, with outputs that can learn, are no explosion
    assert not Stability(
        largest_rate=1e9, spectral_radius=2, active_spectral_radius=2, saturated_outputs=0.1
    ).has_exploded


def test_weights_that_are_no_numbers_have_no_radius():
    config = NetworkConfig(n_units=8)
    found = measured(changed(config, recurrent_weight=torch.full((8, 8), torch.nan)))
    assert np.isnan(found.spectral_radius)


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_the_same_seed_gives_the_same_numbers(cell):
    network = Network(NetworkConfig(n_units=12, cell=cell))
    assert measured(network, seed=4) == measured(network, seed=4)
    assert measured(network, seed=4) != measured(network, seed=5)


def test_an_unknown_task_is_refused():
    with pytest.raises(nc.InputError, match="Did you mean 'fdgo'"):
        measure_stability(Network(SMALL), ["fdgoo"], seed=0, dt_ms=20)


# training ------------------------------------------------------------------------------------


def test_the_log_has_what_was_measured_of_the_weights_at_each_evaluation(tmp_path):
    network = train(SMALL, short(), out=tmp_path / "run")
    rows = read_log(tmp_path / "run")
    assert rows[0]["spectral_radius"] == pytest.approx(0.5, abs=1e-6)
    last = np.linalg.eigvals(network.recurrent_weight.detach().double().numpy())
    assert rows[-1]["spectral_radius"] == pytest.approx(np.abs(last).max())


def test_logs_from_before_there_were_these_columns_are_read():
    row = read_log(nc.model.pretrained_path("all20-small-0"))[0]
    assert "largest_rate" not in row
    assert "largest_rate" not in row["performance"]


def test_training_stops_where_rates_have_exploded_and_says_so_again_on_resuming(tmp_path):
    """One network whose rates explode of itself: units that excite each other from the start."""
    config = replace(short(), stages=tuple(replace(s, max_steps=400) for s in short().stages))

    with pytest.MonkeyPatch.context() as patch:
        made = training._Run.__init__

        def excited(run, *arguments):
            made(run, *arguments)
            with torch.no_grad():
                run.network.recurrent_weight.fill_(0.12)
                run.network.bias.fill_(1.0)

        patch.setattr(training._Run, "__init__", excited)
        match = (
            r"run: rates have exploded by step \d: the largest is .*e\+\d+, \d+% of the outputs are "
            r"saturated, .*radius of 1\.9.*Raise warm_up_steps \(--warm-up; here 300\), or lower"
        )
        with pytest.raises(DivergedError, match=match):
            train(SMALL, config, out=tmp_path / "run")
    log = read_log(tmp_path / "run")
    assert log[-1]["step"] <= 4
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    with pytest.raises(DivergedError, match="rates have exploded by step"):
        train(SMALL, config, out=tmp_path / "run", resume=True)
    assert read_log(tmp_path / "run") == log
    # the control: asked to go on it does, until nothing is a number any more
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Run, "__init__", excited)
        with pytest.raises(
            (DivergedError, StalledError), match="the loss is nan|not finite|stalled"
        ):
            endured = replace(config, stop_exploded=False, evaluate_every=100)
            train(SMALL, endured, out=tmp_path / "on")
    assert read_log(tmp_path / "on")[-1]["step"] > 4


# warm-up -------------------------------------------------------------------------------------


def rates_of(config, tmp_path):
    """The learning rate of every step."""
    seen = []
    real = training._Run._learning_rate

    def spy(run):
        seen.append(real(run))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Run, "_learning_rate", spy)
        train(SMALL, config, out=tmp_path / f"run-{config.warm_up_steps}")
    return np.array(seen)


def test_the_learning_rate_rises_linearly_in_every_stage(tmp_path):
    plain = rates_of(short(warm_up_steps=0), tmp_path)
    np.testing.assert_array_equal(plain, np.full(16, 1e-3))
    warm = rates_of(short(warm_up_steps=5), tmp_path)
    rise = np.minimum(1, np.arange(1, 9) / 5)
    np.testing.assert_allclose(warm, plain * np.concatenate([rise, rise]))


def test_a_warm_up_goes_on_where_a_run_was_stopped(tmp_path):
    config = short(warm_up_steps=12)

    def stop(log):
        if log[-1]["step"] == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, config, out=tmp_path / "a", watch=stop)
    one = train(SMALL, config, out=tmp_path / "a", resume=True)
    other = train(SMALL, config, out=tmp_path / "b")
    assert torch.equal(one.recurrent_weight, other.recurrent_weight)


def test_both_schedules_warm_up_alike_and_can_be_as_published():
    for build in (sequential_config, interleaved_config):
        assert build().warm_up_steps == WARM_UP_STEPS == 300
        assert build().stop_exploded
        # what has exploded may come back: the published recipe goes on
        assert build(warm_up_steps=0).warm_up_steps == 0
        assert not build(warm_up_steps=0).stop_exploded
    with pytest.raises(nc.InputError, match="warm_up_steps: .* got -1. Use 0 for none"):
        sequential_config(warm_up_steps=-1)
