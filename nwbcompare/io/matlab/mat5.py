"""MATLAB 5 files, checked before scipy reads them: its reader can crash on damaged ones.

A file is a header of 128 bytes and one *element* for each variable: a type, a size and the content,
mostly compressed. Each variable is unpacked once, when it is read; its elements are checked, and
the unpacked bytes go to scipy. MathWorks describes the format in "MAT-File Format" (version 5).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

from nwbcompare.core.lazy import refuse_beyond_memory

HEADER_BYTES = 128
VERSION = 0x0100
MATRIX, COMPRESSED = 14, 15
"""Types of elements: an array, and an element that is packed by zlib."""
ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes of a number by the code of its type."""
INTEGERS, LETTERS = {5, 6}, {1, 2, 16}
"""Types of sizes, and of names."""
CELL, STRUCT, OBJECT, CHAR, SPARSE = 1, 2, 3, 4, 5
NUMBERS = range(6, 16)
FUNCTION, OPAQUE = 16, 17
"""Functions and objects of newer classes, whose content is not described."""
IS_COMPLEX = 0x0800
PEEK_BYTES = 1024
"""Unpacked bytes in which an array's size and name always lie."""
PEEK_PACKED_BYTES = 4096
MAX_BYTES = 2**31
"""MATLAB writes no variable above 2 GB in this version."""


@dataclass(frozen=True)
class Variable:
    """One variable of a MATLAB 5 file, not yet unpacked.

    Attributes
    ----------
    name
        Its name.
    """

    name: str
    _header: bytes
    _order: str
    _kind: int
    _content: memoryview

    def checked(self) -> memoryview:
        """Return the bytes of the array, unpacked, after a check of all its elements.

        Raises
        ------
        ValueError, zlib.error
            If elements are truncated, damaged, or do not fit into each other.
        MemoryError
            If the variable declares more bytes than there is memory.
        """
        packed = self._kind == COMPRESSED
        matrix = _unpacked(self._content, self._order) if packed else self._content
        _check_matrix(MATRIX, matrix, self._order)
        return matrix

    def read(self) -> Any:
        """Return the value as scipy reads it from the checked bytes.

        Raises
        ------
        ValueError, zlib.error, MemoryError
            As `checked`.
        """
        from scipy.io import loadmat  # noqa: PLC0415 - slow to import

        matrix = self.checked()
        stream = io.BytesIO()
        stream.write(self._header)
        stream.write(struct.pack(f"{self._order}II", MATRIX, len(matrix)))
        stream.write(matrix)
        stream.seek(0)
        with warnings.catch_warnings():
            # else scipy returns the text of the error as the value
            warnings.filterwarnings("error", message="Unreadable variable")
            values = loadmat(stream)
        return next(value for name, value in values.items() if name not in HEADER_ENTRIES)


HEADER_ENTRIES = {"__header__", "__version__", "__globals__"}
"""What scipy adds to the variables."""


def mat5_variables(data: memoryview) -> list[Variable] | None:
    """Return the variables of a MATLAB 5 file, to be unpacked and checked when they are read.

    Parameters
    ----------
    data
        The bytes of the file.

    Returns
    -------
    list of Variable or None
        None where the file is of another version. Functions' workspaces, which have no name, are
        left out.

    Raises
    ------
    ValueError, zlib.error
        Where the file is truncated, or a variable's name cannot be read.
    """
    header = bytes(data[:HEADER_BYTES])
    order = {b"IM": "<", b"MI": ">"}.get(header[HEADER_BYTES - 2 :])
    if order is None or struct.unpack(f"{order}H", header[124:126])[0] != VERSION:
        return None
    variables = []
    # top-level elements are found by their sizes: nothing is unpacked beyond the names
    for kind, content in _elements(data[HEADER_BYTES:], order):
        name = _name(kind, content, order)
        if name:
            variables.append(Variable(name, header, order, kind, content))
    return variables


def _name(kind: int, content: memoryview, order: str) -> str:
    """Return the name of a variable, of which only the first bytes are unpacked."""
    if kind == COMPRESSED:
        head = _peek(content)
        _expect(len(head) >= 8, "an element ends inside its header")
        kind, size = struct.unpack_from(f"{order}II", head)
        content = head[8 : 8 + size]
    _expect(kind == MATRIX, "an element is not an array")
    if not len(content):
        return ""
    parts = list(islice(_elements(content, order), 3))
    what = _array_flags(parts, order) & 0xFF
    # objects of newer classes have no size before their name
    names = parts[1:] if what == OPAQUE else parts[2:]
    text = next((name for letters, name in names if letters in LETTERS), None)
    _expect(text is not None, "an array has no size or name")
    return bytes(text or b"").decode("latin1")


def _peek(packed: memoryview) -> memoryview:
    return memoryview(zlib.decompressobj().decompress(packed[:PEEK_PACKED_BYTES], PEEK_BYTES))


def _unpacked(packed: memoryview, order: str) -> memoryview:
    """Return the content of a compressed element, of no more bytes than it declares."""
    size = struct.unpack_from(f"{order}I", _peek(packed), 4)[0]
    _expect(size <= MAX_BYTES, f"a variable declares {size:,} bytes")
    # unpacked in pieces, joined, and copied by scipy
    refuse_beyond_memory(3 * size)
    unpacker = zlib.decompressobj()
    element = unpacker.decompress(packed, size + 9)
    # a stream that ends early, and one that goes on, are both damaged
    _expect(len(element) >= size + 8, "an element reaches beyond what holds it")
    _expect(len(element) == size + 8, "a variable unpacks to more than it declares")
    if not unpacker.eof:
        # the checksum follows the last byte
        unpacker.decompress(unpacker.unconsumed_tail)
    _expect(unpacker.eof, "a compressed variable is truncated")
    return memoryview(element)[8:]


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the content of each element."""
    place, end = 0, len(data)
    unpack = struct.Struct(f"{order}II").unpack_from
    while place < end:
        if end - place < 8:
            raise ValueError("it ends inside of an element")
        kind, size = unpack(data, place)
        start = place + 8
        if kind >> 16:
            # small elements share the eight bytes with their type and size
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise ValueError("a small element is too large")
        if start + size > end:
            raise ValueError("an element reaches beyond what holds it")
        yield kind, data[start : start + size]
        place = start + size
        if kind != COMPRESSED:
            place += -place % 8


def _array_flags(parts: list[tuple[int, memoryview]], order: str) -> int:
    _expect(parts[0][0] == 6 and len(parts[0][1]) == 8, "an array has no flags")
    return int(struct.unpack(f"{order}I", parts[0][1][:4])[0])


def _check_matrix(kind: int, data: memoryview, order: str) -> None:
    """Check that an array has the elements that its class and size require."""
    _expect(kind == MATRIX, "an element is not an array")
    if not len(data):
        return
    parts = list(_elements(data, order))
    flags = _array_flags(parts, order)
    what = flags & 0xFF
    if what in {FUNCTION, OPAQUE}:
        return
    _expect(len(parts) >= 3, "an array has no size or name")
    (size_kind, sizes), (name_kind, _) = parts[1:3]
    _expect(
        size_kind in INTEGERS and len(sizes) >= 8 and len(sizes) % 4 == 0, "an array has no size"
    )
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    _expect(min(shape) >= 0 and name_kind in LETTERS, "an array has no size or name")
    _check_content(what, prod(shape), 1 + bool(flags & IS_COMPLEX), parts[3:], order)


def _check_content(
    what: int, number: int, n_parts: int, parts: list[tuple[int, memoryview]], order: str
) -> None:
    """Check the content of an array of a class, with this number of values in each part."""
    if what in NUMBERS:
        _expect(len(parts) == n_parts, "numbers are missing")
        for kind, content in parts:
            _expect(len(content) == number * _item_bytes(kind), "numbers are missing")
    elif what == CHAR:
        _expect(len(parts) == 1, "text is missing")
        kind, content = parts[0]
        # in UTF-8 a letter may have several bytes
        whole = kind in {16, 17, 18} or len(content) == number * _item_bytes(kind)
        # MATLAB has written a letter without any bytes for an empty one
        _expect(whole or not len(content), "text is missing")
    elif what == SPARSE:
        _expect(len(parts) == 2 + n_parts, "parts of a sparse array are missing")
        for kind, content in parts[:2]:
            _expect(kind in INTEGERS and len(content) % 4 == 0, "indices of a sparse array are cut")
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
        length_kind in INTEGERS and len(length) == 4 and names_kind in LETTERS,
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


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the condition
    if not holds:
        raise ValueError(otherwise)
