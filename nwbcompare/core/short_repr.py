"""Short texts of configurations and of results with arrays, for consoles and notebooks."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

import numpy as np

MOST_CHARACTERS = 120
"""Length above which a value is shortened."""


def changed_fields(item: Any) -> str:
    """Return the text of a configuration, with the fields that differ from their defaults.

    Parameters
    ----------
    item
        A dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Options:
    ...     seed: int = 0
    ...     units: int = 256
    ...     __repr__ = changed_fields
    >>> Options(), Options(seed=3)
    (Options(), Options(seed=3))
    """
    values = {one.name: getattr(item, one.name) for one in fields(item)}
    changed = [
        f"{one.name}={_short(values[one.name])}"
        for one in fields(item)
        if values[one.name] != _default(one)
    ]
    return f"{type(item).__name__}({', '.join(changed)})"


def fields_with_shapes(item: Any) -> str:
    """Return the text of a result, with the shapes of its arrays in place of their values.

    Parameters
    ----------
    item
        A dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Result:
    ...     values: np.ndarray
    ...     n_units: int
    ...     __repr__ = fields_with_shapes
    >>> Result(np.zeros((3, 2)), 3)
    Result(values: float64 (3, 2), n_units=3)
    """
    return f"{type(item).__name__}({', '.join(_field_text(item, one) for one in fields(item))})"


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _short(value: Any) -> str:
    text = repr(value)
    if len(text) > MOST_CHARACTERS and isinstance(value, tuple | list | dict):
        return f"<{len(value)} values>"
    return text


def _field_text(item: Any, field: Field[Any]) -> str:
    value = getattr(item, field.name)
    if isinstance(value, np.ndarray):
        return f"{field.name}: {value.dtype} {value.shape}"
    if isinstance(value, dict) and all(isinstance(one, np.ndarray) for one in value.values()):
        return f"{field.name}: {', '.join(value)}"
    return f"{field.name}={_short(value)}"
