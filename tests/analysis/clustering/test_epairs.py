"""The angle to the nearest units, against a Gaussian without clusters."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from simulated_clusters import continuum, true_clusters, variance_of

import nwbcompare as nc
from nwbcompare.analysis.clustering import epairs
from nwbcompare.analysis.clustering.kernels.clusters import normalised
from nwbcompare.analysis.clustering.kernels.surrogates import gaussian_like, mean_neighbour_angle


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
    with pytest.raises(nc.NotApplicableError, match="three or more columns.*got 2 columns"):
        epairs(truth[0].isel(task=[0, 1]))
    with pytest.raises(nc.NotApplicableError, match="at least 5 active units.*and 4 active"):
        epairs(truth[0].isel(unit=slice(4)))
