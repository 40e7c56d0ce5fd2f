"""Conditions that users give: checked and brought to one length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.tasks.description import Floats


def read_conditions(given: Mapping[str, Any], variables: tuple[str, ...]) -> dict[str, Floats]:
    """Give the conditions as columns ``(trial,)``.

    Parameters
    ----------
    given
        A number or ``(trial,)`` for each variable.
    variables
        The variables of the task.

    Raises
    ------
    InputError
        For a variable that is unknown, absent, not finite, or of another length.
    """
    for name in given:
        if name not in variables:
            raise unknown_name("conditions", name, variables)
    absent = [name for name in variables if name not in given]
    if absent:
        raise InputError(
            "conditions",
            f"values for {listing(variables)}",
            f"none for {listing(absent)}",
            "Give each as a number or as one value for each trial.",
        )
    arrays = {name: _finite(given[name], name) for name in variables}
    if len({array.size for array in arrays.values()} - {1}) > 1:
        raise InputError(
            "conditions",
            "numbers, or arrays of one length",
            listing(f"{name} {array.size}" for name, array in arrays.items()),
            "Give one value for each trial.",
        )
    return dict(zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True))


def _finite(values: Any, name: str) -> Floats:
    refused = InputError(
        f"conditions[{name!r}]",
        "modality 1 or 2 for each trial"
        if name.startswith("modality")
        else "one or more finite numbers (trial,)",
        repr(values),
        "Correct them.",
    )
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise refused from error
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise refused
    if name.startswith("modality") and not np.isin(array, (1, 2)).all():
        raise refused
    return array
