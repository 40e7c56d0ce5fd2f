"""A recording session, with its trials, units and signal, and the options of reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.epochs import Epochs, check_epochs
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.io.sessions.recorded_signals import ALWAYS, Signal, Times

Column = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Options of alignment, bins and smoothing.

    Attributes
    ----------
    align
        Trial column with the time (s) of the event that becomes time 0.
    window
        Start and stop (s) from the event; by default from the event to the end of the longest
        trial, with bins after a trial's own end as not observed (NaN).
    bin
        Bin width (s); by default 0.05 s for spikes, and the sampling interval for samples. An
        incomplete last bin is dropped.
    smooth
        Standard deviation of a Gaussian (s); 0 for none. Recorded bins beyond the window are used.
    task
        Trial column that names the task; by default ``task`` if there is one, else all trials
        are of one task, with the name of the activity.
    conditions
        Trial columns whose combinations are conditions; by default none.
    epochs
        Start and stop of each epoch by its name: times (s) from the event,
        ``{"stim": (0.1, 0.85)}``, or trial columns of times on the clock of the event,
        ``{"delay": ("cue_off", "go")}``, which give each trial bounds of its own. Analyses
        need the same bounds in all trials of a task: `nwbcompare.align` cuts them alike. By default
        the whole window is the epoch, called "window".

    Raises
    ------
    InputError
        If the window does not ascend, the bin is not above 0 s, the smoothing is negative, or
        an epoch is no pair of times.

    Examples
    --------
    >>> Reading(align="cue_time", window=(-0.2, 1)).window
    (-0.2, 1.0)
    """

    align: str = "start_time"
    window: tuple[float, float] | None = None
    bin: float | None = None
    smooth: float = 0.0
    task: str | None = None
    conditions: Sequence[str] | None = None
    epochs: Epochs | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.window is not None:
            if not _is_window(self.window):
                raise InputError(
                    "window", "(start, stop) in s, ascending", repr(self.window), "Use (-0.5, 1.0)."
                )
            start, stop = self.window
            # a frozen class has no other way to store converted values
            object.__setattr__(self, "window", (float(start), float(stop)))
        if self.bin is not None and not (_is_number(self.bin) and 0 < self.bin < np.inf):
            raise InputError("bin", "a width above 0 s", repr(self.bin), "Use 0.05.")
        if not (_is_number(self.smooth) and 0 <= self.smooth < np.inf):
            raise InputError("smooth", "0 s or more", repr(self.smooth), "Use 0.04.")
        # each letter of a text would be taken for a column
        if isinstance(self.conditions, str):
            raise InputError(
                "conditions",
                "a list of trial columns",
                repr(self.conditions),
                f"Use [{self.conditions!r}].",
            )
        if self.epochs is not None:
            check_epochs(self.epochs)


def _is_number(value: object) -> bool:
    # Python counts booleans as integers
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_window(window: object) -> bool:
    """Return whether a value is a sequence of two finite, ascending times."""
    if not isinstance(window, Sequence | np.ndarray) or len(window) != 2:
        return False
    start, stop = window
    return (
        _is_number(start) and _is_number(stop) and bool(np.isfinite(window).all()) and start < stop
    )


@dataclass(frozen=True, kw_only=True)
class Session:
    """One recording session.

    Attributes
    ----------
    name
        Id of the session.
    trials
        Trial columns by name, each ``(trial,)``, times in s.
    units
        Columns of the unit table by name, each ``(unit,)``, with ``unit``, the ids.
    signal
        Spike trains or samples of the units.
    trial_attrs
        Attributes of trial columns.
    epochs
        Start and stop of each epoch (s) relative to ``event``, each ``(trial,)``.
    event
        Trial column with the time (s) that epochs are relative to.
    apart
        Whether the signal before a trial's ``start_time`` and after its ``stop_time`` belongs to
        other trials, as in native NWB files, where trials lie end to end.
    valid
        Intervals (s) in which the session was recorded, ``(interval, 2)``, ascending and disjoint;
        by default always. A bin that reaches out of one is not observed, of no unit.
    left_out
        Names of trial columns that are left out, since they have no single value for each trial.
    held
        Returns a context in which the file of the signal stays open.

    Examples
    --------
    >>> from nwbcompare.io.sessions import SpikeTrains
    >>> session = Session(
    ...     name="day1", trials={"start_time": np.array([0.0, 1.0])},
    ...     units={"unit": np.array(["u0"])}, signal=SpikeTrains(lambda unit: np.array([0.1])))
    >>> session.n_units, session.event_times("start_time").tolist()
    (1, [0.0, 1.0])
    """

    name: str
    trials: Mapping[str, Column]
    units: Mapping[str, Column]
    signal: Signal
    trial_attrs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: Mapping[str, tuple[Times, Times]] = field(default_factory=dict)
    event: str = "start_time"
    apart: bool = False
    valid: Times = field(default_factory=ALWAYS.copy)
    left_out: Sequence[str] = ()
    held: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.units["unit"])

    def event_times(self, align: str) -> Times:
        """Return the times of an event, ``(trial,)`` (s); NaN in trials without it.

        Raises
        ------
        InputError
            If no numeric trial column has this name.
        """
        numeric = [name for name, column in self.trials.items() if column.dtype.kind in "fiu"]
        if align not in numeric:
            raise unknown_name(f"align (session {self.name!r})", align, numeric)
        return np.asarray(self.trials[align], dtype=np.float64)
