"""Trial columns that describe earlier trials, whose values cannot be exchanged between trials."""

from __future__ import annotations

import re
from collections.abc import Iterable

import xarray as xr

from nwbcompare.core.activity import columns_on, row_dim
from nwbcompare.core.errors import NotApplicableError

NAME = re.compile(
    r"(^|_)(previous|prev|preceding|history|trial_before|(n|\d+)_?back|lag_?\d*)(_|$)",
    re.IGNORECASE,
)
"""Names such as previous_choice, reward_history, choice_1_back and reward_lag2."""


def refuse_history(block: xr.Dataset, tasks: Iterable[str], columns: Iterable[str]) -> None:
    """Check that tasks and conditions are not defined by earlier trials.

    Parameters
    ----------
    block
        A block.
    tasks
        Names of tasks.
    columns
        Names of condition variables.

    Raises
    ------
    NotApplicableError
        For a history variable.

    Notes
    -----
    A column is a history variable if its attribute ``trials_back`` is 1 or more, or, without this
    attribute, if its name contains one of the words "previous", "prev", "preceding", "history",
    "trial_before", "lag" or "1_back" (`NAME`); tasks are recognised by the column ``task`` or
    their names. A column of another name without the attribute is not recognised.

    Choices, rewards and rates all change slowly during a session. The value of an earlier trial
    is therefore related to the rates of this one without any effect on them, and trials with
    different values are not exchangeable.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> refuse_history(example_block(), ["go"], ["direction"])
    """
    described = columns_on(block, row_dim(block))
    for what, name, column in (
        *(("conditions", name, name) for name in columns),
        *(("task", name, "task") for name in tasks),
    ):
        attrs = described[column].attrs if column in described else {}
        back = attrs.get("trials_back")
        if NAME.search(name) is not None if back is None else int(back) > 0:
            raise NotApplicableError(
                what,
                "variables of the trial itself",
                f"{name!r}, which describes earlier trials",
                "Trials with different histories are not exchangeable, since choices and rates "
                "change slowly: no null by relabelled or resampled trials applies. If the name "
                "misleads, set the column's attribute trials_back to 0.",
            )
