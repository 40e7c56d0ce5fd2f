"""Sections of a page: what their tables show."""

from __future__ import annotations

from nwbcompare.report.page_section import PageSection, columns, number_text, text_columns


def test_columns_with_words_read_from_the_left():
    rows = [{"a": 1, "b": "x"}, {"b": 2.0, "c": None}]
    assert columns(rows) == ["a", "b", "c"]
    assert text_columns(rows) == {"b"}


def test_tables_of_several_kinds_have_a_file_each_and_empty_ones_none():
    further = {"contrasts": [{"p": 0.5}], "bins": []}
    section = PageSection(name="a", heading="A", rows=[], further=further)
    assert section.tables == {"a-contrasts": [{"p": 0.5}]}


def test_a_table_shows_numbers_short_and_what_is_not_known_as_a_dash():
    assert [number_text(v) for v in (1 / 3, float("nan"), None, 12345, "a")] == [
        "0.333",
        "–",
        "–",
        "12345",
        "a",
    ]


def test_small_p_values_are_not_printed_in_full():
    assert number_text(4.36e-22, "p Student over networks") == "< 0.001"
    assert number_text(4.36e-22, "p_value") == number_text(4e-22, "p (lower)") == "< 0.001"
    assert number_text(0.001, "p") == "0.001"
    # other columns show small numbers
    assert number_text(4.36e-22, "power") == number_text(4.36e-22, "p_closest") == "4.36e-22"
