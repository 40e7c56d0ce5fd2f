"""MATLAB 5 files, checked and read: scipy's reader can crash on damaged ones.

A file is a header of 128 bytes and one *element* for each variable: a type, a size and the content,
mostly compressed. Each variable is unpacked once, when it is read; all its elements are checked
before any value is taken from them. MathWorks describes version 5 in "MAT-File Format".
"""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.lazy import refuse_beyond_memory
from nwbcompare.io.matlab.plain_values import Struct, dense, nested

HEADER_BYTES = 128
VERSION = 0x0100
MATRIX, COMPRESSED = 14, 15
"""Types of elements: an array, and an element that is packed by zlib."""
NUMBER_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""numpy's names of the types of numbers; the stored type may be smaller than the array's class."""
ITEM_BYTES = {kind: int(name[1]) for kind, name in NUMBER_TYPES.items()}
ENCODINGS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Encodings of text by the code of its type."""
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

    def read(self) -> Any:
        """Return the value: a `Struct`, a list, text or an array.

        Raises
        ------
        ValueError, zlib.error
            If elements are truncated, damaged, or do not fit into each other.
        MemoryError
            If the variable declares more bytes than there is memory.
        """
        packed = self._kind == COMPRESSED
        content = _unpacked(self._content, self._size) if packed else self._content
        elements = _Elements(content, self._order)
        matrix = (MATRIX, 0, self._size)
        elements.check_matrix(matrix)
        return elements.value(matrix)


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
    >>> from io import BytesIO
    >>> from scipy.io import savemat
    >>> file = BytesIO()
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


def _unpacked(packed: memoryview, size: int) -> memoryview:
    """Return the content of a compressed element, of no more bytes than it declares."""
    _expect(size <= MAX_BYTES, f"a variable declares {size:,} bytes")
    # unpacked in pieces, which are joined, and copied into arrays
    refuse_beyond_memory(3 * size)
    unpacker = zlib.decompressobj()
    element = unpacker.decompress(packed, size + 9)
    # a stream that ends early, and one that goes on, are both damaged
    _expect(len(element) >= size + 8, "an element reaches beyond what holds it")
    _expect(len(element) == size + 8, "a variable unpacks to more than it declares")
    if not unpacker.eof:
        # the checksum follows the last byte
        unpacker.decompress(unpacker.unconsumed_tail, 1)
    _expect(unpacker.eof, "a compressed variable is truncated")
    return memoryview(element)[8:]


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

    def value(self, matrix: Element) -> Any:
        """Return the value of an array that has been checked; fields of structs are lazy."""
        _, start, stop = matrix
        if start == stop:
            return np.empty((0, 0))
        parts = self.within(start, stop)
        flags = self.flags(parts)
        what = flags & 0xFF
        if what in {FUNCTION, OPAQUE}:
            raise ValueError("functions and objects of classes cannot be read")
        shape = self._numbers(parts[1]).tolist()
        content = parts[3:]
        if what == CELL:
            return nested([self.value(item) for item in content], shape)
        if what in {STRUCT, OBJECT}:
            return self._structs(content[what == OBJECT :], shape)
        if what == CHAR:
            return self._text(content[0], shape)
        if what == SPARSE:
            return self._sparse(content, shape)
        # axes are reversed and transposed back: MATLAB's first index changes fastest
        return self._complex(content).reshape(shape[::-1]).T

    def _numbers(self, part: Element) -> npt.NDArray[Any]:
        """Return the numbers of an element in their stored type, ``(number,)``."""
        kind, start, stop = part
        dtype = np.dtype(f"{self._order}{NUMBER_TYPES[kind]}")
        count = (stop - start) // dtype.itemsize
        # copied, so that the array can be changed, and does not keep all unpacked bytes in memory
        return np.frombuffer(self._data, dtype, count, start).copy()

    def _complex(self, parts: list[Element]) -> npt.NDArray[Any]:
        """Return the real numbers of one element, or the complex ones of two."""
        real = self._numbers(parts[0])
        return real if len(parts) == 1 else real + self._numbers(parts[1]) * 1j

    def _text(self, part: Element, shape: list[int]) -> str | list[str]:
        """Return a line of text, or a list of the lines of a matrix of letters."""
        kind, start, stop = part
        if kind not in ENCODINGS:
            raise ValueError(f"text is of the unknown type {kind}")
        encoding = ENCODINGS[kind]
        if kind in {4, 17, 18}:
            # else Python would expect a mark of the order of bytes
            encoding += "-le" if self._order == "<" else "-be"
        text = bytes(self._data[start:stop]).decode(encoding) or " " * prod(shape)
        n_lines = prod(shape[:-1])
        if n_lines < 2:
            return text.rstrip("\0") if n_lines else ""
        _expect(len(text) == prod(shape), "text is missing")
        letters = np.array(list(text), dtype=str).reshape(shape[::-1]).T
        return ["".join(line).rstrip("\0") for line in letters.reshape(n_lines, shape[-1])]

    def _sparse(self, parts: list[Element], shape: list[int]) -> npt.NDArray[Any]:
        from scipy.sparse import csc_array  # noqa: PLC0415 - slow to import

        rows, starts, values = self._numbers(parts[0]), self._numbers(parts[1]), parts[2:]
        stored = int(starts[-1]) if starts.size else 0
        _expect(stored >= 0, "indices of a sparse array are negative")
        # more places than values may be reserved
        whole = (self._complex(values)[:stored], rows[:stored], starts)
        return dense(csc_array(whole, shape=tuple(shape)))

    def _structs(self, parts: list[Element], shape: list[int]) -> Any:
        """Return a struct, or the structs of an array as lists."""
        each = int(self._numbers(parts[0])[0])
        _, start, stop = parts[1]
        names = [
            bytes(self._data[at : at + each]).split(b"\0")[0].decode("latin1")
            for at in range(start, stop, each)
        ]
        n_fields = len(names)
        items = [
            Struct(
                {
                    name: partial(self.value, parts[2 + item * n_fields + field])
                    for field, name in enumerate(names)
                }
            )
            for item in range(prod(shape))
        ]
        return items[0] if len(items) == 1 else nested(items, shape)

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
