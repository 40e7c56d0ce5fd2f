"""Equivalence within a margin: two t tests, error rates, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from session_samples import FEW, FTV, networks, recorded, table

from nwbcompare.comparison.compare_samples import compare_samples
from nwbcompare.comparison.equivalence import animal_margin, equivalence_test, two_one_sided
from nwbcompare.core.errors import InputError, NotApplicableError


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_equivalence_is_two_t_tests_and_interval_inclusion(rng):
    values = rng.normal(0.02, 0.1, size=30)
    error = stats.sem(values)
    found = two_one_sided(values.mean(), margin=0.06, standard_error=error, degrees_of_freedom=29)
    sides = [
        stats.ttest_1samp(values, -0.06, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.06, alternative="less").pvalue,
    ]
    assert found["p_value"] == pytest.approx(max(sides))
    low, high = stats.t.interval(0.9, 29, values.mean(), error)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert bool(found["equivalent"]) == (max(sides) <= 0.05)
    least = float(found["smallest_margin"])
    for margin, alike in ((least * 1.001, True), (least * 0.999, False)):
        again = two_one_sided(
            values.mean(), margin=margin, standard_error=error, degrees_of_freedom=29
        )
        assert bool(again["equivalent"]) is alike


def test_equivalence_errs_in_five_percent_at_the_margin():
    rng = np.random.default_rng(8)
    values = rng.normal(0.1, 0.15, size=(4000, 12))
    error = values.std(axis=1, ddof=1) / np.sqrt(12)
    options = {"standard_error": error, "degrees_of_freedom": 11}
    at_margin = two_one_sided(values.mean(axis=1), margin=0.1, **options)["equivalent"].mean()
    assert 0.03 < at_margin <= 0.06
    inside = two_one_sided(values.mean(axis=1) - 0.1, margin=0.1, **options)["equivalent"].mean()
    assert inside > 0.3
    exact = two_one_sided([0.05, 0.2], margin=0.1, standard_error=0)
    assert exact["equivalent"].tolist() == [True, False]


def test_equivalence_of_networks_and_recording(rng):
    session = np.repeat(np.arange(60), 4)
    monkey = recorded(rng, session=session)
    found = compare_samples(networks(rng, n=5, session=session), monkey, **FEW)
    alike = equivalence_test(found, margin=0.15)
    assert alike["equivalent"].all()
    assert (alike["smallest_margin"] < 0.15).all()
    assert alike.attrs["margin"] == 0.15
    wide = compare_samples(networks(rng, 0.6, 5, session=session), monkey, **FEW)
    assert not equivalence_test(wide, margin=0.15)["equivalent"].any()


def test_a_distance_is_tested_by_its_bound_without_bias(rng):
    session = np.repeat(np.arange(60), 4)
    found = compare_samples(
        networks(rng, n=5, session=session), recorded(rng, session=session), **FEW
    )
    own = found.sel(measure="wasserstein", claim="these networks")
    tested = equivalence_test(found, margin=0.1, measure="wasserstein", reason="as in 8 animals")
    ours = tested.sel(claim="these networks")
    error, df = float(own["standard_error"]), float(own["degrees_of_freedom"])
    bound = max(float(own["estimate"] - own["bias"]), 0) + stats.t.ppf(0.95, df) * error
    assert ours["high"].item() == pytest.approx(bound)
    assert (float(ours["low"]), bool(ours["equivalent"])) == (0, bound <= 0.1)
    assert tested.attrs["margin_reason"] == "as in 8 animals"
    # equal distributions have a positive distance, which is bias
    assert float(own["bias"]) > 0.2 * float(own["estimate"])


def test_equivalence_of_several_animals_needs_that_of_each(rng):
    session = np.repeat(np.arange(40), 4)
    animal = np.where(session < 20, "A", "B")
    monkeys = recorded(rng, session=session, subject=animal)
    models = [m.assign_coords(subject=("unit", animal)) for m in networks(rng, session=session)]
    for model in models:
        model[FTV].values[animal == "B"] *= 2
    found = compare_samples(models, monkeys, **FEW)
    assert not equivalence_test(found, margin=0.15)["equivalent"].any()
    least = equivalence_test(found, margin=0.15)["smallest_margin"].sel(claim="these networks")
    error, df = (
        found[name].sel(claim="these networks", measure="sd", animal="B").item()
        for name in ("error_by_animal", "freedom_by_animal")
    )
    estimate = found["estimate_by_animal"].sel(animal="B", measure="sd").item()
    assert least.item() == pytest.approx(estimate + stats.t.ppf(0.95, df) * error)


@pytest.mark.parametrize("margin", [0, -1, 1.01, np.inf, np.nan])
def test_a_margin_is_above_0_and_at_most_1(rng, margin):
    with pytest.raises(InputError, match="margin: expected a number above 0 and at most 1"):
        two_one_sided(0, margin=margin, standard_error=1)
    found = compare_samples(networks(rng), recorded(rng), **FEW)
    for measure in ("sd", "wasserstein"):
        with pytest.raises(InputError, match="margin: expected a number above 0 and at most 1"):
            equivalence_test(found, margin=margin, measure=measure)


def test_equivalence_refuses_an_unknown_measure(rng):
    found = compare_samples(networks(rng), recorded(rng), **FEW)
    with pytest.raises(InputError, match="Did you mean 'mixed_share'"):
        equivalence_test(found, margin=0.1, measure="mixed_shar")


def animals(rng, sds, n_sessions=8):
    """A recording of animals with their own s.d."""
    n = n_sessions * 10
    which = np.repeat(np.arange(len(sds)), n)
    return table(
        np.clip(rng.normal(0, np.array(sds)[which]), -1, 1),
        "monkeys",
        subject=np.array(list("ABCDEFGH"))[which],
        session=np.arange(which.size) // 10,
    )


def test_a_margin_from_animals_is_their_typical_difference(rng):
    sds = [0.1, 0.2, 0.3, 0.25, 0.15, 0.2, 0.3, 0.1]
    found = animal_margin(animals(rng, sds, 40))
    assert found["margin"].item() == pytest.approx(np.sqrt(2) * np.std(sds, ddof=1), rel=0.1)
    assert found["animal"].values.tolist() == list("ABCDEFGH")


def test_a_margin_needs_five_animals_with_sessions_that_differ(rng):
    with pytest.raises(NotApplicableError, match="5 animals or more .* got 4"):
        animal_margin(animals(rng, [0.1, 0.2, 0.3, 0.4]))
    with pytest.raises(NotApplicableError, match="with 4, 4, 4, 4, 4 sessions"):
        animal_margin(animals(rng, [0.1, 0.2, 0.3, 0.4, 0.5], n_sessions=4))
    alike = animals(rng, [0.2] * 5)
    alike[FTV].values[:] = np.tile(alike[FTV].values[:80], 5)
    with pytest.raises(NotApplicableError, match="differ by more than their sessions do"):
        animal_margin(alike)
    with pytest.raises(InputError, match="Did you mean 'mean'"):
        animal_margin(alike, measure="meen")
