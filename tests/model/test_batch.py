"""Batches of rendered trials, against the labelled trials."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nwbcompare.model.batch import make_batch
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.tasks.trials import draw_trials


@pytest.mark.parametrize("timing", ["batch", "trial"])
def test_a_rendered_batch_equals_the_labelled_trials(timing):
    """Two ways from a description to arrays: tensors for training, a dataset for users."""
    rng = np.random.default_rng(4)
    tasks = list(RULES)
    chosen = rng.integers(20, size=30)
    drawn = draw_trials(tasks, chosen, rng, dt_ms=20.0, shared_timing=timing == "batch")
    rng = np.random.default_rng(4)
    labelled = make_trials(tasks, "random", n_trials=30, seed=4, timing=timing)
    n_steps = int(drawn.n_steps.max())
    batch = make_batch(
        drawn,
        tuple(RULES),
        n_steps,
        dt_ms=20.0,
        sigma_x=0.01,
        noise=torch.zeros(n_steps, 30, 85),
    )
    for name in ("input", "target", "loss_mask"):
        np.testing.assert_allclose(getattr(batch, name), labelled[name], atol=1e-6)
    inside = labelled["time"].values[:, None] < labelled["trial_stop_time"].values
    np.testing.assert_array_equal(batch.inside[:, :, 0], inside)
    assert batch.n_counted == inside.sum()
