"""Context-dependent decision making: Ctx DM 1 and Ctx DM 2.

Two directions are shown at once, each in both modalities; the response goes to the one that is
stronger in the attended modality, whatever the other modality shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from nwbcompare.errors import InputError, listing, unknown_name
from nwbcompare.tasks.channels import MODALITIES
from nwbcompare.tasks.description import Floats, Stimulus, TrialDescription
from nwbcompare.tasks.registry import Task, register
from nwbcompare.tasks.timing import steps

CONDITION_VARIABLES = ("direction", "coherence_1", "coherence_2")
COHERENCES = np.array([0.01, 0.02, 0.04, 0.08])
RESPONSE_MS = 500.0


def _describe(
    attended: int, dt_ms: float, onset: int, offset: int, columns: dict[str, Floats]
) -> TrialDescription:
    """Describe trials by their columns; a coherence is half the strengths' difference."""
    stop = offset + steps(RESPONSE_MS, dt_ms)
    first, second = columns["direction"], columns["direction_2"]
    stimuli = []
    for modality in MODALITIES:
        mean, coherence = columns[f"strength_{modality}"], columns[f"coherence_{modality}"]
        for direction, strength in ((first, mean + coherence), (second, mean - coherence)):
            stimuli.append(
                Stimulus(
                    modality=modality,
                    direction=direction,
                    strength=strength,
                    start=onset,
                    stop=offset,
                )
            )
    return TrialDescription(
        n_steps=stop,
        fixation_off=offset,
        go=offset,
        stimuli=tuple(stimuli),
        # a tie goes to the second direction, as in the reference
        response=np.where(columns[f"coherence_{attended}"] > 0, first, second),
        epochs={"fix1": (0, onset), "stim1": (onset, offset), "go1": (offset, stop)},
        columns=columns,
    )


def _random(
    attended: int, rng: np.random.Generator, n_trials: int, dt_ms: float, coherence_scale: float
) -> TrialDescription:
    onset = steps(rng.uniform(100, 400), dt_ms)
    offset = onset + steps(float(rng.choice([400, 800, 1600])), dt_ms)
    direction = rng.uniform(0, 2 * np.pi, n_trials)
    apart = rng.choice([-1, 1], n_trials) * rng.uniform(0.5 * np.pi, 1.5 * np.pi, n_trials)
    columns = {"direction": direction, "direction_2": (direction + apart) % (2 * np.pi)}
    for modality in MODALITIES:
        columns[f"strength_{modality}"] = rng.uniform(0.8, 1.2, n_trials)
        size = coherence_scale * rng.choice(COHERENCES, n_trials)
        columns[f"coherence_{modality}"] = size * rng.choice([-1, 1], n_trials)
    return _describe(attended, dt_ms, onset, offset, columns)


def _test(attended: int, dt_ms: float) -> TrialDescription:
    directions = 2 * np.pi * np.arange(20) / 20
    coherences = 0.4 * np.arange(5) / 5 - 0.2
    direction, first, second = (
        grid.ravel() for grid in np.meshgrid(directions, coherences, coherences, indexing="ij")
    )
    shown = {"direction": direction, "coherence_1": first, "coherence_2": second}
    return _conditions(attended, shown, dt_ms, 1000.0)


def _conditions(
    attended: int, given: Mapping[str, Any], dt_ms: float, stimulus_ms: float
) -> TrialDescription:
    for name in given:
        if name not in CONDITION_VARIABLES:
            raise unknown_name("conditions", name, CONDITION_VARIABLES)
    absent = [name for name in CONDITION_VARIABLES if name not in given]
    if absent:
        raise InputError(
            "conditions",
            f"values for {listing(CONDITION_VARIABLES)}",
            f"none for {listing(absent)}",
            "Give each as a number or as one value for each trial.",
        )
    arrays = {name: _finite(given[name], name) for name in CONDITION_VARIABLES}
    lengths = {array.size for array in arrays.values()} - {1}
    if len(lengths) > 1:
        raise InputError(
            "conditions",
            "numbers, or arrays of one length",
            listing(f"{name} {array.size}" for name, array in arrays.items()),
            "Give one value for each trial.",
        )
    columns = dict(zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True))
    ones = np.ones(columns["direction"].shape)
    columns |= {
        "direction_2": (columns["direction"] + np.pi) % (2 * np.pi),
        "strength_1": ones,
        "strength_2": ones,
    }
    onset = steps(500.0, dt_ms)
    return _describe(attended, dt_ms, onset, onset + steps(stimulus_ms, dt_ms), columns)


def _finite(values: Any, name: str) -> Floats:
    refused = InputError(
        f"conditions[{name!r}]",
        "one or more finite numbers (trial,)",
        repr(values),
        "Correct them.",
    )
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise refused from error
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise refused
    return array


for _modality in MODALITIES:
    register(
        Task(
            name=f"contextdm{_modality}",
            condition_variables=CONDITION_VARIABLES,
            random=partial(_random, _modality),
            test=partial(_test, _modality),
            conditions=partial(_conditions, _modality),
        )
    )
