"""Findings animal by animal: what is said of two animals together, and of few sessions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from session_samples import FEW, FTV, networks, recorded

from nwbcompare.comparison.compare_samples import compare_samples
from nwbcompare.workflows.sections.by_animal import animal_findings, unit_of, untested

SESSION = np.repeat(np.arange(20), [2, 3, 4, 5] * 5)


def findings(sds, n_sessions=20):
    """Findings on networks of s.d. 0.33 and two animals with their own s.d."""
    rng = np.random.default_rng(0)
    animal = np.where(SESSION % 2, "A", "F")
    monkeys = recorded(rng, session=SESSION, subject=animal)
    monkeys[FTV].values[:] = np.clip(rng.normal(0, np.where(animal == "A", *sds)), -1, 1)
    models = [m.assign_coords(subject=("unit", animal)) for m in networks(rng, session=SESSION)]
    own = n_sessions > SESSION
    result = compare_samples(
        [model.isel(unit=own) for model in models], monkeys.isel(unit=own), **FEW
    )
    found = animal_findings(result, "The networks", "figure", dict.fromkeys("AF", unit_of(result)))
    return result, [one if isinstance(one, str) else one.text for one in found], found


@pytest.mark.parametrize(
    ("sds", "together"),
    [
        ((0.7, 0.7), "The difference is shown in both of 2 animals (A and F; p < 0.001"),
        ((0.33, 0.7), "The difference is not shown in both of 2 animals (A and F; p = "),
    ],
)
def test_a_difference_is_in_both_animals_only_if_each_shows_it(sds, together):
    result, texts, found = findings(sds)
    assert texts[0].startswith("The networks, against A by itself: difference of s.d. of FTV ")
    assert texts[1].startswith("The networks, against F by itself")
    assert texts[2].startswith(together)
    n = int(result["n_showing"].sel(measure="sd"))
    assert f"in {n} of 2 at 5 %, which supports a prevalence of at least" in texts[2]
    assert texts[3].startswith("Between the animals (A - F) this difference differs by ")
    assert "A mean over animals does not apply: two animals (A, F) are fixed" in texts[4]
    p = result["p_by_animal"].sel(claim="these networks", animal="A", measure="sd").item()
    assert found[0].evidence.p_value == pytest.approx(p, rel=1e-4)
    assert found[0].evidence.unit_of_inference == "session of A"


def test_an_animal_of_few_sessions_is_not_tested():
    result, texts, found = findings((0.7, 0.7), n_sessions=8)
    assert untested(result, "these networks").startswith("4 sessions of")
    assert found[0].evidence.p_value is found[0].evidence.low is None
    assert texts[2] == (
        "No statement about A and F together: an animal has too few sessions for a test."
    )


def test_one_animal_has_no_findings_of_its_own():
    rng = np.random.default_rng(1)
    result = compare_samples(networks(rng), recorded(rng), **FEW)
    assert animal_findings(result, "The networks", "figure", {}) == []
    assert json.loads(result.attrs["untested"]) == {}
