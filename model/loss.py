"""What training makes small: the task cost and the costs on rates and weights."""

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


def task_cost(
    outputs: torch.Tensor,
    target: torch.Tensor,
    cost_mask: torch.Tensor,
    n_counted: int | None = None,
) -> torch.Tensor:
    """Give the published cost: the mean of the squared masked error.

    The mask is squared with the error, as in the reference implementation (the paper's formula
    weights the squared error by the mask itself).

    Parameters
    ----------
    outputs, target, cost_mask
        ``(time, trial, output_channel)``.
    n_counted
        Steps of all trials together, where some are shorter than others; by default all.
    """
    n_time, n_trials, n_outputs = outputs.shape
    squares = ((target - outputs) * cost_mask) ** 2
    cost: torch.Tensor = squares.sum() / ((n_counted or n_time * n_trials) * n_outputs)
    return cost


def rate_cost(rates: torch.Tensor, batch: Batch, regularisation: Regularisation) -> torch.Tensor:
    """Give the cost of rates ``(time, trial, unit)``, over the steps inside the trials."""
    counted = rates * batch.inside
    mean = counted.abs().sum() / (batch.n_counted * rates.shape[2])
    return regularisation.l1_rate * mean + regularisation.l2_rate * (counted**2).sum() / 2


def weight_cost(
    weights: Mapping[str, torch.Tensor], regularisation: Regularisation
) -> torch.Tensor:
    """Give the cost of the weight matrices, named as a network's parameters."""
    cost = torch.zeros(())
    for names in STACKED:
        stack = [weights[name] for name in names if name in weights]
        size = sum(weight.numel() for weight in stack)
        for weight in stack:
            cost = cost + regularisation.l1_weight * weight.abs().sum() / size
            cost = cost + regularisation.l2_weight * (weight**2).sum() / 2
    return cost


@torch.no_grad()
def add_weight_gradients(
    weights: Mapping[str, torch.Tensor],
    gradients: Mapping[str, torch.Tensor],
    regularisation: Regularisation,
) -> None:
    """Add the slopes of `weight_cost` to gradients of the same names."""
    for names in STACKED:
        stack = [name for name in names if name in weights]
        size = sum(weights[name].numel() for name in stack)
        for name in stack:
            gradients[name].add_(weights[name].sign(), alpha=regularisation.l1_weight / size)
            gradients[name].add_(weights[name], alpha=regularisation.l2_weight)
