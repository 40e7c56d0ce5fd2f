"""The sections on continual learning: distances, attribution, levels, what was kept."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from continual_outcomes import SESSION, WIDTHS, _no_picture, outcome_of

from nwbcompare.analysis.learning.retention import MEAN
from nwbcompare.workflows import continual_measurements as measuring
from nwbcompare.workflows.continual_measurements import PRIMARY
from nwbcompare.workflows.continual_results import levels_reached
from nwbcompare.workflows.sections.continual_learning import (
    ftv_section,
    learning_section,
    levels_section,
    sections_of,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def undrawn(monkeypatch):
    """Sections without pictures, which the whole study draws."""
    for name in ("pairs_picture", "_distributions"):
        monkeypatch.setattr(f"nwbcompare.workflows.sections.continual_learning.{name}", _no_picture)
    monkeypatch.setattr(
        "nwbcompare.workflows.sections.continual_learning._learning_pictures", lambda *_: []
    )


def test_two_animals_are_held_against_each_other(rng, undrawn):
    outcome = outcome_of(rng, n=2)
    animal = np.where(np.arange(SESSION.size) % 8 < 4, "A", "F")
    values = outcome.recorded["fractional_task_variance"] * np.where(animal == "F", 0.1, 1)
    recorded = outcome.recorded.assign(fractional_task_variance=values)
    recorded = recorded.assign_coords(subject=("unit", animal))
    *_, split_half, apart, scope = ftv_section(
        replace(outcome, recorded=recorded), PRIMARY
    ).findings
    assert split_half.startswith("Two halves of monkey")
    # uniform on 0.5 and on 0.05 lie 0.225 apart; sessions exchanged hide it
    distance, p = re.match(r"Animals A and F lie (\S+) apart .* p = (\S+)\)\.", apart).groups()
    assert float(distance) == pytest.approx(0.225, abs=0.04)
    assert float(p) < 0.01
    assert scope == "These animals: nothing here is about others."


def test_similarity_beyond_both_controls_is_attributed(rng, undrawn):
    outcome = outcome_of(rng)
    result = outcome.compared(PRIMARY)
    assert result["contrast"].values[0] == "consolidated - sequential"
    assert result.sizes["contrast"] == 7
    assert outcome.attributed(result)["status"] == "attributed"
    section = ftv_section(outcome, PRIMARY)
    lead = section.findings[0]
    assert lead.main
    assert lead.text == (
        "Consolidated networks are closer to monkey than sequential ones (8 pairs)."
    )
    assert lead.evidence.n == "8 pairs of networks, 20 sessions"
    assert section.findings[1].startswith("Attribution to consolidation: attributed (")
    assert section.findings[-1].startswith("One animal")
    other = ftv_section(outcome, "signal")
    assert not any(getattr(one, "main", False) for one in other.findings)
    assert not any("Attribution" in one for one in other.findings if isinstance(one, str))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"permuted": 0.52}, "closer, but not beyond the controls"),
        ({"consolidated": 0.95, "sequential": 0.52}, "further"),
        ({"sequential": 0.52}, "not closer"),
    ],
)
def test_similarity_is_not_attributed_where_a_control_is_as_close(rng, changes, status):
    outcome = outcome_of(rng, widths=WIDTHS | changes)
    assert outcome.attributed(outcome.compared(PRIMARY))["status"] == status


def test_without_a_control_nothing_can_be_said_of_attribution(rng, undrawn):
    widths = {regime: width for regime, width in WIDTHS.items() if regime != "uniform"}
    outcome = outcome_of(rng, widths=widths)
    assert outcome.attributed(outcome.compared(PRIMARY)) is None
    said = ftv_section(outcome, PRIMARY).findings[1]
    assert said == (
        "Whether similarity is to be attributed to consolidation cannot be said: no pairs with the "
        "controls uniform."
    )


def test_without_pairs_of_the_primary_test_nothing_is_compared(rng):
    # seeds 0 of the one and 1 of the other make no pair
    outcome = outcome_of(rng, n=2, left_out=("consolidated-0", "sequential-1"))
    assert list(outcome.tables(PRIMARY)["consolidated"]) == ["1"]
    assert outcome.compared(PRIMARY) is None
    assert outcome.compared(PRIMARY, every=True)["n_pairs"].values[0] == 2
    assert outcome.kept_more("consolidated", "permuted") is None


def test_levels_are_counted_and_compared_where_they_were_reached(rng):
    outcome = outcome_of(rng, left_out=("consolidated-3",))
    assert levels_reached(outcome) == {
        0.8: {"interleaved": 8, "sequential": 8, "consolidated": 7},
        0.9: dict.fromkeys(measuring.WITH_LEVELS, 0),
        0.95: dict.fromkeys(measuring.WITH_LEVELS, 0),
    }
    assert outcome.at_level(0.9) is None
    section = levels_section(outcome)
    reached, *not_reached = section.findings
    assert (
        "first reached 0.8 (8 interleaved, 8 sequential, 7 consolidated networks)" in reached.text
    )
    assert "consolidated networks are closer to monkey than sequential ones" in reached.text
    assert [text.split(" networks")[0] for text in not_reached] == [
        f"Worst of Ctx DM 1 and 2 at {level:g}: 0 interleaved, 0 sequential, 0 consolidated"
        for level in (0.9, 0.95)
    ]
    assert {row["worst of Ctx DM at"] for row in section.rows} == {0.8}


def test_without_further_regimes_there_is_no_section_of_them(rng, undrawn):
    outcome = outcome_of(rng)
    assert outcome.also_compared() is None
    assert "also" not in [section.name for section in sections_of(outcome)]


def test_what_was_kept_is_compared_on_pairs(rng, undrawn):
    outcome = outcome_of(rng, n=3, left_out=("uniform-0",))
    section = learning_section(outcome)
    lead = section.findings[0]
    assert "over 3 pairs" in lead.text
    assert lead.evidence.n == "3 pairs of networks"
    assert float(
        outcome.kept_more("consolidated", "sequential").sel(task=MEAN, measure="final")["mean"]
    ) == pytest.approx(0.3, abs=0.02)
    assert "Left out: uniform-0, stalled." in section.findings
    assert [row["regime"] for row in section.rows] == ["sequential", "consolidated"]
