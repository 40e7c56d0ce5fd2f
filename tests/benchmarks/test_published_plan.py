"""The plan of training at the published length: unchanged, and what the code would train."""

from __future__ import annotations

import hashlib
import json

import pytest

from nwbcompare.model.checkpoint import read_configs
from nwbcompare.model.curricula import PUBLISHED_STEPS, YANG2019
from nwbcompare.workflows.continual_training import find_networks, name_of
from nwbcompare.workflows.study_plan import StudyPlan


@pytest.fixture(scope="module")
def folder(repository):
    return repository / "benchmarks" / "results" / "continual_published"


@pytest.fixture(scope="module")
def plan(folder):
    return json.loads((folder / "plan.json").read_text())


def test_the_plan_is_the_one_that_was_fixed(folder):
    digest, name = (folder / "plan.json.sha256").read_text().split()
    assert name == "plan.json"
    assert digest == hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()


def test_the_recipe_is_that_of_the_code(plan):
    recipe = plan["recipe"]
    assert recipe["steps_per_task"] == PUBLISHED_STEPS
    study = StudyPlan(n_networks=10, steps_per_task=recipe["steps_per_task"])
    assert study.training.items() <= recipe.items()
    network, training = study.configs_of(study.all_regimes["consolidated"], 3)
    assert network.n_units == recipe["n_units"]
    assert [list(stage.tasks) for stage in training.stages] == recipe["stages"]
    assert tuple(map(tuple, recipe["stages"])) == YANG2019
    assert {stage.learning_rates for stage in training.stages} == {(recipe["learning_rate"],) * 2}
    assert training.batch_size == recipe["batch_size"]


def test_seeds_are_fixed_and_none_is_trained_that_was_not_planned(plan, folder):
    seeds = {kind: part["seeds"] for part in plan["order"] for kind in part["kinds"]}
    assert seeds["sequential"] == seeds["consolidated"] == list(range(10))
    assert seeds["interleaved"] == list(range(5))
    for run in (folder / "runs").glob("[!.]*"):
        kind, seed = name_of(run)
        assert seed in seeds[kind]


def test_every_network_that_is_kept_was_trained_by_the_plan(folder):
    study = StudyPlan(n_networks=10, steps_per_task=PUBLISHED_STEPS)
    assert json.loads((folder / "continual.json").read_text()) == study.training
    for one in find_networks(folder, study):
        if one.failure != "not trained":
            regime = study.all_regimes[one.regime]
            assert read_configs(one.folder)[0] == study.configs_of(regime, one.seed)[0]
