"""Sample tables: values of units, with the network, session and animal of each unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Key = tuple[str, ...]
FTV = "fractional_task_variance"
SESSION = ("subject", "session")
"""Columns that identify a session: two animals may each have a session 1."""


@dataclass(frozen=True)
class UnitGroups:
    """Groups of units, such as the sessions of a recording.

    Attributes
    ----------
    labels
        Key of each group, ascending. Keys are tuples, since joined texts of two groups may be
        equal.
    code
        Index of each unit's group in ``labels``, ``(unit,)``.

    Examples
    --------
    >>> groups = group_keys([("A", "2"), ("A", "1"), ("A", "2")])
    >>> groups.labels, groups.first.tolist()
    ([('A', '1'), ('A', '2')], [1, 0])
    """

    labels: list[Key]
    code: Codes

    @property
    def first(self) -> Codes:
        """Index of each group's first unit, ``(group,)``."""
        return np.unique(self.code, return_index=True)[1].astype(np.int64)

    def unknown(self, keys: Sequence[Key]) -> list[str]:
        """Return the keys that are not a group's, as text for messages."""
        return [" ".join(key) for key in sorted(set(keys) - set(self.labels))]

    def codes_of(self, keys: Sequence[Key]) -> Codes:
        """Return the index of each key's group, ``(key,)``."""
        return _places(self.labels, keys)


def group_keys(keys: Sequence[Key]) -> UnitGroups:
    """Group units by their keys.

    Parameters
    ----------
    keys
        Key of each unit.

    Returns
    -------
    UnitGroups
        One group for each different key.

    Examples
    --------
    >>> group_keys([("A", "1 2"), ("A 1", "2"), ("A", "1 2")]).code.tolist()
    [0, 1, 0]
    """
    # sorted, so that the order of groups does not depend on that of units
    labels = sorted(set(keys))
    return UnitGroups(labels, _places(labels, keys))


def _places(labels: Sequence[Key], keys: Sequence[Key]) -> Codes:
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[key] for key in keys], dtype=np.int64)


@dataclass(frozen=True)
class UnitSample:
    """The units of one network or recording, with one value for each.

    Parameters
    ----------
    table
        A sample table, e.g. that of `nwbcompare.fractional_task_variance`, whose values are
        ``(unit,)`` or ``(draw, unit)``.
    variable
        Name of the values in the table.

    Examples
    --------
    >>> sample = UnitSample(xr.Dataset(
    ...     {FTV: ("unit", [0.5, np.nan])}, {"session": ("unit", ["day1", "day2"])}))
    >>> sample.active.tolist(), sample.keys("session")
    ([[True, False]], [('day1',), ('day2',)])
    """

    table: xr.Dataset
    variable: str = FTV

    @property
    def name(self) -> str:
        """Name of the network or recording; "" if it has none."""
        return str(self.table.attrs.get("name", ""))

    @cached_property
    def values(self) -> Array:
        """Values ``(draw, unit)``, NaN for inactive units; one draw if the table has no draws."""
        rows = self.table[self.variable].transpose(..., "unit").values
        return np.asarray(rows.reshape(-1, self.table.sizes["unit"]), dtype=np.float64)

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Mask of the units with a value, ``(draw, unit)``."""
        return np.isfinite(self.values)

    @property
    def draws(self) -> list[Array]:
        """Values of the active units of each draw, each ``(unit,)``."""
        return [row[active] for row, active in zip(self.values, self.active, strict=True)]

    def has(self, column: str) -> bool:
        """Return whether the table has a unit column."""
        return column in self.table.coords and self.table[column].dims == ("unit",)

    def keys(self, *columns: str) -> list[Key]:
        """Return a key for each unit: its values in these columns, as text.

        A column that the table lacks is "" in all keys, or the unit's index where the column
        names units ("unit", "recorded_unit").
        """
        n_units = self.table.sizes["unit"]
        parts = [
            self.table[column].values.astype(str).tolist()
            if self.has(column)
            else [str(place) if column.endswith("unit") else "" for place in range(n_units)]
            for column in columns
        ]
        return list(zip(*parts, strict=True))

    def groups(self, *columns: str) -> UnitGroups:
        """Group units by columns; see `keys`."""
        return group_keys(self.keys(*columns))

    def place_keys(self) -> list[Key]:
        """Return the index of each unit as its key, so that every unit is a group of its own."""
        return [(str(place),) for place in range(self.table.sizes["unit"])]

    @property
    def animals(self) -> npt.NDArray[np.str_]:
        """Animal of each unit, ``(unit,)``: the column ``subject``, else the table's name."""
        if self.has("subject"):
            return self.table["subject"].values.astype(str)
        return np.full(self.table.sizes["unit"], self.name)

    def check_sessions(self) -> None:
        """Check that the session of each unit is known.

        Raises
        ------
        NotApplicableError
            If the table has no unit column "session": units of one session are not independent,
            so statistics over units need it.
        """
        if not self.has("session"):
            columns = (c for c in self.table.coords if self.table[c].dims == ("unit",))
            raise NotApplicableError(
                f"recording {self.name!r}",
                "a unit column 'session' (units of one session are not independent)",
                f"unit columns {listing(columns)}",
                'Add it: table.assign_coords(session=("unit", [...])).',
            )

    def session_keys(self) -> list[Key]:
        """Return the animal and session of each unit.

        Raises
        ------
        NotApplicableError
            As `check_sessions`.
        """
        self.check_sessions()
        animals = self.animals.tolist()
        return [(a, s) for a, (s,) in zip(animals, self.keys("session"), strict=True)]


def are_matched(samples: Sequence[UnitSample], recording: UnitSample, subject: str) -> bool:
    """Return whether networks' units are matched to recorded units.

    Units are matched if they have the column ``recorded_unit``, and ``session`` where the recording
    has sessions.

    Parameters
    ----------
    samples
        The networks' units.
    recording
        The recorded units.
    subject
        Their name in an error.

    Raises
    ------
    InputError
        If the units of some networks are matched and those of others are not.

    Examples
    --------
    >>> sample = UnitSample(xr.Dataset({FTV: ("unit", [0.5])}))
    >>> are_matched([sample], sample, "networks")
    False
    """
    columns = ("session", "recorded_unit") if recording.has("session") else ("recorded_unit",)
    matched = [all(one.has(column) for column in columns) for one in samples]
    if any(matched) and not all(matched):
        raise InputError(
            subject,
            f"the unit columns {' and '.join(columns)} in all or in none",
            f"them in {sum(matched)} of {len(matched)}",
            "Sample all networks alike.",
        )
    return all(matched)


def session_columns(samples: Sequence[UnitSample]) -> list[str]:
    """Return the columns that identify sessions in all samples.

    Examples
    --------
    >>> table = xr.Dataset({FTV: ("unit", [0.5])}, {"session": ("unit", ["day1"])})
    >>> session_columns([UnitSample(table)])
    ['session']
    """
    return [column for column in SESSION if all(one.has(column) for one in samples)]


def animals_of_groups(sample: UnitSample, groups: UnitGroups, subject: str) -> Codes:
    """Return the index of each group's animal, ``(group,)``, among the sorted animals.

    Parameters
    ----------
    sample
        The units.
    groups
        Their groups, e.g. sessions.
    subject
        The sample's name in an error.

    Raises
    ------
    InputError
        If a group has units of two animals.

    Examples
    --------
    >>> table = xr.Dataset({FTV: ("unit", [0.5, 0.1])}, {
    ...     "session": ("unit", ["1", "2"]), "subject": ("unit", ["B", "A"])})
    >>> sample = UnitSample(table)
    >>> animals_of_groups(sample, sample.groups("session"), "recording").tolist()
    [1, 0]
    """
    animal = np.unique(sample.animals, return_inverse=True)[1].astype(np.int64)
    of_group = animal[groups.first]
    # each group has the animal of its first unit, unless the data contradict it
    if (of_group[groups.code] != animal).any():
        raise InputError(
            subject,
            "sessions of one animal each",
            "the same session in two animals",
            "Add the unit column subject to matched units, or number sessions across animals.",
        )
    return of_group


def matched_groups(
    sample: UnitSample, groups: UnitGroups, columns: Sequence[str], subject: str
) -> Codes:
    """Return the recording's group that each unit of a network is matched to.

    Parameters
    ----------
    sample
        The network's units.
    groups
        The recording's groups, e.g. sessions.
    columns
        Columns of the network's table that identify a group.
    subject
        The network's name in an error.

    Returns
    -------
    array of int, (unit,)
        Indices of groups.

    Raises
    ------
    InputError
        If a unit is matched to no group of the recording.

    Examples
    --------
    >>> table = xr.Dataset({FTV: ("unit", [0.5, 0.1])}, {"session": ("unit", ["b", "a"])})
    >>> matched_groups(
    ...     UnitSample(table), group_keys([("a",), ("b",)]), ["session"], "network").tolist()
    [1, 0]
    """
    keys = sample.keys(*columns)
    if unknown := groups.unknown(keys):
        what = "sessions" if "session" in columns else "units"
        raise InputError(
            subject,
            f"units matched to the recording's own {what}",
            f"others: {listing(unknown, most=5)}",
            "Sample the network for this recording, or drop the column recorded_unit.",
        )
    return groups.codes_of(keys)


def check_same_pair(table: xr.Dataset, recording: xr.Dataset, subject: str) -> None:
    """Check that a network's table is of the same pair of tasks as the recording's.

    Parameters
    ----------
    table, recording
        Tables with the attributes ``task_a`` and ``task_b``.
    subject
        The network's name in an error.

    Raises
    ------
    InputError
        If the pairs differ, also in their order.

    Examples
    --------
    >>> table = xr.Dataset(attrs={"task_a": "motion", "task_b": "colour"})
    >>> check_same_pair(table, table, "network")
    """
    pair, expected = (
        [str(one.attrs[name]) for name in ("task_a", "task_b") if name in one.attrs]
        for one in (table, recording)
    )
    if pair != expected:
        raise InputError(
            subject,
            f"the recording's pair of tasks ({listing(expected)})",
            listing(pair),
            "Compute both sides for the same pair, in the same order.",
        )
