"""Regimes by name: the strength that was asked, controls after their regime."""

from __future__ import annotations

from hypothesis import given, strategies as st

from nwbcompare.model.config import Consolidation
from nwbcompare.workflows.training_regimes import chains_of, consolidation_of, donor_of, read_regime


@given(
    method=st.sampled_from(["elastic", "orthogonal", "synaptic_intelligence"]),
    strength=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
)
def test_a_further_regime_has_the_very_strength_that_was_asked(method, strength):
    regime = read_regime(f"{method}:{strength!r}")
    assert consolidation_of(regime, 1.0, 4) == Consolidation(
        method=method, strength=strength, seed=4
    )
    assert donor_of(f"uniform {regime.split()[1]}") == f"synaptic_intelligence {regime.split()[1]}"
    assert read_regime(regime.replace(" ", ":")) == regime


def test_controls_are_trained_after_the_regime_of_their_strength():
    regimes = ("sequential", "consolidated", "uniform", "uniform 0.1", "synaptic_intelligence 0.1")
    assert chains_of(regimes) == [
        ("sequential",),
        ("consolidated", "uniform"),
        ("synaptic_intelligence 0.1", "uniform 0.1"),
    ]
    assert [donor_of(regime) for regime in regimes] == [
        None,
        None,
        "consolidated",
        "synaptic_intelligence 0.1",
        None,
    ]
