"""A lock that keeps a folder to one writing process."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import LOCKS, not_written

HEARTBEAT_S, SILENT_S = 30.0, 300.0
"""Interval (s) at which a process touches its lock file, and age (s) of the last touch from which a
process on another machine counts as ended."""
WAIT_S, TRY_EVERY_S = 5.0, 0.1
"""Time to wait for a lock (s), longer than the workers of a killed process take to end (1 s), and
interval between attempts (s)."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes
    ----------
    pid, host
        Number of the process, and name of its machine.
    since
        Time of the lock, as text.
    started
        Start of the process (s since 1970). Numbers of processes are used again: a later process
        of the same number has another start.
    """

    pid: int
    host: str
    since: str
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine, and has ended."""
        if self.host != platform.node():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) > 1)
        except psutil.Error:
            return True


@contextmanager
def claimed(path: str | os.PathLike[str], *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Lock a folder, so that no other process writes to it.

    The lock is a hidden file beside the folder, which names the process, its machine and the time.
    The operating system also locks that file until the process ends, even if it is killed. On
    file systems without such locks, and between machines, the file alone counts: it is replaced if
    its process has ended or, on another machine, has not touched it for five minutes.

    Parameters
    ----------
    path
        The folder, which need not exist.
    wait_s
        Time to wait for another process to release the lock (s).

    Raises
    ------
    InputError
        If another process, which the message names, holds the lock, or the lock file cannot be
        written.
    OutputError
        If the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with claimed(f"{folder}/run"):
    ...         [file.name for file in Path(folder).iterdir()]
    ['.run.lock']
    """
    path = Path(os.path.realpath(path))
    file = path.with_name(f".{path.name}.lock")
    handle = _wait_for(path, file, wait_s)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(file, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        # unlinked while locked: a process that waits cannot lock a file that is about to vanish
        file.unlink(missing_ok=True)
        os.close(handle)


def _wait_for(path: Path, file: Path, wait_s: float) -> int:
    """Return the handle of the lock file; an error names the process that holds it."""
    deadline = time.monotonic() + wait_s
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        while (handle := _take(file)) is None:
            if time.monotonic() > deadline:
                raise InputError(
                    str(path),
                    "a folder that no other process writes to",
                    f"one that is held by {_holder(file) or 'another process'}",
                    f"Wait until that has ended, or choose another folder ({file.name} is its "
                    "lock).",
                )
            time.sleep(TRY_EVERY_S)
    except OSError as error:
        raise not_written(path, error) from error
    return handle


def held_by(path: str | os.PathLike[str]) -> str:
    """Return which process holds the lock of a folder, as text; "" if none does.

    Parameters
    ----------
    path
        The folder; see `claimed`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     held_by(f"{folder}/run")
    ''
    """
    path = Path(os.path.realpath(path))
    holder = _holder(path.with_name(f".{path.name}.lock"))
    return "" if holder is None or holder.is_gone else f"held by {holder}"


def _take(file: Path) -> int | None:
    """Create a lock file and lock it; return None if it exists already."""
    try:
        # creation fails if the file exists: of two processes one succeeds, also without locks
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        _remove_abandoned(file)
        return None
    _lock(handle, wait=True)
    me = Holder(
        pid=os.getpid(),
        host=platform.node(),
        since=datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
        started=psutil.Process().create_time(),
    )
    try:
        os.write(handle, json.dumps(asdict(me)).encode())
    except OSError:
        # on a full disk: an empty lock file would hold up the next process
        file.unlink()
        os.close(handle)
        raise
    return handle


def _remove_abandoned(file: Path) -> None:
    """Remove the lock file of a process that has ended."""
    with suppress(FileNotFoundError):
        handle = os.open(file, os.O_RDWR)
        try:
            # only a process that locks the file may remove it, so that none removes a new lock
            locked = _lock(handle, wait=False)
            abandoned = locked is not False and _is_abandoned(file, locked=bool(locked))
            if abandoned and os.path.samestat(os.fstat(handle), file.stat()):
                file.unlink()
        finally:
            os.close(handle)


def _is_abandoned(file: Path, *, locked: bool) -> bool:
    holder, silent_s = _holder(file), time.time() - file.stat().st_mtime
    if holder is None:
        # its process may not have written its name yet
        return silent_s > WAIT_S
    if holder.host == platform.node():
        return locked or holder.is_gone
    return silent_s > SILENT_S


def _lock(handle: int, *, wait: bool) -> bool | None:
    """Lock an open file: False if another process holds it, None on systems without locks."""
    if LOCKS is None:
        return None
    try:
        LOCKS.flock(handle, LOCKS.LOCK_EX if wait else LOCKS.LOCK_EX | LOCKS.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # not every file system has locks
        return None
    return True


def _holder(file: Path) -> Holder | None:
    """Read the process that holds a lock; None if its file does not name one."""
    try:
        return Holder(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _beat(file: Path, ended: threading.Event) -> None:
    """Touch a lock file at intervals until the lock is released."""
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):
            os.utime(file)
