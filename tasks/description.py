"""What a task says of its trials, and the arrays made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.channels import (
    INPUT_CHANNELS,
    OUTPUT_CHANNELS,
    bump,
    modality_channels,
    response_channels,
)
from nwbcompare.tasks.timing import steps

Floats = npt.NDArray[np.float64]
BASELINE, FIXATING = 0.05, 0.8
UNCOUNTED_MS = 100.0
"""At the start of a trial and after the go cue the cost leaves out this long."""


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """One direction shown in one modality, from step ``start`` to ``stop``.

    ``direction`` (rad) and ``strength`` are ``(trial,)``.
    """

    modality: int
    direction: Floats
    strength: Floats
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class TrialDescription:
    """A batch of trials with common timing, in steps.

    ``fixation_off`` is the step from which fixation input is off, ``go`` the one from which a
    response is due; ``response`` (trial,) is NaN where fixation is to be kept.
    """

    n_steps: int
    fixation_off: int
    go: int
    stimuli: tuple[Stimulus, ...]
    response: Floats
    epochs: Mapping[str, tuple[int, int]]
    columns: Mapping[str, Floats] = field(default_factory=dict)


def make_input(trials: TrialDescription, rule: str) -> npt.NDArray[np.float32]:
    """Make the noise-free input, (time, trial, input_channel)."""
    shape = (trials.n_steps, trials.response.size, len(INPUT_CHANNELS))
    array = np.zeros(shape, dtype=np.float32)
    array[: trials.fixation_off, :, INPUT_CHANNELS.index("fixation")] = 1
    for stimulus in trials.stimuli:
        shown = stimulus.strength[:, None] * bump(stimulus.direction)
        channels = modality_channels(stimulus.modality)
        array[stimulus.start : stimulus.stop, :, channels] += shown.astype(np.float32)
    array[:, :, INPUT_CHANNELS.index(f"rule_{rule}")] = 1
    return array


def make_target(trials: TrialDescription) -> npt.NDArray[np.float32]:
    """Make the target output, (time, trial, output_channel)."""
    n_trials = trials.response.size
    array = np.full((trials.n_steps, n_trials, len(OUTPUT_CHANNELS)), BASELINE, dtype=np.float32)
    fixation = OUTPUT_CHANNELS.index("fixation")
    array[: trials.go, :, fixation] = FIXATING
    keep = np.isnan(trials.response)
    array[trials.go :, keep, fixation] = FIXATING
    ring = np.where(keep[:, None], 0.0, bump(np.nan_to_num(trials.response)))
    array[trials.go :, :, response_channels()] += ring.astype(np.float32)
    return array


def make_cost_mask(trials: TrialDescription, dt_ms: float) -> npt.NDArray[np.float32]:
    """Make the cost mask, (time, trial, output_channel).

    It is 1, from the response on 5, twice as much on the fixation output, and 0 while a
    network cannot have reacted yet.
    """
    uncounted = steps(UNCOUNTED_MS, dt_ms)
    array = np.zeros((trials.n_steps, 1, len(OUTPUT_CHANNELS)), dtype=np.float32)
    array[uncounted : trials.go] = 1
    array[trials.go + uncounted :] = 5
    array[:, :, OUTPUT_CHANNELS.index("fixation")] *= 2
    return np.repeat(array, trials.response.size, axis=1)
