"""Trials of a neurogym environment in this project's form.

neurogym (Molano-Mazon et al. 2022) pins old releases of what this package needs, so it is an
extra, ``nwbcompare[neurogym]``, and nothing here imports it: any object with the interface of
its ``TrialEnv`` will do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, unknown_name


class TrialEnv(Protocol):
    """What is used of a neurogym environment; times are in ms.

    After ``new_trial`` it has the trial's observations ``ob (time, channel)``, the right action
    ``gt (time,)`` and the bounds of its periods.
    """

    dt: float
    ob: np.ndarray
    gt: np.ndarray
    start_t: Mapping[str, float]
    end_t: Mapping[str, float]
    action_space: Any
    observation_space: Any

    def seed(self, seed: int | None = None) -> Any:
        """Seed the environment."""

    def new_trial(self, **kwargs: Any) -> Mapping[str, Any]:
        """Draw a trial and give its parameters."""


def trials_of_environment(
    environment: TrialEnv,
    n_trials: int,
    *,
    seed: int,
    name: str,
    conditions: Sequence[str] | None = None,
) -> xr.Dataset:
    """Draw trials of a neurogym environment.

    Parameters
    ----------
    environment
        The environment, such as ``neurogym.make("PerceptualDecisionMaking-v0").unwrapped``.
    n_trials
        Number of trials.
    seed
        Its seed.
    name
        What to call the task.
    conditions
        Parameters of a trial whose combinations are conditions; by default all of them.

    Returns
    -------
    xarray.Dataset
        ``input (time, trial, input_channel)``, ``target (time, trial, output_channel)`` with 1
        at the right action, ``loss_mask`` (1 inside the trial), each trial's parameters, and the
        bounds of its periods (s) as epochs. Shorter trials are followed by zeros.

    Raises
    ------
    InputError
        For an environment of another interface, and an unknown condition.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> environment = SimpleNamespace(
    ...     dt=100, ob=np.ones((5, 3)), gt=np.array([0, 0, 0, 1, 1]),
    ...     start_t={"stimulus": 0, "decision": 300}, end_t={"stimulus": 300, "decision": 500},
    ...     observation_space=SimpleNamespace(shape=(3,)), action_space=SimpleNamespace(n=2),
    ...     seed=lambda seed: None, new_trial=lambda: {"ground_truth": 1},
    ... )
    >>> trials_of_environment(environment, 4, seed=0, name="mine")["target"].shape
    (5, 4, 2)
    """
    _check_interface(environment)
    check_whole("n_trials", n_trials, 1, "Use n_trials=64.")
    environment.seed(check_whole("seed", seed, 0, "Use seed=0."))
    drawn = []
    for _ in range(n_trials):
        parameters = dict(environment.new_trial())
        periods = {
            period: (environment.start_t[period] / 1000, environment.end_t[period] / 1000)
            for period in environment.start_t
        }
        drawn.append((np.array(environment.ob), np.array(environment.gt), parameters, periods))
    columns = _columns([parameters for _, _, parameters, _ in drawn])
    for condition in conditions or ():
        if condition not in columns:
            raise unknown_name("conditions", condition, columns)
    return _as_dataset(environment, drawn, columns, name, list(conditions or columns))


def _check_interface(environment: object) -> None:
    needed = ("dt", "seed", "new_trial", "observation_space", "action_space")
    absent = [attribute for attribute in needed if not hasattr(environment, attribute)]
    if absent:
        raise InputError(
            "environment",
            "a neurogym TrialEnv",
            f"{type(environment).__name__} without {', '.join(absent)}",
            "Give neurogym.make(name).unwrapped.",
        )


def _columns(parameters: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Give the parameters that are one number or text in every trial."""
    names = [key for key, value in parameters[0].items() if np.ndim(value) == 0]
    return {
        key: np.array([one[key] for one in parameters])
        for key in names
        if all(key in one for one in parameters)
    }


def _as_dataset(
    environment: TrialEnv,
    drawn: list[tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, tuple[float, float]]]],
    columns: Mapping[str, np.ndarray],
    name: str,
    conditions: list[str],
) -> xr.Dataset:
    step_s, n_trials = environment.dt / 1000, len(drawn)
    n_steps = max(len(right) for _, right, _, _ in drawn)
    n_actions, n_channels = int(environment.action_space.n), environment.observation_space.shape[0]
    shown = np.zeros((n_steps, n_trials, n_channels), dtype=np.float32)
    target = np.zeros((n_steps, n_trials, n_actions), dtype=np.float32)
    mask = np.zeros_like(target)
    for place, (observed, right, _, _) in enumerate(drawn):
        shown[: len(right), place] = observed
        target[np.arange(len(right)), place, right.astype(int)] = 1
        mask[: len(right), place] = 1
    epochs = list(dict.fromkeys(period for *_, periods in drawn for period in periods))
    absent = (np.nan, np.nan)
    bounds = np.array([[periods.get(epoch, absent) for epoch in epochs] for *_, periods in drawn])
    lengths = np.array([len(right) for _, right, _, _ in drawn])
    time = {"units": "s", "aligned_to": "trial start", "bin_width_s": step_s}
    on_outputs = ("time", "trial", "output_channel")
    return xr.Dataset(
        {
            "input": (("time", "trial", "input_channel"), shown),
            "target": (on_outputs, target),
            "loss_mask": (on_outputs, mask),
        },
        coords={
            "time": ("time", (np.arange(n_steps) + 0.5) * step_s, time),
            "input_channel": [f"observation_{place:02d}" for place in range(n_channels)],
            "output_channel": [f"action_{place:02d}" for place in range(n_actions)],
            "task": (
                "trial",
                np.zeros(n_trials, dtype=np.int32),
                {"categories": json.dumps([name])},
            ),
            "trial_stop_time": ("trial", lengths * step_s, {"units": "s"}),
            **{key: ("trial", values) for key, values in columns.items()},
            "epoch": epochs,
            "epoch_start_time": (("trial", "epoch"), bounds[:, :, 0], {"units": "s"}),
            "epoch_stop_time": (("trial", "epoch"), bounds[:, :, 1], {"units": "s"}),
        },
        attrs={"condition_variables": json.dumps({name: conditions}), "dt_ms": environment.dt},
    )
