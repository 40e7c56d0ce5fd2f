"""Figures of clusters, their nulls, embeddings and matched profiles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure
from simulated_clusters import TRIED, continuum, networks, null_of, true_clusters, variance_of

from nwbcompare.analysis.clustering import epairs, match_clusters
from nwbcompare.analysis.clustering.clusters import cluster_units, embed_units
from nwbcompare.plotting import save
from nwbcompare.plotting.clusters import (
    _apart,
    plot_cluster_heatmap,
    plot_cluster_null,
    plot_embedding,
    plot_matched_profiles,
    plot_silhouette,
)


@pytest.fixture(scope="module")
def truth():
    values, label = true_clusters()
    return variance_of(values), label


@pytest.fixture(scope="module")
def found(truth):
    return cluster_units(truth[0], n_clusters_tried=TRIED)


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
