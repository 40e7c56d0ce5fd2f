"""neurogym environments, by a stand-in with the interface of its TrialEnv."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.tasks.neurogym import trials_of_environment


class PerceptualDecision:
    """As neurogym's PerceptualDecisionMaking: fixation, a noisy stimulus, a choice of two."""

    dt = 20
    observation_space = SimpleNamespace(shape=(3,))
    action_space = SimpleNamespace(n=3)

    def __init__(self, *, sometimes_delayed=False):
        self.sometimes_delayed = sometimes_delayed
        self.rng = np.random.default_rng()

    def seed(self, seed=None):
        self.rng = np.random.default_rng(seed)

    def new_trial(self):
        trial = {
            "ground_truth": int(self.rng.integers(2)),
            "coh": float(self.rng.choice([6.4, 51.2])),
            "trace": [1, 2],
        }
        periods = {"fixation": 100, "stimulus": 400}
        if self.sometimes_delayed and self.rng.random() < 0.5:
            periods["delay"] = 200
        periods["decision"] = 100
        self.start_t, self.end_t, now = {}, {}, 0
        for period, duration in periods.items():
            self.start_t[period], now = now, now + duration
            self.end_t[period] = now
        n_steps = now // self.dt
        self.ob = np.zeros((n_steps, 3))
        stimulus = slice(self.start_t["stimulus"] // 20, self.end_t["stimulus"] // 20)
        self.ob[stimulus, 1 + trial["ground_truth"]] = 0.5 + trial["coh"] / 200
        self.gt = np.zeros(n_steps, dtype=int)
        self.gt[self.start_t["decision"] // 20 :] = 1 + trial["ground_truth"]
        return trial


def test_trials_are_what_the_environment_drew():
    trials = trials_of_environment(PerceptualDecision(), 20, seed=3, name="pdm")
    twin = PerceptualDecision()
    twin.seed(3)
    for place in range(20):
        parameters = twin.new_trial()
        np.testing.assert_allclose(trials["input"][:, place], twin.ob)
        np.testing.assert_array_equal(trials["target"][:, place].argmax("output_channel"), twin.gt)
        assert int(trials["ground_truth"][place]) == parameters["ground_truth"]
        assert float(trials["coh"][place]) == parameters["coh"]
    assert json.loads(trials.attrs["condition_variables"]) == {"pdm": ["ground_truth", "coh"]}
    assert "trace" not in trials.coords
    assert float(trials["epoch_start_time"].sel(epoch="decision")[0]) == 0.5
    np.testing.assert_allclose(trials["time"][:2], [0.01, 0.03])


def test_shorter_trials_are_followed_by_zeros_and_lack_their_epoch():
    environment = PerceptualDecision(sometimes_delayed=True)
    trials = trials_of_environment(environment, 30, seed=0, name="pdm", conditions=["coh"])
    short = trials["trial_stop_time"].values < 0.7
    assert 0 < short.sum() < 30
    after = trials["time"].values > 0.6
    for name in ("input", "target", "loss_mask"):
        assert not trials[name].values[np.ix_(after, short)].any()
    assert (trials["loss_mask"].values[:, ~short] == 1).all()
    delay = trials["epoch_start_time"].sel(epoch="delay").values
    np.testing.assert_array_equal(np.isnan(delay), short)
    assert json.loads(trials.attrs["condition_variables"]) == {"pdm": ["coh"]}


def test_a_seed_reproduces():
    one, two, other = (
        trials_of_environment(PerceptualDecision(), 10, seed=seed, name="pdm") for seed in (1, 1, 2)
    )
    assert one.identical(two)
    assert not one.equals(other)


@pytest.mark.parametrize(
    ("environment", "options", "match"),
    [
        (object(), {}, "environment: expected a neurogym TrialEnv, got object without dt, seed"),
        (PerceptualDecision(), {"n_trials": 0}, "n_trials"),
        (PerceptualDecision(), {"seed": -1}, "seed"),
        (PerceptualDecision(), {"conditions": ["cohh"]}, "conditions: .*Did you mean 'coh'"),
    ],
)
def test_bad_requests_are_refused(environment, options, match):
    options = {"n_trials": 2, "seed": 0, "name": "pdm"} | options
    with pytest.raises(nc.InputError, match=match):
        trials_of_environment(environment, **options)
