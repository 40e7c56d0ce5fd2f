"""Inputs, targets and loss masks of trials as sums of patterns over channels.

They are piecewise constant in time, so each is stored as a few patterns with their first and
last steps, from which one matrix product makes the array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.channels import (
    MODALITIES,
    N_SENSORY,
    OUTPUT_CHANNELS,
    bump,
    modality_channels,
)
from nwbcompare.tasks.description import Integers, TrialDescription
from nwbcompare.tasks.timing import steps

BASELINE, FIXATING = 0.05, 0.8
UNCOUNTED_MS = 100.0
"""Duration without loss, at the start of a trial and after the go cue (ms)."""
BEFORE, AFTER, FIXATION_FACTOR = 1.0, 5.0, 2.0
"""Loss mask before and after the go cue, and its factor for the fixation output."""


@dataclass(frozen=True)
class Signal:
    """A sum of patterns over channels, each constant from one step to another.

    Attributes
    ----------
    pattern
        float32 ``(trial, segment, channel)``.
    start, stop
        First step, and step after the last ``(trial, segment)``.

    Examples
    --------
    >>> signal = Signal(np.ones((1, 1, 1), "f4"), np.array([[1]]), np.array([[3]]))
    >>> signal.render(4).ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    pattern: npt.NDArray[np.float32]
    start: Integers
    stop: Integers

    def render(self, n_steps: int) -> npt.NDArray[np.float32]:
        """Return the array ``(time, trial, channel)``."""
        n_trials, _, n_channels = self.pattern.shape
        array = np.empty((n_steps, n_trials, n_channels), dtype=np.float32)
        time = np.arange(n_steps)[:, None]
        gates = (time >= self.start[:, None]) & (time < self.stop[:, None])
        # written in the order (time, trial, channel) that networks read, without a copy
        np.matmul(gates.astype(np.float32), self.pattern, out=array.swapaxes(0, 1))
        return array


def input_signal(
    trials: TrialDescription,
    rules: tuple[str, ...],
    rule_weights: Mapping[str, float] | None = None,
) -> Signal:
    """Return the input without noise.

    Parameters
    ----------
    trials
        The trials.
    rules
        Rule channels.
    rule_weights
        Values of the rule channels; by default 1 in that of the task of a trial, 0 in others.
    """
    stimuli = trials.stimuli
    n_trials, n_stimuli = stimuli.strength.shape
    pattern = np.zeros((n_trials, 2 + n_stimuli, N_SENSORY + len(rules)), dtype=np.float32)
    # segments: fixation, rule, then one for each stimulus
    pattern[:, 0, 0] = 1
    pattern[:, 1, N_SENSORY:] = _rule_pattern(trials, rules, rule_weights)
    bumps = (stimuli.strength[:, :, None] * bump(stimuli.direction)).astype(np.float32)
    for modality in MODALITIES:
        in_this = (stimuli.modality == modality)[:, :, None]
        pattern[:, 2:, modality_channels(modality)] = np.where(in_this, bumps, 0)
    return Signal(
        pattern,
        *_bounds(
            trials,
            (0, trials.fixation_off),
            (0, trials.n_steps),
            *zip(stimuli.start.T, stimuli.stop.T, strict=True),
        ),
    )


def target_signal(trials: TrialDescription) -> Signal:
    """Return the target output.

    The fixation output is 0.8 until the response is due and 0.05 after it; the response ring has
    a baseline of 0.05 and, from the response on, a bump at its direction (Yang et al. 2019).
    """
    keep = np.isnan(trials.response)
    pattern = np.zeros((trials.n_trials, 3, len(OUTPUT_CHANNELS)), dtype=np.float32)
    # segments: baseline of all channels, fixation until the response, the response
    pattern[:, 0] = BASELINE
    pattern[:, 1, 0] = FIXATING - BASELINE
    # a trial without a response has NaN, whose bump is not used
    pattern[:, 2, 1:] = np.where(keep[:, None], 0, bump(np.nan_to_num(trials.response)))
    return Signal(
        pattern,
        *_bounds(
            trials,
            (0, trials.n_steps),
            (0, np.where(keep, trials.n_steps, trials.go)),
            (trials.go, trials.n_steps),
        ),
    )


def loss_mask_signal(trials: TrialDescription, dt_ms: float) -> Signal:
    """Return the loss mask.

    The mask is 1 before and 5 after the response is due, twice as high for the fixation output,
    and 0 in the first 100 ms of a trial and of the response, and after the end of a trial.
    """
    uncounted = steps(UNCOUNTED_MS, dt_ms)
    pattern = np.empty((trials.n_trials, 2, len(OUTPUT_CHANNELS)), dtype=np.float32)
    pattern[:, 0], pattern[:, 1] = BEFORE, AFTER
    pattern[:, :, 0] *= FIXATION_FACTOR
    return Signal(
        pattern, *_bounds(trials, (uncounted, trials.go), (trials.go + uncounted, trials.n_steps))
    )


def _rule_pattern(
    trials: TrialDescription, rules: tuple[str, ...], weights: Mapping[str, float] | None
) -> npt.NDArray[np.float32]:
    if weights is not None:
        return np.array([weights.get(rule, 0.0) for rule in rules], dtype=np.float32)
    channels = np.array([rules.index(name) for name in trials.tasks])
    one_hot: npt.NDArray[np.float32] = np.eye(len(rules), dtype=np.float32)[channels[trials.task]]
    return one_hot


def _bounds(
    trials: TrialDescription, *segments: tuple[int | Integers, Integers]
) -> tuple[Integers, Integers]:
    """Return starts and stops of segments ``(trial, segment)``, at most the end of the trial."""
    starts, stops = (
        np.stack([np.broadcast_to(bound, trials.n_trials) for bound in side], axis=1)
        for side in zip(*segments, strict=True)
    )
    return starts, np.minimum(stops, trials.n_steps[:, None])
