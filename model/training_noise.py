"""Noise for training: fresh, or from a pool of normal numbers that is renewed bit by bit.

Drawing two million normal numbers takes a fifth of a training step. The pool holds four times
what a step needs; it serves each step with a window at a random place and renews one of its 32
segments every step, so that a number serves about eight times before it is replaced, each time
for another trial, unit or time and under other weights. ``benchmarks/training_noise.py`` holds
networks trained with it against networks trained with fresh noise.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

N_SEGMENTS = 32
POOL_FACTOR = 4


class NoiseSource(Protocol):
    """Normal numbers for every step of a run.

    What a step gets depends on the seed and the step's number alone, so that a resumed run
    goes on as if it had not stopped.
    """

    def prepare(self, step: int) -> None:
        """Get ready for a step, before its shards ask."""

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Give a shard's numbers ``(size,)``; no two shards of a step share any."""


class FreshNoise:
    """New numbers for every step.

    Parameters
    ----------
    seed
        Seed.
    device
        Where the numbers lie.
    """

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self._seed, self._device = seed, device

    def prepare(self, step: int) -> None:
        """Do nothing: every shard draws for itself."""

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Draw a shard's numbers; see `NoiseSource`."""
        generator = _generator((self._seed, step, n_shards, shard), self._device)
        return torch.randn(size, generator=generator, device=self._device)


class NoisePool:
    """Numbers from a pool that is renewed bit by bit.

    Parameters
    ----------
    seed
        Seed.
    step_size
        About how many numbers a step takes.
    device
        Where the numbers lie.

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
        """Bring the pool to a step: renew one segment, or all of them after a jump."""
        if self._step is None or step != self._step + 1:
            for earlier in range(step - N_SEGMENTS + 1, step):
                self._renew(earlier)
        self._renew(step)
        self._step = step

    def _renew(self, step: int) -> None:
        # steps before the first have numbers too: a run starts with a full pool
        generator = _generator((self._seed, step + N_SEGMENTS), self._device)
        self._segments[step % N_SEGMENTS].normal_(generator=generator)

    def shard(self, step: int, shard: int, n_shards: int, size: int) -> torch.Tensor:
        """Give a shard's part of the step's window; see `NoiseSource`."""
        numbers = self._segments.view(-1)
        whole = n_shards * size
        if whole > numbers.numel():  # a window longer than the pool goes round it again
            numbers = numbers.repeat(1 + whole // numbers.numel())
        last = numbers.numel() - whole
        start = int(np.random.default_rng((self._seed, step)).integers(last + 1)) + shard * size
        return numbers[start : start + size]


def _generator(entropy: tuple[int, ...], device: str) -> torch.Generator:
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(seed)
