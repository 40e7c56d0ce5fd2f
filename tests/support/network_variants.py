"""Configurations of networks that differ in their cell and its inputs."""

from __future__ import annotations

CELLS = {
    "softplus": {},
    "relu": {"nonlinearity": "relu", "recurrent_initialisation": "randortho"},
    "tanh": {"nonlinearity": "tanh"},
    "retanh": {"nonlinearity": "retanh", "dt_ms": 50.0},
    "separate": {"separate_rule_input": True},
    "mixed": {"rule_mixing_seed": 3},
    "gru": {"cell": "leaky_gru"},
}
