"""Files of recording systems, read by neo."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import xarray as xr

from nwbcompare.core.errors import InputError, MissingPackageError, listing, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.io.columns import Table
from nwbcompare.io.neo.neo_blocks import from_neo
from nwbcompare.io.optional import require

ELSEWHERE = {
    "pkl": "Pickles execute code when they are read: have it saved in another format, e.g. Nix.",
    "nwb": "Open it with nwbcompare.open, without trials.",
    "mat": "Read it with nwbcompare.from_mat, which takes a mapping of names.",
    "pl2": "neo reads it with a Windows library, which it downloads: nothing is downloaded here. "
    "Save it as .plx or .nex with Plexon's programs, or read it with neo and pass the block to "
    "nwbcompare.from_neo.",
}
ELSEWHERE["pickle"] = ELSEWHERE["pkl"]
"""Suffixes that are not read by neo, with the remedy."""
NOT_READERS = {
    "PickleIO",
    "NWBIO",
    "ExampleIO",
    "NeoMatlabIO",
    "RawBinarySignalIO",
    "Plexon2IO",
}
"""neo's readers that execute code, are unreliable, make up data, accept any bytes as samples, or
download a library."""
FOLDERS = {
    "NeuralynxIO": ("*.ncs", "*.nse", "*.ntt"),
    "PhyIO": ("spike_times.npy",),
    "TdtIO": ("*.tsq", "*.tbk"),
    "AlphaOmegaIO": ("*.mpx", "*.lsx"),
    "OpenEphysBinaryIO": ("*structure.oebin",),
    "OpenEphysIO": ("*.continuous", "*.openephys"),
    "SpikeGLXIO": ("*.ap.meta", "*.lf.meta"),
    "KlustaKwikIO": ("*.clu.*",),
    "MedIO": ("*.rdat", "*.ridx"),
}
"""For neo's readers of folders, the files that tell a folder of theirs."""
PACKAGE = re.compile(
    r"No module named '(?P<module>\w+)|[Rr]equires (?P<package>\w+)|pip install `?(?P<pip>[\w-]+)|"
    r"(?P<first>\w+) (?:is not|must be) installed"
)
"""How neo's readers say that a package is missing."""
MOST_HASHED_BYTES = 2**30
"""Size above which no checksum is computed, since it would take seconds (bytes)."""


def open_vendor(
    path: str | os.PathLike[str],
    *,
    trials: str | Table | None = None,
    reader: str | None = None,
    **options: Any,
) -> xr.DataTree:
    """Open a file or folder of a recording system that neo reads.

    Spikes and samples are read when rates are indexed, if neo's reader supports that.

    Parameters
    ----------
    path
        The file, or the folder of a system that writes several files.
    trials
        Definition of trials; see `nwbcompare.from_neo`.
    reader
        Name of neo's reader, e.g. "AsciiSpikeTrainIO"; by default, all readers for the file's
        suffix are tried in turn, and folders are told by the files in them. Pickles and NWB files
        are never read by neo, and nothing is ever downloaded.
    **options
        Further options of `nwbcompare.from_neo`.

    Returns
    -------
    xarray.DataTree
        One block.

    Raises
    ------
    MissingPackageError
        If neo, or a package that its reader needs, is not installed (an ``ImportError`` too).
    InputError
        If the path does not exist, the suffix or the reader is not one of neo's, no reader can
        read the file, or it has several blocks; and as `from_neo`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from neo.io import NixIO
    >>> from nwbcompare.io import to_neo
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "example.nix"
    ...     with NixIO(str(path), mode="ow") as io:
    ...         io.write_block(to_neo(example_block()))
    ...     activity = open_vendor(path, trials="segments", signal="rates")
    >>> dict(activity["example"].sizes)
    {'trial': 8, 'time': 5, 'unit': 3, 'epoch': 2}
    """
    path = Path(path)
    require("neo")
    block, reader_name = _read(path, reader)
    file = {"name": path.name, "reader": reader_name}
    if path.is_file() and path.stat().st_size <= MOST_HASHED_BYTES:
        file["sha256"] = sha256_of_file(path)
    # neo calls the block of a folder "Block #0"
    options.setdefault("name", path.name if path.is_dir() else block.name or path.stem)
    return from_neo(block, trials=trials, provenance={"file": file}, **options)


def folder_readers(path: Path) -> list[str]:
    """Return the names of neo's readers for a folder, by the files in it; without importing neo.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "CSC1.Ncs").touch()
    ...     folder_readers(Path(folder))
    ['NeuralynxIO']
    """
    files = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    # vendors' programs write suffixes with and without capitals
    return [
        reader
        for reader, patterns in FOLDERS.items()
        if any(fnmatch(file.lower(), pattern) for pattern in patterns for file in files)
    ]


def _read(path: Path, reader: str | None) -> tuple[Any, str]:
    """Return the only block of a file, and the name of the first reader that can read it."""
    failures = []
    # several readers may claim a suffix: the first that succeeds counts
    for candidate in _candidates(path, reader):
        name = candidate.__name__
        try:
            n_blocks, block = _read_lone_block(candidate, path)
        # neo's readers raise errors of any type on damaged bytes
        except Exception as error:
            # in words: an error that is kept would keep the reader's files open
            failures.append(
                _Failure(
                    f"{name}: {type(error).__name__}: {error}",
                    _remedy(name, error),
                    _missing_package(error) is not None,
                )
            )
            continue
        if n_blocks != 1:
            raise InputError(
                str(path),
                "a file with one block",
                f"{n_blocks} blocks",
                "Read it with neo, and pass one block to nwbcompare.from_neo.",
            )
        return block, name
    raise _unread(path, failures)


@dataclass(frozen=True)
class _Failure:
    """Why a reader of neo's failed, what to do, and whether a package is missing."""

    reason: str
    remedy: str
    is_missing: bool


def _unread(path: Path, failures: Sequence[_Failure]) -> InputError:
    """Return the error for a file on which all readers fail."""
    missing = all(failure.is_missing for failure in failures)
    return (MissingPackageError if missing else InputError)(
        str(path),
        "a file that neo can read",
        f"one on which its readers fail ({'; '.join(failure.reason for failure in failures)})",
        " ".join(dict.fromkeys(failure.remedy for failure in failures)),
    )


def _remedy(reader: str, error: Exception) -> str:
    """Return what to do after an error of a reader: not every error is one of the file."""
    if package := _missing_package(error):
        return f"neo's {reader} needs a package: pip install {package}."
    if "numpy" in str(error).lower() and isinstance(error, AttributeError | TypeError):
        return (
            f"neo's {reader} does not work with numpy {np.__version__}: upgrade neo, or read the "
            "file in an environment with an older numpy, and save it as Nix."
        )
    if isinstance(error, URLError | ConnectionError | TimeoutError):
        return f"neo's {reader} needs the network, which cannot be reached."
    return "It is damaged, truncated or of another kind; name the right reader with reader=...."


def _missing_package(error: Exception) -> str | None:
    """Return the package that is missing, or None if the error has another cause."""
    found = PACKAGE.search(str(error))
    if found is not None and (isinstance(error, ImportError) or "equires" in found[0]):
        return next(name for name in found.groups() if name)
    return getattr(error, "name", None) if isinstance(error, ImportError) else None


def _candidates(path: Path, reader: str | None) -> list[Any]:
    """Return the readers of neo for a path."""
    if not path.exists():
        raise InputError(str(path), "a file or folder", "nothing there", "Check the path.")
    io = require("neo.io")
    suffix = path.suffix[1:].lower()
    if suffix in ELSEWHERE:
        raise InputError(
            str(path), "a file of a recording system", f"a .{suffix} file", ELSEWHERE[suffix]
        )
    # reversed, so that of two readers of one name the first in neo's list stays
    readers = {candidate.__name__: candidate for candidate in reversed(io.iolist)}
    for name in NOT_READERS:
        readers.pop(name, None)
    if reader is not None:
        if reader not in readers:
            raise unknown_name("reader", reader, sorted(readers))
        return [readers[reader]]
    names: Iterable[str] = folder_readers(path)
    if path.is_file():
        try:
            names = dict.fromkeys(candidate.__name__ for candidate in io.list_candidate_ios(path))
        # neo raises this for suffixes that no reader has
        except ValueError:
            names = ()
    candidates = [readers[name] for name in names if name in readers]
    if not candidates:
        raise InputError(
            str(path),
            f"a file that neo reads: {listing(sorted(readers), most=60)}",
            "another folder" if path.is_dir() else f"a .{suffix} file" if suffix else "another",
            "Name the reader with reader=....",
        )
    return candidates


def _read_lone_block(reader: Any, path: Path) -> tuple[int, Any]:
    """Return the number of blocks in a file, and the block if there is one; lazy if possible."""
    if reader.__name__ == "NixIO":
        # any other mode writes to the file
        with reader(str(path), mode="ro") as file:
            n_blocks = len(file.nix_file.blocks)
            return n_blocks, file.read_block(index=0) if n_blocks == 1 else None
    # some readers take the folder of the file
    folder = reader.mode == "dir" and path.is_file()
    file = reader(str(path.parent if folder else path))
    if getattr(reader, "support_lazy", False):
        n_blocks = file.block_count()
        return n_blocks, file.read_block(lazy=True) if n_blocks == 1 else None
    if hasattr(file, "read_block") and require("neo").Block in reader.readable_objects:
        return 1, file.read_block()
    return 1, file.read_segment()
