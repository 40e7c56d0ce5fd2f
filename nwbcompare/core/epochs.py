"""Epochs that a user names: by times from time 0, or by trial columns of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    WINDOW_EPOCH,
    bins_in,
    columns_on,
    row_dim,
    window_bounds,
)
from nwbcompare.core.checks import is_finite
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.lazy import is_in_memory

Bound: TypeAlias = float | str
"""A time (s) from time 0, or the name of a trial column of times (s)."""
Epochs: TypeAlias = Mapping[str, tuple[Bound, Bound]]
"""Start and stop of each epoch by its name."""
Times: TypeAlias = npt.NDArray[np.float64]

EXAMPLE = 'Write epochs={"stim": (0.1, 0.85)}, or {"delay": ("cue_off", "go")}.'


def check_epochs(epochs: object) -> None:
    """Check that epochs are pairs of times or of names of columns, by name.

    Parameters
    ----------
    epochs
        The value that a user passed.

    Raises
    ------
    InputError
        If they are not, or an epoch in numbers does not stop after it starts.

    Examples
    --------
    >>> check_epochs({"stim": (0.1, 0.85), "delay": ("cue_off", "go")})
    >>> check_epochs({"stim": (0.85, 0.1)})
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: epochs['stim']: expected a stop after the start, got \
(0.85, 0.1). Exchange the two times.
    """
    if not isinstance(epochs, Mapping) or not epochs:
        raise InputError("epochs", "a start and a stop for each name", repr(epochs), EXAMPLE)
    for name, pair in epochs.items():
        subject = f"epochs[{name!r}]"
        if not isinstance(name, str) or not name:
            raise InputError(subject, "a name", repr(name), EXAMPLE)
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise InputError(subject, "a start and a stop", repr(pair), EXAMPLE)
        for bound in pair:
            if not isinstance(bound, str) and not is_finite(bound):
                raise InputError(
                    subject, "times in s, or names of trial columns", repr(bound), EXAMPLE
                )
        if all(is_finite(bound) for bound in pair) and not pair[0] < pair[1]:
            raise InputError(
                subject, "a stop after the start", repr(tuple(pair)), "Exchange the two times."
            )


def with_epochs(
    block: xr.Dataset, epochs: Epochs | None, *, event: str | None = None
) -> xr.Dataset:
    """Return a block with further epochs, each with its bounds in every trial.

    Parameters
    ----------
    block
        A block that keeps the data model.
    epochs
        Start and stop of each epoch, each a time (s) from time 0, or the name of a trial column
        of times (s). A trial without one of its times (NaN) lacks the epoch. An epoch replaces
        one of the same name. None: no further epochs.
    event
        The trial column with the time of the event at time 0, on the clock of the other columns
        of times; by default the column that the time axis is aligned to, where that is one, else
        columns have times from the event.

    Returns
    -------
    xarray.Dataset
        The block, with ``epoch`` and its bounds.

    Raises
    ------
    InputError
        For an unknown column, an epoch that no trial has, one that does not stop after it starts,
        lies outside the time axis, or overlaps times without any bin or observation. Rates in
        files are not read for the last check.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(go=("trial", [0.3] * 8))
    >>> block = with_epochs(block, {"early": (0.1, "go")})
    >>> block["epoch"].values.tolist(), block["epoch_stop_time"].values[0].tolist()
    (['fix1', 'stim1', 'early'], [0.1, 0.5, 0.3])
    """
    if epochs is None:
        return block
    check_epochs(epochs)
    bounds = _present_epochs(block)
    for name, (start, stop) in epochs.items():
        times = (_times(block, name, start, event), _times(block, name, stop, event))
        lacking = np.isnan(times[0]) | np.isnan(times[1])
        bounds[name] = (
            np.where(lacking, np.nan, times[0]),
            np.where(lacking, np.nan, times[1]),
        )
        _check_bounds(block, name, *bounds[name])
    return _stored(block, bounds)


def with_window_epoch(block: xr.Dataset) -> xr.Dataset:
    """Return a block with the epoch "window", the whole time axis, where it has no epochs.

    Parameters
    ----------
    block
        A block.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> bare = example_block().drop_dims("epoch")
    >>> with_window_epoch(bare)["epoch_stop_time"].values[0].tolist()
    [0.5]
    """
    if "epoch" in block.coords:
        return block
    n_rows = block.sizes[row_dim(block)]
    start, stop = (np.full(n_rows, bound) for bound in window_bounds(block))
    return _stored(block, {WINDOW_EPOCH: (start, stop)})


def _present_epochs(block: xr.Dataset) -> dict[str, tuple[Times, Times]]:
    if "epoch" not in block.coords:
        return {}
    start, stop = block["epoch_start_time"].values, block["epoch_stop_time"].values
    return {
        str(name): (start[:, place], stop[:, place])
        for place, name in enumerate(block["epoch"].values)
    }


def _stored(block: xr.Dataset, bounds: Mapping[str, tuple[Times, Times]]) -> xr.Dataset:
    row = row_dim(block)
    start, stop = (np.stack([pair[which] for pair in bounds.values()], axis=1) for which in (0, 1))
    # without those of before: their number of epochs is another
    return block.drop_dims("epoch", errors="ignore").assign_coords(
        epoch=("epoch", np.array(list(bounds), dtype=str)),
        epoch_start_time=((row, "epoch"), start, {"units": "s"}),
        epoch_stop_time=((row, "epoch"), stop, {"units": "s"}),
    )


def _times(block: xr.Dataset, epoch: str, bound: Bound, event: str | None) -> Times:
    """Return a bound of an epoch in each row (s from time 0)."""
    row = row_dim(block)
    if not isinstance(bound, str):
        return np.full(block.sizes[row], float(bound))
    numeric = {
        name: column.values.astype(np.float64)
        for name, column in columns_on(block, row).items()
        if column.dtype.kind in "fiu" and "categories" not in column.attrs
    }
    if bound not in numeric:
        raise unknown_name(f"epochs[{epoch!r}]", bound, numeric)
    origin = numeric.get(event or str(block["time"].attrs["aligned_to"]), 0.0)
    return np.asarray(numeric[bound] - origin)


def _check_bounds(block: xr.Dataset, name: str, start: Times, stop: Times) -> None:
    subject = f"epochs[{name!r}]"
    present = np.isfinite(start)
    if not present.any():
        raise InputError(
            subject, "a start and a stop in some trials", "none (NaN)", "Name other columns."
        )
    start, stop = start[present], stop[present]
    n_invalid = int((stop <= start).sum())
    if n_invalid:
        raise InputError(
            subject,
            "a stop after the start",
            f"none in {n_invalid} of {start.size} trials",
            "Exchange the two columns, or leave these trials out.",
        )
    left, right = window_bounds(block)
    slack = EPOCH_TOLERANCE * block["time"].attrs["bin_width_s"]
    outside = (start < left - slack) | (stop > right + slack)
    if outside.any():
        raise InputError(
            subject,
            f"times in the window, {left:g} to {right:g} s from {_event(block)}",
            f"{start.min():g} to {stop.max():g} s, outside it in {int(outside.sum())} of "
            f"{start.size} trials",
            "Widen window=(start, stop), shorten the epoch, or check that its times are in s and "
            "on the clock of the event.",
        )
    for first, last in _pauses(block):
        overlap = (start < last - slack) & (stop > first + slack)
        if overlap.any():
            raise InputError(
                subject,
                "times that were recorded",
                f"{start[overlap].min():g} to {stop[overlap].max():g} s, which overlaps the pause "
                f"from {first:g} to {last:g} s",
                "Name an epoch on each side of the pause.",
            )
    if not any(
        bins_in(block["time"].values, a, b, block["time"].attrs["bin_width_s"]).any()
        for a, b in {*zip(start.tolist(), stop.tolist(), strict=True)}
    ):
        raise InputError(
            subject,
            "the centre of at least one bin",
            f"none from {start.min():g} to {stop.max():g} s",
            "Lengthen the epoch, or read narrower bins (bin=).",
        )


def _event(block: xr.Dataset) -> str:
    return repr(str(block["time"].attrs["aligned_to"]))


def _pauses(block: xr.Dataset) -> Iterator[tuple[float, float]]:
    """Yield the times between bins, and those at which no unit was observed in any trial (s)."""
    centres, width = block["time"].values, float(block["time"].attrs["bin_width_s"])
    lacking = np.zeros(centres.size, dtype=bool)
    rate: Any = block["rate"]
    if is_in_memory(rate.variable):
        others = tuple(place for place, dim in enumerate(rate.dims) if dim != "time")
        lacking = np.isnan(rate.values).all(axis=others)
    observed = centres[~lacking]
    if not observed.size:
        return
    left, right = observed - width / 2, observed + width / 2
    begin, end = window_bounds(block)
    edges = [*zip([begin, *right.tolist()], [*left.tolist(), end], strict=True)]
    for first, last in edges:
        if last - first > EPOCH_TOLERANCE * width:
            yield first, last
