"""Files: outputs that appear whole or not at all, and checksums of inputs."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nwbcompare.errors import InputError


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse an output path before any work is done for it.

    Parameters
    ----------
    path
        The file or folder to be written.
    overwrite
        Whether an existing one may be replaced.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        Where the path exists and may not be replaced, or its folder cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError(
            str(path),
            "a path that does not exist yet",
            "an existing " + ("folder" if path.is_dir() else "file"),
            "Choose another path, or pass overwrite=True (--overwrite).",
        )
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            str(path),
            "a path in a folder that can be written",
            f"{folder}, which is not a writable folder",
            "Choose another path, or change the folder's permissions.",
        )
    return path


def check_output_folder(
    path: str | os.PathLike[str],
    *,
    kind: str,
    is_kind: Callable[[Path], bool],
    overwrite: bool = False,
) -> Path:
    """Refuse an output folder before any work; only one of its own kind is ever replaced.

    Parameters
    ----------
    path
        The folder to be written.
    kind
        What it will hold, in a word.
    is_kind
        Tells whether an existing folder holds that.
    overwrite
        Whether an existing one of this kind may be replaced.

    Raises
    ------
    InputError
        As `check_output`, and where a file or a folder of another kind would be deleted.
    """
    path = check_output(path, overwrite=overwrite)
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not empty and not is_kind(path):
        raise InputError(
            str(path),
            f"a new or empty folder, or a {kind} to replace",
            f"an existing {'folder' if path.is_dir() else 'file'} that is no {kind}",
            "Choose another folder: overwriting would delete what is there.",
        )
    return path


@contextmanager
def written_aside(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes the final name when all went well.

    Works for a file or a folder: whatever the caller makes at the temporary path is moved.
    An error leaves nothing behind and an earlier output as it was.

    Parameters
    ----------
    path
        The final path.
    overwrite
        Whether an existing output may be replaced.

    Yields
    ------
    pathlib.Path
        A path that does not exist yet, with the same suffix, on the same file system.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(Path(folder) / "tv.csv") as aside:
    ...         _ = aside.write_text("unit,tv")
    ...     (Path(folder) / "tv.csv").read_text()
    'unit,tv'
    """
    path = check_output(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(
            str(path),
            "a path in a folder that can be written",
            str(error),
            "Choose another path, or change the folder's permissions.",
        ) from error
    aside = scratch / path.name
    try:
        yield aside
        _move_into_place(aside, path, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_into_place(aside: Path, path: Path, scratch: Path) -> None:
    if path.is_dir():
        # A folder cannot be replaced in one step: the old one steps aside first.
        path.rename(scratch / "replaced")
    aside.replace(path)


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_set(digests: Iterable[tuple[str, str]]) -> str:
    """Give one SHA-256 for a set of named files.

    It is the digest of the text that ``sha256sum`` prints for them, sorted by name, so that
    anyone can compute it again without this package.

    Parameters
    ----------
    digests
        Pairs of a file's name and its own SHA-256.
    """
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()
