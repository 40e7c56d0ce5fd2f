"""YAML files, and the line of each key in them for messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nwbcompare.core.data_text import check_length, check_values
from nwbcompare.core.errors import InputError

MOST_VALUES = 100_000
"""Limit of values of a file, of which each alias repeats those it names."""
MOST_DIGITS = 100
"""Limit of the characters of a number: YAML's base 60 takes hours for a million."""


def parse_yaml(text: bytes, origin: str) -> tuple[Any, dict[str, int]]:
    r"""Parse a YAML file.

    Parameters
    ----------
    text
        The file.
    origin
        Its name, for messages.

    Returns
    -------
    table : dict
        Its keys and values.
    lines : dict of str to int
        The line of each key, by the key with those above it.

    Raises
    ------
    InputError
        For text that is no YAML, a key that comes twice, and text that is longer than 250 kB,
        nested more than 50 deep, or has more than 100,000 values once its aliases are followed.

    Examples
    --------
    >>> parse_yaml(b"tasks:\n  motion: dm1\n", "map.yaml")
    ({'tasks': {'motion': 'dm1'}}, {'tasks': 1, 'tasks.motion': 2})
    """
    import yaml  # noqa: PLC0415 - only here

    try:
        check_length(text)
        node = yaml.compose(text, yaml.SafeLoader)
        # before any table is made: each alias stands for all that it names
        _check_size(node)
        table = yaml.safe_load(text)
        check_values(table)
    # what PyYAML raises for a date 2001-13-45, a tag of another type, or deep nesting
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        mark = getattr(error, "problem_mark", None)
        too_deep = "brackets nested too deeply" if isinstance(error, RecursionError) else None
        raise InputError(
            origin if mark is None else f"{origin}, line {mark.line + 1}",
            "a YAML file",
            f"one that cannot be read ({getattr(error, 'problem', too_deep) or error})",
            "Correct it; keys are followed by a colon and a space, and brackets are closed.",
        ) from error
    return table, _lines_of(node, origin)


def _check_size(node: Any) -> None:
    """Check how many values a YAML node has with all its aliases, and how large its numbers are."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            # while a node is counted it is larger than any: an alias within itself has no end
            sizes[id(node)] = MOST_VALUES + 1
            items = node.value if isinstance(node.value, list) else []
            parts = [
                part for item in items for part in (item if isinstance(item, tuple) else [item])
            ]
            sizes[id(node)] = 1 + sum(map(size, parts))
            if node.tag.endswith((":int", ":float")) and len(node.value) > MOST_DIGITS:
                raise ValueError(f"a number of {len(node.value):,} characters")
        return sizes[id(node)]

    if node is not None and size(node) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values, once aliases (*name) are followed")


def _lines_of(node: Any, origin: str, parents: str = "") -> dict[str, int]:
    """Return the line of each key of a YAML node, by the key with those above it."""
    lines: dict[str, int] = {}
    # a scalar has text as its value
    items = getattr(node, "value", None)
    for place, item in enumerate(items if isinstance(items, list) else ()):
        key, value = item if isinstance(item, tuple) else (item, item)
        name = str(key.value) if isinstance(item, tuple) else str(place)
        path, line = parents + name, key.start_mark.line + 1
        if path in lines:
            # YAML would take the last one without a word
            raise InputError(
                line_of(origin, {path: line}, path),
                "each key once",
                f"it in line {lines[path]} too",
                "Delete one of the two.",
            )
        lines |= {path: line, **_lines_of(value, origin, f"{path}.")}
    return lines


def line_of(origin: str, lines: Mapping[str, int], key: str) -> str:
    """Return a file, the line of a key, or of what it should be in, and the key.

    Examples
    --------
    >>> line_of("map.yaml", {"tasks": 3}, "tasks.motion")
    'map.yaml, line 3, tasks.motion'
    """
    above = key
    while above and above not in lines:
        above = above.rpartition(".")[0]
    line = f"line {lines[above]}" if above else ""
    return ", ".join(filter(None, (origin, line, key)))
