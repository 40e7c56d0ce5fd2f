"""Trials of neurogym environments (Molano-Mazon et al. 2022).

neurogym requires old releases of packages that are needed here, so it is an extra,
``nwbcompare[neurogym]``, and is not imported: any object with the interface of its ``TrialEnv``
can be used.
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
    """Interface of a neurogym environment; times are in ms.

    After ``new_trial`` it has the observations ``ob (time, channel)``, the correct action ``gt
    (time,)`` and the bounds of the periods of the trial.
    """

    dt: float
    ob: np.ndarray
    gt: np.ndarray
    start_t: Mapping[str, float]
    end_t: Mapping[str, float]
    action_space: Any
    observation_space: Any

    def seed(self, seed: int | None = None) -> Any:
        """Set the seed of the environment."""

    def new_trial(self, **kwargs: Any) -> Mapping[str, Any]:
        """Draw a trial and return its parameters."""


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
        Seed of the environment.
    name
        Name of the task.
    conditions
        Parameters of a trial whose combinations are conditions; by default all parameters.

    Returns
    -------
    xarray.Dataset
        ``input (time, trial, input_channel)``, ``target (time, trial, output_channel)`` with 1
        at the correct action, ``loss_mask`` (1 inside the trial), the parameters ``(trial,)``, and
        the bounds of periods (s) as epochs. After the end of a trial all values are 0.

    Raises
    ------
    InputError
        For an environment with another interface, an unknown condition, and a number of trials
        or seed out of range.

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
    trials = []
    for _ in range(n_trials):
        parameters = dict(environment.new_trial())
        periods = {
            period: (environment.start_t[period] / 1000, environment.end_t[period] / 1000)
            for period in environment.start_t
        }
        # copies, since an environment may reuse its arrays for the next trial
        trials.append((np.array(environment.ob), np.array(environment.gt), parameters, periods))
    columns = _columns([parameters for _, _, parameters, _ in trials])
    for condition in conditions or ():
        if condition not in columns:
            raise unknown_name("conditions", condition, columns)
    return _as_dataset(environment, trials, columns, name, list(conditions or columns))


def _check_interface(environment: object) -> None:
    attributes = ("dt", "seed", "new_trial", "observation_space", "action_space")
    absent = [attribute for attribute in attributes if not hasattr(environment, attribute)]
    if absent:
        raise InputError(
            "environment",
            "a neurogym TrialEnv",
            f"{type(environment).__name__} without {', '.join(absent)}",
            "Pass neurogym.make(name).unwrapped.",
        )


def _columns(parameters: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the parameters that are one number or text in every trial, as columns."""
    # a parameter that some trials lack cannot be a column
    names = [key for key, value in parameters[0].items() if np.ndim(value) == 0]
    return {
        key: np.array([values[key] for values in parameters])
        for key in names
        if all(key in values for values in parameters)
    }


def _as_dataset(
    environment: TrialEnv,
    trials: list[tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, tuple[float, float]]]],
    columns: Mapping[str, np.ndarray],
    name: str,
    conditions: list[str],
) -> xr.Dataset:
    step_s, n_trials = environment.dt / 1000, len(trials)
    n_steps = max(len(action) for _, action, _, _ in trials)
    n_actions, n_channels = int(environment.action_space.n), environment.observation_space.shape[0]
    inputs = np.zeros((n_steps, n_trials, n_channels), dtype=np.float32)
    target = np.zeros((n_steps, n_trials, n_actions), dtype=np.float32)
    mask = np.zeros_like(target)
    for place, (observation, action, _, _) in enumerate(trials):
        inputs[: len(action), place] = observation
        target[np.arange(len(action)), place, action.astype(int)] = 1
        # steps after a trial's end do not count
        mask[: len(action), place] = 1
    epochs = list(dict.fromkeys(period for *_, periods in trials for period in periods))
    absent = (np.nan, np.nan)
    bounds = np.array([[periods.get(epoch, absent) for epoch in epochs] for *_, periods in trials])
    lengths = np.array([len(action) for _, action, _, _ in trials])
    time = {"units": "s", "aligned_to": "trial start", "bin_width_s": step_s}
    on_outputs = ("time", "trial", "output_channel")
    return xr.Dataset(
        {
            "input": (("time", "trial", "input_channel"), inputs),
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
