"""Adam and gradient clipping on one vector of all weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

BETA_1, BETA_2 = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """Adam in the form of the reference implementation (Kingma & Ba 2015, before section 2.1).

    Epsilon is added to the square root of the uncorrected second moment, which differs from
    `torch.optim.Adam` in the first steps.

    Parameters
    ----------
    weights
        All weights ``(weight,)``, changed in place.

    Examples
    --------
    >>> weights = torch.zeros(2)
    >>> Adam(weights).step(torch.tensor([1.0, -2.0]), learning_rate=0.1)
    >>> weights
    tensor([-0.1000,  0.1000])
    """

    def __init__(self, weights: torch.Tensor) -> None:
        self._weights = weights
        self._first = torch.zeros_like(weights)
        self._second = torch.zeros_like(weights)
        self._scratch = torch.empty_like(weights)
        self._n_steps = 0

    def step(self, gradient: torch.Tensor, learning_rate: float) -> None:
        """Change the weights by a step along a gradient ``(weight,)``."""
        self._n_steps += 1
        self._first.lerp_(gradient, 1 - BETA_1)
        self._second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        # both corrections of the moments as one factor of the rate (Kingma & Ba 2015, section 2)
        correction = math.sqrt(1 - BETA_2**self._n_steps) / (1 - BETA_1**self._n_steps)
        torch.sqrt(self._second, out=self._scratch).add_(EPSILON)
        self._weights.addcdiv_(self._first, self._scratch, value=-learning_rate * correction)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors of a checkpoint."""
        return {
            "adam_first": self._first,
            "adam_second": self._second,
            "adam_steps": torch.tensor(self._n_steps),
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the tensors that `state` returned."""
        self._first.copy_(state["adam_first"])
        self._second.copy_(state["adam_second"])
        self._n_steps = int(state["adam_steps"])


def clip_by_value(gradient: torch.Tensor, bound: float) -> bool:
    """Bound every entry in place; return whether all entries were finite.

    Examples
    --------
    >>> gradient = torch.tensor([3.0, -0.5])
    >>> clip_by_value(gradient, 1.0), gradient
    (True, tensor([ 1.0000, -0.5000]))
    """
    # NaN and infinity stay in a sum, which is faster than a test of every entry
    finite = math.isfinite(float(gradient.sum()))
    gradient.clamp_(-bound, bound)
    return finite


def clip_by_norm(gradient: torch.Tensor, bound: float) -> bool:
    """Bound the length in place; return whether all entries were finite.

    Examples
    --------
    >>> gradient = torch.tensor([3.0, 4.0])
    >>> clip_by_norm(gradient, 1.0), gradient
    (True, tensor([0.6000, 0.8000]))
    """
    norm = float(torch.linalg.vector_norm(gradient))
    # false for NaN, which the return value reports
    if norm > bound:
        gradient.mul_(bound / norm)
    return math.isfinite(norm)
