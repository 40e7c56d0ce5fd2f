"""Limits of a comparison: units left out, imbalance, few animals and networks."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from nwbcompare.datasets.unit_selection import selection_texts
from nwbcompare.inference.mixed_effects import LEAST_SESSIONS
from nwbcompare.inference.random_effects import ENOUGH_ANIMALS, LEAST_ANIMALS
from nwbcompare.workflows.formatting import counted, percent
from nwbcompare.workflows.measurements import Measurements
from nwbcompare.workflows.sampling_protocols import RATE, TUNING
from nwbcompare.workflows.sections.noise_correction import noise_share

FEW_NETWORKS = 6
"""Below it no sign-flip test over networks reaches p < 0.05 two-sided."""
FEW_SESSIONS = 20
"""Below it intervals are wide; see docs/statistics.md."""
LEAST_TRIALS = 3
IMBALANCE = 1.5
MANY_NEGATIVE = 0.05
SAMPLED_NOISE = (
    " Sampled networks have the recording's noise, of each unit by itself: what units share from "
    "trial to trial is not in them."
)


def limits(measurements: Measurements, warnings: Sequence[str]) -> list[str]:
    """Return the limits of a comparison, a line each.

    Parameters
    ----------
    measurements
        The measurements.
    warnings
        Warnings about units, of all sections.
    """
    lines = [
        _animals(measurements),
        *_networks(measurements),
        *_units(measurements),
        *_trials(measurements),
        *_times(measurements),
        *_negative(measurements),
        *(f"{model.name}: {line}" for model in measurements.models for line in model.match_notes),
    ]
    is_sampled = {TUNING.name, RATE.name} & set(measurements.protocols)
    lines.append(
        f"{percent(noise_share(measurements))} of the median unit's task variance is trial noise."
        + (SAMPLED_NOISE if is_sampled else "")
    )
    lines += [
        f"Models were not sampled on every protocol. {why.reason}"
        for why in measurements.refusals.values()
    ]
    n_sessions = measurements.n_sessions
    if not n_sessions:
        lines.append(
            "Sessions are unknown: units count as independent, so p values and intervals are too "
            "small where units of a session are alike."
        )
    elif n_sessions < LEAST_SESSIONS:
        lines.append(
            f"{counted(n_sessions, 'session')}: below {LEAST_SESSIONS} sessions of an animal "
            "nothing is tested over sessions, and there are no intervals."
        )
    elif n_sessions < FEW_SESSIONS:
        lines.append(
            f"Few sessions ({n_sessions}): intervals over sessions are wide, and where the spread "
            "of units differs strongly from session to session tests err in up to 8 % instead of "
            "5 %."
        )
    if not measurements.models:
        return lines + [f"Warning. {text}" for text in dict.fromkeys(warnings)]
    if measurements.mapping is None and TUNING.name not in measurements.protocols:
        lines.append(
            "There is no mapping from the recording's conditions to a network's, so networks "
            "could not be sampled as the recording was, and protocols and noise differ between "
            "the sides. Write one (nwbcompare mapping new) and pass it with --mapping."
        )
    lines.append(
        "FTV is taken over units as they come: it depends on how long networks were trained and on "
        "their recipe, so a similarity holds for networks made like these."
    )
    return lines + [f"Warning. {text}" for text in dict.fromkeys(warnings)]


def _times(measurements: Measurements) -> list[str]:
    """Return a line where the two tasks have trials of unequal length."""
    a, b = (measurements.trial_length_s[task] for task in measurements.pair)
    if np.isclose(a, b):
        return []
    return [
        f"The two tasks were recorded for unequal times ({a:g} s and {b:g} s a trial): their "
        "variances are means over different epochs, and FTV tells these apart too."
    ]


def _negative(measurements: Measurements) -> list[str]:
    """Return a line for each model that has units with many negative rates at equal tuning."""
    lines = []
    for sample in measurements.on(TUNING.name):
        if "negative_share" in sample.ftv:
            share = float((sample.ftv["negative_share"] > MANY_NEGATIVE).mean())
            if share > 0:
                lines.append(
                    f"{sample.name}, {sample.protocol}: {percent(share)} of the sampled units have "
                    f"negative rates in more than {percent(MANY_NEGATIVE)} of bins, which have no "
                    "noise."
                )
    return lines


def _animals(measurements: Measurements) -> str:
    n = measurements.n_animals
    if n == 1:
        return (
            f"One animal ({measurements.name}): intervals over animals are refused, since nothing "
            "in one animal tells how much animals differ. Nothing here is about animals in general."
        )
    if n < LEAST_ANIMALS:
        return (
            f"{counted(n, 'animal')}, which are fixed: each is tested by itself, p values of all "
            "are the largest of any animal, and nothing in two tells how much animals differ."
        )
    wide = "" if n >= ENOUGH_ANIMALS else "; its interval is very wide"
    return f"{counted(n, 'animal')}: a random-effects mean over animals is given{wide}."


def _networks(measurements: Measurements) -> list[str]:
    """Return a line on the number of networks; none for a recording by itself."""
    if not measurements.models:
        return []
    sizes = {family: len(models) for family, models in measurements.families.items()}
    few = {family: n for family, n in sizes.items() if n < FEW_NETWORKS}
    if not few:
        return ["Networks of a family differ in their seeds alone."]
    one = len(measurements.families) == 1
    listed = ", ".join(str(n) if one else f"{n} of {name}" for name, n in few.items())
    return [
        f"Few networks ({listed}): with fewer than {FEW_NETWORKS} no sign-flip test over networks "
        "reaches p < 0.05, however large the difference."
    ]


def _units(measurements: Measurements) -> list[str]:
    lines = [
        f"{measurements.name}. {text}"
        for text in selection_texts(json.loads(measurements.variance.attrs["provenance"]))
    ]
    for sample in (measurements.recorded, *measurements.samples):
        values = sample.ftv["fractional_task_variance"]
        left_out = int(values.isnull().sum("unit").max())
        if left_out:
            lines.append(
                f"{sample.name}, {sample.protocol}: no FTV (inactive, or a condition is missing) "
                f"for {left_out} of {counted(values.sizes['unit'], 'unit')}, left out."
            )
    return lines


def _trials(measurements: Measurements) -> list[str]:
    variance = measurements.corrected
    least = variance["least_trials"]
    few = (least < LEAST_TRIALS).any("task")
    lines = []
    if bool(few.any()):
        lines.append(
            f"{measurements.name}: fewer than {LEAST_TRIALS} trials in some condition for "
            f"{counted(int(few.sum()), 'unit')}, whose standard errors are guesses."
        )
    numbers = measurements.variance["n_trials_per_condition"]
    a, b = (float(numbers.sel(task=task)) for task in measurements.pair)
    if max(a, b) > IMBALANCE * min(a, b):
        lines.append(
            f"The two tasks have unequal numbers of trials ({a:.0f} and {b:.0f} a "
            "condition, medians): the task with fewer has the more noise and draws FTV to it."
        )
    return lines
