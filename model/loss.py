"""The loss on weights and its gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nwbcompare.model.config import Regularisation

STACKED = (
    ("input_weight", "rule_weight", "recurrent_weight"),
    ("gate_input_weight", "gate_recurrent_weight"),
    ("output_weight",),
)
"""Weight matrices by layer; those of one layer count as one matrix."""


def weight_loss(
    weights: Mapping[str, torch.Tensor], regularisation: Regularisation
) -> torch.Tensor:
    """Return the loss on the weight matrices of a network ``()``; see `Regularisation`.

    Examples
    --------
    >>> weights = {"output_weight": torch.tensor([[1.0, -3.0]])}
    >>> weight_loss(weights, Regularisation(l1_weight=1.0, l2_weight=0.1))
    tensor(2.5000)
    """
    loss = torch.zeros(())
    for names in STACKED:
        stack = [weights[name] for name in names if name in weights]
        # as published: l1 is a mean over the stacked matrix, l2 half a sum of squares
        size = sum(weight.numel() for weight in stack)
        for weight in stack:
            loss = loss + regularisation.l1_weight * weight.abs().sum() / size
            loss = loss + regularisation.l2_weight * (weight**2).sum() / 2
    return loss


@torch.no_grad()
def add_weight_gradients(
    weights: Mapping[str, torch.Tensor],
    gradients: Mapping[str, torch.Tensor],
    regularisation: Regularisation,
) -> None:
    """Add the gradient of `weight_loss` to gradients, in place.

    Parameters
    ----------
    weights, gradients
        Weights of a network and their gradients, by the same names.
    regularisation
        Factors of the losses.
    """
    for names in STACKED:
        stack = [name for name in names if name in weights]
        size = sum(weights[name].numel() for name in stack)
        for name in stack:
            gradients[name].add_(weights[name].sign(), alpha=regularisation.l1_weight / size)
            gradients[name].add_(weights[name], alpha=regularisation.l2_weight)
