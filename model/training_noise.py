"""Noise for training: fresh normal numbers, or numbers from a pool that is renewed gradually.

Drawing two million normal numbers takes a fifth of a training step. The pool has four times the
numbers of a step. Each step uses a window at a random place, and one of 32 segments is renewed at
every step, so that a number is used about eight times, each time for another trial, unit or time
and with other weights. ``benchmarks/training_noise.py`` compares networks trained with the pool
and with fresh noise.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

N_SEGMENTS = 32
POOL_FACTOR = 4


class NoiseSource(Protocol):
    """Normal numbers for every step of a run.

    The numbers of a step depend only on the seed and the number of the step, so that a resumed
    run equals an uninterrupted one.
    """

    def prepare(self, step: int) -> None:
        """Prepare the numbers of a step, before `shard` is called for it."""

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Return the numbers of a shard ``(size,)``; shards of a step share no number."""


class FreshNoise:
    """New normal numbers for every step.

    Parameters
    ----------
    seed
        Seed.
    device
        Device of the numbers.

    Examples
    --------
    >>> FreshNoise(seed=0).shard(step=0, shard=0, n_shards=1, size=3).shape
    torch.Size([3])
    """

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self._seed, self._device = seed, device

    def prepare(self, step: int) -> None:
        """Do nothing: `shard` draws the numbers."""

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Draw the numbers of a shard; see `NoiseSource`."""
        generator = _generator((self._seed, step, n_shards, shard), self._device)
        return torch.randn(size, generator=generator, device=self._device)


class NoisePool:
    """Normal numbers from a pool that is renewed gradually.

    Parameters
    ----------
    seed
        Seed.
    step_size
        Approximate number of normal numbers of a step.
    device
        Device of the numbers.

    Examples
    --------
    >>> pool = NoisePool(seed=0, step_size=2000)
    >>> pool.prepare(0)
    >>> pool.shard(step=0, shard=1, n_shards=2, size=1000).shape
    torch.Size([1000])
    """

    def __init__(self, seed: int, step_size: int, device: str = "cpu") -> None:
        self._seed, self._device = seed, device
        size = -(-POOL_FACTOR * step_size // N_SEGMENTS)
        self._segments = torch.empty(N_SEGMENTS, size, device=device)
        self._step: int | None = None

    def prepare(self, step: int) -> None:
        """Renew one segment for a step; all of them when the previous step is not the last one."""
        if self._step is None or step != self._step + 1:
            for earlier in range(step - N_SEGMENTS + 1, step):
                self._renew(earlier)
        self._renew(step)
        self._step = step

    def _renew(self, step: int) -> None:
        # steps before the first have numbers, so that a run starts with a full pool
        generator = _generator((self._seed, step + N_SEGMENTS), self._device)
        self._segments[step % N_SEGMENTS].normal_(generator=generator)

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Return the part of a shard in the window of a step; see `NoiseSource`."""
        numbers = self._segments.view(-1)
        whole = n_shards * size
        if whole > numbers.numel():  # a window longer than the pool repeats it
            numbers = numbers.repeat(1 + whole // numbers.numel())
        last = numbers.numel() - whole
        start = int(np.random.default_rng((self._seed, step)).integers(last + 1)) + shard * size
        return numbers[start : start + size]


def _generator(entropy: tuple[int, ...], device: str) -> torch.Generator:
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(seed)
