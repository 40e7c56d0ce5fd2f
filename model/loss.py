"""What training makes small: the task loss and the losses on rates and weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nwbcompare.model.config import Regularisation

STACKED = (
    ("input_weight", "rule_weight", "recurrent_weight"),
    ("gate_input_weight", "gate_recurrent_weight"),
    ("output_weight",),
)
"""Weight matrices; those on one line count as one."""


def weight_loss(
    weights: Mapping[str, torch.Tensor], regularisation: Regularisation
) -> torch.Tensor:
    """Give the loss of the weight matrices, named as a network's parameters."""
    loss = torch.zeros(())
    for names in STACKED:
        stack = [weights[name] for name in names if name in weights]
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
    """Add the slopes of `weight_loss` to gradients of the same names."""
    for names in STACKED:
        stack = [name for name in names if name in weights]
        size = sum(weights[name].numel() for name in stack)
        for name in stack:
            gradients[name].add_(weights[name].sign(), alpha=regularisation.l1_weight / size)
            gradients[name].add_(weights[name], alpha=regularisation.l2_weight)
