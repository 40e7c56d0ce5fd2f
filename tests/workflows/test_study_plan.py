"""Plan of a study: impossible values, and configurations of training of its networks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from report_inputs import CONTEXTS
from tiny_studies import tiny_plan

import nwbcompare as nc
from nwbcompare.model import Network
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.study_plan import LEVELS, StudyPlan
from nwbcompare.workflows.training_regimes import METHODS, REGIMES


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"n_networks": 0}, "n_networks: expected a whole number of 1 or more, got 0"),
        ({"steps_per_task": 0}, "steps_per_task: .* got 0"),
        ({"n_units": 2.5}, r"n_units: .* got 2\.5"),
        ({"strength": 0.0}, "strength: .* got 0"),
        ({"strength": float("nan")}, "strength: .* got nan"),
        ({"warm_up_steps": -1}, "warm_up_steps: .* got -1"),
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
    ],
)
def test_impossible_values_are_errors(values, match):
    with pytest.raises(nc.InputError, match=match):
        StudyPlan(**values)


def test_a_plan_has_plain_values_and_training_is_part_of_them():
    plan = StudyPlan(strength=0.5, also=("elastic:200",))
    assert json.loads(json.dumps(plan.parameters())) == plan.parameters()
    assert plan.training == {
        "steps_per_task": 400,
        "n_units": 256,
        "strength": 0.5,
        "warm_up_steps": 300,
    }
    assert plan.training.items() <= plan.parameters().items()


# configurations of training: regimes of a seed on equal terms, seeds that differ ---------------


def test_regimes_of_a_seed_differ_in_consolidation_alone():
    plan = tiny_plan(steps_per_task=7, strength=0.3)
    assert list(plan.all_regimes) == list(REGIMES)
    configs = {name: plan.configs_of(regime, 5) for name, regime in plan.all_regimes.items()}
    networks = [network for network, _ in configs.values()]
    assert all(network == networks[0] for network in networks)
    states = [Network(network).state_dict() for network in networks]
    for state in states[1:]:
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())
    staged = {name: training for name, (_, training) in configs.items() if name in METHODS}
    plain = {replace(training, consolidation=Consolidation()) for training in staged.values()}
    assert len(plain) == 1
    assert [stage.tasks for stage in plain.pop().stages] == list(YANG2019)
    assert {name: one.consolidation.method for name, one in staged.items()} == METHODS
    strengths = {name: one.consolidation.strength for name, one in staged.items()}
    assert strengths == dict.fromkeys(METHODS, 0.3) | {"sequential": 1.0}


def test_interleaved_networks_train_as_many_steps_of_the_same_tasks():
    plan = tiny_plan(steps_per_task=7)
    (_, at_once), (_, staged) = (
        plan.configs_of(plan.all_regimes[name], 0) for name in ("interleaved", "sequential")
    )
    assert sum(stage.max_steps for stage in at_once.stages) == 7 * 7
    assert sum(stage.max_steps for stage in staged.stages) == 7 * 7
    assert at_once.tasks == staged.tasks
    assert at_once.milestones == staged.milestones == LEVELS
    assert at_once.milestone_tasks == staged.milestone_tasks == CONTEXTS


def test_seeds_differ_in_weights_and_trials():
    plan = tiny_plan()
    one, two = (plan.configs_of(plan.all_regimes["consolidated"], seed) for seed in (0, 1))
    assert (one[0].seed, one[1].seed, one[1].consolidation.seed) == (0, 0, 0)
    assert (two[0].seed, two[1].seed, two[1].consolidation.seed) == (1, 1, 1)


def test_further_regimes_have_a_method_and_strength_and_seeds_of_their_own():
    more = ("elastic:200", "uniform:0.1", "synaptic_intelligence:0.1")
    plan = tiny_plan(n_networks=4, also=more, n_also=2, regimes=("consolidated", "sequential"))
    assert list(plan.all_regimes) == [
        "sequential",
        "consolidated",
        "elastic 200",
        "uniform 0.1",
        "synaptic_intelligence 0.1",
    ]
    assert [regime.option for regime in plan.further_regimes] == list(more)
    assert [len(plan.seeds_of(name)) for name in plan.all_regimes] == [4, 4, 2, 2, 2]
    assert len(tiny_plan(n_also=9, also=more).seeds_of("elastic 200")) == 1
    network, plain = plan.configs_of(plan.all_regimes["sequential"], 3)
    for name, method, strength in (
        ("elastic 200", "elastic", 200.0),
        ("uniform 0.1", "uniform", 0.1),
        ("synaptic_intelligence 0.1", "synaptic_intelligence", 0.1),
    ):
        same, training = plan.configs_of(plan.all_regimes[name], 3)
        assert same == network
        assert replace(training, consolidation=plain.consolidation) == plain
        assert training.consolidation == Consolidation(method=method, strength=strength, seed=3)
