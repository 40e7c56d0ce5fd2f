"""Clusters matched across networks: all assignments, the null, refusals."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from simulated_clusters import networks, true_clusters, variance_of

import nwbcompare as nc
from nwbcompare.analysis.clustering import match_clusters
from nwbcompare.analysis.clustering.clusters import cluster_units


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
    with pytest.raises(nc.NotApplicableError, match="two or more networks, got 1"):
        match_clusters(results[:1])
    with pytest.raises(nc.InputError, match="names of their own, got net0, net0"):
        match_clusters([results[0], results[0]])
    with pytest.raises(nc.NotApplicableError, match="the columns of 'net0' in all networks"):
        match_clusters([results[0], results[1].isel(task=slice(5))])
