"""What is learned, kept and forgotten: worked by hand, twins, theorems, simulated truth."""

from __future__ import annotations

import csv
import math
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import (
    MEAN,
    MEASURES,
    compare_retention,
    learning_curves,
    performance_matrix,
    performance_over_steps,
    retention,
    retention_over_networks,
    trials_to,
)
from nwbcompare.inference.networks import over_networks
from nwbcompare.model import read_log

STAGES = (("a",), ("b", "c"), ("d",))
TASKS = "abcd"
# a is lost, then half found again; b improves late; c stays; d is last
WORKED = [
    [0.1, 0.2, 0.0, 0.3],
    [0.9, 0.4, 0.0, 0.1],
    [0.3, 0.8, 0.7, 0.5],
    [0.6, 0.9, 0.7, 1.0],
]


def row(step, stage, shares, tasks=TASKS):
    return {
        "step": step,
        "stage": stage,
        "loss": None if step == 0 else 0.1,
        "seconds": float(step),
        "performance": dict(zip(tasks, shares, strict=True)),
    }


def log_of(shares=WORKED, steps=(0, 10, 20, 30), tasks=TASKS):
    """A log with a row before training and one at the end of every stage."""
    stages = [0, *range(len(shares) - 1)]
    return [row(step, k, one, tasks) for step, k, one in zip(steps, stages, shares, strict=True)]


def logs_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return {f"seed {i}": log_of(rng.uniform(size=(4, 4)).tolist()) for i in range(n)}


def written_and_read(found, folder):
    found.to_netcdf(folder / "x.nc", engine="h5netcdf")
    return xr.load_dataset(folder / "x.nc", engine="h5netcdf")


def test_the_matrix_has_the_last_row_of_every_stage(tmp_path):
    log = log_of()
    within = [row(5, 0, [0.5] * 4), row(13, 1, [0.0] * 4), row(20, 2, WORKED[2])]
    log = sorted(log + within, key=lambda one: (one["step"], one["stage"]))
    found = performance_matrix(log, STAGES)
    assert found["performance"].values.tolist() == WORKED[1:]
    assert found["before"].values.tolist() == WORKED[0]
    assert found["step"].values.tolist() == [10, 20, 30]
    assert found["stage"].values.tolist() == ["a", "b + c", "d"]
    assert found["trained_in"].values.tolist() == [0, 1, 1, 2]
    assert found.identical(performance_matrix(log_of(), STAGES))
    assert written_and_read(found, tmp_path).identical(found)
    # a log without a row before training, and with a task that is not trained
    more = [one | {"performance": one["performance"] | {"z": 0.2}} for one in log[1:]]
    other = performance_matrix(more, STAGES)
    assert other["performance"].identical(found["performance"])
    assert other["before"].isnull().all()


def test_a_log_is_read_as_a_run_writes_it(tmp_path):
    names = ["step", "stage", "dt_ms", "coherence_scale", "loss", "seconds"]
    with (tmp_path / "log.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*names, *TASKS])
        for one in log_of():
            loss = "" if one["loss"] is None else one["loss"]
            numbers = [one["step"], one["stage"], 20, 1, loss, one["seconds"]]
            writer.writerow([*numbers, *one["performance"].values()])
    read = performance_matrix(read_log(tmp_path), STAGES)
    assert read.identical(performance_matrix(log_of(), STAGES))


def test_the_measures_worked_by_hand(tmp_path):
    found = retention(performance_matrix(log_of(), STAGES))
    nan = math.nan
    expected = {
        "final": [0.6, 0.9, 0.7, 1.0],
        "learned": [0.9, 0.8, 0.7, 1.0],
        "forgetting": [0.3, -0.1, 0.0, nan],
        "backward_transfer": [-0.3, 0.1, 0.0, nan],
        "forward_transfer": [nan, 0.2, 0.0, 0.2],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-12)
        assert float(found[f"mean_{name}"]) == pytest.approx(np.nanmean(values))
    assert set(expected) == set(MEASURES)
    assert written_and_read(found, tmp_path).identical(found)
    unmeasured = retention(performance_matrix(log_of()[1:], STAGES))
    assert unmeasured["forward_transfer"].isnull().all()
    assert np.isnan(unmeasured["mean_forward_transfer"])
    assert unmeasured["forgetting"].identical(found["forgetting"])


shares = st.lists(
    st.lists(st.integers(0, 64).map(lambda k: k / 64), min_size=4, max_size=4),
    min_size=4,
    max_size=4,
)


@given(values=shares)
def test_the_measures_are_their_definitions(values):
    found = retention(performance_matrix(log_of(values), STAGES))
    before, *after = values
    for column, (task, own) in enumerate(zip(TASKS, (0, 1, 1, 2), strict=True)):
        at = found.sel(task=task)
        course = [one[column] for one in after]
        assert float(at["final"]) == course[2]
        assert float(at["learned"]) == course[own]
        if own < 2:
            assert float(at["forgetting"]) == max(course[own:2]) - course[2]
            assert float(at["backward_transfer"]) == course[2] - course[own]
            # the best is at least what was learned
            assert float(at["forgetting"]) >= -float(at["backward_transfer"])
        if own > 0:
            assert float(at["forward_transfer"]) == course[own - 1] - before[column]
    assert np.isnan(found["forgetting"].sel(task="d"))
    assert np.isnan(found["backward_transfer"].sel(task="d"))
    assert np.isnan(found["forward_transfer"].sel(task="a"))


@given(values=shares)
def test_where_nothing_changes_after_its_stage_nothing_is_forgotten(values):
    for column, own in enumerate((0, 1, 1, 2)):
        for later in range(own + 2, 4):
            values[later][column] = values[own + 1][column]
    found = retention(performance_matrix(log_of(values), STAGES))
    assert (found["forgetting"].dropna("task") == 0).all()
    assert (found["backward_transfer"].dropna("task") == 0).all()
    assert float(found["mean_forgetting"]) == 0
    # and it shows as soon as one task changes
    values[3][0] += 0.5
    changed = retention(performance_matrix(log_of(np.clip(values, 0, 1).tolist()), STAGES))
    moved = min(values[3][0], 1) - values[1][0]
    assert float(changed["backward_transfer"].sel(task="a")) == pytest.approx(moved)


@given(values=shares, order=st.permutations(range(4)))
def test_the_order_of_tasks_in_a_log_and_in_a_stage_does_not_matter(values, order):
    found = retention(performance_matrix(log_of(values), STAGES))
    shuffled = log_of([[one[k] for k in order] for one in values], tasks=[TASKS[k] for k in order])
    again = retention(performance_matrix(shuffled, (("a",), ("c", "b"), ("d",))))
    assert again["task"].values.tolist() == list("acbd")
    xr.testing.assert_allclose(again.sel(task=list(TASKS)), found, atol=1e-12)


def test_matrices_of_networks_are_joined():
    logs = logs_of(3)
    matrices = [performance_matrix(log, STAGES) for log in logs.values()]
    joined = retention(xr.concat(matrices, dim="network"))
    for place, matrix in enumerate(matrices):
        xr.testing.assert_allclose(joined.isel(network=place), retention(matrix))
    other = performance_matrix(log_of(), (("a",), ("b",), ("d", "c")))
    mixed = xr.concat(
        [matrices[0], other], dim="network", join="outer", coords="different", compat="equals"
    )
    with pytest.raises(nc.InputError, match="networks with other stages"):
        retention(mixed)


def test_a_single_stage_leaves_nothing_to_forget():
    found = retention(performance_matrix([row(9, 0, [0.9], "a")], (("a",),)))
    assert float(found["mean_final"]) == float(found["mean_learned"]) == 0.9
    assert np.isnan([found[f"mean_{name}"] for name in MEASURES[2:]]).all()


def test_noise_alone_looks_like_forgetting_but_not_like_backward_transfer():
    """Networks that keep 90 %, measured with 512 trials: why forgetting has no p of its own."""
    rng = np.random.default_rng(0)
    n_repeats, stages = 300, tuple((task,) for task in "abcde")
    template = performance_matrix(log_of([[0.9] * 5] * 6, range(0, 60, 10), "abcde"), stages)

    def measured():
        noisy = rng.binomial(512, 0.9, size=(n_repeats, 8, 5, 5)) / 512
        dims = ("repeat", "network", "stage", "task")
        return retention(template.assign(performance=(dims, noisy)))

    def false_positives(values):
        p = [float(over_networks(one)["p_value"]) for one in values.values]
        return np.mean(np.array(p) <= 0.05)

    plain, kept = measured(), measured()
    assert float(plain["forgetting"].sel(task="a").mean()) == pytest.approx(0.0137, abs=0.001)
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / n_repeats)
    assert false_positives(plain["mean_backward_transfer"]) <= most
    assert false_positives(plain["mean_forgetting"]) > 0.5
    # the bias is in both kinds of training and cancels
    assert false_positives(plain["mean_forgetting"] - kept["mean_forgetting"]) <= most


def test_over_networks_every_number_is_that_of_its_column(tmp_path):
    logs = logs_of(5)
    found = retention_over_networks(logs, STAGES)
    assert found["task"].values.tolist() == [*TASKS, MEAN]
    assert found["network"].values.tolist() == list(logs)
    alone = [retention(performance_matrix(log, STAGES)) for log in logs.values()]
    for measure in MEASURES:
        for task in found["task"].values:
            cell = found.sel(measure=measure, task=task)
            values = [
                float(one[f"mean_{measure}"] if task == MEAN else one[measure].sel(task=task))
                for one in alone
            ]
            np.testing.assert_array_equal(cell["value"], values)
            if np.isnan(values).all():
                assert np.isnan([cell[name] for name in ("mean", "mean_low", "p_value")]).all()
                continue
            inferred = over_networks(values)
            for name in ("mean", "mean_low", "mean_high"):
                assert float(cell[name]) == float(inferred[name])
            if measure in {"backward_transfer", "forward_transfer"}:
                assert float(cell["p_value"]) == float(inferred["p_value"])
            else:
                assert np.isnan(cell["p_value"])
    assert float(found["p_smallest"]) == 2**-4
    assert int(found["n_networks"]) == 5
    assert written_and_read(found, tmp_path).identical(found)


def test_random_flips_are_seeded(monkeypatch):
    monkeypatch.setattr("nwbcompare.inference.networks.N_FLIPS", 999)
    logs = logs_of(17)
    found = retention_over_networks(logs, STAGES, seed=1)
    assert found.identical(retention_over_networks(logs, STAGES, seed=1))
    assert not found["p_value"].equals(retention_over_networks(logs, STAGES, seed=2)["p_value"])


def test_one_network_has_no_interval_and_is_warned_of_once():
    with pytest.warns(UserWarning, match="One network") as caught:
        found = retention_over_networks(logs_of(1), STAGES)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert found["mean_low"].isnull().all()
    np.testing.assert_array_equal(found["mean"], found["value"].isel(network=0))
    with pytest.warns(UserWarning, match="One network") as caught:
        compared = compare_retention(found, found)
    assert len(caught) == 1
    assert (compared["p_value"].dropna("task", how="any") == 1).all()


def kinds(n=6, gain=0.25):
    """Plain and protected networks; seeds differ widely, protection always keeps as much more."""
    start = np.random.default_rng(3).uniform(0.1, 0.6, size=n)

    def course(kept):
        return log_of([[0.0] * 4, [0.9] * 4, [kept, 0.9, 0.9, 0.5], [kept, 0.9, 0.9, 0.9]])

    return tuple(
        retention_over_networks({str(i): course(x + more) for i, x in enumerate(start)}, STAGES)
        for more in (0.0, gain)
    )


def test_networks_are_compared_with_their_own_partners():
    plain, kept = kinds()
    found = compare_retention(kept, plain)
    final = found.sel(measure="final", task="a")
    np.testing.assert_allclose(final["value"], 0.25)
    # what seeds differ by is gone
    assert float(final["mean_high"] - final["mean_low"]) < 1e-12
    assert float(plain.sel(measure="final", task="a")["value"].std()) > 0.1
    assert float(final["p_value"]) == float(found["p_smallest"]) == 2**-5
    mean = found.sel(task=MEAN)
    assert float(mean.sel(measure="final")["mean"]) == pytest.approx(0.25 / 4)
    # a, b and c can be forgotten
    assert float(mean.sel(measure="forgetting")["mean"]) == pytest.approx(-0.25 / 3)
    # names, not places, make pairs
    assert found.identical(compare_retention(kept, plain.isel(network=[3, 1, 0, 2, 5, 4])))
    wrong = plain.assign_coords(network=np.roll(plain["network"], 1))
    mixed = compare_retention(kept, wrong).sel(measure="final", task="a")
    assert float(mixed["mean"]) == pytest.approx(0.25)
    assert float(mixed["mean_high"] - mixed["mean_low"]) > 0.1
    turned = compare_retention(plain, kept)
    np.testing.assert_allclose(turned["mean"], -found["mean"])
    np.testing.assert_array_equal(turned["p_value"], found["p_value"])


def test_identical_networks_do_not_differ():
    found = retention_over_networks(logs_of(5), STAGES)
    same = compare_retention(found, found)
    for name in ("value", "mean", "mean_low", "mean_high"):
        assert (same[name].fillna(0) == 0).all()
        assert same[name].isnull().sum() == found[name].isnull().sum()
    assert (same["p_value"].fillna(1) == 1).all()


def test_what_is_no_pair_is_refused():
    found = retention_over_networks(logs_of(3), STAGES)
    other = found.assign_coords(network=["seed 0", "seed 2", "seed 7"])
    with pytest.raises(nc.InputError, match=r"seed 1 \(first\), seed 7 \(second\)"):
        compare_retention(found, other)
    stages = (("a", "b"), ("c",), ("d",))
    with pytest.raises(nc.InputError, match="stages of first, a; b . c; d"):
        compare_retention(found, retention_over_networks(logs_of(3), stages))
    late = retention_over_networks({name: log[1:] for name, log in logs_of(3).items()}, STAGES)
    with pytest.raises(nc.InputError, match="before any training in one of the two only"):
        compare_retention(found, late)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((("a",), ("b", "a"), ("d",)), "every task in one stage only, got a in two"),
        ((), "one or more stages"),
        ((("a",), ()), "each of one or more tasks"),
        (("a", "b"), "each of one or more tasks"),
        ((("a",), ("b",)), "log: expected 2 stages, got 3"),
        ((*STAGES, ("e",)), "task of the log: expected one of a, b, c, d, got 'e'"),
    ],
)
def test_stages_that_are_none_are_refused(stages, message):
    with pytest.raises(nc.InputError, match=message):
        performance_matrix(log_of(), stages)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ([], "log: expected a row for each evaluation, got none"),
        (log_of()[:3], r"the end of stage 3 of 3 \(d\), got none; the last row is at step 20"),
        (log_of()[:1], r"stage 1 of 3 \(a\)"),
        ([*log_of()[:2], log_of()[3]], r"stage 2 of 3 \(b \+ c\)"),
        # the first evaluation of a stage is before its first step
        ([*log_of()[:3], row(20, 2, WORKED[2])], r"stage 3 of 3 \(d\)"),
        (log_of()[::-1], "rows in the order of training"),
        (log_of((100 * np.array(WORKED)).tolist()), "between 0 and 1, got from 0 to 100"),
        (log_of([*WORKED[:3], [math.nan] * 4]), "shares of correct trials"),
    ],
)
def test_logs_that_are_not_whole_are_refused(log, message):
    with pytest.raises(nc.InputError, match=message):
        performance_matrix(log, STAGES)


def test_errors_name_the_network():
    logs = {"good": log_of(), "short": log_of()[:3]}
    for measure in (retention_over_networks, performance_over_steps):
        with pytest.raises(nc.InputError, match="log of 'short': .*end of stage 3"):
            measure(logs, STAGES)
        with pytest.raises(nc.InputError, match="one or more networks, got none"):
            measure({}, STAGES)
    with pytest.raises(nc.InputError, match="step 0 in every log or in none, got none in .*late"):
        retention_over_networks({"good": log_of(), "late": log_of()[1:]}, STAGES)


def test_stages_of_other_lengths_are_aligned(tmp_path):
    slow = log_of(steps=(0, 40, 50, 500))
    found = performance_over_steps({"0": log_of(), "1": slow}, STAGES, points_per_stage=4)
    one, other = found["performance"].values
    np.testing.assert_allclose(one, other, atol=1e-12)
    assert found["end_step"].values.tolist() == [[10, 20, 30], [40, 50, 500]]
    # at whole numbers it is the matrix, halfway the mean of two rows
    np.testing.assert_allclose(one[::4], WORKED)
    half = found["performance"].sel(network="0", progress=1.5)
    np.testing.assert_allclose(half, np.mean(WORKED[1:3], axis=0))
    assert found["trained_in"].values.tolist() == [0, 1, 1, 2]
    assert written_and_read(found, tmp_path).identical(found)
    # an evaluation a quarter into the second stage, and one at its very beginning
    between = [row(10, 1, WORKED[1]), row(12.5, 1, [1.0] * 4)]
    log = sorted(log_of() + between, key=lambda one: (one["step"], one["stage"]))
    log = [one | {"step": int(10 * one["step"])} for one in log]
    more = performance_over_steps({"0": log}, STAGES, points_per_stage=4)["performance"]
    assert (more.sel(progress=1.25) == 1).all()
    np.testing.assert_allclose(more.sel(network="0")[::4], WORKED)


def test_nothing_is_made_up_before_the_first_evaluation():
    log = [row(5, 0, [0.5] * 4), *log_of()[1:]]
    found = performance_over_steps({"0": log}, STAGES, points_per_stage=4)["performance"]
    assert found.sel(progress=slice(0, 0.25)).isnull().all()
    assert found.sel(progress=slice(0.5, 3)).notnull().all()
    with pytest.raises(nc.InputError, match="points_per_stage: expected a whole number of 1"):
        performance_over_steps({"0": log}, STAGES, points_per_stage=0)


def test_bands_are_students_and_cut_at_0_and_1():
    found = performance_over_steps(logs_of(5), STAGES)
    values = found["performance"].values
    low, high = stats.t.interval(0.95, 4, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose(found["mean"], values.mean(axis=0))
    np.testing.assert_allclose(found["mean_low"], np.clip(low, 0, 1), atol=1e-12)
    np.testing.assert_allclose(found["mean_high"], np.clip(high, 0, 1), atol=1e-12)
    assert (high > 1).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single = performance_over_steps(logs_of(1), STAGES)
    assert single["mean_low"].isnull().all()
    assert single["mean"].notnull().all()


def curve(*shares, every=50, first=0):
    return [row(first + every * k, 0, [share], "a") for k, share in enumerate(shares)]


def test_networks_that_reached_their_target_hold_their_last_value(tmp_path):
    logs = {"fast": curve(0.2, 1.0), "slow": curve(0.2, 0.4, 0.5, 0.6)}
    found = learning_curves(logs, "a", n_trials_per_step=64)
    assert found["trial"].values.tolist() == [0, 3200, 6400, 9600]
    assert found["performance"].values.tolist() == [[0.2, 1, 1, 1], [0.2, 0.4, 0.5, 0.6]]
    assert found["ended"].values.tolist() == [3200, 9600]
    np.testing.assert_allclose(found["mean"], [0.2, 0.7, 0.75, 0.8])
    assert written_and_read(found, tmp_path).identical(found)
    assert trials_to(found, 0.5).values.tolist() == [3200, 6400]
    assert trials_to(found, 0.2).values.tolist() == [0, 0]
    late = trials_to(found, 0.7)
    assert late.sel(network="fast") == 3200
    assert np.isnan(late.sel(network="slow"))
    # what another network does, or how long it trains, changes nothing in this one
    alone = learning_curves({"fast": logs["fast"]}, "a", n_trials_per_step=64)
    assert float(trials_to(alone, 0.7)[0]) == 3200


def test_networks_that_were_evaluated_at_other_steps_are_interpolated():
    logs = {"x": curve(0.0, 0.5, 1.0, every=100), "y": curve(0.0, 0.9, every=50)}
    found = learning_curves(logs, "a", n_trials_per_step=1)
    assert found["trial"].values.tolist() == [0, 50, 100, 200]
    np.testing.assert_allclose(found["performance"], [[0, 0.25, 0.5, 1], [0, 0.9, 0.9, 0.9]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 1))
def test_the_first_trial_at_a_level_is_the_first_row_at_it(values, level):
    found = learning_curves({"0": curve(*values)}, "a", n_trials_per_step=2)
    reached = [100.0 * k for k, value in enumerate(values) if value >= level]
    first = float(trials_to(found, level)[0])
    assert first == reached[0] if reached else math.isnan(first)


@pytest.mark.parametrize(
    ("logs", "options", "message"),
    [
        ({}, {}, "one or more networks, got none"),
        ({"x": curve(0.1)}, {"task": "b"}, "task of the log of 'x': expected one of a, got 'b'"),
        ({"x": curve(0.1)}, {"n_trials_per_step": 0}, "n_trials_per_step: expected a whole"),
        ({"x": curve(0.1), "y": curve(0.1, first=50)}, {}, r"first steps 0 \(x\), 50 \(y\)"),
    ],
)
def test_logs_without_curves_are_refused(logs, options, message):
    with pytest.raises(nc.InputError, match=message):
        learning_curves(logs, **({"task": "a", "n_trials_per_step": 64} | options))


@pytest.mark.parametrize("level", [0, -0.1, 90, math.nan])
def test_a_level_is_a_share(level):
    found = learning_curves({"0": curve(0.1)}, "a", n_trials_per_step=64)
    with pytest.raises(nc.InputError, match="level: expected a share above 0"):
        trials_to(found, level)


def test_a_stage_that_was_mastered_before_its_first_step_has_its_row():
    def row(step, stage, a, b, c):
        return {"step": step, "stage": stage, "performance": {"a": a, "b": b, "c": c}}

    log = [row(0, 0, 0, 0, 0), row(9, 0, 1, 0.96, 0), row(9, 1, 1, 0.97, 0), row(18, 2, 1, 0.9, 1)]
    matrix = performance_matrix(log, [["a"], ["b"], ["c"]])
    assert matrix["performance"].sel(task="b").values.tolist() == [0.96, 0.97, 0.9]
    # of the last stage such a row may as well be all of it that there is
    with pytest.raises(nc.InputError, match="a row at the end of stage 2 of 2"):
        performance_matrix(log[:3], [["a"], ["b", "c"]])
