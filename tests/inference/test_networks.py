"""Inference over networks: the exact test against brute force, its error rate and its power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
from nwbcompare.inference.networks import over_networks
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.lesions import plot_over_networks

# a multiple of 1/64: sums are exact, so the twin needs no tolerance
numbers = st.lists(st.integers(-200, 200).map(lambda k: k / 64), min_size=2, max_size=9)


def all_flips(values, null):
    away = [value - null for value in values]
    sums = [
        abs(sum(sign * x for sign, x in zip(signs, away, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(away))
    ]
    return sum(one >= abs(sum(away)) for one in sums) / len(sums)


@given(values=numbers, null=st.sampled_from([0.0, 0.25, -1.0]))
def test_p_is_the_share_of_all_sign_flips(values, null):
    found = over_networks(values, null=null)
    assert float(found["p_value"]) == all_flips(values, null)
    assert float(found["p_value"]) >= float(found["p_smallest"])


@given(values=numbers)
def test_neither_sign_nor_order_nor_scale_matters(values):
    p = float(over_networks(values)["p_value"])
    assert float(over_networks([-x for x in values])["p_value"]) == p
    assert float(over_networks(values[::-1])["p_value"]) == p
    assert float(over_networks([1000 * x for x in values])["p_value"]) == p


def test_the_interval_is_students():
    values = np.random.default_rng(0).normal(1, 2, size=7)
    found = over_networks(values)
    low, high = stats.t.interval(0.95, 6, values.mean(), values.std(ddof=1) / math.sqrt(7))
    assert float(found["mean"]) == pytest.approx(values.mean())
    assert float(found["mean_low"]) == pytest.approx(low)
    assert float(found["mean_high"]) == pytest.approx(high)


@pytest.mark.parametrize("n", [6, 10])
def test_without_an_effect_p_is_small_as_rarely_as_it_says(n):
    rng = np.random.default_rng(n)
    # symmetric, but with tails that no t test is made for
    p = np.array([float(over_networks(x)["p_value"]) for x in rng.standard_t(2, size=(600, n))])
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 3 * math.sqrt(level / 600)
    assert (p <= 0.5).mean() > 0.4


def test_an_effect_is_found():
    rng = np.random.default_rng(1)
    p = [float(over_networks(x)["p_value"]) for x in rng.normal(1.2, 1, size=(200, 10))]
    assert np.mean(np.array(p) <= 0.05) > 0.85


def test_with_many_networks_random_flips_come_close_to_all_of_them():
    values = np.random.default_rng(2).normal(0.3, 1, size=17)
    found = over_networks(values, seed=1)
    signs = 1 - 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1)
    exact = (np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean()
    assert float(found["p_value"]) == pytest.approx(exact, abs=4 * math.sqrt(exact / 99_999))
    assert found.identical(over_networks(values, seed=1))
    assert not found.identical(over_networks(values, seed=2))
    assert float(over_networks(np.arange(1, 41))["p_value"]) == 1e-5
    assert float(found["p_smallest"]) == 1e-5
    # sixteen are still taken exactly, whatever the seed
    assert over_networks(values[:16], seed=1).identical(over_networks(values[:16], seed=2))


def test_the_smallest_p_is_reached_and_stated():
    for n in (2, 5, 10):
        found = over_networks(np.arange(1, n + 1))
        assert float(found["p_value"]) == float(found["p_smallest"]) == 2 / 2**n
    assert float(over_networks([0.5, 0.5, 0.5], null=0.5)["p_value"]) == 1


def test_names_go_along_and_the_result_can_be_stored(tmp_path):
    by_name = over_networks({"x": 1.0, "y": -0.5})
    array = xr.DataArray([1.0, -0.5], dims="network", coords={"network": ["x", "y"]})
    assert over_networks(array).identical(by_name)
    assert over_networks(array.drop_vars("network"))["network"].values.tolist() == ["0", "1"]
    assert by_name["value"].sel(network="y") == -0.5
    by_name.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "x.nc", engine="h5netcdf").identical(by_name)


def test_from_one_network_nothing_is_inferred():
    with pytest.warns(UserWarning, match="nothing can be inferred over networks"):
        found = over_networks([0.7])
    assert float(found["p_value"]) == float(found["p_smallest"]) == 1
    assert np.isnan(found["mean_low"])
    assert np.isnan(found["mean_high"])
    assert float(found["mean"]) == 0.7


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ([], nc.InputError, r"one or more networks, got an array of shape \(0,\)"),
        (np.ones((2, 2)), nc.InputError, "Reduce what was measured"),
        ({"a": 1.0, "b": np.nan}, nc.NotApplicableError, "finite numbers, got none for b"),
        (
            xr.DataArray([1.0, 2.0], dims="network", coords={"network": ["a", "a"]}),
            nc.InputError,
            "different names",
        ),
    ],
)
def test_what_is_no_number_for_each_network_is_refused(values, error, match):
    with pytest.raises(error, match=match):
        over_networks(values)


def test_every_network_is_a_point_beside_the_mean():
    _, axes = new_figure()
    ax = axes[0, 0]
    for at, shift in enumerate((0.0, 1.0)):
        inference = over_networks([0.1 + shift, 0.2 + shift, 0.3 + shift], null=0.05)
        assert plot_over_networks(ax, inference, f"number {at}", at=at) is ax
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "number 0\np = 0.25, n = 3",
        "number 1\np = 0.25, n = 3",
    ]
    points = [c for c in ax.collections if len(c.get_offsets()) == 3]
    assert len(points) == 2
    assert [line.get_ydata()[0] for line in ax.lines if line.get_label() == "null"] == [0.05]
    assert ax.get_xlim() == (-0.5, 1.5)


def test_one_network_is_drawn_without_an_interval():
    with pytest.warns(UserWarning, match="nothing can be inferred"):
        inference = over_networks([0.7])
    _, axes = new_figure()
    ax = plot_over_networks(axes[0, 0], inference, "number")
    assert [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[0.7]]
