"""How numbers and tasks are written: one form for intervals, p values, counts and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nwbcompare.tasks import RULES, display_name

if TYPE_CHECKING:
    from nwbcompare.workflows.measurements import Measurements

LEVEL = 0.05
"""Below it sentences call a difference shown."""
NAMES = {task: display_name(task) for task in RULES}
"""Shown names of the published tasks; other tasks go by their own."""


def number(value: object) -> float | None:
    """Give a number for tables and JSON: six digits; None for NaN.

    Examples
    --------
    >>> number(1 / 3), number(float("nan"))
    (0.333333, None)
    """
    value = float(np.asarray(value))
    return float(f"{value:.6g}") if np.isfinite(value) else None


def interval(low: object, high: object) -> str:
    """Give an interval as it is written, or nothing where there is none.

    Examples
    --------
    >>> interval(0.1, 0.25), interval(float("nan"), 1.0)
    (' [0.100, 0.250]', '')
    """
    low, high = float(np.asarray(low)), float(np.asarray(high))
    return f" [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else ""


def counted(count: int, what: str) -> str:
    """Give a number of things in the right form.

    Examples
    --------
    >>> counted(1, "network"), counted(3, "network")
    ('1 network', '3 networks')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def percent(share: object) -> str:
    """Give a share in per cent.

    Examples
    --------
    >>> percent(0.431)
    '43 %'
    """
    return f"{100 * float(np.asarray(share)):.0f} %"


def sd_of(ftv: xr.Dataset) -> float:
    """Give the s.d. of FTV over active units, the mean over draws."""
    values = ftv["fractional_task_variance"]
    return float(values.std("unit").mean())


def stands_on(measurements: Measurements, networks: int) -> str:
    """Say how many networks, sessions, units and animals a number stands on."""
    active = int(measurements.recorded.ftv["active"].sum())
    return ", ".join(
        (
            counted(networks, "network"),
            counted(measurements.n_of("session"), "session"),
            counted(active, "recorded unit"),
            counted(measurements.n_of("subject"), "animal"),
        )
    )


def over(what: str, inference: xr.Dataset) -> str:
    """Say the mean of a number over networks, its interval and its test.

    Parameters
    ----------
    what
        What the number is.
    inference
        From `nwbcompare.inference.over_networks`.
    """
    return (
        f"Over {inference.sizes['network']} networks {what} is {estimate(inference)}, "
        f"p = {float(inference['p_value']):.3g} by sign flips (the smallest possible is "
        f"{float(inference['p_smallest']):.3g})."
    )


def estimate(inference: xr.Dataset) -> str:
    """Give a mean over networks with its 95 % interval, where it has one.

    Examples
    --------
    >>> estimate(xr.Dataset({"mean": 0.25, "mean_low": 0.2, "mean_high": 0.3}))
    '+0.250 [+0.200, +0.300]'
    """
    mean, low, high = (float(inference[name]) for name in ("mean", "mean_low", "mean_high"))
    # one network has no interval
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" if low <= high else f"{mean:+.3f}"
