"""Lesions: views that change nothing, one fast pass for all, and random sets to hold them against."""

from __future__ import annotations

import itertools
import math

import matplotlib.colors
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.core.errors import DamagedCacheError
from nwbcompare.experiments import lesions as module
from nwbcompare.experiments.lesion_statistics import lesion_statistic
from nwbcompare.experiments.lesioned_forward import outputs_by_lesion
from nwbcompare.experiments.lesions import (
    _paired_change,
    lesion_controls,
    lesion_performance,
    matched_lesion_controls,
)
from nwbcompare.model import Network, NetworkConfig, evaluate, from_arrays
from nwbcompare.model.evaluation import evaluation_trials
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.lesions import plot_lesion_controls, plot_lesion_scatter, plot_lesions

TASKS = ("fdgo", "delaygo", "dmsgo")
GROUPS = {"a": [0, 3], "b": [5], "c": [1, 2, 4, 8, 9]}


def lively(seed=0, scale=3.0, **changes):
    """A small network whose outputs cross the thresholds of a correct trial now and then."""
    network = Network(NetworkConfig(n_units=12, seed=seed, **changes), name="toy")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in ("input_weight", "output_weight", "output_bias", "recurrent_weight"):
            weight = getattr(network, name)
            factor = 0.3 if name == "recurrent_weight" else scale
            weight.copy_(torch.randn(weight.shape, generator=generator) * factor / 12**0.5)
    return network


@pytest.fixture(scope="module")
def network():
    return lively()


def last_outputs(network, trials, seed):
    return outputs_by_lesion(network, trials, [np.empty(0, int)], dt_ms=20.0, seed=seed)[0]


KINDS = [
    {},
    {"nonlinearity": "relu"},
    {"nonlinearity": "retanh"},
    {"nonlinearity": "tanh"},
    {"cell": "leaky_gru"},
    {"separate_rule_input": True, "scale": 1.0},
    {"rule_mixing_seed": 3},
]


@pytest.mark.parametrize("changes", KINDS)
def test_all_lesions_at_once_equal_the_plain_network_with_the_same_noise(changes):
    network = lively(**changes)
    if changes.get("separate_rule_input"):
        with torch.no_grad():
            network.rule_weight.add_(0.3)
    trials = evaluation_trials(TASKS, seed=4, n_trials=96, dt_ms=20.0)
    lesions = [np.array(units, dtype=int) for units in ([], *GROUPS.values(), range(12))]
    found = outputs_by_lesion(network, trials, lesions, dt_ms=20.0, seed=4)
    for units, output in zip(lesions, found, strict=True):
        view = network.lesioned(units)
        np.testing.assert_allclose(output, plain_outputs(view, trials, 4), atol=2e-6)
        # on top of another lesion, it is the lesion of both
        twice = outputs_by_lesion(network.lesioned([6]), trials, [units], dt_ms=20.0, seed=4)[0]
        both = last_outputs(network.lesioned([*units, 6]), trials, 4)
        np.testing.assert_allclose(twice, both, atol=2e-6)


def plain_outputs(network, trials, seed):
    """The slow way: part by part through the network as it is written."""
    from nwbcompare.model.evaluation import final_output, parts_of_like_length
    from nwbcompare.model.training_noise import FreshNoise

    outputs = np.empty((trials.n_trials, 33))
    for step, places in enumerate(parts_of_like_length(trials)):
        outputs[places] = final_output(
            network, trials.take(places), dt_ms=20.0, noise=FreshNoise(seed), step=step
        )
    return outputs


def test_performance_is_that_of_evaluation_and_of_weights_zeroed_by_hand(network):
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    found = lesion_performance(network, GROUPS, TASKS, n_trials=64, seed=2)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name]), name
    assert dict(found["intact"].to_series()) == evaluate(network, TASKS, seed=2, n_trials=64)
    for name, units in GROUPS.items():
        cut = Network(network.config)
        cut.load_state_dict(before)
        with torch.no_grad():
            cut.recurrent_weight[units] = 0
            cut.output_weight[units] = 0
        expected = evaluate(cut, TASKS, seed=2, n_trials=64)
        assert dict(found["performance"].sel(lesion=name).to_series()) == expected
    np.testing.assert_array_equal(found["change"], found["performance"] - found["intact"])
    assert found["change"].values.any()
    assert found["n_units"].values.tolist() == [2, 1, 5]
    assert found["lesioned"].sel(lesion="a").values.nonzero()[0].tolist() == [0, 3]


def test_the_result_is_seeded_labelled_and_can_be_stored(network, tmp_path):
    one, again, other = (
        lesion_performance(network, GROUPS, TASKS, n_trials=64, seed=seed) for seed in (1, 1, 2)
    )
    assert one.identical(again)
    assert not one["intact"].equals(other["intact"])
    named = lesion_performance(
        network,
        {"a": ["h000", "h003"], "b": ["h005"], "c": np.array(GROUPS["c"])},
        TASKS,
        n_trials=64,
        seed=1,
    )
    assert named.identical(one)
    assert (one.attrs["analysis"], one.attrs["name"]) == ("lesion_performance", "toy")
    one.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "x.nc", engine="h5netcdf").identical(one)


def test_the_number_of_threads_changes_nothing(network, monkeypatch):
    first = lesion_performance(network, GROUPS, TASKS, n_trials=128)
    monkeypatch.setattr("nwbcompare.experiments.lesioned_forward.MOST_THREADS", 1)
    assert lesion_performance(network, GROUPS, TASKS, n_trials=128).identical(first)


def test_a_silent_unit_is_not_missed():
    network = lively(nonlinearity="relu")
    with torch.no_grad():
        network.bias[7] = -1e6
    found = lesion_performance(network, {"silent": [7], "not": [3]}, TASKS, n_trials=64)
    assert (found["change"].sel(lesion="silent") == 0).all()
    trials = evaluation_trials(TASKS, seed=0, n_trials=64, dt_ms=20.0)
    lesions = [np.empty(0, int), np.array([7]), np.array([3])]
    intact, silent, loud = outputs_by_lesion(network, trials, lesions, dt_ms=20.0, seed=0)
    np.testing.assert_allclose(silent, intact, atol=1e-6)
    assert np.abs(loud - intact).max() > 0.01


@given(order=st.permutations(range(12)))
def test_the_order_of_the_units_does_not_matter(order):
    """Without noise, which belongs to places; the lesion moves along with its units."""
    network, order = lively(), list(order)
    moved = Network(network.config)
    with torch.no_grad():
        moved.input_weight.copy_(network.input_weight[:, order])
        moved.bias.copy_(network.bias[order])
        moved.recurrent_weight.copy_(network.recurrent_weight[order][:, order])
        moved.output_weight.copy_(network.output_weight[order])
        moved.output_bias.copy_(network.output_bias)
    trials = evaluation_trials(["fdgo"], seed=0, n_trials=32, dt_ms=20.0)
    units = np.array(GROUPS["c"])
    there = np.flatnonzero(np.isin(order, units))
    expected, wrong = (
        outputs_by_lesion(network, trials, [u], dt_ms=20.0, seed=None)[0] for u in (units, [0, 3])
    )
    found = outputs_by_lesion(moved, trials, [there], dt_ms=20.0, seed=None)[0]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.abs(wrong - expected).max() > 1e-3


def test_rates_beyond_the_fast_softplus_are_computed_safely():
    network = lively()
    with torch.no_grad():
        network.bias[2] = 300
        network.recurrent_weight[2] = 0
        network.output_weight[2] *= 1e-3
    trials = evaluation_trials(["fdgo"], seed=0, n_trials=32, dt_ms=20.0)
    found = last_outputs(network, trials, 0)
    np.testing.assert_allclose(found, plain_outputs(network, trials, 0), atol=1e-5)


@pytest.mark.shared
def test_every_lesioned_performance_equals_the_reference(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        network = from_arrays(**{name: oracle[name] for name in names})
        label, active = oracle["cluster_label"], oracle["active_units"]
        groups = {str(k): active[label == k] for k in range(int(oracle["n_clusters"]))}
        tasks, expected = oracle["tasks"].tolist(), oracle["lesioned_test_performance"]
        found = lesion_performance(network, groups, tasks, trials="test")
        np.testing.assert_allclose(found["performance"], expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found["intact"], oracle["test_performance"], rtol=0, atol=1e-6)
    assert "change_low" not in found
    assert found["n_trials"].sel(task=["fdgo", "contextdm1"]).values.tolist() == [40, 500]


def by_hand(difference):
    """The stated interval of one cell, written out."""
    n_batches, size = difference.shape
    mean = np.mean(difference)
    between = sum((batch.mean() - mean) ** 2 for batch in difference) / (n_batches - 1) / n_batches
    up, down, n = (
        (difference == 1).sum() + 0.5,
        (difference == -1).sum() + 0.5,
        n_batches * size + 2,
    )
    independent = ((up + down) - (up - down) ** 2 / n) / n**2
    t = {2: 12.706, 4: 3.1824, 16: 2.1314}[n_batches]
    half = t * math.sqrt(max(between, independent))
    return max(mean - half, -1), min(mean + half, 1)


@pytest.mark.parametrize("n_batches", [2, 4, 16])
def test_the_interval_of_a_change_is_the_stated_one(n_batches):
    rng = np.random.default_rng(0)
    difference = rng.choice([-1, 0, 1], p=[0.3, 0.6, 0.1], size=(2, 3, n_batches, 32)).astype(float)
    difference[1, 2] = 0
    _, low, high = _paired_change(difference)
    for cell in np.ndindex(2, 3):
        assert (low[cell], high[cell]) == pytest.approx(by_hand(difference[cell]), abs=1e-4)
    assert low[1, 2] < 0 < high[1, 2]


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_interval_holds_the_truth_also_where_batches_differ(spread):
    """Trials of a batch share a drop of their own; taking them for independent would fail."""
    rng = np.random.default_rng(1)
    drop = np.clip(0.35 + spread * rng.uniform(-1, 1, size=(4000, 16, 1)), 0, 1)
    difference = -(rng.random((4000, 16, 32)) < drop).astype(float)
    error, low, high = _paired_change(difference)
    covered = ((low <= -0.35) & (high >= -0.35)).mean()
    # the larger of two variances is taken, so alike batches give a little more than 95 %
    assert 0.94 < covered < (0.985 if spread == 0 else 0.965)
    naive = difference.std(axis=(1, 2)) / math.sqrt(512) * 1.96
    by_trials = (np.abs(difference.mean(axis=(1, 2)) + 0.35) < naive).mean()
    assert (by_trials > 0.93) == (spread == 0)
    assert (error > 0).all()


BAD = [
    (lambda n: lesion_performance(n, {}), "groups: expected at least one group"),
    (lambda n: lesion_performance(n, {"x": []}), r"groups\['x'\]: expected at least one unit"),
    (lambda n: lesion_performance(n, {"x": [12]}), "places from 0 to 11"),
    (lambda n: lesion_performance(n, {"x": [-1]}), "places from 0 to 11"),
    (lambda n: lesion_performance(n, {"x": [True, False]}), "places from 0 to 11"),
    (lambda n: lesion_performance(n, {"x": [0.5]}), "places from 0 to 11"),
    (lambda n: lesion_performance(n, {"x": ["h012"]}), "expected one of h000, h001"),
    (lambda n: lesion_performance(n, GROUPS, ["fdgoo"]), "Did you mean 'fdgo'"),
    (lambda n: lesion_performance(n, GROUPS, []), "tasks: expected at least one"),
    (lambda n: lesion_performance(n, GROUPS, TASKS, trials="tests"), "Did you mean 'test'"),
    (lambda n: lesion_performance(n, GROUPS, TASKS, n_trials=32), "64 or more"),
    (lambda n: lesion_performance(n, GROUPS, TASKS, n_trials=65), "multiple of 32"),
    (lambda n: lesion_performance(n, GROUPS, TASKS, seed=-1), "seed"),
    (lambda n: lesion_controls(n, GROUPS, TASKS, among=[0, 1, 2]), "all units of the groups"),
    (lambda n: lesion_controls(n, GROUPS, TASKS, sizes=[1, 4]), "sizes from 1 to 5"),
    (lambda n: lesion_controls(n, GROUPS, TASKS, n_sets=0), "n_sets"),
    (lambda n: matched_lesion_controls(n, GROUPS, np.ones(3), TASKS), "each of 12 units"),
    (
        lambda n: matched_lesion_controls(n, GROUPS, np.ones(12), TASKS, tolerance=-1),
        "tolerance: expected a finite number of 0",
    ),
]


@pytest.mark.parametrize(("ask", "match"), BAD)
def test_what_cannot_be_lesioned_is_refused(network, ask, match):
    with pytest.raises(nc.InputError, match=match):
        ask(network)


def test_lesions_without_a_control_are_not_applicable(network):
    with pytest.raises(nc.NotApplicableError, match="more units than the largest group's 2"):
        lesion_controls(network, {"x": [0, 1]}, TASKS)
    with pytest.raises(nc.NotApplicableError, match="some variance to match"):
        matched_lesion_controls(network, GROUPS, np.zeros(12), TASKS)


def test_a_task_without_a_rule_in_the_network_is_refused():
    network = Network(NetworkConfig(n_units=4, rules=("fdgo",)))
    with pytest.raises(nc.InputError, match="tasks: expected one of fdgo, got 'dm1'"):
        lesion_performance(network, {"x": [0]}, ["dm1"])
    assert lesion_performance(network, {"x": [0]}, n_trials=64)["task"].values.tolist() == ["fdgo"]


CONTROL = {"n_sets": 6, "seed": 3}


@pytest.fixture(scope="module")
def controls(network):
    return lesion_controls(network, GROUPS, TASKS[:2], sizes=[1, 3, 5], **CONTROL)


def test_random_sets_are_measured_like_groups(network, controls):
    """A brute-force twin: the sets drawn again, each lesioned by itself."""
    rng, pool = np.random.default_rng((3, 1)), sorted(itertools.chain(*GROUPS.values()))
    for size in (1, 3, 5):
        for which in range(6):
            units = rng.choice(pool, size, replace=False)
            expected = evaluate(network.lesioned(units), TASKS[:2], seed=3, n_trials=64)
            found = controls["performance"].sel(size=size).isel(set=which)
            assert dict(found.to_series()) == expected
    same = lesion_performance(network, GROUPS, TASKS[:2], n_trials=64, seed=3)
    np.testing.assert_array_equal(controls["group_change"], same["change"])
    assert controls["change"].values.any()


def test_groups_are_held_against_sets_of_their_size(controls):
    for lesion, (below, above, part) in {
        "b": (1, 1, 0.0),
        "a": (1, 3, 0.5),
        "c": (5, 5, 0.0),
    }.items():
        for task in TASKS[:2]:
            sets = [
                sorted(controls["change"].sel(size=size, task=task).values)
                for size in (below, above)
            ]
            null = [(1 - part) * x + part * y for x, y in zip(*sets, strict=True)]
            cell = controls.sel(lesion=lesion, task=task)
            own = float(cell["group_change"])
            assert float(cell["expected_change"]) == pytest.approx(np.mean(null))
            assert float(cell["expected_low"]) == pytest.approx(np.quantile(null, 0.025))
            assert float(cell["expected_high"]) == pytest.approx(np.quantile(null, 0.975))
            assert float(cell["excess"]) == pytest.approx(own - np.mean(null))
            b = sum(value <= own + 1e-9 for value in null)
            assert float(cell["p_value"]) == pytest.approx((1 + b) / 7)


def test_sizes_span_those_of_the_groups(network):
    two = lesion_controls(network, {"a": [0], "b": [3]}, ["fdgo"], n_sets=2)
    assert two["size"].values.tolist() == [1]
    assert two["p_value"].shape == (2, 1)
    sizes = module._read_sizes(None, {"a": np.arange(10), "b": np.arange(60), "c": np.arange(20)})
    assert (sizes[0], sizes[-1], sizes.size) == (10, 60, 6)


def test_p_values_of_random_groups_are_uniform():
    """Groups that mean nothing: the share of p at or below a level is at most that level."""
    rng = np.random.default_rng(0)
    effect = rng.exponential(size=(2000, 100, 1))
    own, null = -effect[:, :1, 0], -effect[:, 1:]
    p = module._compared(own, null)["p_value"][1][:, 0]
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=3 * math.sqrt(level / 2000))


def test_a_run_that_was_cut_off_goes_on_and_ends_alike(network, controls, tmp_path, monkeypatch):
    kept, runs = tmp_path / "kept.json", []
    ask = {"groups": GROUPS, "tasks": TASKS[:2], "sizes": [1, 3, 5], "kept": kept, **CONTROL}
    monkeypatch.setattr(module, "SETS_AT_ONCE", 5)
    measure = module.correct_by_lesion

    def until_the_third(*args, **options):
        runs.append(len(args[2]))
        if len(runs) == 3:
            raise KeyboardInterrupt
        return measure(*args, **options)

    monkeypatch.setattr(module, "correct_by_lesion", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        lesion_controls(network, **ask)
    assert lesion_controls(network, **ask).identical(controls)
    # 22 in all, ten of them before; then nothing is left to do
    assert sum(runs[3:]) == 12
    n_runs = len(runs)
    assert lesion_controls(network, **ask).identical(controls)
    assert len(runs) == n_runs
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]
    with pytest.raises(nc.InputError, match="got rows of others, which differ in sha256"):
        lesion_controls(lively(seed=1), **ask)
    with pytest.raises(nc.InputError, match="got rows of others, which differ in sha256"):
        lesion_controls(network, **(ask | {"seed": 4}))
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(DamagedCacheError, match=r"kept\.json: .*cannot be read.*Delete the file"):
        lesion_controls(network, **ask)


def test_matched_sets_have_the_size_and_the_variance_of_their_group(network):
    variance = np.random.default_rng(0).uniform(0.5, 1.5, size=12)
    ask = {"tasks": ["fdgo"], "tolerance": 0.2, "among": range(12), "n_sets": 8}
    found = matched_lesion_controls(network, GROUPS, variance, **ask)
    assert dict(found["change"].sizes) == {"lesion": 3, "set": 8, "task": 1}
    assert (np.abs(found["set_variance"] - 1) <= 0.2 + 1e-9).all()
    assert (found["shared"].sel(lesion="c") < 1).any()
    assert found.identical(matched_lesion_controls(network, GROUPS, variance, **ask))
    # a sum that nothing else reaches leaves the group alone
    variance[[0, 3]] = 100
    alone = matched_lesion_controls(network, {"a": [0, 3], "b": [1]}, variance, **ask)
    assert (alone["shared"].sel(lesion="a") == 1).all()
    assert (alone["p_value"].sel(lesion="a") == 1).all()


def test_the_walk_visits_all_matching_sets_alike():
    variance = np.array([1.0, 1.1, 0.9, 1.0, 5.0, 1.05])
    rng = np.random.default_rng(0)
    walk = module._walk(np.array([0, 1]), np.arange(6), variance, 0.06, 3000, rng)
    matching = {
        pair
        for pair in itertools.combinations(range(6), 2)
        if abs(variance[list(pair)].sum() - 2.1) <= 0.06 * 2.1
    }
    visited, counts = np.unique([tuple(units) for units in walk], axis=0, return_counts=True)
    assert {tuple(units) for units in visited.tolist()} == matching
    assert counts == pytest.approx(np.full(len(matching), 3000 / len(matching)), rel=0.15)


def tables(n_clusters=4, n_tasks=6, seed=0, effect=1.0):
    rng = np.random.default_rng(seed)
    profile = rng.uniform(size=(n_clusters, n_tasks))
    drop = effect * profile + rng.normal(0, 0.2, size=profile.shape)
    names = {"task": [f"t{i}" for i in range(n_tasks)]}
    lesions = xr.Dataset(
        {"change": (("lesion", "task"), -drop)},
        coords={"lesion": [str(i) for i in range(n_clusters)], **names},
        attrs={"name": "toy"},
    )
    return lesions, xr.DataArray(
        profile, dims=("cluster", "task"), coords={"cluster": range(n_clusters), **names}
    )


def test_the_statistic_is_spearmans_over_all_cells(tmp_path):
    from scipy.stats import spearmanr

    lesions, profile = tables()
    found = lesion_statistic(lesions, profile, n_permutations=50)
    expected = spearmanr(profile.values.ravel(), -lesions["change"].values.ravel()).statistic
    assert float(found["rank_correlation"]) == pytest.approx(expected)
    rng = np.random.default_rng(0)
    for null in found["null_rank_correlation"].values:
        order = rng.permutation(4)
        twin = spearmanr(profile.values[order].ravel(), -lesions["change"].values.ravel())
        assert null == pytest.approx(twin.statistic)
    # labels, not places, say what belongs together; monotone changes of either leave ranks
    shuffled = profile.isel(cluster=[2, 0, 3, 1], task=[5, 0, 1, 2, 4, 3]).transpose()
    assert lesion_statistic(lesions, shuffled)["rank_correlation"].equals(found["rank_correlation"])
    squashed = lesion_statistic(lesions, np.exp(3 * profile))["rank_correlation"]
    assert squashed.equals(found["rank_correlation"])
    found.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "x.nc", engine="h5netcdf").identical(found)


def test_the_permuted_clusters_show_what_no_relation_gives():
    related, nothing = (
        lesion_statistic(*tables(8, 20, seed=1, effect=effect)) for effect in (1.0, 0.0)
    )
    assert float(related["rank_correlation"]) > related["null_rank_correlation"].quantile(0.999)
    low, high = nothing["null_rank_correlation"].quantile([0.005, 0.995]).values
    assert low < float(nothing["rank_correlation"]) < high


def test_tables_that_do_not_match_are_refused():
    lesions, profile = tables()
    with pytest.raises(nc.InputError, match="a cluster for each .*none for 3"):
        lesion_statistic(lesions, profile.isel(cluster=slice(3)))
    with pytest.raises(nc.InputError, match="a task for each .*none for t0"):
        lesion_statistic(lesions, profile.isel(task=slice(1, None)))
    with pytest.raises(nc.NotApplicableError, match="two clusters or more"):
        lesion_statistic(lesions.isel(lesion=[0]), profile)
    with pytest.raises(nc.NotApplicableError, match="lesions: .*all alike"):
        lesion_statistic(lesions * 0, profile)
    with pytest.raises(nc.InputError, match="profile: .*NaN or infinity"):
        lesion_statistic(lesions, profile.where(profile > 0.5))


def test_the_heat_map_is_centred_and_marks_what_is_not_zero():
    change = np.array([[-0.5, 0.0, 0.1], [0.0, -0.2, 0.0]])
    table = (("lesion", "task"), change)
    lesions = xr.Dataset(
        {
            "change": table,
            "change_low": (("lesion", "task"), change - 0.15),
            "change_high": (("lesion", "task"), change + 0.15),
            "n_units": ("lesion", [3, 4]),
        },
        coords={"lesion": ["x", "y"], "task": ["fdgo", "dm1", "dm2"]},
    )
    figure, axes = new_figure()
    ax = plot_lesions(axes[0, 0], lesions, {"fdgo": "Go"})
    assert ax is axes[0, 0]
    assert ax.images[0].get_clim() == (-0.5, 0.5)
    assert ax.collections[0].get_offsets().tolist() == [[0, 0], [1, 1]]
    assert matplotlib.colors.to_hex(ax.collections[0].get_facecolors()[0]) == "#ffffff"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Go", "dm1", "dm2"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x (3)", "y (4)"]
    assert len(figure.axes) == 2
    _, axes = new_figure()
    assert not plot_lesions(axes[0, 0], lesions.drop_vars("change_low")).collections


def test_the_scatter_has_a_mark_for_each_cluster_and_says_what_it_shows():
    statistic = lesion_statistic(*tables())
    _, axes = new_figure()
    ax = plot_lesion_scatter(axes[0, 0], statistic)
    assert len(ax.collections) == 4
    assert all(len(points.get_offsets()) == 6 for points in ax.collections)
    assert f"{float(statistic['rank_correlation']):.2f}" in ax.get_title()


def test_random_sets_are_a_band_and_groups_are_points(controls):
    _, axes = new_figure(1, 2)
    for ax, task in zip(axes[0], (None, "fdgo"), strict=True):
        assert plot_lesion_controls(ax, controls, task, {"fdgo": "Go"}) is ax
        band, points = ax.collections
        assert len(points.get_offsets()) == 3
        assert band.get_datalim(ax.transData).x1 == 5
        assert len(ax.lines) == 1
    assert axes[0, 0].get_ylabel().endswith("(mean over tasks)")
    assert axes[0, 1].get_ylabel().endswith("(Go)")
    own = controls["group_change"].sel(task="fdgo").values
    np.testing.assert_allclose(points.get_offsets()[:, 1], -own)
