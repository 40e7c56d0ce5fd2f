"""Performance in recorded conditions: by brute force, and of networks whose answers are known."""

import numpy as np
import pytest
from context_recordings import CONTEXTS, LEVELS, as_dense, make_recording, small_network, table
from filled_networks import fill

import nwbcompare as nc
from nwbcompare.comparison.protocol_mapping import read_mapping
from nwbcompare.comparison.task_performance import (
    CRITERION,
    published_performance,
    score_of,
    task_performance,
)
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.model.network import is_correct
from nwbcompare.tasks.channels import OUTPUT_CHANNELS, bump


def answering(direction, *, fixates=False):
    """A network that gives one response whatever it is shown; NaN for none."""
    network = Network(NetworkConfig(n_units=4), name="constant")
    bias = np.full(len(OUTPUT_CHANNELS), -4.0, dtype=np.float32)
    bias[1:] += 8 * bump(np.array(direction))
    bias[0] = 4.0 if fixates else -4.0
    return fill(network, output_weight=np.zeros((4, 33), "f4"), output_bias=bias)


@pytest.mark.parametrize(
    ("network", "performance", "chance"),
    [
        # one of two directions: half of the trials with equal numbers of both
        (answering(0.0), 0.5, 0.5),
        (answering(np.pi), 0.5, 0.5),
        # no response, or one between the two: none
        (answering(0.0, fixates=True), 0, 0),
        (answering(np.pi / 2), 0, 0),
    ],
)
def test_a_response_that_is_always_the_same_is_at_chance(network, performance, chance):
    recording = make_recording(n_units=1, trials=(6, 7))
    found = task_performance(network, recording, table(axes_degrees=[0]))
    np.testing.assert_allclose(found["performance"], performance)
    np.testing.assert_allclose(found["chance"], chance)
    np.testing.assert_allclose(found["score"], 0, atol=1e-12)
    np.testing.assert_array_equal(found["n_conditions"], 16)


def test_networks_that_learned_reach_the_criterion_and_others_do_not():
    recording = make_recording(n_units=2)
    found = task_performance(nc.model.pretrained("all20-small-0"), recording, table())
    assert (found["score"] > 0.9).all()
    np.testing.assert_allclose(found["chance"], 0.5, atol=0.05)
    assert (task_performance(small_network(), recording, table())["score"] < CRITERION).all()


def test_performance_and_chance_are_those_of_all_trials_one_by_one():
    """On unequal numbers of trials; the permuted mean over all pairs of trial and target."""
    network, mapping = nc.model.pretrained("ctxdm-0"), read_mapping(table())
    block = make_recording(n_units=1, trials=(1, 12))
    block = block.isel(observation=np.flatnonzero(block["coherence_1_level"].values != -2))
    found = task_performance(network, block, mapping)
    for task in CONTEXTS:
        rows = np.flatnonzero(nc.labels(block["task"]) == task)
        own, permuted = [], []
        for axis in mapping.axes_degrees:
            given = {"direction": np.radians(axis)}
            for name in LEVELS:
                levels = block[name].values[rows]
                given[name.removesuffix("_level")] = np.array(
                    [mapping.conditions["coherence_1"].values[int(level)] for level in levels]
                )
            trials = nc.tasks.make_trials(
                task,
                "psychometric",
                conditions=given,
                stimulus_ms=750,
                rules=network.config.rules,
                dt_ms=network.config.dt_ms,
            )
            recorded = nc.record(network, trials, inputs_and_outputs=True)
            own.append(recorded["correct"].values.mean())
            last, target = recorded["output"].values[:, -1], trials["response_direction"].values
            permuted += [
                is_correct(last, np.roll(target, shift)).mean() for shift in range(target.size)
            ]
        one = found.sel(task=task)
        assert float(one["performance"]) == pytest.approx(np.mean(own))
        # rolls bring every target to every trial once, as all permutations do equally often
        assert float(one["chance"]) == pytest.approx(np.mean(permuted))


def test_neither_more_repeats_nor_the_form_of_the_block_changes_it():
    network, block = nc.model.pretrained("ctxdm-3"), make_recording(n_units=1)
    once = task_performance(network, block, table())
    rows = np.repeat(np.arange(block.sizes["observation"]), 3)
    np.testing.assert_allclose(
        task_performance(network, block.isel(observation=rows), table())["score"], once["score"]
    )
    dense = task_performance(network, as_dense(block), table())
    np.testing.assert_allclose(dense["score"], once["score"])
    # other conditions do
    few = block.isel(observation=np.flatnonzero(abs(block["coherence_1_level"].values) == 1))
    assert not np.allclose(task_performance(network, few, table())["chance"], once["chance"])


def test_the_score_is_0_at_chance_1_at_best_and_the_criterion_at_80_percent_of_two_choices():
    np.testing.assert_allclose(score_of([0.5, 1, 0.8, 0.4], 0.5), [0, 1, CRITERION, -0.2])
    np.testing.assert_allclose(score_of([0.25, 0.7], [0.25, 0.25]), [0, CRITERION])
    assert np.isnan(score_of([1.0], [1.0])).all()


def test_published_trials_stand_in_where_there_is_no_mapping():
    found = published_performance(nc.model.pretrained("all20-small-0"), ["fdgo", "dmsgo"])
    assert (found["score"] > 0.9).all()
    np.testing.assert_array_equal(found["task"], ["fdgo", "dmsgo"])
    # every direction of 20 is a target, of which 7 are within 36 degrees (those at 36 are not)
    assert 0.2 < float(found["chance"].sel(task="fdgo")) < 0.4
