"""One time axis for trials of unequal length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.activity import EPOCH_TOLERANCE
from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.columns import as_array
from nwbcompare.io.sessions.recorded_signals import Times


def on_common_time(trials: Sequence[npt.NDArray[Any]], time_s: Any) -> tuple[npt.NDArray[Any], Any]:
    """Return trials as one array, with NaN where a trial has no bin.

    Parameters
    ----------
    trials
        For each trial its values, ``(time, unit)``.
    time_s
        Bin centres (s): ``(time,)`` of all trials, or a list with those of each trial; None if
        they are unknown.

    Returns
    -------
    values : array, (trial, time, unit)
        The values.
    time_s : array, (time,)
        Bin centres of the common axis; None if they are unknown.

    Raises
    ------
    InputError
        If trials have different units; or different lengths, and no times, or times that are not
        the same bins where trials overlap.

    Examples
    --------
    >>> import numpy as np
    >>> values, times = on_common_time([np.ones((2, 1)), np.ones((1, 1))], [[0.1, 0.2], [0.2]])
    >>> values[:, :, 0].tolist(), times.tolist()
    ([[1.0, 1.0], [nan, 1.0]], [0.1, 0.2])
    """
    n_units = {trial.shape[1] for trial in trials}
    if len(n_units) != 1:
        raise InputError(
            "rates",
            "as many units in each trial",
            f"{listing(sorted(n_units))} units" if n_units else "no trial",
            "Name the axes with dims=..., that of the list first.",
        )
    lengths = sorted({trial.shape[0] for trial in trials})
    if not isinstance(time_s, list | tuple) or not any(np.ndim(times) for times in time_s):
        if len(lengths) > 1:
            raise InputError(
                "rates",
                "trials of one length, or time_s with the bin centres of each trial",
                f"trials of {listing(lengths)} bins",
                "Cut them to one length, or pass a list of times.",
            )
        return np.stack(trials), time_s
    each = [as_array("time_s", times, np.float64).ravel() for times in time_s]
    sizes = [trial.shape[0] for trial in trials]
    if [times.size for times in each] != sizes:
        raise InputError(
            "time_s",
            f"bin centres of {len(sizes)} trials of {listing(lengths)} bins",
            f"those of {len(each)} trials of {listing(sorted({one.size for one in each}))} bins",
            "Pass one for each bin of each trial, in s.",
        )
    step = _step(each)
    common = _union(each, step, lengths)
    values = np.full((len(trials), common.size, n_units.pop()), np.nan)
    for row, (trial, times) in enumerate(zip(trials, each, strict=True)):
        first = _first_bin(common, times, step)
        values[row, first : first + times.size] = trial
    return values, common


def _step(each: Sequence[Times]) -> float:
    steps = np.concatenate([np.diff(times) for times in each])
    return float(np.median(steps)) if steps.size else 1.0


def _first_bin(common: Times, times: Times, step: float) -> int:
    """Return the place of a trial's first bin on the common axis."""
    # halfway to the bin before, so that rounding does not matter
    return int(np.searchsorted(common, times[0] - step / 2)) if times.size else 0


def _union(each: Sequence[Times], step: float, lengths: Sequence[int]) -> Times:
    """Return all bin centres, after a check that bins of different trials are the same."""
    tolerance = EPOCH_TOLERANCE * step
    every = np.sort(np.concatenate(each))
    common: Times = every[np.diff(every, prepend=-np.inf) > tolerance]
    # bins between bins, of another phase or width, are too close to their neighbours
    agree = step > 0 and bool((np.diff(common) > step - 2 * tolerance).all())
    for times in each:
        first = _first_bin(common, times, step)
        same = common[first : first + times.size]
        agree = agree and same.size == times.size and bool((abs(same - times) <= tolerance).all())
    if not agree:
        raise InputError(
            "time_s",
            "the same bins in all trials where they overlap",
            f"other ones, in trials of {listing(lengths)} bins",
            "Resample the trials to one time axis.",
        )
    return common
