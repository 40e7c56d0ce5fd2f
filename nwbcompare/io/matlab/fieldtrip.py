"""The order of axes in FieldTrip's structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nwbcompare.core.errors import InputError

AXES = {"rpt": "trial", "chan": "unit", "time": "time"}
"""FieldTrip's names of axes, as in ``dimord``, that this package has."""
MEANS = {"avg", "var", "dof"}
"""Fields over trials of a timelock struct, whose ``dimord`` may be that of its trials."""


def fieldtrip_dims(struct: Any, field: str) -> tuple[str, ...] | None:
    """Return the axes of a field of a struct of FieldTrip's; None for any other struct.

    In raw data, ``trial`` is a cell with a matrix channel x time for each trial. In timelock data
    ``dimord`` has the order of axes, and ``avg`` is a mean over trials, channel x time: one trial.

    Parameters
    ----------
    struct
        The struct.
    field
        Name of the field with the values, such as "trial".

    Raises
    ------
    InputError
        If ``dimord`` has an axis that is neither trials nor channels nor time.

    Examples
    --------
    >>> data = {"label": ["A1", "A2"], "time": [[0.0, 0.1]], "trial": [[[1, 2], [3, 4]]]}
    >>> fieldtrip_dims(data, "trial")
    ('trial', 'unit', 'time')
    >>> timelock = {"label": ["A1"], "time": [0.0], "avg": [[1]], "dimord": "chan_time"}
    >>> fieldtrip_dims(timelock, "avg")
    ('unit', 'time')
    """
    # names are looked up, since fields are read at access
    if not isinstance(struct, Mapping) or not {"label", "time", field} <= set(struct):
        return None
    if field in MEANS:
        return ("unit", "time")
    if "dimord" not in struct:
        is_raw = field == "trial" and isinstance(struct[field], list)
        return ("trial", "unit", "time") if is_raw else None
    dimord = str(struct["dimord"])
    axes = tuple(AXES.get(axis, "") for axis in dimord.split("_"))
    if not all(axes):
        raise InputError(
            f"{field}: dimord",
            "axes rpt (trials), chan and time",
            repr(dimord),
            "Name the axes with dims=..., of an array of trials, units and times.",
        )
    return axes
