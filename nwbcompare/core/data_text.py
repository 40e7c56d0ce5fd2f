"""JSON, TOML and YAML of others, with limits on what a short text may become."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

MOST_DEPTH = 50
"""Limit of lists and tables within each other; those of this package have 8."""
MOST_BYTES = 250_000
"""Limit of a text that people write (bytes). YAML of this size takes 3 s."""


def parse_json(text: str | bytes) -> Any:
    """Parse JSON, of the same memory as its text and with values that any file can hold.

    Parameters
    ----------
    text
        The text.

    Raises
    ------
    ValueError
        If it is no JSON, nests more than 50 lists and tables, or has text that UTF-8 cannot
        hold or that contains NUL.

    Examples
    --------
    >>> parse_json('{"tasks": ["fdgo"]}')
    {'tasks': ['fdgo']}
    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
        ...
    ValueError: lists and tables nested more than 50 deep
    """
    try:
        # of bytes json would guess the encoding
        value = json.loads(text.decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise _too_deep() from None
    check_values(value)
    return value


def parse_toml(text: bytes) -> dict[str, Any]:
    r"""Parse TOML, as `parse_json` parses JSON.

    Parameters
    ----------
    text
        The text, of at most 250 kB.

    Raises
    ------
    ValueError
        If it is no TOML, larger, or as `parse_json`.

    Examples
    --------
    >>> parse_toml(b"[Subject]\nsex = 'F'")
    {'Subject': {'sex': 'F'}}
    """
    check_length(text)
    try:
        table = tomllib.loads(text.decode())
    except RecursionError:
        raise _too_deep() from None
    check_values(table)
    return table


def check_length(text: bytes) -> None:
    """Check that a text is no longer than people write it.

    Raises
    ------
    ValueError
        If it has more than 250 kB.

    Examples
    --------
    >>> check_length(b"tasks:")
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"a text of {len(text):,} bytes, where {MOST_BYTES:,} are allowed")


def check_values(value: Any) -> None:
    """Check that values are not nested too deeply, and that their texts can be written.

    Parameters
    ----------
    value
        Lists and tables of texts and other values.

    Raises
    ------
    ValueError
        As `parse_json`.

    Examples
    --------
    >>> check_values({"tasks": ["fdgo"]})
    """
    level = [value]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, Mapping):
                below += [*item, *item.values()]
            elif isinstance(item, list | tuple | set):
                below += item
        level = below
        if not level:
            return
    raise _too_deep()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError(f"a text with the character NUL, {text!r:.60}")
    # half of a pair of characters, which JSON can write and UTF-8 cannot
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"a text that is not Unicode, {text!r:.60}")


def _too_deep() -> ValueError:
    return ValueError(f"lists and tables nested more than {MOST_DEPTH} deep")
