"""What the NWB validator and the inspector say of a file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError

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
        One line a message, its importance first; empty for a file without faults. A file that
        cannot be read at all has an error that says so.

    Raises
    ------
    InputError
        Where there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(str(path), "an NWB file", got, "Check the path.")
    from nwbinspector import inspect_nwbfile, load_config  # noqa: PLC0415 - seconds to import
    from pynwb import validate  # noqa: PLC0415

    with warnings.catch_warnings():
        # both libraries warn of their own future changes, not of the file
        warnings.simplefilter("ignore")
        try:
            found = [f"ERROR: {error}" for error in _errors(validate(path=str(path)))]
        except Exception as error:
            return [f"ERROR: the validator cannot read it: {_shortened(str(error))}"]
        # the inspector would run the validator a second time
        inspected = inspect_nwbfile(
            nwbfile_path=str(path), config=load_config("dandi"), skip_validate=True
        )
        messages = list(inspected)
    return found + [_line(message) for message in messages]


def refuse_faults(path: Path, final: Path) -> None:
    """Refuse a file that an archive would; warn where it goes against best practice.

    What the inspector merely suggests is left to `inspect_nwb`.

    Raises
    ------
    InputError
        For messages that are errors or critical.
    """
    messages = inspect_nwb(path)
    bad = [message for message in messages if message.startswith(REFUSED)]
    if bad:
        raise InputError(
            str(final),
            "a file without critical messages from the inspector",
            "; ".join(bad),
            "Nothing was written. Correct what the messages name.",
        )
    lesser = [message for message in messages if message.startswith(WARNED)]
    if lesser:
        warnings.warn(f"{final}: " + "; ".join(lesser), UserWarning, stacklevel=3)


def _errors(result: Any) -> list[Any]:
    # pynwb below 3 gave a pair of errors and a status
    return list(result[0] if isinstance(result, tuple) else result)


def _line(message: Any) -> str:
    text = _shortened(str(message.message))
    return f"{message.importance.name}: {message.check_function_name}: {text}"


def _shortened(text: str) -> str:
    """Give what a message says without the traceback, and the whole file, that may follow."""
    head, trace, tail = text.partition("Traceback (most recent call last)")
    if trace:
        lines = [line for line in tail.splitlines() if "Error: " in line]
        head += lines[0].strip() if lines else ""
    return head if len(head) <= LONGEST_MESSAGE else head[:LONGEST_MESSAGE] + " ..."
