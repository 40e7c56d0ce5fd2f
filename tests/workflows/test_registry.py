"""Sections of reports: names, order and needs; sections of other packages."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import nwbcompare as nc
from nwbcompare.workflows import registry
from nwbcompare.workflows.results_folder import ResultsFolder
from nwbcompare.workflows.section import Results, Section, Summary
from nwbcompare.workflows.section_runs import compute_sections, select_sections

REPORTS = ("analyze", "compare", "continual")


class Entry:
    """An entry point."""

    def __init__(self, section):
        self.section = section
        self.value = "mine:SECTION"

    def load(self):
        return self.section


MINE = Section(
    name="mine", heading="Mine", compute=lambda *_: Results(), summarise=lambda *_, **__: Summary()
)


@pytest.fixture
def register(monkeypatch):
    """A function that registers sections as another package would."""

    def put(*sections):
        def entry_points(*, group):
            assert group == "nwbcompare.report_sections"
            return [Entry(section) for section in sections]

        monkeypatch.setattr("nwbcompare.core.entry_points.entry_points", entry_points)
        registry.sections_of.cache_clear()

    # the fixtures of other tests hold the sections of this package
    before = {report: registry.sections_of(report) for report in REPORTS}
    yield put
    monkeypatch.undo()
    registry.sections_of.cache_clear()
    assert {report: registry.sections_of(report) for report in REPORTS} == before


@pytest.mark.parametrize("report", REPORTS)
def test_sections_have_names_headings_and_needs_of_their_own_report(report):
    sections = registry.sections_of(report)
    assert [section.name for section in sections.values()] == list(sections)
    assert len({section.heading for section in sections.values()}) == len(sections)
    for section in sections.values():
        assert section.report == report
        assert set(section.needs) <= set(sections)
        assert re.fullmatch(r"[a-z-]+", section.name)
        assert section.heading.strip()
        assert not section.method or section.method.endswith(".")


def test_names_are_unique_over_reports():
    names = [name for report in REPORTS for name in registry.sections_of(report)]
    assert len(set(names)) == len(names) == len(registry.OF_PACKAGE)


def test_sections_of_other_packages_come_last_in_their_report(register):
    register(MINE, replace(MINE, name="other", report="compare"))
    assert list(registry.sections_of("analyze"))[-1] == "mine"
    assert list(registry.sections_of("compare"))[-1] == "other"
    assert registry.sections_of("analyze")["mine"] is MINE
    assert [section.name for section in select_sections("analyze", ["mine"])] == ["mine"]


@pytest.mark.parametrize(
    ("sections", "match"),
    [
        ([print], r"entry point 'mine:SECTION' .*a Section .* got <built-in function print>"),
        ([MINE, replace(MINE, heading="Other")], "got a second 'mine'"),
        ([replace(MINE, name="pairs")], "got a second 'pairs'"),
        # names are unique over reports
        ([replace(MINE, name="nulls")], "got a second 'nulls'"),
    ],
)
def test_what_is_no_section_or_has_the_name_of_another_is_an_error(register, sections, match):
    register(*sections)
    with pytest.raises(nc.InputError, match=match) as error:
        registry.sections_of("analyze")
    assert error.value.remedy == "Correct or uninstall the package that registers it."


def test_a_section_that_needs_an_unknown_one_is_an_error(register):
    register(replace(MINE, needs=("variances",)))
    for names in (["mine"], None):
        with pytest.raises(nc.InputError, match="'variances'.*Did you mean 'variance'"):
            select_sections("analyze", names)


def test_a_long_section_that_another_needs_is_selected_with_it(register):
    assert "controls" not in [section.name for section in select_sections("analyze", None)]
    register(replace(MINE, needs=("controls",)))
    assert "controls" in [section.name for section in select_sections("analyze", None)]


def test_sections_that_need_each_other_are_an_error(register, tmp_path):
    register(replace(MINE, needs=("other",)), replace(MINE, name="other", needs=("mine",)))
    sections = select_sections("analyze", ["mine"])
    with pytest.raises(nc.InputError, match="in a circle, got (mine|other) -> (mine|other) -> "):
        compute_sections([], sections, {}, ResultsFolder(tmp_path), "analyze")
