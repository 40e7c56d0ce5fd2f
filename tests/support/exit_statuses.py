"""Run commands one by one, each in a process of its own, and print how each ended.

Reads a JSON list of commands from standard input. Each is a list: what is done to the process,
then its words. Processes are forks of one that has imported the package, so that each takes a
fraction of a second.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time

import nwbcompare.cli.main as command_line
import nwbcompare.cli.result_text
import nwbcompare.io.nwb.write
import nwbcompare.model.checkpoint
import nwbcompare.workflows.registry  # noqa: F401

LONGEST_S = 60
"""Time after which a command that does not end is killed (s)."""


def disk_is_full() -> None:
    # as on a full disk, a write of any byte to any file fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def standard_output_is_full() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), sys.stdout.fileno())


def standard_output_is_closed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, sys.stdout.fileno())


def a_package_is_missing() -> None:
    sys.modules["pyarrow"] = None


def is_sent(number: int) -> None:
    """Have the command that is called get a signal once it begins."""
    command, words = command_line.cli, sys.argv[1:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]

    def interrupted():
        os.kill(os.getpid(), number)
        time.sleep(5)

    command.params, command.callback = [], interrupted


DONE = {
    "": lambda: None,
    "disk full": disk_is_full,
    "standard output full": standard_output_is_full,
    "standard output closed": standard_output_is_closed,
    "no pyarrow": a_package_is_missing,
    "SIGINT": lambda: is_sent(signal.SIGINT),
    "SIGTERM": lambda: is_sent(signal.SIGTERM),
}


def child(done: str, said: int) -> int:
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    signal.alarm(LONGEST_S)
    DONE[done]()
    try:
        command_line.main()
        sys.stdout.flush()
    except SystemExit as end:
        return end.code or 0
    except BaseException as error:
        # what a user would see as a traceback
        os.write(sys.stderr.fileno(), f"Traceback: {error!r}".encode())
        return 1
    return 0


def how_it_ended(done: str, words: list[str]) -> tuple[int, str]:
    # a pipe, since a file takes nothing of a process whose disk is full
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        sys.argv = ["nwbcompare", *words]
        os._exit(child(done, writing))
    os.close(writing)
    with os.fdopen(reading, errors="replace") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


if __name__ == "__main__":
    json.dump([how_it_ended(done, words) for done, *words in json.load(sys.stdin)], sys.stdout)
