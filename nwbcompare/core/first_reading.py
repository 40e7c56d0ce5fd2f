"""Files of others are read first in a process of their own, which may crash or hang in their place.

Libraries that read a damaged file can end the process or never return. One process for each program
reads such files before the program does: it is started with the first file, serves all others,
and is replaced where a file ends it. It ends with the program: its input is closed then, and
its limit of processor time ends it where it never looks at its input again.

It is started as a new interpreter, since a fork of a program with threads can stand still, and
multiprocessing would run the user's script a second time.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import psutil

from nwbcompare.core.errors import ExplainedError, InputError

# Windows has no limits of resources
RESOURCE: Any = import_module("resource") if os.name == "posix" else None
LEAST_S = 3.0
"""Processor time that any file may take (s). Sound ones of a few megabytes take 0.01 s."""
BYTES_PER_S = 2_000_000
"""Bytes of a file for which a second is added: a tenth of the slowest reading of a sound file."""
START_S = 60.0
"""Elapsed time that the start of the process may take (s)."""
PATIENCE = 10
"""Elapsed time allowed, as a multiple of processor time, since a machine may be busy."""
MOST_MEMORY = 8_000_000_000
"""Memory that reading one file may take (bytes): thrice the largest variable of MATLAB 5."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Threads of the numerical libraries would only take address space."""

Reading = Callable[..., object]


def read_first(read: Reading, path: Path, expected: str, *names: str) -> None:
    """Read a file in another process, and raise an error where that fails, crashes or hangs.

    A file that has not changed since is not read again.

    Parameters
    ----------
    read
        Function of a module that reads the file; its result is dropped. Its errors are raised here.
    path
        The file.
    expected
        What the file should be, for the message.
    *names
        Further arguments of ``read``, such as the names of what is read of the file.

    Raises
    ------
    InputError
        If reading raises an error, ends the process, or takes more than 3 s of processor time
        and 0.5 s for each megabyte, ten times as long by the clock, or more than 8 GB.
        Windows and macOS do not limit memory, and Windows limits the elapsed time only.

    Warns
    -----
    UserWarning
        Where no process can be started: the file is then read in this one.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.json"
    ...     _ = file.write_text("{}")
    ...     read_first(Path.read_text, file, "a text")
    """
    status = path.stat()
    seconds = LEAST_S + status.st_size / BYTES_PER_S
    version = (read, path.absolute(), status.st_size, status.st_mtime_ns, names)
    if version in _sound:
        return
    order = {
        # the module of a method is found by its class
        "module": read.__module__,
        "name": read.__qualname__,
        "path": str(path.absolute()),
        "names": names,
        "seconds": seconds,
    }
    with _lock:
        process = _running()
        answer = {} if process is None else _answer(process, order, seconds * PATIENCE)
    if process is None:
        read(path, *names)
    elif "error" in answer:
        if answer["error"] is not None:
            subject, *rest = answer["error"]
            # as the user named it
            raise InputError(subject.replace(order["path"], str(path)), *rest)
    else:
        raise InputError(
            str(path),
            expected,
            f"one that {answer['ended']}",
            "It was read in a process of its own; it is damaged or made to do so: obtain it again.",
        )
    _sound.add(version)


_sound: set[tuple[Reading, Path, int, int, tuple[str, ...]]] = set()
"""Files that were read without an error, as long as they do not change."""
_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None
_cannot_start = False


def _answer(
    process: subprocess.Popen[bytes], order: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Send an order to the process, and wait for what became of it."""
    line, is_late = _line(process, json.dumps(order).encode(), seconds)
    if line:
        return dict(json.loads(line))
    stop()
    if is_late or (RESOURCE is not None and -process.returncode == signal.SIGXCPU):
        return {"ended": f"takes more than {order['seconds']:.0f} s to read"}
    return {"ended": f"ends the process that reads it (status {process.returncode})"}


def _line(process: subprocess.Popen[bytes], order: bytes, seconds: float) -> tuple[bytes, bool]:
    """Return the line that answers an order, empty where none came, and whether it was late."""
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    line = b""
    try:
        # a process that has ended since the last file is found out by writing to it
        with suppress(OSError):
            stdin.write(order + b"\n")
            stdin.flush()
            line = stdout.readline()
    except BaseException:
        # an interrupt must not leave an answer that the next file would take for its own
        stop()
        raise
    finally:
        timer.cancel()
    return (line if line.endswith(b"\n") else b""), late.is_set()


def _running() -> subprocess.Popen[bytes] | None:
    """Return the process, started where there is none; None where none can be started."""
    global _process, _cannot_start  # noqa: PLW0603 - one for each program
    if _cannot_start or (_process is not None and _process.poll() is None):
        return _process
    stop()
    # the program's own path, which a script or a notebook may have changed
    folders = [*filter(None, sys.path), str(Path(__file__).parents[2])]
    problem = "it ended at its start"
    try:
        _process = subprocess.Popen(  # noqa: S603 - this interpreter and a constant
            # -P: not the working directory, where files of others may lie
            [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(folders)},
            # an interrupt at the terminal is for the program, which ends this process in its turn
            start_new_session=True,
        )
        line, _ = _line(_process, b"", START_S)
    except (OSError, ValueError) as error:
        line, problem = b"", str(error)
    if not line:
        stop()
        _cannot_start = True
        warnings.warn(
            f"Files of others are read without protection from crashes: no process ({problem}).",
            stacklevel=4,
        )
    return _process


def stop() -> None:
    """End the process; the next file starts another one."""
    global _process
    process, _process = _process, None
    if process is not None:
        process.kill()
        process.wait()
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        # closing writes what the dead process has not taken
        with suppress(OSError):
            if pipe is not None:
                pipe.close()


def _forget() -> None:
    """Leave the process to the parent of a fork, which goes on with it."""
    global _process, _lock  # noqa: PLW0603 - one for each program
    process, _process = _process, None
    # another thread may have held it in the moment of the fork
    _lock = threading.Lock()
    if process is not None:
        _close(process)
        # else Popen warns that it was not waited for
        process.returncode = 0


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def serve() -> None:
    """Read the files that the parent names, a JSON line for each, and answer each in a line."""
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # what a library prints must not come between the answers
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if RESOURCE is not None:
        # a process that is ended must not leave its memory in a file
        _set_limit("RLIMIT_CORE", 0)
    for line in orders:
        if line == b"\n":
            # the parent's question whether this process has started
            answers.write(b"ready\n")
            answers.flush()
            continue
        order = json.loads(line)
        function: Any = import_module(order["module"])
        for name in order["name"].split("."):
            function = getattr(function, name)
        _limit(order["seconds"])
        fault = _fault(function, Path(order["path"]), order["names"])
        answers.write(json.dumps({"error": fault}).encode() + b"\n")
        answers.flush()


def _limit(seconds: float) -> None:
    """Limit processor time and memory of what comes next."""
    if RESOURCE is None:
        return
    spent = int(time.process_time() + seconds) + 1
    # of two limits the lower one ends the process, and only that one can be raised again
    _set_limit("RLIMIT_CPU", spent)
    memory = psutil.Process().memory_info().vms
    _set_limit("RLIMIT_AS", memory + min(MOST_MEMORY, psutil.virtual_memory().available))


def _set_limit(name: str, value: int) -> None:
    limit = getattr(RESOURCE, name)
    _, hard = RESOURCE.getrlimit(limit)
    # macOS refuses limits of memory
    with suppress(ValueError, OSError):
        most = value if hard == RESOURCE.RLIM_INFINITY else min(value, hard)
        RESOURCE.setrlimit(limit, (most, hard))


def _fault(read: Reading, path: Path, names: list[str]) -> list[str] | None:
    """Return the parts of the error that reading a file raises; None where it raises none."""
    try:
        read(path, *names)
    except ExplainedError as error:
        return [error.subject, error.expected, error.got, error.remedy]
    except MemoryError as error:
        got = str(error) or "more than there is"
        return [str(path), "data that fit in memory", got, "Else the file is damaged."]
    except Exception as error:  # whatever a library raises on damaged bytes
        got = f"one that cannot be read ({type(error).__name__}: {error})"
        return [str(path), "a whole file", got, "It is damaged: write or obtain it again."]
    return None
