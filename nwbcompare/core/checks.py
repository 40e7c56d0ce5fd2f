"""Checks of numbers that users give, in one form."""

from __future__ import annotations

import math
from numbers import Integral, Real

from nwbcompare.core.errors import InputError


def is_finite(value: object) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, Real) and math.isfinite(value)


def check_whole(name: str, value: object, least: int, remedy: str) -> int:
    """Give a whole number of at least ``least``; refuse anything else.

    Raises
    ------
    InputError
        Which names the argument and the remedy.
    """
    if not isinstance(value, Integral) or int(value) < least:
        raise InputError(name, f"a whole number of {least} or more", repr(value), remedy)
    return int(value)


def check_not_negative(name: str, value: object, remedy: str) -> None:
    """Refuse what is not a finite number of 0 or more.

    Raises
    ------
    InputError
        Which names the argument and the remedy.
    """
    if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
        raise InputError(name, "a finite number of 0 or more", repr(value), remedy)


def check_above_zero(name: str, value: object, remedy: str) -> None:
    """Refuse what is not a finite number above 0.

    Raises
    ------
    InputError
        Which names the argument and the remedy.
    """
    if not (isinstance(value, Real) and 0 < float(value) < math.inf):
        raise InputError(name, "a finite number above 0", repr(value), remedy)
