"""Units in true clusters and what the search finds in them."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_clusters import TRIED, true_clusters, variance_of

from nwbcompare.analysis.clustering.clusters import cluster_units


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
