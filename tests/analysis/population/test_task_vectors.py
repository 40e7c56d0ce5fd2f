"""Task vectors and their axes: twins, both layouts, theorems with negative controls, figures."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.population.kernels.task_vectors import (
    composition_cosines,
    disjoint_quadruples,
    principal_axes,
    squared_distances,
)
from nwbcompare.analysis.population.task_vectors import (
    TASK_SETS,
    condition_vectors,
    rule_vectors,
    task_space,
    task_vectors,
)
from nwbcompare.experiments.weights import network_weights
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.model import Network, NetworkConfig, record
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.task_vectors import plot_differences, plot_task_space
from nwbcompare.tasks import make_trials

N_UNITS = 4


def two_tasks(*, ragged=False, seed=0):
    """Noisy trials of two tasks, unequally many of each of four conditions; 10 bins of 0.1 s."""
    rng = np.random.default_rng(seed)
    condition = np.concatenate([np.arange(4), rng.choice(4, 36, p=[0.6, 0.2, 0.1, 0.1])])
    task = np.repeat(["a", "b"], 20)
    condition[20:24] = np.arange(4)
    rate = rng.gamma(2, size=(40, 10, N_UNITS)) + 3 * condition[:, None, None]
    columns = {
        "task": task,
        "motion": np.array([-1.0, 1.0])[condition // 2],
        "colour": np.array(["red", "green"])[condition % 2],
    }
    common = {
        "time_s": (np.arange(10) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "dots",
        "condition_variables": {"a": ["motion", "colour"], "b": ["motion", "colour"]},
        "source": "recording",
        "name": "toy",
        "units": {"unit": [f"u{i}" for i in range(N_UNITS)], "area": ["x", "y"] * 2},
        "epochs": {"fix1": (0.0, 0.3), "stim1": (0.3, 0.8)},
    }
    if not ragged:
        return nc.make_block(rate, trials=columns, **common)
    unit = np.repeat(np.arange(N_UNITS), 40)
    order = rng.permutation(unit.size)
    rows = np.concatenate([rate[:, :, i] for i in range(N_UNITS)])[order]
    tiled = {name: np.tile(values, N_UNITS)[order] for name, values in columns.items()}
    return nc.make_block(rows, trials=tiled, observation_unit=unit[order], **common)


def brute_force(block, task, bins, **wanted):
    """The mean over conditions of the mean over trials, by plain loops."""
    means = []
    for motion in (-1.0, 1.0):
        for colour in ("red", "green"):
            if wanted.get("motion", motion) != motion or wanted.get("colour", colour) != colour:
                continue
            rows = (
                (nc.labels(block["task"]) == task)
                & (block["motion"].values == motion)
                & (nc.labels(block["colour"]) == colour)
            )
            rates = block["rate"].values[rows].astype(float)
            means.append(np.mean([rates[:, time].mean(axis=0) for time in bins], axis=0))
    return np.mean(means, axis=0)


def labelled(values, names):
    return xr.Dataset(
        {"task_vector": (("task", "unit"), np.asarray(values, dtype=float))},
        coords={"task": list(names), "unit": [f"u{i}" for i in range(np.shape(values)[1])]},
        attrs={"name": "toy"},
    )


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("at", "bins", "since"),
    [("end", [7], 0.45), ("mean", range(3, 8), 0.25), (0.2, [4], 0.15), (0.21, [5], 0.25)],
)
def test_task_vectors_equal_plain_loops_in_both_layouts(ragged, at, bins, since):
    found = task_vectors(two_tasks(ragged=ragged), at=at)
    for task in "ab":
        expected = brute_force(two_tasks(), task, bins)
        np.testing.assert_allclose(found["task_vector"].sel(task=task), expected, rtol=1e-6)
    np.testing.assert_allclose(found["time_since_start"], since)
    assert found["n_conditions"].values.tolist() == [4, 4]
    assert found["area"].values.tolist() == ["x", "y", "x", "y"]
    assert (found.attrs["epoch"], found.attrs["at"]) == ("stim1", at)


def test_the_last_bin_is_the_bin_that_ends_with_the_epoch():
    block = two_tasks()
    xr.testing.assert_allclose(
        task_vectors(block, at=0.5)["task_vector"], task_vectors(block)["task_vector"]
    )


def test_each_condition_counts_alike_whatever_its_trials():
    block = two_tasks()
    doubled = xr.concat([block, block.isel(trial=block["motion"].values < 0)], dim="trial")
    xr.testing.assert_allclose(
        task_vectors(doubled)["task_vector"], task_vectors(block)["task_vector"]
    )
    pooled = task_vectors(block, conditions=[])["task_vector"]
    assert np.abs(pooled - task_vectors(block)["task_vector"]).max() > 0.5


def test_tasks_come_in_the_order_asked_for_from_blocks_and_activities():
    block = two_tasks()
    split = nc.make_activity({t: nc.select(block, task=t) for t in "ab"})
    found = task_vectors(split, tasks=["b", "a"])
    assert found["task"].values.tolist() == ["b", "a"]
    xr.testing.assert_allclose(
        found["task_vector"].sel(task=["a", "b"]), task_vectors(block)["task_vector"]
    )


@pytest.mark.parametrize("ragged", [False, True])
def test_condition_vectors_equal_plain_loops(ragged):
    found = condition_vectors(two_tasks(ragged=ragged), ["colour"])
    assert found["condition"].values.tolist() == [
        f"{task} colour={colour}" for task in "ab" for colour in ("green", "red")
    ]
    assert found["colour"].values.tolist() == ["green", "red"] * 2
    assert found["n_conditions"].values.tolist() == [2] * 4
    for task in "ab":
        for colour in ("red", "green"):
            np.testing.assert_allclose(
                found["condition_vector"].sel(condition=f"{task} colour={colour}"),
                brute_force(two_tasks(), task, [7], colour=colour),
                rtol=1e-6,
            )
    both = condition_vectors(two_tasks(ragged=ragged), ["motion", "colour"], tasks=["b"])
    assert both["condition"].values[0] == "b motion=-1 colour=green"


def test_units_that_lack_a_condition_are_refused_or_left_out():
    block = two_tasks(ragged=True)
    lacking = (block["observation_unit"].values == 1) & (block["motion"].values > 0)
    block = block.isel(observation=~lacking)
    with pytest.raises(nc.NotApplicableError, match="1 that were not: u1.*missing='leave_out'"):
        task_vectors(block)
    with pytest.warns(nc.UnitWarning, match="left out are 1 that were not: u1"):
        found = task_vectors(block, missing="leave_out")
    assert found["unit"].values.tolist() == ["u0", "u2", "u3"]
    assert found["area"].values.tolist() == ["x", "x", "y"]
    whole = task_vectors(two_tasks())["task_vector"].sel(unit=["u0", "u2", "u3"])
    np.testing.assert_allclose(found["task_vector"], whole, rtol=1e-6)
    none = two_tasks(ragged=True)
    lacking = (none["observation_unit"].values == 1) == (none["motion"].values > 0)
    none = none.isel(observation=~lacking)
    with pytest.raises(nc.NotApplicableError, match="Ask for fewer tasks"):
        task_vectors(none, missing="leave_out")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"epoch": "stim"}, nc.NotApplicableError, "epoch of a, b: .*Did you mean 'stim1'"),
        ({"epoch": "stim", "tasks": ["a"]}, nc.InputError, "epoch of a: .*Did you mean 'stim1'"),
        ({"tasks": ["c"]}, nc.InputError, "tasks: expected one of a, b, got 'c'"),
        ({"tasks": []}, nc.InputError, "tasks: expected at least one"),
        ({"at": "start"}, nc.InputError, "at: expected one of end, mean, a number"),
        (
            {"at": 0.51},
            nc.InputError,
            "at: .*up to 0.5, the length of epoch 'stim1' of a, got 0.51",
        ),
        ({"at": 0}, nc.InputError, "at: expected a time .s. above 0"),
        ({"at": float("nan")}, nc.InputError, "got nan"),
        ({"conditions": ["shape"]}, nc.InputError, "conditions: expected one of"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        task_vectors(two_tasks(), **arguments)


def test_conditions_need_columns_that_are_there():
    with pytest.raises(nc.InputError, match="columns: expected at least one"):
        condition_vectors(two_tasks(), [])
    with pytest.raises(nc.InputError, match="'speed'"):
        condition_vectors(two_tasks(), ["speed"])


def test_blocks_of_other_units_are_not_joined():
    first, second = (nc.select(two_tasks(), task=t) for t in "ab")
    activity = nc.make_activity({"a": first, "b": second.isel(unit=[1, 0, 2, 3])})
    with pytest.raises(nc.InputError, match="the same units in every block"):
        task_vectors(activity)


@pytest.fixture(scope="module")
def network():
    return Network(NetworkConfig(n_units=6), name="small")


def test_networks_are_compared_at_the_end_or_at_matched_times(network):
    blocks = {
        task: record(network, make_trials(task).isel(trial=slice(None, None, 8)), seed=3)
        for task in ("fdgo", "delaygo", "reactgo")
    }
    activity = nc.make_activity(blocks)
    with pytest.warns(UserWarning, match="reactgo left out: no epoch 'stim1'"):
        end = task_vectors(activity)
    assert end["task"].values.tolist() == ["fdgo", "delaygo"]
    # Go's stimulus lasts 1 s, Dly Go's half a second
    np.testing.assert_allclose(end["time_since_start"], [0.99, 0.49])
    expected = blocks["fdgo"]["rate"].values[:, 74].astype(float).mean(axis=0)
    np.testing.assert_allclose(end["task_vector"].sel(task="fdgo"), expected, rtol=1e-6)
    matched = task_vectors(activity, at=0.4, tasks=["fdgo", "delaygo"])
    np.testing.assert_allclose(matched["time_since_start"], 0.39)
    with pytest.raises(nc.InputError, match="epoch of reactgo: .*'stim1'"):
        task_vectors(activity, tasks=["reactgo"])


def test_results_survive_netcdf(tmp_path):
    vectors = condition_vectors(two_tasks(), ["motion"], at=0.4)
    space = task_space(vectors, vectors["condition"].values.tolist())
    for place, result in enumerate((vectors, task_vectors(two_tasks()), space)):
        result.to_netcdf(tmp_path / f"{place}.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / f"{place}.nc", engine="h5netcdf") as back:
            xr.testing.assert_equal(back.load(), result)
            assert back.attrs["analysis"] == result.attrs["analysis"]


def test_rule_vectors_are_the_rows_of_the_rule_inputs(network):
    weights = network_weights(network)
    found = rule_vectors(weights, ["delaygo", "fdgo"])
    rows = network.input_weight.detach().numpy()[[65 + 2, 65]]
    np.testing.assert_array_equal(found["task_vector"], rows)
    assert found.attrs["name"] == "small"
    assert found["unit"].values.tolist() == weights["unit"].values.tolist()
    assert rule_vectors(weights)["task_vector"].shape == (20, 6)
    with pytest.raises(nc.InputError, match="Did you mean 'fdgo'"):
        rule_vectors(weights, ["fdg"])
    with pytest.raises(nc.NotApplicableError, match="channels rule_TASK"):
        rule_vectors(weights.isel(input_channel=slice(65)))


@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
def test_axes_put_the_first_on_x_and_the_second_above(seed, n_vectors):
    rng = np.random.default_rng(seed)
    vectors = labelled(rng.standard_normal((n_vectors, 7)), "abcdef"[:n_vectors])
    tasks = vectors["task"].values.tolist()
    space = task_space(vectors, tasks)
    position, loading = space["position"].values, space["loading"].values
    assert position[0, 0] > 0
    assert position[0, 1] == pytest.approx(0, abs=1e-9)
    assert position[1, 1] > 0
    np.testing.assert_allclose(loading.T @ loading, np.eye(2), atol=1e-9)
    centred = vectors["task_vector"].values - space["centre"].values
    np.testing.assert_allclose(position, centred @ loading, atol=1e-9)
    # no plane holds more: the two largest eigenvalues of the scatter
    largest = np.linalg.eigvalsh(centred.T @ centred)[-2:].sum()
    assert (position**2).sum() == pytest.approx(largest)
    assert float(space["explained_variance"].sum()) == pytest.approx(1)
    assert float(space["shown_variance"]) == pytest.approx(largest / (centred**2).sum())


def test_positions_do_not_see_rotations_and_shifts_of_the_population():
    rng = np.random.default_rng(0)
    values, rotation = rng.standard_normal((4, 6)), random_rotation(6, rng)
    one = task_space(labelled(values, "abcd"), list("abcd"))["position"]
    two = task_space(labelled(values @ rotation + 3, "abcd"), list("abcd"))["position"]
    np.testing.assert_allclose(one, two, atol=1e-9)
    stretched = task_space(labelled(values * [9, 1, 1, 1, 1, 1], "abcd"), list("abcd"))
    assert not np.allclose(one, stretched["position"], atol=0.1)


def test_one_axis_points_to_the_first_and_three_keep_the_turn_in_the_plane():
    values = np.random.default_rng(1).standard_normal((5, 6))
    for sign in (1, -1):
        space = task_space(labelled(sign * values, "abcde"), list("abcde"), n_axes=1)
        assert space["position"].values[0, 0] > 0
    three = task_space(labelled(values, "abcde"), list("abcde"), n_axes=3)
    assert three["axis"].values.tolist() == ["x", "y", "z"]
    assert abs(three["position"].values[0, 1]) < 1e-9
    two = task_space(labelled(values, "abcde"), list("abcde"))
    np.testing.assert_allclose(three["position"][:, :2], two["position"], atol=1e-9)


@pytest.mark.parametrize(
    ("values", "tasks", "n_axes", "error", "match"),
    [
        (
            np.eye(3),
            ["a", "b"],
            2,
            nc.NotApplicableError,
            "vectors that differ along 2 axes, got 1 axes spanned by a, b",
        ),
        (
            np.eye(3),
            ["a", "b", "c"],
            0,
            nc.InputError,
            "n_axes: expected a whole number of 1 or more, got 0",
        ),
        (
            np.ones((3, 4)),
            ["a", "b", "c"],
            2,
            nc.NotApplicableError,
            "vectors: expected vectors that differ",
        ),
        (np.eye(3), ["a"], 1, nc.NotApplicableError, "expected vectors that differ"),
        (np.eye(3), ["a", "d"], 1, nc.InputError, "task: expected one of a, b, c, got 'd'"),
        (np.eye(3), ["a", "a", "b"], 1, nc.InputError, "tasks: expected different ones"),
    ],
)
def test_sets_that_span_too_little_are_refused(values, tasks, n_axes, error, match):
    with pytest.raises(error, match=match):
        task_space(labelled(values, "abc"), tasks, n_axes=n_axes)


def test_a_dataset_without_vectors_is_refused():
    with pytest.raises(nc.InputError, match="one of task_vector, condition_vector"):
        task_space(xr.Dataset({"task_variance": 0.0}), ["a", "b"])


def test_the_second_vector_is_never_left_below():
    # a reflection is needed where the turn alone puts the second below
    values = np.array([[2.0, 0.0], [-1.0, -1.0], [-1.0, 1.0]])
    for flip in (1, -1):
        position, axes, _ = principal_axes(values * [1, flip], 2)
        assert position[1, 1] > 0
        np.testing.assert_allclose(position, values * [1, flip] @ axes.T, atol=1e-12)


def cosine(x, y):
    return x @ y / np.sqrt((x @ x) * (y @ y))


def test_cosines_from_distances_equal_cosines_of_differences():
    vectors = np.random.default_rng(0).standard_normal((6, 9)) + 50
    quadruples = disjoint_quadruples(6)
    found = composition_cosines(squared_distances(vectors), quadruples)
    for (a, b, c, d), value in zip(quadruples, found, strict=True):
        expected = cosine(vectors[a] - vectors[b], vectors[c] - vectors[d])
        assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n_vectors", [3, 4, 5, 7])
def test_quadruples_hold_every_value_of_the_cosine_once(n_vectors):
    def alike(a, b, c, d):
        """The orders whose cosine is the same."""
        return min((a, b, c, d), (c, d, a, b), (b, a, d, c), (d, c, b, a))

    expected = {alike(*four) for four in permutations(range(n_vectors), 4)}
    found = [alike(*map(int, four)) for four in disjoint_quadruples(n_vectors)]
    assert len(found) == len(set(found))
    assert set(found) == expected


def spaces(n_networks, names=TASK_SETS["go"]):
    rng = np.random.default_rng(0)
    base = rng.standard_normal((4, 9))
    return [
        task_space(labelled(base + 0.1 * rng.standard_normal((4, 9)), names), list(names))
        for _ in range(n_networks)
    ]


@pytest.mark.parametrize(("n_networks", "clouds"), [(1, 4), (3, 8)])
def test_the_figure_of_task_space(n_networks, clouds):
    _, axes = new_figure()
    ax = plot_task_space(axes[0, 0], spaces(n_networks), names={"fdgo": "Go"})
    assert ax is axes[0, 0]
    assert len(ax.collections) == clouds
    assert [text.get_text() for text in ax.texts] == ["Go", "fdanti", "delaygo", "delayanti"]
    assert len({tuple(c.get_facecolor()[0][:3]) for c in ax.collections}) == 4
    assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim()))
    for space in spaces(n_networks):
        for (low, high), values in zip(
            (ax.get_xlim(), ax.get_ylim()), space["position"].values.T, strict=True
        ):
            assert low < values.min() < values.max() < high
    before = len(ax.texts)
    plot_differences(ax, spaces(n_networks), ("fdanti", "fdgo", "delayanti", "delaygo"))
    arrows = ax.texts[before:]
    means = np.mean([s["position"].values for s in spaces(n_networks)], axis=0)
    np.testing.assert_allclose([a.xy for a in arrows], means[[1, 3]])
    np.testing.assert_allclose([a.xyann for a in arrows], means[[0, 2]])
