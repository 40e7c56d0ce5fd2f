"""Batches of trials as tensors on the device of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from nwbcompare.tasks.description import TrialDescription
from nwbcompare.tasks.signals import Signal, input_signal, loss_mask_signal, target_signal
from nwbcompare.tasks.timing import TAU_MS


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch of trials for training.

    Attributes
    ----------
    input
        ``(time, trial, input_channel)``.
    target, loss_mask
        ``(time, trial, output_channel)``.
    lengths
        Number of steps of each trial ``(trial,)``; later steps have no effect.
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
        """Number of steps of all trials together."""
        return int(self.lengths.sum())

    @property
    def inside(self) -> torch.Tensor:
        """Steps inside their trial as 1, others as 0 ``(time, trial, 1)``."""
        time = torch.arange(self.input.shape[0], device=self.input.device)[:, None]
        return (time < self.lengths).to(self.input.dtype)[:, :, None]


def render(signal: Signal, n_steps: int, device: str = "cpu") -> torch.Tensor:
    """Return a signal as a tensor ``(time, trial, channel)``.

    The same product as `nwbcompare.tasks.signals.Signal.render`, but on the device, to which only
    the patterns and their times are copied.

    Parameters
    ----------
    signal
        Patterns with their times.
    n_steps
        Number of steps.
    device
        Device of the tensor.

    Examples
    --------
    >>> import numpy as np
    >>> one = Signal(np.ones((1, 1, 1), "f4"), np.array([[1]]), np.array([[3]]))
    >>> render(one, 4).flatten()
    tensor([0., 1., 1., 0.])
    """
    pattern, start, stop = (
        torch.from_numpy(part).to(device) for part in (signal.pattern, signal.start, signal.stop)
    )
    time = torch.arange(n_steps, device=device)[:, None]
    gates = (time >= start[:, None]) & (time < stop[:, None])
    return torch.bmm(gates.to(pattern.dtype), pattern).transpose(0, 1)


def render_input(
    trials: TrialDescription,
    rules: tuple[str, ...],
    n_steps: int,
    *,
    dt_ms: float,
    sigma_x: float,
    noise: torch.Tensor,
) -> torch.Tensor:
    """Return noisy input ``(time, trial, input_channel)``, contiguous.

    Parameters
    ----------
    trials
        The trials.
    rules
        The rule channels.
    n_steps
        Number of steps; after the end of a trial there is noise alone, without effect.
    dt_ms
        Time step (ms).
    sigma_x
        Input noise; see `nwbcompare.tasks.make_trials`.
    noise
        Normal numbers of the input's shape.
    """
    clean = render(input_signal(trials, rules), n_steps, str(noise.device))
    scale = sigma_x * math.sqrt(2 * TAU_MS / dt_ms)
    # into new memory, since the clean input is a transposed view and passes need contiguous steps
    return torch.add(clean, noise, alpha=scale, out=torch.empty_like(noise))


def make_batch(
    trials: TrialDescription,
    rules: tuple[str, ...],
    n_steps: int,
    *,
    dt_ms: float,
    sigma_x: float,
    noise: torch.Tensor,
) -> Batch:
    """Return trials as a batch for training; see `render_input` for the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from nwbcompare.tasks.trials import draw_trials
    >>> trials = draw_trials(["fdgo"], np.zeros(2, int), np.random.default_rng(0), dt_ms=100,
    ...                      shared_timing=True)
    >>> n_steps = int(trials.n_steps.max())
    >>> batch = make_batch(trials, ("fdgo",), n_steps, dt_ms=100, sigma_x=0.01,
    ...                    noise=torch.randn(n_steps, 2, 66))
    >>> batch.target.shape == (n_steps, 2, 33)
    True
    """
    device = str(noise.device)
    return Batch(
        input=render_input(trials, rules, n_steps, dt_ms=dt_ms, sigma_x=sigma_x, noise=noise),
        target=render(target_signal(trials), n_steps, device),
        loss_mask=render(loss_mask_signal(trials, dt_ms), n_steps, device),
        lengths=torch.from_numpy(trials.n_steps).to(device),
        dt_ms=dt_ms,
    )
