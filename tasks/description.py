"""What tasks say of their trials: who is shown what, from when to when, and what is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stimuli:
    """Directions shown on the rings; every field is ``(trial, stimulus)``.

    ``modality`` is 1 or 2, ``direction`` in rad; shown from step ``start`` to ``stop``. Trials
    with fewer stimuli than others of their batch have some of strength 0.
    """

    modality: Integers
    direction: Floats
    strength: Floats
    start: Integers
    stop: Integers

    @classmethod
    def of(cls, n_trials: int, *shown: Mapping[str, npt.ArrayLike]) -> Self:
        """Stack stimuli, each a mapping of the fields to a number or ``(trial,)``."""
        stacked = {
            each.name: np.stack(
                [np.broadcast_to(one[each.name], n_trials) for one in shown], axis=1
            )
            for each in fields(cls)
        }
        real, whole = np.float64, np.int64
        return cls(
            modality=stacked["modality"].astype(whole),
            direction=stacked["direction"].astype(real),
            strength=stacked["strength"].astype(real),
            start=stacked["start"].astype(whole),
            stop=stacked["stop"].astype(whole),
        )

    def take(self, trials: npt.NDArray[np.integer]) -> Stimuli:
        """Give the stimuli of some trials."""
        return Stimuli(**{each.name: getattr(self, each.name)[trials] for each in fields(self)})

    def padded(self, n_stimuli: int) -> Stimuli:
        """Add stimuli of strength 0 up to ``n_stimuli``."""
        more = n_stimuli - self.strength.shape[1]
        pad = ((0, 0), (0, more))
        padded = {each.name: np.pad(getattr(self, each.name), pad) for each in fields(self)}
        padded["modality"] = np.where(padded["modality"] == 0, 1, padded["modality"])
        return Stimuli(**padded)


@dataclass(frozen=True, kw_only=True)
class TrialDescription:
    """Trials of one or more tasks, their times in steps.

    Attributes
    ----------
    tasks
        The tasks' names.
    task
        Places in ``tasks`` ``(trial,)``.
    n_steps, fixation_off, go
        Length, the step from which fixation input is off, and the one from which a response is
        due, each ``(trial,)``.
    stimuli
        What is shown.
    response
        Direction (rad) of the response that is due ``(trial,)``; NaN: keep fixating.
    epochs
        Bounds ``(trial, 2)`` by name; -1 in trials that lack the epoch.
    columns
        What varies between trials ``(trial,)``; NaN where a task has no such column.
    """

    tasks: tuple[str, ...]
    task: Integers
    n_steps: Integers
    fixation_off: Integers
    go: Integers
    stimuli: Stimuli
    response: Floats
    epochs: Mapping[str, Integers]
    columns: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.response.size

    def take(self, trials: npt.NDArray[np.integer]) -> TrialDescription:
        """Give some of the trials."""
        return TrialDescription(
            tasks=self.tasks,
            task=self.task[trials],
            n_steps=self.n_steps[trials],
            fixation_off=self.fixation_off[trials],
            go=self.go[trials],
            stimuli=self.stimuli.take(trials),
            response=self.response[trials],
            epochs={name: bounds[trials] for name, bounds in self.epochs.items()},
            columns={name: column[trials] for name, column in self.columns.items()},
        )


def describe(
    task: str,
    n_trials: int,
    *shown: Mapping[str, npt.ArrayLike],
    epochs: Mapping[str, npt.ArrayLike],
    response: npt.ArrayLike,
    columns: Mapping[str, npt.ArrayLike],
    keep_fixation_input: bool = False,
) -> TrialDescription:
    """Describe trials of one task by their epochs.

    Parameters
    ----------
    task
        Its name.
    n_trials
        Number of trials.
    *shown
        The stimuli; see `Stimuli.of`.
    epochs
        The step at which each epoch ends, a number or ``(trial,)``; each starts where the one
        before ended, and the response is due from the last one on.
    response
        Direction of the response (rad; NaN: keep fixating).
    columns
        What varies between trials.
    keep_fixation_input
        Whether fixation input stays on to the end, the stimulus being the go cue.
    """
    stops = [np.broadcast_to(stop, n_trials).astype(np.int64) for stop in epochs.values()]
    starts = [np.zeros(n_trials, dtype=np.int64), *stops[:-1]]
    return TrialDescription(
        tasks=(task,),
        task=np.zeros(n_trials, dtype=np.int64),
        n_steps=stops[-1],
        fixation_off=stops[-1] if keep_fixation_input else starts[-1],
        go=starts[-1],
        stimuli=Stimuli.of(n_trials, *shown),
        response=np.broadcast_to(response, n_trials).astype(np.float64),
        epochs={
            name: np.stack([start, stop], axis=1)
            for name, start, stop in zip(epochs, starts, stops, strict=True)
        },
        columns={
            name: np.broadcast_to(column, n_trials).astype(np.float64)
            for name, column in columns.items()
        },
    )


def concatenate(parts: Sequence[TrialDescription]) -> TrialDescription:
    """Join trials of several tasks, one part after the other."""
    tasks = tuple(dict.fromkeys(name for part in parts for name in part.tasks))
    most = max(part.stimuli.strength.shape[1] for part in parts)
    stimuli = [part.stimuli.padded(most) for part in parts]
    places = [np.array([tasks.index(name) for name in part.tasks])[part.task] for part in parts]
    return TrialDescription(
        tasks=tasks,
        task=np.concatenate(places),
        n_steps=np.concatenate([part.n_steps for part in parts]),
        fixation_off=np.concatenate([part.fixation_off for part in parts]),
        go=np.concatenate([part.go for part in parts]),
        stimuli=Stimuli(
            **{
                each.name: np.concatenate([getattr(one, each.name) for one in stimuli])
                for each in fields(Stimuli)
            }
        ),
        response=np.concatenate([part.response for part in parts]),
        epochs={
            name: np.concatenate(
                [part.epochs.get(name, np.full((part.n_trials, 2), -1)) for part in parts]
            )
            for name in _in_order(parts)
        },
        columns={
            name: np.concatenate(
                [part.columns.get(name, np.full(part.n_trials, np.nan)) for part in parts]
            )
            for name in dict.fromkeys(name for part in parts for name in part.columns)
        },
    )


def _in_order(parts: Sequence[TrialDescription]) -> list[str]:
    """Give all epochs, so ordered that each part's own order is kept."""
    longest = max((list(part.epochs) for part in parts), key=len)
    others = dict.fromkeys(name for part in parts for name in part.epochs)
    return [*longest[:-1], *(name for name in others if name not in longest), longest[-1]]
