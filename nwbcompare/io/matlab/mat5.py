"""A check of MATLAB 5 files before they are read: scipy's reader can crash on damaged ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

HEADER_BYTES = 128
VERSION = 0x0100
MATRIX, COMPRESSED = 14, 15
ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes of a number by its type's code."""
WHOLE, LETTERS = {5, 6}, {1, 2, 16}
"""Types of sizes and of names."""
CELL, STRUCT, OBJECT, CHAR, SPARSE = 1, 2, 3, 4, 5
NUMBERS = range(6, 16)
OPAQUE = (16, 17)
"""Functions and objects of newer classes: nothing is read of them."""
IS_COMPLEX = 0x0800


def check_mat5(path: Path) -> None:
    """Refuse a MATLAB 5 file whose elements do not fit into each other.

    Parameters
    ----------
    path
        The file. One of another version is left to its reader.

    Raises
    ------
    ValueError, zlib.error
        Where it is truncated or damaged.
    """
    if path.stat().st_size < HEADER_BYTES:
        return
    whole = np.memmap(path, mode="r").data
    order = {b"IM": "<", b"MI": ">"}.get(bytes(whole[HEADER_BYTES - 2 : HEADER_BYTES]))
    if order is None or struct.unpack(f"{order}H", whole[124:126])[0] != VERSION:
        return
    for kind, content in _elements(whole[HEADER_BYTES:], order):
        _check_variable(kind, content, order)


def _check_variable(kind: int, content: memoryview, order: str) -> None:
    if kind != COMPRESSED:
        return _check_matrix(kind, content, order)
    for inner, unpacked in _elements(memoryview(zlib.decompress(content)), order):
        _check_matrix(inner, unpacked, order)
    return None


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Give the type and the content of each element."""
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise ValueError("it ends inside of an element")
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:
            # small ones share the eight bytes with their type and size
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise ValueError("a small element is too large")
        if start + size > len(data):
            raise ValueError("an element reaches beyond what holds it")
        yield kind, data[start : start + size]
        place = start + size
        if kind != COMPRESSED:
            place += -place % 8


def _check_matrix(kind: int, data: memoryview, order: str) -> None:
    _expect(kind == MATRIX, "an element is no array")
    if not len(data):
        return
    parts = list(_elements(data, order))
    _expect(parts[0][0] == 6 and len(parts[0][1]) == 8, "an array has no flags")
    flags = struct.unpack(f"{order}I", parts[0][1][:4])[0]
    what = flags & 0xFF
    if what in OPAQUE:
        return
    _expect(len(parts) >= 3, "an array has no size or name")
    (size_kind, sizes), (name_kind, _) = parts[1:3]
    _expect(size_kind in WHOLE and len(sizes) >= 8 and len(sizes) % 4 == 0, "an array has no size")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    _expect(min(shape) >= 0 and name_kind in LETTERS, "an array has no size or name")
    _check_content(what, prod(shape), 1 + bool(flags & IS_COMPLEX), parts[3:], order)


def _check_content(
    what: int, number: int, n_parts: int, parts: list[tuple[int, memoryview]], order: str
) -> None:
    if what in NUMBERS:
        _expect(len(parts) == n_parts, "numbers are missing")
        for kind, content in parts:
            _expect(len(content) == number * _item_bytes(kind), "numbers are missing")
    elif what == CHAR:
        _expect(len(parts) == 1, "text is missing")
        kind, content = parts[0]
        # of UTF-8 a letter may have several bytes
        whole = kind in {16, 17, 18} or len(content) == number * _item_bytes(kind)
        # MATLAB has written a letter without any bytes for an empty one
        _expect(whole or not len(content), "text is missing")
    elif what == SPARSE:
        _expect(len(parts) == 2 + n_parts, "parts of a sparse array are missing")
        for kind, content in parts[:2]:
            _expect(kind in WHOLE and len(content) % 4 == 0, "places in a sparse array are cut")
    elif what == CELL:
        _check_matrices(parts, number, order)
    elif what in {STRUCT, OBJECT}:
        _check_fields(parts[what == OBJECT :], number, order)
    else:
        raise ValueError(f"an array is of the unknown class {what}")


def _check_fields(parts: list[tuple[int, memoryview]], number: int, order: str) -> None:
    _expect(len(parts) >= 2, "a struct has no fields")
    (length_kind, length), (names_kind, names) = parts[:2]
    _expect(
        length_kind in WHOLE and len(length) == 4 and names_kind in LETTERS,
        "a struct has no fields",
    )
    each = struct.unpack(f"{order}i", length)[0]
    _expect(each > 0 and len(names) % each == 0, "the fields of a struct have no names")
    _check_matrices(parts[2:], number * (len(names) // each), order)


def _check_matrices(parts: list[tuple[int, memoryview]], number: int, order: str) -> None:
    _expect(len(parts) == number, "elements are missing")
    for kind, content in parts:
        _check_matrix(kind, content, order)


def _item_bytes(kind: int) -> int:
    if kind not in ITEM_BYTES:
        raise ValueError(f"numbers are of the unknown type {kind}")
    return ITEM_BYTES[kind]


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it is what is asserted
    if not holds:
        raise ValueError(otherwise)
