"""The page of an archive: its numbers are those of the functions and of the trials themselves."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import trial_spike_archives as archives
from report_inputs import check_tidy_tables

import nwbcompare as nc
from nwbcompare.core.activity import blocks
from nwbcompare.core.observations import observations
from nwbcompare.workflows.archive_page import show_archive
from nwbcompare.workflows.settings import Settings

FEW = Settings(n_permutations=5, n_bootstrap=20)
TASKS = ("motion_rule", "colour_rule")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """An archive of several sessions, its activity, and the folder of its page."""
    folder = tmp_path_factory.mktemp("siegel")
    archives.siegel2015(folder, n_trials=400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
        page = show_archive(f"siegel2015:{folder}", folder / "page", settings=FEW)
    (block,) = blocks(nc.load("siegel2015", path=folder)).values()
    return folder, block, page


def report_in(page):
    values = json.loads((page / "report.json").read_text())
    return values, {one["name"]: one for one in values["sections"]}


def test_the_page_is_about_the_archive_alone(shown):
    values, sections = report_in(shown[2])
    assert values["title"].startswith("siegel2015: Units of frontal")
    assert list(sections) == ["trials", "noise", "nulls", "examples"]
    assert values["cards"] == {
        "animals": 2,
        "sessions": "2",
        "units": 4,
        "active units": 4,
        "trials a condition (median)": values["cards"]["trials a condition (median)"],
    }
    limits = " ".join(values["limits"])
    assert "Card. Trials marked as bad are left out." in limits
    # nothing is said of models, of which there is none
    assert "etwork" not in limits
    assert "is compared with" not in " ".join(values["methods"])
    assert any("10.1126/science.aab0551" in text for text in values["methods"])
    check_tidy_tables(shown[2])


def test_trials_and_rates_are_counted_as_they_are(shown):
    _, block, page = shown
    rates, unit_of_row, trial_of_row = observations(block)
    trials = pd.DataFrame(
        {
            "unit": unit_of_row,
            "task": nc.labels(block["task"])[trial_of_row],
            "direction_sign": block["direction_sign"].values[trial_of_row],
            "colour_sign": block["colour_sign"].values[trial_of_row],
            "rate": np.nanmean(rates, axis=1),
        }
    )
    conditions = ["task", "direction_sign", "colour_sign"]
    by_unit = trials.groupby([*conditions, "unit"]).size()
    table = pd.read_csv(page / "tables" / "trials.csv")
    assert len(table) == len(by_unit.groupby(conditions).size())
    for (task, direction, colour), numbers in by_unit.groupby(conditions):
        name = f"direction_sign {direction}, colour_sign {colour}"
        (row,) = table[(table["task"] == task) & (table["condition"] == name)].to_dict("records")
        assert row["trials a unit (median)"] == numbers.median()
        assert row["least"] == numbers.min()
        assert row["units without"] == block.sizes["unit"] - len(numbers)
    drawn = pd.read_csv(page / "figures" / "mean-rates.csv").set_index(["unit", "task"])["rate"]
    for (unit, task), mean in trials.groupby(["unit", "task"])["rate"].mean().items():
        assert drawn[block["unit"].values[unit], task] == pytest.approx(mean, rel=1e-5)


def test_single_trials_are_those_of_the_example_units_sorted_by_condition(shown):
    _, block, page = shown
    rates, unit_of_row, trial_of_row = observations(block)
    table = pd.read_csv(page / "figures" / "single-trials.csv")
    units = pd.read_csv(page / "tables" / "examples.csv")["unit"]
    assert set(table["unit"]) == set(units)
    for (unit, task), own in table.groupby(["unit", "task"]):
        place = list(block["unit"].values).index(unit)
        rows = (unit_of_row == place) & (nc.labels(block["task"])[trial_of_row] == task)
        means = np.sort(np.nanmean(rates[rows], axis=1))
        np.testing.assert_allclose(np.sort(own["mean rate"]), means, rtol=1e-5)
        assert own["condition"].is_monotonic_increasing


def test_variance_and_ftv_are_those_of_the_functions(shown):
    _, block, page = shown
    _, sections = report_in(page)
    ftv = nc.fractional_task_variance(nc.task_variance(block), *TASKS)
    raw = next(row for row in sections["noise"]["rows"] if row["estimate"] == "raw")
    values = ftv["fractional_task_variance"]
    assert raw["s.d."] == pytest.approx(float(values.std()), rel=1e-4)
    assert raw["mean"] == pytest.approx(float(values.mean()), rel=1e-4)
    examples = {row["unit"]: row["FTV"] for row in sections["examples"]["rows"]}
    for unit, value in examples.items():
        assert value == pytest.approx(float(values.sel(unit=unit)), rel=1e-4)


def test_a_page_is_resumed_and_its_pair_can_be_chosen(shown, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    folder, _, page = shown
    before = (page / "report.json").read_bytes()
    show_archive(f"siegel2015:{folder}", page, settings=FEW, resume=True)
    assert (page / "report.json").read_bytes() == before
    source = f"siegel2015:{folder}?session=p10031"
    out = show_archive(source, tmp_path / "out", settings=FEW, pair=TASKS[::-1])
    (own,) = report_in(out)[0]["provenance"]["recordings"].values()
    assert own["pair"] == list(TASKS[::-1])


def test_an_archive_of_one_task_has_no_page_of_ftv(tmp_path):
    archives.kiani2014(tmp_path)
    with pytest.raises(nc.InputError, match=r"two tasks of kiani2014 for FTV.*--pair A:B"):
        show_archive(f"kiani2014:{tmp_path}", tmp_path / "out", settings=FEW)
    with pytest.raises(nc.InputError, match="dataset.*'kiani2015'.*Did you mean 'kiani2014'"):
        show_archive("kiani2015", tmp_path / "out")
    assert not (tmp_path / "out").exists()
