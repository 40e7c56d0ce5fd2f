"""Messages of the NWB validator and of nwbinspector on a file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_file

REFUSED = ("ERROR", "CRITICAL")
LONGEST_MESSAGE = 1000
WARNED = ("BEST_PRACTICE_VIOLATION",)


def inspect_nwb(path: str | os.PathLike[str]) -> list[str]:
    """List the messages of the NWB validator and of nwbinspector's dandi configuration.

    Parameters
    ----------
    path
        An NWB file.

    Returns
    -------
    list of str
        One line for each message, starting with its importance; empty for a file without faults.
        A file that cannot be read has one message, an error.

    Raises
    ------
    InputError
        If there is no such file.
    """
    return _messages(check_file(path, "an NWB file"), cached_schema=True)


def _messages(path: Path, *, cached_schema: bool) -> list[str]:
    """Return the messages on a file, validated by the schema in it or the installed one."""
    from nwbinspector import inspect_nwbfile, load_config  # noqa: PLC0415 - seconds to import
    from pynwb import validate  # noqa: PLC0415

    with warnings.catch_warnings():
        # warnings of both libraries are about their own changes, not about the file
        warnings.simplefilter("ignore")
        try:
            result = validate(path=str(path), use_cached_namespaces=cached_schema)
            # pynwb below 3 returns errors and a status
            faults = result[0] if isinstance(result, tuple) else result
            errors = [f"ERROR: {fault}" for fault in faults]
        except Exception as error:
            return [f"ERROR: the validator cannot read it: {_shortened(str(error))}"]
        # the inspector would run the validator a second time
        messages = list(
            inspect_nwbfile(nwbfile_path=str(path), config=load_config("dandi"), skip_validate=True)
        )
    return errors + [_line(message) for message in messages]


def refuse_faults(path: Path, final: Path) -> None:
    """Check that an archive would accept a file.

    Suggestions of the inspector are not reported; see `inspect_nwb`.

    Parameters
    ----------
    path
        The file.
    final
        The path that it will have, for messages.

    Raises
    ------
    InputError
        If there are errors or critical messages.

    Warns
    -----
    UserWarning
        If best practice is violated.
    """
    # the file was written with the installed schema, which is in memory: reading it again from the
    # file would take half of the time of writing a small file
    messages = _messages(path, cached_schema=False)
    critical = [message for message in messages if message.startswith(REFUSED)]
    if critical:
        raise InputError(
            str(final),
            "a file without critical messages from the inspector",
            "; ".join(critical),
            "Nothing was written. Correct what the messages name.",
        )
    violations = [message for message in messages if message.startswith(WARNED)]
    if violations:
        warnings.warn(f"{final}: " + "; ".join(violations), UserWarning, stacklevel=3)


def _line(message: Any) -> str:
    text = _shortened(str(message.message))
    return f"{message.importance.name}: {message.check_function_name}: {text}"


def _shortened(text: str) -> str:
    """Return a message without the traceback that may follow, up to 1000 characters."""
    head, trace, tail = text.partition("Traceback (most recent call last)")
    if trace:
        lines = [line for line in tail.splitlines() if "Error: " in line]
        head += lines[0].strip() if lines else ""
    return head if len(head) <= LONGEST_MESSAGE else head[:LONGEST_MESSAGE] + " ..."
