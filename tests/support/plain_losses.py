"""The losses of training in plain tensors, for automatic differentiation."""

from __future__ import annotations

import torch

from nwbcompare.model import Regularisation
from nwbcompare.model.batch import Batch


def task_loss(
    outputs: torch.Tensor,
    target: torch.Tensor,
    loss_mask: torch.Tensor,
    n_counted: int | None = None,
) -> torch.Tensor:
    """Return the mean squared masked error of outputs ``(time, trial, output_channel)``.

    The mask is squared with the error, as in the reference implementation (the formula of Yang
    et al. 2019 weights the squared error by the mask itself). The mean is over ``n_counted``
    steps of all trials together, by default over all steps.
    """
    n_time, n_trials, n_outputs = outputs.shape
    squares = ((target - outputs) * loss_mask) ** 2
    return squares.sum() / ((n_counted or n_time * n_trials) * n_outputs)


def rate_loss(rates: torch.Tensor, batch: Batch, regularisation: Regularisation) -> torch.Tensor:
    """Return the loss on rates ``(time, trial, unit)``, over the steps inside the trials."""
    counted = rates * batch.inside
    mean = counted.abs().sum() / (batch.n_counted * rates.shape[2])
    return regularisation.l1_rate * mean + regularisation.l2_rate * (counted**2).sum() / 2
