"""Responses to a direction or opposite to it: the Go and Anti families.

In Go the response is due when fixation ends, with the stimulus still on; in RT Go when the
stimulus starts; in Dly Go after a delay without stimulus. The response of Anti tasks is opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.channels import MODALITIES, RULES
from nwbcompare.tasks.description import Floats, Integers, TrialDescription, describe
from nwbcompare.tasks.registry import Psychometric, Task, register
from nwbcompare.tasks.sweep import sweep
from nwbcompare.tasks.timing import FIXATION_MS, RESPONSE_MS, steps
from nwbcompare.tasks.trial_draw import Draw

VARIABLES = ("direction", "modality")
Steps = int | Integers


def _describe(
    task: str, dt_ms: float, columns: Mapping[str, Floats], stops: Mapping[str, Steps]
) -> TrialDescription:
    """Return the description of trials from the last step of each epoch before the response."""
    stop = np.asarray(list(stops.values())[-1]) + steps(RESPONSE_MS, dt_ms)
    direction = columns["direction"]
    turn = np.pi if task.endswith("anti") else 0.0
    return describe(
        task,
        direction.size,
        {
            "modality": columns["modality"],
            "direction": direction,
            "strength": 1.0,
            "start": stops["fix1"],
            "stop": stops["stim1"] if "delay1" in stops else stop,
        },
        epochs={**stops, "go1": stop},
        response=(direction + turn) % (2 * np.pi),
        columns=columns,
        keep_fixation_input=task.startswith("react"),
    )


def _stops(onset: Steps, *durations: Steps) -> dict[str, Steps]:
    """Return the last step of each epoch before the response, from its duration (steps)."""
    stops: dict[str, Steps] = {"fix1": onset}
    # Go has no delay, and RT Go neither of the two
    for name, duration in zip(("stim1", "delay1"), durations, strict=False):
        stops[name] = list(stops.values())[-1] + duration
    return stops


def _draw_go(draw: Draw) -> dict[str, Steps]:
    return _stops(draw.interval(300, 700), draw.interval(500, 1500))


def _draw_react(draw: Draw) -> dict[str, Steps]:
    return _stops(draw.interval(500, 2500))


def _draw_delay(draw: Draw) -> dict[str, Steps]:
    return _stops(
        draw.interval_of(300, 500, 700),
        draw.interval_of(200, 400, 600),
        draw.interval_of(200, 400, 800, 1600),
    )


def _random(
    task: str, draw_stops: Callable[[Draw], dict[str, Steps]], draw: Draw
) -> TrialDescription:
    stops = draw_stops(draw)
    columns = {"direction": draw.direction(), "modality": draw.modality().astype(np.float64)}
    return _describe(task, draw.dt_ms, columns, stops)


def _test(task: str, intervals_ms: tuple[float, ...], dt_ms: float) -> TrialDescription:
    columns = sweep(direction=2 * np.pi * np.arange(20) / 20, modality=MODALITIES)
    return _describe(task, dt_ms, columns, _stops(*(steps(ms, dt_ms) for ms in intervals_ms)))


def _psychometric(task: str, n_durations: int, request: Psychometric) -> TrialDescription:
    durations = (request.stimulus_ms, request.delay_ms)[:n_durations]
    intervals: npt.NDArray[np.int64] = steps(np.array([FIXATION_MS, *durations]), request.dt_ms)
    return _describe(task, request.dt_ms, request.conditions, _stops(*intervals.tolist()))


for _stem, _draw_stops, _test_ms in (
    ("fd", _draw_go, (500.0, 1000.0)),
    ("react", _draw_react, (2000.0,)),
    ("delay", _draw_delay, (500.0, 500.0, 1000.0)),
):
    for _name in (f"{_stem}go", f"{_stem}anti"):
        register(
            Task(
                name=_name,
                display_name=RULES[_name],
                condition_variables=VARIABLES,
                given_variables=VARIABLES,
                random=partial(_random, _name, _draw_stops),
                test=partial(_test, _name, _test_ms),
                psychometric=partial(_psychometric, _name, len(_test_ms) - 1),
            )
        )
