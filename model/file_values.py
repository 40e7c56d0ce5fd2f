"""Validation of values read from files against the types of dataclasses (pydantic).

Constructors check what a user passes; here what a FILE holds is checked as well: unknown keys,
and values of another type, which a dataclass takes as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator

from nwbcompare.core.errors import DamagedCacheError, ExplainedError, InputError

Values = TypeVar("Values")
STRICT = ConfigDict(extra="forbid", strict=True)
"""Rules for dataclasses that are read from files: no unknown keys, no text for a number."""


def _unchanged(value: Any, check: Any) -> Any:
    check(value)
    return value


# pydantic makes 20.0 of 20: a configuration would not be saved as it was read
Number = Annotated[float, Field(allow_inf_nan=False), WrapValidator(_unchanged)]
"""A finite number; one that is whole in the file stays an int."""


def validated(
    adapter: TypeAdapter[Values],
    values: object,
    *,
    file: str | Path,
    remedy: str,
    error: type[InputError | DamagedCacheError] = InputError,
) -> Values:
    """Return plain values as the dataclass that an adapter describes.

    Parameters
    ----------
    adapter
        Of a dataclass with the configuration `STRICT`.
    values
        Plain values, as JSON gives them.
    file
        The file they come from; the error names it, with the key.
    remedy
        What to do about a wrong file.
    error
        Kind of error: `InputError` for files that users write, `DamagedCacheError` for those
        that only this package writes.

    Raises
    ------
    InputError, DamagedCacheError
        For the first key that is unknown, missing or of another type, or whose value the
        dataclass refuses.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from pydantic import with_config
    >>> @with_config(STRICT)
    ... @dataclass
    ... class Sizes:
    ...     units: int
    >>> validated(TypeAdapter(Sizes), {"units": 8}, file="sizes.json", remedy="Correct it.")
    Sizes(units=8)
    >>> validated(TypeAdapter(Sizes), {"units": "8"}, file="sizes.json", remedy="Correct it.")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: sizes.json, units: expected a valid integer, got '8'. \
Correct it.
    """
    try:
        # from JSON text, since in Python's own values strict types tell lists from tuples
        return adapter.validate_json(json.dumps(values))
    except ValidationError as failure:
        place, *rest = _explanation(failure, remedy)
        raise error(f"{file}, {place}" if place else str(file), *rest) from failure


def _explanation(failure: ValidationError, remedy: str) -> tuple[str, str, str, str]:
    """Return the key of the first fault, what was expected, what came, and the remedy."""
    first = failure.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ExplainedError):
        place = ".".join(filter(None, (place, cause.subject)))
        return place, cause.expected, cause.got, cause.remedy
    expected = first["msg"].removeprefix("Input should be ")
    got = f"{first['input']!r:.60}"
    if first["type"] == "missing":
        expected, got = "a value", "none"
    elif first["type"] == "unexpected_keyword_argument":
        expected = "no key of this name"
    return place, expected, got, remedy
