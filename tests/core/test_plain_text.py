"""Names with control characters leave as escapes: to terminals, CSV, HTML and figures."""

from __future__ import annotations

import csv
import sys
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.plain_text import plain_text
from nwbcompare.report.page import _csv
from nwbcompare.testing import example_block

HOSTILE = "\x1b[2J\x07red\r\x9b\u202e\u2066"


def test_every_control_character_is_escaped_and_every_letter_stays():
    for code in range(0x10000):
        character = chr(code)
        kind = unicodedata.category(character)
        plain = plain_text(character)
        if kind in {"Cc", "Cs"} and character not in "\t\n":
            assert plain.isascii()
            assert plain.startswith("\\")
        elif kind[0] in "LMNPSZ" or character in "\t\n":
            assert plain == character


def test_what_is_plain_is_valid_xml():
    text = "".join(map(chr, range(0x10000)))
    escaped = plain_text(text).replace("&", "&amp;").replace("<", "&lt;")
    parsed = ET.fromstring(f"<text>{escaped}</text>")  # noqa: S314 - our own bytes
    assert parsed.text == plain_text(text)


def test_no_escape_sequence_reaches_a_terminal_or_a_table(tmp_path):
    block = example_block().assign_coords(unit=[f"u0{HOSTILE}", "u1", "$\\frac{"])
    activity = nc.make_activity({"go": block.assign_attrs(name=f"monkey{HOSTILE}")})
    activity.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    words = [str(tmp_path / "a.nc"), "--out", str(tmp_path / "a.csv")]
    result = CliRunner().invoke(cli, ["tv", *words], catch_exceptions=False)
    assert result.exit_code == 0
    table = (tmp_path / "a.csv").read_text(encoding="utf-8")
    for text in (result.output, table):
        assert text == plain_text(text)
        assert "u0\\x1b[2J\\x07red" in text
    assert [row["unit"] for row in csv.DictReader(table.splitlines())][-1] == "$\\frac{"
    info = CliRunner().invoke(cli, ["info", words[0]], catch_exceptions=False)
    assert "monkey\\x1b[2J" in info.output
    # an error names its subject
    error = CliRunner().invoke(cli, ["tv", words[0], "--estimator", HOSTILE])
    assert isinstance(error.exception, nc.InputError)


def test_no_escape_sequence_reaches_a_page():
    rows = _csv([{"unit": HOSTILE, "value": 0.5}]).decode()
    assert rows == f"unit,value\r\n{plain_text(HOSTILE)},0.5\r\n"


def test_a_message_on_the_terminal_is_plain(capsys, monkeypatch):
    from nwbcompare.cli.main import main

    monkeypatch.setattr(sys, "argv", ["nwbcompare", "tv", f"nowhere{HOSTILE}"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr().err
    assert said == plain_text(said)
    assert "nowhere" in said
