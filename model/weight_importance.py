"""Consolidation by a penalty on moving weights, each by its importance for what was learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation
from nwbcompare.model.consolidator import Consolidator, Examples, Shapes


class QuadraticPenalty(Consolidator, ABC):
    """A penalty on leaving the weights that the last stage ended with.

    ``strength * sum importance * (weight - anchor)^2``; importances are 0 until the first stage
    has ended, anchors the weights at its end.
    """

    importance: torch.Tensor

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        super().__init__(config, weights, shapes)
        self.importance = torch.zeros_like(weights)
        self.anchor = weights.clone()
        self._scratch = torch.empty_like(weights)

    def penalty(self) -> float:
        """Give the loss that the method adds at the present weights."""
        torch.sub(self.weights, self.anchor, out=self._scratch).square_()
        return self.config.strength * float(self._scratch.mul_(self.importance).sum())

    def add_slope(self, gradient: torch.Tensor) -> None:
        """Add the slope of `penalty` to a gradient ``(weight,)``, in place."""
        torch.sub(self.weights, self.anchor, out=self._scratch).mul_(self.importance)
        gradient.add_(self._scratch, alpha=2 * self.config.strength)

    def end_stage(self, examples: Examples) -> None:
        """Protect what the stage has taught."""
        self.importance.copy_(self._importance_after(examples))
        self.anchor.copy_(self.weights)

    @abstractmethod
    def _importance_after(self, examples: Examples) -> torch.Tensor:
        """Give the importances ``(weight,)`` from the stage that has ended on."""

    def state(self) -> dict[str, torch.Tensor]:
        """Give what has to be kept to go on later."""
        return {"importance": self.importance, "anchor": self.anchor}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        self.importance.copy_(state["importance"])
        self.anchor.copy_(state["anchor"])


class SynapticIntelligence(QuadraticPenalty):
    """Importance is how much of the task loss's fall a weight brought about.

    Zenke, Poole & Ganguli 2017, as in the reference implementation of Yang et al. 2019: at every
    step the path integral of a weight falls by its change times the gradient of the task loss
    alone; when a stage ends, ``importance = relu(importance + integral / (change^2 + damping))``
    with the weight's change over the whole stage, and the integral starts again from 0.
    """

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        super().__init__(config, weights, shapes)
        self.path_integral = torch.zeros_like(weights)

    def after_step(self, gradient: torch.Tensor, change: torch.Tensor) -> None:
        """Note a step: the task loss's gradient before clipping, and the weights' change."""
        self.path_integral.addcmul_(change, gradient, value=-1)

    def _importance_after(
        self,
        examples: Examples,  # noqa: ARG002 - the path tells all
    ) -> torch.Tensor:
        moved = (self.weights - self.anchor).square_().add_(self.config.damping)
        after = torch.relu(self.importance + self.path_integral / moved)
        self.path_integral.zero_()
        return after

    def state(self) -> dict[str, torch.Tensor]:
        """Give what has to be kept to go on later."""
        return super().state() | {"path_integral": self.path_integral}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        super().load_state(state)
        self.path_integral.copy_(state["path_integral"])


class Elastic(QuadraticPenalty):
    """Importance is the Fisher information: the mean square of the loss's gradient by trial.

    Elastic weight consolidation (Kirkpatrick et al. 2017), with one anchor and a running sum of
    the stages' information (Huszar 2018), on 256 trials of each task drawn when a stage has
    ended. The gradient is that by the targets (the empirical information).

    Of Gaussian outputs the negative log likelihood of a trial would be its loss times a factor
    (half its steps and outputs over their variance), and its information that factor squared.
    The factor is left to the strength, which has no natural unit therefore: with the loss as it
    is, the mean of steps and outputs, importances add up to about 200 times less than those of
    synaptic intelligence, so that its strength 1 corresponds to about 200 here
    (``benchmarks/consolidation.py``).
    """

    def _importance_after(self, examples: Examples) -> torch.Tensor:
        total, number = torch.zeros_like(self.weights), 0
        for gradient in examples.gradients():
            total.addcmul_(gradient, gradient)
            number += 1
        return self.importance + total.div_(number)


class Borrowed(QuadraticPenalty):
    """A control: importances of another run's stages, in other places.

    Parameters
    ----------
    config, weights, shapes
        See `Consolidator`.
    given
        The other run's importances after each stage ``(stage, weight)``. Their sum is kept, so
        that the penalty is as strong as the other run's; only its place is another.
    """

    def __init__(
        self,
        config: Consolidation,
        weights: torch.Tensor,
        shapes: Shapes,
        given: torch.Tensor | None,
    ) -> None:
        super().__init__(config, weights, shapes)
        if given is None:
            raise InputError(
                "importances",
                f"those of a run with synaptic intelligence, for method {config.method!r}",
                "none",
                "Pass train(..., importances=read_importances(RUN_FOLDER)).",
            )
        if given.ndim != 2 or given.shape[1] != weights.numel():
            raise InputError(
                "importances",
                f"(stage, weight) with {weights.numel()} weights",
                f"shape {tuple(given.shape)}",
                "Take them from a run of the same network configuration.",
            )
        self._given, self._ended = given, 0
        self._move = self._permuted if config.method == "permuted" else self._spread

    def _importance_after(
        self,
        examples: Examples,  # noqa: ARG002 - another run measured
    ) -> torch.Tensor:
        place, self._ended = self._ended, self._ended + 1
        return self._move(self._given[place]) if place < len(self._given) else self.importance

    def _permuted(self, importance: torch.Tensor) -> torch.Tensor:
        """Permute importances within each weight matrix, in every stage alike."""
        generator = torch.Generator().manual_seed(self.config.seed)
        parts = torch.split(importance, [shape.numel() for shape in self.shapes.values()])
        return torch.cat([part[torch.randperm(len(part), generator=generator)] for part in parts])

    @staticmethod
    def _spread(importance: torch.Tensor) -> torch.Tensor:
        return torch.full_like(importance, float(importance.double().mean()))

    def state(self) -> dict[str, torch.Tensor]:
        """Give what has to be kept to go on later."""
        return super().state() | {"ended": torch.tensor(self._ended)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        super().load_state(state)
        self._ended = int(state["ended"])
