"""Decisions between two successive directions: the Dly DM tasks.

As the tasks of `nwbcompare.tasks.decision`, but the second direction follows after a delay, so
that the strength of the first has to be remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.channels import MODALITIES, RULES
from nwbcompare.tasks.decision import (
    Modalities,
    condition_columns,
    direction_pairs,
    draw_columns,
    stronger,
    swept_columns,
)
from nwbcompare.tasks.description import Floats, Integers, TrialDescription, describe
from nwbcompare.tasks.registry import Psychometric, Task, register
from nwbcompare.tasks.timing import FIXATION_MS, RESPONSE_MS, steps
from nwbcompare.tasks.trial_draw import Draw

# stronger than without a delay, as published
COHERENCES = (0.08, 0.16, 0.32)
EPOCHS = ("fix1", "stim1", "delay1", "stim2", "delay2", "go1")
LAST_DELAY_MS = 200.0
"""Second delay of psychometric trials: the mean of that of random trials."""


def _describe(
    task: str,
    modalities: Modalities,
    columns: Mapping[str, Floats],
    intervals: Sequence[int | Integers],
) -> TrialDescription:
    """Return the description of trials from the length of each epoch (steps)."""
    stops = dict(zip(EPOCHS, np.cumsum(np.broadcast_arrays(*intervals), axis=0), strict=True))
    return describe(
        task,
        columns["direction"].size,
        *direction_pairs(
            columns, modalities, (stops["fix1"], stops["stim1"]), (stops["delay1"], stops["stim2"])
        ),
        epochs=stops,
        response=stronger(columns, modalities),
        columns=columns,
    )


def _random(task: str, modalities: Modalities, draw: Draw) -> TrialDescription:
    intervals: list[int | Integers] = [
        draw.interval_of(200, 400, 600),
        draw.interval_of(200, 400, 600),
        draw.interval_of(200, 400, 800, 1600),
        draw.interval_of(200, 400, 600),
        draw.interval(100, 300),
        steps(RESPONSE_MS, draw.dt_ms),
    ]
    columns = draw_columns(draw, modalities, COHERENCES)
    return _describe(task, modalities, columns, intervals)


def _test(
    task: str,
    modalities: Modalities,
    strengths: npt.NDArray[np.float64],
    end_ms: tuple[float, float],
    dt_ms: float,
) -> TrialDescription:
    columns = swept_columns(strengths, modalities)
    intervals = [steps(ms, dt_ms) for ms in (500, 500, 1000, 500, *end_ms)]
    return _describe(task, modalities, columns, intervals)


def _psychometric(task: str, modalities: Modalities, request: Psychometric) -> TrialDescription:
    columns = condition_columns(request.conditions, modalities)
    stimulus, delay = request.stimulus_ms, request.delay_ms
    times_ms = (FIXATION_MS, stimulus, delay, stimulus, LAST_DELAY_MS, RESPONSE_MS)
    intervals = [steps(ms, request.dt_ms) for ms in times_ms]
    return _describe(task, modalities, columns, intervals)


_FIFTHS = np.arange(5) / 5
# as published, strengths and last intervals of a single modality differ from the others
for _name, _modalities, _strengths, _end_ms in (
    ("delaydm1", Modalities((1,), (1,)), 0.5 + 1.0 * _FIFTHS, (200.0, 300.0)),
    ("delaydm2", Modalities((2,), (2,)), 0.5 + 1.0 * _FIFTHS, (200.0, 300.0)),
    ("contextdelaydm1", Modalities(MODALITIES, (1,)), 0.8 + 0.4 * _FIFTHS, (500.0, 500.0)),
    ("contextdelaydm2", Modalities(MODALITIES, (2,)), 0.8 + 0.4 * _FIFTHS, (500.0, 500.0)),
    ("multidelaydm", Modalities(MODALITIES, MODALITIES), 0.8 + 0.4 * _FIFTHS, (500.0, 500.0)),
):
    register(
        Task(
            name=_name,
            display_name=RULES[_name],
            condition_variables=("direction", *_modalities.coherences),
            given_variables=("direction", *_modalities.coherences),
            random=partial(_random, _name, _modalities),
            test=partial(_test, _name, _modalities, _strengths, _end_ms),
            psychometric=partial(_psychometric, _name, _modalities),
            easy_scale=2.0,
        )
    )
