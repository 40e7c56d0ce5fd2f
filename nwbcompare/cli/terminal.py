"""Text for the terminal, and the exit statuses of all commands."""

from __future__ import annotations

import os
import sys
from enum import IntEnum

import click

from nwbcompare.core.errors import OutputError
from nwbcompare.core.files import DISK_ERRORS
from nwbcompare.core.plain_text import plain_text


class ExitStatus(IntEnum):
    """Exit statuses of every command; `EXIT_STATUS_HELP` has their meaning."""

    SUCCESS = 0
    FAILED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_STATUS_HELP = (
    f"Exit status: {ExitStatus.SUCCESS:d} after success; {ExitStatus.BAD_INPUT:d} for invalid "
    f"input or a missing package; {ExitStatus.FAILED:d} if training failed, an output could not "
    "be written, or a file of 'validate' has an error or a critical message; "
    f"{ExitStatus.INTERRUPTED:d} after an interrupt (SIGINT), {ExitStatus.TERMINATED:d} after "
    "SIGTERM."
)
"""What the statuses mean, as ``nwbcompare --help`` prints it."""


def echo(text: str, *, err: bool = False) -> None:
    """Print text, with control characters as escapes; see `nwbcompare.core.plain_text`.

    Parameters
    ----------
    text
        The text.
    err
        Whether it is printed to standard error.

    Raises
    ------
    OutputError
        If it goes to a file on a disk that is full, over its quota, or fails.
    """
    try:
        click.echo(plain_text(text), err=err)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        discard_output()
        raise OutputError(f"standard output: not written: {error.strerror}.") from error


def discard_output() -> None:
    """Drop what is left of the standard output, which Python would try to write at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
