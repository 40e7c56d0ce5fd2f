"""Rankings of families: brute-force twins, invariances, negative controls, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from family_samples import family, recording

import nwbcompare as nc
from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.ranking import rank_families
from nwbcompare.comparison.split_half import between_animal_distance, split_half_distance
from nwbcompare.plotting.ranking import plot_split_half_and_families
from nwbcompare.plotting.style import new_figure


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_closer_family_comes_first_with_its_distances(rng):
    widths = {"wide": 1.0, "near": 0.5, "middle": 0.85}
    families = {name: family(rng, width, n=5) for name, width in widths.items()}
    brain = recording(rng)
    found = rank_families(families, brain, n_bootstrap=300, n_splits=30)
    assert found.attrs["closest"] == "near"
    assert found["p_closest"].sel(family="near") > 0.95
    assert found["p_closest"].sum() == pytest.approx(1)
    values = brain["fractional_task_variance"].values
    expected = [
        np.mean(
            [
                DISTANCES["wasserstein"](net["fractional_task_variance"].values, values)
                for net in nets
            ]
        )
        for nets in families.values()
    ]
    np.testing.assert_allclose(found["distance"], expected)
    assert (found["distance_low"] < found["distance"]).all()
    assert (found["distance_high"] > found["distance"]).all()
    assert found["ratio"].sel(family="near") < 2 < found["ratio"].sel(family="wide")
    assert found["pair"].values.tolist() == ["wide/near", "wide/middle", "near/middle"]
    first = found["distance"].sel(family=found["family_a"]).values
    np.testing.assert_allclose(
        found["difference"], first - found["distance"].sel(family=found["family_b"]).values
    )
    assert (found["p_adjusted"] >= found["p_value"]).all()
    assert (found["difference_low"] <= found["difference"]).all()


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_order_and_names_do_not_matter(rng, distance):
    families, brain = {"a": family(rng, 1.0), "b": family(rng, 0.6)}, recording(rng)
    options = {"distance": distance, "n_bootstrap": 200, "n_splits": 20}
    found = rank_families(families, brain, **options)
    xr.testing.assert_identical(rank_families(families, brain, **options), found)
    turned = rank_families({"b": families["b"], "a": families["a"][::-1]}, brain, **options)
    for name in ("distance", "ratio"):
        ours, theirs = found[name], turned[name].sel(family=["a", "b"])
        np.testing.assert_allclose(theirs, ours, rtol=0.1 if name == "ratio" else 1e-9)
    renamed = brain.assign_coords(session=("unit", np.char.add("day ", brain["session"].values)))
    again = rank_families(families, renamed, **options)
    np.testing.assert_allclose(again["distance_low"], found["distance_low"])


def test_networks_are_compared_at_the_size_of_the_smallest(rng):
    """A large sample of the recording's population is no closer for being large."""
    brain = recording(rng)
    few, many = (
        family(rng, 0.5, n=8, size=20, name="few"),
        family(rng, 0.5, n=8, size=4000, name="m"),
    )
    found = rank_families({"few": few, "many": many}, brain, n_bootstrap=50, n_splits=5)
    assert found.attrs["n_values"] == 20
    assert found["distance"][0].item() == pytest.approx(found["distance"][1].item(), rel=0.3)
    values = brain["fractional_task_variance"].values
    whole = [
        DISTANCES["wasserstein"](net["fractional_task_variance"].values, values) for net in many
    ]
    assert np.mean(whole) < 0.7 * found["distance"].sel(family="many")


def test_draws_are_pooled_and_units_of_one_network_stay_together(rng):
    brain = recording(rng)
    unit = np.arange(60)
    drawn = [
        one.assign(
            fractional_task_variance=(
                ("draw", "unit"),
                one["fractional_task_variance"].values + 0.01 * rng.standard_normal((3, 60)),
            )
        ).assign_coords(network_unit=("unit", unit // 2))
        for one in family(rng, 1.0, n=1)
    ]
    found = rank_families(
        {"one": drawn, "three": family(rng, 0.7)}, brain, n_bootstrap=100, n_splits=10
    )
    assert found["n_networks"].values.tolist() == [1, 3]
    assert found["distance_bootstrap"].std("replicate").min() > 0
    assert found.attrs["n_values"] == 60


def test_alike_families_are_rarely_told_apart():
    """The calibration that `benchmarks/inference_errors.py` measures at length."""
    first = []
    for seed in range(30):
        rng = np.random.default_rng([seed, 7])
        widths = rng.uniform(0.7, 0.9, 6)
        nets = [family(rng, width, n=1, size=40, name=f"n{i}")[0] for i, width in enumerate(widths)]
        found = rank_families(
            {"a": nets[:3], "b": nets[3:]}, recording(rng), n_bootstrap=100, n_splits=2, seed=seed
        )
        first.append(found["p_closest"].sel(family="a").item())
    sure = np.maximum(first, 1 - np.array(first)) > 0.95
    assert sure.sum() <= 7
    assert np.mean(first) == pytest.approx(0.5, abs=0.15)


def test_results_are_saved(rng, tmp_path):
    families, brain = {"a": family(rng, 1.0), "b": family(rng, 0.6)}, recording(rng)
    found = rank_families(families, brain, n_bootstrap=20, n_splits=5)
    animals = between_animal_distance(
        recording(rng, subject=np.repeat(["A", "F"], 40)), n_permutations=9
    )
    for result in (found, animals, split_half_distance(brain, families["a"], n_splits=5)):
        path = tmp_path / f"{result.attrs['analysis']}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), result)


def test_bad_input_of_rankings_is_refused(rng):
    families, brain = {"a": family(rng, 1.0), "b": family(rng, 0.6)}, recording(rng)
    with pytest.raises(nc.InputError, match="distance: expected one of wasserstein"):
        rank_families(families, brain, distance="wassertein")
    with pytest.raises(nc.NotApplicableError, match="two families of networks or more, got a"):
        rank_families({"a": families["a"]}, brain)
    with pytest.raises(nc.InputError, match="one network or more in each, got none in b"):
        rank_families({"a": families["a"], "b": []}, brain)
    with pytest.raises(nc.InputError, match="different names of networks"):
        rank_families({"a": families["a"], "b": families["a"]}, brain)
    with pytest.raises(nc.InputError, match="n_bootstrap: expected 1 or more"):
        rank_families(families, brain, n_bootstrap=0)
    with pytest.raises(nc.NotApplicableError, match="a unit column 'session'"):
        rank_families(families, brain.drop_vars("session"))
    assert rank_families(
        families, brain.drop_vars("session"), by="unit", n_bootstrap=5, n_splits=5
    ).attrs["by"] == "unit"  # fmt: skip


def test_the_figure_has_a_row_for_each_family_and_pair_of_animals(rng):
    families = {"a": family(rng, 1.0), "b": family(rng, 0.6)}
    found = rank_families(families, recording(rng), n_bootstrap=20, n_splits=5)
    animals = between_animal_distance(
        recording(rng, subject=np.repeat(["A", "F"], 40)), n_permutations=9
    )
    _, axes = new_figure()
    ax = plot_split_half_and_families(axes[0, 0], found, animals, names={"b": "Family B"})
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert [row.split("\n")[0] for row in rows] == ["Family B (n = 3)", "a (n = 3)", "A"]
    assert "P(closest)" in rows[0]
    assert ax.get_xlim()[0] == 0
    assert ax.get_xlabel() == "Wasserstein distance to m"
    assert len(ax.collections) == 2
