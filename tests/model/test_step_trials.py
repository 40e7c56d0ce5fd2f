"""Trials of a training step: tasks by their weights, easy variants, mixed batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare
from short_training import SHORT

from nwbcompare.model import Stage, training_config
from nwbcompare.model.step_trials import mixed_batches, single_batch, task_probabilities
from nwbcompare.tasks import RULES


def test_task_weights():
    tasks = ("fdgo", "contextdm1", "contextdm2")
    assert task_probabilities(tasks, "equal", None) == pytest.approx([1 / 3] * 3)
    assert task_probabilities(tasks, "published", None) == pytest.approx([1 / 11, 5 / 11, 5 / 11])
    found = task_probabilities(tasks, "error", dict(zip(tasks, (1.0, 0.9, 0.5), strict=True)))
    assert found == pytest.approx(np.array([0.02, 0.12, 0.52]) / 0.66)
    assert task_probabilities(tasks, "error", None) == pytest.approx([1 / 3] * 3)


def test_published_batches_are_of_one_task_drawn_by_its_weight():
    config = training_config(tuple(RULES), schedule="paper")
    weights = task_probabilities(config.tasks, config.task_weights, None)
    drawn = [
        int(single_batch(replace(config, batch_size=2), config.stages[0], step, weights).task[0])
        for step in range(600)
    ]
    assert chisquare(np.bincount(drawn, minlength=20), 600 * weights).pvalue > 1e-4
    one = single_batch(config, config.stages[0], 7, weights)
    assert np.unique(one.task).size == np.unique(one.n_steps).size == 1
    again = single_batch(config, config.stages[0], 7, weights)
    np.testing.assert_array_equal(one.response, again.response)


@pytest.mark.parametrize("batches", ["single", "mixed"])
def test_a_stage_may_train_the_easy_variants(batches):
    config = replace(SHORT, batches=batches, batch_size=50)
    largest = {}
    for easy in (False, True):
        stage = Stage(dt_ms=20, max_steps=10, easy=easy)
        weights = np.array([0.5, 0.5])
        if batches == "single":
            trials = single_batch(config, stage, 3, weights)
        else:
            trials, _ = mixed_batches(config, stage, 0, tuple(weights))
        largest[easy] = np.abs(trials.columns["coherence_1"]).max()
    assert largest[True] == pytest.approx(10 * largest[False])
    assert largest[False] == pytest.approx(0.08)


def test_mixed_batches_hold_every_trial_once_and_are_alike_in_length():
    config = replace(training_config(tuple(RULES)), evaluate_every=50)
    trials, places = mixed_batches(config, config.stages[-1], 0, tuple(np.full(20, 0.05)))
    assert places.shape == (50, 64)
    assert np.unique(places).size == trials.n_trials == 3200
    within = np.ptp(trials.n_steps[places], axis=1)
    assert np.median(within) <= 6
    assert np.ptp(trials.n_steps) > 100
    lengths = trials.n_steps[places].mean(axis=1)
    assert abs(np.corrcoef(np.arange(50), lengths)[0, 1]) < 0.5
    assert chisquare(np.bincount(trials.task, minlength=20)).pvalue > 1e-4
