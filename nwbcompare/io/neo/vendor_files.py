"""Files of recording systems, read by neo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.io.neo.neo_blocks import from_neo
from nwbcompare.io.optional import require

ELSEWHERE = {
    "pkl": "Pickles execute code when they are read: have it saved in another format, e.g. Nix.",
    "nwb": "Open it with nwbcompare.open, without trials.",
    "mat": "Read it with nwbcompare.from_mat, which takes a mapping of names.",
}
ELSEWHERE["pickle"] = ELSEWHERE["pkl"]
"""Suffixes that are not read by neo, with the remedy."""
NOT_READERS = {"PickleIO", "NWBIO", "ExampleIO", "NeoMatlabIO", "RawBinarySignalIO"}
"""neo's readers that execute code, are unreliable, make up data, or accept any bytes as samples."""
MOST_HASHED_BYTES = 2**30
"""Size above which no checksum is computed, since it would take seconds (bytes)."""


def open_vendor(
    path: str | os.PathLike[str],
    *,
    trials: str | Mapping[str, str] | None = None,
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
        suffix are tried in turn. Pickles and NWB files are never read by neo.
    **options
        Further options of `nwbcompare.from_neo`.

    Returns
    -------
    xarray.DataTree
        One block.

    Raises
    ------
    ImportError
        If neo, or a package that its reader needs, is not installed.
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
    options.setdefault("name", block.name or path.stem)
    return from_neo(block, trials=trials, provenance={"file": file}, **options)


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
            failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if n_blocks != 1:
            raise InputError(
                str(path),
                "a file with one block",
                f"{n_blocks} blocks",
                "Read it with neo, and pass one block to nwbcompare.from_neo.",
            )
        return block, name
    raise InputError(
        str(path),
        "a file that neo can read",
        f"one on which its readers fail ({'; '.join(failures)})",
        "It is damaged, truncated or of another kind; name the right reader with reader=....",
    )


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
    try:
        names = dict.fromkeys(candidate.__name__ for candidate in io.list_candidate_ios(path))
    # neo raises this for suffixes that no reader has
    except ValueError:
        names = {}
    candidates = [readers[name] for name in names if name in readers]
    if not candidates:
        raise InputError(
            str(path),
            f"a file that neo reads: {listing(sorted(readers), most=60)}",
            f"a .{suffix} file" if suffix else "another",
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
