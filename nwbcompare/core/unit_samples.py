"""What sample tables must have in common before networks are held against a recording."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from nwbcompare.core.errors import InputError, listing


def has_column(table: xr.Dataset, column: str) -> bool:
    """Tell whether a sample table has a unit column."""
    return column in table.coords and table[column].dims == ("unit",)


def are_matched(tables: Sequence[xr.Dataset], subject: str) -> bool:
    """Tell whether networks' units are matched to recorded ones.

    Parameters
    ----------
    tables
        The networks' sample tables.
    subject
        What an error calls them.

    Raises
    ------
    InputError
        Where some networks' units are matched and others' are not.
    """
    matched = [
        has_column(table, "session") and has_column(table, "recorded_unit") for table in tables
    ]
    if any(matched) and not all(matched):
        raise InputError(
            subject,
            "the unit columns session and recorded_unit in all or in none",
            f"them in {sum(matched)} of {len(matched)}",
            "Sample all networks alike.",
        )
    return all(matched)


def check_same_pair(table: xr.Dataset, recording: xr.Dataset, subject: str) -> None:
    """Refuse a network's table of another pair of tasks than the recording's."""
    theirs, ours = (
        [str(one.attrs[name]) for name in ("task_a", "task_b") if name in one.attrs]
        for one in (table, recording)
    )
    if theirs != ours:
        raise InputError(
            subject,
            f"the recording's pair of tasks ({listing(ours)})",
            listing(theirs),
            "Compute both sides for the same pair, in the same order.",
        )
