"""Training regimes by name: their strength, controls after the regime of their importances."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from nwbcompare.model.config import Consolidation
from nwbcompare.workflows.training_regimes import (
    DONOR,
    METHODS,
    REGIMES,
    chains_of,
    read_regime,
    regime_of_study,
    strongest_last,
)


@given(
    method=st.sampled_from(["elastic", "orthogonal", "synaptic_intelligence"]),
    strength=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
)
def test_a_further_regime_has_exactly_the_strength_that_it_was_read_with(method, strength):
    regime = read_regime(f"{method}:{strength!r}")
    assert regime.consolidation(4) == Consolidation(method=method, strength=strength, seed=4)
    assert regime.donor is None
    control = read_regime(f"uniform:{strength!r}")
    number = regime.name.split()[1]
    assert (control.name, control.donor) == (f"uniform {number}", f"synaptic_intelligence {number}")
    assert read_regime(regime.option) == regime


@pytest.mark.parametrize("name", REGIMES)
def test_regimes_of_a_study_have_its_strength_where_they_consolidate(name):
    regime = regime_of_study(name, 0.3)
    method = METHODS.get(name)
    assert (regime.name, regime.method) == (name, method)
    assert regime.strength == (0.0 if name in {"interleaved", "sequential"} else 0.3)
    assert regime.donor == (DONOR if name in {"permuted", "uniform"} else None)
    if name == "interleaved":
        assert regime.consolidation(4) is None
    elif name == "sequential":
        assert regime.consolidation(4) == Consolidation(seed=4)
    else:
        assert regime.consolidation(4) == Consolidation(method=method, strength=0.3, seed=4)


def regimes_of(*names):
    """Regimes of a study of strength 1, and further ones, by name."""
    regimes = [
        regime_of_study(name, 1.0) if name in REGIMES else read_regime(name.replace(" ", ":"))
        for name in names
    ]
    return {regime.name: regime for regime in regimes}


def test_controls_are_trained_after_the_regime_of_their_strength():
    regimes = regimes_of(
        "sequential", "consolidated", "uniform", "uniform 0.1", "synaptic_intelligence 0.1"
    )
    assert [tuple(regime.name for regime in chain) for chain in chains_of(regimes)] == [
        ("sequential",),
        ("consolidated", "uniform"),
        ("synaptic_intelligence 0.1", "uniform 0.1"),
    ]
    assert [regime.donor for regime in regimes.values()] == [
        None,
        None,
        "consolidated",
        "synaptic_intelligence 0.1",
        None,
    ]


def test_regimes_are_sorted_by_the_strength_of_synaptic_intelligence_before_other_methods():
    names = (
        "uniform 0.1",
        "elastic 200",
        "synaptic_intelligence 2",
        "consolidated",
        "synaptic_intelligence 0.1",
        "sequential",
    )
    assert [regime.name for regime in strongest_last(regimes_of(*names).values())] == [
        "sequential",
        "synaptic_intelligence 0.1",
        "consolidated",
        "synaptic_intelligence 2",
        "uniform 0.1",
        "elastic 200",
    ]
