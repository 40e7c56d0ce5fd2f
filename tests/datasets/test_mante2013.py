"""The loader of Mante et al. 2013: the published numbers, and archives of every kind of fault."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from mante2013_archive import archive, unit_record
from scipy.io import savemat

import nwbcompare as nc
from nwbcompare.core.source_options import parse_options
from nwbcompare.datasets import DatasetNotFoundError, find_dataset, get_loader, loaders
from nwbcompare.datasets.mante2013 import animals, load

NAME = "ar090313_1_a1_Vstim_100_850_ms.mat"
SINGLE = [0, 2, 2, 0, 5, 4, 11, 18, 15, 22, 17, 23, 15, 19, 13, 7, 5, 2, 0, 1]
SINGLE_F = [0, 0, 2, 3, 8, 7, 18, 19, 30, 26, 29, 16, 18, 14, 11, 4, 1, 0, 0, 1]
ALL_F = [0, 1, 4, 7, 15, 20, 46, 62, 79, 95, 95, 78, 65, 37, 25, 9, 1, 0, 0, 1]
SILENT_F = "fe120106_2_a3"
ALL = [0, 5, 3, 8, 24, 24, 40, 64, 70, 81, 88, 102, 81, 62, 51, 30, 18, 9, 1, 1]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def monkey_a(mante2013_path):
    return nc.load("mante2013", mante2013_path, animal="ar", quality="all")


@pytest.mark.shared
def test_the_archive_has_its_units_and_keeps_the_data_model(monkey_a):
    block = nc.check_activity(monkey_a)["mante2013"]
    assert block.sizes["unit"] == 762
    assert np.unique(block["session"][: block.sizes["unit"]]).size <= 103
    assert block.sizes["time"] == 15
    assert block["rate"].dtype == np.float32
    assert block["time"].values[[0, -1]] == pytest.approx([0.125, 0.825])
    assert set(np.unique(block["coherence_1_level"])) == {-3, -2, -1, 1, 2, 3}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("quality", "histogram", "mean", "sd"),
    [("single", SINGLE, 0.0583, 0.3320), ("all", ALL, 0.0539, 0.3199)],
)
def test_the_published_ftv_is_reproduced_exactly(monkey_a, quality, histogram, mean, sd):
    chosen = monkey_a if quality == "all" else nc.select(monkey_a, quality="single")
    ftv = nc.fractional_task_variance(nc.task_variance(chosen), "contextdm1", "contextdm2")
    values = ftv["fractional_task_variance"].values
    assert nc.selectivity.ftv_histogram(ftv).tolist() == histogram
    assert (round(values.mean(), 4), round(values.std(), 4)) == (mean, sd)


@pytest.fixture(scope="module")
def monkey_f(mante2013_path):
    return nc.load("mante2013", mante2013_path, animal="fe", quality="all")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("quality", "n_units", "histogram", "mean", "sd"),
    [("single", 207, SINGLE_F, -0.0272, 0.2945), ("all", 640, ALL_F, -0.0160, 0.2637)],
)
def test_the_ftv_of_monkey_f(monkey_f, quality, n_units, histogram, mean, sd):
    chosen = monkey_f if quality == "all" else nc.select(monkey_f, quality="single")
    block = nc.check_activity(chosen)["mante2013"]
    assert block.sizes["unit"] == n_units
    assert set(nc.labels(block["subject"])) == {"monkey F"}
    # a unit of 0.003 spikes/s counts only without the threshold
    variance = nc.task_variance(chosen)
    ftv = nc.fractional_task_variance(variance, "contextdm1", "contextdm2", threshold=0)
    values = ftv["fractional_task_variance"].values
    assert nc.selectivity.ftv_histogram(ftv).tolist() == histogram
    assert (round(values.mean(), 4), round(values.std(), 4)) == (mean, sd)


@pytest.mark.shared
def test_one_silent_unit_of_monkey_f_is_left_out_by_the_published_threshold(monkey_f):
    single = nc.select(monkey_f, quality="single")
    with pytest.warns(nc.UnitWarning, match=f"1 of 207 units .*{SILENT_F}"):
        ftv = nc.fractional_task_variance(nc.task_variance(single), "contextdm1", "contextdm2")
    assert ftv["unit"].values[~ftv["active"].values].tolist() == [SILENT_F]
    values = ftv["fractional_task_variance"].values
    assert np.isnan(values).sum() == 1
    assert (round(np.nanmean(values), 4), round(np.nanstd(values), 4)) == (-0.0322, 0.2863)
    (silent,) = nc.blocks(nc.select(single, units=[SILENT_F])).values()
    assert float(silent["rate"].mean()) == pytest.approx(0.003, abs=1e-3)


@pytest.mark.shared
def test_both_monkeys_are_pooled_where_none_is_named(mante2013_path):
    block = nc.load("mante2013", mante2013_path)["mante2013"]
    assert block.sizes["unit"] == 181 + 207
    assert block.attrs["name"] == "monkey A and monkey F"
    assert animals(mante2013_path) == ["ar", "fe"]


@pytest.mark.shared
def test_listed_task_variances_are_reproduced_to_six_digits(monkey_a):
    tv = nc.task_variance(monkey_a)["task_variance"]
    for unit, expected in {
        "ar090313_1_a1": [12.548699, 8.792484],
        "ar090313_1_a2": [4.794266, 3.860269],
        "ar090313_1_a3": [10.828287, 9.315178],
    }.items():
        assert (
            np.round(tv.sel(unit=unit, task=["contextdm1", "contextdm2"]), 6).values.tolist()
            == expected
        )


@pytest.mark.shared
def test_a_third_of_a_typical_task_variance_is_noise(monkey_a):
    single = nc.select(monkey_a, quality="single")
    floor = nc.selectivity.condition_label_null(single, n_permutations=20)["task_variance"].mean(
        "permutation"
    )
    assert np.median(nc.task_variance(single)["task_variance"]) == pytest.approx(1.35, abs=0.05)
    assert 0.4 < np.median(floor) < 0.55


def test_bins_and_smoothing_equal_a_plain_computation(tmp_path, rng):
    from scipy.ndimage import gaussian_filter1d

    record = unit_record(rng)
    block = load(archive(tmp_path, {"ar090313_1_a1": record}))["mante2013"]
    binned = record["response"][:, :750].reshape(40, 15, 50).sum(axis=2) / 0.05
    expected = gaussian_filter1d(binned, 0.8, mode="nearest")
    np.testing.assert_allclose(block["rate"], expected, rtol=1e-6, atol=1e-6)
    raw = load(tmp_path, smooth_s=0, bin_s=0.1)["mante2013"]
    assert raw["rate"].values[0, 0] == record["response"][0, :100].sum() * 10
    assert raw.sizes["time"] == 7


def test_trials_keep_their_variables(tmp_path, rng):
    record = unit_record(rng)
    block = load(archive(tmp_path, {"ar090313_1_a1": record}))["mante2013"]
    variables = record["task_variable"]
    assert nc.labels(block["task"])[:2].tolist() == ["contextdm1", "contextdm2"]
    np.testing.assert_allclose(block["coherence_2"], variables["stim_col2dir"].ravel(), rtol=1e-6)
    np.testing.assert_array_equal(block["choice"], variables["targ_dir"].ravel())
    np.testing.assert_array_equal(block["correct"], variables["correct"].ravel() == 1)
    np.testing.assert_array_equal(block["coherence_1_sign"], np.sign(variables["stim_dir"]).ravel())


def test_coherences_are_ranked_within_a_unit(tmp_path, rng):
    units = {"ar090313_1_a1": unit_record(rng), "ar090314_1_a1": unit_record(rng, scale=0.5)}
    block = load(archive(tmp_path, units))["mante2013"]
    for unit in (0, 1):
        own = block.isel(observation=block["observation_unit"] == unit)
        order = np.argsort(own["coherence_1"].values, kind="stable")
        assert (np.diff(own["coherence_1_level"].values[order]) >= 0).all()
        assert set(np.unique(np.abs(own["coherence_1_level"]))) == {1, 2, 3}


def test_animals_and_qualities_are_selected(tmp_path, rng):
    archive(
        tmp_path, {"ar090313_1_a1": unit_record(rng), "ar090313_1_a2": unit_record(rng, kind="m")}
    )
    archive(tmp_path, {"fe090313_1_a1": unit_record(rng)}, "PFC data 2")
    assert load(tmp_path)["mante2013"]["unit"].values.tolist() == ["ar090313_1_a1", "fe090313_1_a1"]
    assert load(tmp_path, quality="all").children["mante2013"].sizes["unit"] == 3
    only = load(tmp_path, animal="fe")["mante2013"]
    assert only["subject"].values.tolist() == ["monkey F"]
    assert only.attrs["name"] == "monkey F"
    with pytest.raises(nc.InputError, match="animal: expected one of ar, fe"):
        load(tmp_path, animal="monkey")
    with pytest.raises(nc.InputError, match="quality: expected one of single, all"):
        load(tmp_path, quality="singel")


def test_copies_are_counted_once_and_conflicts_refused(tmp_path, rng):
    archive(tmp_path, {"ar090313_1_a1": unit_record(rng)})
    (tmp_path / "PFC data 3").mkdir()
    copy = tmp_path / "PFC data 3" / NAME
    shutil.copy(tmp_path / "PFC data 1" / NAME, copy)
    assert load(tmp_path).children["mante2013"].sizes["unit"] == 1
    copy.write_bytes(copy.read_bytes() + b"x")
    with pytest.raises(nc.InputError, match="Two versions of one unit"):
        load(tmp_path)


def test_a_unit_that_lacks_a_context_loads_and_is_named_by_the_analysis(tmp_path, rng):
    lacking = unit_record(rng)
    lacking["task_variable"]["context"][:] = 1
    activity = load(
        archive(tmp_path, {"ar090313_1_a1": unit_record(rng, 400), "ar090313_1_a2": lacking})
    )
    with pytest.warns(nc.UnitWarning, match="ar090313_1_a2"):
        tv = nc.task_variance(activity)
    with pytest.raises(nc.NotApplicableError, match="1 without: ar090313_1_a2"):
        nc.fractional_task_variance(tv, "contextdm1", "contextdm2")


def test_missing_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(nc.InputError, match="expected a folder, got nothing there"):
        load(tmp_path / "nowhere")
    with pytest.raises(nc.InputError, match=r"files named like \*090313_1_a1"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(nc.InputError, match="Unpack the archive there"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path, rng, share):
    file = archive(tmp_path, {"ar090313_1_a1": unit_record(rng)}) / "PFC data 1" / NAME
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(nc.InputError, match=NAME):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"not MATLAB at all" * 40, b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_foreign_files_are_refused_by_name(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(nc.InputError, match=rf"{NAME}: expected a"):
        load(tmp_path)


def drop(path):
    def change(record):
        *parents, last = path.split(".")
        for name in parents:
            record = record[name]
        del record[last]

    return change


def put(name, values):
    return lambda record: record.update({name: values})


def put_variable(name, values):
    return lambda record: record["task_variable"].update({name: values})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (drop("response"), "a field 'response'"),
        (drop("task_variable.stim_dir"), "a field 'stim_dir'"),
        (drop("unitInfo"), "a field 'unitInfo'"),
        (put_variable("stim_dir", np.zeros((7, 1))), "40 values of stim_dir"),
        (put_variable("context", np.full((40, 1), 5)), r"context \+1 \(motion\)"),
        (put("response", np.full((40, 751), 0.5)), "of spike counts"),
        (put("response", np.full((40, 751), -1)), "of spike counts"),
        (put("response", np.zeros((40, 10), "u1")), "of spike counts"),
        (put("response", np.zeros((0, 751), "u1")), "of spike counts"),
    ],
)
def test_faulty_fields_are_refused_by_file_and_name(tmp_path, rng, change, match):
    record = unit_record(rng)
    change(record)
    with pytest.raises(nc.InputError, match=f"{NAME}.*{match}"):
        load(archive(tmp_path, {"ar090313_1_a1": record}))


def test_a_file_without_a_unit_is_refused(tmp_path):
    savemat(tmp_path / NAME, {"other": 1})
    with pytest.raises(nc.InputError, match="a variable 'unit'"):
        load(tmp_path)


@pytest.mark.parametrize(("option", "value"), [("bin_s", 0.0005), ("bin_s", 2.0), ("smooth_s", -1)])
def test_impossible_options_are_refused(tmp_path, option, value):
    with pytest.raises(nc.InputError, match=f"{option}: expected"):
        load(tmp_path, **{option: value})


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A user with folders of their own, in a working directory that has recordings beside it."""
    monkeypatch.delenv("NWBCOMPARE_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_config_dir", lambda _: str(tmp_path / "config"))
    (tmp_path / "work" / "main").mkdir(parents=True)
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path / "work" / "main")
    return tmp_path


def test_recordings_are_looked_for_in_the_stated_order(places, rng, monkeypatch):
    record = {"ar090313_1_a1": unit_record(rng)}
    # what lies beside the working directory does not count
    archive(places / "work" / "shared" / "data" / "mante2013", record)
    with pytest.raises(DatasetNotFoundError, match=r"(?s)cache.*Mante lab.*Cite: Mante V"):
        find_dataset("mante2013")
    cached = archive(places / "cache" / "mante2013", record)
    assert find_dataset("mante2013") == cached
    configured = archive(places / "lab" / "mante2013", record)
    file = places / "config" / "config.toml"
    file.write_text(f'data = "{places / "lab"}"')
    assert find_dataset("mante2013") == configured
    named = archive(places / "named", record)
    monkeypatch.setenv("NWBCOMPARE_DATA", str(named))
    assert find_dataset("mante2013") == named
    assert find_dataset("mante2013", cached) == cached
    # a place that is named is the only one
    monkeypatch.setenv("NWBCOMPARE_DATA", str(places / "gone"))
    with pytest.raises(DatasetNotFoundError, match="gone, got no such folder"):
        find_dataset("mante2013")
    monkeypatch.delenv("NWBCOMPARE_DATA")
    file.write_text(f'data = "{places / "work"}"')
    with pytest.raises(DatasetNotFoundError, match="work, got other files or none"):
        find_dataset("mante2013")
    # an empty file, and one without a folder, name none
    file.write_text("")
    assert find_dataset("mante2013") == cached


def test_a_folder_of_the_user_may_be_under_home(places, rng, monkeypatch):
    monkeypatch.setenv("HOME", str(places))
    (places / "config" / "config.toml").write_text('data = "~/lab"')
    configured = archive(places / "lab" / "mante2013", {"ar090313_1_a1": unit_record(rng)})
    assert find_dataset("mante2013") == configured


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data = ", r"config.toml: expected a TOML file, got one that cannot be read"),
        ('folder = "/a"', r"config.toml: expected one of data, got 'folder'"),
        ('data = "a/b"', r"config.toml: data: expected the absolute path of a folder, got 'a/b'"),
        ("data = 3", r"absolute path of a folder, got 3. Write data ="),
    ],
)
def test_a_damaged_configuration_file_is_named(places, text, words):
    (places / "config" / "config.toml").write_text(text)
    with pytest.raises(nc.InputError, match=words):
        find_dataset("mante2013")


def test_loaders_are_named_and_their_options_checked():
    assert "mante2013" in loaders()
    with pytest.raises(nc.InputError, match="Did you mean 'mante2013'"):
        get_loader("mante")
    loader = get_loader("mante2013")
    values = parse_options("bin_s=0.1&animal=ar", loader.options, of="mante2013")
    assert values == {"bin_s": 0.1, "animal": "ar"}
    with pytest.raises(
        nc.InputError, match="option 'bin_s' of mante2013: expected a value of type float"
    ):
        parse_options("bin_s=wide", loader.options, of="mante2013")
    with pytest.raises(nc.InputError, match="Did you mean 'quality'"):
        nc.load("mante2013", qualty="all")


def test_an_entry_point_that_clashes_is_refused(monkeypatch):
    class Point:
        name, value = "mante2013", "other:LOADER"

        def load(self):
            return object()

    monkeypatch.setattr("nwbcompare.core.entry_points.entry_points", lambda **_: [Point()])
    with pytest.raises(nc.InputError, match="a Loader with a name of its own, got <object"):
        loaders()
