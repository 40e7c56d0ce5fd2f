"""Progress of a training run, and the checks of a checkpoint from which it is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, with_config

from nwbcompare.core.errors import DamagedCacheError, listing
from nwbcompare.model.config import TrainingConfig
from nwbcompare.model.file_values import STRICT, Number, validated

OLD_NAMES = {"cost": "loss", "first_costs": "first_losses", "last_costs": "last_losses"}
"""Names in logs and checkpoints of runs of format 4 and older."""
REMEDY = "The checkpoint is damaged: train again with --overwrite."
Count = Annotated[int, Field(ge=0)]


@with_config(STRICT)
@dataclass
class Progress:
    """Progress of a run.

    Attributes
    ----------
    step, stage, stage_step
        Number of steps so far, index of the stage, and number of steps within it.
    best
        Performance of the worst task at the best evaluation of the stage so far.
    seconds
        Duration so far (s), including evaluations.
    first_losses, last_losses
        Losses of the first and of the latest steps of the stage.
    reached
        Milestones that have been reached.
    log
        One row for each evaluation.
    """

    step: Count = 0
    stage: Count = 0
    stage_step: Count = 0
    best: Number = -1.0
    seconds: Number = 0.0
    first_losses: list[Number] = field(default_factory=list)
    last_losses: list[Number] = field(default_factory=list)
    reached: list[Number] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)


_PROGRESS = TypeAdapter(Progress)


def present_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a log, or the progress of a checkpoint, by the names of the present format.

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
        Configuration of the training.
    file
        The checkpoint, for messages.

    Raises
    ------
    DamagedCacheError
        For fields that are missing, unknown or of another type, a stage or step beyond those of
        the training, and a log whose last row is of another step or of other tasks.
    """
    names = [part.name for part in fields(Progress)]
    values = present_names(values) if isinstance(values, dict) else values
    if not isinstance(values, dict) or set(values) != set(names):
        got = listing(values) if isinstance(values, dict) else f"{values!r:.40}"
        raise DamagedCacheError(f"{file}: progress", f"the fields {listing(names)}", got, REMEDY)
    progress = validated(
        _PROGRESS, values, file=f"{file}: progress", remedy=REMEDY, error=DamagedCacheError
    )
    for name, expected, holds in _rules(progress, training):
        if not holds:
            got = f"{values[name]!r:.40}"
            raise DamagedCacheError(f"{file}: progress, {name}", expected, got, REMEDY)
    progress.log = [present_names(row) for row in progress.log]
    return progress


def _rules(progress: Progress, training: TrainingConfig) -> Iterator[tuple[str, str, bool]]:
    """Yield the name of a field, what is expected of it, and whether this holds."""
    n_stages = len(training.stages)
    yield "stage", f"one from 0 to {n_stages}", progress.stage <= n_stages
    # after the last stage no step is left
    most = (*(stage.max_steps for stage in training.stages), 0)[progress.stage]
    yield "stage_step", f"at most the stage's {most}", progress.stage_step <= most
    yield "stage_step", "at most step", progress.stage_step <= progress.step
    yield "log", "a row for each evaluation, at least one", bool(progress.log)
    # an empty log ends the checks before this line, since rules are yielded one by one
    last = progress.log[-1]
    yield "log", f"a last row of step {progress.step}", last.get("step") == progress.step
    tasks = last.get("performance")
    fits = isinstance(tasks, dict) and set(tasks) == set(training.tasks)
    yield "log", f"the performance in {listing(training.tasks)}", fits


def check_tensors(
    tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], file: Path
) -> None:
    """Check the names, shapes, types and values of the tensors of a checkpoint.

    Parameters
    ----------
    tensors
        Tensors of the checkpoint.
    expected
        Tensors with the names, shapes and types that the run would write.
    file
        The checkpoint, for messages.

    Raises
    ------
    DamagedCacheError
        For a tensor that is missing, unknown, of another shape or type, or not finite.
    """
    if set(tensors) != set(expected):
        missing, unknown = set(expected) - set(tensors), set(tensors) - set(expected)
        raise DamagedCacheError(
            str(file),
            f"tensors {listing(sorted(expected))}",
            f"none of {listing(sorted(missing))}, unknown {listing(sorted(unknown))}",
            REMEDY,
        )
    for name, tensor in tensors.items():
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise DamagedCacheError(f"{file}: {name}", _kind(like), _kind(tensor), REMEDY)
        if not torch.isfinite(tensor).all():
            raise DamagedCacheError(f"{file}: {name}", "finite values", "NaN or infinity", REMEDY)


def _kind(tensor: torch.Tensor) -> str:
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
