"""A batch of trials as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Trials to train on.

    Attributes
    ----------
    input
        ``(time, trial, input_channel)``.
    target, loss_mask
        ``(time, trial, output_channel)``.
    lengths
        Steps of each trial ``(trial,)``; what comes later counts nowhere.
    dt_ms
        Time step (ms).
    """

    input: torch.Tensor
    target: torch.Tensor
    loss_mask: torch.Tensor
    lengths: torch.Tensor
    dt_ms: float

    @property
    def n_counted(self) -> int:
        """Steps of all trials together."""
        return int(self.lengths.sum())

    @property
    def inside(self) -> torch.Tensor:
        """Tell which steps lie in their trial, as 0 and 1 ``(time, trial, 1)``."""
        time = torch.arange(self.input.shape[0], device=self.input.device)[:, None]
        return (time < self.lengths).to(self.input.dtype)[:, :, None]
