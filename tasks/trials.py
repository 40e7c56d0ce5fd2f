"""Trials of any task as a labelled dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.errors import InputError, unknown_name
from nwbcompare.tasks.channels import INPUT_CHANNELS, OUTPUT_CHANNELS
from nwbcompare.tasks.checks import check_not_negative, check_whole
from nwbcompare.tasks.description import (
    TrialDescription,
    make_cost_mask,
    make_input,
    make_target,
)
from nwbcompare.tasks.registry import KINDS, Task, get_task
from nwbcompare.tasks.timing import TAU_MS, check_dt

Kind = Literal["random", "test", "conditions"]


def make_trials(
    task: str,
    kind: Kind = "test",
    *,
    dt_ms: float = 20.0,
    n_trials: int | None = None,
    seed: int | None = None,
    conditions: Mapping[str, Any] | None = None,
    stimulus_ms: float = 800.0,
    coherence_scale: float = 1.0,
    sigma_x: float = 0.0,
) -> xr.Dataset:
    """Make trials of a task: inputs, targets, cost mask and conditions.

    Parameters
    ----------
    task
        A registered task, such as "contextdm1".
    kind
        "test": the published dense sweep with fixed timing, on which the variance analyses
        run. "random": drawn as published, one timing for the whole call. "conditions": the
        given ones. Arguments of another kind are refused.
    dt_ms
        Time step (ms); 20 as published. Each interval is truncated to whole steps.
    n_trials
        Number of random trials.
    seed
        Seed of random trials and of the input noise.
    conditions
        For "conditions": values by condition variable, each a number or ``(trial,)``. In the
        context tasks ``direction`` (rad) is the first stimulus, the second lies opposite,
        with strengths 1 + c and 1 - c where c is ``coherence_1`` (``_2``) in modality 1 (2);
        where the attended coherence is 0 the response goes to the second, as in the reference.
    stimulus_ms
        Duration of the stimulus (ms) for "conditions"; fixation lasts 500 ms before it and
        the response 500 ms after it.
    coherence_scale
        Factor on the random trials' coherences: 1 as published, 10 its easy variant.
    sigma_x
        Input noise: every channel, rules too, gets Gaussian noise of standard deviation
        ``sigma_x * sqrt(2 tau / dt)``; 0.01 was used for training, 0 is noise-free.

    Returns
    -------
    xarray.Dataset
        float32 ``input (time, trial, input_channel)``, ``target`` and ``cost_mask``
        ``(time, trial, output_channel)``; ``response_direction (trial)`` (rad; NaN: keep
        fixating), the condition columns, and the epochs' bounds (s). ``input`` always has the
        85 channels of all 20 rules (the reference has 67 for a network of two tasks).

    Raises
    ------
    InputError
        For an unknown task or kind, a time step outside (0, 100] ms, no trials, a missing
        seed, and conditions that the task does not have.

    Notes
    -----
    Yang et al. 2019, Methods, and its reference implementation, which differs from the text
    in details; the arrays of the implementation are matched.

    Examples
    --------
    >>> trials = make_trials("contextdm1", "test")
    >>> dict(trials["input"].sizes)
    {'time': 100, 'trial': 500, 'input_channel': 85}
    """
    definition = get_task(task)
    check_dt(dt_ms)
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    check_not_negative("sigma_x", sigma_x, "Use 0.01, as published, or 0 for none.")
    check_not_negative("coherence_scale", coherence_scale, "Use 1, as published.")
    _check_seed(seed, needed=kind == "random" or sigma_x > 0)
    _check_belongs(kind, random={"n_trials": n_trials}, conditions={"conditions": conditions})
    rng = np.random.default_rng(seed)
    if kind == "random":
        number = check_whole("n_trials", n_trials, 1, "Use n_trials=64.")
        described = definition.random(rng, number, dt_ms, coherence_scale)
    elif kind == "test":
        described = definition.test(dt_ms)
    else:
        if not dt_ms <= stimulus_ms < np.inf:
            raise InputError(
                "stimulus_ms", "at least one step, and finite", repr(stimulus_ms), "Use 800."
            )
        described = definition.conditions(conditions or {}, dt_ms, stimulus_ms)
    trials = _as_dataset(definition, described, dt_ms)
    if sigma_x > 0:
        scale = np.float32(sigma_x * np.sqrt(2 * TAU_MS / dt_ms))
        noise = rng.standard_normal(trials["input"].shape, dtype=np.float32)
        trials["input"] += scale * noise
    return trials.assign_attrs(
        kind=kind,
        dt_ms=float(dt_ms),
        seed=-1 if seed is None else int(seed),
        sigma_x=float(sigma_x),
        coherence_scale=float(coherence_scale),
    )


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


def _as_dataset(task: Task, described: TrialDescription, dt_ms: float) -> xr.Dataset:
    step_s = dt_ms / 1000
    n_trials = described.response.size
    bounds = np.array(list(described.epochs.values()), dtype=float) * step_s
    per_trial = np.broadcast_to(bounds[None], (n_trials, *bounds.shape))
    time = {"units": "s", "aligned_to": "trial start", "bin_width_s": step_s}
    return xr.Dataset(
        {
            "input": (("time", "trial", "input_channel"), make_input(described, task.name)),
            "target": (("time", "trial", "output_channel"), make_target(described)),
            "cost_mask": (("time", "trial", "output_channel"), make_cost_mask(described, dt_ms)),
        },
        coords={
            "time": ("time", (np.arange(described.n_steps) + 0.5) * step_s, time),
            "input_channel": list(INPUT_CHANNELS),
            "output_channel": list(OUTPUT_CHANNELS),
            "task": (
                "trial",
                np.zeros(n_trials, dtype=np.int32),
                {"categories": json.dumps([task.name])},
            ),
            "response_direction": ("trial", described.response, {"units": "rad"}),
            **{name: _column(name, values) for name, values in described.columns.items()},
            "epoch": list(described.epochs),
            "epoch_start_time": (("trial", "epoch"), per_trial[:, :, 0].copy(), {"units": "s"}),
            "epoch_stop_time": (("trial", "epoch"), per_trial[:, :, 1].copy(), {"units": "s"}),
        },
        attrs={"condition_variables": json.dumps({task.name: task.condition_variables})},
    )
