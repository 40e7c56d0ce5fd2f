"""What `nc.describe` says, against plain counts of the same tables."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st
from lab_sessions import WAYS, lab_session

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks

READING = {"align": "cue_on", "window": (-0.2, 1.0), "bin": 0.1}


@given(st.one_of(dense_blocks(), ragged_blocks()))
def test_every_block_is_described_with_the_counts_of_its_tables(block):
    found = nc.describe(block)
    tasks = nc.labels(block["task"])
    assert found.n_units == block.sizes["unit"]
    (one,) = found.blocks
    assert one.sizes == dict(block["rate"].sizes)
    assert {task.name: task.n_trials for task in one.tasks} == {
        task: int((tasks == task).sum()) for task in np.unique(tasks)
    }
    for task in one.tasks:
        rows = tasks == task.name
        assert task.variables == ("direction",)
        values = block["direction"].values[rows]
        assert len(task.conditions) == len(set(values))
        for condition, value in zip(task.conditions, np.unique(values), strict=True):
            assert condition.label == f"direction={value:.4g}"
            of_value = rows & (block["direction"].values == value)
            if "observation" in block.dims:
                units = block["observation_unit"].values[of_value]
                expected = np.median(np.unique(units, return_counts=True)[1])
            else:
                expected = of_value.sum()
            assert condition.n_trials == expected
        named = block["epoch"].values.tolist() if "epoch" in block.coords else ["window"]
        assert [epoch.name for epoch in task.epochs] == named
    # a text with every name, and plain values
    assert all(repr(task.name) in str(found) for task in one.tasks)
    json.dumps(asdict(found))


def test_a_description_does_not_read_rates(tmp_path):
    path = nc.write_nwb(example_block(), tmp_path / "a.nwb")
    activity = nc.open(path)
    assert "not in memory, read when indexed" in str(nc.describe(activity))
    leaf = activity["example"].to_dataset()
    assert not leaf["rate"].variable._in_memory
    leaf["rate"].load()
    assert "in memory" in str(nc.describe(leaf))
    assert "in dask chunks" in str(nc.describe(leaf.chunk(trial=2)))


def test_what_a_recording_lacks_is_said(tmp_path):
    activity = WAYS["NWB"](lab_session(), tmp_path, **READING, epochs={"d": ("cue_off", "go")})
    text = str(nc.describe(activity))
    assert "lab (recording): 3 units, 2 tasks, 1 session" in text
    assert "none named; columns with few values: side (2 values)" in text
    assert "other bounds in each trial" in text
    bare = WAYS["arrays"](lab_session(), tmp_path, **READING, conditions=["side"])
    text = str(nc.describe(bare))
    assert "2 of side: side=left (4), side=right (4)" in text
    assert "window -0.2 to 1 s (no epochs are named: the window is the epoch)" in text
    # a column of animals
    named = bare["arrays"].to_dataset().assign_coords(animal=("unit", ["a", "a", "b"]))
    assert nc.describe(named).n_subjects == 2


def test_an_epoch_that_trials_lack_is_counted():
    block = example_block()
    block["epoch_start_time"].values[:3, 1] = block["epoch_stop_time"].values[:3, 1] = np.nan
    assert "stim1 0.1 to 0.5 s, lacking in 3 trials" in str(nc.describe(block))


def test_many_conditions_are_counted_and_not_listed():
    block = example_block().assign_coords(direction=("trial", np.arange(8.0)))
    block = block.isel(trial=np.tile(np.arange(8), 4))
    block = block.assign_coords(hue=("trial", np.repeat([0, 1, 1, 1], 8)))
    block = block.assign_attrs(condition_variables='{"go": ["direction", "hue"]}')
    assert "16 of direction, hue, trials of each: 1 to 3" in str(nc.describe(block))


def test_a_notebook_shows_the_description():
    block = example_block()
    assert repr(block.nwbcompare) == str(nc.describe(block))
    assert repr(nc.make_activity({"go": block}).nwbcompare).startswith("example (model): 3 units")
    assert "task_variance" in repr(nc.task_variance(block).nwbcompare)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_it(tmp_path, as_json):
    path = nc.write_nwb(example_block(), tmp_path / "a.nwb")
    result = CliRunner().invoke(cli, ["info", str(path), *(["--json"] if as_json else [])])
    assert result.exit_code == 0, result.output
    expected = nc.describe(nc.open(path))
    if as_json:
        assert json.loads(result.output) == json.loads(json.dumps(asdict(expected)))
    else:
        assert result.output == f"{expected}\n"
