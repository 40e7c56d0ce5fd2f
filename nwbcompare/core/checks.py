"""Checks of numbers that users pass, with one form of error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, unknown_name


def is_finite(value: object) -> bool:
    """Return whether a value is a finite number.

    Examples
    --------
    >>> is_finite(0.5), is_finite(float("nan")), is_finite("0.5")
    (True, False, False)
    """
    return isinstance(value, Real) and math.isfinite(value)


def unmasked(subject: str, values: Any, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Convert values to an array, with NaN where numpy masks a number with a fraction.

    `numpy.asarray` drops masks, so that what lies under one would become data.

    Parameters
    ----------
    subject
        The argument, for the message.
    values
        The values: an array, masked or not, or lists of them.
    dtype
        Type of the array; by default numpy's choice.

    Raises
    ------
    InputError
        If a value is masked that can be no NaN: an integer, a boolean or text.

    Examples
    --------
    >>> unmasked("rate", np.ma.masked_array([999.0, 2.0], mask=[True, False])).tolist()
    [nan, 2.0]
    """
    if not _has_mask(values):
        return np.asarray(values, dtype=dtype)
    masked = np.ma.asarray(values) if isinstance(values, np.ndarray) else np.ma.array(list(values))
    target = masked.dtype if dtype is None else np.dtype(dtype)
    mask = np.ma.getmaskarray(masked)
    if not mask.any():
        return np.asarray(masked.data, dtype=dtype)
    if target.kind != "f":
        raise InputError(
            subject,
            "values that are all there",
            f"{int(mask.sum())} masked of type {target}",
            "Pass numbers with NaN, or text, in place of a mask.",
        )
    filled: npt.NDArray[Any] = np.ma.filled(masked.astype(target), np.nan)
    return filled


def _has_mask(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return any(
            _has_mask(one) for one in values if isinstance(one, list | tuple | np.ma.MaskedArray)
        )
    return isinstance(values, np.ma.MaskedArray)


def check_known(subject: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Check that all names are among the known ones.

    Parameters
    ----------
    subject
        The argument, for the message.
    names
        The names to check.
    known
        The known names.

    Raises
    ------
    InputError
        For the first unknown name, with the nearest known ones.

    Examples
    --------
    >>> check_known("tasks", ["dm1"], ["dm1", "dm2"])
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown_name(subject, name, known)


def check_whole(name: str, value: object, least: int, remedy: str) -> int:
    """Check that a value is a whole number of at least ``least``, and return it as an int.

    Parameters
    ----------
    name
        The argument, for the message.
    value
        The value to check; numpy's integers are allowed, floats are not.
    least
        The smallest allowed value.
    remedy
        Advice to the user, for the message.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> check_whole("n_units", 8, 1, "Use n_units=8.")
    8
    >>> check_whole("n_units", 0, 1, "Use n_units=8.")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: n_units: expected a whole number of 1 or more, got 0. \
Use n_units=8.
    """
    # also numpy's integers, which are no int
    if not isinstance(value, Integral) or int(value) < least:
        raise InputError(name, f"a whole number of {least} or more", repr(value), remedy)
    return int(value)


def check_not_negative(name: str, value: object, remedy: str) -> None:
    """Check that a value is a finite number of 0 or more.

    Parameters
    ----------
    name, value, remedy
        As for `check_whole`.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> check_not_negative("smooth_s", -0.1, "Use 0.04.")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: smooth_s: expected a finite number of 0 or more, got -0.1. \
Use 0.04.
    """
    if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
        raise InputError(name, "a finite number of 0 or more", repr(value), remedy)


def check_above_zero(name: str, value: object, remedy: str) -> None:
    """Check that a value is a finite number above 0.

    Parameters
    ----------
    name, value, remedy
        As for `check_whole`.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> check_above_zero("bin_s", 0, "Use 0.05.")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: bin_s: expected a finite number above 0, got 0. Use 0.05.
    """
    if not (isinstance(value, Real) and 0 < float(value) < math.inf):
        raise InputError(name, "a finite number above 0", repr(value), remedy)
