"""The loader of Miranda et al. 2025: numbers of the real files, and theorems on generated ones."""

from __future__ import annotations

import shutil

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from miranda2025_archive import AREA, CELLS, SESSIONS, archive
from scipy.io import loadmat

import nwbcompare as nc
from nwbcompare.core.errors import MissingPackageError
from nwbcompare.datasets import get_loader, miranda2025
from nwbcompare.datasets.miranda2025 import EVENTS, load, sessions
from nwbcompare.io.nwb.validation import inspect_nwb
from nwbcompare.testing import assert_same_activity
from nwbcompare.workflows.convert import convert

WIDE = {"window": (-0.5, 1.0), "smooth_s": 0.0}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return archive(tmp_path_factory.mktemp("miranda2025"))


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small, tmp_path / "copy")


def plain_counts(folder, cell, code, window=(-0.5, 1.0), bin_s=0.05):
    """Return counts by numpy alone, (trial, bin), in whole milliseconds."""
    spikes = np.load(folder / "data" / AREA / "spikes" / f"cell_{cell}.npy").astype(int)
    table = pq.read_table(folder / "data" / AREA / "trial_timings" / f"cell_{cell}.parquet")
    times = table["times"].to_numpy()[table["codes"].to_numpy() == code].astype(int)
    edges = np.arange(round(window[0] * 1000), round(window[1] * 1000) + 1, round(bin_s * 1000))
    return np.diff(np.searchsorted(spikes, times[:, None] + edges), axis=1)


def rows_of(block, unit):
    return block["rate"].values[block["observation_unit"].values == unit]


@pytest.mark.parametrize(("align", "code"), [("choice_2_onset", 33), ("transition", 25)])
def test_counts_of_spikes_equal_a_plain_count(small, align, code):
    block = nc.check_activity(load(small, align=align, **WIDE))["miranda2025"]
    assert block.sizes["unit"] == sum(map(len, CELLS.values()))
    for cell in range(block.sizes["unit"]):
        counts = rows_of(block, cell) * 0.05
        np.testing.assert_allclose(counts, plain_counts(small, cell, code), atol=1e-5)


def test_trials_have_the_behaviour_of_their_session(small):
    block = load(small)["miranda2025"]
    prepared = loadmat(small / "data" / "PreparedData.mat")["PreparedData"]
    record = prepared[0, 0][1, 0][0, 0]
    own = block.isel(observation=block["observation_unit"].values == 2)
    assert set(nc.labels(own["session"])) == {"C02"}
    for name, field in {"choice_2": "PicChosen2", "reward_level": "LevelRew2"}.items():
        np.testing.assert_array_equal(own[name], record[field].ravel())
    is_common = record["Transition"].ravel() == 1
    assert nc.labels(own["task"]).tolist() == np.where(is_common, "common", "rare").tolist()
    np.testing.assert_allclose(own["reaction_time_2"], record["RT2"].ravel() / 1000)
    choice = record["PicChosen1"].ravel().astype(int)
    np.testing.assert_array_equal(own["stay"].values[1:], choice[1:] == choice[:-1])
    assert np.isnan(own["stay"].values[0])
    np.testing.assert_array_equal(own["previous_choice_1"].values[1:], choice[:-1])
    np.testing.assert_array_equal(np.isfinite(own["pump_on_time"]), record["LevelRew2"].ravel() < 3)


def test_values_are_those_of_the_session_with_the_number_before(small):
    block = load(small, session="C02")["miranda2025"]
    table = loadmat(small / "data" / "CharlieData" / "qvals" / "qvals_sess_1.mat")
    np.testing.assert_array_equal(block["value_model_free"], table["ChosenQmf"].ravel())
    np.testing.assert_array_equal(block["prediction_error_2"], table["PE2"].ravel())


def test_values_of_another_session_are_refused(copy):
    place = copy / "data" / "JacobData" / "qvals" / "qvals_sess_0.mat"
    shutil.copy(copy / "data" / "CharlieData" / "qvals" / "qvals_sess_0.mat", place)
    with pytest.raises(nc.InputError, match="qvals_sess_0.mat: expected 26 numbers"):
        load(copy)


def test_a_session_without_values_has_nan_and_is_named(copy):
    (copy / "data" / "JacobData" / "qvals" / "qvals_sess_0.mat").unlink()
    with pytest.warns(UserWarning, match="No file of values for sessions J01"):
        block = load(copy)["miranda2025"]
    lacking = nc.labels(block["session"]) == "J01"
    assert np.isnan(block["value_2"].values[lacking]).all()
    assert np.isfinite(block["value_2"].values[~lacking]).all()


def test_monkeys_and_sessions_are_selected_with_the_same_units(small):
    every = load(small)["miranda2025"]
    jacob = load(small, animal="J")["miranda2025"]
    assert jacob["unit"].values.tolist() == ["DLPFC_3"] == every["unit"].values[3:].tolist()
    assert jacob.attrs["name"] == "monkey J"
    dense = load(small, session="C01")["miranda2025"]
    assert dense["rate"].dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(dense["rate"].values[:, :, 1], rows_of(every, 1))
    assert sessions(small) == ["C01", "C02", "J01"]


def test_epochs_are_cut_to_the_window_with_their_own_bounds(small):
    only = load(small, session="C01", window=(0.0, 0.5))["miranda2025"]
    stop = only["epoch_stop_time"].sel(epoch="choice_2").values
    np.testing.assert_allclose(stop, np.minimum(only["reaction_time_2"], 0.5), atol=1e-9)
    wide = load(small, session="C01", window=(-3.0, 2.0))["miranda2025"]
    assert set(wide["epoch"].values) == {"choice_1", "transition", "choice_2", "outcome"}
    assert np.isfinite(wide["epoch_start_time"]).all()


def test_sessions_become_nwb_with_their_clock_and_come_back_to_the_bit(small, tmp_path):
    (file,) = convert("miranda2025", small, out=tmp_path, sessions=["C01"])
    assert_same_activity(nc.open(file), load(small, session="C01"))
    # other windows and events too, since spikes between the windows are in the file
    other = {"window": (-1.0, 1.0), "align": "choice_1_onset"}
    options = {"window": (-1.0, 1.0), "align": "choice_1_onset_time"}
    rates = nc.open(file, **options)["miranda2025"]["rate"]
    np.testing.assert_array_equal(rates, load(small, session="C01", **other)["miranda2025"]["rate"])
    assert_real_clock(file, small, cells=(0, 1))


def assert_real_clock(file, folder, cells):
    import h5py

    assert inspect_nwb(file) == []
    with h5py.File(file) as nwb:
        times, stops = nwb["units/spike_times"][:], nwb["units/spike_times_index"][:]
        starts = nwb["intervals/trials/start_time"][:]
    for unit, cell in zip(np.split(times, stops[:-1]), cells, strict=True):
        spikes = np.load(folder / "data" / AREA / "spikes" / f"cell_{cell}.npy")
        np.testing.assert_array_equal(unit, spikes / 1000)
    table = pq.read_table(folder / "data" / AREA / "trial_timings" / f"cell_{cells[0]}.parquet")
    first = table["times"].to_numpy()[table["codes"].to_numpy() == 9]
    np.testing.assert_array_equal(starts, first / 1000)


def rewrite(change):
    def damage(file):
        table = pq.read_table(file).to_pydict()
        change(table)
        pq.write_table(pa.table(table), file)

    return damage


def one_row_less(table):
    for name in table:
        del table[name][3]


def later(table):
    table["times"][5] += 1


def other_reaction(table):
    place = table["codes"].index(34)
    table["times"][place] += 50


def without_column(file):
    book = openpyxl.Workbook()
    book.active.append(["Session"])
    book.save(file)


TIMING = f"{AREA}/trial_timings/cell_0.parquet"
SPIKES = f"{AREA}/spikes/cell_1.npy"
TABLE = f"CharlieData/CHARLIE_{AREA}_Units.xlsx"


@pytest.mark.parametrize(
    ("name", "damage", "match"),
    [
        (TIMING, rewrite(one_row_less), "cell_1.parquet: expected the times of cell_0.parquet"),
        (f"{AREA}/trial_timings/cell_1.parquet", rewrite(later), "cell_1.parquet: expected the"),
        (f"{AREA}/trial_timings/cell_2.parquet", rewrite(one_row_less), "cell_2.parquet: .*once"),
        (f"{AREA}/trial_timings/cell_2.parquet", rewrite(other_reaction), "cell_2.*reaction times"),
        (TIMING, lambda file: file.write_bytes(b"PAR1"), "cell_0.parquet: expected a parquet"),
        (TIMING, lambda file: file.unlink(), "cell_0.parquet: expected a file, got nothing"),
        (SPIKES, lambda file: file.unlink(), "spikes: expected 4 files cell_0.npy"),
        (SPIKES, lambda file: file.write_bytes(b"none"), "cell_1.npy: expected an array of spike"),
        (
            SPIKES,
            lambda file: np.save(file, np.array([5, 3])),
            "cell_1.npy: expected whole ms, asc",
        ),
        (SPIKES, lambda file: np.save(file, np.array([0.5])), "cell_1.npy: expected whole ms"),
        (TABLE, lambda file: file.write_bytes(b"PK"), f"CHARLIE_{AREA}_Units.xlsx: .*Excel"),
        (TABLE, without_column, f"CHARLIE_{AREA}_Units.xlsx: expected columns"),
        (TABLE, lambda file: file.unlink(), f"CHARLIE_{AREA}_Units.xlsx: expected a file"),
        ("PreparedData.mat", lambda file: file.write_bytes(b"no"), "PreparedData.mat"),
    ],
)
def test_damage_is_told_by_file(copy, name, damage, match):
    damage(copy / "data" / name)
    with pytest.raises(nc.InputError, match=match):
        load(copy, **WIDE)["miranda2025"]["rate"].load()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"animal": "X"}, "animal: expected one of C, J"),
        ({"area": "V1"}, "area: expected one of DLPFC"),
        ({"session": "C09"}, "session: expected one of C01, C02, J01"),
        ({"align": "go"}, "align: expected one of"),
        ({"bin_s": 0.0}, "bin: expected a width above 0"),
        ({"window": (1, 0)}, "window: expected"),
    ],
)
def test_impossible_options_are_refused(small, options, match):
    with pytest.raises(nc.InputError, match=match):
        load(small, **options)


def test_a_folder_without_the_archive_is_refused(tmp_path):
    with pytest.raises(nc.InputError, match="expected a folder with data/PreparedData.mat"):
        load(tmp_path)


@pytest.mark.parametrize("package", ["openpyxl", "pyarrow.parquet"])
def test_a_missing_package_is_told_before_files_are_read(tmp_path, monkeypatch, package):
    def importing(name):
        if name == package:
            raise ImportError(name)

    monkeypatch.setattr("nwbcompare.io.optional.import_module", importing)
    with pytest.raises(MissingPackageError, match=rf"{package}: .*pip install 'nwbcompare\[tables"):
        load(tmp_path)


@pytest.fixture(scope="module")
def real_path(archive_path):
    return archive_path("miranda2025")


@pytest.fixture(scope="module")
def real(real_path):
    return nc.load("miranda2025", real_path, **WIDE)


@pytest.mark.shared
def test_the_archive_has_its_cells_sessions_and_trials(real):
    block = nc.check_activity(real)["miranda2025"]
    assert block.sizes["unit"] == 187
    unit = block["observation_unit"].values
    session = nc.labels(block["session"])
    first = np.unique(unit, return_index=True)[1]
    names = session[first]
    for letter, n_cells, n_sessions in (("C", 153, 23), ("J", 34, 14)):
        own = [name for name in names if name[0] == letter]
        assert (len(own), len(set(own))) == (n_cells, n_sessions)
    n_trials = np.bincount(unit)
    assert (n_trials.min(), n_trials.max()) == (375, 765)


@pytest.mark.shared
def test_the_numbers_of_trials_are_those_of_the_behaviour(real, real_path):
    prepared = loadmat(real_path / "data" / "PreparedData.mat")["PreparedData"]
    block = real["miranda2025"]
    unit = block["observation_unit"].values
    names = nc.labels(block["session"])[np.unique(unit, return_index=True)[1]]
    for name, n_trials in zip(names, np.bincount(unit), strict=True):
        record = prepared["CJ".index(name[0]), 0][int(name[1:]) - 1, 0]
        assert record["PicChosen1"].size == n_trials


@pytest.mark.shared
def test_spikes_are_conserved(real, real_path):
    block = real["miranda2025"]
    for cell in (0, 17, 152, 153, 186):
        rows = np.flatnonzero(block["observation_unit"].values == cell)
        counts = block["rate"][rows].values * 0.05
        np.testing.assert_allclose(counts, plain_counts(real_path, cell, 33), atol=1e-4)


@pytest.mark.shared
def test_shares_of_transitions(real):
    block = real["miranda2025"]
    unit, session = block["observation_unit"].values, nc.labels(block["session"])
    # each session once
    names, first = np.unique(session, return_index=True)
    own = np.isin(unit, unit[first])
    is_common = nc.labels(block["task"])[own] == "common"
    for letter, share in (("C", 0.69), ("J", 0.70)):
        of = np.char.startswith(session[own].astype(str), letter)
        assert is_common[of].mean() == pytest.approx(share, abs=0.0075)
    assert names.size == 37


@pytest.mark.shared
@pytest.mark.parametrize(
    ("animal", "n_sessions", "after_common", "after_rare"),
    [
        ("C", 30, [0.863, 0.486, 0.420], [0.274, 0.662, 0.703]),
        ("J", 27, [0.937, 0.442, 0.334], [0.150, 0.683, 0.765]),
    ],
)
def test_stay_probabilities_of_all_sessions(
    real_path, animal, n_sessions, after_common, after_rare
):
    cells = [miranda2025._Cell(0, animal, number + 1, {}) for number in range(n_sessions)]
    tables = miranda2025._behaviour(real_path / "data" / "PreparedData.mat", cells).values()
    names = ("stay", "previous_transition", "previous_reward_level")
    stay, transition, level = (np.concatenate([t[name] for t in tables]) for name in names)
    for which, expected in ((1, after_common), (2, after_rare)):
        found = [stay[(transition == which) & (level == reward)].mean() for reward in (1, 2, 3)]
        assert found == pytest.approx(expected, abs=6e-4)


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore:.*trial noise adds more")
def test_raw_ftv_is_the_noise_of_unequal_trial_numbers(real_path):
    jacob = load(real_path, animal="J")
    with pytest.warns(nc.UnitWarning, match="trial noise adds more to the variance of the task"):
        variance = nc.task_variance(jacob)
    ftv = nc.fractional_task_variance(variance, "common", "rare")["fractional_task_variance"]
    assert float(ftv.mean()) == pytest.approx(-0.37, abs=0.01)
    shuffled = nc.selectivity.condition_label_null(jacob, n_permutations=3)
    floor = shuffled["task_variance"].mean("permutation").median("unit")
    assert float(floor.sel(task="rare") / floor.sel(task="common")) > 2
    corrected = nc.selectivity.cross_validated_variance(jacob)
    spread = nc.selectivity.ftv_spread(corrected, "common", "rare")
    assert not spread["is_identified"]


@pytest.mark.shared
def test_real_sessions_become_nwb_and_come_back_to_the_bit(real_path, tmp_path):
    (file,) = convert("miranda2025", real_path, out=tmp_path, sessions=["J01"])
    one = load(real_path, session="J01")
    assert_same_activity(nc.open(file), one)
    cells = [int(unit.split("_")[1]) for unit in one["miranda2025"]["unit"].values]
    assert_real_clock(file, real_path, cells)


def test_the_loader_is_registered_with_its_events():
    assert get_loader("miranda2025").card.pairs == (("common", "rare"),)
    assert len(set(EVENTS.values())) == len(EVENTS)
    assert SESSIONS.keys() == CELLS.keys()
