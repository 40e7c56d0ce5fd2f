"""Random draws of variables of trials, shared by a batch or drawn for each trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.description import Floats, Integers
from nwbcompare.tasks.timing import steps


@dataclass(frozen=True)
class Draw:
    """Random draws for a number of trials of one task.

    Attributes
    ----------
    rng
        Generator.
    n_trials
        Number of trials.
    dt_ms
        Time step (ms).
    shared_timing
        Whether all trials have the same timing and modalities, as in a published batch, or each
        trial its own.
    coherence_scale
        Factor of the coherences; above 1 the task is easier.

    Examples
    --------
    >>> draw = Draw(np.random.default_rng(0), n_trials=3, dt_ms=20)
    >>> draw.interval_of(200, 400).shape, draw.direction().shape
    ((3,), (3,))
    """

    rng: np.random.Generator
    n_trials: int
    dt_ms: float
    shared_timing: bool = True
    coherence_scale: float = 1.0

    @property
    def _n_shared(self) -> int:
        return 1 if self.shared_timing else self.n_trials

    def interval(self, low_ms: float, high_ms: float) -> Integers:
        """Draw intervals, uniform between bounds (ms), in steps ``(trial,)``."""
        return self._spread(steps(self.rng.uniform(low_ms, high_ms, self._n_shared), self.dt_ms))

    def interval_of(self, *choices_ms: float) -> Integers:
        """Draw intervals from a list (ms), in steps ``(trial,)``."""
        return self._spread(steps(self.rng.choice(choices_ms, self._n_shared), self.dt_ms))

    def modality(self) -> Integers:
        """Draw modalities 1 or 2 ``(trial,)``."""
        # shared by a batch like the timing, as published
        return self._spread(self.rng.integers(1, 3, self._n_shared))

    def _spread(self, values: npt.NDArray[np.int64]) -> Integers:
        return np.broadcast_to(values, self.n_trials)

    def uniform(self, low: float, high: float) -> Floats:
        """Draw uniform numbers ``(trial,)``."""
        return self.rng.uniform(low, high, self.n_trials)

    def choice(self, values: npt.ArrayLike) -> Floats:
        """Draw from values ``(trial,)``."""
        return self.rng.choice(np.asarray(values, dtype=np.float64), self.n_trials)

    def sign(self) -> Floats:
        """Draw -1 or 1 ``(trial,)``."""
        return self.choice((-1, 1))

    def direction(self) -> Floats:
        """Draw directions, uniform from 0 to 2 pi (rad) ``(trial,)``."""
        return self.uniform(0, 2 * np.pi)

    def direction_apart(self, from_: Floats, low: float, high: float) -> Floats:
        """Draw directions at a distance between low and high from others, to either side (rad)."""
        return (from_ + self.sign() * self.uniform(low, high)) % (2 * np.pi)
