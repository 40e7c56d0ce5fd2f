"""MATLAB 5 files, checked before scipy reads them: its reader can crash on damaged ones.

A file is a header of 128 bytes and one *element* for each variable: a type, a size and the content,
mostly compressed. Each variable is unpacked once, when it is read; its elements are checked, and
the unpacked bytes go to scipy. MathWorks describes the format in "MAT-File Format" (version 5).
"""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

from nwbcompare.core.available_memory import refuse_beyond_memory

HEADER_BYTES = 128
CONTENT_AT = HEADER_BYTES + 8
"""Place of the content of a file's first element, after the header, its type and its size."""
ZLIB_HEADER_BYTES = 2
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
ANY_RATIO_BYTES = 500_000_000
"""Size up to which a variable may unpack by any factor (bytes)."""
MOST_RATIO = 400
"""Factor by which larger ones may unpack: spikes at 5 per second in bins of 1 ms, stored as
doubles, unpack 375-fold."""


Element = tuple[int, int, int]
"""Type, start and stop of the content of an element, in bytes."""


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
    _size: int
    _content: memoryview

    def checked(self) -> bytes:
        """Return a file of this variable alone, unpacked, after a check of all its elements.

        Raises
        ------
        ValueError, zlib.error
            If elements are truncated, damaged, or do not fit into each other.
        MemoryError
            If the variable declares more bytes than there is memory.
        """
        if self._kind == COMPRESSED:
            file = _unpacked(self._header, self._content, self._size)
        else:
            tag = struct.pack(f"{self._order}II", MATRIX, self._size)
            file = b"".join((self._header, tag, self._content))
        _Elements(memoryview(file), self._order).check_matrix((MATRIX, CONTENT_AT, len(file)))
        return file

    def read(self) -> Any:
        """Return the value as scipy reads it from the checked bytes.

        Raises
        ------
        ValueError, zlib.error, MemoryError
            As `checked`.
        """
        from scipy.io import loadmat  # noqa: PLC0415 - slow to import

        file = self.checked()
        with warnings.catch_warnings():
            # else scipy returns the text of the error as the value
            warnings.filterwarnings("error", message="Unreadable variable")
            values = loadmat(io.BytesIO(file))
        return next(value for name, value in values.items() if name not in HEADER_ENTRIES)


HEADER_ENTRIES = {"__header__", "__version__", "__globals__"}
"""Entries that scipy adds to the variables."""


def mat5_variables(data: memoryview) -> list[Variable] | None:
    """Return the variables of a MATLAB 5 file, to be unpacked and checked when they are read.

    Parameters
    ----------
    data
        The bytes of the file.

    Returns
    -------
    list of Variable or None
        None if the file is of another version. Workspaces of functions, which have no name, are
        left out.

    Raises
    ------
    ValueError, zlib.error
        If the file is truncated, or the name of a variable cannot be read.

    Examples
    --------
    >>> from scipy.io import savemat
    >>> file = io.BytesIO()
    >>> savemat(file, {"rates": [[1.0, 2.0]]})
    >>> [(v.name, v.read().tolist()) for v in mat5_variables(file.getbuffer())]
    [('rates', [[1.0, 2.0]])]
    """
    header = bytes(data[:HEADER_BYTES])
    order = {b"IM": "<", b"MI": ">"}.get(header[HEADER_BYTES - 2 :])
    if order is None or struct.unpack(f"{order}H", header[124:126])[0] != VERSION:
        return None
    variables = []
    # top-level elements are found by their sizes: nothing is unpacked beyond the names
    for kind, start, stop in _Elements(data, order).within(HEADER_BYTES, len(data)):
        content = data[start:stop]
        name, size = _name_and_size(kind, content, order)
        if name:
            variables.append(Variable(name, header, order, kind, size, content))
    return variables


def _name_and_size(kind: int, content: memoryview, order: str) -> tuple[str, int]:
    """Return name and unpacked size of a variable, of which only the first bytes are unpacked."""
    size = len(content)
    if kind == COMPRESSED:
        packed = content[:PEEK_PACKED_BYTES]
        head = memoryview(zlib.decompressobj().decompress(packed, PEEK_BYTES))
        _expect(len(head) >= 8, "an element ends inside its header")
        kind, size = struct.unpack_from(f"{order}II", head)
        content = head[8 : 8 + size]
    _expect(kind == MATRIX, "an element is not an array")
    if not size:
        return "", 0
    elements = _Elements(content, order)
    parts = elements.within(0, len(content), most=3)
    # objects of newer classes have no size before their name
    names = parts[1:] if elements.flags(parts) & 0xFF == OPAQUE else parts[2:]
    for letters, start, stop in names:
        if letters in LETTERS:
            return bytes(content[start:stop]).decode("latin1"), size
    raise ValueError("an array has no size or name")


def _unpacked(header: bytes, packed: memoryview, size: int) -> bytes:
    """Return the file's header and an unpacked variable, of no more bytes than it declares."""
    _expect(size <= MAX_BYTES, f"a variable declares {size:,} bytes")
    _expect(
        size <= max(ANY_RATIO_BYTES, len(packed) * MOST_RATIO),
        f"a variable of {len(packed):,} bytes declares {size:,} unpacked, more than {MOST_RATIO} "
        "times as many",
    )
    # unpacked in pieces, joined, and copied by scipy
    refuse_beyond_memory(3 * size)
    # the header passes through the decompressor as an uncompressed block before the others (RFC
    # 1951, 3.2.4), so that one piece of memory has both: a copy would take half as long as reading
    block = b"\0" + struct.pack("<HH", HEADER_BYTES, 0xFFFF - HEADER_BYTES) + header
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    n_bytes = CONTENT_AT + size
    file = unpacker.decompress(b"".join((block, packed[ZLIB_HEADER_BYTES:])), n_bytes + 1)
    # a stream that ends early, and one that goes on, are both damaged
    _expect(len(file) >= n_bytes, "an element reaches beyond what holds it")
    _expect(len(file) == n_bytes, "a variable unpacks to more than it declares")
    if not unpacker.eof:
        unpacker.decompress(unpacker.unconsumed_tail, 1)
    _expect(unpacker.eof, "a compressed variable is truncated")
    checksum = int.from_bytes(unpacker.unused_data[:4], "big")
    _expect(checksum == zlib.adler32(memoryview(file)[HEADER_BYTES:]), "a checksum is wrong")
    return file


class _Elements:
    """The elements in some bytes, found by their sizes.

    Parameters
    ----------
    data
        The bytes.
    order
        Order of the bytes of numbers, "<" or ">".
    """

    def __init__(self, data: memoryview, order: str) -> None:
        self._data = data
        self._order = order
        self._two_numbers = struct.Struct(f"{order}II").unpack_from
        self._two_sizes = struct.Struct(f"{order}2i").unpack_from

    def within(self, start: int, stop: int, most: int = sys.maxsize) -> list[Element]:
        """Return the elements between two places, the first ``most``."""
        data, two_numbers = self._data, self._two_numbers
        elements: list[Element] = []
        place = start
        while place < stop and len(elements) < most:
            if stop - place < 8:
                raise ValueError("it ends inside of an element")
            kind, size = two_numbers(data, place)
            first = place + 8
            if kind >> 16:
                # small elements share the eight bytes with their type and size
                kind, size, first = kind & 0xFFFF, kind >> 16, place + 4
                if size > 4:
                    raise ValueError("a small element is too large")
            last = first + size
            if last > stop:
                raise ValueError("an element reaches beyond what holds it")
            elements.append((kind, first, last))
            # only compressed elements are not padded to eight bytes
            place = last if kind == COMPRESSED else last + -(last - start) % 8
        return elements

    def flags(self, parts: list[Element]) -> int:
        """Return the flags of an array, its first part."""
        kind, start, stop = parts[0]
        _expect(kind == 6 and stop - start == 8, "an array has no flags")
        return int(self._two_numbers(self._data, start)[0])

    def check_matrix(self, matrix: Element) -> None:
        """Check that an array has the elements that its class and size require."""
        kind, start, stop = matrix
        _expect(kind == MATRIX, "an element is not an array")
        if start == stop:
            return
        parts = self.within(start, stop)
        flags = self.flags(parts)
        what = flags & 0xFF
        if what in {FUNCTION, OPAQUE}:
            return
        _expect(len(parts) >= 3, "an array has no size or name")
        (size_kind, start, stop), (name_kind, _, _) = parts[1:3]
        length = stop - start
        _expect(size_kind in INTEGERS and length >= 8 and length % 4 == 0, "an array has no size")
        if length == 8:
            shape = self._two_sizes(self._data, start)
        else:
            shape = struct.unpack_from(f"{self._order}{length // 4}i", self._data, start)
        _expect(min(shape) >= 0 and name_kind in LETTERS, "an array has no size or name")
        self._check_content(what, prod(shape), 1 + bool(flags & IS_COMPLEX), parts[3:])

    def _check_content(self, what: int, number: int, n_parts: int, parts: list[Element]) -> None:
        """Check the content of an array of a class, with this number of values in each part."""
        if what in NUMBERS:
            _expect(len(parts) == n_parts, "numbers are missing")
            for kind, start, stop in parts:
                _expect(stop - start == number * _item_bytes(kind), "numbers are missing")
        elif what == CHAR:
            _expect(len(parts) == 1, "text is missing")
            kind, start, stop = parts[0]
            # in UTF-8 a letter may have several bytes
            whole = kind in {16, 17, 18} or stop - start == number * _item_bytes(kind)
            # MATLAB has written a letter without any bytes for an empty one
            _expect(whole or start == stop, "text is missing")
        elif what == SPARSE:
            _expect(len(parts) == 2 + n_parts, "parts of a sparse array are missing")
            for kind, start, stop in parts[:2]:
                _expect(
                    kind in INTEGERS and (stop - start) % 4 == 0,
                    "indices of a sparse array are cut",
                )
        elif what == CELL:
            self._check_matrices(parts, number)
        elif what in {STRUCT, OBJECT}:
            self._check_fields(parts[what == OBJECT :], number)
        else:
            raise ValueError(f"an array is of the unknown class {what}")

    def _check_fields(self, parts: list[Element], number: int) -> None:
        _expect(len(parts) >= 2, "a struct has no fields")
        (length_kind, start, stop), (names_kind, first_name, last_name) = parts[:2]
        _expect(
            length_kind in INTEGERS and stop - start == 4 and names_kind in LETTERS,
            "a struct has no fields",
        )
        each = struct.unpack_from(f"{self._order}i", self._data, start)[0]
        n_bytes = last_name - first_name
        _expect(each > 0 and n_bytes % each == 0, "the fields of a struct have no names")
        self._check_matrices(parts[2:], number * (n_bytes // each))

    def _check_matrices(self, parts: list[Element], number: int) -> None:
        _expect(len(parts) == number, "elements are missing")
        for matrix in parts:
            self.check_matrix(matrix)


def _item_bytes(kind: int) -> int:
    if kind not in ITEM_BYTES:
        raise ValueError(f"numbers are of the unknown type {kind}")
    return ITEM_BYTES[kind]


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the condition
    if not holds:
        raise ValueError(otherwise)
