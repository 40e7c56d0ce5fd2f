"""Groups of a pair of tasks and labelled weights: twins, invariances, the forms a network has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.selectivity.unit_groups import GROUPS, unit_groups
from nwbcompare.experiments.weights import network_weights
from nwbcompare.model import Network, NetworkConfig, from_arrays
from nwbcompare.plotting.style import new_figure
from nwbcompare.plotting.unit_groups import plot_group_scatter, plot_normalised_variance
from nwbcompare.tasks import make_trials
from nwbcompare.tasks.channels import RING_DIRECTIONS, modality_channels

PAIR = ("contextdm1", "contextdm2")


def variance_of(pairs, **attrs):
    values = np.asarray(pairs, dtype=float).reshape(-1, 2)
    return xr.Dataset(
        {"task_variance": (("unit", "task"), values)},
        coords={
            "unit": [f"u{i:02d}" for i in range(len(values))],
            "area": ("unit", ["pfc"] * len(values)),
            "task": ["a", "b"],
        },
        attrs={"name": "toy", **attrs},
    )


def plain_group(a, b):
    if np.isnan(a + b) or a + b <= 1e-3:
        return ""
    share = a / (a + b)
    if share > 0.9:
        return "1"
    if share < 0.1:
        return "2"
    return "12" if 0.4 < share < 0.6 else ""


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=20))
def test_groups_equal_a_plain_loop(pairs):
    result = unit_groups(variance_of(pairs), "a", "b")
    assert result["group"].values.tolist() == [plain_group(a, b) for a, b in pairs]
    sizes = [int((result["group"] == group).sum()) for group in GROUPS]
    assert result["group_size"].values.tolist() == sizes


def test_bounds_are_in_no_group():
    result = unit_groups(variance_of([(9, 1), (4, 6), (6, 4), (1, 1), (10, 1), (1, 10)]), "a", "b")
    assert result["group"].values.tolist() == ["", "", "", "12", "1", "2"]
    np.testing.assert_allclose(result["normalised_variance"][:3], [0.9, 0.4, 0.6])


def test_exchanging_the_tasks_exchanges_the_groups(rng):
    variance = variance_of(rng.exponential(size=(60, 2)) ** 3)
    one, other = unit_groups(variance, "a", "b"), unit_groups(variance, "b", "a")
    exchanged = {"1": "2", "2": "1", "12": "12", "": ""}
    assert [exchanged[group] for group in one["group"].values] == other["group"].values.tolist()
    assert one["group_size"].sel(group_label="1") == other["group_size"].sel(group_label="2") > 0


def test_units_in_another_order_and_scaled_rates(rng):
    variance = variance_of(rng.exponential(size=(40, 2)) ** 3)
    order = rng.permutation(40)
    groups = unit_groups(variance, "a", "b")
    xr.testing.assert_identical(
        unit_groups(variance.isel(unit=order), "a", "b"), groups.isel(unit=order)
    )
    scaled = variance.assign(task_variance=variance["task_variance"] * 100)
    open_to_all = [unit_groups(v, "a", "b", threshold=0.0)["group"] for v in (variance, scaled)]
    xr.testing.assert_equal(*open_to_all)
    small = variance.assign(task_variance=variance["task_variance"] * 1e-5)
    assert not (unit_groups(small, "a", "b")["group"] == groups["group"]).all()


def test_constant_units_are_in_no_group():
    result = unit_groups(variance_of(np.zeros((4, 2))), "a", "b")
    assert result["group"].values.tolist() == [""] * 4
    assert result["group_size"].values.tolist() == [0, 0, 0]
    assert result["normalised_variance"].isnull().all()


def test_units_that_lack_a_task_are_named_and_in_no_group():
    variance = variance_of([(1, 0), (np.nan, 1), (1, 1)])
    with pytest.warns(nc.UnitWarning, match="1 units lack 'a' or 'b' and are in no group: u01"):
        result = unit_groups(variance, "a", "b")
    assert result["group"].values.tolist() == ["1", "", "12"]


def test_a_pair_of_known_tasks_is_needed():
    with pytest.raises(nc.InputError, match="task: expected one of a, b, got 'c'"):
        unit_groups(variance_of([(1, 1)]), "a", "c")
    with pytest.raises(nc.InputError, match="task_b: expected a task other than 'a'"):
        unit_groups(variance_of([(1, 1)]), "a", "a")


def test_recordings_have_groups_too_and_results_are_saved(rng, tmp_path):
    task, condition = np.repeat(["a", "b"], 40), np.tile([0.0, 1.0], 40)
    driven = np.stack([task == "a", task == "b", task != ""], axis=1) * condition[:, None]
    block = nc.make_block(
        10 * driven[:, None] + rng.standard_normal((80, 4, 3)),
        time_s=(np.arange(4) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="stimulus",
        trials={"task": task, "c": condition},
        units={"unit": ["x", "y", "z"], "area": ["pfc", "pfc", "fef"]},
        condition_variables={"a": ["c"], "b": ["c"]},
        source="recording",
        name="toy",
    )
    result = unit_groups(nc.task_variance(block), "a", "b")
    assert result["group"].values.tolist() == ["1", "2", "12"]
    assert result["area"].values.tolist() == ["pfc", "pfc", "fef"]
    assert result.attrs["analysis"] == "unit_groups"
    result.to_netcdf(tmp_path / "groups.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "groups.nc", engine="h5netcdf"), result)


@pytest.mark.shared
def test_groups_of_the_reference_network_equal_the_published_definition(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        tasks, values = oracle["tasks"].tolist(), oracle["task_variance"]
    variance = xr.Dataset(
        {"task_variance": (("unit", "task"), values)},
        coords={"unit": [f"h{i:03d}" for i in range(256)], "task": tasks},
    )
    both = values[:, [tasks.index(task) for task in PAIR]]
    active = np.flatnonzero(both.sum(axis=1) > 1e-3)
    share = (both[active].T / both[active].sum(axis=1))[0]
    result = unit_groups(variance, *PAIR)["group"].values
    assert np.flatnonzero(result == "1").tolist() == active[share > 0.9].tolist()
    assert np.flatnonzero(result == "2").tolist() == active[share < 0.1].tolist()
    middle = active[(share > 0.4) & (share < 0.6)]
    assert np.flatnonzero(result == "12").tolist() == middle.tolist()
    assert [np.sum(result == group) for group in GROUPS] == [16, 22, 78]


FORMS = {
    "plain": {},
    "gru": {"cell": "leaky_gru"},
    "rules apart": {"separate_rule_input": True},
    "rules mixed": {"rule_mixing_seed": 3},
    "gru, rules mixed": {"cell": "leaky_gru", "rule_mixing_seed": 3},
}


def run_by_hand(weights, inputs, alpha):
    """Run trials from the labelled weights alone."""

    def into(x, h, weight, recurrent, bias):
        return x @ weight.values + h @ recurrent.values + bias.values

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h = np.zeros((inputs.shape[1], weights.sizes["unit"]))
    for x in inputs:
        if weights.attrs["cell"] == "leaky_gru":
            reset, update = (
                sigmoid(
                    into(
                        x,
                        h,
                        *(
                            weights[f"gate_{name}"].sel(gate=gate)
                            for name in ("input_weight", "recurrent_weight", "bias")
                        ),
                    )
                )
                for gate in ("reset", "update")
            )
        else:
            reset, update = 1.0, 1.0
        own = [weights[name] for name in ("input_weight", "recurrent_weight", "bias")]
        h = h + alpha * update * (np.logaddexp(0, into(x, reset * h, *own)) - h)
    return sigmoid(h @ weights["output_weight"].values + weights["output_bias"].values)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lesioned", [False, True])
def test_the_labelled_weights_are_the_whole_network(form, lesioned):
    network = Network(NetworkConfig(n_units=9, seed=1, **FORMS[form]))
    with torch.no_grad():
        network.recurrent_weight.add_(0.3 * torch.randn(9, 9, generator=torch.manual_seed(0)))
    view = network.lesioned([2, 5]) if lesioned else network
    inputs = torch.rand(12, 4, 85, generator=torch.manual_seed(1))
    with torch.no_grad():
        _, outputs = view(inputs)
    by_hand = run_by_hand(network_weights(view), inputs.numpy().astype(float), alpha=0.2)
    np.testing.assert_allclose(outputs[-1], by_hand, atol=1e-5)


def test_weights_join_with_activity_by_unit():
    network = Network(NetworkConfig(n_units=8), name="mine")
    weights, block = network_weights(network), nc.record(network, make_trials("fdgo"))
    xr.testing.assert_identical(weights["unit"], block["unit"].drop_attrs())
    assert weights["unit_from"].values.tolist() == block["unit"].values.tolist()
    assert weights.attrs["name"] == "mine"


def test_channels_are_named():
    weights = network_weights(Network(NetworkConfig(n_units=8, rules=PAIR)))
    for modality in (1, 2):
        ring = weights.isel(input_channel=weights["input_modality"].values == modality)
        assert ring["input_channel"].values[3] == f"modality{modality}_03"
        np.testing.assert_array_equal(ring["input_direction"], RING_DIRECTIONS)
    rules = weights.isel(input_channel=weights["input_rule"].values != "")
    assert rules["input_rule"].values.tolist() == list(PAIR)
    assert rules["input_channel"].values.tolist() == [f"rule_{rule}" for rule in PAIR]
    assert weights["input_direction"].isnull().sum() == 3
    np.testing.assert_array_equal(weights["output_direction"][1:], RING_DIRECTIONS)


def network_of(rng, n_units=8, turn=0):
    into = rng.standard_normal((85, n_units))
    out = rng.standard_normal((n_units, 33))
    for modality in (1, 2):
        into[modality_channels(modality)] = np.roll(into[modality_channels(modality)], turn, axis=0)
    return from_arrays(into, np.eye(n_units), np.zeros(n_units), out, np.zeros(33))


def test_preferred_directions_equal_a_plain_loop_and_turn_with_the_rings():
    weights = network_weights(network_of(np.random.default_rng(0)))
    turned = network_weights(network_of(np.random.default_rng(0), turn=5))
    for unit in range(8):
        into, out = weights["input_weight"].values[:, unit], weights["output_weight"].values[unit]
        both = [(into[1 + k] + into[33 + k]) / 2 for k in range(32)]
        place = both.index(max(both))
        assert weights["preferred_direction"][unit] == pytest.approx(place * 2 * np.pi / 32)
        assert turned["preferred_direction"][unit] == pytest.approx(
            (place + 5) % 32 * 2 * np.pi / 32
        )
        assert weights["preferred_output_direction"][unit] == pytest.approx(
            int(np.argmax(out[1:])) * 2 * np.pi / 32
        )


def test_of_equal_channels_the_first_is_preferred():
    network = from_arrays(
        np.zeros((85, 3)), np.eye(3), np.zeros(3), np.zeros((3, 33)), np.zeros(33)
    )
    assert not network_weights(network)["preferred_direction"].any()


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_saved_and_are_a_copy(form, tmp_path):
    network = Network(NetworkConfig(n_units=4, **FORMS[form]))
    weights = network_weights(network)
    weights.to_netcdf(tmp_path / "weights.nc", engine="h5netcdf")
    xr.testing.assert_identical(
        xr.load_dataset(tmp_path / "weights.nc", engine="h5netcdf"), weights
    )
    weights["recurrent_weight"][:] = 7
    assert float(network.recurrent_weight.detach().max()) < 7


def test_the_scatter_shows_every_active_unit_once():
    groups = unit_groups(variance_of([(1, 0), (0, 1), (1, 1), (3, 1), (0, 0)]), "a", "b")
    _, axes = new_figure()
    ax = plot_group_scatter(axes[0, 0], groups, names={"a": "Task A"})
    drawn = [points.get_offsets() for points in ax.collections]
    assert [len(points) for points in drawn] == [1, 1, 1, 1]
    assert all((points > 0).all() for points in drawn)
    assert ax.get_xlabel() == "task variance, Task A"
    assert ax.get_ylabel() == "task variance, b"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["no group (1)", "group 1 (1)", "group 2 (1)", "group 12 (1)"]


def test_the_histogram_shades_the_groups():
    groups = unit_groups(variance_of([(1, 0), (1, 0), (1, 1), (0, 0)]), "a", "b")
    _, axes = new_figure()
    ax = plot_normalised_variance(axes[0, 0], groups)
    counts = ax.patches[0].get_data().values
    assert counts.sum() == 3
    assert counts[-1] == 2
    assert len(ax.patches) == 4
    assert {text.get_text() for text in ax.texts} == {"group 1\n2", "group 2\n0", "group 12\n1"}


def test_a_pair_without_active_units_is_drawn_empty():
    groups = unit_groups(variance_of(np.zeros((3, 2))), "a", "b")
    _, axes = new_figure(1, 2)
    plot_group_scatter(axes[0, 0], groups)
    assert plot_normalised_variance(axes[0, 1], groups).get_ylim() == (0, 1.15)


@pytest.fixture
def rng():
    return np.random.default_rng(1)
