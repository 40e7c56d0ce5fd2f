"""Comparisons of two successive directions: DMS, DNMS (equal or not), DMC, DNMC (categories).

The second stimulus is the go cue: the response is to its direction, or fixation continues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from nwbcompare.tasks.channels import MODALITIES, RULES, angular_distance
from nwbcompare.tasks.description import Floats, Integers, TrialDescription, describe
from nwbcompare.tasks.registry import Psychometric, Task, register
from nwbcompare.tasks.sweep import sweep
from nwbcompare.tasks.timing import FIXATION_MS, RESPONSE_MS, steps
from nwbcompare.tasks.trial_draw import Draw

# equal directions differ by rounding at most
SAME_RAD = 1e-6
VARIABLES = ("direction", "direction_2", "modality_1", "modality_2")
# none lies on the bounds of the categories, 0 and pi
CATEGORY_DIRECTIONS = np.pi * (0.1 + 0.2 * np.arange(10))


def _is_match(task: str, columns: Mapping[str, Floats]) -> np.ndarray:
    first, second = columns["direction"], columns["direction_2"]
    if task.startswith("dmc"):
        return np.asarray((first < np.pi) == (second < np.pi))
    return np.asarray(angular_distance(first, second) < SAME_RAD)


def _describe(
    task: str, columns: Mapping[str, Floats], intervals: Sequence[int | Integers]
) -> TrialDescription:
    """Return the description of trials from fixation, stimulus, delay and response (steps)."""
    fixation, stimulus, delay, end = np.cumsum(np.broadcast_arrays(*intervals), axis=0)
    goes = _is_match(task, columns) != task.endswith("nogo")
    return describe(
        task,
        columns["direction"].size,
        {
            "modality": columns["modality_1"],
            "direction": columns["direction"],
            "strength": 1.0,
            "start": fixation,
            "stop": stimulus,
        },
        {
            "modality": columns["modality_2"],
            "direction": columns["direction_2"],
            "strength": 1.0,
            "start": delay,
            "stop": end,
        },
        epochs={"fix1": fixation, "stim1": stimulus, "delay1": delay, "go1": end},
        response=np.where(goes, columns["direction_2"], np.nan),
        columns=columns,
        keep_fixation_input=True,
    )


def _draw_directions(task: str, draw: Draw) -> tuple[Floats, Floats]:
    if task.startswith("dmc"):
        return draw.choice(CATEGORY_DIRECTIONS), draw.choice(CATEGORY_DIRECTIONS)
    first = draw.direction()
    other = draw.direction_apart(first, np.pi / 9, 17 * np.pi / 9)
    return first, np.where(draw.sign() > 0, first, other)


def _random(task: str, draw: Draw) -> TrialDescription:
    intervals: list[int | Integers] = [
        draw.interval_of(200, 400, 600),
        draw.interval_of(200, 400, 600),
        draw.interval_of(200, 400, 800, 1600),
        # as published, DMC and DNMC have responses of random length
        draw.interval_of(200, 400, 600)
        if task.startswith("dmc")
        else steps(RESPONSE_MS, draw.dt_ms),
    ]
    modalities = {f"modality_{m}": draw.modality().astype(np.float64) for m in MODALITIES}
    first, second = _draw_directions(task, draw)
    return _describe(task, {"direction": first, "direction_2": second, **modalities}, intervals)


def _test(task: str, dt_ms: float) -> TrialDescription:
    """Sweep the first direction; the second is such that every trial has a response."""
    if task.startswith("dmc"):
        tenths = 0.8 * np.arange(10) / 10
        directions = np.pi * np.concatenate([0.1 + tenths, 1.1 + tenths])
    else:
        directions = 2 * np.pi * np.arange(20) / 20
    columns = sweep(direction=directions, modality_1=MODALITIES, modality_2=MODALITIES)
    turn = np.pi if task.endswith("nogo") else 0.0
    columns["direction_2"] = (columns["direction"] + turn) % (2 * np.pi)
    return _describe(task, columns, [steps(ms, dt_ms) for ms in (500, 500, 1200, 500)])


def _psychometric(task: str, request: Psychometric) -> TrialDescription:
    times_ms = (FIXATION_MS, request.stimulus_ms, request.delay_ms, RESPONSE_MS)
    return _describe(task, request.conditions, [steps(ms, request.dt_ms) for ms in times_ms])


for _name in ("dmsgo", "dmsnogo", "dmcgo", "dmcnogo"):
    register(
        Task(
            name=_name,
            display_name=RULES[_name],
            condition_variables=("direction", "modality_1", "modality_2"),
            given_variables=VARIABLES,
            random=partial(_random, _name),
            test=partial(_test, _name),
            psychometric=partial(_psychometric, _name),
        )
    )
