"""Formats of numbers, intervals, counts and task names on pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nwbcompare.core.number_text import p_text
from nwbcompare.report.page_section import Cell, Row
from nwbcompare.tasks import RULES, display_name

if TYPE_CHECKING:
    from nwbcompare.workflows.measurements import Measurements
    from nwbcompare.workflows.section import Results

LEVEL = 0.05
"""Level of the tests that sentences rest on."""
NAMES = {task: display_name(task) for task in RULES}
"""Display names of the published tasks."""


def number(value: object) -> float | None:
    """Round a number to six digits for tables and JSON; None for NaN.

    Examples
    --------
    >>> number(1 / 3), number(float("nan"))
    (0.333333, None)
    """
    value = float(np.asarray(value))
    # six digits hide rounding that differs between machines; JSON has no NaN
    return float(f"{value:.6g}") if np.isfinite(value) else None


def records(table: xr.Dataset, **columns: Cell) -> list[Row]:
    """Return a row for each cell of a table, with its coordinates and rounded numbers.

    Parameters
    ----------
    table
        Variables on common dimensions, in the order of the rows; other coordinates are left out.
    **columns
        Columns of the same value in every row, before the others.

    Examples
    --------
    >>> records(xr.Dataset({"rate": ("unit", [0.5, 1 / 3])}, {"unit": ["a", "b"]}), source="x")[1]
    {'source': 'x', 'unit': 'b', 'rate': 0.333333}
    """
    # columns of the unit table would be repeated in every row
    others = set(table.coords) - set(table.dims)
    rows = table.drop_vars(others).to_dataframe(list(map(str, table.dims))).reset_index()
    return [
        columns
        | {str(name): c if isinstance(c, str | int) else number(c) for name, c in row.items()}
        for row in rows.to_dict("records")
    ]


def interval(low: object, high: object) -> str:
    """Format an interval; empty where there is none.

    Examples
    --------
    >>> interval(0.1, 0.25), interval(float("nan"), 1.0)
    (' [0.100, 0.250]', '')
    """
    low, high = float(np.asarray(low)), float(np.asarray(high))
    return f" [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else ""


def bounds(title: str, low: object, high: object) -> dict[str, Cell]:
    """Return an interval as two cells of a table.

    Examples
    --------
    >>> bounds("95 %", 0.1, 0.25)
    {'95 % low': 0.1, '95 % high': 0.25}
    """
    return {f"{title} low": number(low), f"{title} high": number(high)}


def counted(count: int, what: str) -> str:
    """Format a count with its noun in the singular or plural.

    Examples
    --------
    >>> counted(1, "network"), counted(3, "network")
    ('1 network', '3 networks')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def percent(share: object) -> str:
    """Format a share in per cent.

    Examples
    --------
    >>> percent(0.431)
    '43 %'
    """
    return f"{100 * float(np.asarray(share)):.0f} %"


def sd_of(ftv: xr.Dataset) -> float:
    """Return the s.d. of FTV over active units, the mean over draws."""
    values = ftv["fractional_task_variance"]
    return float(values.std("unit").mean())


def session_count(measurements: Measurements) -> str:
    """Return the number of sessions with its noun."""
    n_sessions = measurements.n_sessions
    return counted(n_sessions, "session") if n_sessions else "unknown sessions"


def sample_sizes(measurements: Measurements, networks: int) -> str:
    """Return the numbers of networks, sessions, recorded units and animals behind a number."""
    active = int(measurements.recorded.ftv["active"].sum())
    return ", ".join(
        (
            counted(networks, "network"),
            session_count(measurements),
            counted(active, "recorded unit"),
            counted(measurements.n_animals, "animal"),
        )
    )


def over(what: str, inference: xr.Dataset) -> str:
    """Return a sentence on the mean of a number over networks, its interval and its test.

    Parameters
    ----------
    what
        Description of the number.
    inference
        From `nwbcompare.inference.over_networks`.
    """
    return (
        f"Over {inference.sizes['network']} networks {what} is {estimate(inference)}, "
        f"{p_text(float(inference['p_value']))} by sign flips (the smallest possible is "
        f"{float(inference['p_smallest']):.3g})."
    )


def estimate(inference: xr.Dataset) -> str:
    """Format a mean over networks with its 95 % interval, where it has one.

    Examples
    --------
    >>> estimate(xr.Dataset({"mean": 0.25, "mean_low": 0.2, "mean_high": 0.3}))
    '+0.250 [+0.200, +0.300]'
    """
    mean, low, high = (float(inference[name]) for name in ("mean", "mean_low", "mean_high"))
    # one network has no interval
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" if low <= high else f"{mean:+.3f}"


def refusal_sentences(name: str, results: Results) -> list[str]:
    """Return a sentence for each analysis of a source that did not apply."""
    return [
        f"{name}: {what} does not apply. {why.reason}" for what, why in results.refusals.items()
    ]
