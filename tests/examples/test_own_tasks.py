"""The recipes for tasks of one's own, run in their order."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nwbcompare as nc
from nwbcompare.tasks import registry


class Decide:
    """Stand-in of a neurogym environment: one of two channels is higher, and is chosen."""

    dt = 50
    observation_space, action_space = SimpleNamespace(shape=(2,)), SimpleNamespace(n=2)
    start_t, end_t = {"stimulus": 0, "decision": 500}, {"stimulus": 500, "decision": 1000}

    def seed(self, seed):
        self.rng = np.random.default_rng(seed)

    def new_trial(self):
        truth = int(self.rng.integers(2))
        self.ob = np.full((20, 2), 0.4) + 0.4 * np.eye(2)[truth]
        self.gt = np.full(20, truth)
        return {"ground_truth": truth}


@pytest.fixture(scope="module")
def recipes(repository, tmp_path_factory):
    """What the blocks of docs/own_tasks.md leave behind."""
    text = (repository / "docs" / "own_tasks.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 4
    values = {"environment": Decide(), "folder": tmp_path_factory.mktemp("runs")}
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_TASKS", dict(registry._TASKS))
        for block in blocks:
            exec(block, values)  # noqa: S102 - the code of the documentation
        yield values


def test_a_module_on_arrays_learns_and_is_recorded(recipes):
    block = nc.check_activity(recipes["of_arrays"])
    assert set(nc.labels(block["task"])) == {"go", "anti"}
    assert nc.task_variance(block)["task_variance"].min() > 0


def test_a_module_on_an_environment_learns_and_is_recorded(recipes):
    assert recipes["share"] > 0.9
    block = nc.check_activity(recipes["of_environment"])
    assert nc.task_variance(block)["n_conditions"].values.tolist() == [2]


def test_a_network_is_trained_on_tasks_of_a_file(recipes):
    activity = nc.check_activity(recipes["of_network"])
    assert nc.core.activity.tasks_of(activity) == ["follow", "oppose"]
    assert nc.task_variance(activity)["n_conditions"].values.tolist() == [8, 8]


def test_it_is_compared_with_a_recording(recipes):
    assert recipes["sample"].leaves[0].sizes["unit"] == 10
    assert np.isfinite(recipes["ftv"]["fractional_task_variance"].values).any()


def recording(tasks, column, levels, stop=0.5):
    """Twelve units of Poisson counts in some conditions of one column."""
    rng = np.random.default_rng(0)
    task, level = np.repeat(tasks, 40), np.tile(levels, 40 * len(tasks) // len(levels))
    return nc.from_arrays(
        rng.poisson(1.0, (len(task), 10, 12)),
        counts=True,
        bin=0.05,
        trials={"task": task, column: level},
        conditions=[column],
        epochs={"stimulus": (0.0, stop)},
    )


def test_a_module_on_an_environment_is_sampled_like_a_recording(recipes):
    brain = recording(["decide"], "ground_truth", [0, 1])
    sample = nc.sample_like(recipes["of_environment"], brain)
    assert sample.leaves[0].sizes["unit"] == 12
    assert (sample.leaves[0]["scale"].values >= 0).all()


def test_a_network_of_tasks_of_a_file_is_sampled_through_a_mapping(recipes):
    brain = recording(["look", "away"], "place", ["up", "down"], stop=0.4)
    mapping = {
        "tasks": {"look": "follow", "away": "oppose"},
        "conditions": {"direction": {"column": "place", "values": {"up": 90, "down": 270}}},
        "epoch": {"recording": "stimulus", "network": "go1"},
        "stimulus_ms": 400,
    }
    sample = nc.sample_like(recipes["network"], brain, mapping, match="tuning")
    assert nc.core.activity.tasks_of(sample) == ["away", "look"]
