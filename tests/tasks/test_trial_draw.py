"""Random trials: the published distributions of intervals, directions, strengths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, kstest
from task_families import FAMILIES

from nwbcompare.tasks import RULES, get_task
from nwbcompare.tasks.trial_draw import Draw

N_DRAWN = 4000
INTERVALS = {
    # what each epoch but the last is drawn from (ms): a tuple of two is uniform between them,
    # a list one of its values
    "go": [(300, 700), (500, 1500), [500]],
    "react": [(500, 2500), [500]],
    "delay": [[300, 500, 700], [200, 400, 600], [200, 400, 800, 1600], [500]],
    "decide": [(100, 400), [400, 800, 1600], [500]],
    "compare": [
        [200, 400, 600],
        [200, 400, 600],
        [200, 400, 800, 1600],
        [200, 400, 600],
        (100, 300),
        [500],
    ],
    "match": [[200, 400, 600], [200, 400, 600], [200, 400, 800, 1600], [500]],
    "category": [[200, 400, 600], [200, 400, 600], [200, 400, 800, 1600], [200, 400, 600]],
}


@pytest.fixture(scope="module")
def drawn():
    """Random trials of every task, each with its own timing, as their description."""
    return {
        task: get_task(task).random(Draw(np.random.default_rng(place), N_DRAWN, 20.0, False))
        for place, task in enumerate(RULES)
    }


def _is_uniform(values, low, high):
    return kstest(values, "uniform", (low, high - low)).pvalue > 1e-4


def _is_choice(values, choices):
    found, counts = np.unique(np.round(values, 9), return_counts=True)
    if len(choices) == 1:
        return found.tolist() == choices
    return found.tolist() == sorted(choices) and chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("task", RULES)
def test_random_intervals_follow_the_table(drawn, task):
    epochs = drawn[task].epochs
    expected = INTERVALS[FAMILIES[task]]
    assert len(epochs) == len(expected)
    for bounds, interval in zip(epochs.values(), expected, strict=True):
        lasting = np.diff(bounds, axis=1)[:, 0] * 20.0
        if isinstance(interval, list):
            assert _is_choice(lasting, interval)
        else:
            low, high = interval
            # truncated to whole steps: spread it out again before asking for a uniform
            spread = lasting + 20 * np.random.default_rng(99).random(lasting.size)
            assert lasting.min() >= low - 20
            assert _is_uniform(spread, low, high)


@pytest.mark.parametrize("task", RULES)
def test_random_directions_follow_the_table(drawn, task):
    columns, family = drawn[task].columns, FAMILIES[task]
    if family == "category":
        tenths = 0.1 * np.pi * np.arange(1, 20, 2)
        assert _is_choice(columns["direction"], np.round(tenths, 9))
        assert _is_choice(columns["direction_2"], np.round(tenths, 9))
        assert np.corrcoef(columns["direction"], columns["direction_2"])[0, 1] < 0.06
        return
    assert _is_uniform(columns["direction"], 0, 2 * np.pi)
    if "direction_2" not in columns:
        return
    apart = (columns["direction_2"] - columns["direction"]) % (2 * np.pi)
    if family == "match":
        match = np.minimum(apart, 2 * np.pi - apart) < 1e-9
        assert match.mean() == pytest.approx(0.5, abs=0.03)
        # to either side by up to 17 pi / 9, which on a circle is every distance above pi / 9
        assert _is_uniform(apart[~match], np.pi / 9, 17 * np.pi / 9)
    else:
        assert _is_uniform(apart, 0.5 * np.pi, 1.5 * np.pi)


@pytest.mark.parametrize("task", [t for t in RULES if FAMILIES[t] in ("decide", "compare")])
def test_random_strengths_follow_the_table(drawn, task):
    columns = drawn[task].columns
    levels = [0.08, 0.16, 0.32] if "delay" in task else [0.01, 0.02, 0.04, 0.08]
    if "multi" in task:
        first, second = (
            np.stack([columns[f"strength_{m}"] + side * columns[f"coherence_{m}"] for m in (1, 2)])
            for side in (1, -1)
        )
        mean = (first.mean(axis=0) + second.mean(axis=0)) / 2
        coherence = (first.mean(axis=0) - second.mean(axis=0)) / 2
        for strengths in (first, second):
            split = np.abs(strengths[0] - strengths[1]) / strengths.mean(axis=0)
            assert _is_uniform(split, 0.2, 0.8)
        assert _is_uniform(mean, 0.8, 1.2)
        assert _is_choice(np.abs(coherence), levels)
        return
    shown = [m for m in (1, 2) if f"strength_{m}" in columns]
    assert shown == ([1, 2] if "context" in task else [int(task[-1])])
    for modality in shown:
        coherence = columns[f"coherence_{modality}"]
        assert _is_uniform(columns[f"strength_{modality}"], 0.8, 1.2)
        assert _is_choice(np.abs(coherence), levels)
        assert (coherence > 0).mean() == pytest.approx(0.5, abs=0.03)
    if len(shown) == 2:
        assert abs(np.corrcoef(columns["coherence_1"], columns["coherence_2"])[0, 1]) < 0.06


@pytest.mark.parametrize("task", ["fdgo", "reactanti", "delaygo", "dmsgo", "dmcnogo"])
def test_random_modalities_are_drawn_evenly(drawn, task):
    columns = drawn[task].columns
    for name in [name for name in columns if name.startswith("modality")]:
        assert _is_choice(columns[name], [1, 2])
