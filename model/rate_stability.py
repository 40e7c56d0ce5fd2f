"""Measures of exploding rates: largest rate, recurrent gain, saturated outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nwbcompare.model.evaluation import noisy_input
from nwbcompare.model.network import Network
from nwbcompare.model.threads import one_thread_each
from nwbcompare.model.training_noise import FreshNoise
from nwbcompare.tasks.trials import draw_trials

N_TRIALS = 64
ACTIVE_SHARE = 0.1
EXPLODED_RATE, EXPLODED_SHARE = 1e4, 0.5
SATURATED_SLOPE = 1e-3
"""Slope ``y (1 - y)`` of an output ``y``, at most 0.25, below which its gradient is nearly 0."""


@dataclass(frozen=True)
class Stability:
    """Measures of exploding rates in a network.

    Attributes
    ----------
    largest_rate
        Largest absolute rate over units, trials and times.
    spectral_radius
        Largest absolute eigenvalue of the recurrent weights (of a GRU those of the candidate).
    active_spectral_radius
        The same for the weights among active units, those with a mean absolute rate above a tenth
        of the mean over units. It can be far above that of all weights; while it is above 1, the
        rates of relu and softplus units are unbounded.
    saturated_outputs
        Share of outputs (over trials, times and channels) with a slope below `SATURATED_SLOPE`.

    Examples
    --------
    >>> Stability(largest_rate=1e5, spectral_radius=2.0, active_spectral_radius=3.0,
    ...           saturated_outputs=0.9).has_exploded
    True
    """

    largest_rate: float
    spectral_radius: float
    active_spectral_radius: float
    saturated_outputs: float

    @property
    def has_exploded(self) -> bool:
        """Whether a rate is above `EXPLODED_RATE` and more than half of the outputs are saturated.

        Gradients are then nearly 0. Of seven such networks of the published recipe two recovered
        after 2,000 steps; the largest rate of the other networks was 757.
        """
        return self.largest_rate > EXPLODED_RATE and self.saturated_outputs > EXPLODED_SHARE


@torch.no_grad()
def measure_stability(
    network: Network,
    tasks: Sequence[str],
    *,
    seed: int,
    dt_ms: float,
    coherence_scale: float = 1.0,
    easy: bool = False,
) -> Stability:
    """Measure `Stability` on 64 random trials with input and recurrent noise.

    Parameters
    ----------
    network
        The network.
    tasks
        Names of the tasks.
    seed
        Seed of trials and noise.
    dt_ms
        Time step (ms).
    coherence_scale, easy
        See `nwbcompare.model.evaluate`.

    Raises
    ------
    InputError
        For an unknown task.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> stability = measure_stability(pretrained("ctxdm-0"), ["contextdm1"], seed=0, dt_ms=20)
    >>> stability.largest_rate < 100
    True
    """
    # (seed, 0) draws the trials of the evaluation with this seed
    rng = np.random.default_rng((seed, 1))
    trials = draw_trials(
        tasks,
        np.arange(N_TRIALS) % len(tasks),
        rng,
        dt_ms=dt_ms,
        shared_timing=False,
        coherence_scale=coherence_scale,
        easy=easy,
    )
    noise = FreshNoise(seed, network.device)
    inputs, unit_noise = noisy_input(network.config, trials, dt_ms=dt_ms, noise=noise, step=0)
    with one_thread_each():
        rates, outputs = network(inputs, dt_ms=dt_ms, noise=unit_noise)
        steps = torch.arange(inputs.shape[0], device=rates.device)
        inside = steps[:, None] < torch.from_numpy(trials.n_steps).to(rates.device)
        # infinite rates of both signs sum to NaN: they count as infinite
        size = rates[inside].abs().nan_to_num(nan=math.inf)
        # bounded, so that the mean over infinite rates is a number
        mean = size.clamp(max=1e30).double().mean(dim=0)
        active = mean > ACTIVE_SHARE * mean.mean()
        slope = outputs[inside] * (1 - outputs[inside])
        weight = network.recurrent_weight
        radius = _spectral_radius(weight)
        active_radius = _spectral_radius(weight[active][:, active])
    return Stability(
        largest_rate=float(size.max()),
        spectral_radius=radius,
        active_spectral_radius=active_radius,
        # not `<`, so that NaN counts as saturated
        saturated_outputs=float((~(slope >= SATURATED_SLOPE)).double().mean()),
    )


def _spectral_radius(weight: torch.Tensor) -> float:
    """Compute the largest absolute eigenvalue of a matrix: 0 if empty, NaN if not finite."""
    if not torch.isfinite(weight).all():
        return math.nan
    if not weight.numel():
        return 0.0
    return float(torch.linalg.eigvals(weight.cpu().double()).abs().max())
