"""Consolidation by a penalty on weight changes, scaled by the importance of each weight."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation
from nwbcompare.model.consolidator import Consolidator, Examples, Shapes


class _QuadraticPenalty(Consolidator, ABC):
    """Penalty ``strength * sum importance * (weight - anchor)^2`` on changes of weights.

    Importances are 0 until the end of the first stage; anchors are the weights at the end of the
    latest stage.
    """

    importance: torch.Tensor
    tensors: tuple[str, ...] = ("importance", "anchor")

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        super().__init__(config, weights, shapes)
        self.importance = torch.zeros_like(weights)
        self.anchor = weights.clone()
        self._scratch = torch.empty_like(weights)

    def penalty(self) -> float:
        """Return the penalty at the present weights."""
        torch.sub(self.weights, self.anchor, out=self._scratch).square_()
        return self.config.strength * float(self._scratch.mul_(self.importance).sum())

    def add_slope(self, gradient: torch.Tensor) -> None:
        """Add the slope of `penalty` to a gradient ``(weight,)``, in place."""
        torch.sub(self.weights, self.anchor, out=self._scratch).mul_(self.importance)
        gradient.add_(self._scratch, alpha=2 * self.config.strength)

    def end_stage(self, examples: Examples) -> None:
        """Update importances and anchors at the end of a stage."""
        self.importance.copy_(self._importance_after(examples))
        self.anchor.copy_(self.weights)

    @abstractmethod
    def _importance_after(self, examples: Examples) -> torch.Tensor:
        """Return the importances ``(weight,)`` that hold from the end of the stage on."""


class SynapticIntelligence(_QuadraticPenalty):
    """Importance as the contribution of a weight to the decrease of the task loss.

    At every step the path integral of a weight decreases by its change times the gradient of the
    task loss alone. At the end of a stage ``importance = relu(importance + integral / (change^2 +
    damping))`` with the weight's change over the whole stage, and the integral is reset to 0.

    References
    ----------
    Zenke, Poole & Ganguli 2017, "Continual learning through synaptic intelligence", ICML; as in
    the reference implementation of Yang et al. 2019.

    Examples
    --------
    >>> weights = torch.zeros(2)
    >>> method = SynapticIntelligence(
    ...     Consolidation(method="synaptic_intelligence", damping=0.01), weights,
    ...     {"bias": weights.shape})
    >>> weights += torch.tensor([0.1, 0.1])
    >>> method.after_step(torch.tensor([-1.0, 0.0]), torch.tensor([0.1, 0.1]))
    >>> method.end_stage(None)
    >>> [round(value, 3) for value in method.importance.tolist()]
    [5.0, 0.0]
    """

    tensors: tuple[str, ...] = ("importance", "anchor", "path_integral")

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        super().__init__(config, weights, shapes)
        self.path_integral = torch.zeros_like(weights)

    def after_step(self, gradient: torch.Tensor, change: torch.Tensor) -> None:
        """Update the path integrals by a step; see `Consolidator.after_step`."""
        self.path_integral.addcmul_(change, gradient, value=-1)

    def _importance_after(self, examples: Examples) -> torch.Tensor:  # noqa: ARG002 - the path integral was updated at each step
        squares = (self.weights - self.anchor).square_().add_(self.config.damping)
        after = torch.relu(self.importance + self.path_integral / squares)
        self.path_integral.zero_()
        return after


class Elastic(_QuadraticPenalty):
    """Importance as Fisher information: the mean squared gradient of the loss over trials.

    Elastic weight consolidation, with one anchor and the sum of the information of all stages,
    measured on 256 trials of each task drawn at the end of a stage. The gradient is taken at the
    targets (empirical Fisher information).

    Notes
    -----
    For Gaussian outputs the negative log likelihood of a trial is its loss times half its number
    of steps and outputs over their variance, and the information scales with the square of that
    factor. It is left to ``strength``, which has no natural unit therefore: with the mean loss
    used here importances sum to about 200 times less than those of synaptic intelligence, so a
    strength of 1 there corresponds to about 200 here (``benchmarks/consolidation.py``).

    References
    ----------
    Kirkpatrick et al. 2017, PNAS 114:3521; Huszar 2018, PNAS 115:E2496 (one anchor).
    """

    def _importance_after(self, examples: Examples) -> torch.Tensor:
        total, number = torch.zeros_like(self.weights), 0
        for gradient in examples.gradients():
            total.addcmul_(gradient, gradient)
            number += 1
        return self.importance + total.div_(number)


class Borrowed(_QuadraticPenalty):
    """Control: the importances of another run, permuted over weights or spread evenly.

    Parameters
    ----------
    config, weights, shapes
        See `Consolidator`.
    importances
        Importances after each stage of the other run ``(stage, weight)``. Their sum does not
        change, so that the penalty is as strong as in that run; only the weights differ.

    Raises
    ------
    InputError
        For no importances, and for those of a network with another number of weights.
    """

    tensors: tuple[str, ...] = ("importance", "anchor", "ended")

    def __init__(
        self,
        config: Consolidation,
        weights: torch.Tensor,
        shapes: Shapes,
        importances: torch.Tensor | None,
    ) -> None:
        super().__init__(config, weights, shapes)
        if importances is None:
            raise InputError(
                "importances",
                f"those of a run with synaptic intelligence, for method {config.method!r}",
                "none",
                "Pass train(..., importances=read_importances(RUN_FOLDER)).",
            )
        if importances.ndim != 2 or importances.shape[1] != weights.numel():
            raise InputError(
                "importances",
                f"(stage, weight) with {weights.numel()} weights",
                f"shape {tuple(importances.shape)}",
                "Take them from a run of the same network configuration.",
            )
        self._importances, self.ended = importances, torch.tensor(0)
        self._reassign = self._permuted if config.method == "permuted" else self._uniform

    def _importance_after(self, examples: Examples) -> torch.Tensor:  # noqa: ARG002 - the other run has measured them
        place = int(self.ended)
        self.ended += 1
        # after the last stage of the other run its last importances stay
        if place >= len(self._importances):
            return self.importance
        return self._reassign(self._importances[place])

    def _permuted(self, importance: torch.Tensor) -> torch.Tensor:
        """Permute importances within each weight matrix, by the same permutation at every stage."""
        generator = torch.Generator().manual_seed(self.config.seed)
        parts = torch.split(importance, [shape.numel() for shape in self.shapes.values()])
        return torch.cat([part[torch.randperm(len(part), generator=generator)] for part in parts])

    @staticmethod
    def _uniform(importance: torch.Tensor) -> torch.Tensor:
        return torch.full_like(importance, float(importance.double().mean()))
