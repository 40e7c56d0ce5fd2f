"""Sample tables: values of units, and which network, session and animal each unit is of."""

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
"""The columns that tell sessions apart: two animals may each have a session 1."""


@dataclass(frozen=True)
class UnitGroups:
    """Groups of units, such as the sessions of a recording.

    Attributes
    ----------
    labels
        The key of each group, ascending. Keys are tuples: joined text could be of two groups.
    code
        ``(unit,)``: the place of each unit's group in ``labels``.
    """

    labels: list[Key]
    code: Codes

    @property
    def first(self) -> Codes:
        """The place of each group's first unit ``(group,)``."""
        return np.unique(self.code, return_index=True)[1].astype(np.int64)

    def strange(self, keys: Sequence[Key]) -> list[str]:
        """Return the keys of no group, as text for messages."""
        return [" ".join(key) for key in sorted(set(keys) - set(self.labels))]

    def codes_of(self, keys: Sequence[Key]) -> Codes:
        """Return the group of each key ``(key,)``."""
        return _places(self.labels, keys)


def group_keys(keys: Sequence[Key]) -> UnitGroups:
    """Return the groups of units with equal keys.

    Examples
    --------
    >>> group_keys([("A", "1 2"), ("A 1", "2"), ("A", "1 2")]).code.tolist()
    [0, 1, 0]
    """
    labels = sorted(set(keys))
    return UnitGroups(labels, _places(labels, keys))


def _places(labels: Sequence[Key], keys: Sequence[Key]) -> Codes:
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[key] for key in keys], dtype=np.int64)


@dataclass(frozen=True)
class UnitSample:
    """The units of one network or recording.

    Parameters
    ----------
    table
        A sample table, such as that of `nwbcompare.fractional_task_variance`: one value for
        each unit, or for each draw and unit.
    variable
        Which values.
    """

    table: xr.Dataset
    variable: str = FTV

    @property
    def name(self) -> str:
        """The network's or recording's name; empty without one."""
        return str(self.table.attrs.get("name", ""))

    @cached_property
    def values(self) -> Array:
        """Values ``(draw, unit)``, NaN for inactive units; one draw where there are none."""
        rows = self.table[self.variable].transpose(..., "unit").values
        return np.asarray(rows.reshape(-1, self.table.sizes["unit"]), dtype=np.float64)

    @cached_property
    def active(self) -> npt.NDArray[np.bool_]:
        """Tell which units have a value ``(draw, unit)``."""
        return np.isfinite(self.values)

    @property
    def draws(self) -> list[Array]:
        """The values of active units ``(value,)``, draw by draw."""
        return [row[seen] for row, seen in zip(self.values, self.active, strict=True)]

    def has(self, column: str) -> bool:
        """Tell whether the table has a unit column."""
        return column in self.table.coords and self.table[column].dims == ("unit",)

    def keys(self, *columns: str) -> list[Key]:
        """Return a key for each unit, from the columns that the table has.

        A missing ``subject`` or ``session`` is the empty text, the same for all units; units
        without names go by their place.
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
        """Return the groups of units with equal columns; see `keys`."""
        return group_keys(self.keys(*columns))

    def place_keys(self) -> list[Key]:
        """Return a key for each unit by its place, so that every unit is a group."""
        return [(str(place),) for place in range(self.table.sizes["unit"])]

    @property
    def animals(self) -> npt.NDArray[np.str_]:
        """The animal of each unit ``(unit,)``: its column ``subject``, else the table's name."""
        if self.has("subject"):
            return self.table["subject"].values.astype(str)
        return np.full(self.table.sizes["unit"], self.name)

    def check_sessions(self) -> None:
        """Refuse a recording whose units do not say which session they are from."""
        if not self.has("session"):
            columns = (c for c in self.table.coords if self.table[c].dims == ("unit",))
            raise NotApplicableError(
                f"recording {self.name!r}",
                "a unit column 'session' (units of one session are not independent)",
                f"unit columns {listing(columns)}",
                'Add it: table.assign_coords(session=("unit", [...])).',
            )

    def session_keys(self) -> list[Key]:
        """Return the animal and session of each unit; see `check_sessions`."""
        self.check_sessions()
        animals = self.animals.tolist()
        return [(a, s) for a, (s,) in zip(animals, self.keys("session"), strict=True)]


def are_matched(samples: Sequence[UnitSample], subject: str) -> bool:
    """Tell whether networks' units are matched to recorded ones.

    Parameters
    ----------
    samples
        The networks' units.
    subject
        What an error calls them.

    Raises
    ------
    InputError
        Where some networks' units are matched and others' are not.
    """
    matched = [one.has("session") and one.has("recorded_unit") for one in samples]
    if any(matched) and not all(matched):
        raise InputError(
            subject,
            "the unit columns session and recorded_unit in all or in none",
            f"them in {sum(matched)} of {len(matched)}",
            "Sample all networks alike.",
        )
    return all(matched)


def session_columns(samples: Sequence[UnitSample]) -> list[str]:
    """Return the columns that tell sessions apart in all samples."""
    return [column for column in SESSION if all(one.has(column) for one in samples)]


def animals_of_groups(sample: UnitSample, groups: UnitGroups, subject: str) -> Codes:
    """Return the place of each group's animal ``(group,)``.

    Raises
    ------
    InputError
        Where a group has units of two animals.
    """
    animal = np.unique(sample.animals, return_inverse=True)[1].astype(np.int64)
    of_group = animal[groups.first]
    if (of_group[groups.code] != animal).any():
        raise InputError(
            subject,
            "sessions of one animal each",
            "the same session in two animals",
            "Give matched units the unit column subject, too, or number sessions on.",
        )
    return of_group


def matched_groups(
    sample: UnitSample, groups: UnitGroups, columns: Sequence[str], subject: str
) -> Codes:
    """Return the recording's group that each unit of a network is matched to ``(unit,)``.

    Parameters
    ----------
    sample
        The network's units.
    groups
        The recording's.
    columns
        What tells the groups apart, by the network's names.
    subject
        What an error calls the network.

    Raises
    ------
    InputError
        For units of no group of the recording.
    """
    keys = sample.keys(*columns)
    if strange := groups.strange(keys):
        what = "sessions" if "session" in columns else "units"
        raise InputError(
            subject,
            f"units matched to the recording's own {what}",
            f"others: {listing(strange, most=5)}",
            "Sample the network for this recording, or drop the column recorded_unit.",
        )
    return groups.codes_of(keys)


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
