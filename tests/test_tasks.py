"""Trials: the reference arrays, the published distributions, other time steps."""

from __future__ import annotations

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.tasks import RULES, display_name, make_trials, read_direction, task_names
from nwbcompare.tasks.channels import INPUT_CHANNELS, angular_distance, bump
from nwbcompare.tasks.registry import Task, register
from nwbcompare.tasks.timing import steps

TASKS = ["contextdm1", "contextdm2"]


@pytest.fixture(scope="module")
def oracle(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_test_dt20.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith("contextdm")}


@pytest.mark.shared
@pytest.mark.parametrize("task", TASKS)
def test_test_trials_equal_the_reference_arrays(oracle, task):
    trials = make_trials(task, "test")
    for name in ("input", "target"):
        np.testing.assert_allclose(trials[name], oracle[f"{task}/{name}"], atol=1e-6)
    np.testing.assert_allclose(
        trials["cost_mask"][:, :, 0], oracle[f"{task}/mask_fixation"], atol=1e-6
    )
    for ring in (1, 32):
        np.testing.assert_allclose(
            trials["cost_mask"][:, :, ring], oracle[f"{task}/mask_ring"], atol=1e-6
        )
    response = oracle[f"{task}/response_direction"]
    np.testing.assert_allclose(trials["response_direction"], response[-1], atol=1e-6)
    assert (response[:75] == -1).all()
    assert trials["epoch"].values.tolist() == oracle[f"{task}/epoch_names"].tolist()
    bounds = np.stack([trials["epoch_start_time"][0], trials["epoch_stop_time"][0]], axis=1) / 0.02
    np.testing.assert_allclose(bounds, oracle[f"{task}/epoch_bounds"], atol=1e-9)


@pytest.mark.parametrize("dt_ms", [10, 25, 50, 100])
def test_other_time_steps_show_the_same_trials(dt_ms):
    fine, coarse = make_trials("contextdm1"), make_trials("contextdm1", dt_ms=dt_ms)
    assert coarse.sizes["time"] == 2000 // dt_ms
    np.testing.assert_allclose(coarse["epoch_stop_time"], fine["epoch_stop_time"])
    at = 1.0
    for name in ("input", "target"):
        one, two = (t[name].sel(time=at, method="nearest") for t in (fine, coarse))
        np.testing.assert_allclose(one, two, atol=1e-6)
    mask = coarse["cost_mask"][:, 0, 1].values
    grace = (coarse["time"] > 1.5) & (coarse["time"] < 1.6)
    assert (mask[grace.values] == 0).all()
    assert (mask[coarse["time"].values > 1.6] == 5).all()
    assert (mask[coarse["time"].values < 0.1] == 0).all()


def test_a_time_step_that_does_not_divide_truncates_each_interval():
    trials = make_trials("contextdm1", dt_ms=30)
    assert np.diff(trials["epoch_stop_time"][0] / 0.03).round(6).tolist() == [33, 16]
    assert steps(750, 20) == 37
    assert steps(0.3, 0.1) == 3


def _random(seed, **options):
    return make_trials("contextdm1", "random", n_trials=64, seed=seed, **options)


def test_random_trials_follow_the_published_distributions():
    drawn = [_random(seed) for seed in range(300)]
    onset = np.array([t["epoch_stop_time"].values[0, 0] for t in drawn])
    duration = np.array([np.diff(t["epoch_stop_time"].values[0])[0] for t in drawn])
    assert onset.min() >= 0.1 - 0.02
    assert onset.max() <= 0.4
    assert onset.mean() == pytest.approx(0.24, abs=0.02)
    values, counts = np.unique(duration.round(3), return_counts=True)
    assert values.tolist() == [0.4, 0.8, 1.6]
    assert counts.min() > 70
    every = {
        name: np.concatenate([t[name].values for t in drawn])
        for name in drawn[0].coords
        if drawn[0][name].dims == ("trial",)
    }
    for modality in (1, 2):
        size, counts = np.unique(
            np.abs(every[f"coherence_{modality}"]).round(6), return_counts=True
        )
        assert size.tolist() == [0.01, 0.02, 0.04, 0.08]
        np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.02)
        assert (every[f"coherence_{modality}"] > 0).mean() == pytest.approx(0.5, abs=0.02)
        mean = every[f"strength_{modality}"]
        assert (mean.min(), mean.max()) == pytest.approx((0.8, 1.2), abs=0.01)
    apart = angular_distance(every["direction"], every["direction_2"])
    assert apart.min() >= 0.5 * np.pi - 1e-9
    assert np.corrcoef(every["coherence_1"], every["coherence_2"])[0, 1] == pytest.approx(
        0, abs=0.03
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_response_goes_to_the_stronger_in_the_attended_modality(task):
    trials = make_trials(task, "random", n_trials=500, seed=1)
    first = trials[f"coherence_{task[-1]}"] > 0
    expected = np.where(first, trials["direction"], trials["direction_2"])
    np.testing.assert_array_equal(trials["response_direction"], expected)
    other = trials[f"coherence_{3 - int(task[-1])}"] > 0
    assert 0.4 < (first == other).mean() < 0.6


def test_seeds_reproduce_and_differ():
    assert _random(1).identical(_random(1))
    assert not _random(1)["direction"].equals(_random(2)["direction"])


def test_input_noise_has_the_published_size_on_every_channel():
    noise = (_random(3, sigma_x=0.01)["input"] - _random(3)["input"]).values
    np.testing.assert_allclose(noise.std(axis=(0, 1)), 0.01 * np.sqrt(10), rtol=0.06)


def test_the_easy_variant_scales_coherences_only():
    easy, hard = _random(5, coherence_scale=10), _random(5)
    np.testing.assert_allclose(easy["coherence_1"], 10 * hard["coherence_1"])
    np.testing.assert_allclose(easy["direction"], hard["direction"])


def test_given_conditions_are_shown():
    trials = make_trials(
        "contextdm2",
        "conditions",
        conditions={"direction": np.pi / 2, "coherence_1": 0.1, "coherence_2": [-0.2, 0.2]},
        stimulus_ms=750,
    )
    assert trials.sizes == {
        "time": 25 + 37 + 25,
        "trial": 2,
        "input_channel": 85,
        "output_channel": 33,
        "epoch": 3,
    }
    np.testing.assert_allclose(trials["response_direction"], [1.5 * np.pi, 0.5 * np.pi])
    shown = trials["input"].sel(input_channel="modality2_08").isel(time=30)
    np.testing.assert_allclose(shown, [0.8 * 0.8, 1.2 * 0.8], atol=1e-6)


@pytest.mark.parametrize("direction", np.linspace(0, 6.2, 7))
def test_a_bump_is_read_as_its_direction(direction):
    assert angular_distance(read_direction(bump(np.array(direction))), direction) < 1e-3


def test_names_of_tasks_and_channels():
    assert task_names() == TASKS
    assert display_name("contextdm1") == "Ctx DM 1"
    assert display_name("my_task") == "my_task"
    assert len(INPUT_CHANNELS) == 85
    assert INPUT_CHANNELS[65 + list(RULES).index("contextdm2")] == "rule_contextdm2"


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (("contextdm",), {}, "Did you mean 'contextdm2' or 'contextdm1'"),
        (("fdgo",), {}, "task: expected one of contextdm1, contextdm2"),
        (("contextdm1", "tests"), {}, "Did you mean 'test'"),
        (("contextdm1",), {"dt_ms": -20}, "dt_ms: expected a time step above 0"),
        (("contextdm1",), {"dt_ms": 101}, "at most tau"),
        (("contextdm1",), {"dt_ms": float("nan")}, "dt_ms"),
        (("contextdm1", "random"), {"n_trials": 3}, "seed: expected a whole number"),
        (("contextdm1",), {"sigma_x": 0.1}, "seed: expected a whole number"),
        (
            ("contextdm1", "random"),
            {"seed": 0, "n_trials": 0},
            "n_trials: expected a whole number of 1 or more",
        ),
        (("contextdm1", "conditions"), {}, "none for direction"),
        (
            ("contextdm1", "conditions"),
            {"conditions": {"colour": 1}},
            "conditions: expected one of",
        ),
        (
            ("contextdm1", "conditions"),
            {"conditions": {"direction": np.nan, "coherence_1": 0, "coherence_2": 0}},
            "finite numbers",
        ),
        (("contextdm1", "conditions"), {"stimulus_ms": 1}, "stimulus_ms"),
        (("contextdm1", "conditions"), {"stimulus_ms": float("inf")}, "stimulus_ms.*finite"),
        (("contextdm1",), {"dt_ms": "20"}, "dt_ms: expected a time step"),
        (
            ("contextdm1", "random"),
            {"seed": -1, "n_trials": 3},
            "seed: expected a whole number of 0",
        ),
        (
            ("contextdm1", "random"),
            {"seed": 1.5, "n_trials": 3},
            "seed: expected a whole number of 0",
        ),
        (
            ("contextdm1", "random"),
            {"seed": 0, "n_trials": 3.5},
            "n_trials: expected a whole number",
        ),
        (("contextdm1",), {"n_trials": 7}, "n_trials: expected None for kind 'test'"),
        (("contextdm1",), {"conditions": {}}, "conditions: .* use kind='conditions'"),
        (("contextdm1",), {"sigma_x": -0.1, "seed": 0}, "sigma_x: expected a finite number"),
        (("contextdm1",), {"sigma_x": float("nan"), "seed": 0}, "sigma_x"),
        (("contextdm1",), {"coherence_scale": float("nan")}, "coherence_scale"),
        (("contextdm1",), {"coherence_scale": -1}, "coherence_scale"),
    ],
)
def test_bad_requests_are_refused(arguments, options, match):
    with pytest.raises(nc.InputError, match=match):
        make_trials(*arguments, **options)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"direction": [0, 1, 2], "coherence_1": [0.1, 0.2]}, "direction 3, coherence_1 2"),
        ({"direction": []}, "one or more finite numbers"),
        ({"coherence_2": "strong"}, r"conditions\['coherence_2'\]"),
        ({"coherence_1": [[0.1]]}, r"finite numbers \(trial,\)"),
    ],
)
def test_conditions_of_other_shapes_are_refused(values, match):
    conditions = {"direction": 0.0, "coherence_1": 0.1, "coherence_2": 0.1} | values
    with pytest.raises(nc.InputError, match=match):
        make_trials("contextdm1", "conditions", conditions=conditions)


def test_a_tie_goes_to_the_second_stimulus():
    conditions = {"direction": 0.0, "coherence_1": 0.0, "coherence_2": 0.1}
    for task, response in (("contextdm1", np.pi), ("contextdm2", 0.0)):
        trials = make_trials(task, "conditions", conditions=conditions)
        np.testing.assert_allclose(trials["response_direction"], response)


def test_trials_say_how_they_were_made():
    trials = _random(7, sigma_x=0.01, coherence_scale=4)
    attrs = ("kind", "seed", "dt_ms", "sigma_x", "coherence_scale")
    assert [trials.attrs[name] for name in attrs] == ["random", 7, 20.0, 0.01, 4.0]
    assert trials["direction_2"].attrs["units"] == "rad"
    assert trials["coherence_1"].attrs["units"] == "1"


def test_a_task_needs_a_rule_channel():
    with pytest.raises(nc.InputError, match="rule: expected one of fdgo"):
        register(Task(name="new", condition_variables=(), random=None, test=None, conditions=None))
