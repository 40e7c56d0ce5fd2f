"""Trials of any task as a labelled dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.checks import check_not_negative, check_whole, is_finite
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.tasks.channels import OUTPUT_CHANNELS, RULES, input_channels
from nwbcompare.tasks.conditions import read_conditions
from nwbcompare.tasks.description import TrialDescription, concatenate
from nwbcompare.tasks.registry import KINDS, Psychometric, get_task
from nwbcompare.tasks.signals import input_signal, loss_mask_signal, target_signal
from nwbcompare.tasks.timing import TAU_MS, check_dt
from nwbcompare.tasks.trial_draw import Draw

Kind = Literal["random", "test", "psychometric"]
Timing = Literal["batch", "trial"]
TIMINGS = ("batch", "trial")


def make_trials(
    task: str | Sequence[str],
    kind: Kind = "test",
    *,
    dt_ms: float = 20.0,
    n_trials: int | None = None,
    seed: int | None = None,
    timing: Timing = "batch",
    coherence_scale: float = 1.0,
    easy: bool = False,
    conditions: Mapping[str, Any] | None = None,
    stimulus_ms: float = 800.0,
    delay_ms: float = 800.0,
    rules: Sequence[str] | None = None,
    rule_weights: Mapping[str, float] | None = None,
    sigma_x: float = 0.0,
) -> xr.Dataset:
    """Make trials of a task, or of several: inputs, targets, loss mask and conditions.

    Parameters
    ----------
    task
        A registered task, such as "contextdm1", or several. Random trials of several tasks are
        drawn with equal probability and stand in random order; others follow task by task.
    kind
        "test": the published dense sweep with fixed timing, on which the variance analyses
        run. "random": drawn as in training. "psychometric": the given conditions. Arguments of
        another kind are refused.
    dt_ms
        Time step (ms); 20 as published. Each interval is truncated to whole steps by itself.
    n_trials
        Number of random trials.
    seed
        Seed of random trials and of the input noise.
    timing
        Random trials of a task share one timing and one choice of modalities ("batch", as
        published), or each has its own ("trial").
    coherence_scale
        Factor on the random trials' coherences; 1 as published.
    easy
        Whether random trials are of the tasks' easy variants, as published for sequential
        training: coherences times 10 in DM, Ctx DM and MultSen DM, times 2 in the delayed ones.
    conditions
        For "psychometric": values of the task's given variables (``get_task(name)`` says
        which), each a number or ``(trial,)``. ``direction`` (rad) is the first stimulus. In the
        DM tasks the second lies opposite, with strengths 1 + c and 1 - c where c is
        ``coherence_1`` (``_2``) in modality 1 (2); a tie goes to the second.
    stimulus_ms, delay_ms
        Durations (ms) for "psychometric": of each stimulus, 800 as published, and of the delay
        after the first one. Fixation lasts 500 ms before and the response 500 ms after.
    rules
        Tasks that have a rule channel; by default the 20 published ones, and the trials' own
        where they are others.
    rule_weights
        What the rule channels carry instead of 1 in that of the trial's own task, e.g.
        ``{"fdanti": 1, "delaygo": 1, "fdgo": -1}`` (Yang et al. 2019, Fig. 5).
    sigma_x
        Input noise: every channel, rules too, gets Gaussian noise of standard deviation
        ``sigma_x * sqrt(2 tau / dt)``; 0.01 was used for training, 0 is noise-free.

    Returns
    -------
    xarray.Dataset
        float32 ``input (time, trial, input_channel)``, ``target`` and ``loss_mask``
        ``(time, trial, output_channel)``; ``response_direction (trial)`` (rad; NaN: keep
        fixating), ``trial_stop_time (trial)`` (s), the condition columns, and the epochs'
        bounds (s; NaN where a trial lacks the epoch). After the end of a trial that is shorter
        than the longest one everything is 0.

    Raises
    ------
    InputError
        For an unknown task or kind, a time step outside (0, 100] ms, no trials, a missing
        seed, and conditions that the task does not have.

    Notes
    -----
    Yang et al. 2019, Methods, and its reference implementation, which differs from the text
    in details; the arrays of the implementation are matched. Its networks of two tasks have 2
    rule channels, which is ``rules=("contextdm1", "contextdm2")`` here.

    Examples
    --------
    >>> trials = make_trials("contextdm1", "test")
    >>> dict(trials["input"].sizes)
    {'time': 100, 'trial': 500, 'input_channel': 85}
    >>> make_trials(["fdgo", "dmsgo"], "random", n_trials=8, seed=0, timing="trial").sizes["trial"]
    8
    """
    tasks = _check_tasks(task)
    channels = _check_rules(rules, tasks, rule_weights)
    check_dt(dt_ms)
    _check_numbers(sigma_x, coherence_scale)
    _check_seed(seed, needed=kind == "random" or sigma_x > 0)
    _check_belongs(kind, random={"n_trials": n_trials}, psychometric={"conditions": conditions})
    rng = np.random.default_rng(seed)
    if kind == "random":
        if timing not in TIMINGS:
            raise unknown_name("timing", timing, TIMINGS)
        number = check_whole("n_trials", n_trials, 1, "Use n_trials=64.")
        chosen = rng.integers(len(tasks), size=number)
        described = draw_trials(
            tasks,
            chosen,
            rng,
            dt_ms=dt_ms,
            shared_timing=timing == "batch",
            coherence_scale=coherence_scale,
            easy=easy,
        )
    elif kind == "test":
        described = concatenate([get_task(name).test(dt_ms) for name in tasks])
    elif kind == "psychometric":
        _check_durations(dt_ms, stimulus_ms=stimulus_ms, delay_ms=delay_ms)
        described = _psychometric(tasks, conditions or {}, dt_ms, stimulus_ms, delay_ms)
    else:
        raise unknown_name("kind", kind, KINDS)
    trials = _as_dataset(described, dt_ms, channels, rule_weights)
    if sigma_x > 0:
        scale = np.float32(sigma_x * np.sqrt(2 * TAU_MS / dt_ms))
        noise = rng.standard_normal(trials["input"].shape, dtype=np.float32)
        inside = np.arange(trials.sizes["time"])[:, None] < described.n_steps
        trials["input"] += scale * noise * inside[:, :, None]
    return trials.assign_attrs(
        kind=kind,
        dt_ms=float(dt_ms),
        seed=-1 if seed is None else int(seed),
        sigma_x=float(sigma_x),
        coherence_scale=float(coherence_scale),
        easy=int(easy),
    )


def _psychometric(
    tasks: tuple[str, ...],
    conditions: Mapping[str, Any],
    dt_ms: float,
    stimulus_ms: float,
    delay_ms: float,
) -> TrialDescription:
    parts = []
    for name in tasks:
        task = get_task(name)
        asked = Psychometric(
            conditions=read_conditions(conditions, task.given_variables),
            dt_ms=dt_ms,
            stimulus_ms=stimulus_ms,
            delay_ms=delay_ms,
        )
        parts.append(task.psychometric(asked))
    return concatenate(parts)


def draw_trials(
    tasks: Sequence[str],
    chosen: npt.NDArray[np.integer],
    rng: np.random.Generator,
    *,
    dt_ms: float,
    shared_timing: bool,
    coherence_scale: float = 1.0,
    easy: bool = False,
) -> TrialDescription:
    """Draw random trials, each of a chosen task.

    Parameters
    ----------
    tasks
        Names of tasks.
    chosen
        Places in ``tasks`` ``(trial,)``.
    rng
        Generator.
    dt_ms, shared_timing, coherence_scale
        See `nwbcompare.tasks.trial_draw.Draw`; trials of one task share their timing.
    easy
        Whether they are of the tasks' easy variants.
    """
    order = np.argsort(chosen, kind="stable")
    numbers = np.bincount(chosen, minlength=len(tasks))
    parts = []
    for task, number in zip(map(get_task, tasks), numbers, strict=True):
        scale = coherence_scale * (task.easy_scale if easy else 1.0)
        if number:
            parts.append(task.random(Draw(rng, int(number), dt_ms, shared_timing, scale)))
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    drawn = concatenate(parts).take(places)
    return replace(drawn, tasks=tuple(tasks), task=np.asarray(chosen, dtype=np.int64))


def _check_tasks(task: str | Sequence[str]) -> tuple[str, ...]:
    tasks = (task,) if isinstance(task, str) else tuple(task)
    if not tasks:
        raise InputError("task", "at least one task", "none", "Name one, e.g. 'contextdm1'.")
    for name in tasks:
        get_task(name)
    if len(set(tasks)) < len(tasks):
        raise InputError("task", "different tasks", repr(tasks), "Name each once.")
    return tasks


def _check_rules(
    rules: Sequence[str] | None, tasks: tuple[str, ...], weights: Mapping[str, float] | None
) -> tuple[str, ...]:
    """Give the rule channels, each trial's own and those of the weights among them."""
    channels = rules_of(tasks) if rules is None else tuple(rules)
    for name in weights if weights is not None else tasks:
        if name not in channels:
            raise unknown_name("rules" if weights is None else "rule_weights", name, channels)
    for name, weight in (weights or {}).items():
        if not is_finite(weight):
            raise InputError(
                f"rule_weights[{name!r}]", "a finite number", repr(weight), "Use 1 or -1."
            )
    return channels


def rules_of(tasks: Sequence[str]) -> tuple[str, ...]:
    """Give the rule channels for tasks: the 20 published ones, then those of other tasks."""
    return (*RULES, *(name for name in tasks if name not in RULES))


def _check_numbers(sigma_x: float, coherence_scale: float) -> None:
    check_not_negative("sigma_x", sigma_x, "Use 0.01, as published, or 0 for none.")
    check_not_negative("coherence_scale", coherence_scale, "Use 1, as published.")


def _check_durations(dt_ms: float, **durations_ms: float) -> None:
    for name, value in durations_ms.items():
        if not dt_ms <= value < np.inf:
            raise InputError(name, "at least one step, and finite", repr(value), "Use 800.")


def _check_seed(seed: int | None, *, needed: bool) -> None:
    if needed or seed is not None:
        check_whole("seed", seed, 0, "Random trials and noise need a seed.")


def _check_belongs(kind: Kind, **arguments: Mapping[str, Any]) -> None:
    """Refuse arguments, listed by the kind they belong to, that this kind would ignore."""
    for owner, values in arguments.items():
        for name, value in values.items():
            if owner != kind and value is not None:
                raise InputError(
                    name,
                    f"None for kind {kind!r}",
                    repr(value),
                    f"Leave it out, or use kind={owner!r}.",
                )


def _column(name: str, values: npt.NDArray[np.float64]) -> tuple[str, Any, dict[str, str]]:
    return "trial", np.array(values), {"units": "rad" if name.startswith("direction") else "1"}


def _as_dataset(
    described: TrialDescription,
    dt_ms: float,
    rules: tuple[str, ...],
    rule_weights: Mapping[str, float] | None,
) -> xr.Dataset:
    step_s, n_steps = dt_ms / 1000, int(described.n_steps.max())
    bounds = np.stack(list(described.epochs.values()), axis=1).astype(float)
    bounds[bounds < 0] = np.nan
    bounds *= step_s
    time = {"units": "s", "aligned_to": "trial start", "bin_width_s": step_s}
    on_outputs = ("time", "trial", "output_channel")
    return xr.Dataset(
        {
            "input": (
                ("time", "trial", "input_channel"),
                input_signal(described, rules, rule_weights).render(n_steps),
            ),
            "target": (on_outputs, target_signal(described).render(n_steps)),
            "loss_mask": (on_outputs, loss_mask_signal(described, dt_ms).render(n_steps)),
        },
        coords={
            "time": ("time", (np.arange(n_steps) + 0.5) * step_s, time),
            "input_channel": list(input_channels(rules)),
            "output_channel": list(OUTPUT_CHANNELS),
            "task": (
                "trial",
                described.task.astype(np.int32),
                {"categories": json.dumps(described.tasks)},
            ),
            "response_direction": ("trial", described.response, {"units": "rad"}),
            "trial_stop_time": ("trial", described.n_steps * step_s, {"units": "s"}),
            **{name: _column(name, values) for name, values in described.columns.items()},
            "epoch": list(described.epochs),
            "epoch_start_time": (("trial", "epoch"), bounds[:, :, 0].copy(), {"units": "s"}),
            "epoch_stop_time": (("trial", "epoch"), bounds[:, :, 1].copy(), {"units": "s"}),
        },
        attrs={
            "condition_variables": json.dumps(
                {name: get_task(name).condition_variables for name in described.tasks}
            )
        },
    )
