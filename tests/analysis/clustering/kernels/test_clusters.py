"""Clusters of rows: silhouettes, the search, numbering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from simulated_clusters import TRIED, true_clusters
from sklearn.metrics import silhouette_score

from nwbcompare.analysis.clustering.kernels.clusters import (
    _distances_between,
    _mean_silhouette,
    by_preference,
    cluster,
    most_clusters,
    normalised,
)


@given(
    hnp.arrays(float, (9, 3), elements=st.integers(0, 5)),
    hnp.arrays(int, 9, elements=st.integers(-1, 3)),
)
def test_the_silhouette_equals_scikit_learns(rows, labels):
    found = _mean_silhouette(_distances_between(rows), labels)
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
    found = _mean_silhouette(_distances_between(rows), labels)
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
