"""Stability of clusters: found again, plain loops, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from simulated_clusters import continuum, variance_of
from sklearn.metrics import adjusted_rand_score

import nwbcompare as nc
from nwbcompare.analysis.clustering import cluster_stability
from nwbcompare.analysis.clustering.clusters import cluster_units


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
