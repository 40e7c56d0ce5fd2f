"""Another animal as reference: simulated truth, units matched in noise and strength, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from session_samples import FTV, normal, table

from nwbcompare.comparison import (
    between_animal_distance,
    distance_beside_animal,
    match_animals,
)
from nwbcompare.core.errors import InputError, NotApplicableError

ANIMAL = np.repeat(["A", "F"], 120)
SESSION = np.arange(240) // 4
OF_BOTH = {"animal": "A", "reference": "F"}


def monkeys(rng, sd_a=0.33, sd_f=0.33, **columns):
    """Two animals of 30 sessions of 4 units each."""
    values = np.concatenate([normal(rng, sd_a, 120), normal(rng, sd_f, 120)])
    return table(values, "monkeys", subject=ANIMAL, session=SESSION, **columns)


@pytest.mark.parametrize(
    ("sd_network", "sd_f", "sign"), [(0.33, 0.33, 0), (0.33, 0.7, -1), (0.7, 0.33, 1)]
)
def test_networks_are_nearer_as_near_or_further_than_the_other_animal(sd_network, sd_f, sign):
    rng = np.random.default_rng(1)
    models = [table(normal(rng, sd_network, 150), f"n{i}") for i in range(4)]
    found = distance_beside_animal(models, monkeys(rng, 0.33, sd_f), n_bootstrap=200, **OF_BOTH)
    low, high = found["difference_low"].item(), found["difference_high"].item()
    assert (low > 0) - (high < 0) == sign
    assert low < found["difference"] < high
    expected = found["networks_distance"] - found["animal_distance"]
    assert found["difference"].item() == pytest.approx(expected.item())
    assert (found["p_value"] < 0.05) == (sign != 0)


def test_units_matched_to_the_animal_are_compared_with_it():
    rng = np.random.default_rng(7)
    both = monkeys(rng)
    values = [np.where(ANIMAL == "A", normal(rng, 0.33, 240), 1.0) for _ in range(2)]
    models = [
        table(own, f"n{i}", subject=ANIMAL, session=SESSION, recorded_unit=np.arange(240))
        for i, own in enumerate(values)
    ]
    found = distance_beside_animal(models, both, n_bootstrap=50, **OF_BOTH)
    assert found["networks_distance"] < 0.1
    assert found.attrs["n_values"] == 120


def test_whole_sessions_of_the_reference_are_resampled():
    rng = np.random.default_rng(2)
    models = [table(normal(rng, 0.33, 150), f"n{i}") for i in range(4)]
    both = monkeys(rng)
    # units of a session of F are alike, so that F has few independent values
    together = both.copy(deep=True)
    together[FTV].values[120:] = np.repeat(normal(rng, 0.33, 30), 4)
    widths = [
        float((found["animal_distance_high"] - found["animal_distance_low"]).item())
        for found in (
            distance_beside_animal(models, one, n_bootstrap=300, **OF_BOTH)
            for one in (both, together)
        )
    ]
    assert widths[1] > 1.3 * widths[0]


def test_a_distance_that_is_noise_vanishes_among_matched_units():
    rng = np.random.default_rng(3)
    noise = np.exp(rng.normal(0, 0.7, 240))
    noise[120:] *= 2
    both = monkeys(rng)
    # noise draws FTV towards 0, in either animal alike
    both[FTV].values[:] = normal(rng, 0.5, 240) / (1 + noise)
    both = both.assign(noise=("unit", noise))
    raw = between_animal_distance(both, n_permutations=199).sel(measure="sd_difference")
    chosen = match_animals(both, animals=("A", "F"), on=["noise"])
    matched = between_animal_distance(chosen, n_permutations=199).sel(measure="sd_difference")
    assert raw["p_value"].item() <= 0.05 < matched["p_value"].item()
    assert raw["excess"].item() == pytest.approx((raw["value"] - raw["null_mean"]).item())
    assert chosen.attrs["largest_gap"] < 0.05
    assert (chosen["subject"] == "A").sum() == (chosen["subject"] == "F").sum()
    assert chosen.attrs["n_pairs"] == chosen.sizes["unit"] // 2


def test_matching_keeps_a_true_difference():
    rng = np.random.default_rng(4)
    both = monkeys(rng, 0.2, 0.6).assign(noise=("unit", np.exp(rng.normal(0, 0.7, 240))))
    chosen = match_animals(both, animals=("A", "F"), on=["noise"])
    found = between_animal_distance(chosen, n_permutations=199).sel(measure="sd_difference")
    assert found["p_value"].item() <= 0.01


def test_units_without_a_strength_are_not_matched():
    rng = np.random.default_rng(5)
    strength = np.exp(rng.normal(0, 0.1, 240))
    strength[:60] = -1
    both = monkeys(rng).assign(strength=("unit", strength))
    both[FTV].values[230:] = np.nan
    chosen = match_animals(both, animals=("A", "F"), on=["strength"])
    assert bool((chosen["strength"] > 0).all() & chosen[FTV].notnull().all())
    both["strength"].values[:115] = -1
    with pytest.raises(NotApplicableError, match="10 pairs of units or more that are alike, got 5"):
        match_animals(both, animals=("A", "F"), on=["strength"])
    both["strength"].values[:120] = 1e6 * np.exp(rng.normal(0, 0.1, 120))
    with pytest.raises(NotApplicableError, match="that are alike, got 0"):
        match_animals(both, animals=("A", "F"), on=["strength"])


def test_unknown_animals_and_variables_are_refused():
    rng = np.random.default_rng(6)
    both, models = monkeys(rng), [table(normal(rng, 0.33, 150), "n")]
    with pytest.raises(InputError, match="reference: expected another animal, got 'A'"):
        distance_beside_animal(models, both, animal="A", reference="A")
    with pytest.raises(InputError, match="reference: expected one of A, F, got 'G'"):
        distance_beside_animal(models, both, animal="A", reference="G")
    with pytest.raises(InputError, match="animals: expected one of A, F, got 'G'"):
        match_animals(both, animals=("A", "G"), on=[FTV])
    with pytest.raises(InputError, match="on: expected .* got 'noise'"):
        match_animals(both, animals=("A", "F"), on=["noise"])
    one = both.isel(unit=ANIMAL == "A")
    with pytest.raises(NotApplicableError, match="two or more animals"):
        between_animal_distance(one)
