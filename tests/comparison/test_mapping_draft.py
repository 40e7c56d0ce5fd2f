"""Drafts of mappings: what they take from a recording, and that what they write is read back."""

import json
import re

import numpy as np
import pytest
import yaml
from context_recordings import CONTEXTS, make_recording

import nwbcompare as nc
from nwbcompare.comparison import draft_mapping, read_mapping
from nwbcompare.comparison.mapping_draft import OPEN
from nwbcompare.core.errors import InputError
from nwbcompare.tasks import get_task, task_names
from nwbcompare.testing import example_block


def with_columns(**columns):
    """A recording whose trials have other columns in place of its own."""
    block = make_recording(n_units=1)
    n = block.sizes["observation"]
    kept = block.drop_vars(
        [n for n in block.coords if n.startswith(("coherence", "choice", "rea"))]
    )
    kept = kept.assign_coords(
        {name: ("observation", np.resize(values, n)) for name, values in columns.items()}
    )
    variables = {task: list(columns)[:1] for task in CONTEXTS}
    return kept.assign_attrs(condition_variables=json.dumps(variables))


def copied(draft, column):
    """The mapping of a column's values that a draft offers to copy."""
    lines = re.search(rf"#   column: {column}\n#   (values: .*)\n", draft)
    return yaml.safe_load(lines[1])["values"]


@pytest.mark.parametrize(
    "values",
    [
        np.array(["yes", "no", "1", "1.5", "null", "~", "a: b", "it's", "", "é", "FILL", "#x"]),
        np.array([0.06, 1e-5, -0.5, 1e6], dtype=np.float32),
        np.array([0.1, 1 / 3, 2e-7]),
        np.array([True, False]),
        np.array([-2, 0, 3]),
    ],
)
def test_every_recorded_value_is_found_in_the_file_that_is_read_back(values):
    draft = draft_mapping(with_columns(cue=values), ["dm1"])
    table = dict.fromkeys(copied(draft, "cue"), 1.5)
    mapping = read_mapping(
        {
            "tasks": {"contextdm1": "dm1"},
            "conditions": {
                "direction": {"value": 0},
                "coherence_1": {"column": "cue", "values": table},
            },
            "epoch": {"recording": "stim1", "network": "stim1"},
            "stimulus_ms": 750,
        }
    )
    conditions = nc.comparison.check_mapping(with_columns(cue=values), mapping)
    assert len(table) == len(values)
    assert (conditions["given_coherence_1"] == 1.5).all()
    assert conditions.attrs["notes"] == ["Recorded tasks that the mapping leaves out: contextdm2."]


def test_a_draft_is_yaml_that_lacks_only_what_it_marks():
    draft = draft_mapping(make_recording(n_units=1), CONTEXTS, model="net")
    assert "(net)" in draft
    with pytest.raises(InputError, match=f"direction.value: expected a number, got '{OPEN}'"):
        read_mapping(yaml.safe_load(draft))
    # the fields in the order of the file
    filled = yaml.safe_load(draft.replace(OPEN, "1"))
    assert filled["tasks"] == {task: task for task in CONTEXTS}
    assert filled["epoch"] == {"recording": "stim1", "network": "stim1", "latency_ms": 1}
    assert filled["stimulus_ms"] == 750
    assert read_mapping(filled).columns == []


def test_nothing_is_guessed_where_names_differ():
    block = make_recording(n_units=1)
    first = nc.labels(block["task"]) == CONTEXTS[0]
    block = block.assign_coords(
        task=("observation", np.where(first, "motion", "no")), epoch=["dots"]
    ).assign_attrs(condition_variables='{"motion": ["coherence_1_sign"], "no": []}')
    draft = draft_mapping(block, task_names())
    table = yaml.safe_load(draft)
    assert table["tasks"] == {"motion": OPEN, "no": OPEN}
    assert table["epoch"] == {"recording": "dots", "network": OPEN, "latency_ms": OPEN}
    assert table["stimulus_ms"] == OPEN
    every = {name for task in task_names() for name in get_task(task).given_variables}
    assert set(table["conditions"]) == every
    assert "# one of dots (0.1 to 0.85 s)" in draft
    assert re.search(r"modality:.*\n    # only for fdgo, reactgo", draft)
    # conditions of the recording itself come first
    assert re.search(r"#   column: (\w+)", draft)[1] == "coherence_1_sign"


def test_columns_of_many_values_are_given_a_range_or_examples():
    cue, side = np.linspace(-1, 1, 40), np.array([f"cue {place:02d}" for place in range(40)])
    draft = draft_mapping(with_columns(cue=cue, side=side), ["dm1"])
    assert f"#   column: cue\n#   factor: {OPEN}    # 40 values from -1 to 1" in draft
    assert "40 texts, such as cue 00, cue 01" in draft


def test_unknown_tasks_and_recordings_without_columns_are_refused():
    with pytest.raises(InputError, match=r"tasks: expected one of .* Did you mean 'contextdm2'"):
        draft_mapping(make_recording(n_units=1), ["contextdm"])
    bare = with_columns(correct=np.array([True, False]))
    with pytest.raises(InputError, match="recording: expected a trial column that says what was"):
        draft_mapping(bare, ["dm1"])
    with pytest.raises(nc.NotApplicableError, match="expected noisy rates"):
        draft_mapping(example_block().assign_attrs(deterministic=1), ["dm1"])
