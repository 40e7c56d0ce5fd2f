"""Options in the SOURCE of a command, such as ``day1.nwb?align=cue&window=-0.5,1``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from nwbcompare.core.errors import InputError, unknown_name

Readers = Mapping[str, Callable[[str], Any]]
"""For each option, the function that reads its text."""


def window(text: str) -> tuple[float, float]:
    """Return the start and the stop of a window (s) from their text.

    Raises
    ------
    ValueError
        If they are not two numbers.

    Examples
    --------
    >>> window("-0.5,1")
    (-0.5, 1.0)
    """
    start, stop = map(float, text.split(","))
    return start, stop


BINNING: Readers = {"window": window, "bin_s": float, "smooth_s": float}
"""Options of loaders that bin spikes themselves: window (s), bin width (s) and smoothing (s)."""


def parse_options(query: str, readers: Readers, of: str = "") -> dict[str, Any]:
    """Parse the options of a SOURCE.

    Parameters
    ----------
    query
        The text after ``?``: ``name=value&name=value``; may be empty.
    readers
        Options that exist. One called ``word.NAME`` stands for ``word.`` and any name, such as
        ``epoch.stim``.
    of
        Owner of the options, for messages.

    Raises
    ------
    InputError
        For an unknown option, and text that its function cannot read.

    Examples
    --------
    >>> parse_options("bin=0.05&task=cue", {"bin": float, "task": str})
    {'bin': 0.05, 'task': 'cue'}
    >>> parse_options("epoch.stim=0.1,0.5", {"epoch.NAME": str})
    {'epoch.stim': '0.1,0.5'}
    """
    owner = f" of {of}" if of else ""
    values = {}
    for name, text in parse_qsl(query, strict_parsing=bool(query)):
        word, dot, _ = name.partition(".")
        known = f"{word}.NAME" if dot else name
        if known not in readers:
            raise unknown_name(f"option{owner}", name, readers)
        try:
            values[name] = readers[known](text)
        except ValueError as error:
            kind = readers[known].__name__.strip("_")
            raise InputError(
                f"option {name!r}{owner}", f"a value of type {kind}", repr(text), "Correct it."
            ) from error
    return values
