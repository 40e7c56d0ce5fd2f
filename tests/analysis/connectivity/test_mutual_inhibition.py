"""Weights by group and mutual inhibition: twins, calibration and power, invariances."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.connectivity.kernels.mutual_inhibition import (
    _means_between,
    _shuffled_within,
    mean_over_pairs,
    permuted_statistic,
)
from nwbcompare.analysis.connectivity.mutual_inhibition import (
    group_weights,
    mutual_inhibition,
    weight_by_direction,
)
from nwbcompare.analysis.selectivity.unit_groups import GROUPS, unit_groups
from nwbcompare.experiments.weights import network_weights
from nwbcompare.model import from_arrays, pretrained
from nwbcompare.plotting.style import BLACK, new_figure
from nwbcompare.plotting.unit_groups import (
    plot_group_matrix,
    plot_inhibition,
    plot_input_tuning,
    plot_output_tuning,
    plot_rule_weights,
    plot_weight_by_direction,
)
from nwbcompare.tasks.channels import angular_distance, modality_channels
from nwbcompare.workflows.sources import record_test_trials

STEP = 2 * np.pi / 32
NEAR = np.pi / 6


def toy(recurrent, places, labels, *, name="toy"):
    """Weights and groups of units with the given preferred channels and groups."""
    units = [f"h{i:03d}" for i in range(len(places))]
    weights = xr.Dataset(
        {
            "recurrent_weight": (("unit_from", "unit_to"), recurrent),
            "preferred_direction": ("unit", np.asarray(places) * STEP),
        },
        coords={"unit": units, "unit_from": units, "unit_to": units},
        attrs={"name": name},
    )
    return weights, groups_of(labels, units, name=name)


def groups_of(labels, units, *, name="toy"):
    shares = {"1": (1.0, 0.0), "2": (0.0, 1.0), "12": (1.0, 1.0), "": (0.0, 0.0)}
    variance = xr.Dataset(
        {"task_variance": (("unit", "task"), [shares[label] for label in labels])},
        coords={"unit": units, "task": ["a", "b"]},
        attrs={"name": name},
    )
    return unit_groups(variance, "a", "b")


def random_toy(rng, n_units=30):
    labels = rng.choice(["1", "2", "12", ""], p=[0.4, 0.4, 0.1, 0.1], size=n_units)
    return toy(
        rng.standard_normal((n_units, n_units)), rng.integers(0, 32, n_units), labels.tolist()
    )


def random_network(rng, *, labels, turn=0, name="network"):
    n_units = len(labels)
    into, out = rng.standard_normal((85, n_units)), rng.standard_normal((n_units, 33))
    recurrent = rng.standard_normal((n_units, n_units))
    for modality in (1, 2):
        ring = modality_channels(modality)
        into[ring] = np.roll(into[ring], turn, axis=0)
    out[:, 1:] = np.roll(out[:, 1:], turn, axis=1)
    network = from_arrays(into, recurrent, np.zeros(n_units), out, np.zeros(33), name=name)
    weights = network_weights(network)
    return weights, groups_of(labels, weights["unit"].values, name=name)


LABELS = ["1", "2", "12", ""] * 10


def two_only(weights):
    """Groups of a random network without group 12."""
    return groups_of(["1", "2"] * 20, weights["unit"].values, name="network")


def plain_pairs(weights, labels, a, b, chosen):
    """The weights from units of one group to units of another, pair by pair."""
    direction = weights["preferred_direction"].values
    for i, j in itertools.product(range(len(labels)), repeat=2):
        apart = abs(direction[i] - direction[j])
        apart = min(apart, 2 * np.pi - apart)
        if i != j and labels[i] == a and labels[j] == b and chosen(apart):
            yield float(weights["recurrent_weight"][i, j])


@given(st.integers(2, 7), st.integers(0, 1000))
def test_the_mean_over_pairs_and_its_error_equal_a_plain_loop(n_units, seed):
    rng = np.random.default_rng(seed)
    weights, pairs = rng.standard_normal((n_units, n_units)), rng.random((n_units, n_units)) < 0.5

    def plain_mean(out=None):
        values = [
            weights[i, j]
            for i, j in itertools.product(range(n_units), repeat=2)
            if pairs[i, j] and out not in (i, j)
        ]
        return np.mean(values) if values else np.nan

    got = mean_over_pairs(weights, pairs)
    assert got.n_pairs == pairs.sum()
    if not got.n_pairs:
        assert np.isnan(got.mean)
        return
    assert got.mean == pytest.approx(plain_mean())
    units = [u for u in range(n_units) if pairs[u].any() or pairs[:, u].any()]
    without = np.array([plain_mean(u) for u in units])
    expected = np.sqrt((len(units) - 1) / len(units) * ((without - got.mean) ** 2).sum())
    assert got.standard_error == pytest.approx(expected, nan_ok=True)


def test_the_standard_error_covers_the_truth_where_units_differ():
    # sender and receiver effects: pairs are far from independent
    rng, others = np.random.default_rng(0), ~np.eye(20, dtype=bool)
    covered, naive = [], []
    for _ in range(300):
        weights = rng.standard_normal((20, 1)) + rng.standard_normal(20)
        weights = weights + 0.3 * rng.standard_normal((20, 20))
        got = mean_over_pairs(weights, others)
        covered.append(abs(got.mean) < 1.96 * got.standard_error)
        naive.append(abs(got.mean) < 1.96 * weights[others].std() / np.sqrt(others.sum()))
    assert 0.88 < np.mean(covered) < 0.99
    assert np.mean(naive) < 0.5


@given(st.integers(4, 9), st.integers(0, 1000))
def test_means_between_groups_equal_a_plain_loop(n_units, seed):
    rng = np.random.default_rng(seed)
    weights, pairs = rng.standard_normal((n_units, n_units)), rng.random((n_units, n_units)) < 0.6
    drawn = rng.random((3, n_units)) < 0.5
    got = _means_between(weights, pairs, drawn)
    for draw, a, b in itertools.product(range(3), range(2), range(2)):
        values = [
            weights[i, j]
            for i, j in itertools.product(range(n_units), repeat=2)
            if pairs[i, j] and drawn[draw, i] == a and drawn[draw, j] == b
        ]
        expected = np.mean(values) if values else np.nan
        assert got[draw, a, b] == pytest.approx(expected, nan_ok=True)


@given(st.integers(1, 20), st.integers(0, 1000))
def test_labels_are_permuted_within_bins_only(n_units, seed):
    rng = np.random.default_rng(seed)
    bins, labels = rng.integers(0, 4, n_units), rng.random(n_units) < 0.5
    drawn = _shuffled_within(labels, bins, n_draws=5, rng=rng)
    for which in range(4):
        own = bins == which
        assert (drawn[:, own].sum(axis=1) == labels[own].sum()).all()


def test_every_arrangement_within_bins_is_as_likely():
    labels, bins = np.array([True, False, False, True, False]), np.array([0, 1, 0, 1, 0])
    drawn = _shuffled_within(labels, bins, n_draws=6000, rng=np.random.default_rng(0))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert counts.size == 3 * 2
    assert abs(counts - 1000).max() < 4 * np.sqrt(1000)


def test_the_permuted_statistic_does_not_depend_on_the_batches(monkeypatch):
    rng = np.random.default_rng(0)
    weights, second = rng.standard_normal((12, 12)), np.arange(12) % 2 == 0
    arguments = (weights, ~np.eye(12, dtype=bool), second, np.arange(12) // 4)
    one, other = (
        permuted_statistic(*arguments, n_permutations=50, rng=np.random.default_rng(3))
        for _ in (
            None,
            monkeypatch.setattr(
                "nwbcompare.analysis.connectivity.kernels.mutual_inhibition.DRAWS_AT_ONCE", 7
            ),
        )
    )
    np.testing.assert_array_equal(one, other)
    expected = []
    for drawn in _shuffled_within(second, arguments[3], n_draws=50, rng=np.random.default_rng(3)):
        w = {
            (a, b): np.mean(
                [weights[i, j] for i in range(12) for j in range(12)
                 if i != j and drawn[i] == a and drawn[j] == b]
            )
            for a in (False, True) for b in (False, True)
        }  # fmt: skip
        expected.append(w[False, True] + w[True, False] - w[False, False] - w[True, True])
    np.testing.assert_allclose(one, expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_result_equals_a_plain_loop(seed):
    weights, groups = random_toy(np.random.default_rng(seed))
    result = mutual_inhibition(weights, groups, n_permutations=199, seed=seed)
    labels = groups["group"].values.tolist()
    mean = {}
    for a, b in itertools.product("12", repeat=2):
        values = list(plain_pairs(weights, labels, a, b, lambda apart: apart < NEAR))
        cell = result.sel(group_from=a, group_to=b)
        mean[a + b] = np.mean(values)
        assert float(cell["mean_weight"]) == pytest.approx(mean[a + b])
        assert int(cell["n_pairs"]) == len(values)
    statistic = mean["12"] + mean["21"] - mean["11"] - mean["22"]
    assert float(result["statistic"]) == pytest.approx(statistic)
    null = result["null_statistic"].values
    lower = (1 + sum(value <= statistic + 1e-9 for value in null)) / 200
    upper = (1 + sum(value >= statistic - 1e-9 for value in null)) / 200
    assert float(result["p_lower"]) == pytest.approx(lower)
    assert float(result["p_two_sided"]) == pytest.approx(min(1, 2 * min(lower, upper)))


@pytest.mark.shared
def test_the_means_of_the_reference_network_equal_the_published_code(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        arrays = {name: oracle[name] for name in names}
        tasks, variance = oracle["tasks"].tolist(), oracle["task_variance"]
    weights = network_weights(from_arrays(**arrays, name="reference"))
    labelled = xr.Dataset(
        {"task_variance": (("unit", "task"), variance)},
        coords={"unit": weights["unit"].values, "task": tasks},
        attrs={"name": "reference"},
    )
    groups = unit_groups(labelled, "contextdm1", "contextdm2")
    rings = arrays["input_weight"][1:65].reshape(2, 32, -1).mean(axis=0)
    preferred = rings.argmax(axis=0) * 2 * np.pi / 32
    result = group_weights(weights, groups)["recurrent_weight"].sel(selection="near")
    for a, b in itertools.product(GROUPS, repeat=2):
        values = [
            arrays["recurrent_weight"][i, j]
            for i in np.flatnonzero(groups["group"] == a)
            for j in np.flatnonzero(groups["group"] == b)
            if i != j and angular_distance(preferred[i], preferred[j]) < np.pi / 6
        ]
        assert float(result.sel(group_from=a, group_to=b)) == pytest.approx(
            np.mean(np.float64(values)), abs=1e-7
        )
    assert bool(mutual_inhibition(weights, groups, n_permutations=999)["called_inhibition"])


def test_a_network_that_comes_with_the_package_inhibits_between_its_groups():
    network = pretrained("ctxdm-0")
    tasks = ["contextdm1", "contextdm2"]
    groups = unit_groups(nc.task_variance(record_test_trials(network, tasks)), *tasks)
    weights = network_weights(network)
    result = mutual_inhibition(weights, groups, n_permutations=999)
    assert bool(result["called_inhibition"])
    assert float(result["p_lower"]) < 0.01
    curves = weight_by_direction(weights, groups, n_bins=4)["weight"]
    # not lateral inhibition: the groups part at every difference of direction
    assert (curves.sel(relation="between") < curves.sel(relation="within")).all()


def simulated(rng, kind, *, n_units=40):
    """Weights of 40 units, the groups of which may mean something or not."""
    places = rng.integers(0, 32, n_units)
    direction = places * STEP
    # groups prefer different directions, unless their means are what is asked for
    chance = 0.5 if kind == "inhibition" else 1 / (1 + np.exp(-3 * np.cos(direction)))
    labels = np.where(rng.random(n_units) < chance, "1", "2")
    apart = angular_distance(direction[:, None], direction)
    weights = 0.1 * rng.standard_normal((n_units, n_units))
    if kind == "by sender":
        weights += 0.3 * np.cos(2 * direction)[:, None]
    else:
        weights += 0.5 * np.exp(-0.5 * (apart / 0.3) ** 2) - 0.8
    if kind == "inhibition":
        weights -= 0.1 * (labels[:, None] != labels)
    return toy(weights, places, labels.tolist())


def rate(kind, *, n_bins, n=200):
    rng = np.random.default_rng(5)
    ps = []
    for seed in range(n):
        try:
            result = mutual_inhibition(
                *simulated(rng, kind), n_bins=n_bins, n_permutations=199, seed=seed
            )
        except nc.NotApplicableError:  # a group without pairs
            continue
        ps.append(float(result["p_lower"]))
    assert len(ps) > 0.9 * n
    return np.mean(np.array(ps) < 0.05)


def test_lateral_inhibition_alone_is_not_taken_for_inhibition_between_groups():
    # W12 and W21 are negative here: it is the permutation that tells
    assert rate("lateral", n_bins=8) < 0.09


def test_inhibition_between_groups_is_found():
    assert rate("inhibition", n_bins=8, n=60) > 0.9


def test_without_bins_groups_of_different_directions_pass_for_inhibition():
    assert rate("by sender", n_bins=1) > 0.5
    assert rate("by sender", n_bins=16) < 0.09


def test_excitation_within_groups_alone_is_not_called_inhibition():
    rng = np.random.default_rng(0)
    labels = np.array(["1", "2"] * 20)
    weights = 0.5 * (labels[:, None] == labels) + 0.01 * rng.random((40, 40))
    result = mutual_inhibition(*toy(weights, rng.integers(0, 32, 40), labels.tolist()))
    assert float(result["p_lower"]) < 0.001
    assert (result["mean_weight"] > 0).all()
    assert not bool(result["called_inhibition"])


def test_units_in_another_order_give_the_same_result():
    rng = np.random.default_rng(2)
    weights, groups = random_toy(rng)
    order = rng.permutation(30)
    moved = weights.isel(unit=order, unit_from=order, unit_to=order)
    # rows and columns are found by id, whatever the order of the unit table
    for other in (moved, weights.isel(unit=order), weights.transpose("unit_to", ...)):
        for analyse in (mutual_inhibition, weight_by_direction):
            with quiet():
                mixed = groups.isel(unit=rng.permutation(30))
                xr.testing.assert_allclose(
                    analyse(other, mixed), analyse(weights, groups), rtol=1e-9
                )
    exchanged = weights.copy()
    exchanged["recurrent_weight"] = (
        weights["recurrent_weight"].isel(unit_to=order).drop_vars("unit_to")
    )
    assert float(mutual_inhibition(exchanged, groups)["statistic"]) != pytest.approx(
        float(mutual_inhibition(weights, groups)["statistic"])
    )


@pytest.mark.parametrize("turn", [1, 4, 13])
def test_turning_all_preferred_directions_together_changes_nothing(turn):
    labels = LABELS
    weights, groups = random_network(np.random.default_rng(3), labels=labels)
    turned, _ = random_network(np.random.default_rng(3), labels=labels, turn=turn)
    xr.testing.assert_allclose(group_weights(turned, groups), group_weights(weights, groups))
    one, other = (mutual_inhibition(w, groups) for w in (weights, turned))
    assert float(one["statistic"]) == pytest.approx(float(other["statistic"]))
    with quiet():
        xr.testing.assert_allclose(
            weight_by_direction(turned, groups), weight_by_direction(weights, groups)
        )


def test_turning_some_preferred_directions_changes_the_statistic():
    weights, groups = random_toy(np.random.default_rng(4))
    turned = weights.copy(deep=True)
    turned["preferred_direction"][::2] = (turned["preferred_direction"][::2] + 9 * STEP) % (
        2 * np.pi
    )
    assert float(mutual_inhibition(weights, groups)["statistic"]) != pytest.approx(
        float(mutual_inhibition(turned, groups)["statistic"])
    )


def test_exchanging_the_groups_and_scaling_the_weights():
    weights, groups = random_toy(np.random.default_rng(6))
    labels = [{"1": "2", "2": "1"}.get(label, label) for label in groups["group"].values]
    other = mutual_inhibition(weights, groups_of(labels, weights["unit"].values))
    one = mutual_inhibition(weights, groups)
    assert float(one["statistic"]) == pytest.approx(float(other["statistic"]))
    assert float(one["p_lower"]) == pytest.approx(float(other["p_lower"]), abs=0.02)
    tripled = weights.assign(recurrent_weight=3 * weights["recurrent_weight"])
    more = mutual_inhibition(tripled, groups)
    assert float(more["statistic"]) == pytest.approx(3 * float(one["statistic"]))
    assert float(more["p_lower"]) == float(one["p_lower"])


def test_weights_from_a_unit_to_itself_do_not_count():
    weights, groups = random_network(np.random.default_rng(7), labels=LABELS)
    without = weights.copy(deep=True)
    np.fill_diagonal(without["recurrent_weight"].values, 1e3)
    with quiet():
        for analyse in (mutual_inhibition, weight_by_direction, group_weights):
            xr.testing.assert_identical(analyse(weights, groups), analyse(without, groups))


def test_the_seed_decides_the_permutations():
    weights, groups = random_toy(np.random.default_rng(8))
    one, same, other = (mutual_inhibition(weights, groups, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_identical(one, same)
    assert not np.array_equal(one["null_statistic"], other["null_statistic"])


def test_units_that_cannot_be_exchanged_give_a_p_of_1():
    places, labels = [0, 1, 0, 3, 4, 5, 5, 4], list("11112222")
    result = mutual_inhibition(
        *toy(np.random.default_rng(0).standard_normal((8, 8)), places, labels), n_bins=8
    )
    assert int(result["n_exchangeable_units"]) == 0
    assert float(result["p_lower"]) == float(result["p_two_sided"]) == 1
    assert not bool(result["called_inhibition"])


def test_permutations_without_pairs_count_as_extreme():
    # one pair within each group: most permutations across the far directions leave none
    places, labels = [0, 0, 0, 16, 16, 8], list("112221")
    matrix = np.where(np.array(labels)[:, None] == np.array(labels), 1.0, -1.0)
    result = mutual_inhibition(*toy(matrix, places, labels), n_bins=1)
    undefined = int(result["null_statistic"].isnull().sum())
    assert undefined > 0
    assert float(result["p_lower"]) >= (1 + undefined) / 10000


def test_group_weights_equal_plain_loops():
    labels = LABELS
    weights, groups = random_network(np.random.default_rng(9), labels=labels)
    result = group_weights(weights, groups)
    into, out = weights["input_weight"].values, weights["output_weight"].values
    places = np.round(weights["preferred_direction"].values / STEP).astype(int)
    for group in GROUPS:
        own = [u for u, label in enumerate(labels) if label == group]
        assert int(result["group_size"].sel(group=group)) == len(own) == 10
        for place, difference in enumerate(result["direction_difference"].values):
            k = round(difference / STEP)
            for modality in (1, 2):
                values = [into[1 + 32 * (modality - 1) + (places[u] + k) % 32, u] for u in own]
                cell = result.isel(direction_difference=place).sel(group=group, modality=modality)
                assert float(cell["input_weight"]) == pytest.approx(np.mean(values), abs=1e-6)
                assert float(cell["input_weight_se"]) == pytest.approx(
                    np.std(values, ddof=1) / np.sqrt(10), rel=1e-5
                )
            values = [out[u, 1 + (places[u] + k) % 32] for u in own]
            cell = result.isel(direction_difference=place).sel(group=group)
            assert float(cell["output_weight"]) == pytest.approx(np.mean(values), abs=1e-6)
        rule = result["rule_weight"].sel(rule="dm2", group=group)
        channel = weights["input_channel"].values.tolist().index("rule_dm2")
        assert float(rule) == pytest.approx(np.mean(into[channel, own]), abs=1e-6)
    for a, b in itertools.product(GROUPS, repeat=2):
        cell = result.sel(group_from=a, group_to=b)
        for selection, chosen in (("all", lambda _: True), ("near", lambda apart: apart < NEAR)):
            values = list(plain_pairs(weights, labels, a, b, chosen))
            assert float(cell["recurrent_weight"].sel(selection=selection)) == pytest.approx(
                np.mean(values)
            )
            assert int(cell["n_pairs"].sel(selection=selection)) == len(values)


def test_a_pair_at_the_bound_is_not_near():
    rng = np.random.default_rng(0)
    places, labels = [0, 2, 4, 30, 1, 3, 5, 31], list("12121212")
    matrix = rng.standard_normal((8, 8))
    at, above = (
        int(mutual_inhibition(*toy(matrix, places, labels), within=w)["n_pairs"].sum())
        for w in (2 * STEP, 2 * STEP + 1e-6)
    )
    apart = angular_distance(np.array(places)[:, None] * STEP, np.array(places) * STEP) / STEP
    assert at == (np.round(apart) < 2).sum() - 8
    assert above == (np.round(apart) <= 2).sum() - 8


def test_weight_by_direction_equals_a_plain_loop():
    weights, groups = random_toy(np.random.default_rng(10), n_units=60)
    labels = groups["group"].values.tolist()
    with quiet():
        result = weight_by_direction(weights, groups)
    for which, middle in enumerate(result["direction_difference"].values):
        low, high = middle - np.pi / 24 - 1e-6, middle + np.pi / 24 - 1e-6
        last = which == 11

        def inside(apart, low=low, high=high, last=last):
            return low <= apart and (apart < high or last)

        for relation, pairs in (("within", ("11", "22")), ("between", ("12", "21"))):
            values = [v for a, b in pairs for v in plain_pairs(weights, labels, a, b, inside)]
            cell = result.sel(relation=relation).isel(direction_difference=which)
            assert int(cell["n_pairs"]) == len(values) > 0
            assert float(cell["weight"]) == pytest.approx(np.mean(values))
    n_units = int(np.isin(labels, ["1", "2"]).sum())
    assert int(result["n_pairs"].sum()) == n_units * (n_units - 1)


def test_pure_lateral_inhibition_gives_the_same_curve_within_and_between():
    rng = np.random.default_rng(11)
    places = rng.integers(0, 32, 80)
    apart = angular_distance(places[:, None] * STEP, places * STEP)
    weights, groups = toy(np.cos(apart), places, rng.choice(["1", "2"], 80).tolist())
    curves = weight_by_direction(weights, groups, n_bins=16)["weight"]
    np.testing.assert_allclose(
        curves.sel(relation="within"), curves.sel(relation="between"), atol=0.06
    )
    assert float(curves.max() - curves.min()) > 1.5


ANALYSES = [group_weights, mutual_inhibition, weight_by_direction]


@pytest.mark.parametrize("analyse", ANALYSES)
def test_results_are_saved_with_their_parameters(analyse, tmp_path):
    weights, groups = random_network(np.random.default_rng(12), labels=LABELS)
    with quiet():
        result = analyse(weights, groups)
    assert result.attrs["analysis"] == analyse.__name__
    assert result.attrs["name"] == "network"
    assert (result.attrs["task_a"], result.attrs["task_b"]) == ("a", "b")
    result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    back = xr.load_dataset(tmp_path / "result.nc", engine="h5netcdf")
    xr.testing.assert_identical(back, result)


@pytest.mark.parametrize("analyse", ANALYSES)
def test_groups_of_another_network_are_refused(analyse):
    weights, groups = random_network(np.random.default_rng(0), labels=LABELS, name="one")
    with pytest.raises(nc.InputError, match="groups of 'one', as the weights, got those of 'two'"):
        analyse(weights, groups.assign_attrs(name="two"))
    strangers = groups.assign_coords(unit=[f"neuron{i}" for i in range(40)])
    with pytest.raises(nc.InputError, match="units that are in the weights, got others: neuron0"):
        analyse(weights, strangers)


def test_units_without_groups_are_in_none():
    weights, groups = random_toy(np.random.default_rng(13))
    grouped = groups.isel(unit=np.flatnonzero(np.isin(groups["group"].values, ["1", "2"])))
    xr.testing.assert_identical(
        mutual_inhibition(weights, grouped), mutual_inhibition(weights, groups)
    )


@pytest.mark.parametrize("analyse", [mutual_inhibition, weight_by_direction])
def test_an_empty_group_is_refused_by_name(analyse):
    weights, groups = toy(np.zeros((4, 4)), [0, 0, 1, 1], ["1", "1", "12", ""])
    with pytest.raises(
        nc.NotApplicableError, match="group '2': expected at least one unit, got none"
    ):
        analyse(weights, groups)


def test_groups_without_pairs_are_refused_by_name():
    weights, groups = toy(np.zeros((4, 4)), [0, 0, 0, 16], list("1122"))
    with pytest.raises(
        nc.NotApplicableError, match="group '2': expected a pair of group '2' within 0.524 rad"
    ):
        mutual_inhibition(weights, groups)
    weights, groups = toy(np.zeros((5, 5)), [0, 0, 16, 16, 16], list("11222"))
    with pytest.raises(
        nc.NotApplicableError,
        match="a pair from group '1' to group '2' .*, got none; the groups have 2 and 3 units",
    ):
        mutual_inhibition(weights, groups)


@pytest.mark.parametrize(
    ("analyse", "name"),
    [
        (mutual_inhibition, "n_permutations"),
        (mutual_inhibition, "n_bins"),
        (weight_by_direction, "n_bins"),
    ],
)
def test_numbers_below_one_are_refused(analyse, name):
    weights, groups = random_toy(np.random.default_rng(0))
    with pytest.raises(nc.InputError, match=f"{name}: expected a whole number of 1 or more, got 0"):
        analyse(weights, groups, **{name: 0})


def test_small_groups_are_named_and_nan():
    weights, groups = random_network(np.random.default_rng(0), labels=["1"] * 6 + ["2"])
    with pytest.warns(nc.UnitWarning) as caught:
        result = group_weights(weights, groups)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "fewer than two units have no mean or no error: '2' (1), '12' (0)" in messages
    assert "no pairs of like preferred direction from group" in messages
    assert result["rule_weight"].sel(group="12").isnull().all()
    assert result["rule_weight"].sel(group="2").notnull().all()
    assert result["rule_weight_se"].sel(group="2").isnull().all()
    assert result["rule_weight_se"].sel(group="1").notnull().all()


def test_empty_bins_of_direction_are_nan_with_a_warning():
    weights, groups = toy(np.zeros((4, 4)), [0, 0, 1, 1], list("1212"))
    with pytest.warns(nc.UnitWarning, match="without pairs of several units"):
        result = weight_by_direction(weights, groups)
    assert result["n_pairs"].values[:, 1:].sum() == 0
    assert result["weight"][:, 1:].isnull().all()


@pytest.fixture
def drawn():
    weights, groups = random_network(np.random.default_rng(14), labels=LABELS)
    _, axes = new_figure()
    return axes[0, 0], weights, groups


def test_the_matrix_prints_every_mean(drawn):
    ax, weights, groups = drawn
    result = group_weights(weights, groups)
    plot_group_matrix(ax, result)
    texts = {text.get_position(): text for text in ax.texts}
    assert len(texts) == 9
    mean = float(result["recurrent_weight"].sel(selection="near", group_from="1", group_to="12"))
    assert texts[0, 2].get_text().startswith(f"{mean:+.3f}".replace("-", "−"))
    low, high = ax.images[0].get_clim()
    assert low == -high
    shown = ax.images[0].get_array()
    row, column = np.unravel_index(np.asarray(shown).argmin(), shown.shape)
    # purple is dark, what is next to 0 is light
    assert texts[column, row].get_color() == (
        "white" if shown[row, column] < -0.7 * high else BLACK
    )
    row, column = np.unravel_index(np.abs(np.asarray(shown)).argmin(), shown.shape)
    assert texts[column, row].get_color() == BLACK


def test_the_matrix_says_where_there_are_no_pairs(drawn):
    ax, weights, _ = drawn
    with quiet():
        result = group_weights(weights, two_only(weights))
    plot_group_matrix(ax, result)
    assert sum(text.get_text() == "no pairs\n(0)" for text in ax.texts) == 5


def test_tuning_has_a_curve_for_each_group_that_has_units(drawn):
    ax, weights, groups = drawn
    result = group_weights(weights, groups)
    plot_input_tuning(ax, result, modality=2)
    assert [line.get_label() for line in ax.lines[:3]] == [f"group {g} ± SE" for g in GROUPS]
    np.testing.assert_allclose(
        ax.lines[0].get_ydata(), result["input_weight"].sel(modality=2, group="1")
    )
    assert ax.get_xlim() == (-180, 180)
    _, axes = new_figure()
    with quiet():
        two = group_weights(weights, two_only(weights))
    assert len(plot_output_tuning(axes[0, 0], two).get_legend().get_texts()) == 2


def test_rule_weights_are_points_with_errors(drawn):
    ax, weights, groups = drawn
    plot_rule_weights(
        ax, group_weights(weights, groups), rules=["dm1", "dm2"], names={"dm1": "DM 1"}
    )
    assert [text.get_text() for text in ax.get_xticklabels()] == ["DM 1", "dm2"]
    assert len(ax.containers) == 3
    assert all(container.has_yerr for container in ax.containers)
    _, axes = new_figure()
    assert len(plot_rule_weights(axes[0, 0], group_weights(weights, groups)).get_xticks()) == 20


def test_weight_by_direction_has_two_curves_with_intervals(drawn):
    ax, weights, groups = drawn
    result = weight_by_direction(weights, groups, n_bins=4)
    plot_weight_by_direction(ax, result)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), result["weight"].sel(relation="between"))
    assert len(ax.collections) == 2
    assert ax.get_xlim() == (0, 180)


def test_inhibition_has_a_point_and_a_null_for_each_network(drawn):
    ax, weights, groups = drawn
    results = [mutual_inhibition(weights, groups, n_permutations=99, seed=s) for s in range(3)]
    results[1] = results[1].assign(called_inhibition=True)
    plot_inhibition(ax, results)
    low, high = np.percentile(results[0]["null_statistic"], [2.5, 97.5])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [low, high])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[:2] == ["called inhibition (1)", "not called inhibition (2)"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["network"] * 3


def quiet():
    """Let warnings of small groups pass."""
    return warnings.catch_warnings(action="ignore", category=nc.UnitWarning)
