"""Descriptions of trials: stimuli, their times, and the response, without any arrays in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stimuli:
    """Directions presented on the rings; every field is ``(trial, stimulus)``.

    Trials with fewer stimuli than others have stimuli of strength 0.

    Attributes
    ----------
    modality
        1 or 2.
    direction
        Direction (rad).
    strength
        Factor of the activity of the ring.
    start, stop
        First step, and step after the last.
    """

    modality: Integers
    direction: Floats
    strength: Floats
    start: Integers
    stop: Integers

    @classmethod
    def of(cls, n_trials: int, *stimuli: Mapping[str, npt.ArrayLike]) -> Self:
        """Stack stimuli, each a mapping of the fields to a number or ``(trial,)``.

        Examples
        --------
        >>> one = {"modality": 1, "direction": [0.0, 1.5], "strength": 1, "start": 5, "stop": 9}
        >>> Stimuli.of(2, one).direction.tolist()
        [[0.0], [1.5]]
        """
        types = {"direction": np.float64, "strength": np.float64}
        columns: dict[str, Any] = {
            each.name: np.stack(
                [np.broadcast_to(stimulus[each.name], n_trials) for stimulus in stimuli], axis=1
            ).astype(types.get(each.name, np.int64))
            for each in fields(cls)
        }
        return cls(**columns)

    def take(self, trials: npt.NDArray[np.integer]) -> Stimuli:
        """Return the stimuli of some trials, by their indices."""
        return Stimuli(**{each.name: getattr(self, each.name)[trials] for each in fields(self)})

    def padded(self, n_stimuli: int) -> Stimuli:
        """Return stimuli with some of strength 0 added, ``n_stimuli`` in all."""
        n_added = n_stimuli - self.strength.shape[1]
        pad = ((0, 0), (0, n_added))
        padded = {each.name: np.pad(getattr(self, each.name), pad) for each in fields(self)}
        # 0 is no modality; with strength 0 either ring gets no input
        padded["modality"] = np.where(padded["modality"] == 0, 1, padded["modality"])
        return Stimuli(**padded)


@dataclass(frozen=True, kw_only=True)
class TrialDescription:
    """Description of trials of one or more tasks, with times in steps.

    Attributes
    ----------
    tasks
        Names of the tasks.
    task
        Index in ``tasks`` ``(trial,)``.
    n_steps, fixation_off, go
        Length, step from which fixation input is off, and step from which the response is due,
        each ``(trial,)``.
    stimuli
        Stimuli.
    response
        Direction (rad) of the response ``(trial,)``; NaN for continued fixation.
    epochs
        First step and step after the last ``(trial, 2)`` by name; -1 in trials without the epoch.
    columns
        Variables of the trials ``(trial,)`` by name; NaN in tasks without the variable.
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
        """Return some of the trials, by their indices."""
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
    *stimuli: Mapping[str, npt.ArrayLike],
    epochs: Mapping[str, npt.ArrayLike],
    response: npt.ArrayLike,
    columns: Mapping[str, npt.ArrayLike],
    keep_fixation_input: bool = False,
) -> TrialDescription:
    """Return the description of trials of one task from their epochs.

    Parameters
    ----------
    task
        Name of the task.
    n_trials
        Number of trials.
    *stimuli
        Stimuli; see `Stimuli.of`.
    epochs
        Step after the last of each epoch, a number or ``(trial,)``. An epoch starts where the
        previous one ends; the response is due in the last one.
    response
        Direction of the response (rad; NaN for continued fixation).
    columns
        Variables of the trials.
    keep_fixation_input
        Whether fixation input is on until the end, because the stimulus is the go cue.

    Examples
    --------
    >>> trials = describe("mine", 2, {"modality": 1, "direction": 0, "strength": 1, "start": 5,
    ...     "stop": 9}, epochs={"fix1": 5, "stim1": 9, "go1": 12}, response=0.0, columns={})
    >>> trials.go.tolist(), trials.epochs["stim1"].tolist()
    ([9, 9], [[5, 9], [5, 9]])
    """
    stops = [np.broadcast_to(stop, n_trials).astype(np.int64) for stop in epochs.values()]
    starts = [np.zeros(n_trials, dtype=np.int64), *stops[:-1]]
    return TrialDescription(
        tasks=(task,),
        task=np.zeros(n_trials, dtype=np.int64),
        n_steps=stops[-1],
        fixation_off=stops[-1] if keep_fixation_input else starts[-1],
        go=starts[-1],
        stimuli=Stimuli.of(n_trials, *stimuli),
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
    """Concatenate trials of several tasks, one part after the other.

    Examples
    --------
    >>> from nwbcompare.tasks.registry import get_task
    >>> trials = concatenate([get_task(name).test(20) for name in ("fdgo", "dm1")])
    >>> trials.tasks, trials.n_trials
    (('fdgo', 'dm1'), 140)
    """
    tasks = tuple(dict.fromkeys(name for part in parts for name in part.tasks))
    n_stimuli = max(part.stimuli.strength.shape[1] for part in parts)
    stimuli = [part.stimuli.padded(n_stimuli) for part in parts]
    places = [np.array([tasks.index(name) for name in part.tasks])[part.task] for part in parts]
    return TrialDescription(
        tasks=tasks,
        task=np.concatenate(places),
        n_steps=np.concatenate([part.n_steps for part in parts]),
        fixation_off=np.concatenate([part.fixation_off for part in parts]),
        go=np.concatenate([part.go for part in parts]),
        stimuli=Stimuli(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in stimuli])
                for each in fields(Stimuli)
            }
        ),
        response=np.concatenate([part.response for part in parts]),
        epochs={
            name: np.concatenate(
                # a time that no epoch has stands for an epoch that the trial lacks
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
    """Return the names of all epochs, in an order that agrees with that of each part."""
    longest = max((list(part.epochs) for part in parts), key=len)
    others = dict.fromkeys(name for part in parts for name in part.epochs)
    return [*longest[:-1], *(name for name in others if name not in longest), longest[-1]]
