"""The loader of Shi et al. 2022: known numbers, conversion with real times, and faulty files."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from shi2022_archive import archive, behaviour

import nwbcompare as nc
from nwbcompare.core.source_options import parse_options
from nwbcompare.datasets.shi2022 import SHI2022, TASKS, is_archive, load
from nwbcompare.io.nwb.validation import inspect_nwb

NAME = "G180910a11_data.mat"
LAST_OFFER = {"joint_offers": 30, "sequential_offers": 32}


def block_of(*args, **options):
    return load(*args, **options)["shi2022"].to_dataset()


def cell_file(folder: Path, unit="G180910a11") -> Path:
    return folder / "raw_data" / "celldata" / f"{unit}_data.mat"


@lru_cache(1)
def plain_content(file: Path):
    return loadmat(file, variable_names=["celldata", "psyphydata", *TASKS.values()])


def plain_trials(file: Path, task: str):
    """Return good trials and spikes (ms from the last offer, trial) by numpy alone."""
    content = plain_content(file)
    entries, good = content["psyphydata"], content[TASKS[task]].astype(int)
    offers = np.zeros(int(entries[:, 1].max()) + 1, int)
    rows = entries[:, 2] == LAST_OFFER[task]
    offers[entries[rows, 1].astype(int)] = entries[rows, 0]
    cell = content["celldata"].astype(int)
    own = np.isin(cell[:, 1], good[:, 0])
    return good, cell[own, 0] - offers[cell[own, 1]], cell[own, 1]


def plain_counts(file: Path, task: str):
    """Return counts in 50-ms bins, 100 to 600 ms after the last offer, and those at 600 ms."""
    good, ms, number = plain_trials(file, task)
    counts = np.zeros((good[:, 0].max() + 1, 11), int)
    inside = (ms >= 100) & (ms <= 600)
    np.add.at(counts, (number[inside], (ms[inside] - 100) // 50), 1)
    return good, counts[good[:, 0], :10], counts[good[:, 0], 10]


def readme_variance(good, rates):
    """Return the variance over the conditions that have trials, the mean over bins."""
    means = []
    for juice in (1, 2):
        chosen = good[:, 3] == juice
        quantity = np.abs(good[:, 1])
        high = quantity > np.median(quantity[chosen])
        means += [
            rates[chosen & side].mean(axis=0) for side in (high, ~high) if (chosen & side).any()
        ]
    return np.var(means, axis=0).mean(), len(means)


def rows_of(block, unit, task):
    place = int(np.flatnonzero(block["unit"].values == unit)[0])
    rows = nc.labels(block["task"]) == task
    if "observation_unit" not in block.coords:
        return block["rate"].values[rows, :, place], block["trial_number"].values[rows]
    rows &= block["observation_unit"].values == place
    return block["rate"].values[rows], block["trial_number"].values[rows]


@pytest.fixture(scope="module")
def real(archive_path):
    return block_of(archive_path("shi2022")).load()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return archive(tmp_path_factory.mktemp("shi2022"), ("G180910a", "J180911b"))


@pytest.mark.shared
def test_the_archive_has_its_cells_sessions_and_trials(real):
    nc.check_activity(real)
    assert real.sizes["unit"] == 153
    assert np.unique(nc.labels(real["session"])).size == 39
    assert set(nc.labels(real["area"])) == {"OFC"}
    task, unit = nc.labels(real["task"]), real["observation_unit"].values
    for name in TASKS:
        assert np.bincount(unit[task == name], minlength=153).min() >= 105
    assert real["time"].values[[0, -1]] == pytest.approx([0.125, 0.575])


@pytest.mark.shared
def test_counts_and_published_numbers_agree_with_a_plain_computation(real, archive_path):
    variances, sizes = np.zeros((153, 2)), np.zeros((153, 2))
    own = np.zeros((153, 2))
    unit_of, task_of = real["observation_unit"].values, nc.labels(real["task"])
    for place, unit in enumerate(real["unit"].values.tolist()):
        file = cell_file(archive_path("shi2022"), unit)
        rows = unit_of == place
        for column, task in enumerate(TASKS):
            good, counts, on_edge = plain_counts(file, task)
            here = real["rate"].values[rows & (task_of == task)]
            np.testing.assert_array_equal(np.rint(here * 0.05), counts)
            own[place, column], _ = readme_variance(good, here)
            # the README's last bin has its right edge too, as numpy's histograms
            counts[:, 9] += on_edge
            variances[place, column], sizes[place, column] = readme_variance(good, counts / 0.05)
    for values, mean, sd, medians in (
        (variances, 0.165, 0.323, [1.53, 1.00]),
        (own, 0.166, 0.323, [1.53, 0.97]),
    ):
        usable = (values > 1e-3).all(axis=1)
        ftv = (values[usable, 0] - values[usable, 1]) / values[usable].sum(axis=1)
        assert usable.sum() == 152
        np.testing.assert_allclose([ftv.mean(), ftv.std()], [mean, sd], atol=7e-4)
        np.testing.assert_allclose(np.median(values, axis=0), medians, atol=5e-3)
    assert (sizes < 4).sum() == 3
    with pytest.warns(nc.UnitWarning, match="3 units lack a condition of task 'joint_offers'"):
        tv = nc.task_variance(real)["task_variance"].sel(task=list(TASKS)).values
    np.testing.assert_allclose(tv[~np.isnan(tv)], own[~np.isnan(tv)], rtol=1e-4)


@pytest.mark.shared
def test_a_real_session_converts_at_its_times_and_back_bit_for_bit(archive_path, tmp_path):
    source, session = archive_path("shi2022"), "G180911c"
    (path,) = nc.convert("shi2022", source, out=tmp_path, sessions=[session])
    assert inspect_nwb(path) == []
    back, block = nc.open(path)["shi2022"].to_dataset(), block_of(source, session=session)
    assert set(back.variables) == set(block.variables)
    for name in block.variables:
        assert back[name].dtype == block[name].dtype
        np.testing.assert_array_equal(back[name].values, block[name].values)
    content = loadmat(cell_file(source, "G180911c21"), variable_names=["psyphydata"])["psyphydata"]
    start = content[content[:, 2] == 9]
    np.testing.assert_array_equal(back["start_time"].values, start[:, 3])
    choice = content[content[:, 2] == 39, 3]
    np.testing.assert_allclose(back["choice_time"].values, choice, atol=6e-4)


@pytest.fixture(scope="module")
def converted(small, tmp_path_factory):
    return nc.convert("shi2022", small, out=tmp_path_factory.mktemp("nwb"))


@pytest.mark.parametrize("options", [{}, {"align": "choice", "window": (-0.5, 0.25)}])
def test_generated_sessions_convert_and_back(small, converted, options):
    together = nc.open(converted[0].parent, **_as_reading(options))["shi2022"].to_dataset()
    block = block_of(small, **options)
    np.testing.assert_array_equal(together["rate"].values, block["rate"].values)
    for name in ("chosen_juice", "quantity_level", "quantity_a", "last_offer_time", "session"):
        np.testing.assert_array_equal(nc.labels(together[name]), nc.labels(block[name]))
    for name in ("unit", "area", "electrode", "cluster", "subject"):
        np.testing.assert_array_equal(together[name].values, block[name].values)


def test_every_spike_is_converted_also_after_the_end_of_a_trial(small, converted):
    for file, session in zip(converted, ("G180910a", "J180911b"), strict=True):
        own = nc.open(file, align="start_time", window=(0.0, 2.5), bin=0.001)["shi2022"]
        for unit in (f"{session}11", f"{session}21"):
            spikes = loadmat(cell_file(small, unit))["celldata"]
            rates = own["rate"].sel(unit=own["unit"] == unit).values
            assert np.rint(np.nansum(rates) / 1000) == (spikes[:, 0] < 2500).sum()


def _as_reading(options):
    return {k: f"{v}_time" if k == "align" else v for k, v in options.items()}


def test_spikes_are_counted_once_and_in_their_bins(small):
    block = block_of(small)
    assert block.sizes["unit"] == 4
    assert sorted(set(nc.labels(block["subject"]))) == ["monkey G", "monkey J"]
    assert block["area"].values.tolist() == ["OFC", "dlPFC"] * 2
    for unit in block["unit"].values.tolist():
        for task in TASKS:
            good, counts, _ = plain_counts(cell_file(small, unit), task)
            rates, number = rows_of(block, unit, task)
            assert number.tolist() == good[:, 0].tolist()
            np.testing.assert_array_equal(np.rint(rates * 0.05), counts)


def test_trial_columns_are_those_of_the_tables(small):
    block = block_of(small, session="G180910a")
    assert block["rate"].dims == ("trial", "time", "unit")
    content = loadmat(cell_file(small))
    joint = content["goodTrials_JC"]
    rows = nc.labels(block["task"]) == "joint_offers"
    assert block["quantity_a"].values[rows].tolist() == joint[:, 1].tolist()
    assert nc.labels(block["chosen_juice"])[rows].tolist() == ["AB"[j - 1] for j in joint[:, 3]]
    np.testing.assert_array_equal(block["last_offer_time"][rows], block["offer_on_time"][rows])
    assert np.isnan(block["second_offer_on_time"].values[rows]).all()
    assert set(block["chosen_place"].values[~rows].tolist()) == {2}
    for juice in (1, 2):
        chosen = joint[:, 3] == juice
        high = joint[chosen, 1] > np.median(joint[chosen, 1])
        level = nc.labels(block["quantity_level"])[rows][chosen]
        assert (level == "high").tolist() == high.tolist()
    epoch = np.stack([block["epoch_start_time"], block["epoch_stop_time"]])
    assert set(epoch.ravel().tolist()) == {0.1, 0.6}


def test_other_events_and_windows(small):
    block = block_of(small, align="choice", window=(-0.5, 0.5), bin_s=0.1, smooth_s=0.1)
    assert block["time"].attrs["aligned_to"] == "choice"
    assert block["epoch"].values.tolist() == ["after_choice"]
    assert block.sizes["time"] == 10
    with pytest.warns(UserWarning, match="trials were left out: they have no time"):
        only = block_of(small, align="second_offer_on")
    assert set(nc.labels(only["task"])) == {"sequential_offers"}


def test_options_are_checked(small):
    with pytest.raises(nc.InputError, match="animal: expected one of G, J"):
        load(small, animal="H")
    with pytest.raises(nc.InputError, match="session: expected one of G180910a"):
        load(small, session="G1")
    with pytest.raises(nc.InputError, match="align: expected one of"):
        load(small, align="offer")
    with pytest.raises(nc.InputError, match=r"window: expected \(start, stop\)"):
        load(small, window=(0.6, 0.1))
    with pytest.raises(nc.InputError, match=r"window: expected \(start, stop\)"):
        load(small, window=0.6)
    with pytest.raises(nc.InputError, match="bin: expected"):
        load(small, bin_s=0.0)
    assert block_of(small, animal="J").attrs["name"] == "monkey J"
    assert parse_options("window=0.1,0.6", SHI2022.options) == {"window": (0.1, 0.6)}


def test_the_loader_knows_its_archive(small, tmp_path):
    assert is_archive(small)
    assert is_archive(small / "raw_data")
    assert not is_archive(tmp_path)
    with pytest.raises(nc.InputError, match="files named like G180910a11_data.mat"):
        load(tmp_path)
    provenance = json.loads(block_of(small, session="G180910a").attrs["provenance"])
    assert provenance["files"]["count"] == 3


def test_missing_and_damaged_tables_are_named(tmp_path):
    table = archive(tmp_path) / "raw_data" / "sesison_info" / "TT_G180910a.m"
    text = table.read_text()
    for content, match in (
        ("nothing", "a list parsession.locations"),
        (text.replace("31   10  4", "31   10  four"), "other text in its rows"),
        (text.replace("31   10  4", "31   10  5"), "an area of 4, 9 or 10 for electrode 1, got 5"),
        (text.replace("    1   31   10  4\n", ""), "for electrode 1, got none"),
    ):
        table.write_text(content)
        with pytest.raises(nc.InputError, match=f"TT_G180910a.m: expected .*{match}"):
            load(tmp_path)
    table.unlink()
    with pytest.raises(nc.InputError, match="TT_G180910a.m: expected a table of the session"):
        load(tmp_path)


TABLES = behaviour(np.random.default_rng(0))
HALF = TABLES["psyphydata"] + [0.5, 0, 0, 0]
WITHOUT_OFFERS = TABLES["psyphydata"][TABLES["psyphydata"][:, 2] != 32]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"celldata": None}, "a variable 'celldata', got none"),
        ({"psyphydata": None}, "a variable 'psyphydata', got none"),
        ({"goodTrials_SO": None}, "a variable 'goodTrials_SO', got none"),
        ({"celldata": np.zeros((3, 3))}, "celldata of 4 columns"),
        ({"celldata": "text"}, "celldata of 4 columns"),
        ({"celldata": np.full((3, 4), np.nan)}, "celldata of whole numbers"),
        ({"psyphydata": HALF}, "psyphydata of whole numbers"),
        ({"celldata": np.array([[5, 10**6, 1, 1]])}, "celldata with numbers of trials"),
        ({"celldata": np.array([[5, 5, 1, 1]])}, "spikes in good trials of the session only"),
        ({"celldata": np.array([[5, 1, 2, 1]])}, "spikes of the electrode and cluster"),
        ({"goodTrials_JC": np.full((2, 5), 1)}, "good trials, each once"),
        ({"psyphydata": WITHOUT_OFFERS}, "start, offers and end of each good trial"),
    ],
)
def test_faulty_variables_are_refused_by_file(tmp_path, changes, match):
    with pytest.raises(nc.InputError, match=f"{NAME}: expected .*{re.escape(match)}"):
        load(archive(tmp_path, cells=(11,), n_trials=6, **changes))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_files_are_refused_by_name(tmp_path, share):
    file = cell_file(archive(tmp_path, cells=(11,), n_trials=6))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(nc.InputError, match=NAME):
        load(tmp_path)


def test_a_silent_cell_is_kept(tmp_path):
    folder = archive(tmp_path, cells=(11,), n_trials=6, celldata=np.zeros((0, 4)))
    with pytest.warns(UserWarning, match="no unit has a spike"):
        assert (block_of(folder)["rate"].values == 0).all()
