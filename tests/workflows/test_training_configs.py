"""Configurations of training: regimes of a seed on equal terms, seeds that differ."""

from __future__ import annotations

from dataclasses import replace

import torch
from report_inputs import CONTEXTS
from tiny_studies import tiny

from nwbcompare.model import Network
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual_settings import LEVELS
from nwbcompare.workflows.training_configs import configs_of
from nwbcompare.workflows.training_regimes import METHODS, REGIMES


def test_regimes_of_a_seed_differ_in_consolidation_alone():
    settings = tiny(steps_per_task=7, strength=0.3)
    made = {regime: configs_of(regime, 5, settings) for regime in REGIMES}
    networks = [network for network, _ in made.values()]
    assert all(network == networks[0] for network in networks)
    states = [Network(network).state_dict() for network in networks]
    for state in states[1:]:
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())
    staged = {regime: training for regime, (_, training) in made.items() if regime in METHODS}
    plain = {replace(training, consolidation=Consolidation()) for training in staged.values()}
    assert len(plain) == 1
    assert [stage.tasks for stage in plain.pop().stages] == list(YANG2019)
    assert {regime: own.consolidation.method for regime, own in staged.items()} == METHODS
    strengths = {regime: own.consolidation.strength for regime, own in staged.items()}
    assert strengths == dict.fromkeys(METHODS, 0.3) | {"sequential": 1.0}


def test_interleaved_networks_train_as_many_steps_of_the_same_tasks():
    (_, at_once), (_, staged) = (
        configs_of(regime, 0, tiny(steps_per_task=7)) for regime in ("interleaved", "sequential")
    )
    assert sum(stage.max_steps for stage in at_once.stages) == 7 * 7
    assert sum(stage.max_steps for stage in staged.stages) == 7 * 7
    assert at_once.tasks == staged.tasks
    assert at_once.milestones == staged.milestones == LEVELS
    assert at_once.milestone_tasks == staged.milestone_tasks == CONTEXTS


def test_seeds_differ_in_weights_and_trials():
    one, two = (configs_of("consolidated", seed, tiny()) for seed in (0, 1))
    assert (one[0].seed, one[1].seed, one[1].consolidation.seed) == (0, 0, 0)
    assert (two[0].seed, two[1].seed, two[1].consolidation.seed) == (1, 1, 1)


def test_further_regimes_have_a_method_and_strength_and_seeds_of_their_own():
    more = ("elastic:200", "uniform:0.1", "synaptic_intelligence:0.1")
    settings = tiny(n_networks=4, also=more, n_also=2, regimes=("consolidated", "sequential"))
    assert settings.all_regimes == (
        "sequential",
        "consolidated",
        "elastic 200",
        "uniform 0.1",
        "synaptic_intelligence 0.1",
    )
    assert [len(settings.seeds_of(regime)) for regime in settings.all_regimes] == [4, 4, 2, 2, 2]
    assert len(tiny(n_also=9, also=more).seeds_of("elastic 200")) == 1
    network, plain = configs_of("sequential", 3, settings)
    for regime, method, strength in (
        ("elastic 200", "elastic", 200.0),
        ("uniform 0.1", "uniform", 0.1),
        ("synaptic_intelligence 0.1", "synaptic_intelligence", 0.1),
    ):
        same, training = configs_of(regime, 3, settings)
        assert same == network
        assert replace(training, consolidation=plain.consolidation) == plain
        assert training.consolidation == Consolidation(method=method, strength=strength, seed=3)
