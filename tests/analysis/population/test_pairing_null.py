"""Cosines of task vectors whose units are paired at random: tails, error rates, bad input."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import composition_cosine, pairing_null
from nwbcompare.core.errors import NotApplicableError

NAMES = ("a", "b", "c", "d")


def vectors(first, second, **attrs):
    """Four conditions whose differences are given."""
    zero = np.zeros(len(first))
    return xr.Dataset(
        {"task_vector": (("task", "unit"), [zero + first, zero, second + zero + 7, zero + 7])},
        coords={"task": list(NAMES)},
        attrs={"name": "toy", **attrs},
    )


def test_random_pairings_are_permutations_and_give_the_exact_tail():
    rng = np.random.default_rng(0)
    first = rng.normal(size=5)
    second = first + 0.3 * rng.normal(size=5)
    length = np.linalg.norm(first) * np.linalg.norm(second)
    every = [float(np.dot(first, order)) / length for order in permutations(second)]
    found = pairing_null(vectors(first, second), *NAMES, n_permutations=4999)
    cosine = float(found["cosine"])
    assert cosine == pytest.approx(np.dot(first, second) / length)
    assert cosine == pytest.approx(
        float(composition_cosine(vectors(first, second), *NAMES)["cosine"])
    )
    drawn = np.unique(found["null_cosine"].values.round(9))
    assert set(drawn) == set(np.round(every, 9))
    tails = [
        np.mean([c >= cosine - 1e-12 for c in every]),
        np.mean([c <= cosine + 1e-12 for c in every]),
    ]
    assert float(found["p_value"]) == pytest.approx(min(1, 2 * min(tails)), abs=0.01)


def test_one_in_twenty_unrelated_populations_is_called_related():
    rng = np.random.default_rng(1)
    p_values = [
        float(
            pairing_null(
                # skewed, and with what all units share: no cosine is 0 by itself
                vectors(rng.exponential(size=30), rng.exponential(size=30)),
                *NAMES,
                n_permutations=99,
                seed=k,
            )["p_value"]
        )
        for k in range(300)
    ]
    # 95 % of binomial counts at 5 % lie within 8 to 23 of 300
    assert 0.015 <= np.mean(np.array(p_values) <= 0.05) <= 0.08
    assert 0.4 < np.mean(p_values) < 0.6


@pytest.mark.parametrize("sign", [1, -1])
def test_related_populations_are_found_both_ways(sign):
    rng = np.random.default_rng(2)
    found = []
    for k in range(40):
        first = rng.normal(size=50)
        second = sign * first + rng.normal(size=50)
        found.append(
            float(
                pairing_null(vectors(first, second), *NAMES, n_permutations=99, seed=k)["p_value"]
            )
        )
    assert np.mean(np.array(found) <= 0.05) > 0.95
    assert min(found) == 2 / 100


def test_what_all_units_share_is_no_relation():
    rng = np.random.default_rng(3)
    first, second = 3 + rng.normal(size=(2, 60))
    found = pairing_null(vectors(first, second), *NAMES, n_permutations=199)
    assert float(found["cosine"]) > 0.8
    assert float(found["null_cosine"].mean()) > 0.8
    assert float(found["p_value"]) > 0.05
    # the same relation without it is found
    second = 3 + (first - 3) + 0.3 * rng.normal(size=60)
    assert float(pairing_null(vectors(first, second), *NAMES)["p_value"]) < 0.01


@given(st.integers(0, 1000), st.integers(2, 12), st.floats(0.1, 10))
def test_the_order_and_scale_of_units_do_not_matter_but_their_pairing_does(seed, n, scale):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    order = rng.permutation(n)
    one, both, alone = (
        pairing_null(given_, *NAMES, n_permutations=19, seed=seed)
        for given_ in (
            vectors(first, second),
            vectors(scale * first[order], second[order]),
            vectors(first, second[order]),
        )
    )
    assert float(one["cosine"]) == pytest.approx(float(both["cosine"]), abs=1e-9)
    assert 0 < float(one["p_value"]) <= 1
    expected = first @ second[order] / np.linalg.norm(first) / np.linalg.norm(second)
    assert float(alone["cosine"]) == pytest.approx(expected, abs=1e-9)


def test_constant_differences_pair_alike_and_p_is_one():
    found = pairing_null(vectors(np.ones(6), np.ones(6)), *NAMES, n_permutations=9)
    assert (float(found["cosine"]), float(found["p_value"])) == (pytest.approx(1), 1)


def test_the_same_seed_gives_the_same_pairings_and_the_result_survives_a_file(tmp_path):
    rng = np.random.default_rng(4)
    given_ = vectors(*rng.normal(size=(2, 20)))
    one, two, other = (
        pairing_null(given_, *NAMES, n_permutations=9, seed=seed) for seed in (0, 0, 1)
    )
    assert one.identical(two)
    assert not one["null_cosine"].equals(other["null_cosine"])
    assert (one.attrs["analysis"], one.attrs["name"]) == ("pairing_null", "toy")
    one.to_netcdf(tmp_path / "null.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "null.nc", engine="h5netcdf") as opened:
        assert opened.identical(one)


def test_pairing_refuses_what_has_no_direction():
    given_ = vectors(*np.random.default_rng(5).normal(size=(2, 8)))
    with pytest.raises(
        nc.InputError, match="n_permutations: expected a whole number of 1 or more, got 0"
    ):
        pairing_null(given_, *NAMES, n_permutations=0)
    with pytest.raises(nc.InputError, match="'e'"):
        pairing_null(given_, "a", "b", "c", "e")
    with pytest.raises(nc.InputError, match="'a'|repeated|different|twice"):
        pairing_null(given_, "a", "b", "c", "a")
    with pytest.raises(NotApplicableError, match="equal ones of 'a' and 'b'"):
        pairing_null(vectors(np.zeros(8), np.ones(8)), *NAMES)
