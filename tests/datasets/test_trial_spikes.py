"""Archives of spike times from an event: what loaders return is the truth of generated files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import trial_spike_archives as archives
from scipy.io import loadmat, savemat

import nwbcompare as nc
from nwbcompare.comparison.spike_variability import smoothing_of
from nwbcompare.core.activity import blocks, is_ragged
from nwbcompare.core.observations import observations
from nwbcompare.datasets import get_loader

EVERY = ("kiani2014", "siegel2015", "romo", "constantinidis")
WINDOWS = {"kiani2014": (0.0, 0.8), "siegel2015": (0.0, 1.0)}
LONG = (0.0, 4.0)
TRIALS_LEFT_OUT = "romo: 3 trials without an onset"


def loaded(name: str, folder: Path, **options):
    get = get_loader(name).load
    if name != "romo":
        return get(folder, **options)
    with pytest.warns(UserWarning, match=TRIALS_LEFT_OUT):
        return get(folder, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder and the truth of each archive."""
    made = {}
    for name in EVERY:
        folder = tmp_path_factory.mktemp(name)
        made[name] = folder, getattr(archives, name)(folder)
    return made


@pytest.mark.parametrize("name", EVERY)
def test_counts_and_columns_of_every_unit_are_those_of_the_truth(written, name):
    folder, truth = written[name]
    (block,) = blocks(loaded(name, folder)).values()
    assert sorted(block["unit"].values) == sorted(truth.spikes)
    start, stop = WINDOWS.get(name, LONG)
    width = block["time"].attrs["bin_width_s"]
    edges = start + width * np.arange(round((stop - start) / width) + 1)
    rates, unit_of_row, trial_of_row = observations(block)
    for place, unit in enumerate(block["unit"].values):
        rows = unit_of_row == place
        np.testing.assert_array_equal(np.rint(rates[rows] * width), truth.counts(unit, edges))
        for column, values in truth.trials[unit].items():
            own = nc.labels(block[column])[trial_of_row[rows]]
            np.testing.assert_array_equal(own, values, err_msg=column)


def test_sessions_areas_and_sides_are_kept(written):
    (block,) = blocks(loaded("siegel2015", written["siegel2015"][0])).values()
    for session, areas in archives.AREAS.items():
        own = block["session"].values == session
        assert block["area"].values[own].tolist() == areas
    (block,) = blocks(loaded("romo", written["romo"][0])).values()
    assert dict(zip(block["session"].values, block["hemisphere"].values, strict=True)) == {
        "R14001": "",
        "R15001": "left",
        "R15002": "right",
    }
    (block,) = blocks(loaded("constantinidis", written["constantinidis"][0])).values()
    assert block["subject"].values.tolist() == ["adr", "adr", "ben"]
    assert block["session"].values.tolist() == ["adr001", "adr001", "ben012"]


def test_units_of_one_session_are_dense_and_of_several_ragged(written):
    folder = written["siegel2015"][0]
    (one,) = blocks(loaded("siegel2015", folder, session="p10031")).values()
    assert one["rate"].dims == ("trial", "time", "unit")
    (every,) = blocks(loaded("siegel2015", folder)).values()
    assert is_ragged(every)
    (kiani,) = blocks(loaded("kiani2014", written["kiani2014"][0])).values()
    assert not is_ragged(kiani)
    (frontal,) = blocks(loaded("siegel2015", folder, area="PFC")).values()
    assert frontal["area"].values.tolist() == ["PFC"]


def test_the_rules_of_motion_and_colour_have_an_ftv(written):
    variance = nc.task_variance(loaded("siegel2015", written["siegel2015"][0], session="p10031"))
    ftv = nc.fractional_task_variance(variance, "motion_rule", "colour_rule", missing="nan")
    assert ftv["fractional_task_variance"].notnull().any()


def test_windows_bins_and_epochs_are_those_asked_for(written):
    folder = written["constantinidis"][0]
    (block,) = blocks(loaded("constantinidis", folder, window=(1.5, 3.0), bin_s=0.1)).values()
    np.testing.assert_allclose(block["time"].values[[0, -1]], [1.55, 2.95])
    # epochs that the window cuts are left out
    assert block["epoch"].values.tolist() == ["sample"]
    (rates,) = blocks(loaded("constantinidis", folder, smooth_s=0.1)).values()
    assert smoothing_of(rates) == 0.1


def test_the_arrays_of_dpca_are_read_as_they_are_and_in_wider_bins(tmp_path):
    rates, counts, time_s = archives.romo_arrays(tmp_path)
    get = get_loader("romo").load
    (fine,) = blocks(get(tmp_path, window=(0.0, 4.0), bin_s=0.01)).values()
    inside = (time_s >= 0) & (time_s < 4.0)
    own, unit_of_row, _ = observations(fine)
    for unit in range(len(rates)):
        expected = [
            rates[unit, f1, decision, inside, trial]
            for f1 in range(6)
            for decision in range(2)
            for trial in range(counts[unit, f1, decision])
        ]
        np.testing.assert_array_equal(own[unit_of_row == unit], expected)
    (wide,) = blocks(get(tmp_path)).values()
    np.testing.assert_allclose(
        observations(wide)[0], own.reshape(len(own), -1, 5).mean(axis=2), rtol=1e-6
    )
    with pytest.raises(nc.InputError, match=r"smooth_s: expected none for the arrays.*sessions of"):
        get(tmp_path, smooth_s=0.1)
    with pytest.raises(nc.InputError, match="window: expected times within -0.5 to 4.5 s"):
        get(tmp_path, window=(9.0, 10.0))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("siegel2015", {"session": "p1"}, "session"),
        ("siegel2015", {"area": "V9"}, "area"),
        ("romo", {"animal": "rr016"}, "animal.*rr014"),
        ("constantinidis", {"subject": "xyz"}, "subject.*adr"),
    ],
)
def test_unknown_names_are_refused_with_those_that_there_are(written, name, options, message):
    with pytest.raises(nc.InputError, match=message):
        get_loader(name).load(written[name][0], **options)


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_folder_is_no_archive(tmp_path, name):
    assert not get_loader(name).is_archive(tmp_path)
    with pytest.raises(nc.InputError, match=re.escape(str(tmp_path))):
        get_loader(name).load(tmp_path)


def change(path: Path, **variables):
    """Write a file again with other variables."""
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    savemat(path, content | variables)


WRONG = [
    ("kiani2014", "T33.mat", {"spike_times": np.ones((3, 3))}, "a cell spike_times"),
    ("kiani2014", "T33.mat", {"trial_info": 3.0}, "trial_info"),
    ("siegel2015", "sorted/p10031_spikes.mat", {"spikeTimes": np.ones(3)}, "a cell spikeTimes"),
    ("romo", "rr014/prefront/R14001.mat", {"result": np.ones((3, 3))}, "a cell 'result'"),
    ("constantinidis", "adr001_1_3001.mat", {"MatData": {"class": 3.0}}, "an array of structs"),
]


@pytest.mark.parametrize(("name", "file", "variables", "message"), WRONG)
def test_wrong_contents_are_named_with_their_file(tmp_path, name, file, variables, message):
    getattr(archives, name)(tmp_path)
    change(tmp_path / file, **variables)
    with pytest.raises(nc.InputError, match=f"{Path(file).name}.*{message}"):
        get_loader(name).load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("badTrials,rule\n0,dir\n", "rows with the columns badTrials, responseTime"),
        ("badTrials,responseTime,rule,direction,color\nx,1,dir,0,0\n", "numbers in column badTr"),
        ("badTrials,responseTime,rule,direction,color\n0,1,odd,0,0\n", "rules dir or col, got odd"),
        ("badTrials,responseTime,rule,direction,color\n1,1,dir,0,0\n", "good trials, got none"),
        ("badTrials,responseTime,rule,direction,color\n0,1,dir,,0\n", "a direction and a color"),
    ],
)
def test_tables_of_trials_that_cannot_be_read_are_named(tmp_path, text, message):
    archives.siegel2015(tmp_path)
    (tmp_path / "trialinfo" / "p10031.csv").write_text(text)
    with pytest.raises(nc.InputError, match=f"p10031.csv: expected {message}"):
        get_loader("siegel2015").load(tmp_path)
