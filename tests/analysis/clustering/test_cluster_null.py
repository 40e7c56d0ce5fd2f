"""Whether units cluster at all: the null, shuffled columns, rotated units."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import xarray as xr
from simulated_clusters import TRIED, continuum, null_of, true_clusters, variance_of

import nwbcompare as nc
from nwbcompare.analysis.clustering.cluster_null import (
    cluster_null,
    describe_rotated,
    describe_shuffled,
)
from nwbcompare.analysis.clustering.clusters import cluster_units
from nwbcompare.analysis.clustering.kernels.surrogates import Copula
from nwbcompare.analysis.selectivity.task_variance import task_variance
from nwbcompare.core.errors import DamagedCacheError
from nwbcompare.kernels.permutation import random_rotation


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
    assert len(json.loads(kept.read_text())["rows"]) == 7
    xr.testing.assert_identical(null_of(values, n_surrogates=12, kept=kept), plain)
    assert computed == list(range(12))
    fewer = null_of(values, n_surrogates=7, kept=kept)
    np.testing.assert_array_equal(fewer["surrogate_silhouette"], plain["surrogate_silhouette"][:7])
    assert len(computed) == 12


def test_kept_surrogates_of_something_else_are_refused(tmp_path):
    values, kept = continuum(), tmp_path / "null.json"
    null_of(values, n_surrogates=3, kept=kept)
    with pytest.raises(nc.InputError, match="rows of others, which differ in table_sha256"):
        null_of(continuum(1), kept=kept)
    with pytest.raises(nc.InputError, match="differ in seed"):
        null_of(values, seed=1, kept=kept)
    with pytest.raises(nc.InputError, match="differ in n_init"):
        null_of(values, n_init=2, kept=kept)
    for text in ("{", "[]", '{"surrogates": 3}', "{}"):
        kept.write_text(text)
        with pytest.raises(DamagedCacheError, match="null.json: expected a JSON file of rows"):
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
    with pytest.raises(nc.NotApplicableError, match="two or more tasks"):
        cluster_null(truth[0].isel(task=[0]))
    with pytest.raises(nc.NotApplicableError, match="at least 3 units"):
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
    with pytest.raises(nc.NotApplicableError, match="units that have every condition"):
        describe_rotated(block, n_clusters_tried=[2])
