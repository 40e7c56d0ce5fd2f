"""Split halves and pairs of animals: exact cases, simulated truth, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from family_samples import family, recording, table

import nwbcompare as nc
from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.split_half import MEASURES, between_animal_distance, split_half_distance


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
    with pytest.raises(nc.NotApplicableError, match="one does not tell how much animals differ"):
        between_animal_distance(brain)
    with pytest.raises(nc.InputError, match="n_permutations: expected 1 or more"):
        between_animal_distance(brain, n_permutations=0)
    with pytest.raises(nc.InputError, match="n_splits: expected 1 or more"):
        split_half_distance(brain, n_splits=0)
    with pytest.raises(nc.InputError, match="by: expected one of session, unit"):
        split_half_distance(brain, by="animal")
    with pytest.raises(nc.NotApplicableError, match="a unit column 'session'"):
        split_half_distance(brain.drop_vars("session"))
    with pytest.raises(nc.NotApplicableError, match="two or more sessions with active units"):
        split_half_distance(brain.isel(unit=slice(4)))
    with pytest.raises(nc.NotApplicableError, match="two or more active units in every draw"):
        split_half_distance(brain, [brain * np.nan])
