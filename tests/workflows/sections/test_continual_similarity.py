"""Sections on similarity to the recording: distances, attribution, levels of performance."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from study_sources import SESSION, WIDTHS, results_of, study_source, summary_of

import nwbcompare as nc
from nwbcompare.workflows.continual_measurements import PRIMARY, WITH_LEVELS
from nwbcompare.workflows.sections.continual_similarity import AT_LEVELS, EVERY, RATE, TUNING


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_two_animals_are_compared_with_each_other(rng):
    source = study_source(rng, n=2)
    animal = np.where(np.arange(SESSION.size) % 8 < 4, "A", "F")
    values = source.recorded["fractional_task_variance"] * np.where(animal == "F", 0.1, 1)
    recorded = source.recorded.assign(fractional_task_variance=values)
    recorded = recorded.assign_coords(subject=("unit", animal))
    *_, split_half, apart, scope = summary_of(TUNING, replace(source, recorded=recorded)).findings
    assert split_half.startswith("Two halves of monkey")
    # uniform on 0.5 and on 0.05 lie 0.225 apart; sessions exchanged hide it
    distance, p = re.match(r"Animals A and F lie (\S+) apart .* p = (\S+)\)\.", apart).groups()
    assert float(distance) == pytest.approx(0.225, abs=0.04)
    assert float(p) < 0.01
    assert scope == "These animals: nothing here is about others."


def test_similarity_beyond_both_controls_is_attributed(rng):
    source = study_source(rng)
    results = results_of(TUNING, source)
    assert results["comparison"]["contrast"].values[0] == "consolidated - sequential"
    assert results["comparison"].sizes["contrast"] == 7
    assert results["attribution"]["status"] == "attributed"
    assert [one.attrs["regime"] for one in results.series("curves")] == [
        "interleaved",
        "sequential",
        "consolidated",
        "untrained",
    ]
    summary = summary_of(TUNING, source, results)
    lead = summary.findings[0]
    assert lead.main
    assert lead.text == (
        "Consolidated networks are closer to monkey than sequential ones (8 pairs)."
    )
    assert lead.evidence.n == "8 pairs of networks, 20 sessions"
    assert summary.findings[1].startswith("Attribution to consolidation: attributed (")
    assert summary.findings[-1].startswith("One animal")
    others = summary_of(RATE, source).findings
    assert not any(getattr(one, "main", False) for one in others)
    assert not any("Attribution" in one for one in others if isinstance(one, str))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"permuted": 0.52}, "closer, but not beyond the controls"),
        ({"consolidated": 0.95, "sequential": 0.52}, "further"),
        ({"sequential": 0.52}, "not closer"),
    ],
)
def test_similarity_is_not_attributed_where_a_control_is_as_close(rng, changes, status):
    results = results_of(TUNING, study_source(rng, widths=WIDTHS | changes))
    assert results["attribution"]["status"] == status


def test_attribution_needs_both_controls(rng):
    widths = {regime: width for regime, width in WIDTHS.items() if regime != "uniform"}
    source = study_source(rng, widths=widths)
    results = results_of(TUNING, source)
    assert "attribution" not in results
    assert summary_of(TUNING, source, results).findings[1] == (
        "Whether similarity is to be attributed to consolidation cannot be said: no pairs with the "
        "controls uniform."
    )


def test_without_pairs_of_the_primary_test_nothing_is_compared(rng):
    # seeds 0 of the one and 1 of the other make no pair
    source = study_source(rng, n=2, excluded=("consolidated-0", "sequential-1"))
    assert list(source.tables(PRIMARY)["consolidated"]) == ["1"]
    with pytest.raises(
        nc.NotApplicableError,
        match="expected a seed with both a sequential and a consolidated network on this protocol",
    ):
        results_of(TUNING, source)
    assert results_of(EVERY, source)["comparison"]["n_pairs"].values[0] == 2


def test_the_comparison_without_the_inclusion_rule_opens_no_page(rng):
    summary = summary_of(EVERY, study_source(rng, n=2))
    assert summary.findings[0].startswith("Networks that hardly learned the context tasks are amon")
    assert len(summary.findings) == 8
    assert not any(one.main for one in summary.findings[1:])


def test_networks_are_counted_and_compared_at_levels_that_they_reached(rng):
    source = study_source(rng, excluded=("consolidated-3",))
    results = results_of(AT_LEVELS, source)
    counts = {
        level: results[f"counts {level}"]["n_networks"].to_series()
        for level in ("0.8", "0.9", "0.95")
    }
    assert {level: one.to_dict() for level, one in counts.items()} == {
        "0.8": {"interleaved": 8, "sequential": 8, "consolidated": 7},
        "0.9": dict.fromkeys(WITH_LEVELS, 0),
        "0.95": dict.fromkeys(WITH_LEVELS, 0),
    }
    assert set(results.refusals) == {"comparison 0.9", "comparison 0.95"}
    summary = summary_of(AT_LEVELS, source, results)
    reached, *not_reached = summary.findings
    assert (
        "first reached 0.8 (8 interleaved, 8 sequential, 7 consolidated networks)" in reached.text
    )
    assert "consolidated networks are closer to monkey than sequential ones" in reached.text
    assert [text.split(" networks")[0] for text in not_reached] == [
        f"Worst of Ctx DM 1 and 2 at {level:g}: 0 interleaved, 0 sequential, 0 consolidated"
        for level in (0.9, 0.95)
    ]
    assert {row["worst of Ctx DM at"] for row in summary.rows} == {0.8}
