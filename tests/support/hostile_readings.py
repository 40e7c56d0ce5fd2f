"""Readings that fail in every way, for a process that may end in their place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from nwbcompare.core.errors import InputError


def sound(path: Path) -> None:
    path.read_bytes()


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(path: Path) -> None:
    os._exit(0)


def hang(path: Path) -> None:
    while True:
        pass


def swallow_memory(path: Path) -> None:
    bytearray(10**13)


def refuse(path: Path) -> None:
    raise InputError(f"{path}: rates", "numbers", "texts", "Mend it.")


def fail(path: Path) -> None:
    raise LookupError("no such thing")


def chatter(path: Path) -> None:
    answer = '{"error": ["x", "x", "x", "x"]}\n'
    sys.stdout.write(answer)
    sys.stdout.flush()
    os.write(1, answer.encode())


def note_process(path: Path) -> None:
    path.write_text(str(os.getpid()))
