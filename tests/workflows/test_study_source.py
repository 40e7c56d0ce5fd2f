"""A study as the source of a report: which networks are compared, and why others are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_inputs import CONTEXTS
from study_sources import SESSION, study_source, table
from training_logs import ROWS

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.checkpoint import read_log
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual_measurements import PRIMARY, NetworkMeasures
from nwbcompare.workflows.continual_training import StudyNetwork, run_folder_of
from nwbcompare.workflows.section import Refusal, Results
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan
from nwbcompare.workflows.study_source import StudySource

FINAL = {"sequential": 0.75, "consolidated": 0.8, "uniform": 0.9}
"""Final performance in the second context task by regime."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks that were trained to their end."""
    folder = tmp_path_factory.mktemp("study")
    tasks = [task for stage in YANG2019 for task in stage]
    return [
        StudyNetwork(
            regime,
            0,
            save_run(
                Network(NetworkConfig(n_units=4)),
                run_folder_of(folder, regime, 0),
                log=ROWS,
                evaluation={"performance": dict.fromkeys(tasks, 0.95) | {CONTEXTS[1]: share}},
            ),
        )
        for regime, share in FINAL.items()
    ]


def source_of(networks, measures=(), **settings):
    recorded = table(np.zeros(SESSION.size), "monkey", session=SESSION)
    return StudySource.of(networks, measures, recorded, StudyPlan(), Settings(**settings))


def test_networks_below_the_criterion_are_excluded_with_their_number(networks):
    why = "stage 2 ended where it had begun"
    broken = StudyNetwork("consolidated", 1, networks[0].folder / "none", why)
    source = source_of([*networks, broken])
    assert source.exclusions == {
        "consolidated-1": why,
        "sequential-0": "contextdm2 ended at 0.750, below 0.8",
    }
    assert source.logs == {
        one.regime: {"0": read_log(one.folder)} for one in networks if one.regime != "sequential"
    }
    # of all networks that were trained to their end
    assert {regime: list(by_seed) for regime, by_seed in source.performance.items()} == {
        regime: ["0"] for regime in FINAL
    }
    assert source.performance["uniform"]["0"][CONTEXTS[1]] == 0.9


def test_networks_at_the_criterion_stay_and_those_without_a_sample_are_excluded(networks):
    sample = table(np.zeros(SESSION.size))
    measures = [
        NetworkMeasures("sequential", 0, Results({PRIMARY: sample, "rate": sample})),
        NetworkMeasures("consolidated", 0, Results({PRIMARY: sample})),
        NetworkMeasures(
            "uniform", 0, Results(refusals={PRIMARY: Refusal("Needed: units; here: none.")})
        ),
    ]
    source = source_of(networks, measures, least_performance=0.75)
    assert source.exclusions == {"uniform-0": "Needed: units; here: none."}
    assert list(source.logs) == ["sequential", "consolidated"]
    strict = source_of(networks, measures)
    # why a network was excluded first is not replaced
    assert strict.exclusions["sequential-0"].startswith("contextdm2 ended at 0.750")
    assert list(strict.tables(PRIMARY)) == ["consolidated"]
    assert list(strict.tables(PRIMARY, with_excluded=True)) == ["sequential", "consolidated"]
    assert strict.tables("rate") == {}
    assert list(strict.tables("rate", with_excluded=True)["sequential"]) == ["0"]


@pytest.mark.parametrize("least", [1.0, -0.1, float("nan")])
def test_the_least_performance_is_a_share(least):
    with pytest.raises(nc.InputError, match=r"least_performance: .* below 1, got .*\. Use 0\.8"):
        Settings(least_performance=least)


def test_the_checksum_of_a_study_is_of_all_that_sections_are_computed_from():
    source = study_source(np.random.default_rng(3), n=2)
    assert source.digest() == study_source(np.random.default_rng(3), n=2).digest()
    sample = source.measures[0].results[PRIMARY]
    others = [sample.assign(active=~sample["active"]), sample.assign_coords(session="s")]
    first, *rest = source.measures
    changed = [
        replace(source, networks=source.networks[:-1]),
        replace(source, exclusions={"uniform-0": "stalled."}),
        replace(source, performance={"uniform": {"0": {"contextdm1": 0.5}}}),
        replace(source, logs={}),
        replace(source, recorded=source.recorded.assign_coords(session=("unit", SESSION[::-1]))),
        *(
            replace(source, measures=[replace(first, results=Results({PRIMARY: one})), *rest])
            for one in others
        ),
    ]
    assert len({source.digest(), *(one.digest() for one in changed)}) == 1 + len(changed)
