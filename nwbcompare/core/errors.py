"""Errors in one form: the subject, what was expected, what was found instead, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class ExplainedError(ValueError):
    """An error with a subject, what was expected, what was found instead, and the remedy.

    Raised as one of its three kinds: `InputError`, `NotApplicableError`, `DamagedCacheError`.

    Parameters
    ----------
    subject
        The argument, file or variable that the error is about.
    expected
        What it should be.
    got
        What it is.
    remedy
        Advice to the user: a sentence.
    """

    def __init__(self, subject: str, expected: str, got: str, remedy: str) -> None:
        # as arguments, from which pickle makes the error again in another process
        super().__init__(subject, expected, got, remedy)
        self.subject = subject
        self.expected = expected
        self.got = got
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: expected {self.expected}, got {self.got}. {self.remedy}"

    @property
    def reason(self) -> str:
        """Why the analysis does not apply; without the remedy, which is for programmers."""
        return f"Needed: {self.expected}; here: {self.got}."


class InputError(ExplainedError):
    """Bad input: an argument, a file, or data that break the data model.

    Examples
    --------
    >>> raise InputError("bin_s", "a width above 0 s", "-0.05", "Use bin_s=0.05.")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: bin_s: expected a width above 0 s, got -0.05. Use bin_s=0.05.
    """


class NotApplicableError(ExplainedError):
    """Sound data that an analysis does not apply to, such as too few units, trials or animals.

    A report leaves the analysis out, prints `reason`, and continues; bad input ends the report.

    Examples
    --------
    >>> NotApplicableError("recording", "two animals", "one", "Use split_half_distance.").reason
    'Needed: two animals; here: one.'
    """


class MissingPackageError(InputError, ImportError):
    """A package that is needed here is missing; the remedy has the command to install it.

    Examples
    --------
    >>> error = MissingPackageError("a.edf", "pyedflib", "none", "pip install pyedflib")
    >>> isinstance(error, ImportError)
    True
    """


class DamagedCacheError(ExplainedError):
    """A file of intermediate results that cannot be read; it is never recomputed silently."""


class OutputError(RuntimeError):
    """An output could not be written: the disk is full, over its quota, or fails."""


class DivergedError(RuntimeError):
    """Training stopped: the loss or its gradient was not finite, or rates exploded."""


class StalledError(RuntimeError):
    """A stage of training ended without a decrease of its loss."""


class UnitWarning(UserWarning):
    """Some units could not be analysed; the message names them."""


def unknown_name(subject: str, name: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not among the known ones, with the nearest names.

    Parameters
    ----------
    subject
        The argument, for the message.
    name
        The unknown name.
    known
        The known names.

    Examples
    --------
    >>> print(unknown_name("task", "contextdm", ["contextdm1", "fdgo"]))
    task: expected one of contextdm1, fdgo, got 'contextdm'. Did you mean 'contextdm1'?
    """
    names = list(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    if near:
        remedy = f"Did you mean {' or '.join(map(repr, near))}?"
    else:
        remedy = "Choose one of the names listed." if names else "Nothing is registered."
    return InputError(subject, f"one of {listing(names)}", repr(name), remedy)


def differences(existing: Mapping[str, object], requested: Mapping[str, object]) -> list[str]:
    """List the requested settings that differ from existing ones, as text for messages.

    Parameters
    ----------
    existing
        Settings of an existing result, by name.
    requested
        Settings of the present call, by name; only these are compared.

    Examples
    --------
    >>> differences({"seed": 1, "units": 8}, {"seed": 2, "units": 8})
    ['seed: 1 there, 2 asked']
    """
    return [
        f"{name}: {existing.get(name)!r} there, {value!r} asked"
        for name, value in requested.items()
        if existing.get(name) != value
    ]


def listing(names: Iterable[object], most: int = 20) -> str:
    """Join names for a message, up to the first ``most``.

    Parameters
    ----------
    names
        The names.
    most
        Number of names to write out.

    Examples
    --------
    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    items = [str(name) for name in names]
    if not items:
        return "nothing"
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"
