"""Files: outputs that appear whole or not at all, and checksums of inputs."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import platform
import shutil
import signal
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError, OutputError

# Windows has no such locks: there nothing is ever taken for abandoned
LOCKS: Any = import_module("fcntl") if os.name == "posix" else None
DISK_ERRORS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS")
    if hasattr(errno, name)
}
"""What the system says of a disk that is full, over its quota, or fails."""


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
        Where the path exists and may not be replaced, is neither a plain file nor a folder (a
        device, a pipe, a link to nothing), or its folder cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path) and not (path.is_file() or path.is_dir()):
        raise InputError(
            str(path),
            "a plain file, a folder, or a path that does not exist yet",
            "a link to nothing" if path.is_symlink() and not path.exists() else "a device or pipe",
            "Choose another path.",
        )
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
    An error, a full disk, an interrupt or a request to end (SIGTERM) leaves nothing behind and an
    earlier output as it was. What a killed process leaves is a hidden folder, which the next
    writer of the same path removes. Where ``path`` is a link, what it points to is written.

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

    Raises
    ------
    InputError
        As `check_output`.
    OutputError
        Where the disk is full, over its quota, or fails.

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
    path = Path(os.path.realpath(check_output(path, overwrite=overwrite)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        scratch, held = _scratch_folder(path)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise full_disk(path, error) from error
        raise unwritable(path, error) from error
    aside = scratch / path.name
    try:
        with _ended_by_an_exception():
            yield aside
            # another writer may have been faster
            check_output(path, overwrite=overwrite)
            _move_into_place(aside, path, scratch)
    except Exception as error:
        if (cause := _disk_error(error)) is not None:
            raise full_disk(path, cause) from error
        raise
    finally:
        with _uninterrupted():
            shutil.rmtree(scratch, ignore_errors=True)
            if held is not None:
                os.close(held)


def _disk_error(error: BaseException | None) -> OSError | None:
    """Find what a disk said among an error and those that it came from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        error = error.__cause__ or error.__context__
    return None


def unwritable(path: Path, error: OSError) -> InputError:
    """Return the error for a path that the system does not let be written."""
    return InputError(
        str(path),
        "a path in a folder that can be written",
        str(error),
        "Choose another path, or change the folder's permissions.",
    )


def full_disk(path: Path, error: OSError) -> OutputError:
    """Return the error for a path on a disk that is full, over its quota, or fails."""
    return OutputError(
        f"{path}: not written: {os.strerror(error.errno or 0)}. What was there is unchanged. Free "
        f"space in {path.parent}, or choose another path."
    )


@contextmanager
def folder_in_progress(
    path: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """Give the folder in which long work goes on: ``path``, or its replacement beside it.

    Where ``path`` exists and is to be replaced, the work goes on in a hidden folder beside it,
    which takes its name when all went well: an earlier output stays until the new one is whole.
    What an interrupt leaves there can be gone on with.

    Parameters
    ----------
    path
        The final folder.
    resume
        Whether to go on with an interrupted replacement.
    overwrite
        Whether an existing folder is to be replaced.

    Yields
    ------
    pathlib.Path
        The folder to work in; it exists only where something is to be gone on with.
    """
    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.replacement")
    old = path.with_name(f".{path.name}.{REPLACED}")
    if aside.is_dir() and old.is_dir() and not path.exists():
        # killed between the two steps in which a folder takes the place of another
        aside.rename(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
    if not overwrite or not path.is_dir() or not any(path.iterdir()):
        yield path
        return
    if not resume:
        shutil.rmtree(aside, ignore_errors=True)
    try:
        yield aside
    except BaseException as error:
        if aside.is_dir():
            error.add_note(
                f"{path} is as it was. Its replacement is unfinished, in {aside}: go on with it "
                "with --resume --overwrite."
            )
        raise
    path.rename(old)
    aside.rename(path)
    shutil.rmtree(old, ignore_errors=True)


REPLACED = "replaced"


def _move_into_place(aside: Path, path: Path, scratch: Path) -> None:
    if path.is_dir():
        # A folder cannot be replaced in one step: the old one steps aside first.
        path.rename(scratch / REPLACED)
    aside.replace(path)


def _prefix(path: Path) -> str:
    # a lock tells of processes of one machine only, where folders are shared by several
    host = zlib.crc32(platform.node().encode())
    return f".{path.name}.writing-{host:08x}-"


def _scratch_folder(path: Path) -> tuple[Path, int | None]:
    """Make a folder beside a path, locked for as long as this process lives."""
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        if LOCKS is None:
            return scratch, None
        with suppress(FileNotFoundError):
            held = os.open(scratch, os.O_RDONLY)
            with suppress(OSError):
                # not every file system has locks; then nothing is ever taken for abandoned
                LOCKS.flock(held, LOCKS.LOCK_EX)
            if scratch.exists():
                return scratch, held
            # another writer took it for abandoned before it was locked
            os.close(held)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of a path have left: folders that nobody holds locked."""
    if LOCKS is None:
        return
    for folder in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                LOCKS.flock(held, LOCKS.LOCK_EX | LOCKS.LOCK_NB)
                # an earlier folder that stepped aside may be the only copy
                if not (folder / REPLACED).exists():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)


@contextmanager
def _ended_by_an_exception() -> Iterator[None]:
    """Have SIGTERM end the process as an exception, so that what is open is tidied up."""
    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let interrupts and requests to end be heard after the tidying up, not in the middle of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not None]
    before = {n: signal.signal(n, lambda number, _: heard.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in heard:
            signal.raise_signal(late)


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
