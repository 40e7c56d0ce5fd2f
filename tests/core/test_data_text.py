"""Short texts that would become much, or that no file can hold, are refused before they do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nwbcompare.core.data_text import parse_json, parse_toml
from nwbcompare.core.errors import InputError
from nwbcompare.core.yaml_lines import parse_yaml

LEVELS = "abcdefghi"


def alias_bomb(item: str) -> str:
    """Make a YAML text in which each line repeats the one above nine times."""
    lines = ["a: &a " + item.replace("*", "x")]
    for above, name in pairwise(LEVELS):
        lines.append(f"{name}: &{name} " + item.replace("*", f"*{above}"))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (alias_bomb("[" + ",".join("*" * 9) + "]"), "more than 100,000 values, once aliases"),
        ("a: &a [*a]", "more than 100,000 values, once aliases"),
        ("[" * 5000, "nested too deeply"),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("a: " + "1:" * 1000 + "1", "a number of 2,001 characters"),
        ("date: 2001-99-99", "month must be in 1..12"),
        ("date: !!timestamp x", "cannot be read"),
        ('a: "\\0"', "a text with the character NUL"),
        ('a: "\\ud800"', "a text that is not Unicode"),
        ("- x\n" * 100_000, "a text of 400,000 bytes, where 250,000 are allowed"),
    ],
)
def test_a_yaml_text_without_measure_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"map.yaml: expected a YAML file, .*{message}"):
        parse_yaml(text.encode(), "map.yaml")


def test_aliases_are_followed_where_they_are_few() -> None:
    table, _ = parse_yaml(b"a: &a [1, 2]\nb: *a\nc: {<<: {d: *a}}", "map.yaml")
    assert table == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested more than 50 deep"),
        ("[" * 51 + "]" * 51, "nested more than 50 deep"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"\\ud800": 1}', "not Unicode"),
        ("1" * 5000, "digits"),
        ("{", "Expecting property name"),
    ],
)
def test_json_that_no_file_can_hold_is_a_value_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_of_fifty_levels_and_of_any_letters_is_read() -> None:
    assert parse_json('"µ 😀"') == "µ 😀"
    value = parse_json("[" * 50 + "]" * 50)
    depth = 0
    while value:
        value, depth = value[0], depth + 1
    assert depth == 49


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = " + b"[" * 5000, "nested more than 50 deep"),
        (b".".join([b"a"] * 60) + b" = 1", "nested more than 50 deep"),
        (b"a = " + b" " * 300_000 + b"1", "where 250,000 are allowed"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_toml_without_measure_is_a_value_error(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_toml(text)
