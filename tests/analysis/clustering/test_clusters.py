"""Clusters of units: the published search, true clusters, refusals, embeddings."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from simulated_clusters import TRIED, continuum, networks, null_of, true_clusters, variance_of
from sklearn.metrics import adjusted_rand_score, silhouette_score

import nwbcompare as nc
from nwbcompare.analysis.clustering import cluster_stability, epairs, match_clusters
from nwbcompare.analysis.clustering.cluster_null import describe_shuffled
from nwbcompare.analysis.clustering.clusters import cluster_units, embed_units
from nwbcompare.analysis.selectivity.task_variance import epoch_variance, task_variance
from nwbcompare.testing import example_block

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
    ("options", "error", "match"),
    [
        (
            {"method": "kmean"},
            nc.InputError,
            "method: expected one of kmeans.*Did you mean 'kmeans'",
        ),
        ({"threshold": -1}, nc.InputError, "threshold: expected 0 or more, got -1"),
        (
            {"threshold": 1e9},
            nc.NotApplicableError,
            r"at least 3 units whose variances sum.*got 0 of 36 units",
        ),
        (
            {"n_clusters": 36},
            nc.NotApplicableError,
            "n_clusters: expected units for 36 clusters, got 36 active units, enough for 35",
        ),
        ({"n_clusters": 1}, nc.InputError, "n_clusters: expected 2 clusters or more, got 1"),
        (
            {"n_clusters_tried": [1, 2]},
            nc.InputError,
            "n_clusters_tried: expected 2 clusters or more, got 1, 2",
        ),
        (
            {"n_clusters_tried": [40]},
            nc.NotApplicableError,
            "n_clusters_tried: expected units for 40 clusters, got 36 active units",
        ),
        ({"method": "hdbscan", "n_clusters": 3}, nc.InputError, "None with HDBSCAN"),
    ],
)
def test_bad_options_are_refused(truth, options, error, match):
    with pytest.raises(error, match=match):
        cluster_units(truth[0], **options)


def test_bad_tables_are_refused(truth):
    variance = truth[0]
    with pytest.raises(nc.NotApplicableError, match="two or more tasks or epochs, got 1"):
        cluster_units(variance.isel(task=[0]))
    with pytest.raises(nc.InputError, match="the dims unit and task, .*got the dims nothing"):
        cluster_units(variance.drop_vars("task_variance"))
    with pytest.raises(nc.InputError, match="got the dims unit, task, time"):
        cluster_units(variance.expand_dims(time=2, axis=2))
    with pytest.raises(
        nc.NotApplicableError, match="units that differ .*36 active units that are all"
    ):
        cluster_units(variance_of(np.outer(np.arange(1.0, 37), [1, 2, 3])))
    alone = variance_of(np.eye(4) + 0.1)
    for method_variance in (alone, variance_of(np.eye(6) + 0.1)):
        with pytest.raises(nc.NotApplicableError, match="a group of at least 5 units that HDBSCAN"):
            cluster_units(method_variance, method="hdbscan")


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
    with pytest.raises(nc.NotApplicableError, match="more than 30 active units, the perplexity"):
        embed_units(few)
    with pytest.raises(nc.InputError, match="method: expected one of tsne, pca, mds"):
        embed_units(few, method="umap")


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


def test_nothing_warns_where_nothing_is_wrong(truth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster_units(truth[0], n_clusters_tried=TRIED)
