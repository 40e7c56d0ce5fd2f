"""Interface between the training loop and the methods of consolidation.

A method adds to the gradient, restricts the change of a step, updates its state after a step, and
updates it at the end of a stage. All weights of a network are one vector ``(weight,)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch

from nwbcompare.model.config import Consolidation

Shapes = Mapping[str, torch.Size]


class Examples(Protocol):
    """Trials of the tasks of the stage that has just ended, run through the present network."""

    def gradients(self) -> Iterator[torch.Tensor]:
        """Yield the gradient of the task loss ``(weight,)`` for one trial after another."""

    def activity(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield inputs, rates at the previous step, and rates, batch by batch.

        Their shapes are ``(sample, input_channel)`` and twice ``(sample, unit)``. A sample is a
        time step inside a trial; rates before the first step are 0. Rule channels are mixed as
        the weights receive them (see `nwbcompare.model.initialisation.rule_mixing`).
        """


class Consolidator:
    """No consolidation; the base class of all methods.

    Parameters
    ----------
    config
        Settings of the method.
    weights
        The weights ``(weight,)`` that training changes in place.
    shapes
        Shape of each weight array by name, in the order of ``weights``.

    Attributes
    ----------
    importance
        Factor of each weight in the penalty ``(weight,)``; None for methods without a penalty.
    """

    importance: torch.Tensor | None = None
    tensors: tuple[str, ...] = ()
    """Names of the attributes that a checkpoint has to keep."""

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        self.config, self.weights, self.shapes = config, weights, shapes

    def penalty(self) -> float:
        """Return the penalty that is added to the loss at the present weights."""
        return 0.0

    def add_slope(self, gradient: torch.Tensor) -> None:
        """Add the gradient of `penalty` to ``gradient (weight,)``, in place."""

    def restrict(self, change: torch.Tensor) -> bool:  # noqa: ARG002 - for methods that do
        """Restrict the change of a step ``(weight,)`` in place; return whether it was."""
        return False

    def after_step(self, gradient: torch.Tensor, change: torch.Tensor) -> None:
        """Update the method after a step.

        Parameters
        ----------
        gradient
            Gradient of the task loss ``(weight,)``, before clipping.
        change
            Change of the weights ``(weight,)``.
        """

    def end_stage(self, examples: Examples) -> None:
        """Update the method at the end of a stage, from trials of its tasks."""

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that a checkpoint has to keep."""
        return {name: getattr(self, name) for name in self.tensors}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the tensors that `state` returned."""
        for name in self.tensors:
            getattr(self, name).copy_(state[name])
