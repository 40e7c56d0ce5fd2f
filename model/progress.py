"""How far a training run has come, and whether a checkpoint says so in earnest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from nwbcompare.core.errors import InputError, listing
from nwbcompare.model.config import TrainingConfig

OLD_NAMES = {"cost": "loss", "first_costs": "first_losses", "last_costs": "last_losses"}
"""Names in logs and checkpoints of runs of format 4 and older."""
REMEDY = "The checkpoint is damaged: train anew with --overwrite."


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    step, stage, stage_step
        Steps in all, the stage, and the steps within it.
    best
        The worst task's performance at the stage's best evaluation so far.
    seconds
        Time spent, evaluations included.
    first_losses, last_losses
        Losses of the first and of the latest steps of the stage.
    reached
        The milestones that have been reached.
    log
        A row for each evaluation.
    """

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    best: float = -1.0
    seconds: float = 0.0
    first_losses: list[float] = field(default_factory=list)
    last_losses: list[float] = field(default_factory=list)
    reached: list[float] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)


def present_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log's row, or a checkpoint's progress, by the names of the present format.

    Examples
    --------
    >>> present_names({"step": 0, "cost": 0.5})
    {'step': 0, 'loss': 0.5}
    """
    return {OLD_NAMES.get(name, name): value for name, value in values.items()}


def read_progress(values: object, training: TrainingConfig, file: Path) -> Progress:
    """Read the progress of a checkpoint.

    Parameters
    ----------
    values
        Plain values, as JSON gives them.
    training
        How the run is trained.
    file
        The checkpoint, for messages.

    Raises
    ------
    InputError
        Where fields are missing, unknown or of another type, the stage or its step is none of
        the training's, or the log does not end at the step.
    """
    names = [part.name for part in fields(Progress)]
    values = present_names(values) if isinstance(values, dict) else values
    if not isinstance(values, dict) or set(values) != set(names):
        found = listing(values) if isinstance(values, dict) else f"{values!r:.40}"
        raise InputError(f"{file}: progress", f"the fields {listing(names)}", found, REMEDY)
    for name, expected, fault in _faults(values, training):
        if fault:
            got = f"{values[name]!r:.40}"
            raise InputError(f"{file}: progress: {name}", expected, got, REMEDY)
    return Progress(**values | {"log": [present_names(row) for row in values["log"]]})


def _faults(values: Mapping[str, Any], training: TrainingConfig) -> Iterator[tuple[str, str, bool]]:
    """Yield, for one field after another, what is expected of it, and whether it is not so."""
    for name in ("step", "stage", "stage_step"):
        yield name, "a whole number from 0 on", not _is_whole(values[name])
    n_stages = len(training.stages)
    yield "stage", f"one from 0 to {n_stages}", values["stage"] > n_stages
    stage = values["stage"]
    most = training.stages[stage].max_steps if stage < n_stages else 0
    yield "stage_step", f"at most the stage's {most}", values["stage_step"] > most
    yield "stage_step", "at most step", values["stage_step"] > values["step"]
    for name in ("best", "seconds"):
        yield name, "a number", not _is_number(values[name])
    for name in ("first_losses", "last_losses", "reached"):
        numbers = values[name]
        bad = not isinstance(numbers, list) or not all(map(_is_number, numbers))
        yield name, "a list of numbers", bad
    log = values["log"]
    rows = isinstance(log, list) and log and all(isinstance(row, dict) for row in log)
    yield "log", "a row for each evaluation, at least one", not rows
    last = log[-1]
    yield "log", f"a last row of step {values['step']}", last.get("step") != values["step"]
    tasks = last.get("performance")
    fits = isinstance(tasks, dict) and set(tasks) == set(training.tasks)
    yield "log", f"the performance in {listing(training.tasks)}", not fits


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def check_tensors(
    found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], file: Path
) -> None:
    """Refuse a checkpoint's tensors that are not those that its run would write.

    Parameters
    ----------
    found
        Tensors of the checkpoint.
    expected
        Tensors of the names, shapes and types that it should have.
    file
        The checkpoint, for messages.

    Raises
    ------
    InputError
        Where one is missing, unknown, of another shape or type, or not finite.
    """
    if set(found) != set(expected):
        missing, unknown = set(expected) - set(found), set(found) - set(expected)
        raise InputError(
            str(file),
            f"tensors {listing(sorted(expected))}",
            f"none of {listing(sorted(missing))}, unknown {listing(sorted(unknown))}",
            REMEDY,
        )
    for name, tensor in found.items():
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise InputError(f"{file}: {name}", _kind(like), _kind(tensor), REMEDY)
        if not torch.isfinite(tensor).all():
            raise InputError(f"{file}: {name}", "finite values", "NaN or infinity", REMEDY)


def _kind(tensor: torch.Tensor) -> str:
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
