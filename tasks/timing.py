"""Conversion of milliseconds to steps."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nwbcompare.core.checks import is_finite
from nwbcompare.core.errors import InputError

TAU_MS = 100.0
"""Time constant of the published networks, to which the input noise refers."""
FIXATION_MS, RESPONSE_MS = 500.0, 500.0
"""Fixation before the first stimulus of test and psychometric trials; response of all trials."""


@overload
def steps(interval_ms: float, dt_ms: float) -> int: ...
@overload
def steps(interval_ms: npt.NDArray[np.float64], dt_ms: float) -> npt.NDArray[np.int64]: ...
def steps(interval_ms: Any, dt_ms: float) -> Any:
    """Return the number of whole steps in intervals (ms).

    As published, each interval is truncated before intervals are added: with a time step that
    does not divide them a trial is a little shorter, and the bounds of its epochs add up.

    Examples
    --------
    >>> steps(750, 20)
    37
    """
    # 0.3 / 0.1 is 2.999...: a thousandth of a step is rounding, not a part of a step
    whole = np.floor(np.asarray(interval_ms) / dt_ms + 1e-3).astype(np.int64)
    return whole if whole.ndim else int(whole)


def check_dt(dt_ms: float, tau_ms: float = TAU_MS) -> None:
    """Check that a time step is above 0 and at most the time constant.

    Raises
    ------
    InputError
        For ``dt_ms`` outside of (0, tau_ms].

    Examples
    --------
    >>> check_dt(120)
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: dt_ms: expected a time step above 0 and at most tau = ...
    """
    if not (is_finite(dt_ms) and 0 < dt_ms <= tau_ms):
        raise InputError(
            "dt_ms",
            f"a time step above 0 and at most tau = {tau_ms:g} ms",
            f"{dt_ms!r}",
            "Use dt_ms=20, as published.",
        )
