"""Tasks of one's own: registered, or found by entry point."""

from __future__ import annotations

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.tasks import RULES, Task, display_name, make_trials, register, registry, task_names
from nwbcompare.tasks.description import describe
from nwbcompare.tasks.trial_draw import Draw


def _follow(draw):
    direction = draw.direction()
    onset = draw.interval(200, 400)
    return describe(
        "follow",
        draw.n_trials,
        {
            "modality": 1,
            "direction": direction,
            "strength": 1.0,
            "start": onset,
            "stop": onset + 20,
        },
        epochs={"fix1": onset, "go1": onset + 20},
        response=direction,
        columns={"direction": direction},
    )


@pytest.fixture
def follow(monkeypatch):
    """A task that does not come with the package."""
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
    return register(
        Task(
            name="follow",
            display_name="Follow",
            condition_variables=("direction",),
            given_variables=("direction",),
            random=_follow,
            test=lambda dt_ms: _follow(Draw(np.random.default_rng(0), 5, dt_ms)),
            psychometric=lambda asked: _follow(Draw(np.random.default_rng(0), 5, asked.dt_ms)),
        )
    )


def test_a_task_of_ones_own_has_its_own_rule_channel(follow):
    trials = make_trials("follow", "random", n_trials=6, seed=0)
    assert trials.sizes["input_channel"] == 86
    assert (trials["input"].sel(input_channel="rule_follow") == 1).all()
    assert (trials["input"].sel(input_channel="rule_fdgo") == 0).all()
    assert task_names() == [*RULES, "follow"]
    assert display_name("follow") == "Follow"
    with pytest.raises(nc.InputError, match="a name that no registered task has"):
        register(follow)


def test_tasks_come_by_entry_point(monkeypatch):
    loaded = []

    class Entry:
        def load(self):
            loaded.append(1)

    monkeypatch.setattr(
        registry, "entry_points", lambda group: [Entry()] if group == "nwbcompare.tasks" else []
    )
    registry._load_third_party.cache_clear()
    task_names()
    task_names()
    assert loaded == [1]
