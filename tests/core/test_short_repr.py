"""Texts of configurations, networks and results: what matters, and it fits on a screen."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.testing import example_block
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan


@given(n_units=st.integers(1, 300), seed=st.integers(0, 9), cell=st.sampled_from(["leaky_gru"]))
def test_the_text_of_a_configuration_makes_it_again(n_units, seed, cell):
    config = NetworkConfig(n_units=n_units, seed=seed, cell=cell, rules=("fdgo", "dm1"))
    assert eval(repr(config), {"NetworkConfig": NetworkConfig}) == config  # noqa: S307
    assert ("seed" in repr(config)) == (seed != 0)


@pytest.mark.parametrize("item", [NetworkConfig(), Settings(), StudyPlan()])
def test_defaults_are_not_written_out(item):
    assert repr(item) == f"{type(item).__name__}()"


def test_long_values_are_counted():
    config = NetworkConfig(rules=tuple(nc.tasks.RULES)[::-1])
    assert repr(config) == "NetworkConfig(rules=<20 values>)"


def test_a_network_says_what_it_is_and_what_is_lesioned():
    network = Network(NetworkConfig(n_units=6, rules=("fdgo",)), name="net")
    assert repr(network) == "<Network 'net': leaky_rnn, 6 units, softplus, 1 rule, dt 20 ms>"
    assert "6 units (2 lesioned)" in repr(network.lesioned([1, 3]))


def test_plain_arrays_are_given_by_their_shapes():
    text = repr(nc.to_numpy(example_block()))
    assert "rate: float32 (8, 5, 3), time_s: float64 (5,), trials: task, direction, correct" in text
    large = nc.to_numpy(example_block().isel(trial=np.zeros(4000, dtype=int)))
    assert len(repr(large)) < 200


def test_the_version_is_that_of_the_package():
    assert nc.__version__ == version("nwbcompare")
