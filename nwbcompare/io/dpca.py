"""Activity from the arrays of demixed principal component analysis (dPCA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.epochs import Epochs
from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.arrays import from_arrays
from nwbcompare.io.columns import Column, Table, as_array, as_numbers

Numbers = npt.NDArray[Any]


def from_dpca(
    firing_rates: npt.ArrayLike,
    axes: Sequence[str] | Mapping[str, Sequence[Any]],
    trial_num: npt.ArrayLike | None = None,
    *,
    time_s: npt.ArrayLike | None = None,
    bin: float | None = None,  # noqa: A002 - the word that users know
    counts: bool = False,
    units: Table | None = None,
    task: str | None = None,
    conditions: Sequence[str] | None = None,
    epochs: Epochs | None = None,
    aligned_to: str | None = None,
    name: str = "dpca",
    provenance: dict[str, Any] | None = None,
) -> xr.DataTree:
    """Make an activity from ``firingRates`` and ``trialNum``, as scripts of dPCA keep data.

    Parameters
    ----------
    firing_rates
        Rates (spikes/s) of single trials, ``(unit, condition axis, ..., time, trial)``. Each unit
        has the trials of a combination of conditions first on the last axis; the rest is padding.
    axes
        Names of the condition axes in their order, or a mapping from each to its values, such as
        ``{"frequency": [10, 14, 18], "decision": ["left", "right"]}``; without values they are
        numbered from 0. They become trial columns.
    trial_num
        Number of trials, ``(unit, condition axis, ...)``. By default all trials up to the last
        with a number: an array that is padded with 0, as a sparse one, needs it.
    time_s
        Bin centres (s), ``(time,)``; by default consecutive bins from 0 s.
    bin
        Bin width (s), by default the step of ``time_s``.
    counts
        Whether the array has spike counts, which are then divided by the bin width.
    units
        Columns of the unit table, as for `nwbcompare.from_arrays`.
    task
        The condition axis that is the task, or context; by default "task", if there is one.
    conditions
        Condition axes whose combinations are conditions; by default all but the task.
    epochs, aligned_to, name, provenance
        As for `nwbcompare.from_arrays`.

    Returns
    -------
    xarray.DataTree
        One ragged block: the array does not tell which units have trials together.

    Raises
    ------
    InputError
        If the shapes of ``firing_rates``, ``axes`` and ``trial_num`` do not fit, a number of trials
        is not a whole number within the array, trials that ``trial_num`` counts are empty, or
        trials that it does not count have rates.

    Notes
    -----
    The layout is that of Kobak et al. (2016), Demixed principal component analysis of neural
    population data, eLife 5:e10989.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.full((2, 3, 4, 5), np.nan)  # 2 units, 3 frequencies, 4 bins, up to 5 trials
    >>> rates[0, :, :, :2], rates[1, :, :, :5] = 10, 20
    >>> activity = from_dpca(rates, {"frequency": [10, 14, 18]}, bin=0.1, task="frequency")
    >>> activity["dpca"].sizes["observation"]
    21
    """
    array = _checked_rates(firing_rates, axes)
    shape = array.shape[1:-2]
    levels = _levels(axes, shape)
    numbers = _last_trials(array) if trial_num is None else _checked_numbers(trial_num, array)
    # rows of a unit in the order of its combinations, and of trials within them
    is_trial = np.arange(array.shape[-1]) < numbers[..., None]
    rows = [np.nonzero(unit) for unit in is_trial]
    return from_arrays(
        [np.moveaxis(unit, -1, -2)[own] for unit, own in zip(array, rows, strict=True)],
        trials=[
            {axis: levels[axis][place] for axis, place in zip(levels, own, strict=False)}
            for own in rows
        ],
        units=units,
        time_s=time_s,
        bin=bin,
        counts=counts,
        task=task,
        conditions=_conditions(levels, task) if conditions is None else conditions,
        epochs=epochs,
        aligned_to=aligned_to,
        name=name,
        provenance=provenance,
    )


def _checked_rates(firing_rates: npt.ArrayLike, axes: Sequence[str] | Mapping[str, Any]) -> Numbers:
    """Return the array, after a check of its number of axes."""
    array = as_numbers("firing_rates", firing_rates)
    if isinstance(axes, str) or not axes or len(set(axes)) != len(axes):
        raise InputError(
            "axes", "different names of the condition axes", repr(axes), "Pass axes=['stimulus']."
        )
    if array.ndim != len(axes) + 3:
        raise InputError(
            "firing_rates",
            f"{len(axes) + 3} axes: unit, {listing(axes)}, time, trial",
            f"an array {array.shape}",
            "Name all condition axes in axes=..., in their order.",
        )
    return array


def _levels(
    axes: Sequence[str] | Mapping[str, Sequence[Any]], shape: Sequence[int]
) -> dict[str, Column]:
    """Return the values of each condition axis, one for each of its places."""
    given = axes if isinstance(axes, Mapping) else dict.fromkeys(axes)
    levels: dict[str, Column] = {}
    for (axis, values), size in zip(given.items(), shape, strict=True):
        levels[axis] = np.arange(size) if values is None else as_array(f"axes[{axis!r}]", values)
        if levels[axis].shape != (size,):
            raise InputError(
                f"axes[{axis!r}]",
                f"{size} values, as the array has",
                f"values of shape {levels[axis].shape}",
                "Pass a value for each place of the axis.",
            )
    return levels


def _last_trials(array: Numbers) -> Numbers:
    """Return the number of trials up to the last that is not padding, ``(unit, ...)``."""
    has_rates = ~np.isnan(array).all(axis=-2)
    numbers: Numbers = np.where(has_rates, np.arange(1, array.shape[-1] + 1), 0)
    return numbers.max(axis=-1, initial=0)  # type: ignore[no-any-return]


def _checked_numbers(trial_num: npt.ArrayLike, array: Numbers) -> Numbers:
    """Return the numbers of trials, which have to agree with the array."""
    numbers = as_numbers("trial_num", trial_num)
    most = array.shape[-1]
    if numbers.shape != array.shape[:-2]:
        raise InputError(
            "trial_num",
            f"the shape of firing_rates without time and trial, {array.shape[:-2]}",
            f"{numbers.shape}",
            "Pass the number of trials of each unit in each combination of conditions.",
        )
    whole = numbers.astype(np.int64) if np.isfinite(numbers).all() else np.full_like(numbers, -1)
    if (whole != numbers).any() or (whole < 0).any() or (whole > most).any():
        raise InputError(
            "trial_num",
            f"whole numbers from 0 to {most}, the last axis of firing_rates",
            f"{numbers.min():g} to {numbers.max():g}",
            "Pass the array that belongs to these rates.",
        )
    is_trial = np.arange(most) < whole[..., None]
    _refuse_first(is_trial & np.isnan(array).all(axis=-2), "rates", "only NaN")
    has_rates = (np.nan_to_num(array) != 0).any(axis=-2)
    _refuse_first(~is_trial & has_rates, "padding, NaN or 0,", "rates")
    return whole


def _refuse_first(is_wrong: npt.ArrayLike, expected: str, got: str) -> None:
    """Raise an error for the first trial ``(unit, condition axis, ..., trial)`` that is wrong."""
    wrong = np.argwhere(is_wrong)
    if wrong.size:
        unit, *cell, trial = wrong[0].tolist()
        raise InputError(
            f"firing_rates: unit {unit}, conditions {tuple(cell)}, trial {trial}",
            f"{expected} as trial_num has it",
            got,
            "Pass the trial_num that belongs to these rates.",
        )


def _conditions(levels: Mapping[str, Column], task: str | None) -> list[str]:
    return [axis for axis in levels if axis != (task or "task")]
