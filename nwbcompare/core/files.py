"""Output files that appear complete or not at all, and checksums of inputs."""

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

# Windows has no such locks: there, leftovers of killed writers are never removed
LOCKS: Any = import_module("fcntl") if os.name == "posix" else None
DISK_ERRORS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS")
    if hasattr(errno, name)
}
"""Error numbers of a disk that is full, over its quota, read-only or failing."""
MOST_NAME_BYTES = 255
"""Limit of file systems for the name of a file or folder (bytes)."""
ROOM_BYTES = 40
"""Room for what temporary folders add to a name (bytes)."""


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Check that an output can be written, before any work is done for it.

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
        If the path exists and may not be replaced, is neither a plain file nor a folder (a
        device, a pipe, a broken link), or its folder is not writable.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_output(f"{folder}/tv.csv").name
    'tv.csv'
    """
    path = check_name(path)
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
    # parents that do not exist yet will be created
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(path, f"{folder}, which is not a writable folder")
    return path


def check_name(path: str | os.PathLike[str], kind: str = "a path") -> Path:
    """Check that a path is one that a file system can hold; return it.

    Examples
    --------
    >>> check_name("a" * 300)
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: 'aaaaaaaa...': expected a path of names of at most 255 \
bytes, without the character NUL, got one of 300 bytes. Check the path.
    """
    path = Path(path)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > MOST_NAME_BYTES or "\0" in str(path):
        text = str(path)
        raise InputError(
            repr(text if len(text) < MOST_NAME_BYTES else f"{text[:8]}..."),
            f"{kind} of names of at most {MOST_NAME_BYTES} bytes, without the character NUL",
            f"one of {longest} bytes" if longest > MOST_NAME_BYTES else "one with it",
            "Check the path.",
        )
    return path


def file_name(name: str) -> str:
    """Return a name from data as the name of a file, which stays in its folder.

    Parameters
    ----------
    name
        Any text, such as the name of a recording.

    Examples
    --------
    >>> file_name("monkey A/day 1"), file_name("..")
    ('monkey A_day 1', '_..')
    """
    plain = "".join("_" if c in "/\\" or not c.isprintable() else c for c in name)
    if plain.startswith(".") or not plain:
        plain = f"_{plain}"
    as_bytes = plain.encode()
    if len(as_bytes) <= MOST_NAME_BYTES // 2:
        return plain
    # room for what is written beside it; the checksum tells long names apart
    short = as_bytes[: MOST_NAME_BYTES // 2].decode(errors="ignore")
    return f"{short}-{zlib.crc32(as_bytes):08x}"


def check_file(path: str | os.PathLike[str], kind: str) -> Path:
    """Check that an input file exists; return its path.

    Examples
    --------
    >>> check_file("no.nwb", "an NWB file")
    Traceback (most recent call last):
    nwbcompare.core.errors.InputError: no.nwb: expected an NWB file, got nothing there. ...
    """
    path = check_name(path, kind)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(str(path), kind, got, "Check the path.")
    return path


def check_output_folder(
    path: str | os.PathLike[str],
    *,
    kind: str,
    is_kind: Callable[[Path], bool],
    overwrite: bool = False,
) -> Path:
    """Check that an output folder can be written, before any work is done for it.

    Parameters
    ----------
    path
        The folder to be written.
    kind
        Its content in a word, for the message, e.g. "run".
    is_kind
        Function that returns whether an existing folder has this content.
    overwrite
        Whether an existing folder of this kind may be replaced.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        As `check_output`, and if a file or a folder of another kind would be deleted.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = check_output_folder(f"{folder}/run", kind="run", is_kind=Path.is_dir)
    ...     path.name
    'run'
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
    """Yield a temporary path beside ``path``, renamed to ``path`` if the block succeeds.

    The output may be a file or a folder. An error, a full disk, an interrupt or a termination
    signal (SIGTERM) leaves no new file, and an earlier output unchanged. A killed process leaves a
    hidden folder, which the next writer of the same path removes. If ``path`` is a link, its
    target is written.

    Parameters
    ----------
    path
        The final path.
    overwrite
        Whether an existing output may be replaced.

    Yields
    ------
    pathlib.Path
        A path that does not exist yet, with the same name, on the same file system.

    Raises
    ------
    InputError
        As `check_output`.
    OutputError
        If the disk is full, over its quota, or fails.

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
    # a link stays a link: its target is replaced
    path = Path(os.path.realpath(check_output(path, overwrite=overwrite)))
    scratch, lock = None, None
    try:
        with _uninterrupted():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(path)
                scratch, lock = _scratch_folder(path)
            except OSError as error:
                raise not_written(path, error) from error
        aside = scratch / path.name
        with _ended_by_an_exception():
            yield aside
            # a signal that arrives after the move must not leave the temporary folder
            with _uninterrupted():
                # another writer may have finished first
                check_output(path, overwrite=overwrite)
                _move_into_place(aside, path, scratch)
                shutil.rmtree(scratch, ignore_errors=True)
    except Exception as error:
        if (cause := _disk_error(error)) is not None:
            raise full_disk(path, cause) from error
        raise
    finally:
        with _uninterrupted():
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _disk_error(error: BaseException | None) -> OSError | None:
    """Return the error of a disk among an error and its causes; None if there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        error = error.__cause__ or error.__context__
    return None


def not_written(path: Path, error: OSError) -> InputError | OutputError:
    """Return the error for a failed write, by whether the disk or a permission is the cause.

    Examples
    --------
    >>> type(not_written(Path("run"), OSError(errno.ENOSPC, ""))).__name__
    'OutputError'
    """
    return (full_disk if error.errno in DISK_ERRORS else unwritable)(path, error)


def unwritable(path: Path, error: object) -> InputError:
    """Return the error for a path without permission to write.

    Examples
    --------
    >>> unwritable(Path("run"), PermissionError("Permission denied")).got
    'Permission denied'
    """
    return InputError(
        str(path),
        "a path in a folder that can be written",
        str(error),
        "Choose another path, or change the folder's permissions.",
    )


def full_disk(path: Path, error: OSError) -> OutputError:
    """Return the error for a path on a disk that is full, over its quota, or fails.

    Examples
    --------
    >>> print(full_disk(Path("a/run"), OSError(errno.ENOSPC, "")))
    a/run: not written: No space left on device. What was there is unchanged. Free space in a, or \
choose another path.
    """
    return OutputError(
        f"{path}: not written: {os.strerror(error.errno or 0)}. What was there is unchanged. Free "
        f"space in {path.parent}, or choose another path."
    )


@contextmanager
def folder_in_progress(
    path: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """Yield the folder for long work: ``path``, or a hidden folder that will replace it.

    If ``path`` exists and is to be replaced, the work is done in a hidden folder beside it, which
    takes its name if the block succeeds: an earlier output stays until the new one is complete.
    After an interrupt the work can be resumed there.

    Parameters
    ----------
    path
        The final folder.
    resume
        Whether to resume an interrupted replacement; else it is deleted.
    overwrite
        Whether an existing folder is to be replaced.

    Yields
    ------
    pathlib.Path
        The folder to work in; it exists only if there is work to resume.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with folder_in_progress(f"{folder}/run") as place:
    ...         place.mkdir()
    ...     place.name
    'run'
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
    with _uninterrupted():
        path.rename(old)
        aside.rename(path)
        shutil.rmtree(old, ignore_errors=True)


REPLACED = "replaced"
"""Name of an earlier folder while another takes its place."""


def _move_into_place(aside: Path, path: Path, scratch: Path) -> None:
    if path.is_dir():
        # a folder cannot be replaced in one step: the old one is renamed first
        path.rename(scratch / REPLACED)
    aside.replace(path)


def _prefix(path: Path) -> str:
    # locks count within one machine only: machines that share a folder have names of their own
    host = zlib.crc32(platform.node().encode())
    name = path.name
    if len(os.fsencode(name)) > MOST_NAME_BYTES - ROOM_BYTES:
        # the whole name would be too long with what is added to it
        name = f"{zlib.crc32(os.fsencode(name)):08x}"
    return f".{name}.writing-{host:08x}-"


def _scratch_folder(path: Path) -> tuple[Path, int | None]:
    """Create a folder beside a path, locked until this process ends; return it and the lock."""
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        if LOCKS is None:
            return scratch, None
        with suppress(FileNotFoundError):
            lock = os.open(scratch, os.O_RDONLY)
            with suppress(OSError):
                # not every file system has locks; there, leftovers are never removed
                LOCKS.flock(lock, LOCKS.LOCK_EX)
            if scratch.exists():
                return scratch, lock
            # another writer removed it as a leftover before it was locked
            os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """Remove the folders that killed writers of a path have left: those without a lock."""
    if LOCKS is None:
        return
    for folder in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                LOCKS.flock(lock, LOCKS.LOCK_EX | LOCKS.LOCK_NB)
                # an earlier output in it may be the only copy
                if not (folder / REPLACED).exists():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _ended_by_an_exception() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
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
    """Delay interrupts and termination signals until the block ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    before = {n: handler for n, handler in handlers.items() if handler is not None}
    delayed: list[int] = []
    is_delaying = True

    def handle(number: int, _frame: Any) -> None:
        if is_delaying:
            delayed.append(number)
        else:
            # arrived while the handlers are restored
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    try:
        for number in before:
            signal.signal(number, handle)
        yield
    finally:
        is_delaying = False
        for number, handler in before.items():
            signal.signal(number, handler)
        for arrived in delayed:
            signal.raise_signal(arrived)


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_bytes(b"")
    ...     sha256_of_file(path)[:8]
    'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_set(digests: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for a set of named files.

    It is the digest of the output of ``sha256sum`` for the files, sorted by name, and so can be
    computed without this package.

    Parameters
    ----------
    digests
        Pairs of a file's name and its SHA-256.

    Examples
    --------
    >>> sha256_of_set([("a.mat", "e3b0"), ("b.mat", "1f40")])[:8]
    'bfdfe23c'
    """
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()
