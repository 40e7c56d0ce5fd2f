"""Settings of a study: what cannot be is refused, plain values."""

from __future__ import annotations

import json

import pytest

import nwbcompare as nc
from nwbcompare.workflows.continual_settings import Settings


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"n_networks": 0}, "n_networks: expected a whole number of 1 or more, got 0"),
        ({"steps_per_task": 0}, "steps_per_task: .* got 0"),
        ({"n_units": 2.5}, r"n_units: .* got 2\.5"),
        ({"strength": 0.0}, "strength: .* got 0"),
        ({"strength": float("nan")}, "strength: .* got nan"),
        ({"regimes": ()}, "regimes: expected some of interleaved.* each once"),
        ({"regimes": ("sequential", "unifrom")}, "regimes: expected some of .* unifrom"),
        ({"regimes": ("sequential",) * 2}, "regimes: expected some of .* each once"),
        ({"regimes": ("uniform",)}, "regimes: expected consolidated beside uniform"),
        ({"also": ("elastic",)}, "also: expected .* METHOD:STRENGTH, got 'elastic'"),
        ({"also": ("elastic:much",)}, "also: .* got 'elastic:much'"),
        ({"also": ("elastic:-1",)}, "also: .* got 'elastic:-1'"),
        ({"also": ("elastic:inf",)}, "also: .* got 'elastic:inf'"),
        ({"also": ("none:1",)}, "also: expected a method of consolidation .* got 'none:1'"),
        ({"also": ("elastik:2",)}, "method: .* Did you mean 'elastic'"),
        ({"also": ("elastic:2", "elastic:2.0")}, "also: .* do not have, each once, got elastic:2"),
        (
            {"also": ("synaptic_intelligence:1",)},
            "also: .* consolidated, permuted, uniform do not have",
        ),
        ({"also": ("uniform:0.1",)}, r"also: expected synaptic_intelligence:0\.1 beside uniform:0"),
        ({"n_also": 0}, "n_also: .* got 0"),
        ({"least_performance": 1.0}, r"least_performance: .* below 1, got 1\.0\. Use 0\.8"),
        ({"least_performance": -0.1}, r"least_performance: .* got -0\.1"),
        ({"least_performance": float("nan")}, "least_performance: .* got nan"),
        ({"n_draws": 0}, "n_draws: .* got 0"),
        ({"n_bootstrap": 1}, "n_bootstrap: .* got 1"),
        ({"n_splits": 1}, "n_splits: .* got 1"),
        ({"seed": -1}, "seed: .* got -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, match):
    with pytest.raises(nc.InputError, match=match):
        Settings(**given)


def test_settings_are_plain_values_and_training_is_part_of_them():
    settings = Settings(strength=0.5, also=("elastic:200",))
    assert json.loads(json.dumps(settings.parameters())) == settings.parameters()
    assert settings.training == {
        "steps_per_task": 400,
        "n_units": 256,
        "strength": 0.5,
        "warm_up_steps": 300,
    }
    assert settings.training.items() <= settings.parameters().items()
