"""Guarded reading of HDF5 files: links, sizes and types are checked before they are followed.

A file may be damaged or malicious. An error is raised for a link that leaves the file's folder,
links in a circle, data that declare or unpack to more bytes than their file can hold, types that
neither NWB nor MATLAB uses, and references to nowhere. Nothing in a file is ever executed.

Damage on which libhdf5 crashes or never returns is met in a process of its own, before that.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.available_memory import refuse_beyond_memory
from nwbcompare.core.errors import ExplainedError, InputError, listing
from nwbcompare.core.first_reading import read_first
from nwbcompare.core.remote_file import remote_file
from nwbcompare.core.remote_path import Location, RemotePath, is_remote, location

MOST_STEPS = 200
"""Limit of links and names on the way to one object; links in a circle have no end."""
MOST_BYTES = 64_000_000
"""Size below which declared data are not compared with those stored (bytes)."""
MOST_TEXT_BYTES = 1_000_000_000
"""Limit for a column of text, of which every row takes the size of the longest text (bytes)."""
BEST_RATIO = 1100
"""Deflate packs at most 1032 to 1: data that declare more were never written."""
MOST_OBJECTS = 20_000
"""Limit of groups and datasets that are looked at. An activity of all 20 tasks has some 500."""
TEXTS_AT_ONCE = 256
"""Number of texts that are read between two checks of their size."""
PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM, h5py.h5t.REFERENCE)
"""Classes of types that are read. Others, such as sequences of variable length, made libhdf5 2.0
read outside its memory in damaged files."""
REARRANGING = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
"""Filters that do not compress."""
CACHE_BYTES = 64_000_000
"""Cache for unpacked chunks while a file is open (bytes)."""
UNREADABLE = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    TypeError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    SystemError,
)
"""Exceptions of h5py, and of decoding its values, on damaged files."""

_held = threading.local()
"""Files that the thread has open, by path."""


@contextmanager
def named(
    path: Location,
    *,
    expected: str = "a whole NWB file (HDF5)",
    errors: tuple[type[Exception], ...] = UNREADABLE,
) -> Iterator[None]:
    """Convert whatever fails while a file is read into one error that names the file.

    Parameters
    ----------
    path
        The file.
    expected
        What the file should be, for the message.
    errors
        Exceptions that the file's reader raises on damaged bytes.

    Raises
    ------
    InputError
        If the file cannot be read, or needs more memory than is available. Errors of this package
        are raised again, with the file's name where they lack it.

    Examples
    --------
    >>> from pathlib import Path
    >>> with named(Path("day1.nwb")):
    ...     raise OSError("truncated file")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: day1.nwb: expected a whole NWB file (HDF5), got one that \
cannot be read (OSError: truncated file). It is damaged, truncated or another kind of file: write \
or obtain it again.
    """
    try:
        # a number that does not fit into its type is an error, not a warning
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            yield
    except ExplainedError as error:
        if path.name not in str(error):
            error.subject = f"{path}: {error.subject}"
        raise
    except MemoryError as error:
        raise InputError(
            str(path),
            "data that fit in memory",
            str(error) or "more",
            "Select units and trials before looking at rates; else the file is damaged.",
        ) from error
    except errors as error:
        raise InputError(
            str(path),
            expected,
            f"one that cannot be read ({type(error).__name__}: {error})",
            "It is damaged, truncated or another kind of file: write or obtain it again.",
        ) from error


@contextmanager
def opened(path: Location) -> Iterator[h5py.File]:
    """Open an HDF5 file to read it; errors name the file, as in `named`.

    The same thread does not open the same file twice: within the context, a chunk that has been
    unpacked serves all later reads of it.

    Parameters
    ----------
    path
        The file, on this computer or on a server.

    Yields
    ------
    h5py.File
        The open file, with a chunk cache of 64 MB for each dataset.

    Raises
    ------
    InputError
        As `named`.
    """
    held: dict[str, h5py.File] = _held.__dict__
    with named(path):
        # a nested call uses the open file, and with it the chunks that are unpacked already
        if str(path) in held:
            yield held[str(path)]
            return
        if isinstance(path, RemotePath):
            source: Any = remote_file(path)
        else:
            read_first(read_objects, path, "a whole HDF5 file")
            source = path
        with h5py.File(source, "r", rdcc_nbytes=CACHE_BYTES) as file:
            held[str(path)] = file
            try:
                yield file
            finally:
                del held[str(path)]


def read_objects(path: Path) -> None:
    """Read attributes and texts of a file, and look up the pieces of its data.

    It is meant for another process; see `nwbcompare.core.first_reading`. Errors are left to the
    reader, which reads only what it needs, so that damage elsewhere does no harm. At most 20,000
    objects are read, and those of other files are not.

    Parameters
    ----------
    path
        The file.
    """
    with suppress(*UNREADABLE, MemoryError), h5py.File(path, "r") as file:
        groups: list[h5py.Group] = [file]
        seen: set[object] = set()
        while groups:
            group = groups.pop()
            for name in _names_of_own(group):
                with suppress(*UNREADABLE, MemoryError, ExplainedError):
                    item = group[name]
                    if address(item) in seen or len(seen) == MOST_OBJECTS:
                        continue
                    seen.add(address(item))
                    groups += [item] if isinstance(item, h5py.Group) else []
                    _look_at(item)


def _names_of_own(group: h5py.Group) -> list[str]:
    """Return the names of a group's own members, without links."""
    names: list[str] = []
    with suppress(*UNREADABLE, MemoryError):
        # what comes before the damage stays
        names.extend(n for n in group if isinstance(group.get(n, getlink=True), h5py.HardLink))
    return names


def _look_at(item: Any) -> None:
    """Read an object's attributes and texts, and look up its chunks."""
    for name in item.attrs:
        attribute(item, name)
    if not isinstance(item, h5py.Dataset) or not is_plain(item):
        return
    if h5py.check_string_dtype(item.dtype) is not None:
        read_column(item) if item.ndim else item[()]
    elif item.chunks is not None:
        item.id.chunk_iter(lambda _: None)


def location_of(item: Any) -> Location:
    """Return the file of a group or dataset, which may be another one by a link."""
    return location(item.file.filename)


def member(group: h5py.Group, path: str) -> Any:
    """Return a member of a group by path; links may not leave the file's folder.

    Parameters
    ----------
    group
        The group.
    path
        Names with slashes between them, from the file's root if it starts with a slash.

    Returns
    -------
    h5py.Group, h5py.Dataset or None
        None if there is no such member.

    Raises
    ------
    InputError
        If a link leaves the folder, leads nowhere, or leads in a circle.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> member(file, "units/id")[:].tolist(), member(file, "units/name")
    ([3, 7], None)
    """
    if path.startswith("/"):
        group = group.file["/"]
    return _walk(group, path, iter(range(MOST_STEPS)))


def members(group: h5py.Group) -> dict[str, Any]:
    """Return all members of a group by name.

    Raises
    ------
    InputError
        As `member`.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> list(members(file["units"]))
    ['id']
    """
    return {name: _follow(group, name, iter(range(MOST_STEPS))) for name in group}


def _walk(group: h5py.Group, path: str, steps: Iterator[int]) -> Any:
    """Return the object at a path; ``steps`` ends where links lead in a circle."""
    item: Any = group
    for name in filter(None, path.split("/")):
        # `name in item` would open the target of a link
        if not isinstance(item, h5py.Group) or not item.id.links.exists(name.encode()):
            return None
        item = _follow(item, name, steps)
    return item


def _follow(group: h5py.Group, name: str, steps: Iterator[int]) -> Any:
    where = f"{group.file.filename}: {group.name.rstrip('/')}/{name}"
    if next(steps, None) is None:
        raise InputError(
            where, "a link that ends somewhere", "links in a circle", "The file is damaged."
        )
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        with _beside(group.file, link.filename, where) as other:
            # the other file may have links in its turn
            _existing(_walk(other["/"], link.path, steps), link.path, where)
        return group[name]
    if isinstance(link, h5py.SoftLink):
        start = group.file["/"] if link.path.startswith("/") else group
        return _existing(_walk(start, link.path, steps), link.path, where)
    return _inside(group[name], where, steps)


def _existing(item: Any, path: str, where: str) -> Any:
    if item is None:
        raise InputError(where, "a link to something", f"nothing at {path}", "Mend it.")
    return item


@contextmanager
def _beside(file: h5py.File, name: str, where: str) -> Iterator[h5py.File]:
    """Open another file of the same folder; files elsewhere are not opened."""
    folder = Path(file.filename).resolve().parent
    target = (folder / name).resolve()
    if is_remote(file.filename) or target.parent != folder or not target.is_file():
        raise InputError(
            where,
            "links to files in the same folder",
            f"one to {name}",
            "It was not followed. Copy that file beside this one and link it there.",
        )
    with h5py.File(target, "r") as other:
        yield other


def _inside(item: Any, where: str, steps: Iterator[int]) -> Any:
    """Return an item, after a check that its data are in files of the folder."""
    if not isinstance(item, h5py.Dataset):
        return item
    if item.external:
        # libhdf5 looks for such files in the working directory
        raise InputError(
            where,
            "data in this file",
            f"data in {listing([as_text(name) for name, *_ in item.external])}",
            "They were not read. Store them in the file.",
        )
    sources = item.virtual_sources() if item.is_virtual else ()
    for name, path in {(source.file_name, source.dset_name) for source in sources}:
        with _beside(item.file, item.file.filename if name == "." else name, where) as other:
            _existing(_walk(other["/"], path, steps), path, where)
    return item


def dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    """Return a dataset by path.

    Parameters
    ----------
    group, path
        As for `member`.

    Raises
    ------
    InputError
        If there is no dataset of this name, and as `member`.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> dataset(file, "units/id").shape
    (2,)
    """
    item = member(group, path)
    if not isinstance(item, h5py.Dataset):
        raise damaged(group, "a dataset", _kind(item), f"/{path}")
    return item


def read_column(data: h5py.Dataset, rows: slice | None = None) -> npt.NDArray[Any]:
    """Read a column of a table, or an array; text is decoded.

    Parameters
    ----------
    data
        The column.
    rows
        Rows to read; all by default.

    Returns
    -------
    array
        Values of the rows, with the dimensions of the dataset.

    Raises
    ------
    InputError
        If the values are not numbers, texts or references, or declare more than the file can hold.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["id"] = [3, 7]
    >>> read_column(file["id"], slice(1, 2)).tolist()
    [7]
    """
    _check_plain(data)
    size = data.size if rows is None else len(range(*rows.indices(data.shape[0])))
    check_size(data, size * data.dtype.itemsize)
    if h5py.check_string_dtype(data.dtype) is not None:
        return _texts(data, rows or slice(None))
    return np.asarray(data[()] if rows is None else data[rows])


def read_part(group: h5py.Group, path: str, start: int, stop: int) -> npt.NDArray[Any]:
    """Read a range of rows of a dataset; uncompressed chunks are not read as a whole.

    Parameters
    ----------
    group, path
        As for `dataset`.
    start, stop
        First row, and the one after the last.

    Returns
    -------
    array, (row, ...)
        The values.

    Raises
    ------
    InputError
        If there is no such dataset, or it declares more than the file can hold.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["spike_times"] = [0.1, 0.2, 0.4]
    >>> read_part(file, "spike_times", 1, 3).tolist()
    [0.2, 0.4]
    """
    data = dataset(group, path)
    check_size(data, (stop - start) * math.prod(data.shape[1:]) * data.dtype.itemsize)
    if data.chunks is None or data.id.get_create_plist().get_nfilters():
        return np.asarray(data[start:stop])
    file, name = data.file, data.name
    # with a cache HDF5 reads whole chunks; its size is set only when a dataset is opened anew
    del data
    uncached = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    uncached.set_chunk_cache(0, 0, 1.0)
    return np.asarray(h5py.Dataset(h5py.h5d.open(file.id, name.encode(), uncached))[start:stop])


def _texts(data: h5py.Dataset, part: slice) -> npt.NDArray[Any]:
    """Read texts in pieces: many rows may share one long text, which the file has only once."""
    if data.ndim == 0 or math.prod(data.shape[1:]) != 1:
        raise damaged(data, "a text in each row", f"texts of shape {data.shape}")
    rows = range(*part.indices(data.shape[0]))
    most = max(MOST_BYTES, data.file.id.get_filesize())
    texts: list[str] = []
    n_characters = longest = 0
    for start in range(rows.start, rows.stop, TEXTS_AT_ONCE):
        piece = data[start : min(start + TEXTS_AT_ONCE, rows.stop)].reshape(-1)
        texts += [as_text(value) for value in piece]
        # texts have no declared length, so that the total is known only while they are read
        n_characters += sum(map(len, piece))
        longest = max(longest, *map(len, piece))
        if n_characters > most or longest * 4 * len(rows) > MOST_TEXT_BYTES:
            raise _too_much(data, f"{n_characters:,} characters, the longest text {longest:,}")
    return np.array(texts, dtype=str)


def _check_plain(data: h5py.Dataset) -> None:
    """Check that data are numbers, texts or references."""
    if not is_plain(data):
        got = "nothing" if data.shape is None else "data of another type"
        raise damaged(data, "numbers, texts or references", got)


def is_plain(data: h5py.Dataset) -> bool:
    """Return whether a dataset has numbers, texts or references.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["id"] = [3, 7]
    >>> is_plain(file["id"])
    True
    """
    return data.shape is not None and data.id.get_type().get_class() in PLAIN


def check_size(data: h5py.Dataset, n_bytes: int) -> None:
    """Check that data fit in memory and that their file can hold them.

    Parameters
    ----------
    data
        The dataset.
    n_bytes
        Number of bytes that are to be read.

    Raises
    ------
    InputError
        If the file cannot hold them; see `check_stored`.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["id"] = [3, 7]
    >>> check_size(file["id"], 16)
    """
    check_stored(data, n_bytes)
    refuse_beyond_memory(n_bytes)


def check_stored(data: h5py.Dataset, n_bytes: int) -> None:
    """Check that a file can hold the data that it declares, given the best compression.

    Parameters
    ----------
    data
        The dataset.
    n_bytes
        Number of bytes that are to be read; of compressed data, at least one chunk is read.

    Raises
    ------
    InputError
        If more than 64 MB are declared and less than 1/1100 of them stored, or data are
        compressed twice.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> check_stored(file.create_dataset("rate", (10**6, 10**6), "f4"), 4 * 10**12)
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: ...: expected no more data than the file can hold, ...
    """
    properties = data.id.get_create_plist()
    filters = [properties.get_filter(place)[0] for place in range(properties.get_nfilters())]
    # two compressions in a row could unpack by a factor of a million
    if sum(code not in REARRANGING for code in filters) > 1:
        raise _too_much(data, "data packed several times over")
    if data.chunks is not None:
        # a chunk is unpacked as a whole, whatever is read of it
        n_bytes = max(n_bytes, math.prod(data.chunks) * data.dtype.itemsize)
    n_stored = data.id.get_storage_size()
    if n_bytes > MOST_BYTES and not data.is_virtual and n_bytes > n_stored * BEST_RATIO:
        raise _too_much(data, f"{n_bytes:,} bytes declared, {n_stored:,} stored")


def is_stored(data: h5py.Dataset) -> bool:
    """Return whether any data were written; libhdf5 reads fill values where there are none.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> is_stored(file.create_dataset("rate", (4,), "f4", chunks=(2,)))
    False
    """
    return bool(data.is_virtual or data.id.get_storage_size() > 0)


def _too_much(data: h5py.Dataset, got: str) -> InputError:
    return damaged(data, "no more data than the file can hold", got)


def damaged(item: Any, expected: str, got: str, part: str = "") -> InputError:
    """Return the error for an object that no sound file has.

    Parameters
    ----------
    item
        Group or dataset.
    expected, got
        As of `InputError`.
    part
        Place within the object, as text after its name.

    Examples
    --------
    >>> with h5py.File("a.nwb", "w", driver="core", backing_store=False) as file:
    ...     print(damaged(file.create_group("units"), "ids", "none", "/id").subject)
    a.nwb: /units/id
    """
    return InputError(
        f"{item.file.filename}: {item.name.rstrip('/')}{part}",
        expected,
        got,
        "The file is damaged or of another kind: obtain it again.",
    )


def _kind(item: Any) -> str:
    return "nothing" if item is None else type(item).__name__


def as_text(value: Any) -> str:
    """Return a value of HDF5 as text; invalid UTF-8 is replaced.

    Examples
    --------
    >>> as_text(b"PFC")
    'PFC'
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """Return an attribute as text, number, or array.

    Parameters
    ----------
    item
        The group or dataset.
    name
        The attribute.
    default
        Value if it is missing or empty.

    Raises
    ------
    InputError
        If its type or size is one that attributes of NWB never have.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file.attrs["unit"] = "volts"
    >>> attribute(file, "unit"), attribute(file, "rate", 1.0)
    ('volts', 1.0)
    """
    if name not in item.attrs:
        return default
    attr = item.attrs.get_id(name)
    if attr.get_type().get_class() not in PLAIN or attr.get_storage_size() > MOST_BYTES:
        raise damaged(
            item, "a number, text or reference", "another type or size", f", attribute {name!r}"
        )
    value = item.attrs[name]
    if isinstance(value, h5py.Empty):
        return default
    if isinstance(value, bytes):
        return as_text(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        return np.array([as_text(v) for v in value.ravel()], dtype=str)
    return value


def number(item: Any, name: str, default: float) -> float:
    """Return an attribute that is a number.

    Parameters
    ----------
    item, name, default
        As for `attribute`.

    Raises
    ------
    InputError
        If it is not a number.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file.attrs["rate"] = 30000
    >>> number(file, "rate", 1.0)
    30000.0
    """
    value = np.asarray(attribute(item, name, default))
    if value.ndim or value.dtype.kind not in "iuf":
        got = f"{value.dtype} of shape {value.shape}"
        raise damaged(item, "a number", got, f", attribute {name!r}")
    return float(value)


def address(item: Any) -> tuple[str, int]:
    """Return the identity of an object, the same by whatever link it is reached.

    Returns
    -------
    tuple of str and int
        The file's name, and the object's address in it.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> file["link"] = h5py.SoftLink("/units/id")
    >>> address(file["link"]) == address(file["units/id"])
    True
    """
    return item.file.filename, h5py.h5o.get_info(item.id).addr


def referred(group: h5py.Group, reference: Any) -> Any:
    """Return the object of a reference.

    Parameters
    ----------
    group
        Any group of the file.
    reference
        The object reference.

    Raises
    ------
    InputError
        If it points nowhere, or to data outside the file's folder.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["units/id"] = [3, 7]
    >>> referred(file, file["units/id"].ref).name
    '/units/id'
    """
    problem = "a null reference"
    target = None
    if reference:
        try:
            target = group.file[reference]
        except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
            problem = str(error)
    if target is None:
        got = f"one that points nowhere ({problem})"
        raise damaged(group, "a reference that points to something", got)
    return _inside(target, f"{group.file.filename}: {target.name}", iter(range(MOST_STEPS)))


def scalar(group: h5py.Group, path: str) -> str | None:
    """Return a single text or number as text.

    Parameters
    ----------
    group, path
        As for `member`.

    Returns
    -------
    str or None
        None if there is no dataset of this name with one value.

    Raises
    ------
    InputError
        As `read_column`.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = h5py.File(BytesIO(), "w")
    >>> file["session_id"] = "day1"
    >>> scalar(file, "session_id")
    'day1'
    """
    data = member(group, path)
    if not isinstance(data, h5py.Dataset) or data.size != 1:
        return None
    _check_plain(data)
    check_size(data, data.dtype.itemsize)
    return as_text(np.ravel(np.asarray(data[()], dtype=object))[0])
