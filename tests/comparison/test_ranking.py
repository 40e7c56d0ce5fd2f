"""Split halves and rankings: brute-force twins, invariances, negative controls, simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.ranking import rank_families
from nwbcompare.comparison.split_half import MEASURES, between_animal_distance, split_half_distance
from nwbcompare.plotting.ranking import plot_split_half_and_families
from nwbcompare.plotting.style import new_figure


def table(values, name="m", **columns):
    return xr.Dataset(
        {"fractional_task_variance": ("unit", np.asarray(values, dtype=float))},
        coords={key: ("unit", column) for key, column in columns.items()},
        attrs={"name": name, "source": "recording"},
    )


def recording(rng, *, sessions=20, size=4, width=0.5, shift=0.0, **columns):
    """A recording whose sessions differ by a shift of their own."""
    session = np.repeat([f"s{i:02}" for i in range(sessions)], size)
    own = np.repeat(rng.normal(0, shift, sessions), size)
    values = np.clip(rng.uniform(-width, width, session.size) + own, -1, 1)
    return table(values, session=session, **columns)


def family(rng, width, *, n=3, size=60, name=""):
    return [
        table(rng.uniform(-width, width, size), f"{name or width}-{i}").assign_attrs(source="model")
        for i in range(n)
    ]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# split_half -------------------------------------------------------------------------------------


def test_measures_are_0_for_equal_samples_and_symmetric(rng):
    a, b = rng.standard_normal(30), rng.standard_normal(40)
    for name, measure in MEASURES.items():
        assert measure(a, a) == pytest.approx(0, abs=1e-7), name
        assert measure(a, b) == pytest.approx(measure(b, a)), name
        assert measure(a, b) > 0, name


def test_two_sessions_have_one_split():
    brain = table([0.0, 0.2, 0.6, 1.0], session=["x", "x", "y", "y"])
    split_half = split_half_distance(brain, n_splits=5)
    expected = {name: measure(np.array([0, 0.2]), np.array([0.6, 1])) for name, measure in MEASURES.items()}  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(split_half["value"].sel(measure=name), value)
    assert (split_half["n_first"] == 2).all()
    assert (split_half["n_second"] == 2).all()


def test_sessions_are_not_split_and_animals_are_in_both_halves(rng):
    # of every session and animal the values tell which it is
    session, animal = np.repeat(np.arange(8), 5), np.repeat(["A", "F"], 20)
    brain = table(session / 10, session=session, subject=animal)
    split_half = split_half_distance(brain, n_splits=50)
    assert (split_half["n_first"] == 20).all()
    # two sessions of each animal: 2 * 0.1..; a half with one animal alone would be 0.4 away
    assert split_half["value"].sel(measure="mean_difference").max() < 0.21
    alone = split_half_distance(brain.drop_vars("subject"), n_splits=200)
    assert alone["value"].sel(measure="mean_difference").max() > 0.35


def test_sessions_that_differ_raise_the_floor_above_that_of_units(rng):
    brain = recording(rng, shift=0.4)
    by_session, by_unit = (split_half_distance(brain, by=by)["mean"] for by in ("session", "unit"))
    assert (by_session.sel(measure="wasserstein") > 1.3 * by_unit.sel(measure="wasserstein")).all()
    alike = recording(rng)
    by_session, by_unit = (split_half_distance(alike, by=by)["mean"] for by in ("session", "unit"))
    assert by_session.sel(measure="wasserstein") < 1.3 * by_unit.sel(measure="wasserstein")


def test_a_model_of_the_same_population_is_as_far_as_the_other_half(rng):
    """At equal sizes, whatever the size of the model."""
    ratios, wide = [], []
    for _ in range(20):
        brain = recording(rng)
        split_half = split_half_distance(
            brain, [*family(rng, 0.5, n=1, size=2000), *family(rng, 1.0, n=1)], n_splits=40
        )
        ratio = split_half["ratio"].sel(measure="wasserstein").values
        ratios.append(ratio[0])
        wide.append(ratio[1])
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)
    assert np.mean(wide) > 2.5
    assert split_half["as_close"].sel(measure="wasserstein")[1] < 0.05


def test_a_small_model_cuts_the_second_half(rng):
    split_half = split_half_distance(recording(rng), family(rng, 0.5, n=2, size=15), n_splits=10)
    assert (split_half["n_second"] == 15).all()
    assert split_half.attrs["size_factor"] > 1.4


def test_halves_lie_further_apart_than_whole_samples(rng):
    whole = [DISTANCES["wasserstein"](*rng.uniform(-1, 1, (2, 80))) for _ in range(300)]
    distances = [split_half_distance(recording(rng, width=1.0), n_splits=5) for _ in range(60)]
    halves = np.mean([f["mean"].sel(measure="wasserstein") for f in distances])
    assert halves / np.mean(whole) == pytest.approx(distances[0].attrs["size_factor"], rel=0.12)


def test_inactive_units_order_and_names_do_not_matter_and_the_seed_does(rng):
    brain = recording(rng)
    with_silent = xr.concat([brain, brain.isel(unit=[0]) * np.nan], "unit").assign_attrs(
        brain.attrs
    )
    renamed = brain.assign_coords(session=("unit", np.char.add("day ", brain["session"].values)))
    split_half = split_half_distance(brain, n_splits=20)
    for other in (with_silent, renamed):
        xr.testing.assert_allclose(split_half_distance(other, n_splits=20), split_half)
    xr.testing.assert_identical(split_half_distance(brain, n_splits=20), split_half)
    assert not split_half_distance(brain, n_splits=20, seed=1).equals(split_half)


def test_animals_that_differ_are_told_from_animals_that_do_not(rng):
    animal = np.repeat(["A", "F"], 40)
    values = rng.uniform(-1, 1, 80) * np.where(animal == "A", 0.3, 1.0)
    brain = table(values, session=np.arange(80) // 4, subject=animal)
    found = between_animal_distance(brain, n_permutations=99)
    assert found["p_value"].sel(measure="sd_difference").item() <= 0.03
    assert found["animal_pair"].values.tolist() == ["A/F"]
    own = values[:40], values[40:]
    for name, measure in MEASURES.items():
        assert found["value"].sel(measure=name).item() == pytest.approx(measure(*own))
    p_values = [
        between_animal_distance(recording(rng, subject=animal, shift=0.3), n_permutations=49)["p_value"]
        .sel(measure="wasserstein").item() for _ in range(60)
    ]  # fmt: skip
    assert np.mean(np.array(p_values) <= 0.1) < 0.22


def test_three_animals_make_three_pairs(rng):
    brain = recording(rng, sessions=21, subject=np.repeat(["A", "B", "F"], 28))
    found = between_animal_distance(brain, n_permutations=9)
    assert found["animal_b"].values.tolist() == ["B", "F", "F"]
    assert found["value"].dims == ("animal_pair", "measure")


def test_bad_input_of_floors_is_refused(rng):
    brain = recording(rng)
    with pytest.raises(nc.InputError, match="one does not tell how much animals differ"):
        between_animal_distance(brain)
    with pytest.raises(nc.InputError, match="n_permutations: expected 1 or more"):
        between_animal_distance(brain, n_permutations=0)
    with pytest.raises(nc.InputError, match="n_splits: expected 1 or more"):
        split_half_distance(brain, n_splits=0)
    with pytest.raises(nc.InputError, match="by: expected one of session, unit"):
        split_half_distance(brain, by="animal")
    with pytest.raises(nc.InputError, match="a unit column 'session'"):
        split_half_distance(brain.drop_vars("session"))
    with pytest.raises(nc.InputError, match="two or more sessions with active units"):
        split_half_distance(brain.isel(unit=slice(4)))
    with pytest.raises(nc.InputError, match="two or more active units in every draw"):
        split_half_distance(brain, [brain * np.nan])


# ranking -----------------------------------------------------------------------------------


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
    with pytest.raises(nc.InputError, match="two or more, each with one network or more"):
        rank_families({"a": families["a"]}, brain)
    with pytest.raises(nc.InputError, match="without networks: b"):
        rank_families({"a": families["a"], "b": []}, brain)
    with pytest.raises(nc.InputError, match="different names of networks"):
        rank_families({"a": families["a"], "b": families["a"]}, brain)
    with pytest.raises(nc.InputError, match="n_bootstrap: expected 1 or more"):
        rank_families(families, brain, n_bootstrap=0)
    with pytest.raises(nc.InputError, match="a unit column 'session'"):
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
