"""The loader of Wang 2024: the known numbers, and files of every kind of fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import nwbcompare as nc
from nwbcompare.core.source_options import parse_options
from nwbcompare.datasets.wang2024 import FILES, FOLDER, WANG2024, is_archive, load

TASKS = ("visual_saccades", "memory_saccades")


def neuron(rng, name="m3c1", n_trials=6, **changes):
    record = {"NeuronNum": name}
    for sequence in ("LLRR", "RRLL"):
        for letter in "MV":
            cell = np.empty((1, 4), dtype=object)
            for saccade in range(4):
                cell[0, saccade] = (rng.random((n_trials, 701)) < 0.02).astype("u1")
            record[f"RawData_{sequence}_{letter}"] = cell
    # the first saccade of a visual sequence: the trial starts within the window
    first = record["RawData_LLRR_V"][0, 0].astype(float)
    first[:, :30] = np.nan
    first[0, :130] = np.nan
    record["RawData_LLRR_V"][0, 0] = first
    return record | changes


def structured(records):
    neurons = np.empty((1, len(records)), dtype=[(name, object) for name in records[0]])
    for place, record in enumerate(records):
        for name, value in record.items():
            neurons[0, place][name] = value
    return neurons


def write(folder: Path, records, kind="element") -> Path:
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    content = {"data_structure": {"neurons": structured(records)}}
    savemat(folder / FOLDER / FILES[kind], content, do_compression=True)
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def archive(shared):
    return load(shared / "data" / "wang2024")


@pytest.mark.shared
def test_the_archive_has_its_neurons_and_keeps_the_data_model(archive):
    block = nc.check_activity(archive)["wang2024"]
    assert block.sizes["unit"] == 193
    kinds, counts = np.unique(block["neuron_class"], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {
        "element": 63,
        "sequence": 17,
        "subsequence": 50,
        "unclassified": 63,
    }
    assert block["time"].values[[0, -1]] == pytest.approx([-0.325, 0.325])
    assert block["unit"].values[block["copied"].values].tolist() == ["m9c382"]
    again = [unit for unit in block["unit"].values if unit.endswith("_2")]
    assert sorted(again) == ["m3c276_2", "m9c563_2"]
    assert np.unique(block["subject"]).tolist() == ["monkey m3", "monkey m9"]


@pytest.mark.shared
def test_the_known_ftv_and_its_floor_are_reproduced(archive):
    tv = nc.task_variance(archive)
    values = nc.fractional_task_variance(tv, *TASKS)["fractional_task_variance"].values
    assert (round(values.mean(), 3), round(values.std(), 3)) == (0.008, 0.244)
    medians = tv["task_variance"].median("unit").sel(task=list(TASKS)).values
    np.testing.assert_allclose(medians, [56.6, 55.1], atol=0.06)
    # the saccades of a sequence are parts of one trial
    with pytest.raises(nc.NotApplicableError, match="one observation of each trial"):
        nc.selectivity.ftv_null(archive, *TASKS)
    floor = nc.selectivity.condition_label_null(archive, n_permutations=20)["task_variance"]
    medians = floor.mean("permutation").median("unit").sel(task=list(TASKS)).values
    np.testing.assert_allclose(medians, [16.1, 15.9], rtol=0.08)


@pytest.mark.shared
def test_missing_samples_occur_before_the_first_visual_saccade_only(archive):
    block = archive["wang2024"]
    lacking = np.isnan(block["rate"].values)
    rows = lacking.any(axis=1)
    assert set(nc.labels(block["task"])[rows]) == {"visual_saccades"}
    assert set(block["saccade"].values[rows].tolist()) == {1}
    assert not lacking[:, block["time"].values > -0.15].any()


def test_bins_equal_a_plain_computation_and_start_from_the_saccade(tmp_path, rng):
    record = neuron(rng)
    block = load(write(tmp_path, [record]))["wang2024"]
    rows = (
        (nc.labels(block["task"]) == "memory_saccades")
        & (nc.labels(block["sequence"]) == "RRLL")
        & (block["saccade"].values == 3)
    )
    spikes = record["RawData_RRLL_M"][0, 2].astype(float)
    expected = spikes[:, :700].reshape(6, 14, 50).sum(axis=2) / 0.05
    np.testing.assert_allclose(block["rate"].values[rows], expected, rtol=1e-6)
    assert set(nc.labels(block["direction"])[rows]) == {"left"}
    assert block["trial_number"].values[rows].tolist() == list(range(6))
    wide = load(tmp_path, bin_s=0.1)["wang2024"]
    np.testing.assert_allclose(wide["time"], np.arange(-0.25, 0.3, 0.1), atol=1e-12)
    np.testing.assert_allclose(wide["rate"][rows, 0], spikes[:, 50:150].sum(axis=1) / 0.1)


def test_unrecorded_samples_are_left_out_of_a_bin(tmp_path, rng):
    record = neuron(rng)
    block = load(write(tmp_path, [record]))["wang2024"]
    first = block["rate"].values[:6]  # visual, LLRR, first saccade
    spikes = record["RawData_LLRR_V"][0, 0]
    np.testing.assert_allclose(first[1:, 0], spikes[1:, 30:50].sum(axis=1) / 0.02)
    assert np.isnan(first[0, :2]).all()
    assert first[0, 2] == pytest.approx(spikes[0, 130:150].sum() / 0.02)
    assert np.isfinite(first[:, 3:]).all()


def test_neurons_have_one_id_whatever_class_is_chosen(tmp_path, rng):
    write(tmp_path, [neuron(rng, "m3c1"), neuron(rng, "m9c2")])
    write(tmp_path, [neuron(rng, "m3c1")], "sequence")
    every = load(tmp_path)["wang2024"]
    assert every["unit"].values.tolist() == ["m3c1", "m9c2", "m3c1_2"]
    assert every["neuron"].values.tolist() == ["m3c1", "m9c2", "m3c1"]
    some = load(tmp_path, neuron_class="sequence")["wang2024"]
    assert some["unit"].values.tolist() == ["m3c1_2"]
    assert some.attrs["name"] == "monkey m3"
    with pytest.raises(nc.InputError, match="neuron_class: expected one of element"):
        load(tmp_path, neuron_class="elements")
    with pytest.raises(nc.InputError, match="UnclassifiedNeuron.mat.*no such file"):
        load(tmp_path, neuron_class="unclassified")


def test_copied_sequences_and_unequal_trials_are_told(tmp_path, rng):
    copied = neuron(rng, "m3c2")
    copied |= {f"RawData_RRLL_{letter}": copied[f"RawData_LLRR_{letter}"] for letter in "MV"}
    fewer = neuron(rng, "m3c3")
    fewer |= {"RawData_RRLL_M": neuron(rng, n_trials=3)["RawData_RRLL_M"]}
    block = load(write(tmp_path, [neuron(rng), copied, fewer]))["wang2024"]
    assert block["copied"].values.tolist() == [False, True, False]
    assert nc.select(block.to_dataset(), copied=False).sizes["unit"] == 2
    trials = (
        nc.selectivity.condition_means(block.to_dataset())["n_trials"]
        .sel(unit="m3c3")
        .isel(time=-1)
    )
    assert sorted(trials.values.tolist()) == [3.0] * 4 + [6.0] * 12


def test_the_loader_knows_its_archive(tmp_path, rng):
    assert not is_archive(tmp_path)
    write(tmp_path, [neuron(rng)])
    assert is_archive(tmp_path)
    assert is_archive(tmp_path / FOLDER)
    assert load(tmp_path / FOLDER).children["wang2024"].sizes["unit"] == 1
    assert parse_options("bin_s=0.1", WANG2024.options) == {"bin_s": 0.1}
    assert WANG2024.options.keys() == {"neuron_class", "bin_s"}


def test_missing_folders_are_refused(tmp_path):
    with pytest.raises(nc.InputError, match="ElementNeuron.mat.*got no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(nc.InputError, match="got none of them. Unpack the archive there"):
        load(tmp_path)


@pytest.mark.parametrize("bin_s", [0.0, 0.0005, 0.5])
def test_impossible_bins_are_refused(tmp_path, rng, bin_s):
    with pytest.raises(nc.InputError, match="bin_s: expected a whole number of milliseconds"):
        load(write(tmp_path, [neuron(rng)]), bin_s=bin_s)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path, rng, share):
    file = write(tmp_path, [neuron(rng)]) / FOLDER / FILES["element"]
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(nc.InputError, match="ElementNeuron.mat"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"not MATLAB at all" * 40, b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_foreign_files_are_refused_by_name(tmp_path, content):
    (tmp_path / FILES["sequence"]).write_bytes(content)
    with pytest.raises(nc.InputError, match="SequenceNeuron.mat: expected a"):
        load(tmp_path)


def with_saccade(values):
    def change(record):
        record["RawData_LLRR_M"][0, 2] = values

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: r.pop("NeuronNum"), "ElementNeuron.mat: expected a field 'NeuronNum'"),
        (lambda r: r.pop("RawData_RRLL_V"), "a field 'RawData_RRLL_V'"),
        (lambda r: r.update(RawData_LLRR_M=np.zeros((2, 2))), "a cell of four saccades"),
        (with_saccade(np.zeros((6, 700))), r"RawData_LLRR_M of m3c1 in .*ElementNeuron.mat.*x 701"),
        (with_saccade(np.zeros((0, 701))), "at least one trial"),
        (with_saccade(np.full((6, 701), 0.5)), "0, 1, or NaN"),
        (with_saccade(np.full((6, 701), np.inf)), "0, 1, or NaN"),
    ],
)
def test_faulty_fields_are_refused_by_file_and_name(tmp_path, rng, change, match):
    record = neuron(rng)
    change(record)
    with pytest.raises(nc.InputError, match=match):
        load(write(tmp_path, [record]))


def test_files_without_neurons_are_refused(tmp_path):
    file = tmp_path / FILES["element"]
    savemat(file, {"other": 1})
    with pytest.raises(nc.InputError, match="a variable 'data_structure'"):
        load(tmp_path)
    savemat(file, {"data_structure": {"neurons": np.zeros((1, 3))}})
    with pytest.raises(nc.InputError, match=r"neurons in .*: expected at least one record"):
        load(tmp_path)
