"""Trials: the reference arrays, other time steps, responses, conditions, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from task_families import FAMILIES

import nwbcompare as nc
from nwbcompare.tasks import RULES, display_name, get_task, make_trials, read_direction, task_names
from nwbcompare.tasks.channels import angular_distance, bump, input_channels, modality_channels
from nwbcompare.tasks.signals import input_signal, target_signal
from nwbcompare.tasks.timing import steps
from nwbcompare.tasks.trial_draw import Draw

TASKS = ["contextdm1", "contextdm2"]


@pytest.fixture(scope="module")
def oracle(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_test_dt20.npz") as arrays:
        return dict(arrays)


@pytest.mark.shared
@pytest.mark.parametrize("task", RULES)
def test_test_trials_equal_the_reference_arrays(oracle, task):
    trials = make_trials(task, "test")
    for name in ("input", "target"):
        np.testing.assert_allclose(trials[name], oracle[f"{task}/{name}"], atol=1e-6)
    mask = trials["loss_mask"].values
    np.testing.assert_allclose(mask[:, :, 0], oracle[f"{task}/mask_fixation"], atol=1e-6)
    for ring in range(1, 33):
        np.testing.assert_allclose(mask[:, :, ring], oracle[f"{task}/mask_ring"], atol=1e-6)
    response = oracle[f"{task}/response_direction"]
    np.testing.assert_allclose(trials["response_direction"], response[-1], atol=1e-6)
    go = round(float(trials["epoch_start_time"].sel(epoch="go1")[0]) / 0.02)
    assert (response[:go] == -1).all()
    assert trials["epoch"].values.tolist() == oracle[f"{task}/epoch_names"].tolist()
    bounds = np.stack([trials["epoch_start_time"][0], trials["epoch_stop_time"][0]], axis=1) / 0.02
    np.testing.assert_allclose(bounds, oracle[f"{task}/epoch_bounds"], atol=1e-9)


@pytest.mark.parametrize("task", RULES)
@pytest.mark.parametrize("dt_ms", [5, 10, 50, 100])
def test_other_time_steps_show_the_same_trials(task, dt_ms):
    fine, coarse = make_trials(task), make_trials(task, dt_ms=dt_ms)
    assert coarse.sizes["time"] * dt_ms == fine.sizes["time"] * 20
    np.testing.assert_allclose(coarse["epoch_stop_time"], fine["epoch_stop_time"])
    np.testing.assert_array_equal(coarse["response_direction"], fine["response_direction"])
    for stop in fine["epoch_stop_time"].values[0] - 0.05:
        for name in ("input", "target", "loss_mask"):
            one, two = (t[name].sel(time=stop, method="nearest") for t in (fine, coarse))
            np.testing.assert_allclose(one, two, atol=1e-6)
    go = float(coarse["epoch_start_time"].sel(epoch="go1")[0])
    mask, time = coarse["loss_mask"][:, 0, 1].values, coarse["time"].values
    assert (mask[(time > go) & (time < go + 0.1)] == 0).all()
    assert (mask[time > go + 0.1] == 5).all()
    assert (mask[time < 0.1] == 0).all()


def test_a_time_step_that_does_not_divide_truncates_each_interval():
    trials = make_trials("contextdm1", dt_ms=30)
    assert np.diff(trials["epoch_stop_time"][0] / 0.03).round(6).tolist() == [33, 16]
    assert steps(750, 20) == 37
    assert steps(0.3, 0.1) == 3


def _random(seed, **options):
    return make_trials("contextdm1", "random", n_trials=64, seed=seed, **options)


@pytest.mark.parametrize("task", RULES)
def test_published_batches_share_timing_and_modality(task):
    trials = make_trials(task, "random", n_trials=50, seed=1)
    for bounds in (trials["epoch_start_time"], trials["epoch_stop_time"]):
        assert (bounds == bounds[0]).all()
    for name in ("modality", "modality_1", "modality_2"):
        if name in trials.coords:
            assert np.unique(trials[name]).size == 1


def test_responses_follow_the_rule():
    """What is due, from what is shown, in words of its own for each task."""
    for task in RULES:
        t = make_trials(task, "random", n_trials=300, seed=2, timing="trial")
        c = {name: t[name].values for name in t.coords}
        if FAMILIES[task] in ("go", "react", "delay"):
            due = (c["direction"] + (np.pi if "anti" in task else 0)) % (2 * np.pi)
        elif task.startswith(("dms", "dmc")):
            near = angular_distance(c["direction"], c["direction_2"]) < 1e-6
            same = (
                near
                if task.startswith("dms")
                else (c["direction"] < np.pi) == (c["direction_2"] < np.pi)
            )
            due = np.where(same == ("nogo" not in task), c["direction_2"], np.nan)
            assert 0.3 < np.isnan(due).mean() < 0.7
        else:
            asked = (1, 2) if "multi" in task else (int(task[-1]),)
            stronger = sum(c[f"coherence_{m}"] for m in asked) > 0
            due = np.where(stronger, c["direction"], c["direction_2"])
        np.testing.assert_allclose(t["response_direction"], due, err_msg=task)


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


def test_easy_variants_have_the_published_factors():
    for task, factor in (("dm1", 10), ("multidm", 10), ("contextdelaydm2", 2), ("fdgo", 1)):
        plain, easy = (
            make_trials(task, "random", n_trials=20, seed=3, easy=easy) for easy in (False, True)
        )
        np.testing.assert_allclose(easy["direction"], plain["direction"])
        names = [name for name in plain.coords if str(name).startswith("coherence")]
        if task == "multidm":  # the split of the strengths hangs on the coherence
            assert get_task(task).easy_scale == 10
            continue
        assert bool(names) == (factor > 1)
        for name in names:
            np.testing.assert_allclose(easy[name], factor * plain[name])
    mixed = make_trials(["dm1", "delaydm1"], "random", n_trials=400, seed=0, easy=True)
    largest = [np.abs(mixed["coherence_1"].values[mixed["task"] == k]).max() for k in (0, 1)]
    np.testing.assert_allclose(largest, [0.8, 0.64])


def test_given_conditions_are_shown():
    trials = make_trials(
        "contextdm2",
        "psychometric",
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
    assert task_names() == list(RULES)
    assert display_name("contextdm1") == "Ctx DM 1"
    assert display_name("my_task") == "my_task"
    assert len(input_channels()) == 85
    assert input_channels()[65 + list(RULES).index("contextdm2")] == "rule_contextdm2"


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (("contextdm",), {}, "Did you mean 'contextdm2' or 'contextdm1'"),
        (("flipgo",), {}, "task: expected one of fdgo, reactgo"),
        (([],), {}, "at least one task"),
        ((["fdgo", "fdgo"],), {}, "task: expected different tasks"),
        (("fdgo",), {"rules": ["dm1"]}, "rules: expected one of dm1, got 'fdgo'"),
        (("fdgo",), {"rule_weights": {"fdanty": 1}}, "rule_weights: .*Did you mean 'fdanti'"),
        (("fdgo",), {"rule_weights": {"dm1": float("nan")}}, r"rule_weights\['dm1'\]: .*finite"),
        (
            ("fdgo", "random"),
            {"seed": 0, "n_trials": 3, "timing": "trials"},
            "timing: .*Did you mean 'trial'",
        ),
        (
            ("fdgo", "psychometric"),
            {"conditions": {"direction": 0, "modality": 3}},
            "modality 1 or 2",
        ),
        (("fdgo", "psychometric"), {"delay_ms": 1}, "delay_ms: expected at least one step"),
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
        (("contextdm1", "psychometric"), {}, "none for direction"),
        (
            ("contextdm1", "psychometric"),
            {"conditions": {"colour": 1}},
            "conditions: expected one of",
        ),
        (
            ("contextdm1", "psychometric"),
            {"conditions": {"direction": np.nan, "coherence_1": 0, "coherence_2": 0}},
            "finite numbers",
        ),
        (("contextdm1", "psychometric"), {"stimulus_ms": 1}, "stimulus_ms"),
        (("contextdm1", "psychometric"), {"stimulus_ms": float("inf")}, "stimulus_ms.*finite"),
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
        (("contextdm1",), {"conditions": {}}, "conditions: .* use kind='psychometric'"),
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
        make_trials("contextdm1", "psychometric", conditions=conditions)


def test_a_tie_goes_to_the_second_stimulus():
    conditions = {"direction": 0.0, "coherence_1": 0.0, "coherence_2": 0.1}
    for task, response in (("contextdm1", np.pi), ("contextdm2", 0.0)):
        trials = make_trials(task, "psychometric", conditions=conditions)
        np.testing.assert_allclose(trials["response_direction"], response)


def test_trials_say_how_they_were_made():
    trials = _random(7, sigma_x=0.01, coherence_scale=4)
    attrs = ("kind", "seed", "dt_ms", "sigma_x", "coherence_scale")
    assert [trials.attrs[name] for name in attrs] == ["random", 7, 20.0, 0.01, 4.0]
    assert trials["direction_2"].attrs["units"] == "rad"
    assert trials["coherence_1"].attrs["units"] == "1"


@pytest.mark.parametrize("task", RULES)
def test_a_task_keeps_the_conventions(task):
    """Every registered task joins: epochs, masks, conditions, and a target that is correct."""
    given = {"direction": 0.5, "direction_2": 2.0, "modality": 1, "modality_1": 1, "modality_2": 2}
    given |= {"coherence_1": [0.1, -0.2], "coherence_2": 0.1}
    asked = {name: given[name] for name in get_task(task).given_variables}
    for trials in (
        make_trials(task),
        make_trials(task, "random", n_trials=40, seed=0, timing="trial"),
        make_trials(task, "psychometric", conditions=asked, stimulus_ms=400, delay_ms=300),
    ):
        start, stop = (trials[f"epoch_{side}_time"].values for side in ("start", "stop"))
        np.testing.assert_allclose(start[:, 1:], stop[:, :-1])
        assert (start[:, 0] == 0).all()
        np.testing.assert_allclose(stop[:, -1], trials["trial_stop_time"])
        after = trials["time"].values[:, None] > trials["trial_stop_time"].values
        for name in ("input", "target", "loss_mask"):
            assert not trials[name].values[after].any()
        assert (trials["input"].sel(input_channel=f"rule_{task}").values == ~after).all()
        end = np.round(trials["trial_stop_time"].values / 0.02).astype(int) - 1
        last = trials["target"].values[end, np.arange(end.size)]
        keep = np.isnan(trials["response_direction"].values)
        assert ((last[:, 0] > 0.5) == keep).all()
        read = read_direction(last[~keep, 1:])
        assert (angular_distance(read, trials["response_direction"].values[~keep]) < 1e-2).all()
        for name in get_task(task).condition_variables:
            assert trials[name].dims == ("trial",)


def test_test_trials_are_all_different_conditions():
    for task in RULES:
        trials = make_trials(task)
        variables = get_task(task).condition_variables
        rows = np.stack([trials[name].values for name in variables], axis=1).round(6)
        assert np.unique(rows, axis=0).shape[0] == trials.sizes["trial"]


def test_mixed_trials_are_the_tasks_own():
    mixed = make_trials(["dm1", "dmsgo"], "random", n_trials=60, seed=4, timing="trial")
    assert np.unique(mixed["task"]).tolist() == [0, 1]
    assert mixed["epoch"].values.tolist() == ["fix1", "stim1", "delay1", "go1"]
    decisions = mixed["task"].values == 0
    delay = mixed["epoch_start_time"].sel(epoch="delay1").values
    assert np.isnan(delay[decisions]).all()
    assert np.isfinite(delay[~decisions]).all()
    assert mixed["coherence_1"].isnull().values[~decisions].all()
    whole = make_trials(["dm1", "dmsgo"])
    one, two = make_trials("dm1"), make_trials("dmsgo")
    n_one = one.sizes["trial"]
    for name in ("input", "target", "loss_mask"):
        np.testing.assert_array_equal(whole[name][: one.sizes["time"], :n_one], one[name])
        np.testing.assert_array_equal(whole[name][:, n_one:], two[name])


def test_rule_inputs_may_be_weighted_sums():
    plain = make_trials("delayanti")
    composed = make_trials("delayanti", rule_weights={"fdanti": 1, "delaygo": 1, "fdgo": -1})
    np.testing.assert_array_equal(composed["input"][:, :, :65], plain["input"][:, :, :65])
    rules = composed["input"][:, :, 65:].values
    assert (rules == rules[0, 0]).all()
    shown = dict(zip(RULES, rules[0, 0].tolist(), strict=True))
    assert {rule: w for rule, w in shown.items() if w} == {"fdgo": -1, "delaygo": 1, "fdanti": 1}
    np.testing.assert_array_equal(composed["target"], plain["target"])


def test_a_network_of_two_tasks_may_have_two_rule_channels():
    trials = make_trials("contextdm2", rules=TASKS)
    assert trials.sizes["input_channel"] == 67
    assert (trials["input"].sel(input_channel="rule_contextdm2") == 1).all()


def test_a_trial_has_the_same_signals_alone_and_padded():
    padded = make_trials("delaydm1", "random", n_trials=20, seed=3, timing="trial", sigma_x=0.01)
    described = get_task("delaydm1").random(Draw(np.random.default_rng(3), 20, 20.0, False))
    ends = np.round(padded["trial_stop_time"].values / 0.02).astype(int)
    assert np.unique(ends).size > 5
    assert not padded["input"].values[ends.min() :][:, ends == ends.min()].any()
    for place in (0, 7):
        alone = target_signal(described.take(np.array([place])))
        whole = target_signal(described).render(described.n_steps.max())
        n_steps = described.n_steps[place]
        np.testing.assert_array_equal(alone.render(n_steps)[:, 0], whole[:n_steps, place])


@pytest.mark.parametrize("task", RULES)
def test_signals_are_rendered_as_a_plain_loop_would(task):
    trials = get_task(task).random(Draw(np.random.default_rng(1), 3, 50.0, False))
    n_steps = int(trials.n_steps.max())
    rendered = input_signal(trials, tuple(RULES)).render(n_steps)
    for trial in range(3):
        for step in range(n_steps):
            expected = np.zeros(85)
            if step < trials.n_steps[trial]:
                expected[65 + list(RULES).index(task)] = 1
                expected[0] = step < trials.fixation_off[trial]
                for k in range(trials.stimuli.strength.shape[1]):
                    one = {
                        f: getattr(trials.stimuli, f)[trial, k]
                        for f in ("modality", "direction", "strength", "start", "stop")
                    }
                    if one["start"] <= step < min(one["stop"], trials.n_steps[trial]):
                        ring = modality_channels(one["modality"])
                        expected[ring] += one["strength"] * bump(np.array(one["direction"]))
            np.testing.assert_allclose(rendered[step, trial], expected, atol=1e-6)
