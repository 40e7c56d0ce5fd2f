"""Nonlinearities and their derivatives, computed in place.

Each overwrites its argument with a value from which the derivative can be computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nwbcompare.model.config import Nonlinearity


@dataclass(frozen=True)
class Activation:
    """A nonlinearity f with its derivative.

    Attributes
    ----------
    value
        ``value(x, scratch)`` returns f(x), or -f(-x) if ``negated``, in ``x`` or in ``scratch``;
        ``x`` is overwritten.
    to_slope
        Converts the overwritten ``x`` to the derivative of f, in place.
    negated
        Whether argument and value have the opposite sign.
    overflows
        Whether large arguments give infinity, so that `SAFE_SOFTPLUS` has to be used for them.
    """

    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    to_slope: Callable[[torch.Tensor], torch.Tensor]
    negated: bool = False
    overflows: bool = False

    @property
    def sign(self) -> int:
        """Sign of the argument and of the value: -1 if negated."""
        return -1 if self.negated else 1


def _negated_softplus(x: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """Compute ``-log(1 + exp(-x))`` as the logarithm of the logistic function of x.

    The logistic function gives the derivative too. Below x = -88 it is 0 in float32 and its
    logarithm infinite.
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


def _one_minus(saved: torch.Tensor) -> torch.Tensor:
    return saved.neg_().add_(1)


def _one_minus_square(saved: torch.Tensor) -> torch.Tensor:
    return _one_minus(saved.square_())


def _one_minus_square_above_zero(saved: torch.Tensor) -> torch.Tensor:
    # before the square, which overwrites it
    above_zero = saved.sign()
    return _one_minus_square(saved).mul_(above_zero)


ACTIVATIONS: dict[Nonlinearity, Activation] = {
    "softplus": Activation(_negated_softplus, _one_minus, negated=True, overflows=True),
    "relu": Activation(_relu, torch.Tensor.sign_),
    "tanh": Activation(_tanh, _one_minus_square),
    "retanh": Activation(_retanh, _one_minus_square_above_zero),
}
SAFE_SOFTPLUS = Activation(_softplus, torch.Tensor.sigmoid_)
"""Softplus for arguments of any size, slower."""
