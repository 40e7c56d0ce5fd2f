"""What a method of consolidation is asked by the trainer, which knows none of them by name.

What slope it adds to the gradient, what it makes of a step's change, what it notes after a step,
and what it does when a stage ends. All weights are one vector ``(weight,)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch

from nwbcompare.model.config import Consolidation

Shapes = Mapping[str, torch.Size]


class Examples(Protocol):
    """Trials of the stage that has just ended, on the network as it is."""

    def gradients(self) -> Iterator[torch.Tensor]:
        """Give the task loss's gradient ``(weight,)`` on one trial after another."""

    def activity(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Give batches of inputs, of rates at the step before, and of rates.

        ``(sample, input_channel)`` and twice ``(sample, unit)``. A sample is a time step of a
        trial inside its length; before the first step rates are 0. Inputs are as the weights get
        them, rule channels after their mixing.
        """


class Consolidator:
    """No consolidation, and what all methods have in common.

    Parameters
    ----------
    config
        The method's settings.
    weights
        The weights ``(weight,)`` that training changes in place.
    shapes
        Shape of each weight by name, in the order in which they lie in ``weights``.

    Attributes
    ----------
    importance
        How much each weight counts ``(weight,)``; None for methods that do not weigh them.
    """

    importance: torch.Tensor | None = None

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        self.config, self.weights, self.shapes = config, weights, shapes

    def penalty(self) -> float:
        """Give the loss that the method adds at the present weights."""
        return 0.0

    def add_slope(self, gradient: torch.Tensor) -> None:
        """Add the slope of `penalty` to a gradient ``(weight,)``, in place."""

    def restrict(self, change: torch.Tensor) -> bool:  # noqa: ARG002 - not of this one
        """Take from a step's change ``(weight,)``, in place, what it must not do; tell if any."""
        return False

    def after_step(self, gradient: torch.Tensor, change: torch.Tensor) -> None:
        """Note a step: the task loss's gradient before clipping, and the weights' change."""

    def end_stage(self, examples: Examples) -> None:
        """Protect what the stage has taught."""

    def state(self) -> dict[str, torch.Tensor]:
        """Give what has to be kept to go on later."""
        return {}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
