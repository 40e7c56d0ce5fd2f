"""Objects that installed packages register as entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from nwbcompare.core.errors import InputError

T = TypeVar("T")


def registered(group: str, kind: type[T], known: Mapping[str, T]) -> dict[str, T]:
    """Return the objects of an entry point group by name, after those of this package.

    Parameters
    ----------
    group
        Name of the group.
    kind
        Class of its objects, which have a ``name``.
    known
        Objects of this package by name.

    Raises
    ------
    InputError
        Where an entry point is of another class, or two have one name.

    Examples
    --------
    >>> registered("nwbcompare.no_such_group", str, {})
    {}
    """
    objects = dict(known)
    for entry in entry_points(group=group):
        value = entry.load()
        name = getattr(value, "name", "")
        # one object may be installed under two distributions
        is_second = name in objects and objects[name] is not value
        if not isinstance(value, kind) or is_second:
            raise InputError(
                f"entry point {entry.value!r} of the group {group}",
                f"a {kind.__name__} with a name of its own",
                f"a second {name!r}" if is_second else repr(value),
                "Correct or uninstall the package that registers it.",
            )
        objects[name] = value
    return objects
