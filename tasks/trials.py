"""Trials of tasks as labelled datasets."""

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
    """Make trials of one or several tasks, with inputs, targets, loss mask and conditions.

    Parameters
    ----------
    task
        Name of a task, such as "contextdm1", or several names. Random trials of several tasks are
        drawn with equal probability, in random order; other trials are in the order of the tasks.
    kind
        "test": the published crossing of all conditions with fixed timing, for analyses of
        variance. "random": drawn as in training. "psychometric": conditions of your choice.
        Arguments that belong to another kind raise an error.
    dt_ms
        Time step (ms); 20 as published. Each interval is truncated to whole steps.
    n_trials
        Number of random trials.
    seed
        Seed of random trials and of the input noise.
    timing
        Whether random trials of a task have the same timing and modalities ("batch", as
        published), or each trial its own ("trial").
    coherence_scale
        Factor of the coherences of random trials; 1 as published.
    easy
        Whether random trials are of the easy variants of the tasks, as published for sequential
        training: coherences times 10 in DM, Ctx DM and MultSen DM, times 2 in the Dly DM tasks.
    conditions
        For "psychometric": values of the ``given_variables`` of the task (see ``get_task(name)``),
        each a number or ``(trial,)``. ``direction`` (rad) is that of the first stimulus. In DM
        tasks the second is opposite, and strengths are 1 + c and 1 - c with c = ``coherence_1``
        (``coherence_2``) in modality 1 (2); a tie counts as the second.
    stimulus_ms, delay_ms
        For "psychometric": durations (ms) of each stimulus, 800 as published, and of the delay
        after the first stimulus. Fixation before and response after last 500 ms each.
    rules
        Tasks with a rule channel; by default the 20 published ones, followed by other tasks of
        the trials.
    rule_weights
        Values of the rule channels, e.g. ``{"fdanti": 1, "delaygo": 1, "fdgo": -1}`` (Yang et al.
        2019, Fig. 5); by default 1 in that of the task of a trial.
    sigma_x
        Input noise: Gaussian with standard deviation ``sigma_x * sqrt(2 tau / dt)`` in every
        channel, including rules. 0.01 in training, as published; 0 for none.

    Returns
    -------
    xarray.Dataset
        float32 ``input (time, trial, input_channel)``, ``target`` and ``loss_mask``
        ``(time, trial, output_channel)``; ``response_direction (trial)`` (rad; NaN for continued
        fixation), ``trial_stop_time (trial)`` (s), the condition columns, and the bounds of epochs
        ``(trial, epoch)`` (s; NaN in trials without the epoch). After the end of a trial all
        values are 0.

    Raises
    ------
    InputError
        For an unknown task or kind, a time step outside of (0, 100] ms, no trials, a missing seed,
        conditions that the task does not have, and arguments of another kind.

    Notes
    -----
    Tasks of Yang et al. 2019. Where the Methods and the reference implementation differ in
    details, arrays equal those of the implementation. Its networks of two tasks have 2 rule
    channels; use ``rules=("contextdm1", "contextdm2")`` for them.

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
    check_not_negative("sigma_x", sigma_x, "Use 0.01, as published, or 0 for none.")
    check_not_negative("coherence_scale", coherence_scale, "Use 1, as published.")
    if kind == "random" or sigma_x > 0 or seed is not None:
        check_whole("seed", seed, 0, "Random trials and noise need a seed.")
    _check_belongs(kind, random={"n_trials": n_trials}, psychometric={"conditions": conditions})
    rng = np.random.default_rng(seed)
    if kind == "random":
        if timing not in TIMINGS:
            raise unknown_name("timing", timing, TIMINGS)
        number = check_whole("n_trials", n_trials, 1, "Use n_trials=64.")
        task_of_trial = rng.integers(len(tasks), size=number)
        trials = draw_trials(
            tasks,
            task_of_trial,
            rng,
            dt_ms=dt_ms,
            shared_timing=timing == "batch",
            coherence_scale=coherence_scale,
            easy=easy,
        )
    elif kind == "test":
        trials = concatenate([get_task(name).test(dt_ms) for name in tasks])
    elif kind == "psychometric":
        _check_durations(dt_ms, stimulus_ms=stimulus_ms, delay_ms=delay_ms)
        trials = _psychometric(tasks, conditions or {}, dt_ms, stimulus_ms, delay_ms)
    else:
        raise unknown_name("kind", kind, KINDS)
    dataset = _as_dataset(trials, dt_ms, channels, rule_weights)
    if sigma_x > 0:
        # as published: the s.d. per step grows as steps become shorter
        scale = np.float32(sigma_x * np.sqrt(2 * TAU_MS / dt_ms))
        # after the trials, which are thus the same with and without noise
        noise = rng.standard_normal(dataset["input"].shape, dtype=np.float32)
        # after the end of a trial all values are 0
        inside = np.arange(dataset.sizes["time"])[:, None] < trials.n_steps
        dataset["input"] += scale * noise * inside[:, :, None]
    return dataset.assign_attrs(
        kind=kind,
        dt_ms=float(dt_ms),
        # netCDF attributes cannot be None
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
        request = Psychometric(
            conditions=read_conditions(conditions, task.given_variables),
            dt_ms=dt_ms,
            stimulus_ms=stimulus_ms,
            delay_ms=delay_ms,
        )
        parts.append(task.psychometric(request))
    return concatenate(parts)


def draw_trials(
    tasks: Sequence[str],
    task_of_trial: npt.NDArray[np.integer],
    rng: np.random.Generator,
    *,
    dt_ms: float,
    shared_timing: bool,
    coherence_scale: float = 1.0,
    easy: bool = False,
) -> TrialDescription:
    """Draw random trials, each of its own task, as a description.

    Parameters
    ----------
    tasks
        Names of tasks.
    task_of_trial
        Index in ``tasks`` of each trial ``(trial,)``.
    rng
        Generator.
    dt_ms, shared_timing, coherence_scale
        See `nwbcompare.tasks.trial_draw.Draw`; timing is shared by the trials of one task.
    easy
        Whether trials are of the easy variants of the tasks.

    Raises
    ------
    InputError
        For an unknown task.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> task = np.array([1, 0, 1])
    >>> draw_trials(["fdgo", "dm1"], task, rng, dt_ms=20, shared_timing=True).n_trials
    3
    """
    # trials of a task are drawn together, then brought to the order of ``task_of_trial``
    order = np.argsort(task_of_trial, kind="stable")
    numbers = np.bincount(task_of_trial, minlength=len(tasks))
    parts = []
    for task, number in zip(map(get_task, tasks), numbers, strict=True):
        scale = coherence_scale * (task.easy_scale if easy else 1.0)
        if number:
            parts.append(task.random(Draw(rng, int(number), dt_ms, shared_timing, scale)))
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    trials = concatenate(parts).take(places)
    return replace(trials, tasks=tuple(tasks), task=np.asarray(task_of_trial, dtype=np.int64))


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
    """Check that tasks and weights have a rule channel; return the rule channels."""
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
    """Return the rule channels for tasks: the 20 published ones, then those of other tasks.

    Examples
    --------
    >>> len(rules_of(["fdgo"])), rules_of(["mine"])[-1]
    (20, 'mine')
    """
    return (*RULES, *(name for name in tasks if name not in RULES))


def _check_durations(dt_ms: float, **durations_ms: float) -> None:
    for name, value in durations_ms.items():
        if not dt_ms <= value < np.inf:
            raise InputError(name, "at least one step, and finite", repr(value), "Use 800.")


def _check_belongs(kind: Kind, **arguments: Mapping[str, Any]) -> None:
    """Check that arguments that belong to another kind are None."""
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
    trials: TrialDescription,
    dt_ms: float,
    rules: tuple[str, ...],
    rule_weights: Mapping[str, float] | None,
) -> xr.Dataset:
    step_s, n_steps = dt_ms / 1000, int(trials.n_steps.max())
    # floats, in which NaN marks epochs that a trial lacks
    bounds = np.stack(list(trials.epochs.values()), axis=1).astype(float)
    bounds[bounds < 0] = np.nan
    bounds *= step_s
    time = {"units": "s", "aligned_to": "trial start", "bin_width_s": step_s}
    on_outputs = ("time", "trial", "output_channel")
    return xr.Dataset(
        {
            "input": (
                ("time", "trial", "input_channel"),
                input_signal(trials, rules, rule_weights).render(n_steps),
            ),
            "target": (on_outputs, target_signal(trials).render(n_steps)),
            "loss_mask": (on_outputs, loss_mask_signal(trials, dt_ms).render(n_steps)),
        },
        coords={
            "time": ("time", (np.arange(n_steps) + 0.5) * step_s, time),
            "input_channel": list(input_channels(rules)),
            "output_channel": list(OUTPUT_CHANNELS),
            "task": (
                "trial",
                trials.task.astype(np.int32),
                {"categories": json.dumps(trials.tasks)},
            ),
            "response_direction": ("trial", trials.response, {"units": "rad"}),
            "trial_stop_time": ("trial", trials.n_steps * step_s, {"units": "s"}),
            **{name: _column(name, values) for name, values in trials.columns.items()},
            "epoch": list(trials.epochs),
            "epoch_start_time": (("trial", "epoch"), bounds[:, :, 0].copy(), {"units": "s"}),
            "epoch_stop_time": (("trial", "epoch"), bounds[:, :, 1].copy(), {"units": "s"}),
        },
        attrs={
            "condition_variables": json.dumps(
                {name: get_task(name).condition_variables for name in trials.tasks}
            )
        },
    )
