"""Adam and clipping: published steps, steps gone on with, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nwbcompare.model.adam import Adam, clip_by_norm, clip_by_value


def test_adam_takes_the_published_steps():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(6)
    mine = torch.tensor(weights, dtype=torch.float64)
    adam = Adam(mine)
    first, second = np.zeros(6), np.zeros(6)
    for step in range(1, 30):
        gradient = rng.standard_normal(6) * 10.0 ** rng.integers(-9, 2)
        rate = 1e-3 / step
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        size = rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights = weights - size * first / (np.sqrt(second) + 1e-8)
        adam.step(torch.tensor(gradient), rate)
        np.testing.assert_allclose(mine, weights, rtol=1e-12)


def test_adam_goes_on_where_it_stopped():
    gradients = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    whole, parted = torch.zeros(4), torch.zeros(4)
    one, two = Adam(whole), Adam(parted)
    for gradient in gradients:
        one.step(gradient, 1e-2)
    for gradient in gradients[:4]:
        two.step(gradient, 1e-2)
    resumed = Adam(parted)
    resumed.load_state(two.state())
    for gradient in gradients[4:]:
        resumed.step(gradient, 1e-2)
    assert torch.equal(whole, parted)


def test_clipping_bounds_entries_or_length():
    gradient = torch.tensor([3.0, -4.0, 0.5])
    by_value, by_norm, short = gradient.clone(), gradient.clone(), gradient.clone() / 10
    assert clip_by_value(by_value, 1.0)
    assert by_value.tolist() == [1.0, -1.0, 0.5]
    assert clip_by_norm(by_norm, 1.0)
    assert float(by_norm.norm()) == pytest.approx(1)
    torch.testing.assert_close(by_norm / by_norm[0], gradient / gradient[0])
    assert clip_by_norm(short, 1.0)
    torch.testing.assert_close(short, gradient / 10)
    for clip in (clip_by_value, clip_by_norm):
        assert not clip(torch.tensor([1.0, float("nan")]), 1.0)
        assert not clip(torch.tensor([1.0, float("inf")]), 1.0)
