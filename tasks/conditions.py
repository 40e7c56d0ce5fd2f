"""Conditions of psychometric trials: checked and broadcast to one length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.tasks.description import Floats


def read_conditions(conditions: Mapping[str, Any], variables: tuple[str, ...]) -> dict[str, Floats]:
    """Return conditions as columns ``(trial,)``.

    Parameters
    ----------
    conditions
        A number or ``(trial,)`` for each variable.
    variables
        Variables of the task.

    Raises
    ------
    InputError
        For a variable that is unknown, absent, not finite, or of another length.

    Examples
    --------
    >>> columns = read_conditions({"a": 1, "b": [2, 3]}, ("a", "b"))
    >>> {name: column.tolist() for name, column in columns.items()}
    {'a': [1.0, 1.0], 'b': [2.0, 3.0]}
    """
    for name in conditions:
        if name not in variables:
            raise unknown_name("conditions", name, variables)
    absent = [name for name in variables if name not in conditions]
    if absent:
        raise InputError(
            "conditions",
            f"values for {listing(variables)}",
            f"none for {listing(absent)}",
            "Pass each as a number or as one value for each trial.",
        )
    arrays = {name: _finite(conditions[name], name) for name in variables}
    # a single number stands for all trials
    if len({array.size for array in arrays.values()} - {1}) > 1:
        raise InputError(
            "conditions",
            "numbers, or arrays of one length",
            listing(f"{name} {array.size}" for name, array in arrays.items()),
            "Pass one value for each trial.",
        )
    return dict(zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True))


def _finite(values: Any, name: str) -> Floats:
    # one error for three causes, of which each shows in the values
    error = InputError(
        f"conditions[{name!r}]",
        "modality 1 or 2 for each trial"
        if name.startswith("modality")
        else "one or more finite numbers (trial,)",
        repr(values),
        "Correct them.",
    )
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as cause:
        raise error from cause
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise error
    if name.startswith("modality") and not np.isin(array, (1, 2)).all():
        raise error
    return array
