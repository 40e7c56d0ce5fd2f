"""Noise of training: normal, seeded, drawn anew, uncorrelated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nwbcompare.model.training_noise import FreshNoise, NoisePool


@pytest.mark.parametrize("make", [FreshNoise, lambda seed: NoisePool(seed, step_size=4000)])
def test_noise_is_normal_and_a_matter_of_seed_and_step(make):
    one, two, other = make(0), make(0), make(1)
    drawn = []
    for step in range(60):
        one.prepare(step)
        parts = [one.shard(step, shard, 2, 2000).clone() for shard in range(2)]
        assert not torch.equal(*parts)
        drawn.append(torch.cat(parts))
    two.prepare(59)
    assert torch.equal(torch.cat([two.shard(59, shard, 2, 2000) for shard in range(2)]), drawn[-1])
    other.prepare(59)
    assert not torch.equal(other.shard(59, 0, 2, 2000), drawn[-1][:2000])
    every = torch.stack(drawn)
    assert float(every.mean()) == pytest.approx(0, abs=0.02)
    assert float(every.std()) == pytest.approx(1, abs=0.02)
    assert float((every**4).mean()) == pytest.approx(3, abs=0.15)


def test_steps_of_the_pool_are_not_correlated():
    """A place of the noise, over steps: what learning would see if numbers came back in step."""
    pool = NoisePool(3, step_size=4000)
    rows = []
    for step in range(300):
        pool.prepare(step)
        rows.append(pool.shard(step, 0, 2, 2000).clone())
    rows = torch.stack(rows)
    for lag in (1, 2, 5):
        product = (rows[lag:] * rows[:-lag]).mean(dim=1)
        assert float(product.mean()) == pytest.approx(0, abs=0.02)
    cover = np.corrcoef(rows[:, :50].T)
    assert np.abs(cover[np.triu_indices(50, 1)]).mean() < 2 / math.sqrt(300)


def test_a_pool_renews_a_part_at_every_step():
    pool = NoisePool(0, step_size=3200)
    pool.prepare(10)
    before = pool._segments.clone()
    pool.prepare(11)
    changed = (pool._segments != before).any(dim=1)
    assert changed.sum() == 1
    for step in range(12, 43):
        pool.prepare(step)
    assert not (pool._segments == before).any(dim=1).any()


def test_a_window_longer_than_the_pool_goes_round():
    pool = NoisePool(0, step_size=32)
    pool.prepare(0)
    assert pool.shard(0, 1, 2, 1000).shape == (1000,)
