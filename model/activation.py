"""Nonlinearities with their slopes, on memory that is used again.

Each takes its argument in place and keeps there what its slope can be made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nwbcompare.model.config import Nonlinearity


@dataclass(frozen=True)
class Activation:
    """A nonlinearity f.

    Attributes
    ----------
    value
        ``value(x, scratch)`` gives f of the argument, or minus f where ``negated``; it may lie
        in ``x``, which keeps what the slope needs, or in ``scratch``.
    to_slope
        Turns what ``x`` kept into the slope of f, in place.
    negated
        Whether f takes its argument, and gives its value, with the other sign.
    overflows
        Whether large arguments give infinity, where `SAFE_SOFTPLUS` has to take over.
    """

    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    to_slope: Callable[[torch.Tensor], torch.Tensor]
    negated: bool = False
    overflows: bool = False

    @property
    def sign(self) -> int:
        """Sign of the argument and of the value."""
        return -1 if self.negated else 1


def _negated_softplus(x: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """Give ``-log(1 + exp(-x))`` as the logarithm of the logistic function of x.

    One cheap function serves the value and the slope. Below -88 it overflows in float32.
    """
    return torch.log(x.sigmoid_(), out=scratch)


def _softplus(x: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    return scratch.copy_(torch.nn.functional.softplus(x))


def _relu(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return x.relu_()


def _tanh(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return x.tanh_()


def _retanh(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return x.relu_().tanh_()


def _one_minus(kept: torch.Tensor) -> torch.Tensor:
    return kept.neg_().add_(1)


def _one_minus_square(kept: torch.Tensor) -> torch.Tensor:
    return _one_minus(kept.square_())


def _one_minus_square_above_zero(kept: torch.Tensor) -> torch.Tensor:
    above_zero = kept.sign()
    return _one_minus_square(kept).mul_(above_zero)


ACTIVATIONS: dict[Nonlinearity, Activation] = {
    "softplus": Activation(_negated_softplus, _one_minus, negated=True, overflows=True),
    "relu": Activation(_relu, torch.Tensor.sign_),
    "tanh": Activation(_tanh, _one_minus_square),
    "retanh": Activation(_retanh, _one_minus_square_above_zero),
}
SAFE_SOFTPLUS = Activation(_softplus, torch.Tensor.sigmoid_)
"""Softplus for arguments of any size, slower."""
