"""What recorded conditions become by a mapping: the numbers, the trials, and bad mappings."""

import re

import numpy as np
import pytest
import yaml
from context_recordings import LEVELS, STRENGTHS, as_dense, make_recording, sample, table

import nwbcompare as nc
from nwbcompare.comparison import check_mapping, read_mapping
from nwbcompare.core.errors import InputError

PICTURES = ("disc", "star", "ring", "cross")


def match_to_sample(n_trials=960, n_units=3, seed=0):
    """Poisson spikes in the delay of match and nonmatch to one of four samples."""
    rng = np.random.default_rng(seed)
    sample_shown, test = (rng.choice(PICTURES, n_trials) for _ in range(2))
    return nc.make_block(
        rng.poisson(1.0, (n_trials, 10, n_units)) / 0.1,
        time_s=(np.arange(10) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="sample offset",
        trials={
            "task": rng.choice(["match", "nonmatch"], n_trials),
            "sample": sample_shown,
            "test": test,
        },
        units={"unit": [f"n{unit}" for unit in range(n_units)]},
        epochs={"delay": (0.0, 1.0)},
        condition_variables={task: ["sample"] for task in ("match", "nonmatch")},
        source="recording",
        name="lab",
    )


@pytest.mark.parametrize("dense", [False, True])
def test_conditions_and_trials_are_those_counted_by_hand(dense):
    block = make_recording(n_units=1 if dense else 4)
    block = as_dense(block) if dense else block
    found = check_mapping(block, table())
    recorded = {name: nc.labels(block[name]) for name in ("task", *LEVELS)}
    unit = np.zeros(recorded["task"].size) if dense else block["observation_unit"].values
    assert found.sizes["condition"] == 32
    for place in range(32):
        one = found.isel(condition=place)
        inside = np.all([recorded[name] == one[name].values for name in recorded], axis=0)
        counts = [np.sum(inside & (unit == which)) for which in np.unique(unit)]
        assert float(one["n_trials"]) == np.median(counts)
        assert float(one["least_trials"]) == min(counts)
        for name in LEVELS:
            given = float(one[f"given_{name.removesuffix('_level')}"])
            assert given == STRENGTHS[int(one[name])]
    assert found.attrs["notes"] == []


def test_the_documented_example_maps_and_samples_another_task_than_mantes(repository):
    text = (repository / "docs" / "mapping.md").read_text(encoding="utf-8")
    mapping = read_mapping(yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]))
    recording = match_to_sample()
    found = check_mapping(recording, mapping)
    assert found.sizes["condition"] == 32
    same = found["sample"] == found["test"]
    angle, second = found["given_direction"], found["given_direction_2"]
    np.testing.assert_array_equal(same, np.isclose(angle, second))
    degrees = dict(zip(PICTURES, (0, 90, 180, 270), strict=True))
    np.testing.assert_allclose(angle, [degrees[name] for name in found["sample"].values])
    assert set(found["network_task"].values) == {"dmsgo", "dmsnogo"}
    activity = nc.make_activity({"a": recording})
    sampled = sample(activity, mapping, network=nc.model.pretrained("all20-small-0"), smooth_s=0)
    # rows of a dense recording are sorted by unit
    np.testing.assert_array_equal(
        nc.labels(sampled["sample"]), np.tile(nc.labels(recording["sample"]), 3)
    )


def test_what_a_mapping_leaves_out_is_said():
    conditions = table()["conditions"]
    conditions["coherence_1"]["values"] |= {9: 0.9, "2": 0.1}
    tasks = {"contextdm1": "contextdm1", "rest": "dm1"}
    found = check_mapping(make_recording(n_units=1), table(tasks=tasks, conditions=conditions))
    assert found.sizes["condition"] == 16
    assert found.attrs["notes"] == [
        "Recorded tasks that the mapping leaves out: contextdm2.",
        "Tasks of the mapping that were not recorded: rest.",
        "mapping, conditions.coherence_1.values: never recorded: 9, 2.",
    ]


BAD = [
    ("coherence_1_level,", "coherence_1_levl,", r"line 7, conditions\.coherence_1\.column: expected one of .*, got 'coherence_1_levl'\. Did you mean 'coherence_1_level'"),
    ("{recording: stim1", "{recording: stim", r"line 3, epoch\.recording: expected one of stim1, got 'stim'"),
    ("network: stim1", "network: stim2", r"line 3, epoch\.network: expected one of .*Did you mean 'stim1'"),
    ("stimulus_ms: 750", "stimulus_ms: 500", r"line 3, epoch: expected network epoch .* 750 ms, got 500 ms\. Write stimulus_ms: 750"),
    ("stimulus_ms: 750", "stimulus_ms: 7", r"line 2, stimulus_ms: "),
    ("contextdm2: contextdm2", "contextdm2: contextdm3", r"line 1, tasks\.contextdm2: expected one of .*Did you mean 'contextdm2'"),
    ("contextdm1: contextdm1, contextdm2: contextdm2", "motion: contextdm1", r"line 1, tasks: expected at least one of the recording's tasks: contextdm1, contextdm2, got motion"),
    ("-1: -0.05", "-7: -0.05", r"line 8, conditions\.coherence_1\.values: expected a number for every value of the column 'coherence_1_level', got none for -1\. Write -1:"),
    ("value: 0", "valeu: 0", r"line 5, key in conditions\.direction: .*got 'valeu'\. Did you mean 'value'"),
    ("value: 0", "value: left", r"line 5, conditions\.direction\.value: expected a number, got 'left'"),
    ("stimulus_ms: 750", "stimulus: 750", r"line 2, key: expected one of tasks, .*got 'stimulus'\. Did you mean 'stimulus_ms'"),
    ("stimulus_ms: 750", "stimulus_ms: 750\nstimulus_ms: 700", r"line 3, stimulus_ms: expected each key once, got it in line 2 too"),
    ("stimulus_ms: 750", "stimulus_ms: [750", r"line 3: expected a YAML file, got one that cannot be read"),
]  # fmt: skip
FILE = f"""\
tasks: {{contextdm1: contextdm1, contextdm2: contextdm2}}
stimulus_ms: 750
epoch: {{recording: stim1, network: stim1}}
conditions:
  direction: {{value: 0}}
  coherence_1:
    {{column: coherence_1_level,
     values: {STRENGTHS}}}
  coherence_2: {{column: coherence_2_level, factor: 0.1}}
"""


@pytest.mark.parametrize(("written", "changed", "match"), BAD)
def test_errors_name_file_line_and_key_what_was_expected_and_the_nearest_name(
    tmp_path, written, changed, match
):
    recording = make_recording(n_units=1)
    path = tmp_path / "map.yaml"
    path.write_text(FILE)
    assert check_mapping(recording, path).sizes["condition"] == 32
    assert FILE.count(written) >= 1
    path.write_text(FILE.replace(written, changed, 1))
    with pytest.raises(InputError, match=rf"map\.yaml, {match}"):
        check_mapping(recording, path)


def test_the_nearest_written_text_is_named_for_a_value_without_a_number(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        "tasks: {match: fdgo, nonmatch: fdanti}\n"
        "conditions:\n"
        "  direction:\n"
        "    column: sample\n"
        "    values: {disc: 0, star: 90, ring: 180, Cross: 270}\n"
        "  modality: {value: 3}\n"
        "epoch: {recording: delay, network: stim1}\n"
        "stimulus_ms: 1000\n"
    )
    with pytest.raises(InputError, match=r"line 5, .*none for cross \('Cross' is there\)"):
        check_mapping(match_to_sample(), path)
    path.write_text(path.read_text().replace("Cross", "cross"))
    with pytest.raises(InputError, match=r"line 6, conditions\.modality: expected modality 1 or 2"):
        check_mapping(match_to_sample(), path)


def test_lines_are_no_part_of_a_mapping(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(FILE)
    one = read_mapping(path)
    path.write_text("# a comment\n\n" + FILE)
    assert read_mapping(path) == one
    assert read_mapping(path).parameters() == one.parameters()
    assert "lines" not in one.parameters()
