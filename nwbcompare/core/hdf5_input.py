"""HDF5 files read with care: links, sizes and types are checked before they are followed.

A file from elsewhere may be damaged or made to do harm. What is refused here is a link that
leaves the file's folder, links in a circle, data that declare or unpack to more than their
file can hold, types that NWB has no use for, and a reference to nowhere. Nothing in a file is
ever executed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import ExplainedError, InputError, listing
from nwbcompare.core.lazy import refuse_beyond_memory

MOST_STEPS = 200
"""Links and names on the way to one object; more are a circle."""
MOST_BYTES = 64_000_000
"""Data of this size are read without asking how much of them the file really holds."""
MOST_TEXT_BYTES = 1_000_000_000
"""A column of text takes its longest text's size in every row."""
BEST_RATIO = 1100
"""Deflate packs at most 1032 to 1: a column that claims more was never written."""
TEXTS_AT_ONCE = 256
PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM, h5py.h5t.REFERENCE)
"""Classes of types that are read. In damaged files others, such as sequences of unlike
length, made libhdf5 2.0 read where nothing is."""
REARRANGING = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
"""Filters that pack nothing."""
CACHE_BYTES = 64_000_000
"""Unpacked chunks that are kept while a file is open."""
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
"""What h5py and the decoding of its values raise on damaged files."""

_held = threading.local()
"""The files that a thread has open, by path."""


@contextmanager
def named(
    path: Path,
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
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read it; errors name the file, as in `named`.

    The same thread does not open the same file twice: within the context, a chunk that has been
    unpacked serves all later reads of it.

    Parameters
    ----------
    path
        The file.

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
        if str(path) in held:
            yield held[str(path)]
            return
        with h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES) as file:
            held[str(path)] = file
            try:
                yield file
            finally:
                del held[str(path)]


def member(group: h5py.Group, path: str) -> Any:
    """Give a group's member by path, following only links that stay in the file's folder.

    Parameters
    ----------
    group
        Where to start.
    path
        Names with slashes between them.

    Returns
    -------
    h5py.Group, h5py.Dataset or None
        None where there is none of this name.

    Raises
    ------
    InputError
        For links that leave the folder or lead nowhere, and for circles of links.
    """
    if path.startswith("/"):
        group = group.file["/"]
    return _walk(group, path, iter(range(MOST_STEPS)))


def members(group: h5py.Group) -> dict[str, Any]:
    """Give a group's members by name; see `member`."""
    return {name: _follow(group, name, iter(range(MOST_STEPS))) for name in group}


def _walk(group: h5py.Group, path: str, steps: Iterator[int]) -> Any:
    """Go along names; ``steps`` runs out where links lead round and round."""
    found: Any = group
    for name in filter(None, path.split("/")):
        # asked of links, not of groups, existence opens nothing
        if not isinstance(found, h5py.Group) or not found.id.links.exists(name.encode()):
            return None
        found = _follow(found, name, steps)
    return found


def _follow(group: h5py.Group, name: str, steps: Iterator[int]) -> Any:
    where = f"{group.file.filename}: {group.name.rstrip('/')}/{name}"
    if next(steps, None) is None:
        raise InputError(
            where, "a link that ends somewhere", "links in a circle", "The file is damaged."
        )
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        with _beside(group.file, link.filename, where) as other:
            # the other file may lead on from there
            _arrived(_walk(other["/"], link.path, steps), link.path, where)
        return group[name]
    if isinstance(link, h5py.SoftLink):
        start = group.file["/"] if link.path.startswith("/") else group
        return _arrived(_walk(start, link.path, steps), link.path, where)
    return _inside(group[name], where, steps)


def _arrived(found: Any, path: str, where: str) -> Any:
    if found is None:
        raise InputError(where, "a link to something", f"nothing at {path}", "Mend it.")
    return found


@contextmanager
def _beside(file: h5py.File, name: str, where: str) -> Iterator[h5py.File]:
    """Open another file of the same folder; no other is touched."""
    folder = Path(file.filename).resolve().parent
    target = (folder / name).resolve()
    if target.parent != folder or not target.is_file():
        raise InputError(
            where,
            "links to files in the same folder",
            f"one to {name}",
            "It was not followed. Copy that file beside this one and link it there.",
        )
    with h5py.File(target, "r") as other:
        yield other


def _inside(item: Any, where: str, steps: Iterator[int]) -> Any:
    """Refuse data that lie in other files outside the folder."""
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
            _arrived(_walk(other["/"], path, steps), path, where)
    return item


def dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    """Give a dataset by path.

    Raises
    ------
    InputError
        Where there is none.
    """
    found = member(group, path)
    if not isinstance(found, h5py.Dataset):
        raise InputError(
            f"{group.file.filename}: {group.name.rstrip('/')}/{path}",
            "a dataset",
            "nothing" if found is None else type(found).__name__,
            "The file is damaged or of another kind.",
        )
    return found


def read_column(data: h5py.Dataset, rows: slice | None = None) -> npt.NDArray[Any]:
    """Read a table column; text as text.

    Parameters
    ----------
    data
        The column.
    rows
        Which rows; all by default.

    Raises
    ------
    InputError
        Where the column declares more than the file can hold.
    """
    _check_plain(data)
    size = data.size if rows is None else len(range(*rows.indices(data.shape[0])))
    check_size(data, size * data.dtype.itemsize)
    if h5py.check_string_dtype(data.dtype) is not None:
        return _texts(data, rows or slice(None))
    return np.asarray(data[()] if rows is None else data[rows])


def read_part(group: h5py.Group, path: str, start: int, stop: int) -> npt.NDArray[Any]:
    """Read some of a dataset; of chunks that are not packed no more than that.

    Raises
    ------
    InputError
        Where there is none, or it declares more than the file can hold.
    """
    data = dataset(group, path)
    check_size(data, (stop - start) * math.prod(data.shape[1:]) * data.dtype.itemsize)
    if data.chunks is None or data.id.get_create_plist().get_nfilters():
        return np.asarray(data[start:stop])
    file, name = data.file, data.name
    # a cache holds whole chunks; its size is settled when a dataset is opened first
    del data
    uncached = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    uncached.set_chunk_cache(0, 0, 1.0)
    return np.asarray(h5py.Dataset(h5py.h5d.open(file.id, name.encode(), uncached))[start:stop])


def _texts(data: h5py.Dataset, part: slice) -> npt.NDArray[Any]:
    """Read texts a few at a time: many rows may share one long text, which the file has once."""
    if data.ndim != 1:
        raise InputError(
            f"{data.file.filename}: {data.name}",
            "a text in each row",
            f"texts of shape {data.shape}",
            "The file is damaged or of another kind.",
        )
    rows = range(*part.indices(data.shape[0]))
    most = max(MOST_BYTES, Path(data.file.filename).stat().st_size)
    texts: list[str] = []
    n_characters = longest = 0
    for start in range(rows.start, rows.stop, TEXTS_AT_ONCE):
        piece = data[start : min(start + TEXTS_AT_ONCE, rows.stop)]
        texts += [as_text(value) for value in piece]
        n_characters += sum(map(len, piece))
        longest = max(longest, *map(len, piece))
        if n_characters > most or longest * 4 * len(rows) > MOST_TEXT_BYTES:
            raise _too_much(data, f"{n_characters:,} characters, the longest text {longest:,}")
    return np.array(texts, dtype=str)


def _check_plain(data: h5py.Dataset) -> None:
    """Refuse data that are no numbers, texts or references.

    Raises
    ------
    InputError
        With what they are.
    """
    if not is_plain(data):
        raise InputError(
            f"{data.file.filename}: {data.name}",
            "numbers, texts or references",
            "nothing" if data.shape is None else "data of another type",
            "The file is damaged or of another kind.",
        )


def is_plain(data: h5py.Dataset) -> bool:
    """Tell whether a dataset holds numbers, texts or references."""
    return data.shape is not None and data.id.get_type().get_class() in PLAIN


def check_size(data: h5py.Dataset, n_bytes: int) -> None:
    """Refuse to read more bytes than the file can hold packed, or than memory can.

    Raises
    ------
    InputError, MemoryError
        With both sizes.
    """
    check_stored(data, n_bytes)
    refuse_beyond_memory(n_bytes)


def check_stored(data: h5py.Dataset, n_bytes: int) -> None:
    """Refuse to believe in more bytes than the file can hold packed.

    Raises
    ------
    InputError
        With both sizes.
    """
    properties = data.id.get_create_plist()
    filters = [properties.get_filter(place)[0] for place in range(properties.get_nfilters())]
    if sum(code not in REARRANGING for code in filters) > 1:
        raise _too_much(data, "data packed several times over")
    if data.chunks is not None:
        # of a chunk all is unpacked, whatever is read of it
        n_bytes = max(n_bytes, math.prod(data.chunks) * data.dtype.itemsize)
    stored = data.id.get_storage_size()
    if n_bytes > MOST_BYTES and not data.is_virtual and n_bytes > stored * BEST_RATIO:
        raise _too_much(data, f"{n_bytes:,} bytes declared, {stored:,} stored")


def is_stored(data: h5py.Dataset) -> bool:
    """Tell whether anything was ever written to a dataset; libhdf5 makes up the rest."""
    return bool(data.is_virtual or data.id.get_storage_size() > 0)


def _too_much(data: h5py.Dataset, got: str) -> InputError:
    return InputError(
        f"{data.file.filename}: {data.name}",
        "no more data than the file can hold",
        got,
        "The file is damaged or incomplete: obtain it again.",
    )


def as_text(value: Any) -> str:
    """Give a value of HDF5 as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """Give an attribute as a plain value: text, number, or array.

    Raises
    ------
    InputError
        Where it is of a type or size that no attribute of NWB has.
    """
    if name not in item.attrs:
        return default
    found = item.attrs.get_id(name)
    if found.get_type().get_class() not in PLAIN or found.get_storage_size() > MOST_BYTES:
        raise InputError(
            f"{item.file.filename}: {item.name}, attribute {name!r}",
            "a number, text or reference",
            "a value of another type or size",
            "The file is damaged or of another kind.",
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
    """Give an attribute that is a number.

    Raises
    ------
    InputError
        Where it is another thing.
    """
    value = np.asarray(attribute(item, name, default))
    if value.ndim or value.dtype.kind not in "iuf":
        raise InputError(
            f"{item.file.filename}: {item.name}, attribute {name!r}",
            "a number",
            f"{value.dtype} of shape {value.shape}",
            "The file is damaged or of another kind.",
        )
    return float(value)


def address(item: Any) -> tuple[str, int]:
    """Give what tells an object from others, by whatever name it was found."""
    return item.file.filename, h5py.h5o.get_info(item.id).addr


def referred(group: h5py.Group, reference: Any) -> Any:
    """Give what an object reference points to.

    Raises
    ------
    InputError
        Where it points nowhere.
    """
    problem = "a null reference"
    target = None
    if reference:
        try:
            target = group.file[reference]
        except (ValueError, TypeError, KeyError, RuntimeError, OSError) as error:
            problem = str(error)
    if target is None:
        raise InputError(
            f"{group.file.filename}: a reference in {group.name}",
            "one that points to something",
            f"one that points nowhere ({problem})",
            "The file is damaged: obtain it again.",
        )
    return _inside(target, f"{group.file.filename}: {target.name}", iter(range(MOST_STEPS)))


def scalar(group: h5py.Group, path: str) -> str | None:
    """Give a text or number at a path as text; None where it is not there."""
    found = member(group, path)
    if not isinstance(found, h5py.Dataset) or found.size != 1:
        return None
    _check_plain(found)
    check_size(found, found.dtype.itemsize)
    return as_text(np.ravel(np.asarray(found[()], dtype=object))[0])
