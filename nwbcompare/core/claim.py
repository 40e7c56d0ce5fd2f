"""One writer a folder: a lock that says who writes, and since when."""

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
from nwbcompare.core.files import DISK_ERRORS, LOCKS, full_disk, unwritable

HEARTBEAT_S, SILENT_S = 30.0, 300.0
"""A holder touches its lock every so often; one of another machine that is silent has died."""
WAIT_S, TRY_EVERY_S = 5.0, 0.1
"""Workers of a killed process end within a second: they are waited for."""


@dataclass(frozen=True)
class Holder:
    """Who holds a folder."""

    pid: int
    host: str
    since: str
    started: float
    """When its process began (s since 1970), which tells it from a later one of its number."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @property
    def is_gone(self) -> bool:
        """Whether it is a process of this machine that has ended."""
        if self.host != platform.node():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) > 1)
        except psutil.Error:
            return True


@contextmanager
def claimed(path: str | os.PathLike[str], *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold a folder, so that no other process writes to it.

    The lock is a hidden file beside the folder, with the process, its machine and the time. It
    is held by the system for as long as the process lives, also where that is killed. On file
    systems without such locks, and between machines, the file itself counts: it is taken over
    where its process has ended, or was silent for five minutes on another machine.

    Parameters
    ----------
    path
        The folder, which need not exist.
    wait_s
        How long to wait for another holder (s).

    Raises
    ------
    InputError
        Where another process holds it; the message says which. Where no lock can be made beside it.
    OutputError
        Where the disk is full.

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
        file.unlink(missing_ok=True)
        os.close(handle)


def _wait_for(path: Path, file: Path, wait_s: float) -> int:
    """Take the lock of a folder, or say who holds it."""
    give_up = time.monotonic() + wait_s
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        while (handle := _take(file)) is None:
            if time.monotonic() > give_up:
                raise InputError(
                    str(path),
                    "a folder that no other process writes to",
                    f"one that is held by {_holder(file) or 'another process'}",
                    f"Wait until that has ended, or choose another folder ({file.name} is its "
                    "lock).",
                )
            time.sleep(TRY_EVERY_S)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise full_disk(file, error) from error
        raise unwritable(path, error) from error
    return handle


def held_by(path: str | os.PathLike[str]) -> str:
    """Say which process holds a folder; empty where none is known to.

    Parameters
    ----------
    path
        The folder; see `claimed`.
    """
    path = Path(os.path.realpath(path))
    holder = _holder(path.with_name(f".{path.name}.lock"))
    return "" if holder is None or holder.is_gone else f"held by {holder}"


def _take(file: Path) -> int | None:
    """Make a lock's file and hold it; None where there is one already."""
    try:
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
    os.write(handle, json.dumps(asdict(me)).encode())
    return handle


def _remove_abandoned(file: Path) -> None:
    """Remove a lock whose process has ended, so that it can be taken anew."""
    with suppress(FileNotFoundError):
        handle = os.open(file, os.O_RDWR)
        try:
            # whoever holds the system's lock alone may look: nobody removes what another has taken
            locked = _lock(handle, wait=False)
            abandoned = locked is not False and _is_abandoned(file, locked=bool(locked))
            if abandoned and os.path.samestat(os.fstat(handle), file.stat()):
                file.unlink()
        finally:
            os.close(handle)


def _is_abandoned(file: Path, *, locked: bool) -> bool:
    holder, silent_s = _holder(file), time.time() - file.stat().st_mtime
    if holder is None:
        # its process may be about to write who it is
        return silent_s > WAIT_S
    if holder.host == platform.node():
        return locked or holder.is_gone
    return silent_s > SILENT_S


def _lock(handle: int, *, wait: bool) -> bool | None:
    """Take the system's lock of an open file; False where it is held, None where there is none."""
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
    """Read who holds a lock; None where its file does not say."""
    try:
        return Holder(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _beat(file: Path, ended: threading.Event) -> None:
    """Touch a lock's file until told to end."""
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):
            os.utime(file)
