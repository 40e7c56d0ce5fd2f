"""Decisions between two simultaneous directions: DM, Ctx DM and MultSen DM.

The response is to the stronger direction. DM tasks present one modality. Ctx DM tasks present
both, and only the strengths in one of them count; in MultSen DM the sum of both counts. In every
modality the two strengths are a mean plus and minus a coherence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nwbcompare.tasks.channels import MODALITIES, RULES
from nwbcompare.tasks.description import Floats, Integers, TrialDescription, describe
from nwbcompare.tasks.registry import Psychometric, Task, register
from nwbcompare.tasks.sweep import sweep
from nwbcompare.tasks.timing import FIXATION_MS, RESPONSE_MS, steps
from nwbcompare.tasks.trial_draw import Draw

COHERENCES = (0.01, 0.02, 0.04, 0.08)
TIE = 1e-9
"""Sums of coherences below this are ties up to rounding."""


@dataclass(frozen=True)
class Modalities:
    """The modalities that a task presents, and those in which the strength counts."""

    presented: tuple[int, ...]
    attended: tuple[int, ...]

    @property
    def coherences(self) -> tuple[str, ...]:
        """Names of the columns of coherences."""
        return tuple(f"coherence_{modality}" for modality in self.presented)

    @property
    def are_summed(self) -> bool:
        """Whether the sum over several modalities counts."""
        return len(self.attended) > 1


def draw_columns(
    draw: Draw, modalities: Modalities, coherences: tuple[float, ...]
) -> dict[str, Floats]:
    """Draw two directions and their strengths in every modality that is presented.

    Parameters
    ----------
    draw
        Random draws.
    modalities
        Modalities of the task.
    coherences
        Absolute coherences to choose from.

    Examples
    --------
    >>> draw = Draw(np.random.default_rng(0), n_trials=2, dt_ms=20)
    >>> list(draw_columns(draw, Modalities((1,), (1,)), COHERENCES))
    ['direction', 'direction_2', 'strength_1', 'coherence_1']
    """
    direction = draw.direction()
    columns = {
        "direction": direction,
        # as published: at least a quarter of a turn apart
        "direction_2": draw.direction_apart(direction, 0.5 * np.pi, 1.5 * np.pi),
    }
    if modalities.are_summed:
        return columns | _split_strengths(draw, *_draw_strength(draw, coherences))
    for modality in modalities.presented:
        mean, coherence = _draw_strength(draw, coherences)
        columns |= {f"strength_{modality}": mean, f"coherence_{modality}": coherence}
    return columns


def _draw_strength(draw: Draw, coherences: tuple[float, ...]) -> tuple[Floats, Floats]:
    mean = draw.uniform(0.8, 1.2)
    return mean, draw.coherence_scale * draw.choice(coherences) * draw.sign()


def _split_strengths(draw: Draw, mean: Floats, coherence: Floats) -> dict[str, Floats]:
    """Split the strength of each direction unevenly over the two modalities."""
    # as published: either modality differs from the mean by half of 20 to 80 % of it
    halves = [draw.uniform(0.2, 0.8) * draw.sign() / 2 for _ in range(2)]
    columns = {}
    for modality, side in zip(MODALITIES, (1, -1), strict=True):
        first = (mean + coherence) * (1 + side * halves[0])
        second = (mean - coherence) * (1 + side * halves[1])
        columns[f"strength_{modality}"] = (first + second) / 2
        columns[f"coherence_{modality}"] = (first - second) / 2
    return columns


def condition_columns(
    conditions: Mapping[str, Floats], modalities: Modalities
) -> dict[str, Floats]:
    """Add the second direction, opposite to the first, and a mean strength of 1 to conditions."""
    return {
        **conditions,
        "direction_2": (conditions["direction"] + np.pi) % (2 * np.pi),
        **{f"strength_{m}": np.ones(conditions["direction"].size) for m in modalities.presented},
    }


def swept_columns(strengths: npt.ArrayLike, modalities: Modalities) -> dict[str, Floats]:
    """Return the conditions of test trials: 20 directions by the strengths in each modality.

    Examples
    --------
    >>> swept_columns([0.8, 1.2], Modalities((1, 2), (1,)))["coherence_1"].size
    80
    """
    coherences = np.asarray(strengths, dtype=np.float64) - 1
    conditions = sweep(
        direction=2 * np.pi * np.arange(20) / 20, **dict.fromkeys(modalities.coherences, coherences)
    )
    return condition_columns(conditions, modalities)


def stronger(columns: Mapping[str, Floats], modalities: Modalities) -> Floats:
    """Return the stronger direction (rad) ``(trial,)``; the second in a tie, as published.

    Examples
    --------
    >>> columns = {"direction": np.zeros(2), "direction_2": np.ones(2),
    ...            "coherence_1": np.array([0.1, 0.0])}
    >>> stronger(columns, Modalities((1,), (1,))).tolist()
    [0.0, 1.0]
    """
    evidence = sum(columns[f"coherence_{modality}"] for modality in modalities.attended)
    return np.where(evidence > TIE, columns["direction"], columns["direction_2"])


def direction_pairs(
    columns: Mapping[str, Floats],
    modalities: Modalities,
    first: tuple[int | Integers, int | Integers],
    second: tuple[int | Integers, int | Integers],
) -> list[dict[str, npt.ArrayLike]]:
    """Return the two directions in every modality as stimuli.

    Parameters
    ----------
    columns
        Directions, strengths and coherences ``(trial,)``.
    modalities
        Modalities of the task.
    first, second
        Steps at which the first and the second direction start and stop.
    """
    stimuli: list[dict[str, npt.ArrayLike]] = []
    for modality in modalities.presented:
        mean, coherence = columns[f"strength_{modality}"], columns[f"coherence_{modality}"]
        for name, strength, (start, stop) in (
            ("direction", mean + coherence, first),
            ("direction_2", mean - coherence, second),
        ):
            stimuli.append(
                {
                    "modality": modality,
                    "direction": columns[name],
                    "strength": strength,
                    "start": start,
                    "stop": stop,
                }
            )
    return stimuli


def _describe(
    task: str,
    modalities: Modalities,
    dt_ms: float,
    columns: Mapping[str, Floats],
    onset: int | Integers,
    duration: int | Integers,
) -> TrialDescription:
    offset = onset + duration
    return describe(
        task,
        columns["direction"].size,
        *direction_pairs(columns, modalities, (onset, offset), (onset, offset)),
        epochs={"fix1": onset, "stim1": offset, "go1": offset + steps(RESPONSE_MS, dt_ms)},
        response=stronger(columns, modalities),
        columns=columns,
    )


def _random(task: str, modalities: Modalities, draw: Draw) -> TrialDescription:
    # in this order, since trials of a seed depend on the order of draws
    onset, duration = draw.interval(100, 400), draw.interval_of(400, 800, 1600)
    columns = draw_columns(draw, modalities, COHERENCES)
    return _describe(task, modalities, draw.dt_ms, columns, onset, duration)


def _test(task: str, modalities: Modalities, stimulus_ms: float, dt_ms: float) -> TrialDescription:
    # 0.80 to 1.12, not symmetric about 1, as published
    columns = swept_columns(0.8 + 0.4 * np.arange(5) / 5, modalities)
    onset, duration = steps(FIXATION_MS, dt_ms), steps(stimulus_ms, dt_ms)
    return _describe(task, modalities, dt_ms, columns, onset, duration)


def _psychometric(task: str, modalities: Modalities, request: Psychometric) -> TrialDescription:
    columns = condition_columns(request.conditions, modalities)
    onset, duration = steps(FIXATION_MS, request.dt_ms), steps(request.stimulus_ms, request.dt_ms)
    return _describe(task, modalities, request.dt_ms, columns, onset, duration)


for _name, _modalities, _test_ms in (
    ("dm1", Modalities((1,), (1,)), 1500.0),
    ("dm2", Modalities((2,), (2,)), 1500.0),
    ("contextdm1", Modalities(MODALITIES, (1,)), 1000.0),
    ("contextdm2", Modalities(MODALITIES, (2,)), 1000.0),
    ("multidm", Modalities(MODALITIES, MODALITIES), 1000.0),
):
    register(
        Task(
            name=_name,
            display_name=RULES[_name],
            condition_variables=("direction", *_modalities.coherences),
            given_variables=("direction", *_modalities.coherences),
            random=partial(_random, _name, _modalities),
            test=partial(_test, _name, _modalities, _test_ms),
            psychometric=partial(_psychometric, _name, _modalities),
            easy_scale=10.0,
        )
    )
