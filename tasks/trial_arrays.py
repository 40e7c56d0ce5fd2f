"""Trials of a task of one's own, from plain arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import trial_column
from nwbcompare.core.checks import check_known, is_finite
from nwbcompare.core.epochs import Epochs, with_epochs
from nwbcompare.core.errors import InputError, listing


def trials_from_arrays(
    inputs: npt.ArrayLike,
    targets: npt.ArrayLike | None = None,
    trials: Mapping[str, Any] | None = None,
    *,
    dt_ms: float,
    conditions: Sequence[str],
    epochs: Epochs | None = None,
    loss_mask: npt.ArrayLike | None = None,
    start_s: float = 0.0,
    aligned_to: str = "trial start",
) -> xr.Dataset:
    """Make trials of a task of one's own, on which modules are trained and recorded.

    Parameters
    ----------
    inputs
        Inputs of a network, ``(trial, time, input_channel)``.
    targets
        Its desired outputs, ``(trial, time, output_channel)``; None where none are needed.
    trials
        Columns of the trials, each ``(trial,)``: a dict, or a table of pandas. ``task`` is
        required; text is allowed. ``correct``, where it is known, tells comparisons that a model
        has learned the task.
    dt_ms
        Time step (ms).
    conditions
        Columns whose combinations are the conditions of each task.
    epochs
        Start and stop (s from time 0) of each epoch, in numbers or by columns; by default the
        whole trial is the only epoch.
    loss_mask
        Weights of the errors, ``(trial, time)`` or of the shape of the targets; 1 by default.
    start_s
        Time of the first step (s from time 0).
    aligned_to
        The event at time 0.

    Returns
    -------
    xarray.Dataset
        float32 ``input (time, trial, input_channel)``, ``target`` and ``loss_mask`` ``(time, trial,
        output_channel)``, the columns and the bounds of epochs, as `nwbcompare.tasks.make_trials`
        gives: `nwbcompare.record` takes it with any torch module.

    Raises
    ------
    InputError
        For arrays of other dimensions or lengths, values that are not finite, a missing ``task``
        and unknown columns.

    Examples
    --------
    >>> import numpy as np
    >>> side = np.array(["left", "right"] * 2)
    >>> inputs = np.ones((4, 10, 1)) * np.where(side == "left", -1, 1)[:, None, None]
    >>> columns = {"task": ["go", "go", "anti", "anti"], "side": side}
    >>> trials = trials_from_arrays(inputs, inputs, columns, dt_ms=20, conditions=["side"])
    >>> dict(trials["target"].sizes)
    {'time': 10, 'trial': 4, 'output_channel': 1}

    A module is trained on it as on any arrays, then recorded with `nwbcompare.record`:

    >>> import nwbcompare as nc, torch
    >>> block = nc.record(torch.nn.GRU(1, 8), trials)
    >>> block["rate"].shape, nc.labels(block["side"]).tolist()
    ((4, 10, 8), ['left', 'right', 'left', 'right'])
    """
    if not is_finite(dt_ms) or dt_ms <= 0:
        raise InputError("dt_ms", "a time step above 0 ms", repr(dt_ms), "Use dt_ms=20.")
    given = _array("inputs", inputs, None)
    n_trials, n_steps, _ = given.shape
    columns = _columns(trials, n_trials)
    check_known("conditions", conditions, columns)
    variables = {"input": (("time", "trial", "input_channel"), given.swapaxes(0, 1))}
    if targets is not None:
        target = _array("targets", targets, (n_trials, n_steps))
        mask = _mask(loss_mask, target)
        on_outputs = ("time", "trial", "output_channel")
        variables |= {
            "target": (on_outputs, target.swapaxes(0, 1)),
            "loss_mask": (on_outputs, mask.swapaxes(0, 1)),
        }
    elif loss_mask is not None:
        raise InputError("loss_mask", "none without targets", "one", "Pass targets too.")
    step_s = dt_ms / 1000
    time = {"units": "s", "aligned_to": aligned_to, "bin_width_s": step_s}
    categories = json.loads(columns["task"][2]["categories"])
    dataset = xr.Dataset(
        variables,
        coords={
            "time": ("time", start_s + (np.arange(n_steps) + 0.5) * step_s, time),
            **columns,
        },
        attrs={
            "condition_variables": json.dumps({task: list(conditions) for task in categories}),
            "kind": "arrays",
            "dt_ms": float(dt_ms),
            # the inputs are what they are: no noise is added to them
            "sigma_x": 0.0,
            "seed": -1,
        },
    )
    if epochs is None:
        return dataset
    # epochs are checked against the times at which there are rates: here all of them
    everywhere = xr.Variable(("trial", "time", "unit"), np.ones((n_trials, n_steps, 1), "f4"))
    return with_epochs(dataset.assign(rate=everywhere), epochs).drop_vars("rate")


def _array(name: str, values: npt.ArrayLike, lengths: tuple[int, int] | None) -> npt.NDArray[Any]:
    """Return an array ``(trial, time, channel)`` of finite float32."""
    array = np.asarray(values, dtype=np.float32)
    if array.ndim != 3 or 0 in array.shape or (lengths and array.shape[:2] != lengths):
        sizes = "(trial, time, channel)"
        if lengths:
            sizes += f" with {lengths[0]} trials and {lengths[1]} steps, as the inputs"
        remedy = "Pad trials of unequal length with 0, and leave their ends out of loss_mask."
        raise InputError(name, f"an array {sizes}", f"shape {array.shape}", remedy)
    if not np.isfinite(array).all():
        raise InputError(name, "finite numbers", "NaN or infinity", "Write 0 where there is none.")
    return array


def _mask(loss_mask: npt.ArrayLike | None, target: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if loss_mask is None:
        return np.ones_like(target)
    mask = np.asarray(loss_mask, dtype=np.float32)
    if mask.shape == target.shape[:2]:
        mask = mask[:, :, None]
    if mask.ndim != 3 or mask.shape[:2] != target.shape[:2]:
        raise InputError(
            "loss_mask",
            f"(trial, time) or (trial, time, output_channel), {target.shape}",
            f"shape {mask.shape}",
            "Leave it out for errors that count alike.",
        )
    return np.ascontiguousarray(np.broadcast_to(mask, target.shape))


def _columns(trials: Mapping[str, Any] | None, n_trials: int) -> dict[str, Any]:
    """Return trial columns; text as codes."""
    table = {} if trials is None else {str(name): np.asarray(trials[name]) for name in trials}
    if "task" not in table:
        raise InputError(
            "trials",
            "a column 'task' with the name of each trial's task",
            listing(table) or "no columns",
            'Pass trials={"task": [...], ...}, or a table with this column.',
        )
    columns: dict[str, Any] = {}
    for name, values in table.items():
        if values.shape != (n_trials,):
            raise InputError(
                f"trials[{name!r}]",
                f"one value for each of {n_trials} trials",
                f"shape {values.shape}",
                "Give a value for each trial of the inputs.",
            )
        # tasks may be numbered
        columns[name] = trial_column(values.astype(str) if name == "task" else values, "trial")
    return columns
