"""A session: trials, units and what was recorded, and how it is to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.io.sessions.recorded_signals import Signal, Times

Column = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How sessions are to be laid on one clock.

    Attributes
    ----------
    align
        The trial column with the time (s) of the event that becomes time 0.
    window
        Start and stop (s) about the event; None: from the event to the end of the longest
        trial, where what lies after a trial's own end counts as not observed.
    bin
        Width of the bins (s); None: 0.05 s for spikes, the sampling interval for samples. An
        incomplete last bin is dropped.
    smooth
        Standard deviation (s) of a Gaussian; bins beyond the window serve it too.
    task
        The trial column that names the task; None: ``task`` where there is one, else all
        trials are of one task, named after the source.
    conditions
        The trial columns whose combinations are conditions; None: none are known.
    """

    align: str = "start_time"
    window: tuple[float, float] | None = None
    bin: float | None = None
    smooth: float = 0.0
    task: str | None = None
    conditions: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a window, a bin, a smoothing or a list of columns."""
        if self.window is not None:
            if not _is_window(self.window):
                raise InputError(
                    "window", "(start, stop) in s, ascending", repr(self.window), "Use (-0.5, 1.0)."
                )
            start, stop = self.window
            object.__setattr__(self, "window", (float(start), float(stop)))
        if self.bin is not None and not (_is_number(self.bin) and 0 < self.bin < np.inf):
            raise InputError("bin", "a width above 0 s", repr(self.bin), "Use 0.05.")
        if not (_is_number(self.smooth) and 0 <= self.smooth < np.inf):
            raise InputError("smooth", "0 s or more", repr(self.smooth), "Use 0.04.")
        if isinstance(self.conditions, str):
            raise InputError(
                "conditions",
                "a list of trial columns",
                repr(self.conditions),
                f"Use [{self.conditions!r}].",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_window(window: object) -> bool:
    """Tell whether something is two finite, ascending times, in whatever holds them."""
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
        Its id.
    trials
        Trial columns by name, each ``(trial,)``, times in s.
    units
        Columns of the unit table by name, each ``(unit,)``; ``unit`` is needed.
    signal
        What was recorded.
    trial_attrs
        Attributes of trial columns.
    epochs
        For each epoch its start and stop (s) about ``event``, each ``(trial,)``.
    event
        The trial column with the time (s) that epochs are told from.
    apart
        Whether each trial was recorded by itself: what lies before its ``start_time`` or
        after its ``stop_time`` is not of it.
    left_out
        Trial columns that were left out, since they have no plain value for each trial.
    held
        Holds open what the signal is read from, while much is read.
    """

    name: str
    trials: Mapping[str, Column]
    units: Mapping[str, Column]
    signal: Signal
    trial_attrs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: Mapping[str, tuple[Times, Times]] = field(default_factory=dict)
    event: str = "start_time"
    apart: bool = False
    left_out: Sequence[str] = ()
    held: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def n_units(self) -> int:
        """How many units it has."""
        return len(self.units["unit"])

    def event_times(self, align: str) -> Times:
        """Give the times (s) of an event by trial; NaN where a trial lacks it."""
        timed = [name for name, column in self.trials.items() if column.dtype.kind in "fiu"]
        if align not in timed:
            raise unknown_name(f"align (session {self.name!r})", align, timed)
        return np.asarray(self.trials[align], dtype=np.float64)
