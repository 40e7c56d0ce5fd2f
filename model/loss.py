"""What training makes small: the task loss and the losses on rates and weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nwbcompare.model.batch import Batch
from nwbcompare.model.config import Regularisation

STACKED = (
    ("input_weight", "rule_weight", "recurrent_weight"),
    ("gate_input_weight", "gate_recurrent_weight"),
    ("output_weight",),
)
"""Weight matrices; those on one line count as one."""


def task_loss(
    outputs: torch.Tensor,
    target: torch.Tensor,
    loss_mask: torch.Tensor,
    n_counted: int | None = None,
) -> torch.Tensor:
    """Give the published loss: the mean of the squared masked error.

    The mask is squared with the error, as in the reference implementation (the paper's formula
    weights the squared error by the mask itself).

    Parameters
    ----------
    outputs, target, loss_mask
        ``(time, trial, output_channel)``.
    n_counted
        Steps of all trials together, where some are shorter than others; by default all.
    """
    n_time, n_trials, n_outputs = outputs.shape
    squares = ((target - outputs) * loss_mask) ** 2
    loss: torch.Tensor = squares.sum() / ((n_counted or n_time * n_trials) * n_outputs)
    return loss


def rate_loss(rates: torch.Tensor, batch: Batch, regularisation: Regularisation) -> torch.Tensor:
    """Give the loss of rates ``(time, trial, unit)``, over the steps inside the trials."""
    counted = rates * batch.inside
    mean = counted.abs().sum() / (batch.n_counted * rates.shape[2])
    return regularisation.l1_rate * mean + regularisation.l2_rate * (counted**2).sum() / 2


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
