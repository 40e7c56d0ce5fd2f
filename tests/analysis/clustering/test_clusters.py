"""Clusters of units: the published search, its null, stability, and matching of networks."""

from __future__ import annotations

import json
import sys
import warnings
from itertools import pairwise, permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure
from scipy import stats
from sklearn.metrics import adjusted_rand_score, silhouette_score

import nwbcompare as nc
from nwbcompare.analysis.clustering import cluster_stability, epairs, match_clusters
from nwbcompare.analysis.clustering.cluster_null import (
    cluster_null,
    describe_rotated,
    describe_shuffled,
)
from nwbcompare.analysis.clustering.clusters import cluster_units, embed_units
from nwbcompare.analysis.clustering.kernels.clusters import (
    by_preference,
    cluster,
    distances_between,
    mean_silhouette,
    most_clusters,
    normalised,
)
from nwbcompare.analysis.clustering.kernels.surrogates import (
    Copula,
    gaussian_like,
    mean_neighbour_angle,
    normal_scores,
    rank_correlation,
    ranks,
    square_root,
)
from nwbcompare.analysis.selectivity.task_variance import epoch_variance, task_variance
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.plotting import save
from nwbcompare.plotting.clusters import (
    _apart,
    plot_cluster_heatmap,
    plot_cluster_null,
    plot_embedding,
    plot_matched_profiles,
    plot_silhouette,
)
from nwbcompare.testing import example_block

TRIED = range(2, 7)


def variance_of(values, name="net"):
    """A result of task_variance made of numbers ``(unit, task)``."""
    units, tasks = (
        [f"{c}{i:02d}" for i in range(n)] for c, n in zip("ut", values.shape, strict=True)
    )
    return xr.Dataset(
        {"task_variance": (("unit", "task"), values)},
        coords={"unit": units, "task": tasks, "area": ("unit", ["x"] * len(units))},
        attrs={"name": name, "analysis": "task_variance"},
    )


def true_clusters(seed=0, n_clusters=3, n_units=36, n_tasks=6, noise=0.15):
    """Units in clusters that each serve tasks of their own, of lognormal overall size."""
    rng = np.random.default_rng(seed)
    label = np.arange(n_units) % n_clusters
    profile = np.where(np.arange(n_tasks) % n_clusters == np.arange(n_clusters)[:, None], 1, 0.05)
    size = np.exp(rng.standard_normal((n_units, 1)))
    return size * profile[label] * np.exp(noise * rng.standard_normal((n_units, n_tasks))), label


def continuum(seed=0, n_units=36, n_tasks=6, n_factors=3):
    """Correlated, lognormal variances of units that form no clusters."""
    rng = np.random.default_rng(seed)
    loading = rng.standard_normal((n_factors, n_tasks)) / np.sqrt(n_factors)
    own = 0.5 * rng.standard_normal((n_units, n_tasks))
    return np.exp(1.5 * (rng.standard_normal((n_units, n_factors)) @ loading + own))


@pytest.fixture(scope="module")
def truth():
    values, label = true_clusters()
    return variance_of(values), label


@pytest.fixture(scope="module")
def found(truth):
    return cluster_units(truth[0], n_clusters_tried=TRIED)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# as published ------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_published_search_gives_the_references_clusters(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        variance = variance_of(oracle["task_variance"])
        result = cluster_units(variance)
        active = np.flatnonzero(result["active"].values)
        np.testing.assert_array_equal(active, oracle["active_units"])
        np.testing.assert_array_equal(result["n_clusters"], np.arange(2, 30))
        np.testing.assert_allclose(result["silhouette"], oracle["silhouette"], atol=1e-5)
        assert result.attrs["n_clusters"] == oracle["n_clusters"] == 11
        labels, expected = result["cluster"].values[active], oracle["cluster_label"]
        shared_units = max_agreement(labels, expected)
        assert shared_units >= 0.98 * active.size
        # the reference orders its clusters by preferred task, too
        assert (labels == expected).mean() > 0.9


def max_agreement(a, b):
    """The most units that have the same label, over all renamings of the labels."""
    from scipy.optimize import linear_sum_assignment

    table = np.array([[np.sum((a == i) & (b == j)) for j in np.unique(b)] for i in np.unique(a)])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return table[rows, columns].sum()


@pytest.mark.shared
def test_by_epoch_there_are_ten_as_published(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        keys = oracle["epoch_keys"].astype(str)
        variance = xr.Dataset(
            {"task_variance": (("unit", "task_epoch"), oracle["epoch_task_variance"])},
            coords={"task_epoch": keys, "task": ("task_epoch", [k.split("/")[0] for k in keys])},
        )
    result = cluster_units(variance, n_init=2)
    assert result.attrs["n_clusters"] == 10
    assert result["profile"].dims == ("cluster", "task_epoch")
    assert "task" in result.coords
    assert set(result["preferred"].values) <= set(keys)


# the result --------------------------------------------------------------------------------


def test_true_clusters_are_found_and_described(truth, found):
    variance, label = truth
    assert found.attrs["n_clusters"] == 3
    assert adjusted_rand_score(label, found["cluster"]) == 1
    assert found["cluster"].values.tolist() == label.tolist()
    assert found["preferred"].values.tolist()[0] in {"t00", "t03"}
    rows = variance["task_variance"].values
    rows = rows / rows.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(found["normalised_variance"], rows)
    for which in range(3):
        np.testing.assert_allclose(found["profile"][which], rows[label == which].mean(axis=0))
        assert found["cluster_size"][which] == (label == which).sum()
    assert found["area"].dims == ("unit",)


def test_the_result_is_saved(found, tmp_path):
    found.to_netcdf(tmp_path / "clusters.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "clusters.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, found)
    assert json.loads(again.attrs["n_clusters_tried"]) == list(TRIED)
    assert again["cluster"].dims == ("unit",)
    assert again["silhouette"].sel(n_clusters=3) == again["silhouette"].max()


@pytest.mark.parametrize("method", ["kmeans", "ward", "hdbscan"])
def test_every_method_finds_true_clusters(truth, method):
    result = cluster_units(truth[0], method=method, n_clusters_tried=TRIED)
    assert adjusted_rand_score(truth[1], result["cluster"]) == 1
    assert result.attrs["method"] == method
    rows = result["normalised_variance"].values
    assert result["silhouette"].max() == pytest.approx(silhouette_score(rows, result["cluster"]))


def test_noise_of_hdbscan_is_in_no_cluster():
    values, _ = true_clusters(noise=0.02)
    values[:2] = 1
    result = cluster_units(variance_of(values), method="hdbscan")
    assert (result["cluster"][:2] == -1).all()
    assert result["active"].all()
    assert result["cluster_size"].sum() == (result["cluster"] >= 0).sum()
    inside = result["cluster"].values >= 0
    rows = result["normalised_variance"].values[inside]
    expected = silhouette_score(rows, result["cluster"].values[inside])
    assert result["silhouette"].item() == pytest.approx(expected)


def test_order_of_units_does_not_matter(truth, found, rng):
    order = rng.permutation(36)
    again = cluster_units(truth[0].isel(unit=order), n_clusters_tried=TRIED)
    np.testing.assert_array_equal(again["cluster"], found["cluster"][order])
    np.testing.assert_allclose(again["silhouette"].max(), found["silhouette"].max())


def test_scale_matters_only_with_the_threshold(truth, found):
    tiny = truth[0].assign(task_variance=truth[0]["task_variance"] * 2.0**-12)
    without = cluster_units(tiny, n_clusters_tried=TRIED, threshold=0)
    np.testing.assert_array_equal(without["cluster"], found["cluster"])
    xr.testing.assert_allclose(without["silhouette"], found["silhouette"])
    fewer = cluster_units(tiny, n_clusters=2)
    assert 3 < fewer["active"].sum() < 36
    np.testing.assert_array_equal(fewer["cluster"] == -1, ~fewer["active"])
    assert fewer["normalised_variance"].isnull().all("task").equals(~fewer["active"])


def test_units_without_variance_are_left_out_and_named(truth):
    values = truth[0]["task_variance"].values.copy()
    values[4, 2] = np.nan
    with pytest.warns(nc.UnitWarning, match=r"1 units have no variance \(NaN\).*u04"):
        result = cluster_units(variance_of(values), n_clusters_tried=TRIED)
    assert result["cluster"][4] == -1
    assert not result["active"][4]
    assert result["active"].sum() == 35


def test_a_recording_goes_through_the_same():
    block = example_block()
    named = block.assign_coords(task=("trial", np.repeat(["a", "b"], 4)))
    named.attrs["condition_variables"] = json.dumps({"a": ["direction"], "b": ["direction"]})
    many = xr.concat(
        [
            named.assign(rate=named["rate"].roll(trial=k)).assign_coords(
                unit=[f"{u}{k}" for u in named["unit"].values]
            )
            for k in range(4)
        ],
        "unit",
        data_vars=["rate"],
    )
    result = cluster_units(task_variance(many), n_clusters=2)
    assert result.sizes["unit"] == 12
    by_epoch = epoch_variance(many)
    assert cluster_units(by_epoch, n_clusters=2)["profile"].dims == ("cluster", "task_epoch")


def test_the_search_ends_where_units_do(truth):
    few = truth[0].isel(unit=slice(5))
    with pytest.warns(nc.UnitWarning, match="5 active units: the search .* ends at 4"):
        result = cluster_units(few)
    assert result["n_clusters"].values.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "kmean"}, "method: expected one of kmeans.*Did you mean 'kmeans'"),
        ({"threshold": -1}, "threshold: expected 0 or more, got -1"),
        ({"threshold": 1e9}, r"at least 3 units whose variances sum.*got 0 of 36 units"),
        ({"n_clusters": 36}, "n_clusters: expected 2 to 35, for 36 active units, got 36"),
        ({"n_clusters": 1}, "n_clusters: expected 2 to 35"),
        ({"n_clusters_tried": [1, 2]}, "n_clusters_tried: expected numbers from 2 to 35"),
        ({"n_clusters_tried": [40]}, "n_clusters_tried: expected numbers from 2 to 35.*got 40"),
        ({"method": "hdbscan", "n_clusters": 3}, "None with HDBSCAN"),
    ],
)
def test_bad_options_are_refused(truth, options, match):
    with pytest.raises(nc.InputError, match=match):
        cluster_units(truth[0], **options)


def test_bad_tables_are_refused(truth):
    variance = truth[0]
    with pytest.raises(nc.InputError, match="two or more tasks or epochs, got 1"):
        cluster_units(variance.isel(task=[0]))
    with pytest.raises(nc.InputError, match="the dims unit and task, .*got the dims nothing"):
        cluster_units(variance.drop_vars("task_variance"))
    with pytest.raises(nc.InputError, match="got the dims unit, task, time"):
        cluster_units(variance.expand_dims(time=2, axis=2))
    with pytest.raises(nc.InputError, match="units that differ .*36 active units that are all"):
        cluster_units(variance_of(np.outer(np.arange(1.0, 37), [1, 2, 3])))
    alone = variance_of(np.eye(4) + 0.1)
    for method_variance in (alone, variance_of(np.eye(6) + 0.1)):
        with pytest.raises(nc.InputError, match="a group of at least 5 units that HDBSCAN"):
            cluster_units(method_variance, method="hdbscan")


# kernels against plain loops ---------------------------------------------------------------


@given(
    hnp.arrays(float, (9, 3), elements=st.integers(0, 5)),
    hnp.arrays(int, 9, elements=st.integers(-1, 3)),
)
def test_the_silhouette_equals_scikit_learns(rows, labels):
    found = mean_silhouette(distances_between(rows), labels)
    inside = labels >= 0
    n_labels = len(np.unique(labels[inside]))
    if n_labels < 2:
        assert found == 0
    elif n_labels < inside.sum():
        expected = silhouette_score(rows[inside], labels[inside])
        # scikit-learn's distances come from squares: equal rows are not quite at distance 0
        assert found == pytest.approx(expected, abs=1e-6)


def test_the_silhouette_equals_a_plain_loop(rng):
    rows, labels = rng.random((12, 3)), np.arange(12) % 4
    labels[0] = 9
    scores = []
    for i in range(12):
        distance = [np.sqrt(sum((rows[i] - rows[j]) ** 2)) for j in range(12)]
        groups = {
            g: [distance[j] for j in range(12) if labels[j] == g and j != i] for g in set(labels)
        }
        own = groups.pop(labels[i])
        a, b = np.mean(own) if own else 0, min(np.mean(g) for g in groups.values() if g)
        scores.append((b - a) / max(a, b) if own else 0)
    found = mean_silhouette(distances_between(rows), labels)
    assert found == pytest.approx(np.mean(scores), rel=1e-12)


def test_the_search_takes_the_first_of_the_highest(rng):
    rows, _ = normalised(true_clusters()[0], 0)
    found = cluster(rows, TRIED, n_init=3)
    by_hand = [silhouette_score(rows, cluster(rows, [k], n_init=3).labels) for k in TRIED]
    np.testing.assert_allclose(found.silhouettes, by_hand, rtol=1e-9)
    assert found.n_clusters == TRIED[int(np.argmax(by_hand))] == 3


def test_clusters_are_numbered_by_preferred_column_and_then_by_size():
    rows = np.array([[0, 1.0], [1, 0.2], [1, 0.1], [1, 0.3], [0.2, 1]])
    labels, preferred = by_preference(rows, np.array([7, 2, 4, 4, -1]))
    assert labels.tolist() == [2, 1, 0, 0, -1]
    assert preferred.tolist() == [0, 0, 1]


def test_the_number_of_clusters_is_bounded_by_rows_that_differ():
    assert most_clusters(np.array([[0.0], [0], [1], [1], [2]])) == 3
    assert most_clusters(np.arange(4.0)[:, None]) == 3


# embedding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tsne", "pca", "mds"])
def test_an_embedding_keeps_true_clusters_apart_and_has_a_seed(truth, found, method):
    one, two = (embed_units(found, method=method, seed=3) for _ in range(2))
    xr.testing.assert_identical(one, two)
    assert one["embedding"].shape == (36, 2)
    assert silhouette_score(one["embedding"], truth[1]) > 0.5
    np.testing.assert_array_equal(one["cluster"], found["cluster"])
    plain = embed_units(truth[0], method=method, seed=3)
    np.testing.assert_allclose(plain["embedding"], one["embedding"])


def test_pca_is_the_best_plane(truth, found):
    rows = found["normalised_variance"].values
    centred = rows - rows.mean(axis=0)
    _, size, _ = np.linalg.svd(centred)
    placed = embed_units(found, method="pca")["embedding"].values
    np.testing.assert_allclose(np.linalg.norm(placed, axis=0), size[:2])


def test_inactive_units_are_not_placed_and_bad_methods_refused(truth):
    tiny = truth[0].assign(task_variance=truth[0]["task_variance"] * 2.0**-12)
    few = cluster_units(tiny, n_clusters=3)
    placed = embed_units(few, method="pca")
    assert placed["unit"].values.tolist() == few["unit"].values[few["active"]].tolist()
    with pytest.raises(nc.InputError, match="more than 30 active units, the perplexity"):
        embed_units(few)
    with pytest.raises(nc.InputError, match="method: expected one of tsne, pca, mds"):
        embed_units(few, method="umap")


# surrogates --------------------------------------------------------------------------------


@given(hnp.arrays(float, 8, elements=st.integers(0, 4)))
def test_ranks_equal_scipys(values):
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values))


def test_rank_correlations_equal_scipys_and_are_0_with_a_constant(rng):
    table = rng.integers(0, 6, (30, 4)).astype(float)
    expected = stats.spearmanr(table).statistic
    np.testing.assert_allclose(rank_correlation(table), expected, atol=1e-12)
    table[:, 1] = 3
    with_constant = rank_correlation(table)
    assert with_constant[1].tolist() == [0, 1, 0, 0]


def test_a_correlation_that_is_none_is_made_one():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    assert np.linalg.eigvalsh(impossible).min() < 0
    factor = square_root(impossible)
    np.testing.assert_allclose(np.diag(factor @ factor.T), 1)
    sound = np.array([[1, 0.5], [0.5, 1]])
    root = square_root(sound)
    np.testing.assert_allclose(root @ root.T, sound)


def test_surrogates_keep_values_and_rank_correlations(rng):
    table = continuum(n_units=200)
    copula = Copula.of(table)
    drawn = [copula.draw(rng) for _ in range(100)]
    for one in drawn[:3]:
        np.testing.assert_array_equal(np.sort(one, axis=0), np.sort(table, axis=0))
    mean = np.mean([rank_correlation(one) for one in drawn], axis=0)
    np.testing.assert_allclose(mean, rank_correlation(table), atol=0.03)
    shuffled = rng.permuted(table, axis=0)
    assert np.abs(rank_correlation(shuffled) - rank_correlation(table)).max() > 0.2


def test_surrogates_of_ties_and_constants(rng):
    table = np.column_stack([np.repeat([0.0, 1, 2], 10), np.full(30, 7.0), rng.random(30)])
    drawn = Copula.of(table).draw(rng)
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(table, axis=0))


# is there structure at all? ----------------------------------------------------------------


def null_of(values, **options):
    defaults = {"n_surrogates": 19, "n_clusters_tried": TRIED, "n_jobs": 1}
    return cluster_null(variance_of(values), **(defaults | options))


def test_the_null_equals_a_plain_loop():
    values = continuum()
    result = null_of(values, n_surrogates=9, seed=5)
    expected = []
    for index in range(9):
        stream = np.random.SeedSequence(5, spawn_key=(index,))
        drawn = Copula.of(values).draw(np.random.default_rng(stream))
        made = cluster_units(variance_of(drawn), n_init=1, seed=5, n_clusters_tried=TRIED)
        expected.append((made["silhouette"].max().item(), made.attrs["n_clusters"]))
    np.testing.assert_allclose(result["surrogate_silhouette"], [s for s, _ in expected])
    assert result["surrogate_n_clusters"].values.tolist() == [k for _, k in expected]
    own = cluster_units(variance_of(values), n_init=1, seed=5, n_clusters_tried=TRIED)
    assert result["observed"] == pytest.approx(own["silhouette"].max().item())
    assert result["n_clusters"] == own.attrs["n_clusters"]
    above = sum(s >= result["observed"].item() for s, _ in expected)
    assert result["p_value"] == (1 + above) / 10


def test_true_clusters_are_told_from_a_continuum(truth):
    clustered = cluster_null(truth[0], n_surrogates=39, n_clusters_tried=TRIED, n_jobs=1)
    assert clustered["p_value"] == 1 / 40
    assert clustered["n_clusters"] == 3
    p_values = [
        null_of(continuum(seed), n_clusters_tried=[2, 3, 4])["p_value"].item() for seed in range(12)
    ]
    # 12 data sets without clusters: a binomial 99.9 % interval round 0.1, and not all large
    assert np.sum(np.array(p_values) <= 0.1) <= 5
    assert 0.2 < np.mean(p_values) < 0.85


def test_seeds_reproduce_the_null_whatever_the_number_of_processes():
    values = continuum()
    one = null_of(values, n_surrogates=6)
    xr.testing.assert_identical(null_of(values, n_surrogates=6, n_jobs=2), one)
    longer = null_of(values, n_surrogates=8)
    np.testing.assert_array_equal(longer["surrogate_silhouette"][:6], one["surrogate_silhouette"])
    other = null_of(values, n_surrogates=6, seed=1)
    assert not np.array_equal(other["surrogate_silhouette"], one["surrogate_silhouette"])


def test_kept_surrogates_are_gone_on_from(tmp_path, monkeypatch):
    module = sys.modules[cluster_null.__module__]

    values, kept = continuum(), tmp_path / "null.json"
    plain = null_of(values, n_surrogates=12)
    computed = []
    once = module._surrogate
    monkeypatch.setattr(module, "AT_ONCE", 5)
    monkeypatch.setattr(
        module, "_surrogate", lambda *args: (computed.append(args[2]), once(*args))[1]
    )
    null_of(values, n_surrogates=7, kept=kept)
    assert len(json.loads(kept.read_text())["surrogates"]) == 7
    xr.testing.assert_identical(null_of(values, n_surrogates=12, kept=kept), plain)
    assert computed == list(range(12))
    fewer = null_of(values, n_surrogates=7, kept=kept)
    np.testing.assert_array_equal(fewer["surrogate_silhouette"], plain["surrogate_silhouette"][:7])
    assert len(computed) == 12


def test_kept_surrogates_of_something_else_are_refused(tmp_path):
    values, kept = continuum(), tmp_path / "null.json"
    null_of(values, n_surrogates=3, kept=kept)
    with pytest.raises(nc.InputError, match="others, which differ in table_sha256"):
        null_of(continuum(1), kept=kept)
    with pytest.raises(nc.InputError, match="differ in seed"):
        null_of(values, seed=1, kept=kept)
    with pytest.raises(nc.InputError, match="differ in n_init"):
        null_of(values, n_init=2, kept=kept)
    for text in ("{", "[]", '{"surrogates": 3}', "{}"):
        kept.write_text(text)
        with pytest.raises(nc.InputError, match="surrogates kept by cluster_null, got another"):
            null_of(values, kept=kept)


def test_a_surrogate_without_enough_active_units_counts_against_clusters():
    values = np.zeros((6, 3))
    values[[0, 1, 2], [0, 1, 2]] = 0.9e-3
    values[[0, 1, 2], [1, 2, 0]] = 0.4e-3
    result = null_of(values, n_clusters_tried=[2], n_surrogates=19)
    failed = result["surrogate_n_clusters"].values == 0
    assert failed.any()
    assert (result["surrogate_silhouette"].values[failed] == 1).all()
    assert result["p_value"] >= (1 + failed.sum()) / 20


def test_the_null_refuses_and_warns_as_the_clustering_does(truth):
    with pytest.raises(nc.InputError, match="two or more tasks"):
        cluster_null(truth[0].isel(task=[0]))
    with pytest.raises(nc.InputError, match="at least 3 units"):
        null_of(true_clusters()[0], threshold=1e9)
    with pytest.warns(nc.UnitWarning, match="ends at 4"):
        null_of(continuum(n_units=5), n_surrogates=1)
    values = continuum()
    values[0, 0] = np.nan
    with pytest.warns(nc.UnitWarning, match="u00"):
        result = null_of(values, n_surrogates=2)
    assert result["observed"] == null_of(values[1:], n_surrogates=1)["observed"]


@pytest.mark.shared
def test_shuffled_columns_look_more_clustered_than_the_reference_network(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        variance = variance_of(oracle["task_variance"])
    result = describe_shuffled(variance, n_shuffles=3, n_clusters_tried=range(10, 30))
    assert "p_value" not in result
    assert result["shuffled_silhouette"].min() > result["observed"] > 0.25


def test_shuffles_keep_every_column_and_have_a_seed():
    values = continuum()
    result = describe_shuffled(variance_of(values), n_shuffles=2, n_clusters_tried=TRIED, seed=3)
    rng = np.random.default_rng(3)
    for place in range(2):
        shuffled = rng.permuted(values, axis=0)
        np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(values, axis=0))
        made = cluster_units(variance_of(shuffled), n_init=1, seed=3, n_clusters_tried=TRIED)
        assert result["shuffled_silhouette"][place] == pytest.approx(made["silhouette"].max())
        assert result["shuffled_n_clusters"][place] == made.attrs["n_clusters"]


def test_rotated_units_are_described_by_their_own_variance(rng):
    rate = rng.gamma(1, 1, (24, 5, 8))
    block = nc.make_block(
        rate,
        time_s=(np.arange(5) + 0.5) * 0.1,
        bin_width_s=0.1,
        aligned_to="start",
        trials={"task": np.repeat(["a", "b", "c"], 8), "c": np.tile(np.arange(8.0), 3)},
        units={"unit": [f"u{i}" for i in range(8)]},
        condition_variables={task: ["c"] for task in "abc"},
        source="model",
        name="toy",
        deterministic=True,
    )
    result = describe_rotated(block, n_rotations=1, seed=4, n_clusters_tried=[2, 3])
    rotation = random_rotation(8, np.random.default_rng(4))
    turned = block.copy(data={"rate": (block["rate"].values @ rotation.T).astype("f4")})
    expected = cluster_units(task_variance(turned), n_init=1, seed=0, n_clusters_tried=[2, 3])
    # the seed of k-means differs, which for 8 units does not matter
    assert result["rotated_silhouette"].item() == pytest.approx(
        expected["silhouette"].max().item(), abs=1e-4
    )
    assert "p_value" not in result
    block["rate"].values[0, 0, 0] = np.nan
    with pytest.raises(nc.InputError, match="units that have every condition"):
        describe_rotated(block, n_clusters_tried=[2])


# ePAIRS ------------------------------------------------------------------------------------


def test_the_angle_to_neighbours_equals_a_plain_loop(rng):
    vectors = rng.standard_normal((9, 3))
    angles = []
    for i in range(9):
        lengths = [np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j]) for j in range(9)]
        to_others = [np.arccos(vectors[i] @ vectors[j] / lengths[j]) for j in range(9) if j != i]
        angles.append(np.mean(sorted(to_others)[:2]))
    assert mean_neighbour_angle(vectors, 2) == pytest.approx(np.mean(angles))
    vectors[0] = 0
    assert mean_neighbour_angle(vectors[:2], 1) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("shape", [(20, 4), (5, 8)])
def test_draws_have_exactly_the_mean_and_covariance(rng, shape):
    table = rng.random(shape) @ rng.random((shape[1], shape[1]))
    drawn = gaussian_like(table, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), table.mean(axis=0))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(table.T), atol=1e-9)
    assert not np.allclose(drawn, table, atol=0.1)


def test_normal_scores_are_the_quantiles_of_the_ranks(rng):
    table = rng.random((10, 2))
    table[:, 1] = 3
    scores = normal_scores(table)
    expected = stats.norm.ppf((stats.rankdata(table[:, 0]) - 0.5) / 10)
    np.testing.assert_allclose(scores[:, 0], expected)
    assert (scores[:, 1] == 0).all()


def test_epairs_tells_clusters_and_is_calibrated_without():
    values, _ = true_clusters(noise=0.4)
    result = epairs(variance_of(values), n_surrogates=99)
    assert result["p_value"] == 2 / 100
    assert result["effect_size"] > 3
    p_values = np.array(
        [epairs(variance_of(continuum(s)), n_surrogates=39)["p_value"] for s in range(40)]
    )
    # 40 data sets: binomial 99.9 % intervals round 0.1 and 0.5
    assert np.sum(p_values <= 0.1) <= 11
    assert 10 <= np.sum(p_values <= 0.5) <= 31


def test_epairs_does_not_depend_on_scale_or_marginals_and_divided_rows_would():
    values = continuum(n_units=60)
    one = epairs(variance_of(values), n_surrogates=19, threshold=0)
    xr.testing.assert_allclose(one, epairs(variance_of(values**2), n_surrogates=19, threshold=0))
    rows, _ = normalised(values, 0)
    rng = np.random.default_rng(0)
    null = [mean_neighbour_angle(gaussian_like(rows, rng), 3) for _ in range(39)]
    # negative control: on divided rows the same test calls this continuum clustered
    assert mean_neighbour_angle(rows, 3) < min(null)
    assert one["p_value"] > 0.1


def test_epairs_needs_columns_and_units(truth):
    with pytest.raises(nc.InputError, match="three or more columns.*got 2 columns"):
        epairs(truth[0].isel(task=[0, 1]))
    with pytest.raises(nc.InputError, match="at least 5 active units.*and 4 active"):
        epairs(truth[0].isel(unit=slice(4)))


# stability ---------------------------------------------------------------------------------


def test_true_clusters_are_found_again_and_pieces_of_a_continuum_are_not(truth, found):
    stable = cluster_stability(truth[0], found, n_bootstraps=10, n_surrogates=3)
    assert stable["mean"] == pytest.approx(1)
    variance = variance_of(continuum())
    cut = cluster_units(variance, n_clusters=4)
    unstable = cluster_stability(variance, cut, n_bootstraps=10, n_surrogates=3)
    assert unstable["mean"] < 0.9
    low, high = unstable["interval"].values
    assert low < unstable["mean"] < high
    # a continuum is cut again as its surrogates are
    assert unstable["surrogate_adjusted_rand"].mean() == pytest.approx(unstable["mean"], abs=0.25)
    xr.testing.assert_identical(
        unstable, cluster_stability(variance, cut, n_bootstraps=10, n_surrogates=3)
    )


def test_stability_equals_a_plain_loop(truth, found):
    variance = variance_of(continuum())
    made = cluster_units(variance, n_clusters=3, method="ward")
    result = cluster_stability(variance, made, n_bootstraps=3, n_surrogates=0, seed=2)
    rng = np.random.default_rng(2)
    for place in range(3):
        drawn = rng.integers(36, size=36)
        again = cluster_units(
            variance_of(variance["task_variance"].values[drawn]), n_clusters=3, method="ward"
        )["cluster"].values
        once = sorted(set(drawn))
        first = [list(drawn).index(unit) for unit in once]
        expected = adjusted_rand_score(made["cluster"].values[once], again[first])
        assert result["adjusted_rand"][place] == pytest.approx(expected)


def test_stability_wants_the_same_units(truth, found):
    with pytest.raises(nc.InputError, match="clusters of the same units.*36 units beside 35"):
        cluster_stability(truth[0].isel(unit=slice(35)), found)


# across networks ---------------------------------------------------------------------------


def networks(n=4, **options):
    return [
        cluster_units(
            variance_of(true_clusters(seed, **options)[0], f"net{seed}"), n_clusters_tried=TRIED
        )
        for seed in range(n)
    ]


def test_shared_clusters_are_matched_and_the_null_is_not():
    results = networks()
    matched = match_clusters(results, n_permutations=39)
    assert matched["mean"] > 0.95
    assert matched["p_value"] == 1 / 40
    assert (matched["correlation"] > matched["null_correlation"]).where(
        matched["network"] != matched["other_network"]
    ).sum() == 12
    assert (matched["matched_cluster"] >= 0).all()
    low, high = matched["interval"].values
    assert low <= matched["mean"] <= high
    assert matched["null_mean"].max() < matched["mean"]


def test_the_matching_equals_trying_all_assignments():
    results = networks(2, n_clusters=3, n_tasks=7)
    a, b = (result["profile"].values for result in results)
    by_hand = max(
        np.mean([np.corrcoef(a[i], b[j])[0, 1] for i, j in enumerate(order)])
        for order in permutations(range(3))
    )
    with pytest.warns(nc.UnitWarning, match="two networks have no interval"):
        matched = match_clusters(results, n_permutations=2)
    assert matched["correlation"].values[0, 1] == pytest.approx(by_hand)
    assert matched["mean"] == pytest.approx(by_hand)


def test_order_of_networks_and_numbers_of_clusters_do_not_matter(rng):
    results = networks(3)
    renumbered = results[1].isel(cluster=[2, 0, 1])
    mean = match_clusters(results, n_permutations=1)["mean"]
    for order in ([results[2], results[0], results[1]], [results[0], renumbered, results[2]]):
        assert match_clusters(order, n_permutations=1)["mean"] == pytest.approx(mean.item())


def test_surplus_clusters_are_left_out():
    results = networks(3)
    two = cluster_units(variance_of(true_clusters(7)[0], "two"), n_clusters=2)
    matched = match_clusters([*results, two], n_permutations=5)
    own = matched.sel(network="two")
    assert (own["matched_cluster"] == -1).sum() == 1
    lost = own["matched_cluster"].values == -1
    np.testing.assert_array_equal(own["matched_correlation"].isnull(), lost)
    np.testing.assert_array_equal(own["matched_profile"].isnull().all("task"), lost)
    assert matched.attrs["reference"] != "two"


def test_a_flat_profile_has_correlation_0():
    results = networks(3)
    flat = results[0].assign_attrs(name="flat")
    flat["profile"] = flat["profile"] * 0 + 0.5
    matched = match_clusters([flat, *results], n_permutations=2)
    np.testing.assert_allclose(matched["correlation"].sel(network="flat")[1:], 0, atol=1e-12)


def test_networks_that_cannot_be_matched_are_refused():
    results = networks(2)
    with pytest.raises(nc.InputError, match="two or more networks, got 1"):
        match_clusters(results[:1])
    with pytest.raises(nc.InputError, match="names of their own, got net0, net0"):
        match_clusters([results[0], results[0]])
    with pytest.raises(nc.InputError, match="the columns of 'net0' in all networks"):
        match_clusters([results[0], results[1].isel(task=slice(5))])


def test_all_results_are_saved(truth, found, tmp_path):
    results = [
        null_of(continuum(), n_surrogates=2),
        epairs(truth[0], n_surrogates=9),
        describe_shuffled(truth[0], n_shuffles=2, n_clusters_tried=TRIED),
        cluster_stability(truth[0], found, n_bootstraps=2, n_surrogates=1),
        match_clusters(networks(3), n_permutations=2),
        embed_units(found, method="pca"),
    ]
    for result in results:
        path = tmp_path / f"{result.attrs['analysis']}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), result)


# figures -----------------------------------------------------------------------------------


def an_axes():
    return Figure(layout="constrained").subplots()


def test_the_heat_map_is_ordered_by_cluster(found, tmp_path):
    ax = plot_cluster_heatmap(an_axes(), found, names={"t00": "Go"})
    shown = np.asarray(ax.images[0].get_array())
    order = np.argsort(found["cluster"].values, kind="stable")
    np.testing.assert_array_equal(shown, found["normalised_variance"].values[order])
    (strip,) = ax.child_axes
    assert [text.get_text() for text in strip.get_yticklabels()] == ["0", "1", "2"]
    assert len(ax.lines) == 2
    assert ax.get_xticklabels()[0].get_text() == "Go"
    assert ax.get_title() == "net: 36 units"
    save(ax.figure, tmp_path / "heat.svg")


def test_noise_stands_last_in_the_heat_map(found):
    noisy = found.assign_coords(cluster=found["cluster"].where(found["cluster"] != 1, -1))
    (strip,) = plot_cluster_heatmap(an_axes(), noisy).child_axes
    assert strip.get_yticklabels()[-1].get_text() == "noise"


def test_the_silhouette_is_drawn_with_the_nulls_range(found, tmp_path):
    null = null_of(continuum(), n_surrogates=9)
    ax = plot_silhouette(an_axes(), found, null=null)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found["silhouette"])
    assert ax.lines[2].get_xdata() == [3]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["null, highest: 95 %", "null, highest: median", "data", "chosen: 3"]
    assert len(plot_silhouette(an_axes(), found).lines) == 2
    save(ax.figure, tmp_path / "silhouette.svg")


def test_nulls_are_drawn_with_the_observed_value(truth, tmp_path):
    for null, label in (
        (null_of(continuum(), n_surrogates=9), "highest mean silhouette"),
        (epairs(truth[0], n_surrogates=9), "mean angle to nearest units (rad)"),
    ):
        ax = plot_cluster_null(an_axes(), null)
        assert ax.get_xlabel() == label
        assert ax.lines[0].get_xdata()[0] == null["observed"]
        assert sum(patch.get_height() for patch in ax.patches) == 9
        assert f"p = {float(null['p_value']):.2g}" in ax.get_legend().get_texts()[1].get_text()
        save(ax.figure, tmp_path / f"{label[:7]}.svg")


def test_an_embedding_has_colours_and_numbers(truth, found, tmp_path):
    ax = plot_embedding(an_axes(), embed_units(found, method="pca"))
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    assert sum(len(part.get_offsets()) for part in ax.collections) == 36
    assert ax.get_title() == "PCA"
    plain = plot_embedding(an_axes(), embed_units(truth[0], method="mds"))
    assert len(plain.collections) == 1
    assert not plain.texts
    save(ax.figure, tmp_path / "plane.svg")


def test_matched_profiles_are_drawn_over_each_other(tmp_path):
    matched = match_clusters(networks(4), n_permutations=2)
    ax = plot_matched_profiles(an_axes(), matched, 1, names={"t01": "Anti"})
    assert len(ax.lines) == 4
    assert ax.get_title().startswith("cluster 1: matched in 3 of 3, median r = ")
    assert ax.get_xticklabels()[1].get_text() == "Anti"
    save(ax.figure, tmp_path / "profiles.svg")


@given(hnp.arrays(float, 6, elements=st.floats(0, 10)))
def test_numbers_beside_the_heat_map_keep_their_distance(places):
    places = np.sort(places)
    apart = _apart(places, 1.0)
    assert all(after - before >= 1 - 1e-9 for before, after in pairwise(apart))
    assert apart.mean() == pytest.approx(places.mean())
    if (np.diff(places) >= 1).all():
        np.testing.assert_allclose(apart, places)


def test_nothing_warns_where_nothing_is_wrong(truth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster_units(truth[0], n_clusters_tried=TRIED)
